"""Processes that share a cache, and processes that are killed while they pull or push."""

import hashlib
import os
import random
import signal
import time

from causalplug.errors import RepositoryError
from causalplug.files.storage import write_folder
from causalplug.hub.repository import resolve

ROUNDS = 100 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1" else 5
ALL = ["config.json", "README.md", "model.safetensors", "modules/large.safetensors"]
PULL = """
import hashlib
from causalplug.hub.repository import resolve
print("READY", flush=True)
while True:
    snapshot = resolve(repo, cache_dir=cache)
    folder = snapshot.fetch(*names)
    result = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    if once:
        break
    import shutil
    shutil.rmtree(snapshot.boundary)
"""
PUSH = """
import json, os
from causalplug.hub.push import push_folder
from causalplug.files.storage import write_folder
print("READY", flush=True)
while True:
    number += 1
    text = str(number) * 20_000
    files = {"config.json": text, "a.safetensors": text, f"m/{number}.safetensors": text}
    write_folder(folder, files, replaces=["m/*"])
    push_folder(folder, repo, replaces=["m/*"])
"""


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill_after(child, seconds):
    """Kill a child some time after it has imported what it needs."""
    assert child.stdout.readline() == "READY\n"
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_eight_processes_share_one_cache(hub, published, repo, model, cache, tmp_path):
    values = {"repo": repo, "cache": cache, "names": ALL, "once": True}
    answers = [
        hub.finish(child)
        for child in [hub.child(PULL, tmp_path / "home", **values) for _ in range(8)]
    ]
    truth = {name: digest(model / name) for name in ALL}
    assert [(answer.error, answer.result) for answer in answers] == [("", truth)] * 8
    sent = sum(one["sent"] for one in hub.log() if "/objects/" in one["path"])
    assert sent == sum((model / name).stat().st_size for name in ALL[2:]), (
        "a large file was downloaded more than once"
    )


def test_killed_while_pulling(hub, published, repo, model, cache, tmp_path):
    """Killed anywhere, the cache holds whole files or none, and the next process completes it."""
    rng, truth = random.Random(1), {name: digest(model / name) for name in ALL}
    for _ in range(ROUNDS):
        child = hub.child(PULL, tmp_path / "home", repo=repo, cache=cache, names=ALL, once=False)
        kill_after(child, rng.uniform(0, 0.6))
        for name in ALL:
            try:
                found = resolve(
                    repo, revision=published, cache_dir=cache, local_files_only=True
                ).file(name)
            except RepositoryError:
                continue
            assert digest(found) == truth[name]
        folder = resolve(repo, revision=published, cache_dir=cache).fetch(*ALL)
        assert {name: digest(folder / name) for name in ALL} == truth


def test_killed_while_pushing(hub, repo, cache, tmp_path):
    """Killed anywhere, the branch and the folder each hold one whole state."""
    rng, folder, number = random.Random(2), tmp_path / "model", 0
    write_folder(folder, {"config.json": "0", "a.safetensors": "0", "m/0.safetensors": "0"})
    for _ in range(ROUNDS):
        child = hub.child(PUSH, tmp_path / "home", repo=repo, folder=folder, number=number)
        kill_after(child, rng.uniform(0.3, 1.2))
        pushed = 0
        for place in (folder, repo):
            if place == repo and not hub.steer("commits", id=repo):
                continue
            snapshot = resolve(place, cache_dir=cache)
            names = [name for name in snapshot.files() if name != ".gitattributes"]
            if place == repo and not names:  # created, but nothing was committed yet
                continue
            path = snapshot.fetch(*names)
            (module,) = [name for name in names if name.startswith("m/")]
            pushed = int(module[2:].removesuffix(".safetensors"))
            assert set(names) == {"config.json", "a.safetensors", module}
            texts = {(path / name).read_text() for name in names}
            assert texts == ({str(pushed) * 20_000} if pushed else {"0"})
            number = max(number, pushed)
    assert pushed > 0
