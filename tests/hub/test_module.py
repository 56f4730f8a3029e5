"""A trained module of one model, plugged into another with the same edges."""

import pytest
import torch

import causalplug as cp
from causalplug.errors import MechanismError, PlanError, RepositoryError, UnknownVariableError

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload
VARIABLES = {
    "W": cp.Discrete(2),
    "C": cp.Discrete(3),
    "N": cp.Continuous(),
    "M": cp.Continuous(),
    "Y": cp.Discrete(["no", "yes"]),
}
EDGES = "W -> C; C -> N; N -> M; M -> Y; C <-> N; C <-> M"
GRAPH = cp.CausalGraph.parse(EDGES)
OTHER = (
    cp.CausalGraph.from_edges(  # the same edges around C, N and M, and another order of everything
        [("N", "M"), ("C", "N"), ("W", "C"), ("W", "Y")],
        [("M", "C"), ("N", "C")],
        ["Y", "M", "N", "C", "W"],
    )
)


@pytest.fixture
def donor(hub, repo):
    dcm = cp.DCM(GRAPH, VARIABLES, seed=1)
    dcm.push_to_hub(repo, license="mit")
    return dcm


def drawn(dcm, variables=("C", "N", "M")):
    """With W set, so that these three depend on the module alone."""
    with torch.no_grad():
        return dcm(cp.Noise(60, seed=9), {"W": torch.arange(60) % 2}, variables)


def same(one, other):
    first, second = drawn(one), drawn(other)
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_module_gives_the_same_samples_in_another_model(hub, donor, repo, cache, tmp_path):
    module = cp.from_pretrained(repo, module="C+N+M", cache_dir=cache)
    assert module.name == "C+N+M"
    assert module.origin.revision == donor.origin.revision
    plan = cp.plan(OTHER, available={"C+N+M": module}, kinds=VARIABLES)
    assert plan.module("C").action == "pull"
    assert plan.module("C").generator == repo
    dcm = cp.DCM(OTHER, VARIABLES, mechanisms={"C+N+M": module}, seed=2)
    assert same(dcm, donor)
    assert list(dcm.pulled) == ["C+N+M"]
    folder = dcm.save_pretrained(tmp_path / "dcm")
    loaded = cp.from_pretrained(folder)
    assert same(loaded, donor)
    assert loaded.mechanism("C").module.origin.repo_id == repo
    dcm.push_to_hub(f"{repo}-other", license="mit")
    again = cp.from_pretrained(f"{repo}-other", cache_dir=cache)
    assert same(again, donor)
    third = cp.from_pretrained(
        f"{repo}-other", cache_dir=cache, module="C+N+M"
    )  # of a model that pulled it itself
    assert third.origin.repo_id == repo
    assert same(cp.DCM(GRAPH, VARIABLES, mechanisms={"C+N+M": third}, seed=5), donor)


def test_a_pulled_module_is_not_trained(donor, repo, cache):
    module = cp.from_pretrained(repo, module="C+N+M", cache_dir=cache)
    dcm = cp.DCM(OTHER, VARIABLES, mechanisms={"C+N+M": module}, seed=2)
    before = {key: value.clone() for key, value in module.mechanisms["N"].state_dict().items()}
    rows = donor.sample(400, seed=0)
    report = cp.fit(
        dcm, cp.DataSource(rows), steps=5, objective="likelihood", progress=False, seed=0
    )
    assert sorted(m.variables for m in report.modules) == [("W",), ("Y",)]
    assert all(
        torch.equal(before[key], value) for key, value in dcm.mechanism("N").state_dict().items()
    )
    assert same(dcm, donor)


def test_copies_of_modules(donor, repo, cache, tmp_path):
    module = cp.from_pretrained(repo, module="C+N+M", cache_dir=cache)
    dcm = cp.DCM(OTHER, VARIABLES, mechanisms={"C+N+M": module}, seed=2)
    dcm.save_pretrained(tmp_path / "dcm", frozen="copy")
    assert same(cp.from_pretrained(tmp_path / "dcm"), donor)


def test_a_module_with_an_image_parent_brings_its_encoder(hub, repo, cache, tmp_path):
    variables = {"I": cp.Image(1, 8, 8), "C": cp.Discrete(2), "N": cp.Discrete(3)}
    graph = cp.CausalGraph.parse("I -> C; I -> N; C <-> N")
    donor = cp.DCM(graph, variables, seed=1)
    donor.push_to_hub(repo)
    module = cp.from_pretrained(repo, module="C+N", cache_dir=cache)
    dcm = cp.DCM(graph, variables, mechanisms={"C+N": module}, seed=2)
    images = torch.rand(30, 1, 8, 8)

    def read(model):
        with torch.no_grad():
            return model(cp.Noise(30, seed=4), {"I": images}, ["C", "N"])

    dcm.save_pretrained(tmp_path / "dcm")
    for model in (dcm, cp.from_pretrained(tmp_path / "dcm")):
        assert all(torch.equal(read(model)[name], read(donor)[name]) for name in ("C", "N"))
    with pytest.raises(MechanismError, match="brings its own encoder of 'I'"):
        cp.DCM(
            graph,
            variables,
            mechanisms={"C+N": module},
            encoders={"I": cp.ConvEncoder(variables["I"])},
        )


def test_what_does_not_fit_is_refused(hub, donor, repo, cache, tmp_path):
    def load(name, where=repo):
        return cp.from_pretrained(where, module=name, cache_dir=cache)

    with pytest.raises(PlanError, match=r"C <-> M leaves it.*Ask for C\+N\+M"):
        load("C+N")
    with pytest.raises(UnknownVariableError, match="Z"):
        load("C+Z")
    module = load("C+N+M")
    fewer = cp.CausalGraph.parse("W -> C; C -> N; N -> M; M -> Y; C <-> N")
    with pytest.raises(PlanError, match="confounders shared"):
        cp.DCM(fewer, VARIABLES, mechanisms={"C+N+M": module})
    with pytest.raises(PlanError, match="its variables are others"):
        cp.DCM(GRAPH, VARIABLES, mechanisms={"C+N": module})
    with pytest.raises(MechanismError, match=r"confounder_size=2"):
        cp.DCM(GRAPH, VARIABLES, mechanisms={"C+N+M": module}, confounder_size=3)
    with pytest.raises(MechanismError, match="'W' is"):
        cp.DCM(GRAPH, {**VARIABLES, "W": cp.Discrete(4)}, mechanisms={"C+N+M": module})
    dcm = cp.DCM(
        OTHER, VARIABLES, mechanisms={"C+N+M": donor.module("C+N+M"), "W": donor.module("W")}
    )
    assert same(dcm, donor)
    never_saved = cp.DCM(GRAPH, VARIABLES, seed=1).module("Y")
    unsaved = cp.DCM(GRAPH, VARIABLES, mechanisms={"Y": never_saved})
    with pytest.raises(RepositoryError, match="made in memory"):
        unsaved.save_pretrained(tmp_path / "dcm")
    cp.ConvEncoder(cp.Image(1, 8, 8)).push_to_hub(f"{repo}-encoder")
    with pytest.raises(RepositoryError, match=r"with module: it holds an encoder"):
        load("C", f"{repo}-encoder")
