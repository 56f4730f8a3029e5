"""A licence that forbids the declared use is shown when the part is loaded."""

import warnings
from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.image_bank import ImageBank
from causalplug.errors import LicenseWarning, RepositoryError
from causalplug.hub.licenses import objection


def saved(folder: Path, license: str | None) -> Path:
    images, codes = torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([[0], [1]])
    return ImageBank(images, [cp.Label("d", 2)], codes, license=license).save_pretrained(folder)


@pytest.mark.parametrize(
    ("license", "use", "forbidden"),
    [
        ("mit", "commercial", False),
        ("cc-by-nc-4.0", "commercial", True),
        ("cc-by-nc-4.0", "research", False),
        ("cc-by-nd-4.0", "modification", True),
        ("cc-by-sa-4.0", "commercial", False),
        ("flux-1-dev-non-commercial-license", "commercial", True),
        ("stabilityai-nc-research-community", "commercial", True),
        ("Academic Use Only", "commercial", True),
        ("apache-2.0", "redistribution", False),
        ("other", "commercial", True),
        ("other", "redistribution", True),
        ("a-licence-of-our-own", "commercial", True),
        ("a-licence-of-our-own", "research", False),
        (None, "commercial", True),
        (None, "redistribution", True),
        (None, "research", False),
    ],
)
def test_objections(license: str | None, use: str, forbidden: bool) -> None:
    assert (objection(license, use) is not None) is forbidden


def test_a_generator_that_may_not_be_used_so_is_warned_about(tmp_path: Path) -> None:
    folder = saved(tmp_path / "bank", "cc-by-nc-4.0")
    with pytest.warns(LicenseWarning, match="cc-by-nc-4.0 does not allow commercial use"):
        generator = cp.from_pretrained(folder, use="commercial")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cp.from_pretrained(folder, use="research")
        cp.from_pretrained(folder)
    with pytest.raises(RepositoryError, match="give one of 'research', 'commercial'"):
        cp.from_pretrained(folder, use="comercial")
    dcm = cp.DCM(
        cp.CausalGraph.parse("D -> I"),
        {"D": cp.Discrete(2), "I": cp.Image(1, 2, 2)},
        mechanisms={"I": generator},
    )
    dcm.save_pretrained(tmp_path / "dcm")
    with pytest.warns(LicenseWarning, match="bank is not for commercial use"):
        cp.from_pretrained(tmp_path / "dcm", use="commercial")


def test_an_unknown_licence_is_said_to_be_unknown_not_to_forbid() -> None:
    assert "is not known here" in str(objection("other", "commercial"))
    named = str(objection("flux-1-dev-non-commercial-license", "commercial"))
    assert "does not allow commercial use" in named


def test_a_licence_without_identifier_is_known_by_its_name(tmp_path: Path) -> None:
    folder = saved(tmp_path / "bank", None)
    card = "---\nlicense: other\nlicense_name: flux-1-dev-non-commercial-license\n---\n"
    (folder / "README.md").write_text(card)
    with pytest.warns(LicenseWarning, match="flux-1-dev-non-commercial-license does not allow"):
        cp.from_pretrained(folder, use="commercial")


def test_the_generator_behind_a_trained_code_counts(tmp_path: Path) -> None:
    layers = [
        {"type": "linear", "name": "0", "in_features": 4, "out_features": 4},
        {"type": "sigmoid"},
    ]
    gan = ConditionalGAN(cp.Image(1, 2, 2), [cp.Label("d", 2)], 2, layers, license="cc-by-nc-4.0")
    graph, variables = (
        cp.CausalGraph.parse("D <-> I"),
        {"D": cp.Discrete(2), "I": cp.Image(1, 2, 2)},
    )
    cp.DCM(graph, variables, mechanisms={"I": cp.Renderer(gan)}).save_pretrained(
        tmp_path / "copied"
    )
    generator = cp.from_pretrained(gan.save_pretrained(tmp_path / "gan"))
    cp.DCM(graph, variables, mechanisms={"I": cp.Renderer(generator)}).save_pretrained(
        tmp_path / "referred"
    )
    for folder in ("copied", "referred"):
        with pytest.warns(LicenseWarning, match="cc-by-nc-4.0 does not allow commercial use"):
            cp.from_pretrained(tmp_path / folder, use="commercial")
