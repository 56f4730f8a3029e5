"""Reading repositories from a Hub with the real client: what is fetched, when, and what it means
if it fails."""

import hashlib
import re
import time
from pathlib import Path

import pytest

from causalplug.errors import RepositoryError
from causalplug.hub import client
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import check_trust

ALL = ("config.json", "README.md", "model.safetensors", "modules/large.safetensors")
OFFLINE = """
from causalplug.hub.repository import resolve
snapshot = resolve(source, **options)
snapshot.fetch(*names)
result = [snapshot.revision, str(snapshot.path)]
"""


def hashes(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def change(hub, repo, model):
    """Publish another state of the model and return its commit."""
    (model / "config.json").write_text('{"format": "test", "version": 2}')
    return hub.plant(repo, {"config.json": (model / "config.json").read_bytes()})


def test_all_ways_to_one_repository(hub, published, repo, model, cache, tmp_path):
    """Branch, commit, cache, folder and cached snapshot give the same bytes; the requests are
    counted."""
    truth = hashes(model)
    cold = resolve(repo, cache_dir=cache)
    assert cold.revision == published
    assert hashes(cold.fetch(*ALL)) == truth
    requests = hub.log()
    assert not any(one["authorized"] for one in requests if "/objects/" in one["path"]), (
        "the CDN was shown the token"
    )
    assert any("causalplug" in one["agent"] for one in requests)
    hub.steer("clear")
    ways = [
        ({"source": repo}, 1),
        ({"source": repo, "revision": "main"}, 1),
        ({"source": repo, "revision": published}, 0),
        ({"source": repo, "local_files_only": True}, 0),
        ({"source": repo, "revision": published, "local_files_only": True}, 0),
        ({"source": str(cold.path)}, 0),
        ({"source": model}, 0),
    ]
    for options, requests in ways:
        snapshot = resolve(cache_dir=cache, **options)
        assert hashes(snapshot.fetch(*ALL)) == truth, options
        assert snapshot.license == "apache-2.0"
        assert snapshot.has("config.json")
        assert snapshot.revision == (None if options["source"] == model else published)
        assert snapshot.repo_id == (None if options["source"] == model else repo)
        assert snapshot.is_pinned == (
            options.get("revision") == published or options["source"] == str(cold.path)
        )
        assert len(hub.paths()) == requests, options
    elsewhere = resolve(repo, revision=published, cache_dir=tmp_path / "elsewhere")
    assert hashes(elsewhere.fetch(*ALL)) == truth


def test_only_what_is_asked_for_is_fetched(hub, published, repo, model, cache):
    snapshot = resolve(repo, cache_dir=cache)
    assert snapshot.file("config.json").read_bytes() == (model / "config.json").read_bytes()
    assert set(hashes(snapshot.path)) == {"config.json"}
    assert not any("safetensors" in path or "/objects/" in path for path in hub.paths())
    listed = snapshot.files()
    assert listed["model.safetensors"] == {
        "size": 100_000,
        "sha256": hashes(model)["model.safetensors"],
    }
    assert set(listed["config.json"]) == {"size", "blob"}
    assert snapshot.used == ("config.json",)
    assert snapshot.has("modules/large.safetensors")
    assert not snapshot.has("modules/small.safetensors")
    assert not any("/objects/" in path for path in hub.paths())
    snapshot.fetch("modules/*")
    assert set(hashes(snapshot.path)) == {"config.json", "modules/large.safetensors"}
    assert snapshot.used == ("config.json", "modules/large.safetensors")
    inner = resolve(repo, cache_dir=cache, subfolder="modules", local_files_only=True)
    assert (
        inner.file("large.safetensors").read_bytes()
        == (model / "modules" / "large.safetensors").read_bytes()
    )
    assert list(inner.files()) == ["large.safetensors"]
    assert inner.license is None  # the card is not in the cache
    assert resolve(repo, cache_dir=cache, subfolder="modules").license == "apache-2.0"


def test_patterns_cost_no_request_twice(hub, published, repo, model, cache):
    """The client remembers what a commit holds: patterns work offline, and notice what is
    missing."""
    resolve(repo, cache_dir=cache).fetch("*.safetensors")
    hub.paths()
    assert resolve(repo, revision=published, cache_dir=cache).fetch("*.safetensors")
    offline = resolve(repo, cache_dir=cache, local_files_only=True)
    assert offline.fetch("*.safetensors")
    with pytest.raises(RepositoryError, match=r'"config\.json" is not in the cache'):
        offline.fetch("*.json")
    assert hub.paths() == []


def test_a_pinned_commit_stays(hub, published, repo, model, cache, tmp_path):
    before = hashes(model)
    assert hashes(resolve(repo, cache_dir=cache).fetch(*ALL)) == before
    second = change(hub, repo, model)
    assert resolve(repo, cache_dir=cache, local_files_only=True).revision == published
    newest = resolve(repo, cache_dir=cache)
    assert newest.revision == second
    assert hashes(newest.fetch(*ALL)) == hashes(model) != before
    assert resolve(repo, cache_dir=cache, local_files_only=True).revision == second
    for place in (cache, tmp_path / "empty"):
        assert hashes(resolve(repo, revision=published, cache_dir=place).fetch(*ALL)) == before


ERRORS = {
    "missing": (
        {},
        r"there is no repository alice/\S*missing\S*, or it is private\. .* log in with",
    ),
    "private": (
        {"private": True},
        r"no repository .*if it is private, log in with `hf auth login` or pass token=",
    ),
    "gated": ({"gated": "manual"}, r"is gated, .*Accept them at http://127.*, then log in"),
    "disabled": ({"disabled": True}, r"was disabled by the Hub"),
    "revision": ({}, r'no branch, tag or commit "nightly"\. Check revision'),
    "commit": ({}, r'no branch, tag or commit "0{40}"'),
    "file": ({}, r'has no file "modle.safetensors"; did you mean "model.safetensors"\?'),
    "pickle": (
        {},
        r'no file "weights.safetensors"; "weights.bin" is a pickle, which is never opened',
    ),
    "token": ({}, r"does not accept your token .*Invalid credentials.* Log in again"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors_say_what_to_do(hub, repo, cache, what):
    state, message = ERRORS[what]
    if what != "missing":
        hub.plant(repo, {"config.json": b"{}", "model.safetensors": b"1"})
    if what == "pickle":
        hub.plant(repo, {"weights.bin": b"1"})
    if state:
        hub.steer("change", id=repo, **state)
    revision = {"revision": "nightly", "commit": "0" * 40}.get(what)
    name = {"file": "modle.safetensors", "pickle": "weights.safetensors"}.get(what, "config.json")
    token = {"token": "hf_mallorymallory"}.get(what, "hf_bobbobbob")
    with pytest.raises(RepositoryError, match=message) as caught:
        resolve(repo, revision=revision, cache_dir=cache, token=token).fetch(name)
    assert str(caught.value).startswith("cannot ")
    assert token not in str(caught.value)
    if what in ("private", "gated"):
        with pytest.raises(RepositoryError, match=message):
            resolve(repo, cache_dir=cache, token=False).fetch(name)
        hub.steer("change", id=repo, readers=["bob"])
        assert resolve(repo, cache_dir=cache, token=token).file(name).read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            "https://huggingface.co/me/x/tree/main",
            {},
            r'an address, not the name of a repository\. Give "me/x"',
        ),
        ("./no/such/folder", {}, r"no such folder"),
        (Path("no-such-folder"), {}, r"no such folder"),
        ("a/b/c", {}, r"no such folder, and it is not the name of a Hub repository \(owner/name\)"),
        ("", {}, r"its name is empty"),
        ("me/two words", {}, r"neither a folder .*nor the name"),
        ("me/a--b", {}, r"neither a folder .*nor the name"),
        ("me/..", {}, r"neither a folder .*nor the name"),
        (Path(__file__), {}, r"test_repository.py\": it is a file"),
        ("model", {"revision": "main"}, r"it is a folder here, which has no revisions"),
        ("model", {"subfolder": "other"}, r'has no folder "other"'),
        ("model", {"subfolder": "../model"}, r"leaves the folder"),
        ("model", {"names": "nothing.json"}, r'has no file "nothing.json"'),
        ("model", {"names": "confg.json"}, r'did you mean "config.json"'),
        ("model", {"names": "../config.json"}, r"leaves the folder"),
        ("model", {"names": "/etc/passwd"}, r"not a relative path"),
    ],
)
def test_sources_that_make_no_sense(hub, model, source, options, message):
    options = dict(options)
    name = options.pop("names", "config.json")
    with pytest.raises(RepositoryError, match=f"^cannot load .*{message}"):
        resolve(model if source == "model" else source, **options).fetch(name)
    assert hub.log() == []


def test_a_repository_that_is_not_there_may_be_a_folder_that_is_not(hub, cache):
    with pytest.raises(
        RepositoryError,
        match=r"cannot load nobody/nothing: .*There is no folder of that name either$",
    ):
        resolve("nobody/nothing", cache_dir=cache)


def test_no_network(hub, published, repo, cache, tmp_path):
    """What is not in the cache is named; what is there works although the Hub is down."""

    def run(env, names, **options):
        options["cache_dir"] = str(cache)
        return hub.run(
            OFFLINE, tmp_path / "home", env=env, source=repo, names=names, options=options
        )

    offline = {"HF_HUB_OFFLINE": "1"}
    down = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_ETAG_TIMEOUT": "1"}
    for answer in (run(offline, ["config.json"]), run({}, ["config.json"], local_files_only=True)):
        assert answer.kind == "RepositoryError"
        assert f"{repo} is not in the cache" in answer.error
        assert "HF_HUB_OFFLINE" in answer.error
    assert "cannot be reached" in run(down, ["config.json"]).error
    resolve(repo, cache_dir=cache).fetch("config.json")
    for env, options in [
        (offline, {}),
        (down, {}),
        (offline, {"revision": published}),
        (down, {"revision": published}),
    ]:
        assert run(env, ["config.json"], **options).result[0] == published
    assert '"README.md" is not in the cache' in run({}, list(ALL), local_files_only=True).error
    assert "HF_HUB_OFFLINE" in run(offline, list(ALL)).error
    code = "import time\ntime.sleep = lambda seconds: None\n" + OFFLINE
    broken = hub.run(
        code, tmp_path, env=down, source=repo, names=ALL, options={"cache_dir": str(cache)}
    )
    assert "cannot be reached" in broken.error


FAULTS = {
    "cut in the middle": {"match": "GET /objects", "cut": 10_500_000, "times": 2},
    "cut at once": {"match": "GET /objects", "cut": 0},
    "cut in a small file": {"match": "GET .*resolve.*config.json", "cut": 5},
    "too many requests": {"match": "GET /objects", "status": 429, "times": 2},
    "unavailable": {"match": "GET /objects", "status": 503},
    "unavailable at first": {"match": "GET /api/models/.*/tree", "status": 503},
    "slow": {"match": "GET /objects", "slow": 0.5},
    "one flipped bit": {"match": "GET /objects", "flip": 50_000},
    "one flipped bit in text": {"match": "GET .*resolve.*config.json", "flip": 3},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_on_the_way(hub, published, repo, model, cache, monkeypatch, fault):
    """Either the right bytes or an error of ours, and the next attempt in the same cache gets
    them."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.steer("fault", **FAULTS[fault])
    if "flipped" in fault:
        with pytest.raises(
            RepositoryError,
            match=r"recorded size and hash; it was removed from the cache, try again",
        ):
            resolve(repo, cache_dir=cache).fetch(*ALL)
    else:
        assert hashes(resolve(repo, cache_dir=cache).fetch(*ALL)) == hashes(model)
    assert hashes(resolve(repo, cache_dir=cache).fetch(*ALL)) == hashes(model)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("match", ["GET /objects", "HEAD /", "GET /api"])
def test_a_hub_that_stays_broken(hub, published, repo, model, cache, monkeypatch, status, match):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.steer("fault", match=match, status=status, times=1000)
    with pytest.raises(
        RepositoryError, match="too many requests" if status == 429 else "problem of its own, 503"
    ):
        resolve(repo, cache_dir=cache).fetch(*ALL)
    hub.steer("clear")
    assert hashes(resolve(repo, cache_dir=cache).fetch(*ALL)) == hashes(model)


@pytest.mark.parametrize("damage", ["cut short", "emptied", "changed", "removed"])
def test_half_finished_caches(hub, published, repo, model, cache, damage):
    """A damaged file in the cache is noticed by its recorded hash and fetched again; without
    network it is named."""
    data = (model / "model.safetensors").read_bytes()
    facts = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    blob = (resolve(repo, cache_dir=cache).fetch(*ALL) / "model.safetensors").resolve()
    if damage == "removed":
        blob.unlink()
    else:
        blob.write_bytes(
            {"cut short": data[:-1], "emptied": b"", "changed": b"x" + data[1:]}[damage]
        )
    with pytest.raises(
        RepositoryError, match=r'"model\.safetensors" is not in the cache .*or is damaged there'
    ):
        resolve(repo, cache_dir=cache, local_files_only=True).file("model.safetensors", facts=facts)
    online = resolve(repo, revision=published, cache_dir=cache)
    assert online.file("model.safetensors", facts=facts).read_bytes() == data
    offline = resolve(repo, cache_dir=cache, local_files_only=True)
    assert offline.file("model.safetensors", facts=facts).read_bytes() == data


def test_what_was_recorded_must_be_there(hub, published, repo, model, cache):
    wrong = {"size": 100_000, "sha256": "0" * 64}
    with pytest.raises(RepositoryError, match="the repository does not hold what was recorded"):
        resolve(repo, cache_dir=cache).file("model.safetensors", facts=wrong)
    assert not any("/objects/" in path for path in hub.paths())
    with pytest.raises(
        RepositoryError, match=r'"model\.safetensors" does not have the recorded size and hash'
    ):
        resolve(model).file("model.safetensors", facts=wrong)


def test_force_download(hub, published, repo, model, cache):
    resolve(repo, cache_dir=cache).fetch(*ALL)
    hub.paths()
    snapshot = resolve(repo, cache_dir=cache, force_download=True)
    assert hashes(snapshot.fetch(*ALL)) == hashes(model)
    snapshot.fetch(*ALL)
    assert sum("GET /objects" in path for path in hub.paths()) == 2


def test_the_disk_is_asked_first(hub, published, repo, cache, monkeypatch):
    import shutil

    full = type(shutil.disk_usage("/"))(1, 1, 70 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(
        RepositoryError, match=rf"cannot download {repo}@\w+: it needs 12\.1 MB .* 73\.4 MB free"
    ):
        resolve(repo, cache_dir=cache).fetch(*ALL)
    assert not any("resolve" in path or "/objects/" in path for path in hub.paths())


ESCAPES = [
    "../escaped.json",
    "/escaped.json",
    "a/../../escaped.json",
    "C:\\escaped.json",
    "a//b",
    "nul",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_names_that_leave_the_folder(hub, published, repo, cache, tmp_path, name):
    hub.plant(repo, {name: b"{}"})
    before = set(tmp_path.rglob("*"))
    shown = re.escape(f'"{name}"')
    with pytest.raises(
        RepositoryError, match=rf"cannot load {repo}@\w+: the file name {shown} (is|leaves)"
    ):
        resolve(repo, cache_dir=cache).fetch("*")
    assert {p for p in set(tmp_path.rglob("*")) - before if cache not in (p, *p.parents)} == set()
    assert not list(cache.rglob("escaped*"))


def test_links_that_leave_a_snapshot(hub, published, repo, cache, tmp_path):
    path = resolve(repo, cache_dir=cache).fetch(*ALL)
    (tmp_path / "secret").write_text("secret")
    (path / "config.json").unlink()
    (path / "config.json").symlink_to(tmp_path / "secret")
    for source in (repo, path):
        for name in ("config.json", "*.json"):
            with pytest.raises(RepositoryError, match="a symbolic link leads out of"):
                resolve(source, cache_dir=cache).fetch(name)


def test_too_many_files(hub, published, repo, cache, model, monkeypatch):
    monkeypatch.setattr("causalplug.hub.listing._MAX_FILES", 3)
    for source in (repo, model):
        with pytest.raises(RepositoryError, match="has more than 3 files"):
            resolve(source, cache_dir=cache).fetch("*")


@pytest.mark.parametrize(
    ("match", "status"), [("/api/models", 500), ("/api/models", 400), ("HEAD", 403), ("/api", 418)]
)
def test_tokens_are_never_shown(hub, published, repo, cache, monkeypatch, caplog, match, status):
    """Not even where the server repeats the token in its answer."""
    import traceback

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    token = "hf_bobbobbob"
    hub.steer("fault", match=match, status=status, message=f"your token {token} is odd", times=100)
    with pytest.raises(RepositoryError) as caught:
        resolve(repo, cache_dir=cache, token=token, force_download=True).fetch("config.json")
    shown = "".join(traceback.format_exception(caught.value))
    ours = "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("causalplug")
    )
    assert "token" in str(caught.value)
    assert token not in shown + ours
    hub.steer("clear")
    assert token not in repr(resolve(repo, cache_dir=cache, token=token))


def test_code_needs_trust(hub, published, repo, cache, model):
    branch, pinned = (
        resolve(repo, cache_dir=cache),
        resolve(repo, revision=published, cache_dir=cache),
    )
    for snapshot in (branch, pinned, resolve(model)):
        with pytest.raises(RepositoryError, match=r'it needs code of its own \("net\.py"\)'):
            check_trust(snapshot, False, needs="net.py")
    with pytest.raises(
        RepositoryError, match=f'needs a pinned revision, .*Pass revision="{published}"'
    ):
        check_trust(branch, True, needs="net.py")
    check_trust(pinned, True, needs="net.py")
    check_trust(resolve(model), True, needs="net.py")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Cannot send a request, as the client has been closed."),
        AttributeError("'NoneType' …"),
    ],
)
def test_a_connection_that_another_thread_closed_is_the_hub_out_of_reach(error, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    with (
        pytest.raises(RepositoryError, match="cannot be reached"),
        client.hub_errors("load me/x", "me/x"),
    ):
        raise error
    calls = []

    def flaky():
        calls.append(1)
        if len(calls) == 1:
            raise error
        return "there"

    assert client.patiently(flaky, "download of me/x") == "there"
