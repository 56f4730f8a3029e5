"""Reading digit images: what comes in, and what is said when it does not."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from causalplug.errors import DataError
from recipes.mnist_frontdoor.data import _from_hub, load_digit_images


def idx(array: np.ndarray) -> bytes:
    return (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def write_mnist(
    folder: Path,
    *,
    joint: str = "-",
    packed: bool = True,
    digits: tuple[int, ...] = (5, 0, 1, 1, 0),
) -> dict:
    """Four small MNIST files; returns the content by part."""
    content = {}
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        images = rng.integers(256, size=(len(digits), 28, 28), dtype=np.uint8)
        content[part] = images
        for name, array in (
            (f"{part}-images{joint}idx3-ubyte", images),
            (f"{part}-labels{joint}idx1-ubyte", np.array(digits)),
        ):
            data = idx(array)
            path = folder / (name + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(data) if packed else data)
    return content


@pytest.mark.parametrize(
    ("joint", "packed"), [("-", True), ("-", False), (".", True), (".", False)]
)
def test_a_folder_gives_its_zeros_and_ones(tmp_path, joint, packed):
    content = write_mnist(tmp_path, joint=joint, packed=packed)
    for source in (tmp_path, str(tmp_path)):
        loaded = load_digit_images(source)
        np.testing.assert_array_equal(loaded.images, content["train"][1:])
        np.testing.assert_array_equal(loaded.held_out_images, content["t10k"][1:])
        np.testing.assert_array_equal(loaded.digits, [0, 1, 1, 0])


def test_the_bundled_digits_are_the_same_each_time():
    first, second = load_digit_images(), load_digit_images()
    assert first.images.shape == (240, 28, 28)
    assert first.held_out_images.shape == (120, 28, 28)
    assert first.images.dtype == np.uint8
    for name in ("images", "digits", "held_out_images", "held_out_digits"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    known = {image.tobytes() for image in first.images}
    assert not any(image.tobytes() in known for image in first.held_out_images)
    assert (first.images[:, :2] == 0).all()
    assert first.images.max() == 255


def test_the_bundled_digits_are_enlarged_in_place():
    """Shrinking the enlarged image gives the original's ink back, cell by cell."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    small = bundled.images[bundled.target < 2][0] / 16
    cells = load_digit_images().images[0, 2:-2, 2:-2].reshape(8, 3, 8, 3).mean((1, 3)) / 255
    assert np.corrcoef(cells.ravel(), small.ravel())[0, 1] > 0.97


def test_a_dataset_with_images_and_labels(tmp_path, monkeypatch):
    import datasets
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = {
        split: rng.integers(256, size=(6, 28, 28), dtype=np.uint8) for split in ("train", "test")
    }
    labels = [0, 7, 1, 1, 2, 0]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    for split, images in pixels.items():
        rows = {"image": [Image.fromarray(image) for image in images], "label": labels}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            tmp_path / "repo" / f"{split}.parquet"
        )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    loaded = _from_hub(str(tmp_path / "repo"), (0, 1))
    np.testing.assert_array_equal(loaded.images, pixels["train"][[0, 2, 3, 5]])
    np.testing.assert_array_equal(loaded.held_out_images, pixels["test"][[0, 2, 3, 5]])
    np.testing.assert_array_equal(loaded.digits, [0, 1, 1, 0])


def test_a_folder_without_the_files(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte\.gz .* is not there; the folder holds notes\.txt"
    ):
        load_digit_images(tmp_path)
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz"):
        load_digit_images(tmp_path)


@pytest.mark.parametrize("source", ["/no/such/folder", "./missing", "one/two/three"])
def test_a_path_that_is_no_folder(source):
    with pytest.raises(DataError, match="is not a folder"):
        load_digit_images(source)


def test_files_that_are_not_what_they_should_be(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    good = path.read_bytes()
    path.write_bytes(b"not packed at all")
    with pytest.raises(DataError, match="cannot be unpacked"):
        load_digit_images(tmp_path)
    path.write_bytes(good[:200])
    with pytest.raises(DataError, match="cannot be unpacked"):
        load_digit_images(tmp_path)
    path.write_bytes(gzip.compress(gzip.decompress(good)[:-1]))
    with pytest.raises(DataError, match="it is not whole"):
        load_digit_images(tmp_path)
    path.write_bytes((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(DataError, match="not an IDX file of unsigned bytes with 3 dimensions"):
        load_digit_images(tmp_path)
    path.write_bytes(gzip.compress(idx(np.zeros((5, 20, 20)))))
    with pytest.raises(DataError, match=r"MNIST has \(n, 28, 28\)"):
        load_digit_images(tmp_path)


def test_a_set_without_ones(tmp_path):
    write_mnist(tmp_path, digits=(0, 0, 4))
    with pytest.raises(DataError, match="no image of the digit 1"):
        load_digit_images(tmp_path)
