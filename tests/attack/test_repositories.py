"""What a repository may not decide: how others are fetched, and whether code runs."""

from __future__ import annotations

import json
import shutil

import pytest

import causalplug as cp
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import refuse_users_keys

KEYS = [
    ("cache_dir", "/tmp/elsewhere"),
    ("token", True),
    ("local_files_only", False),
    ("force_download", True),
    ("trust_remote_code", True),
    ("use_auth_token", "x"),
    ("device_map", "auto"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository") / "encoder"
    cp.ConvEncoder(cp.Image(1, 8, 8), 2, channels=(2,), hidden=4).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("key", "value"), KEYS)
@pytest.mark.parametrize("place", [None, "pipeline", "model", "backbone"])
def test_a_configuration_decides_nothing_of_the_users(saved, tmp_path, key, value, place):
    folder = tmp_path / "encoder"
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    target = config["config"] if place is None else config["config"].setdefault(place, {})
    target[key] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(cp.errors.RepositoryError, match=rf"sets {key}"):
        cp.from_pretrained(folder)


def test_keys_of_the_format_stay():
    refuse_users_keys({"revision": "v1", "pipeline": {"revision": "a" * 40}}, "config.json")


@pytest.mark.parametrize("online", [True, False])
def test_what_the_user_said_reaches_nested_repositories(saved, tmp_path, online):
    said = {"cache_dir": str(tmp_path), "token": False, "local_files_only": not online}
    snapshot = resolve(saved, **said)
    assert snapshot.access_to("me/pipeline", "a" * 40) == said


def test_a_backbone_of_another_repository_is_not_fetched(tmp_path):
    pytest.importorskip("transformers")
    config = {
        "model_type": "upernet",
        "architectures": ["UperNetForSemanticSegmentation"],
        "backbone": "somebody/backbone",
        "use_pretrained_backbone": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(cp.errors.RepositoryError, match="another repository"):
        cp.from_pretrained(tmp_path, variable=cp.Image(3, 32, 32))


def test_no_call_of_another_library_may_run_code():
    """Every from_pretrained of transformers or diffusers says so."""
    import ast
    from pathlib import Path

    calls = {}
    root = Path(cp.__file__).parents[1]
    for path in (root / "adapters").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr == "from_pretrained" and "library" in owner.lower():
                    said = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    calls[f"{path.name}: {owner}"] = said.get("trust_remote_code")
    assert calls
    assert set(calls.values()) == {"False"}
