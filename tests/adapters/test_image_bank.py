"""A folder of images as a generator: what is read, and what is refused before any work."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as PILImage

import causalplug as cp
from causalplug.adapters.image_bank import ImageBank
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.frozen.label import Label
from causalplug.variables import Image


def picture(path: Path, level: int, side: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.fromarray(np.full((side, side), level, np.uint8)).save(path)


def test_subfolders_are_labels_and_noise_picks_among_their_images(tmp_path: Path) -> None:
    for label, level in (("cat", 10), ("cat", 20), ("dog", 200)):
        picture(tmp_path / label / f"{level}.png", level)
    bank = ImageBank.from_folder(tmp_path)
    assert bank.labels == (Label("label", ["cat", "dog"]),)
    painted = bank({"label": torch.tensor([0, 0, 1])}, {"pick": torch.tensor([0.1, 0.9, 0.5])})
    assert (painted[:, 0, 0, 0] * 255).round().tolist() == [10, 20, 200]


def test_metadata_name_the_labels(tmp_path: Path) -> None:
    rows = ["file_name,digit,colour"]
    for digit in (0, 1):
        for colour in ("red", "blue"):
            picture(tmp_path / f"{digit}{colour}.png", 50 * digit + 10)
            rows.append(f"{digit}{colour}.png,{digit},{colour}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    bank = ImageBank.from_folder(tmp_path, labels=[Label("digit", 2), "colour"])
    assert [label.name for label in bank.labels] == ["digit", "colour"]
    painted = bank(
        {"digit": torch.tensor([1]), "colour": torch.tensor([0])}, {"pick": torch.tensor([0.0])}
    )
    assert round(float(painted[0, 0, 0, 0]) * 255) == 60


def test_metadata_of_every_form_give_the_same_bank(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"file_name": ["a.png", "b.png", "c.png"], "digit": [1, 0, 1], "colour": ["red"] * 3}
    )
    writers = {
        "csv": lambda path: frame.to_csv(path, index=False),
        "jsonl": lambda path: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda path: frame.to_parquet(path),
    }
    banks = []
    for suffix, write in writers.items():
        for number, name in enumerate(frame["file_name"]):
            picture(tmp_path / suffix / name, 10 * number)
        write(tmp_path / suffix / f"metadata.{suffix}")
        banks.append(ImageBank.from_folder(tmp_path / suffix))
    assert banks[0].labels == (Label("digit", [0, 1]), Label("colour", ["red"]))
    assert banks[0].images[:, 0, 0, 0].tolist() == [10, 0, 20]
    assert len({bank.revision for bank in banks}) == 1


def test_folders_named_by_numbers_are_integers_where_such_labels_are_declared(
    tmp_path: Path,
) -> None:
    for digit in range(11):
        picture(tmp_path / str(digit) / "a.png", digit)
    bank = ImageBank.from_folder(tmp_path, labels=[Label("label", 11)])
    assert bank.images[:, 0, 0, 0].tolist() == list(range(11))
    rows = (
        cp.DataSource(tmp_path).encode({"image": Image(1, 4, 4), "label": cp.Discrete(11)}).values
    )
    assert torch.equal(rows["image"][rows["label"].argsort()], bank.images)


def test_a_dataset_of_images(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pictures = [PILImage.new("L", (4, 4), level) for level in (10, 20, 30)]
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])}
    made = datasets.Dataset.from_dict(
        {"picture": pictures, "kind": [1, 0, 1]}, features=datasets.Features(features)
    )
    bank = ImageBank.from_dataset(made, image_column="picture", labels=["kind"])
    assert bank.labels == (Label("kind", ["cat", "dog"]),)
    assert bank.images[:, 0, 0, 0].tolist() == [20, 10, 30]
    counted = ImageBank.from_dataset(made, image_column="picture", labels=[Label("kind", 2)])
    assert torch.equal(counted.codes, bank.codes)
    with pytest.raises(DataError, match="no column 'label'"):
        ImageBank.from_dataset(made, image_column="picture")


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "good.png", 5)
    picture(tmp_path / "a" / "large.png", 5, side=6)
    (tmp_path / "a" / "noise.png").write_bytes(b"no image at all")
    picture(tmp_path / "b" / "cut.png", 5)
    whole = (tmp_path / "b" / "cut.png").read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        ImageBank.from_folder(tmp_path)
    message = str(caught.value)
    assert "noise.png cannot be read as an image" in message
    assert "cut.png cannot be read as an image" in message
    assert "empty.jpg cannot be read as an image" in message
    assert "large.png has 6 x 6 pixels instead of the 4 x 4" in message


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ("name,label\na.png,1\n", "no column file_name"),
        (
            "file_name,label\n../outside.png,1\n",
            "outside.png' in row 0, which is not an image of the folder",
        ),
        (
            "file_name,label\na.png,1\nmissing.png,1\n",
            "missing.png' in row 1, which is not an image of the folder",
        ),
        ("file_name,label\na.png,1\na.png,\n", "'label' has rows without a label"),
    ],
)
def test_metadata_that_cannot_be_used_are_refused(
    tmp_path: Path, metadata: str, match: str
) -> None:
    folder = tmp_path / "bank"
    picture(folder / "a.png", 5)
    picture(tmp_path / "outside.png", 5)
    (folder / "metadata.csv").write_text(metadata)
    with pytest.raises(DataError, match=match):
        ImageBank.from_folder(folder)


def test_a_folder_without_images_and_a_combination_without_any(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no metadata\.csv .* and no folders of images"):
        ImageBank.from_folder(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        ImageBank.from_folder(tmp_path / "nowhere")
    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(MechanismError, match="no image with a=1, b=0"):
        ImageBank(images, [Label("a", 2), Label("b", 1)], torch.tensor([[0, 0], [0, 0]]))
