"""Whole models between processes: shared and half-finished caches, no network, and kills at
random times."""

import os
import random
import shutil
import signal
import time

import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import RepositoryError
from causalplug.mechanisms.frozen.label import Label

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload
ROUNDS = 100 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1" else 3
IMAGE = cp.Image(1, 8, 8)
GRAPH = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A")
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(["no", "yes"]), "X": cp.Continuous()}

DIGEST = """
import hashlib, torch
import causalplug as cp

def digest(dcm):
    with torch.no_grad():
        values = dcm(cp.Noise(40, seed=9))
    found = hashlib.sha256()
    for name in sorted(values):
        found.update(values[name].contiguous().numpy().tobytes())
    return found.hexdigest()
"""
LOAD = DIGEST + "result = digest(cp.from_pretrained(source, **options))"
exec(DIGEST)


@pytest.fixture
def dcm(hub, repo):
    """A model on the Hub, its generator of 4 MB in a repository of its own."""
    layers = [
        {"type": "linear", "in_features": 6, "out_features": 14_000, "name": "in"},
        {"type": "linear", "in_features": 14_000, "out_features": 64, "name": "out"},
        {"type": "sigmoid"},
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = ConditionalGAN(IMAGE, [Label("digit", 2)], 4, layers, license="cc-by-4.0")
    generator.push_to_hub(f"{repo}-gan")
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms={"I": generator}, seed=3)
    dcm.push_to_hub(repo, license="mit")
    hub.steer("clear")
    return dcm


def both_states(dcm):
    """The digests of the two states between which ``SAVE_AGAIN`` goes back and forth."""
    first = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    found = [digest(dcm)]  # noqa: F821
    dcm.load_trained({key: v + 1 if v.is_floating_point() else v for key, v in first.items()})
    found.append(digest(dcm))  # noqa: F821
    dcm.load_trained(first)
    assert found[0] != found[1]
    return found


def killed(seconds, work):
    """Do the work over and over in a child of this process, and kill it after some time."""
    child = os.fork()
    if child == 0:
        try:
            while True:
                work()
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the work failed before it was killed"


def test_other_processes_and_places_draw_the_same_samples(hub, dcm, repo, cache, tmp_path):
    """Another process with an empty cache and one without network; a pinned commit; the path of
    the cached snapshot."""
    truth, options = digest(dcm), {"cache_dir": str(cache)}  # noqa: F821
    child = hub.run(LOAD, tmp_path / "home", source=repo, options=options)
    assert child.result == truth, child.error
    hub.steer("clear")
    assert digest(cp.from_pretrained(repo, revision=dcm.origin.revision, cache_dir=cache)) == truth  # noqa: F821
    assert digest(cp.from_pretrained(repo, cache_dir=cache, local_files_only=True)) == truth  # noqa: F821
    snapshot = cache / f"models--{repo.replace('/', '--')}" / "snapshots" / dcm.origin.revision
    assert digest(cp.from_pretrained(snapshot, cache_dir=cache)) == truth  # noqa: F821
    child = hub.run(
        LOAD, tmp_path / "home", env={"HF_HUB_OFFLINE": "1"}, source=repo, options=options
    )
    assert child.result == truth, child.error
    assert hub.log() == [], "what is on the disk was asked for again"


@pytest.mark.parametrize("damage", ["broken off", "cut short", "removed", "flipped"])
def test_half_finished_caches(hub, dcm, repo, cache, tmp_path, monkeypatch, damage):
    """Whatever is wrong in the cache, the next process fetches it again."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    truth = digest(dcm)  # noqa: F821
    if damage == "broken off":
        hub.steer("fault", match="GET /objects", cut=100_000, times=30)
        with pytest.raises(RepositoryError, match=r"cannot be reached|broke before"):
            digest(cp.from_pretrained(repo, cache_dir=cache))  # noqa: F821
        hub.steer("clear")
        assert list(cache.rglob("config.json"))
        assert not list(cache.rglob("model.safetensors"))
    else:
        assert digest(cp.from_pretrained(repo, cache_dir=cache)) == truth  # noqa: F821
        damaged = [path for path in cache.rglob("blobs/*") if path.stat().st_size > 10_000]
        assert len(damaged) == 2
        for blob in damaged:
            data = blob.read_bytes()
            blob.unlink()
            middle = len(data) // 2
            flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            if damage != "removed":
                blob.write_bytes(data[:middle] if damage == "cut short" else flipped)
    assert digest(cp.from_pretrained(repo, cache_dir=cache)) == truth  # noqa: F821


def test_eight_processes_load_one_model_into_one_cache(hub, dcm, repo, cache, tmp_path):
    truth = digest(dcm)  # noqa: F821
    values = {"source": repo, "options": {"cache_dir": str(cache)}}
    children = [hub.child(LOAD, tmp_path / "home", **values) for _ in range(8)]
    answers = [hub.finish(child) for child in children]
    assert [(answer.error, answer.result) for answer in answers] == [("", truth)] * 8
    large = [
        one["path"] for one in hub.log() if one["method"] == "GET" and "/objects/" in one["path"]
    ]
    assert len(large) == len(set(large)) == 2, "a file of weights was downloaded more than once"


def test_killed_while_loading(dcm, repo, cache):
    rng, truth = random.Random(1), digest(dcm)  # noqa: F821

    def load():
        digest(cp.from_pretrained(repo, cache_dir=cache))  # noqa: F821
        shutil.rmtree(cache)

    for _ in range(ROUNDS):
        killed(rng.uniform(0, 0.3), load)
        assert digest(cp.from_pretrained(repo, cache_dir=cache)) == truth  # noqa: F821


@pytest.mark.parametrize("target", ["folder", "Hub"])
def test_killed_while_saving_and_pushing(dcm, repo, cache, tmp_path, target):
    """Killed at any time, what is there is one of the two states."""
    rng, states = random.Random(2), both_states(dcm)
    place = str(tmp_path / "model") if target == "folder" else f"{repo}-other"
    publish = dcm.save_pretrained if target == "folder" else dcm.push_to_hub
    publish(place)
    weights = [{key: value.clone() for key, value in dcm.trained_tensors().items()}]
    weights.append({key: v + 1 if v.is_floating_point() else v for key, v in weights[0].items()})

    def back_and_forth():
        for state in reversed(weights):
            dcm.load_trained(state)
            publish(place)

    seen = set()
    for _ in range(ROUNDS):
        killed(rng.uniform(0, 0.5), back_and_forth)
        found = digest(cp.from_pretrained(place, cache_dir=cache))  # noqa: F821
        assert found in states
        seen.add(found)
    assert ROUNDS < 10 or seen == set(states)
    if target == "folder":
        dcm.save_pretrained(place)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
