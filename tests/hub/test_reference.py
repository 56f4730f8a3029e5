"""Frozen parts by reference: the same bytes whatever becomes of their repository, or an error."""

import hashlib

import pytest

from causalplug.errors import RepositoryError
from causalplug.hub.reference import Reference, follow
from causalplug.hub.repository import resolve


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_references_stay_at_their_commit(hub, published, repo, model, cache, tmp_path):
    names = ["config.json", "model.safetensors"]
    truth = {name: digest(model / name) for name in names}
    reference = Reference.to(resolve(repo, revision="main", cache_dir=cache), *names)
    assert reference.to_dict() == {
        "repo_id": repo,
        "revision": published,
        "requested_revision": "main",
        "subfolder": "",
        "license": "apache-2.0",
        "files": {
            name: {"size": (model / name).stat().st_size, "sha256": truth[name]} for name in names
        },
    }
    assert Reference.from_dict(reference.to_dict(), where="config.json") == reference
    hub.plant(repo, {"config.json": b"{}", "model.safetensors": b"other"})
    hub.paths()
    for place in (cache, tmp_path / "empty"):
        snapshot = reference.open(cache_dir=place)
        snapshot.fetch(*reference.files)
        assert {name: digest(snapshot.path / name) for name in names} == truth
        assert snapshot.is_pinned
        assert (hub.paths() == []) == (place == cache)
    assert not (tmp_path / "empty" / "modules").exists()


def test_a_reference_is_to_its_files_alone(hub, published, repo, model, cache, tmp_path):
    """Patterns look among the recorded files, so that nothing else is fetched or needed, with
    network or without."""
    snapshot = resolve(repo, cache_dir=cache)
    snapshot.fetch("*.safetensors")
    reference = Reference.to(snapshot)
    assert sorted(reference.files) == ["model.safetensors", "modules/large.safetensors"]
    hub.plant(repo, {"extra.safetensors": b"extra"})
    opened = reference.open(cache_dir=tmp_path / "empty")
    opened.fetch("*")
    assert {p.name for p in opened.path.rglob("*") if p.is_file()} == {
        "model.safetensors",
        "large.safetensors",
    }
    assert not opened.has("config.json")
    with pytest.raises(RepositoryError, match=r'it has no file "config\.json"'):
        opened.fetch("config.json")
    hub.paths()
    for options in ({}, {"local_files_only": True}):
        again = reference.open(cache_dir=tmp_path / "empty", **options)
        again.fetch("*")
        assert again.used == ("model.safetensors", "modules/large.safetensors")
    assert hub.paths() == []
    (opened.path / "model.safetensors").resolve().write_bytes(b"damaged")
    reference.open(cache_dir=tmp_path / "empty").fetch("model.safetensors")
    assert digest(opened.path / "model.safetensors") == digest(model / "model.safetensors")


def test_a_subfolder(hub, published, repo, model, cache):
    reference = Reference.to(
        resolve(repo, cache_dir=cache, subfolder="modules"), "large.safetensors"
    )
    assert reference.license == "apache-2.0"
    snapshot = reference.open(cache_dir=cache, local_files_only=True)
    snapshot.fetch(*reference.files)
    assert digest(snapshot.path / "large.safetensors") == digest(
        model / "modules" / "large.safetensors"
    )


GOOD = {
    "repo_id": "alice/m",
    "revision": "a" * 40,
    "files": {"config.json": {"size": 34, "sha256": "0" * 64}},
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"revision": "main"}, "not the full hash of a commit"),
        ({"revision": "A" * 40}, "not the full hash of a commit"),
        ({"subfolder": "../x"}, "leaves the folder"),
        ({"files": {"../x": {"size": 1}}}, "leaves the folder"),
        ({"files": {"x": {"size": "1"}}}, r'"files\.x\.size" is text'),
        ({"code": "x.py"}, '"code" is unknown'),
        ({"repo_id": 3}, '"repo_id" is an integer'),
    ],
)
def test_malformed_references(hub, changed, message):
    with pytest.raises(RepositoryError, match=rf"cannot use config\.json: .*{message}"):
        Reference.from_dict(GOOD | changed, where="config.json")
    assert hub.log() == []


def test_references_that_were_tampered_with(hub, published, repo, cache, tmp_path, monkeypatch):
    good = Reference.to(resolve(repo, cache_dir=cache), "config.json").to_dict()
    wrong = good | {
        "files": {"config.json": {"size": good["files"]["config.json"]["size"], "sha256": "0" * 64}}
    }
    for place in (cache, tmp_path / "empty"):
        reference = Reference.from_dict(wrong, where="config.json")
        with pytest.raises(
            RepositoryError, match=r'"config\.json" does not have the recorded size and hash'
        ):
            reference.open(cache_dir=place).fetch(*reference.files)
    gone = Reference.from_dict(good | {"revision": "0" * 40}, where="config.json")
    with pytest.raises(RepositoryError, match="no branch, tag or commit"):
        gone.open(cache_dir=cache).fetch(*gone.files)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alice" / "here").mkdir(parents=True)
    (tmp_path / "alice" / "here" / "config.json").write_text("{}")
    local = Reference.from_dict(good | {"repo_id": "alice/here"}, where="config.json")
    with pytest.raises(
        RepositoryError, match="no repository alice/here"
    ):  # the folder of that name is not looked at
        local.open(cache_dir=cache).fetch(*local.files)
    climbing = Reference.from_dict(good | {"repo_id": "../alice"}, where="config.json")
    with pytest.raises(RepositoryError, match="not the name of a Hub repository"):
        climbing.open(cache_dir=cache)


def test_a_folder_cannot_be_referred_to(model):
    with pytest.raises(RepositoryError, match=r'is a folder of this computer, .*frozen="copy"'):
        Reference.to(resolve(model), "config.json")


def test_cycles_end():
    first, second = (Reference("alice/a", "a" * 40), Reference("alice/b", "b" * 40))
    chain = follow(follow((), first.key), second.key)
    assert chain == (f"alice/a@{'a' * 40}/", f"alice/b@{'b' * 40}/")
    with pytest.raises(
        RepositoryError,
        match=r'cannot load "alice/a@.*leads back to itself: "alice/a.* -> "alice/b.* -> ',
    ):
        first.open(chain=chain)
    chain = ()
    for number in range(8):
        chain = follow(chain, Reference(f"alice/{number}", "a" * 40).key)
    with pytest.raises(RepositoryError, match="longer than 8"):
        first.open(chain=chain)
