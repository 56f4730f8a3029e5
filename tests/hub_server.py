"""A Hub on loopback: a small server for the unmodified ``huggingface_hub`` client, with faults on
demand.

Run as a process of its own: ``python tests/hub_server.py`` prints one line of JSON with the
addresses of the Hub and of its CDN (which has another host name, as the real one has) and serves
until its standard input is closed. Clients find it by ``HF_ENDPOINT``, set before they import
``huggingface_hub``. Tests steer it by ``POST /_test/…``: see :class:`Faults`.
"""

from __future__ import annotations

__all__ = ["Faults", "serve"]

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parent))
from hub_store import LFS_SIZE, LFS_SUFFIXES, Commit, Failure, Repo, Store

PART = 5 << 20
PAGE = 50


class Faults:
    """Faults to come, in order of their statement. Each is a mapping:

    ``match``: regular expression searched in "METHOD /path"; ``skip`` and ``times``: how many
    matching requests pass first, and how many are hit then; and what happens to those: ``status``
    (answer with it, and ``after`` as its Retry-After), ``cut`` (break the connection after so many
    bytes of the body; with ``drip``, go on byte by byte first, for so many seconds), ``flip``
    (change the byte at this position of the body), ``slow`` (wait so many seconds), ``lose`` (do
    what was asked, but break the connection instead of answering).
    """

    def __init__(self) -> None:
        self._faults: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, fault: dict[str, Any]) -> None:
        with self._lock:
            self._faults.append({"skip": 0, "times": 1, **fault})

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def pick(self, request: str) -> dict[str, Any]:
        with self._lock:
            for fault in self._faults:
                if fault["times"] > 0 and re.search(fault["match"], request):
                    if fault["skip"] > 0:
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    return fault
        return {}


class World:
    """What the two servers share."""

    def __init__(self) -> None:
        self.store, self.faults = Store(), Faults()
        self.log: list[dict[str, Any]] = []
        self.hub = self.cdn = ""


class Handler(BaseHTTPRequestHandler):
    """One connection; the requests of the Hub and of the CDN differ only in their paths."""

    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, *arguments: object) -> None:
        """Write nothing to the terminal."""

    def _serve(self) -> None:
        self.url = urlsplit(self.path)
        self.parts = [unquote(part) for part in self.url.path.strip("/").split("/")]
        self.options = {key: values[-1] for key, values in parse_qs(self.url.query).items()}
        self.record = {
            "method": self.command,
            "path": self.path,
            "host": self.headers.get("Host"),
            "received": 0,
            "sent": 0,
            "authorized": "Authorization" in self.headers,
            "agent": self.headers.get("User-Agent", ""),
        }
        self.fault = (
            {}
            if self.parts[0] == "_test"
            else self.world.faults.pick(f"{self.command} {self.path}")
        )
        if self.parts[0] != "_test":
            self.world.log.append(self.record)
        time.sleep(self.fault.get("slow", 0))
        try:
            body = self._body()
            if "status" in self.fault:
                raise Failure(
                    self.fault["status"],
                    self.fault.get("message", "on demand"),
                    **{"Retry-After": str(self.fault.get("after", 0))},
                )
            with self.world.store.lock:
                self.user = self._authenticate()
                status, headers, answer = self._route(body)
        except Failure as failure:
            status, headers, answer = (
                failure.status,
                failure.headers,
                {"error": str(failure), **failure.more},
            )
        except ConnectionError:
            self.close_connection = True
            return
        self._answer(status, headers, answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        limit = self.fault.get("cut") if self.command in ("PUT", "POST") else None
        chunks: list[bytes] = []
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
                self._count(chunks, limit)
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left > 0 and (chunk := self.rfile.read(min(left, 1 << 16))):
                chunks.append(chunk)
                left -= len(chunk)
                self._count(chunks, limit)
            if left:
                raise ConnectionAbortedError
        return b"".join(chunks)

    def _count(self, chunks: list[bytes], limit: int | None) -> None:
        self.record["received"] += len(chunks[-1])
        if limit is not None and self.record["received"] >= limit:
            raise ConnectionAbortedError

    def _authenticate(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.world.store.users:
            raise Failure(401, "Invalid credentials in Authorization header")
        return self.world.store.users.get(token)

    def _answer(self, status: int, headers: dict[str, str], answer: Any) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if not isinstance(answer, bytes):
            headers = {"Content-Type": "application/json", **headers}
        if "flip" in self.fault and len(body) > self.fault["flip"]:
            body = bytearray(body)
            body[self.fault["flip"]] ^= 1
        try:
            if self.fault.get("lose"):
                raise ConnectionAbortedError
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", headers.get("Content-Length", str(len(body))))
            self.end_headers()
            if self.command != "HEAD":
                part = body[: self.fault["cut"]] if "cut" in self.fault else body
                self.wfile.write(part)
                self.record["sent"] += len(part)
                if "drip" in self.fault:
                    self._drip(body[len(part) :])
                if len(part) < len(body):
                    raise ConnectionAbortedError
        except ConnectionError:
            self.close_connection = True

    def _drip(self, rest: bytes) -> None:
        """Send a byte now and then, for so many seconds at most."""
        until = time.monotonic() + self.fault["drip"]
        for place in range(len(rest)):
            if time.monotonic() > until:
                return
            self.wfile.write(rest[place : place + 1])
            self.record["sent"] += 1
            time.sleep(0.1)

    # What is asked for

    def _route(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        kind = "model"
        if self.parts[0] in ("datasets", "spaces"):
            kind = self.parts.pop(0).removesuffix("s")
        match self.parts:
            case ["_test", what]:
                return 200, {}, self._steer(what, json.loads(body or b"{}"))
            case ["objects", sha256] | ["upload", sha256, *_]:
                return self._objects(sha256, body)
            case ["complete", sha256]:
                wanted = [part["partNumber"] for part in json.loads(body)["parts"]]
                content = b"".join(
                    self.world.store.parts.pop((sha256, number)) for number in wanted
                )
                self.world.store.add_object(sha256, content)
                return 200, {}, {"success": True}
            case ["api", "whoami-v2"]:
                if self.user is None:
                    raise Failure(401, "Invalid username or password.")
                token = {"displayName": "test", "role": "write"}
                return (
                    200,
                    {},
                    {"type": "user", "name": self.user, "orgs": [], "auth": {"accessToken": token}},
                )
            case ["api", "validate-yaml"]:
                return 200, {}, {"errors": [], "warnings": []}
            case ["api", "repos", action]:
                return 200, {}, self._repos(action, json.loads(body))
            case ["api", "models"]:
                wanted = self.options.get("author")
                repos = [
                    r
                    for (kind, _), r in self.world.store.repos.items()
                    if kind == "model" and not r.private
                ]
                return 200, {}, [r.info("main", False) for r in repos if wanted in (None, r.owner)]
            case ["api", kinds, owner, name, *rest] if kinds in ("models", "datasets", "spaces"):
                return self._repo(kinds.removesuffix("s"), f"{owner}/{name}", rest, body)
            case [owner, git, "info", "lfs", *rest] if git.endswith(".git"):
                return self._lfs(
                    kind, f"{owner}/{git.removesuffix('.git')}", rest, json.loads(body)
                )
            case [owner, name, "resolve", revision, *path]:
                return self._resolve(kind, f"{owner}/{name}", revision, "/".join(path))
        raise Failure(404, f"no such page: {self.path}")

    def _steer(self, what: str, value: dict[str, Any]) -> Any:
        world = self.world
        if what == "fault":
            world.faults.add(value)
        elif what == "clear":
            world.faults.clear()
            world.log.clear()
        elif what == "change":
            repo = world.store.repos[value.pop("kind", "model"), value.pop("id")]
            for name, item in value.items():
                setattr(repo, name, set(item) if name == "readers" else item)
        elif what == "log":
            return world.log
        elif what == "commits":
            repo = world.store.repos.get((value.pop("kind", "model"), value.pop("id")))
            if repo is None:
                return {}
            return {
                "refs": repo.refs,
                "commits": {s: [c.title, sorted(c.files)] for s, c in repo.commits.items()},
            }
        return {}

    def _objects(self, sha256: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        store = self.world.store
        if self.command == "PUT" and len(self.parts) == 3:
            store.parts[sha256, int(self.parts[2])] = body
            return 200, {"ETag": f'"{self.parts[2]}"'}, {}
        if self.command == "PUT":
            store.add_object(sha256, body)
            return 200, {}, {}
        if not store.object_path(sha256).exists():
            raise Failure(404, "no such object")
        return self._range(store.object_path(sha256).read_bytes(), {"ETag": f'"{sha256}"'})

    def _range(self, content: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        headers = {"Accept-Ranges": "bytes", **headers}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
            if start >= len(content):
                raise Failure(416, "out of range", **{"Content-Range": f"bytes */{len(content)}"})
            part = content[start : end + 1]
            return 206, {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"}, part
        return 200, headers, content

    def _repos(self, action: str, value: dict[str, Any]) -> dict[str, Any]:
        if self.user is None:
            raise Failure(401, "Invalid username or password.")
        store, kind = self.world.store, value.get("type") or "model"
        owner, name = value.get("organization") or self.user, value["name"]
        if owner != self.user:
            raise Failure(403, f"You do not have the right to create a repository under {owner}")
        if action == "delete":
            del store.repos[kind, store.find(kind, f"{owner}/{name}", self.user, write=True).id]
            return {}
        private = bool(value.get("private")) or value.get("visibility") == "private"
        url = f"{self.world.hub}/{owner}/{name}"
        repo = store.create(name, owner, kind, private, url)
        return {"url": url, "name": repo.id, "id": repo.id}

    def _repo(
        self, kind: str, repo_id: str, rest: list[str], body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        write = self.command != "GET" and rest[0] != "paths-info"
        proposes = (
            bool(rest)
            and rest[0] in ("commit", "preupload")
            and self.options.get("create_pr") == "1"
        )
        if proposes and self.user is None:
            raise Failure(401, "log in to open a pull request", "RepoNotFound")
        repo = self.world.store.find(kind, repo_id, self.user, write=write and not proposes)
        match rest:
            case []:
                return 200, {}, repo.info("main", "blobs" in self.options)
            case ["revision", revision]:
                return 200, {}, repo.info(revision, "blobs" in self.options)
            case ["tree", revision, *path]:
                return self._tree(repo.commit(revision), "/".join(path))
            case ["paths-info", revision]:
                form = parse_qs(body.decode())
                files = repo.commit(revision).files
                return 200, {}, [files[p].to_dict(p) for p in form.get("paths", []) if p in files]
            case ["preupload", revision]:
                return (
                    200,
                    {},
                    {"files": self._upload_modes(repo.commit(revision), json.loads(body)["files"])},
                )
            case ["commit", revision]:
                return 200, {}, self._commit(repo, revision, body)
            case ["refs"]:
                return 200, {}, self._refs(repo)
            case ["commits", revision]:
                chain, commit = [], repo.commit(revision)
                while commit:
                    date = "2025-01-01T00:00:00.000Z"
                    one = {
                        "id": commit.sha,
                        "title": commit.title,
                        "message": commit.message,
                        "date": date,
                    }
                    chain.append({**one, "authors": [{"user": commit.author}]})
                    commit = repo.commits[commit.parent] if commit.parent else None
                return 200, {}, chain
            case ["branch" | "tag" as what, name]:
                return 200, {}, self._ref(repo, what, name, json.loads(body or b"{}"))
            case ["settings"]:
                value = json.loads(body)
                repo.gated = value.get("gated", repo.gated)
                repo.private = (
                    value.get("visibility", "private" if repo.private else "public") == "private"
                )
                return 200, {}, {}
            case ["auth-check"]:
                self._check_gate(repo)
                return 200, {}, {}
        raise Failure(404, f"no such page: {self.path}")

    def _tree(self, commit: Commit, folder: str) -> tuple[int, dict[str, str], Any]:
        prefix = f"{folder}/" if folder else ""
        found: dict[str, dict] = {}
        for path, entry in sorted(commit.files.items()):
            if path.startswith(prefix):
                inner = path.removeprefix(prefix).split("/")
                for depth in range(1, len(inner)):
                    name = prefix + "/".join(inner[:depth])
                    found.setdefault(
                        name, {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
                    )
                found[path] = entry.to_dict(path)
        if folder and not found:
            raise Failure(
                404, f"{folder} does not exist", "EntryNotFound", **{"X-Repo-Commit": commit.sha}
            )
        if self.options.get("recursive", "false").lower() not in ("true", "1"):
            found = {
                path: item for path, item in found.items() if "/" not in path.removeprefix(prefix)
            }
        start = int(self.options.get("cursor", 0))
        items, headers = list(found.values()), {}
        if start + PAGE < len(items):
            more = f"{self.world.hub}{self.url.path}?recursive=true&cursor={start + PAGE}"
            headers["Link"] = f'<{more}>; rel="next"'
        return 200, headers, items[start : start + PAGE]

    def _upload_modes(self, commit: Commit, files: list[dict]) -> list[dict]:
        answer = []
        for file in files:
            path, present = file["path"], commit.files.get(file["path"])
            large = path.endswith(LFS_SUFFIXES) or file["size"] > LFS_SIZE
            oid = present and (present.sha256 or present.blob)
            mode = "lfs" if large else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return answer

    def _commit(self, repo: Repo, revision: str, body: bytes) -> dict[str, Any]:
        lines = [json.loads(line) for line in body.splitlines() if line]
        assert self.user is not None
        create_pr = self.options.get("create_pr") == "1"
        commit, ref = self.world.store.apply(repo, revision, lines, self.user, create_pr)
        answer = {"success": True, "commitOid": commit.sha, "hookOutput": ""}
        answer["commitUrl"] = f"{self.world.hub}/{repo.id}/commit/{commit.sha}"
        if create_pr:
            answer["pullRequestUrl"] = (
                f"{self.world.hub}/{repo.id}/discussions/{ref.rsplit('/', 1)[1]}"
            )
        return answer

    def _refs(self, repo: Repo) -> dict[str, list]:
        def kind(prefix: str) -> list[dict[str, str]]:
            names = sorted(ref for ref in repo.refs if ref.startswith(prefix))
            return [
                {"name": n.removeprefix(prefix), "ref": n, "targetCommit": repo.refs[n]}
                for n in names
            ]

        return {"branches": kind("refs/heads/"), "tags": kind("refs/tags/"), "converts": []}

    def _ref(self, repo: Repo, what: str, name: str, value: dict[str, Any]) -> dict:
        if what == "tag":
            ref, start = f"refs/tags/{value.get('tag', name)}", name
        else:
            ref, start = f"refs/heads/{name}", value.get("startingPoint", "main")
        if self.command == "DELETE":
            repo.refs.pop(ref if what == "branch" else f"refs/tags/{name}")
            return {}
        if ref in repo.refs:
            raise Failure(409, f"Reference already exists: {ref}")
        repo.refs[ref] = repo.commit(start).sha
        return {}

    def _lfs(
        self, kind: str, repo_id: str, rest: list[str], value: dict
    ) -> tuple[int, dict[str, str], Any]:
        store = self.world.store
        if self.user is None:
            raise Failure(401, "log in to upload", "RepoNotFound")
        store.find(kind, repo_id, self.user)
        if rest == ["verify"]:
            path = store.object_path(value["oid"])
            if not path.exists() or path.stat().st_size != value["size"]:
                raise Failure(422, "the object was not uploaded")
            return 200, {}, {}
        objects = []
        for item in value["objects"]:
            oid, size = item["oid"], item["size"]
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if not store.object_path(oid).exists():
                upload: dict[str, Any] = {"href": f"{self.world.cdn}/upload/{oid}"}
                if size > PART:
                    count = -(-size // PART)
                    parts = {
                        str(n): f"{self.world.cdn}/upload/{oid}/{n}" for n in range(1, count + 1)
                    }
                    upload = {
                        "href": f"{self.world.hub}/complete/{oid}",
                        "header": {"chunk_size": str(PART), **parts},
                    }
                prefix = "" if kind == "model" else f"{kind}s/"
                verify = f"{self.world.hub}/{prefix}{repo_id}.git/info/lfs/verify"
                answer["actions"] = {"upload": upload, "verify": {"href": verify}}
            objects.append(answer)
        return (
            200,
            {"Content-Type": "application/vnd.git-lfs+json"},
            {"transfer": "basic", "objects": objects},
        )

    def _check_gate(self, repo: Repo) -> None:
        if repo.gated and self.user != repo.owner and self.user not in repo.readers:
            status = 401 if self.user is None else 403
            raise Failure(status, f"Access to model {repo.id} is restricted", "GatedRepo")

    def _resolve(
        self, kind: str, repo_id: str, revision: str, path: str
    ) -> tuple[int, dict[str, str], Any]:
        repo = self.world.store.find(kind, repo_id, self.user)
        self._check_gate(repo)
        commit = repo.commit(revision)
        headers = {"X-Repo-Commit": commit.sha}
        if path not in commit.files:
            raise Failure(404, "Entry not found", "EntryNotFound", **headers)
        entry = commit.files[path]
        if entry.sha256:
            headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
            name = quote(path.rsplit("/", 1)[-1])
            return (
                302,
                {**headers, "Location": f"{self.world.cdn}/objects/{entry.sha256}?name={name}"},
                b"",
            )
        assert entry.content is not None
        return self._range(entry.content, {**headers, "ETag": f'"{entry.blob}"'})


def serve() -> tuple[World, list[ThreadingHTTPServer]]:
    """Start the Hub and its CDN on free ports of the loopback interface."""
    world = World()
    servers = []
    for name, host in (("hub", "127.0.0.1"), ("cdn", "localhost")):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"world": world}))
        server.daemon_threads = True
        setattr(world, name, f"http://{host}:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    return world, servers


if __name__ == "__main__":
    hub, running = serve()
    print(json.dumps({"hub": hub.hub, "cdn": hub.cdn}), flush=True)
    sys.stdin.read()
    for one in running:
        one.shutdown()
