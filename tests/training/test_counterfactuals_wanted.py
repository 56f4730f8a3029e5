"""``counterfactuals=``: images whose mechanism recovers its noise, and is trained to."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import (
    MechanismError,
    NotIdentifiableError,
    PlanError,
    QueryError,
    TrainingError,
    UnknownVariableError,
    VariableError,
)

IMAGE = cp.Image(1, 6, 6)
VARIABLES = {"D": cp.Discrete(2), "T": cp.Continuous(), "I": IMAGE}
GRAPH = "D -> I; T -> I"
CONFOUNDED = f"{GRAPH}; D <-> I"


def rows(n=60, seed=0):
    """A bar that lies or stands, as bright as T says, at a place that nothing says."""
    rng = np.random.default_rng(seed)
    d, t, place = rng.integers(0, 2, n), rng.uniform(0.3, 1, n), rng.integers(1, 5, n)
    y, x = np.mgrid[:6, :6]
    across = np.where(d[:, None, None], x, y) == place[:, None, None]
    images = (across * t[:, None, None])[:, None]
    return {"D": d, "T": t.astype(np.float32), "I": images.astype(np.float32)}


def model(graph=GRAPH, **options):
    options = {"counterfactuals": True, **options}
    return cp.DCM(cp.CausalGraph.parse(graph), VARIABLES, **options)


def fitted(dcm, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cp.fit(
            dcm, rows(), steps=3, batch_size=16, progress=False, check_graph=False, **options
        )


def objectives(dcm, **options):
    trainer = cp.Trainer(dcm, [cp.DataSource(rows())], progress=False, **options)
    return {"+".join(m.variables): str(m.objective) for m in trainer.plan.modules}


def test_such_an_image_is_trained_by_counterfactuals_and_comes_back():
    dcm = model()
    found = fitted(dcm)
    assert {m.name: m.objective for m in found.modules}["I"] == "counterfactual"
    assert max(item.value for item in cp.metrics.composition(dcm, rows(9, 1)).items) < 1e-5
    pairs = dcm.counterfactual(
        rows(4, 2), do={"T": 0.9}, assume=cp.Assume("invertible", effect="I")
    )
    assert pairs["I"][0].shape == (1, 6, 6)


def test_the_assumption_stays_a_choice_of_the_user():
    """That the mechanism recovers its noise does not make the answer identified."""
    dcm = model()
    fitted(dcm)
    with pytest.raises(NotIdentifiableError, match="assume="):
        dcm.counterfactual(rows(4, 2), do={"T": 0.9})


def test_nothing_changes_where_it_is_not_asked_for():
    plain = model(counterfactuals=False)
    assert plain.counterfactuals == ()
    assert plain.mechanism("I").abduction is None
    assert objectives(plain)["I"] == "adversarial"


@pytest.mark.parametrize("asked", [True, "I", ["I"]])
def test_images_are_named_or_all(asked):
    dcm = model(counterfactuals=asked)
    assert dcm.counterfactuals == ("I",)
    assert dcm.mechanism("I").abduction == "exact"


def test_images_that_are_not_named_stay_as_they_are():
    variables = {**VARIABLES, "J": IMAGE}
    graph = cp.CausalGraph.parse(f"{GRAPH}; D -> J")
    dcm = cp.DCM(graph, variables, counterfactuals="J")
    assert dcm.mechanism("J").abduction == "exact"
    assert dcm.mechanism("I").abduction is None


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        (GRAPH, {"D": "likelihood", "T": "likelihood", "I": "counterfactual"}),
        (CONFOUNDED, {"T": "likelihood", "D+I": "likelihood"}),
        ("I -> D; T -> D", {"I": "likelihood", "D": "warm", "T": "likelihood"}),
    ],
)
def test_the_objective_is_what_trains_the_image_to_recover_its_noise(graph, found):
    known = objectives(model(graph))
    assert {name: known[name] for name in found if name != "D"} == {
        name: word for name, word in found.items() if name != "D"
    }
    planned = cp.plan(cp.CausalGraph.parse(graph), kinds=VARIABLES, counterfactuals=True)
    named = cp.plan(cp.CausalGraph.parse(graph), counterfactuals=["I"])
    for made in (planned, named):
        (module,) = [m for m in made.modules if "I" in m.variables]
        assert str(module.objective) == known["+".join(module.variables)]
        assert module.objectives == ()


def test_another_objective_may_be_named_where_it_recovers_the_noise():
    config = cp.TrainingConfig(objective={"I": "likelihood"})
    assert objectives(model(), config=config)["I"] == "likelihood"
    config = cp.TrainingConfig(objective={"D": "adversarial"})
    assert objectives(model(), config=config) == {
        "D": "adversarial",
        "T": "likelihood",
        "I": "counterfactual",
    }


@pytest.mark.parametrize("objective", ["adversarial", {"I": "warm"}])
def test_an_objective_that_does_not_is_refused(objective):
    with pytest.raises(PlanError, match=r"counterfactuals= asks for those of \"?I.*likelihood"):
        fitted(model(), objective=objective)


def test_a_joint_training_is_refused():
    with pytest.raises(TrainingError, match=r"counterfactuals= names I"):
        fitted(model(), strategy="joint")


class Still(cp.Mechanism):
    """A mechanism of one's own that does not recover its noise."""

    def __init__(self):
        super().__init__()
        self.variable, self.parents, self.noise = IMAGE, ("D", "T"), {}
        self.grey = torch.nn.Parameter(torch.zeros(1, 6, 6))

    def forward(self, parents, noise, confounder=None):
        return torch.sigmoid(self.grey).expand(len(parents["D"]), 1, 6, 6)


def test_a_mechanism_that_cannot_keep_it_is_refused():
    with pytest.raises(MechanismError, match=r"'I' cannot be used: counterfactuals=.*Still does"):
        model(mechanisms={"I": Still()})
    dcm = model()
    with pytest.raises(MechanismError, match="counterfactuals="):
        dcm.replace_mechanism("I", Still())
    assert model(mechanisms={"I": Still()}, counterfactuals=False).counterfactuals == ()


def test_a_mechanism_that_keeps_it_is_taken_as_it_is():
    dcm = model(mechanisms={"I": cp.InvertibleImage(latent_size=3, width=4)})
    assert dcm.mechanism("I").latent_size == 3
    assert objectives(dcm)["I"] == "counterfactual"


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("T", VariableError, "T: it is no image"),
        (["I", "X"], UnknownVariableError, "'X' is not a variable"),
        (1, MechanismError, "counterfactuals="),
        (None, MechanismError, "counterfactuals="),
    ],
)
def test_what_cannot_be_asked_for_is_refused(asked, error, message):
    with pytest.raises(error, match=message):
        model(counterfactuals=asked)


def test_a_plan_has_to_know_which_variables_are_images():
    with pytest.raises(VariableError, match=r"give kinds="):
        cp.plan(cp.CausalGraph.parse(GRAPH), counterfactuals=True)


def test_a_model_without_images_has_what_was_asked_for():
    variables = {"D": cp.Discrete(2), "T": cp.Continuous()}
    dcm = cp.DCM(cp.CausalGraph.parse("D -> T"), variables, counterfactuals=True)
    assert dcm.counterfactuals == ()
    assert all(m.abduction == "exact" for m in dcm.mechanisms.values())


def test_a_saved_model_knows_what_it_is_for(tmp_path):
    dcm = model()
    dcm.save_pretrained(tmp_path / "dcm")
    loaded = cp.from_pretrained(tmp_path / "dcm")
    assert loaded.counterfactuals == ("I",)
    assert max(item.value for item in cp.metrics.composition(loaded, rows(9, 1)).items) < 1e-5


def test_confounded_images_read_the_confounder_noise():
    dcm = model(CONFOUNDED)
    assert dcm.mechanism("I").confounder_numbers == dcm.confounder_size


def test_refusals_lead_to_it():
    plain = model(counterfactuals=False)
    plain.sources = (cp.Source(["D", "T", "I"], name="rows"),)
    with pytest.raises(MechanismError, match="counterfactuals=True"):
        plain.counterfactual(rows(3), do={"T": 0.9})
    rough = model(counterfactuals=False, mechanisms={"I": cp.InvertibleImage(residual=False)})
    rough.sources = plain.sources
    with pytest.raises(QueryError, match="counterfactuals=True"):
        rough.counterfactual(rows(3), do={"T": 0.9}, assume=cp.Assume("invertible", effect="I"))
    with pytest.raises(PlanError, match="counterfactuals=True"):
        fitted(plain, objective={"I": "counterfactual"})
