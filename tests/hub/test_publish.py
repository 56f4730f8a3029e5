"""Whole models, generators and encoders on the Hub: published by one call, loaded by one call,
the same bit for bit."""

import inspect
import json

import pytest
import torch
from huggingface_hub import ModelCard, ModelHubMixin

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import RepositoryError
from causalplug.hub.card_check import check_card
from causalplug.hub.repository import resolve
from causalplug.mechanisms.frozen.label import Label

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload
IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(["no", "yes"]), "X": cp.Continuous()}


def make_generator(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConditionalGAN(IMAGE, [Label("digit", 2)], 4, LAYERS, license="cc-by-4.0")


@pytest.fixture
def generator_repo(hub, repo):
    """A generator on the Hub."""
    make_generator().push_to_hub(f"{repo}-gan", datasets=["ylecun/mnist"])
    return f"{repo}-gan"


@pytest.fixture
def dcm(generator_repo, cache):
    graph = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A")
    generator = cp.from_pretrained(generator_repo, cache_dir=cache)
    return cp.DCM(graph, VARIABLES, mechanisms={"I": generator}, seed=3)


def same(one, other):
    with torch.no_grad():
        first, second = one(cp.Noise(40, seed=9)), other(cp.Noise(40, seed=9))
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def sent(hub):
    """Bytes that reached the Hub."""
    return sum(one["received"] for one in hub.log())


def test_a_model_is_published_with_its_card_and_loads_the_same(
    hub, dcm, repo, generator_repo, cache
):
    info = dcm.push_to_hub(
        repo,
        license="apache-2.0",
        queries={"effect": "P(A | do(D=1))"},
        tags=["toy"],
        commit_message="First",
        uses=["Teaching."],
        datasets=["ylecun/mnist"],
    )
    loaded = cp.from_pretrained(repo, cache_dir=cache)
    assert same(loaded, dcm)
    assert loaded.origin.revision == dcm.origin.revision == info.oid
    assert [(row["name"], row["status"]) for row in loaded.queries] == [("effect", "identifiable")]
    titles = [title for title, _ in hub.steer("commits", id=repo)["commits"].values()]
    assert titles[1:] == ["First"]
    card = resolve(repo, cache_dir=cache).file("README.md").read_text()
    check_card(card)
    data = ModelCard(card).data
    assert data.base_model == [generator_repo]
    assert data.datasets == ["ylecun/mnist"]
    assert {"causalplug", "causal-inference", "image", "toy"} <= set(data.tags)
    assert f'cp.from_pretrained("{repo}")' in card
    assert "cc-by-4.0" in card
    assert card == str(dcm.generate_model_card(
        title=repo.partition("/")[2], repo_id=repo, license="apache-2.0", queries={"effect": "P(A "
                                                                                             "| "
                                                                                             "do(D=1))"},
        tags=["toy"], uses=["Teaching."], datasets=["ylecun/mnist"],
    ))  # fmt: skip


def test_branches_and_pull_requests(hub, dcm, repo, cache):
    first = dcm.push_to_hub(repo, license="mit")
    other = cp.DCM(dcm.graph, VARIABLES, mechanisms={"I": dcm.mechanism("I")}, seed=4)
    second = other.push_to_hub(repo, branch="dev", license="mit")
    assert same(cp.from_pretrained(repo, cache_dir=cache), dcm)
    assert same(cp.from_pretrained(repo, revision="dev", cache_dir=cache), other)
    assert same(cp.from_pretrained(repo, revision=first.oid, cache_dir=cache), dcm)
    assert same(cp.from_pretrained(repo, revision=second.oid, cache_dir=cache), other)
    proposed = other.push_to_hub(repo, create_pr=True, license="mit", token="hf_bobbobbob")
    assert proposed.pr_url.endswith("discussions/1")
    assert other.origin.revision == second.oid
    assert same(cp.from_pretrained(repo, revision="refs/pr/1", cache_dir=cache), other)


def test_generators_and_encoders_are_published_with_their_cards(hub, repo, cache):
    generator, encoder = make_generator(), cp.ConvEncoder(IMAGE, 4)
    metrics = [{"name": "Class agreement", "value": 0.97, "dataset": "ylecun/mnist"}]
    for name, part in (("gan", generator), ("encoder", encoder)):
        where = f"{repo}-{name}"
        part.push_to_hub(
            where, license="mit", summary="Small.", metrics=metrics, paper="arXiv:2401.01426"
        )
        loaded = cp.from_pretrained(where, cache_dir=cache)
        assert loaded.config() == part.config()
        assert loaded.origin.revision == part.origin.revision
        card = resolve(where, cache_dir=cache).file("README.md").read_text()
        check_card(card)
        assert ModelCard(card).data.eval_results[0].metric_value == 0.97
        assert "arXiv:2401.01426" in card


def test_a_generator_of_a_folder_must_be_published_first(hub, repo, tmp_path, cache):
    folder = make_generator().save_pretrained(tmp_path / "gan")
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": IMAGE},
                 mechanisms={"I": cp.from_pretrained(folder)})  # fmt: skip
    with pytest.raises(
        RepositoryError, match=r"cannot publish .*'I' came from the folder .*push_to_hub"
    ):
        dcm.push_to_hub(repo)
    assert not hub.steer("commits", id=repo)
    dcm.push_to_hub(f"{repo}-copy", frozen="copy")
    assert same(cp.from_pretrained(f"{repo}-copy", cache_dir=cache), dcm)
    dcm.mechanism("I").push_to_hub(f"{repo}-gan")
    dcm.push_to_hub(repo)
    reference = json.loads(resolve(repo, cache_dir=cache).file("config.json").read_text())[
        "mechanisms"
    ]["I"]["pulled"]
    assert reference["reference"]["repo_id"] == f"{repo}-gan"
    assert same(cp.from_pretrained(repo, cache_dir=cache), dcm)


def test_the_calls_are_those_of_the_clients_mixin():
    """What ModelHubMixin takes by name is taken under the same names, as far as it applies."""
    ours, theirs = (
        set(inspect.signature(cls.push_to_hub).parameters) for cls in (cp.DCM, ModelHubMixin)
    )
    left_out = {
        "config",
        "allow_patterns",
        "ignore_patterns",
        "delete_patterns",
        "model_card_kwargs",
    }
    assert theirs - ours == left_out
    ours = set(inspect.signature(cp.from_pretrained).parameters)
    theirs = set(inspect.signature(ModelHubMixin.from_pretrained).parameters)
    assert theirs - ours == {"pretrained_model_name_or_path", "model_kwargs"}
    for cls in (cp.DCM, cp.FrozenMechanism, cp.Encoder):
        names = ("save_pretrained", "from_pretrained", "push_to_hub", "generate_model_card")
        assert all(callable(getattr(cls, name)) for name in names)


def test_facts_are_checked_before_anything_is_sent(hub, dcm, repo):
    hub.steer("clear")
    for facts, message in [
        ({"licence": "mit"}, r'"licence" is unknown \(did you mean "license"'),
        (
            {"uses": ["See /home/me/notes"]},
            "its card would be wrong: it contains a path of a computer",
        ),
        ({"pictures": {"a": "nowhere.png"}}, "there is no such file"),
        ({"frozen": "both"}, "use 'reference' or 'copy'"),
    ]:
        with pytest.raises(RepositoryError, match=message):
            dcm.push_to_hub(repo, **facts)
    assert sent(hub) == 0


def test_a_card_that_was_edited_is_kept_when_the_folder_is_saved_again(dcm, tmp_path):
    folder = dcm.save_pretrained(tmp_path / "dcm", license="mit", summary="First.")
    dcm.save_pretrained(folder, license="mit", summary="Second.")
    card = (folder / "README.md").read_text()
    assert "Second." in card
    (folder / "README.md").write_text(card + "\nMy own words.\n")
    dcm.save_pretrained(folder, license="mit", summary="Third.")
    assert (folder / "README.md").read_text() == card + "\nMy own words.\n"
    dcm.save_pretrained(folder)
    assert "My own words." in (folder / "README.md").read_text()
    cp.from_pretrained(folder)


def test_pictures_travel_with_the_model(hub, dcm, repo, tmp_path, cache):
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "some samples.png")
    dcm.push_to_hub(repo, license="mit", pictures={"Samples [1]": tmp_path / "some samples.png"})
    snapshot = resolve(repo, cache_dir=cache)
    assert (
        snapshot.file("pictures/some samples.png").read_bytes()
        == (tmp_path / "some samples.png").read_bytes()
    )
    assert (
        "![Samples \\[1\\]](<pictures/some%20samples.png>)"
        in snapshot.file("README.md").read_text()
    )
