"""The Hub on loopback as tests use it: a process of its own, asked by child processes with the
real client."""

from __future__ import annotations

__all__ = ["Answer", "HubProcess"]

import base64
import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOKENS = {
    "alice": "hf_alicealicealice",
    "bob": "hf_bobbobbob",
    "mallory": "hf_mallorymallory",
    None: "",
}

CHILD = """
import json, sys
task = json.load(sys.stdin)
space = dict(task["values"])
try:
    exec(compile(task["code"], "child", "exec"), space)
    answer = {"result": space.get("result")}
except Exception as error:
    answer = {"error": str(error), "kind": type(error).__name__}
print("ANSWER" + json.dumps(answer, default=str), flush=True)
"""


@dataclass(frozen=True)
class Answer:
    """What a child process did: the value of its ``result``, or its error."""

    result: Any
    error: str
    kind: str


class HubProcess:
    """A running Hub, and processes that talk to it."""

    def start(self) -> HubProcess:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "hub_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.endpoint, self.cdn = addresses["hub"], addresses["cdn"]
        return self

    def stop(self) -> None:
        self._process.communicate()

    def log(self) -> list[dict[str, Any]]:
        """Return the requests since the last ``steer("clear")``."""
        return self.steer("log")

    def paths(self) -> list[str]:
        """Return the requests as "METHOD /path", and forget them."""
        found = [f"{one['method']} {one['path'].split('?')[0]}" for one in self.log()]
        self.steer("clear")
        return found

    def steer(self, what: str, **values: Any) -> Any:
        """Tell the server something: ``fault``, ``clear``, ``change``, ``log``, ``commits``."""
        return self._send("POST", f"{self.endpoint}/_test/{what}", values, None)

    def plant(self, repo: str, files: Mapping[str, bytes], user: str = "alice") -> str:
        """Commit files under any name, past the checks of the client; create the repository if
        need be."""
        commits = self.steer("commits", id=repo)
        if not commits:
            self._send(
                "POST", f"{self.endpoint}/api/repos/create", {"name": repo.split("/")[1]}, user
            )
        lines: list[dict[str, Any]] = [
            {"key": "header", "value": {"summary": "planted", "description": ""}}
        ]
        for path, content in files.items():
            if path.endswith(".safetensors"):
                oid = hashlib.sha256(content).hexdigest()
                self._send("PUT", f"{self.cdn}/upload/{oid}", content, None)
                lines.append(
                    {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid}}
                )
            else:
                text = base64.b64encode(content).decode()
                lines.append(
                    {"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}}
                )
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return self._send("POST", f"{self.endpoint}/api/models/{repo}/commit/main", body, user)[
            "commitOid"
        ]

    def _send(self, method: str, url: str, body: Any, user: str | None) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKENS[user]}"} if user else {}
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method)
        ) as answer:
            return json.loads(answer.read())

    def env(self, home: Path, user: str | None = "alice", **more: str) -> dict[str, str]:
        """Return the environment of a client: this Hub, a home of its own, the user's token."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        return {
            **inherited,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": TOKENS[user],
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "*",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **more,
        }

    def child(
        self, code: str, home: Path, user: str | None = "alice", env: Any = None, **values: Any
    ) -> subprocess.Popen:
        """Start a child that runs the code with these values as its variables."""
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", CHILD],
            env=self.env(home, user, **(env or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps({"code": code, "values": values}, default=str))
        child.stdin.close()
        child.stdin = None
        return child

    def finish(self, child: subprocess.Popen[str]) -> Answer:
        """Wait for a child and return its answer."""
        output, _ = child.communicate(timeout=120)
        lines = [line for line in output.splitlines() if line.startswith("ANSWER")]
        answer = json.loads(lines[-1][6:]) if lines else {"error": output, "kind": "died"}
        return Answer(answer.get("result"), answer.get("error", ""), answer.get("kind", ""))

    def run(
        self, code: str, home: Path, user: str | None = "alice", env: Any = None, **values: Any
    ) -> Answer:
        """Run the code in a child process that knows this Hub, and return what it set ``result``
        to."""
        return self.finish(self.child(code, home, user, env, **values))
