"""Publishing with the real client: one commit, whole or not at all, whatever happens on the way."""

import os
import re
import time

import pytest

from causalplug.errors import RepositoryError
from causalplug.files.storage import write_folder
from causalplug.hub.push import push_folder
from causalplug.hub.repository import resolve

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload


@pytest.fixture
def folder(tmp_path):
    """A small model folder with one file that the Hub stores as a large object, and one in
    several parts."""
    return write_folder(
        tmp_path / "model",
        {
            "config.json": '{"version": 1}',
            "README.md": "---\nlicense: mit\n---\n# A model\n",
            "model.safetensors": os.urandom(50_000),
            "modules/large.safetensors": os.urandom(11 << 20),
        },
    )


def contents(source, cache, **options):
    snapshot = resolve(source, cache_dir=cache, **options)
    found = snapshot.fetch("*")
    return {
        name: (found / name).read_bytes() for name in snapshot.files() if name != ".gitattributes"
    }


def commits(hub, repo):
    """Titles of the commits of the main branch's repository, without the first."""
    return [title for title, _ in hub.steer("commits", id=repo).get("commits", {}).values()][1:]


def sent(hub):
    """Bytes of large objects that were sent to the Hub."""
    return sum(
        one["received"] for one in hub.log() if one["method"] == "PUT" and "/upload/" in one["path"]
    )


def test_push_and_pull(hub, repo, folder, cache):
    info = push_folder(folder, repo, commit_message="first", commit_description="more")
    assert commits(hub, repo) == ["first"]
    assert contents(repo, cache) == contents(folder, cache)
    assert resolve(repo, cache_dir=cache).revision == info.oid
    assert info.pr_url is None
    assert repo in info.commit_url


def test_only_what_changed_is_sent_again(hub, repo, folder, cache):
    first = push_folder(folder, repo)
    hub.steer("clear")
    assert push_folder(folder, repo).oid == first.oid
    assert len(commits(hub, repo)) == 1
    assert sent(hub) == 0
    write_folder(folder, {"model.safetensors": os.urandom(30_000)})
    second = push_folder(folder, repo, commit_message="second")
    assert sent(hub) == 30_000
    assert second.oid != first.oid
    assert contents(repo, cache) == contents(folder, cache)
    assert len(contents(repo, cache, revision=first.oid)["model.safetensors"]) == 50_000


def test_leftovers_are_replaced_and_the_rest_stays(hub, repo, folder, cache):
    push_folder(folder, repo)
    hub.plant(repo, {"notes.md": b"mine", "modules/mine.txt": b"mine"})
    write_folder(
        folder,
        {"config.json": "{}", "modules/b.safetensors": b"b"},
        replaces=["modules/*.safetensors"],
    )
    push_folder(folder, repo, replaces=["modules/*.safetensors"])
    assert set(contents(repo, cache)) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "modules/b.safetensors",
        "modules/mine.txt",
        "notes.md",
    }
    push_folder(folder, repo, ignore_patterns=["modules/*"], replaces=["modules/*"])
    assert {n for n in contents(repo, cache) if n.startswith("modules")} == set()
    assert len(commits(hub, repo)) == 4


def test_hidden_files_stay_at_home(hub, repo, folder, cache):
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / ".env").write_text("secret")
    push_folder(folder, repo)
    assert not any("git/" in name or "env" in name for name in contents(repo, cache))


def test_branches_pull_requests_and_parents(hub, repo, folder, cache):
    first = push_folder(folder, repo)
    write_folder(folder, {"config.json": '{"version": 2}'})
    on_branch = push_folder(folder, repo, revision="dev")
    assert push_folder(folder, repo, revision="dev").oid == on_branch.oid
    assert contents(repo, cache)["config.json"] == b'{"version": 1}'
    assert contents(repo, cache, revision="dev")["config.json"] == b'{"version": 2}'
    proposed = push_folder(
        folder, repo, create_pr=True, token="hf_bobbobbob"
    )  # anybody may propose
    assert proposed.pr_url.endswith("discussions/1")
    assert contents(repo, cache)["config.json"] == b'{"version": 1}'
    assert contents(repo, cache, revision="refs/pr/1")["config.json"] == b'{"version": 2}'
    assert (
        contents(repo, cache, revision="refs/pr/1", local_files_only=True)["config.json"]
        == b'{"version": 2}'
    )
    merged = push_folder(folder, repo, parent_commit=first.oid)
    write_folder(folder, {"config.json": '{"version": 3}'})
    with pytest.raises(
        RepositoryError, match="someone else changed the repository in the meantime"
    ):
        push_folder(folder, repo, parent_commit=first.oid)
    assert resolve(repo, cache_dir=cache).revision == merged.oid


def test_private_and_gated(hub, repo, folder, cache):
    push_folder(folder, repo, private=True)
    with pytest.raises(RepositoryError, match="or it is private"):
        resolve(repo, cache_dir=cache, token="hf_bobbobbob")
    gated = f"{repo}-gated"
    push_folder(folder, gated, gated="manual")
    with pytest.raises(RepositoryError, match="is gated"):
        resolve(gated, cache_dir=cache, token="hf_bobbobbob").fetch("config.json")
    push_folder(folder, gated, gated=False)
    resolve(gated, cache_dir=cache, token="hf_bobbobbob").fetch("config.json")
    push_folder(folder, gated.split("/")[1])  # without an owner: the logged-in user


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("hf_bobbobbob", r"your token does not allow it .*You do not have the right"),
        ("hf_mallorymallory", r"does not accept your token"),
        (False, r"does not accept your token|log in"),
    ],
)
def test_whoever_may_not(hub, repo, folder, token, message):
    push_folder(folder, repo)
    write_folder(folder, {"config.json": "{}"})
    with pytest.raises(RepositoryError, match=rf"^cannot push to {repo}: .*{message}") as caught:
        push_folder(folder, repo, token=token)
    assert "hf_" not in str(caught.value).replace("`hf auth", "")
    assert len(commits(hub, repo)) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"weights.bin": b"1"}, r'"weights\.bin" is a pickle'),
        ({"optimizer.pt": b"1"}, r'"optimizer\.pt" is a pickle'),
        ({"train.json": '{"token": "hf_alicealicealice"}'}, r'"train\.json" contains a token'),
        ({"notes.md": "log in with hf_" + "a1B2" * 9}, r'"notes\.md" contains a token'),
        ({"aux": "1"}, r'"aux" is not a file name on every system'),
    ],
)
def test_what_must_not_be_published(hub, repo, folder, files, message):
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        RepositoryError, match=rf"^cannot push {re.escape(str(folder))}: .*{message}"
    ) as caught:
        push_folder(folder, repo)
    assert "hf_" not in str(caught.value)
    assert hub.log() == []


def test_links_and_empty_folders(hub, repo, folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "secret.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(RepositoryError, match="a symbolic link leads out of"):
        push_folder(folder, repo)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepositoryError, match="it has no files to publish"):
        push_folder(tmp_path / "empty", repo)
    with pytest.raises(RepositoryError, match="does not exist"):
        push_folder(tmp_path / "nothing", repo)
    with pytest.raises(RepositoryError, match="not the name of a repository"):
        push_folder(folder.parent / "model" / "modules", "two words")
    assert hub.log() == []


FAULTS = {
    "cut upload": {"match": "PUT /upload", "cut": 20_000, "times": 2},
    "unavailable upload": {"match": "PUT /upload", "status": 503, "times": 2},
    "too many requests": {"match": "POST .*preupload", "status": 429},
    "unavailable batch": {"match": "POST .*objects/batch", "status": 500},
    "unavailable commit": {"match": "POST .*commit/main", "status": 503},
    "cut commit": {"match": "POST .*commit/main", "cut": 100},
    "lost answer": {"match": "POST .*commit/main", "lose": True},
    "slow commit": {"match": "POST .*commit/main", "slow": 0.5},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_on_the_way(hub, repo, folder, cache, monkeypatch, fault):
    """Transient faults are overcome, and one commit is made, also when the answer to it was
    lost."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.plant(repo, {"modules/old.safetensors": b"old"})
    hub.steer("fault", **FAULTS[fault])
    push_folder(folder, repo, replaces=["modules/*"], commit_message="pushed")
    assert commits(hub, repo) == ["planted", "pushed"]
    assert contents(repo, cache) == contents(folder, cache)


def test_a_push_that_fails_publishes_nothing_and_goes_on_later(
    hub, repo, folder, cache, monkeypatch
):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.plant(repo, {"config.json": b"old"})
    hub.steer("fault", match="POST .*commit/main", status=503, times=1000)
    with pytest.raises(RepositoryError, match="problem of its own, 503"):
        push_folder(folder, repo)
    assert commits(hub, repo) == ["planted"]
    assert sent(hub) == 50_000 + (11 << 20)
    hub.steer("clear")
    push_folder(folder, repo)
    assert sent(hub) == 0, "what had been stored was sent again"
    assert contents(repo, cache) == contents(folder, cache)
    hub.steer("fault", match="PUT /upload", status=503, times=1000)
    write_folder(folder, {"model.safetensors": os.urandom(30_000)})
    with pytest.raises(RepositoryError, match="problem of its own, 503"):
        push_folder(folder, repo)
    assert len(commits(hub, repo)) == 2


def test_the_folder_may_change_meanwhile(hub, repo, folder, cache, monkeypatch):
    """What is published is one state, although the folder is saved again during the upload."""
    before = contents(folder, cache)
    from huggingface_hub import HfApi

    upload = HfApi.preupload_lfs_files

    def late(*arguments, **options):
        write_folder(folder, dict.fromkeys(before, b"{}"))
        return upload(*arguments, **options)

    monkeypatch.setattr(HfApi, "preupload_lfs_files", late)
    push_folder(folder, repo)
    assert contents(repo, cache) == before
    assert set(contents(folder, cache).values()) == {b"{}"}
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".")] == []
