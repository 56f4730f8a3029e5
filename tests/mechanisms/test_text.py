"""Texts: declared, encoded, read by what is trained, made by a frozen mechanism."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.encoders.encoders import project
from causalplug.encoders.text import HashedText
from causalplug.errors import DataError, MechanismError, VariableError
from causalplug.noise import NoiseSpec
from causalplug.testing import EncoderTester
from causalplug.variables import variable_from_dict

TEXT = cp.Text(40)
SAID = (("no finding", "clear lungs"), ("opacity seen", "a dense opacity"))


@cp.register_mechanism("test-report")
class Report(cp.ConditionalMechanism):
    """One of two reports for each finding."""

    saved_with_model = True

    def __init__(self):
        conditions = [cp.Condition("finding", cp.Discrete(2))]
        super().__init__(TEXT, conditions, {"u": NoiseSpec((), "uniform")})

    def generate(self, conditions, noise):
        which = (noise["u"] > 0.5).long()
        pairs = zip(conditions["finding"].tolist(), which.tolist(), strict=True)
        texts = [SAID[finding][word] for finding, word in pairs]
        return self.generates.encode(texts)

    def config(self):
        return {}


class TestHashedText(EncoderTester):
    def make(self):
        return HashedText(TEXT, 8)


@pytest.mark.parametrize("text", ["", "plain", "Blätter und 日本", "a\nb\t", "🙂"])
def test_texts_come_back_as_they_were(text):
    assert TEXT.decode(TEXT.encode([text, "x"])).tolist() == [text, "x"]
    assert variable_from_dict(TEXT.to_dict()) == TEXT


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3, 4], "not texts"),
        ([None, "a"], "missing"),
        (["a" * 41], "of more than 40 bytes, the longest 41"),
        ([["a", "b"]], "one text per row"),
    ],
)
def test_what_is_no_text_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        TEXT.encode(values, "T")
    with pytest.raises(VariableError, match="length"):
        cp.Text(0)


def test_other_texts_have_other_projections_and_padding_has_none():
    encoder = HashedText(TEXT, 8)
    found = project(encoder, TEXT.encode(["no finding", "no finding", "opacity"]))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    longer = HashedText(cp.Text(60), 8)
    assert torch.allclose(project(longer, cp.Text(60).encode(["opacity"]))[0], found[2], atol=1e-5)


def test_an_effect_through_a_text(tmp_path):
    """X -> T -> Y with a hidden cause of X and Y: the front-door, the mediator a text."""
    rng = np.random.default_rng(0)
    n = 6000
    u = rng.integers(2, size=n)
    x = (rng.random(n) < np.where(u == 1, 0.8, 0.2)).astype(int)
    shown = np.where(rng.random(n) < 0.8, x, 1 - x)
    texts = np.array([SAID[f][int(w)] for f, w in zip(shown, rng.random(n) > 0.5, strict=True)])
    y = (rng.random(n) < 0.2 + 0.4 * shown + 0.3 * u).astype(int)
    graph = cp.CausalGraph.parse("X -> F -> T -> Y; X <-> Y")
    variables = {"X": cp.Discrete(2), "F": cp.Discrete(2), "T": TEXT, "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables, mechanisms={"T": Report()})
    source = cp.DataSource({"X": x, "F": shown, "T": texts, "Y": y})
    cp.fit(dcm, source, objective="likelihood", steps=250, encoder_steps=50, progress=False)
    for value in (0, 1):
        share = 0.8 if value else 0.2
        right = 0.2 + 0.4 * share + 0.15
        found = dcm.sample(20_000, do={"X": value}, variables=["Y"], seed=0)["Y"].mean()
        assert abs(found - right) < 0.04
    drawn = dcm.sample(20, do={"F": 1}, variables=["T"], seed=0)["T"]
    assert set(drawn) <= set(SAID[1])
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert again.sample(20, seed=3).equals(dcm.sample(20, seed=3))
    done = dcm.sample(3, do={"T": "opacity seen"}, variables=["T"], seed=0)["T"]
    assert done.tolist() == ["opacity seen"] * 3


def test_a_text_without_a_mechanism_is_refused():
    with pytest.raises(MechanismError, match="a text cannot be trained here"):
        cp.DCM(cp.CausalGraph.parse("X -> T"), {"X": cp.Discrete(2), "T": TEXT})
