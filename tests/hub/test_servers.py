"""Servers that are dead, slow, busy or cut: an error of ours in bounded time, or the cache."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from causalplug.errors import RepositoryError
from causalplug.hub.client import hub_api, transport_error
from causalplug.hub.deadlines import with_deadlines
from causalplug.hub.repository import resolve
from tests.attack.mutations import EXHAUSTIVE

OPEN = """
import time
from causalplug.hub.repository import resolve
started = time.monotonic()
try:
    resolve(source, cache_dir=cache).fetch(*names)
    result = ["loaded", time.monotonic() - started]
except Exception as error:
    result = [f"{type(error).__name__}: {error}", time.monotonic() - started]
"""
QUICK = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
NAMES = ["config.json", "model.safetensors"]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def drip(connection: socket.socket, piece: bytes) -> None:
    with connection, contextlib.suppress(OSError):
        while True:
            connection.sendall(piece)
            if len(piece) < 100:
                time.sleep(0.1)


def answer(first: bytes, pause: float, piece: bytes = b""):
    """A server that says ``first`` to whoever connects, and then ``piece`` again and again, or
    nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        kept = []
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if first:
                connection.sendall(first)
            if piece:
                threading.Thread(target=drip, args=(connection, piece), daemon=True).start()
            elif pause:
                kept.append(connection)
            else:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


SERVERS = {
    "dead": None,
    "silent": (b"", 60.0),
    "cutting": (b"", 0.0),
    "stopping in the middle": (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", 60.0),
    "no server of the web": (b"220 mail ready\r\n", 0.0),
    "dripping": (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n{", 60.0, b" "),
    "endless": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        60.0,
        b"100000\r\n" + b" " * (1 << 20) + b"\r\n",
    ),
    "dripping headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", 60.0, b"x"),
    "continuing for ever": (b"HTTP/1.1 100 Continue\r\n\r\n", 60.0, CONTINUE),
}
SHORT = ["dead", "silent", "cutting", "dripping", "dripping headers", "continuing for ever"]


@pytest.mark.parametrize("kind", SERVERS if EXHAUSTIVE else SHORT)
def test_a_server_that_does_not_answer(hub, published, repo, cache, tmp_path, kind):
    """Without a cache an error of ours in seconds; with a complete one, the cache."""
    endpoint = "http://127.0.0.1:9"
    listener = None
    if SERVERS[kind] is not None:
        listener, endpoint = answer(*SERVERS[kind])
    env = {"HF_ENDPOINT": endpoint, **QUICK}
    values = {"source": repo, "cache": str(cache), "names": NAMES}
    said, seconds = hub.run(OPEN, tmp_path, env=env, **values).result
    assert said.startswith("RepositoryError"), said
    assert seconds < 5
    resolve(repo, cache_dir=cache).fetch(*NAMES)
    said, seconds = hub.run(OPEN, tmp_path, env=env, **values).result
    assert said == "loaded"
    assert seconds < 5
    if listener is not None:
        listener.close()


PUSH = """
import time
from pathlib import Path
from causalplug.hub.push import push_folder
started = time.monotonic()
try:
    push_folder(Path(folder), source)
    result = ["pushed", time.monotonic() - started]
except Exception as error:
    result = [f"{type(error).__name__}: {error}", time.monotonic() - started]
"""


@pytest.mark.parametrize("kind", SERVERS if EXHAUSTIVE else ["continuing for ever"])
def test_a_push_to_a_server_that_does_not_answer(hub, model, repo, tmp_path, kind):
    endpoint = "http://127.0.0.1:9"
    listener = None
    if SERVERS[kind] is not None:
        listener, endpoint = answer(*SERVERS[kind])
    env = {"HF_ENDPOINT": endpoint, **QUICK}
    said, seconds = hub.run(PUSH, tmp_path, env=env, source=repo, folder=str(model)).result
    if listener is not None:
        listener.close()
    assert said.startswith(f"RepositoryError: cannot push to {repo}"), said
    assert seconds < 5


def talk(connection: socket.socket, second: bytes) -> None:
    """Answer the first request in full, and the next ones with headers that never end."""
    with connection, contextlib.suppress(OSError):
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.recv(1 << 16)
        while True:
            connection.sendall(second)
            time.sleep(0.02)


@pytest.mark.parametrize("second", [b"H", CONTINUE], ids=["drip", "continue"])
def test_a_connection_that_was_good_once_has_the_deadline_too(hub, second):
    from huggingface_hub import get_session

    hub_api()
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        connection, _ = listener.accept()
        talk(connection, second)

    threading.Thread(target=serve, daemon=True).start()
    with with_deadlines(type(get_session()), 0.3)(timeout=5.0) as client:
        assert client.get(url).json() == {}
        with pytest.raises(transport_error(), match="took longer than"):
            client.get(url)
    listener.close()


def test_a_body_may_be_sent_for_longer_than_a_step(hub):
    from huggingface_hub import get_session

    hub_api()
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    received = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not received or b"end" not in received[-1]:
                received.append(connection.recv(1 << 16))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def pieces():
        for piece in (b"first", b"second", b"end"):
            time.sleep(0.2)
            yield piece

    threading.Thread(target=serve, daemon=True).start()
    with with_deadlines(type(get_session()), 0.3)(timeout=5.0) as client:
        answered = client.post(url, content=pieces(), headers={"Content-Length": "14"})
    assert answered.status_code == 200
    listener.close()


def test_a_download_that_drips_is_taken_up_where_it_stood(
    hub, published, repo, cache, tmp_path, model
):
    """In the middle of a file its bytes come one by one: it is asked for again, from there on."""
    hub.steer("fault", match="GET /objects", cut=10_500_000, drip=60)
    values = {"source": repo, "cache": str(cache), "names": ["modules/large.safetensors"]}
    said, seconds = hub.run(OPEN, tmp_path, env=QUICK, **values).result
    assert said == "loaded"
    assert seconds < 30
    large = model / "modules" / "large.safetensors"
    found = resolve(repo, cache_dir=cache).fetch("modules/large.safetensors")
    assert (found / "modules" / "large.safetensors").read_bytes() == large.read_bytes()
    sent = sum(one["sent"] for one in hub.log() if "/objects/" in one["path"])
    assert sent < 1.05 * large.stat().st_size


@pytest.mark.parametrize("status", [429, 503])
def test_the_first_request_is_made_again(hub, published, repo, cache, monkeypatch, status):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    hub.steer("fault", match="GET /api/models/[^/]*/[^/]*($|/revision)", status=status, times=2)
    assert resolve(repo, cache_dir=cache).revision == published
    assert waited


@pytest.mark.parametrize("status", [429, 503])
def test_a_complete_cache_answers_for_a_busy_server(
    hub, published, repo, cache, monkeypatch, status
):
    resolve(repo, cache_dir=cache).fetch(*NAMES)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.steer("fault", match="GET /", status=status, times=1000)
    assert resolve(repo, cache_dir=cache).fetch(*NAMES).name == published


def test_a_server_says_when_to_ask_again(hub, published, repo, cache, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    fault = {"match": "GET /api/models", "status": 429, "after": 7}
    hub.steer("fault", **fault)
    resolve(repo, cache_dir=cache)
    assert 7 <= max(waited) <= 8


def test_every_request_has_a_time_out(hub):
    from huggingface_hub import close_session, get_session

    hub_api()
    for _ in range(2):  # also of a client that takes the place of one that was closed
        limits = get_session().timeout
        assert None not in (limits.connect, limits.read, limits.write, limits.pool)
        close_session()


def test_a_client_of_the_users_own_keeps_its_time_outs(monkeypatch, hub):
    from huggingface_hub import get_session, set_client_factory

    kind = type(get_session())
    set_client_factory(lambda: kind(timeout=3.0))
    try:
        hub_api()
        assert get_session().timeout.read == 3.0
    finally:
        set_client_factory(lambda: kind(follow_redirects=True, timeout=5.0))


TOKEN = "hf_" + "aB3dE5fG7hJ9kL2mN4pQ6rS8tU"
TYPED = {
    "summary": {"summary": f"Made with {TOKEN}."},
    "title": {"title": TOKEN},
    "tags": {"tags": ["images", TOKEN]},
    "limits": {"limits": [f"Needs {TOKEN}"]},
    "source": {"source": f"https://user:{TOKEN}@huggingface.co/me/x"},
    "commit_message": {"commit_message": f"with {TOKEN}"},
    "commit_description": {"commit_description": TOKEN},
    "metrics": {"metrics": [{"name": TOKEN, "value": 1.0}]},
    "card": {"card": f"---\nlicense: mit\n---\n# A\n{TOKEN}"},
    "repo_id": {"repo_id": f"me/{TOKEN}"},
    "branch": {"branch": TOKEN},
}


@pytest.mark.parametrize("where", TYPED)
def test_text_that_holds_a_token_is_refused_without_showing_it(hub, where):
    import causalplug as cp

    encoder = cp.ConvEncoder(cp.Image(1, 8, 8), 2, channels=(2,), hidden=4)
    arguments = {"repo_id": "me/x", **TYPED[where]}
    with pytest.raises(RepositoryError, match="token") as caught:
        encoder.push_to_hub(**arguments)
    assert where.split(".")[0] in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert hub.log() == []


def test_a_token_is_never_in_an_error(tmp_path):
    import causalplug as cp

    wrong = [
        lambda: cp.from_pretrained(TOKEN),
        lambda: cp.from_pretrained(f"https://x:{TOKEN}@huggingface.co/a/b"),
        lambda: cp.from_pretrained("a/b", revision=TOKEN, local_files_only=True),
        lambda: cp.from_pretrained("a/b", use=TOKEN),
        lambda: cp.from_pretrained("a/b", size=TOKEN),
        lambda: cp.CausalGraph.parse(f"{TOKEN} -> {TOKEN}"),
        lambda: cp.CausalGraph.parse("A -> B", format=TOKEN),
        lambda: cp.Query.parse(f"P({TOKEN} |"),
        lambda: cp.DataSource(f"{tmp_path}/{TOKEN}.csv"),
        lambda: cp.DataSource({"A": [1]}, encoding=TOKEN, do=TOKEN),
        lambda: cp.TrainingConfig(objective=TOKEN),
        lambda: cp.Discrete([TOKEN, TOKEN]),
        lambda: cp.adapters.read_torch_weights(f"{tmp_path}/{TOKEN}.pth"),
    ]
    for call in wrong:
        with pytest.raises(cp.CausalPlugError) as caught:
            call()
        assert TOKEN not in str(caught.value)
        assert TOKEN not in repr(caught.value)
