"""Frozen parts of a model on the Hub: nothing of them travels before it is needed, neither up
nor down."""

import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import RepositoryError
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.renderer import Renderer
from causalplug.model.deferred import Deferred

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload
IMAGE = cp.Image(1, 8, 8)
GRAPH = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A")
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(["no", "yes"]), "X": cp.Continuous()}


def gan(width=64, seed=0):
    layers = [
        {"type": "linear", "in_features": 6, "out_features": width, "name": "in"},
        {"type": "relu"},
        {"type": "linear", "in_features": width, "out_features": 64, "name": "out"},
        {"type": "sigmoid"},
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConditionalGAN(IMAGE, [Label("digit", 2)], 4, layers, license="cc-by-4.0")


def build(generator, **options):
    return cp.DCM(GRAPH, VARIABLES, mechanisms={"I": generator}, **options)


def drawn(dcm, **options):
    with torch.no_grad():
        return dcm(cp.Noise(40, seed=9), **options)


def same(one, other, **options):
    first, second = drawn(one, **options), drawn(other, **options)
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def moved(hub, what, repo):
    """Bytes that went up (``"received"``) or came down (``"sent"``), of large objects or under a
    repository's name."""
    return sum(
        one[what]
        for one in hub.log()
        if "/objects/" in one["path"] or "/upload/" in one["path"] or repo in one["path"]
    )


def test_no_byte_of_a_large_generator_travels_until_it_is_needed(hub, repo, cache):
    """A generator of 200 MB: pushing and loading the model moves kilobytes, asking for an image
    fetches it."""
    large, place = gan(width=700_000), f"{repo}-gan"
    assert sum(p.numel() * 4 for p in large.parameters()) > 190e6
    large.push_to_hub(place, license="cc-by-4.0")
    dcm = build(large, seed=3)
    hub.steer("clear")
    dcm.push_to_hub(repo, license="mit")
    assert moved(hub, "received", place) < 500_000, "the generator was uploaded"
    assert moved(hub, "sent", place) < 10_000, "the generator was downloaded"
    hub.steer("clear")
    loaded = cp.from_pretrained(repo, cache_dir=cache)
    assert same(loaded, dcm, variables=["D", "X"])
    loaded.save_pretrained(cache.parent / "again")
    assert not any(place in one["path"] for one in hub.log()), "the generator was asked for"
    hub.steer("clear")
    assert same(loaded, dcm, variables=["A"])
    assert moved(hub, "sent", place) > 190e6
    assert isinstance(loaded.mechanism("I"), ConditionalGAN)


def test_encoders_are_lazy_too(hub, repo, cache):
    encoder = cp.ConvEncoder(IMAGE, 4)
    encoder.trained = True
    gan_, place = gan(), f"{repo}-encoder"
    gan_.push_to_hub(f"{repo}-gan")
    encoder.push_to_hub(place)
    build(gan_, encoders={"I": encoder}).push_to_hub(repo)
    hub.steer("clear")
    loaded = cp.from_pretrained(repo, cache_dir=cache)
    assert isinstance(loaded.encoders.unopened()["I"], Deferred)
    drawn(loaded, variables=["I"])
    assert not any(place in one["path"] for one in hub.log())
    assert torch.equal(loaded.encoder("I").head[0].weight, encoder.head[0].weight)
    assert any(place in one["path"] for one in hub.log())


def test_a_pinned_model_keeps_its_samples_when_the_generator_moves_on(hub, repo, cache):
    place = f"{repo}-gan"
    gan().push_to_hub(place)
    generator = cp.from_pretrained(place, cache_dir=cache, revision="main")
    dcm = build(generator, seed=3)
    dcm.push_to_hub(repo)
    before = drawn(dcm)
    gan(seed=1).push_to_hub(place)
    newest = build(cp.from_pretrained(place, cache_dir=cache), seed=3)
    assert not torch.equal(drawn(newest)["I"], before["I"])
    for where in (cache, cache.parent / "empty"):
        after = drawn(cp.from_pretrained(repo, cache_dir=where))
        assert all(torch.equal(before[name], after[name]) for name in before)
    reference = (
        cp.from_pretrained(repo, cache_dir=cache)
        .mechanisms.unopened()["I"]
        .entry["pulled"]["reference"]
    )
    assert reference["requested_revision"] == "main"
    assert len(reference["revision"]) == 40
    assert reference["license"] == "cc-by-4.0"


def test_a_generator_that_was_withdrawn_is_an_error_when_it_is_needed(hub, repo, cache):
    generator, place = gan(), f"{repo}-gan"
    generator.push_to_hub(place)
    build(generator).push_to_hub(repo)
    hub.steer("change", id=place, disabled=True)
    loaded = cp.from_pretrained(repo, cache_dir=cache)
    drawn(loaded, variables=["D"])
    with pytest.raises(RepositoryError, match=f"{place} was disabled"):
        drawn(loaded, variables=["I"])


def test_a_renderer_refers_to_its_generator(hub, repo, cache):
    generator, place = gan(width=200_000), f"{repo}-gan"
    generator.push_to_hub(place)
    graph = cp.CausalGraph.parse("D -> I; D <-> I")
    variables = {"D": cp.Discrete(2), "I": IMAGE}
    renderer = Renderer(generator, IMAGE, {"D": variables["D"]}, confounder_size=2)
    dcm = cp.DCM(graph, variables, mechanisms={"I": renderer}, seed=3)
    hub.steer("clear")
    dcm.push_to_hub(repo)
    assert moved(hub, "received", place) < 500_000
    loaded = cp.from_pretrained(repo, cache_dir=cache)
    assert same(loaded, dcm)
    assert loaded.mechanism("I").generator.origin.repo_id == place
