"""The worlds and readers of the recipes with images: exact answers against samples, and what is
refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm  # type: ignore[import-untyped]

import causalplug as cp
from causalplug.encoders.encoders import project
from causalplug.errors import DataError
from recipes.cxr.data import COUNTS, finding, load_xrays, rows, stand_in
from recipes.invariant_faces.data import DIGITS, FIDELITY, load_faces
from recipes.invariant_faces.data import stand_in as digits_stand_in
from recipes.mnist_counterfactual.scm import SIZES, TwoImageSCM, render
from recipes.mnist_frontdoor.data import load_digit_images
from recipes.mnist_frontdoor.quality import frechet
from recipes.mnist_frontdoor.scm import SMALL, FrontDoorSCM, tvd

N = 200_000


def shares(rows: dict, names: tuple) -> np.ndarray:
    sizes = [SIZES[name] for name in names]
    cell = np.ravel_multi_index([rows[name] for name in names], sizes)
    return np.bincount(cell, minlength=int(np.prod(sizes))).reshape(sizes) / len(cell)


@pytest.mark.parametrize("do", [{}, {"X1": 1}, {"X1": 1, "X2": 4}])
def test_the_two_image_model_is_exact(do):
    scm = TwoImageSCM()
    names = ("X2", "Color") if "X2" not in do else ("Y1", "Color", "Thick")
    truth = scm.probability(names, do)
    assert truth.sum() == pytest.approx(1)
    assert tvd(shares(scm.sample(N, seed=1, do=do), names).ravel(), truth.ravel()) < 0.01
    if not do:
        assert scm.probability(tuple(SIZES)).min() > 0, "every combination of values can occur"


def test_a_counterfactual_of_the_two_image_model():
    """The same noise run twice: as it was, and with both causes set."""
    scm, evidence, do = TwoImageSCM(), {"X1": 0, "X2": 1}, {"X1": 1, "X2": 4}
    world = scm.draw(N, np.random.default_rng(0))
    seen = scm.run(world)
    kept = (seen["X1"] == 0) & (seen["X2"] == 1)
    would = {name: values[kept] for name, values in scm.run(world, do).items()}
    found = shares(would, ("Color", "Y1"))
    turned = scm.probability(("Y1", "Color"), do, evidence).T
    assert np.allclose(turned, scm.probability(("Color", "Y1"), do, evidence))
    assert tvd(found.ravel(), scm.probability(("Color", "Y1"), do, evidence).ravel()) < 0.02
    assert tvd(scm.probability(("Color",)), scm.probability(("Color",), do, evidence)) > 0.25


def test_a_counterfactual_of_the_two_image_model_with_evidence_below():
    """Evidence on what the functions end in: its own noise is the same in both worlds."""
    scm, evidence = TwoImageSCM(), {"Y1": 0, "Color": 1}
    world = scm.draw(N, np.random.default_rng(3))
    seen = scm.run(world)
    kept = (seen["Y1"] == 0) & (seen["Color"] == 1)
    would = {name: values[kept] for name, values in scm.run(world, {"X1": 1}).items()}
    found = shares(would, ("Y1", "Color"))
    assert tvd(found.ravel(), scm.probability(("Y1", "Color"), {"X1": 1}, evidence).ravel()) < 0.01


def test_the_functions_of_the_two_image_model():
    """Without noise: by hand."""
    scm = TwoImageSCM()
    quiet = {name: np.array([-1]) for name in SIZES}
    rows = scm.run({"U1": np.array([1]), "U2": np.array([2]), "J": np.array([5])} | quiet)
    assert {name: int(values[0]) for name, values in rows.items()} == {
        "X1": 1, "X2": 8, "W": 9, "Y1": 8, "Y2": 1, "Thick": 1, "Color": 2,
    }  # fmt: skip


def test_thick_strokes_have_more_ink_and_the_colour_asked_for():
    digits = load_digit_images(None, (0, 1, 2)).images[:30]
    thin, thick = (render(digits, np.full(30, 1), np.full(30, t)) for t in (0, 1))
    assert thin.shape == (30, 3, 28, 28)
    assert (thick.mean((1, 2, 3)) > 1.2 * thin.mean((1, 2, 3))).all()
    assert (thin.mean((2, 3)).argmax(1) == 1).all()


def test_small_images_have_exact_answers():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    scm = FrontDoorSCM(images, np.arange(20) % 2, image_shape=SMALL)
    drawn, _ = scm.sample(N, seed=0, do={"D": 1})
    assert drawn["I"].shape[1:] == SMALL
    assert tvd(np.bincount(drawn["A"], minlength=3) / N, scm.answers().do[1]) < 0.005
    with pytest.raises(DataError, match=r"choose \(1, 8, 8\)"):
        FrontDoorSCM(images, np.arange(20) % 2)


def test_patients_have_the_labels_of_the_table():
    xrays = stand_in(60)
    table = rows(xrays, 50_000, seed=0)
    found = np.bincount(table["C"] * 2 + table["N"], minlength=4) / 50_000
    assert tvd(found, COUNTS.ravel() / COUNTS.sum()) < 0.01
    index = {
        image.tobytes(): k for image, k in zip(xrays.images, finding(xrays.C, xrays.N), strict=True)
    }
    kinds = np.array([index[image.tobytes()] for image in table["Xray"][:200]])
    assert (kinds == finding(table["C"], table["N"])[:200]).all()


def test_xrays_are_read_and_what_lacks_is_said(tmp_path):
    with pytest.raises(DataError, match="--quick"):
        load_xrays(None)
    with pytest.raises(DataError, match=r"there is no .*cxr_real_64.npz"):
        load_xrays(tmp_path)
    made = stand_in(12)
    np.savez(tmp_path / "cxr_real_64.npz", images=made.images, C=made.C, N=made.N)
    assert (load_xrays(tmp_path).counts == COUNTS).all()
    pd.DataFrame({"split": ["train"] * 3 + ["test"], "C": [1, 0, 0, 1], "N": [1, 0, 1, 1]}).to_csv(
        tmp_path / "covidx9a_labels.csv.gz"
    )
    assert load_xrays(tmp_path).counts.tolist() == [[1, 1], [0, 1]]
    np.savez(tmp_path / "cxr_real_64.npz", images=made.images, C=made.C, N=made.C)
    with pytest.raises(DataError, match="no image with C=0, N=1"):
        load_xrays(tmp_path)
    np.savez(tmp_path / "cxr_real_64.npz", images=made.images[:, :, :, None], C=made.C, N=made.N)
    with pytest.raises(DataError, match="holds images"):
        load_xrays(tmp_path)


def test_the_bar_says_more_than_the_digit_until_the_labels_are_untied():
    faces = digits_stand_in(None, 4000, seed=0)
    assert faces.agreement == pytest.approx(0.905, abs=0.02)
    assert faces.agreement > FIDELITY + 0.05
    assert np.bincount(faces.test["Sex"] * 2 + faces.test["Eyeglasses"]).tolist() == [500] * 4
    barred = (faces.test["Image"][:, 0, 4:16, 4:24] == 200).all(-1).any(-1)
    assert (barred == (faces.test["Sex"] == 1)).mean() > 0.99
    known = {image.tobytes() for image in load_digit_images(None, DIGITS).images}
    plain = faces.test["Image"][faces.test["Sex"] == 0][:, 0]
    assert not any(image.tobytes() in known for image in plain[:200]), (
        "the test set shows other digits"
    )


def test_faces_are_read_and_what_lacks_is_said(tmp_path):
    with pytest.raises(DataError, match=r"no metadata.csv"):
        load_faces(tmp_path, 0)
    table = []
    for i in range(48):
        Image.new("RGB", (60, 80), (5 * i, 100, 0)).save(tmp_path / f"{i}.png")
        table.append({"file_name": f"{i}.png", "Sex": i % 2, "Eyeglasses": i // 2 % 2})
    pd.DataFrame(table).to_csv(tmp_path / "metadata.csv")
    faces = load_faces(tmp_path, 0)
    assert len(faces.test["Sex"]) == 8
    assert len(faces.rows["Sex"]) == 40
    assert faces.rows["Image"].shape[1:] == (3, 48, 48)
    assert set(faces.labels) == {"Sex", "Eyeglasses"}
    (tmp_path / "3.png").write_text("no image")
    with pytest.raises(DataError, match=r"3.png cannot be read"):
        load_faces(tmp_path, 0)
    pd.DataFrame(table).drop(columns="Sex").to_csv(tmp_path / "metadata.csv")
    with pytest.raises(DataError, match="must have the columns"):
        load_faces(tmp_path, 0)


def test_celeba_is_read_as_it_is_published(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    lines = ["48", "5_o_Clock_Shadow Eyeglasses Male"]
    for i in range(48):
        Image.new("RGB", (60, 80), (5 * i, 100, 0)).save(tmp_path / f"img_align_celeba/{i:06}.jpg")
        lines.append(f"{i:06}.jpg -1 {2 * (i % 2) - 1:2d}  {2 * (i // 2 % 2) - 1}")
    table = tmp_path / "list_attr_celeba.txt"
    table.write_text("\n".join(lines) + "\n")
    faces = load_faces(tmp_path, 0)
    red = np.concatenate([faces.rows["Image"], faces.test["Image"]])[:, 0, 24, 24] / 5
    number = np.rint(red).astype(int)
    for name, shift in (("Eyeglasses", 0), ("Sex", 1)):
        values = np.concatenate([faces.rows[name], faces.test[name]])
        assert (values == number // 2**shift % 2).mean() > 0.95, "jpeg may shift a colour"
    assert len(load_faces(tmp_path, 0, most=40).rows["Sex"]) < 40
    table.write_text("\n".join(line.replace("Male", "Young") for line in lines))
    with pytest.raises(DataError, match="lacks Male"):
        load_faces(tmp_path, 0)


def test_the_frechet_distance_is_that_of_the_formula():
    """Against the root of the matrix product itself."""
    rng = np.random.default_rng(0)
    first, second = (
        rng.random((300, 1, 8, 8), np.float32),
        rng.random((200, 1, 8, 8), np.float32) ** 2,
    )
    torch.manual_seed(0)
    encoder = cp.ConvEncoder(cp.Image(1, 8, 8), 4)
    a, b = (project(encoder, torch.from_numpy(x)).double().numpy() for x in (first, second))
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    truth = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet(encoder, first, second) == pytest.approx(truth, rel=1e-6)
    assert frechet(encoder, first, first) == pytest.approx(0, abs=1e-8)
