"""The condition of ``invertible`` with a hidden cause among what is seen, against an oracle: all
units of a small world, of which those are kept that show a row, and set otherwise."""

import itertools

import pytest
import torch

import causalplug as cp
from causalplug.errors import NotIdentifiableError, QueryError
from causalplug.noise import NoiseSpec

VARIABLES = {
    "D": cp.Discrete(2),
    "T": cp.Continuous(),
    "I": cp.Image(1, 2, 2, low=-20.0, high=20.0),
}
UNITS = list(itertools.product((0, 1), (0, 1), (0, 1, 2), (0, 1)))
"""Hidden cause, and the noises of D, T and I."""
ASSUMED = cp.Assume("invertible", effect="I")


@cp.register_mechanism("test-slope-image")
class Slope(cp.Mechanism):
    """``I = T (1 + D) + noise`` at every pixel."""

    abduction = "exact"
    explicit = True

    def __init__(self):
        super().__init__()
        self.variable, self.parents = VARIABLES["I"], ("D", "T")
        self.noise = {"pixels": NoiseSpec((1, 2, 2))}

    def _level(self, parents):
        return (parents["T"] * (1.0 + parents["D"])).view(-1, 1, 1, 1)

    def forward(self, parents, noise, confounder=None):
        return self._level(parents) + noise["pixels"]

    def abduct(self, value, parents, confounder=None, *, prior=None):
        return {"pixels": value - self._level(parents)}

    def log_prob(self, value, parents, confounder=None):
        noise = torch.distributions.Normal(0.0, 1.0)
        return noise.log_prob(value - self._level(parents)).flatten(1).sum(1)

    def config(self):
        return {}


def unit(hidden, of_d, of_t, of_i, do):
    """What a unit shows, with what is set."""
    shown = {"D": hidden ^ of_d, "T": hidden + of_t} | do
    return {**shown, "I": shown["T"] * (1 + shown["D"]) + of_i}


def oracle(seen, do):
    """What the units that show ``seen`` would show."""
    found = set()
    for noises in UNITS:
        shown = unit(*noises, {})
        if all(shown[name] == value for name, value in seen.items()):
            found.add(tuple(sorted(unit(*noises, do).items())))
    return found


def model():
    graph = cp.CausalGraph.parse("D -> I; T -> I; D <-> T")
    dcm = cp.DCM(graph, VARIABLES, mechanisms={"I": Slope()})
    dcm.sources = (cp.Source(["D", "T", "I"], name="rows"),)
    return dcm


def rows(seen):
    found = {name: [value] for name, value in seen.items() if name != "I"}
    return {**found, "I": torch.full((1, 1, 2, 2), float(seen["I"]))}


@pytest.mark.parametrize("do", [{"T": 5}, {"D": 0}, {"D": 1}, {"D": 1, "T": 4}])
def test_of_a_row_that_is_seen_as_a_whole_there_is_one_answer(do):
    dcm = model()
    for noises in UNITS[::5]:
        seen = unit(*noises, {})
        (truth,) = oracle(seen, do)  # whatever the hidden cause was
        found = dcm.counterfactual(rows(seen), do=do, assume=ASSUMED)
        assert found.attrs["identification"] == "identifiable"
        assert torch.allclose(found["I"][0], torch.tensor(float(dict(truth)["I"])), atol=1e-5)
        assert (found["D"][0], found["T"][0]) == (dict(truth)["D"], dict(truth)["T"])


def test_where_the_units_differ_the_question_is_refused():
    """Of a row whose category was not seen, two units tell different answers."""
    seen, do = {"T": 1, "I": 2}, {"T": 3}
    assert len(oracle(seen, do)) > 1
    with pytest.raises(NotIdentifiableError):
        model().counterfactual(rows(seen), do=do, assume=ASSUMED)


def test_a_hidden_cause_of_the_image_itself_is_refused():
    """Its noise then depends on the parents: the same mechanism fits worlds that disagree."""
    graph = cp.CausalGraph.parse("D -> I; T -> I; T <-> I")
    variables = VARIABLES | {"I": cp.Image(1, 4, 4)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": cp.InvertibleImage(latent_size=2, width=4)})
    dcm.sources = (cp.Source(["D", "T", "I"], name="rows"),)
    seen = {"D": [0], "T": [1.0], "I": torch.zeros(1, 1, 4, 4)}
    with pytest.raises(QueryError, match="shares a hidden cause with T"):
        dcm.counterfactual(seen, do={"T": 3}, assume=ASSUMED)
