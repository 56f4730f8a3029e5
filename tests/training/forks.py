"""A process that has torch loaded and forks: children that may be killed, at a tenth of the
price of new ones."""

import importlib
import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Forks:
    """Starts functions in forked children.

    The children share nothing with the tests: their parent is a Python of its own, which has
        imported what they need.
    """

    def __init__(self):
        self.server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.output: dict[int, Path] = {}

    def _ask(self, **request):
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(self, call: str, folder: Path, *, env=None, **arguments) -> int:
        """Run ``module:function(folder, **arguments)`` in a child; returns its process id."""
        folder.mkdir(parents=True, exist_ok=True)
        output = folder.parent / f"{folder.name}-{len(self.output)}.log"
        pid = self._ask(
            call=call, folder=str(folder), arguments=arguments, env=env or {}, output=str(output)
        )
        self.output[pid] = output
        return pid

    def wait(self, pid: int) -> tuple[int, str]:
        """Exit status (minus the signal's number) and everything that the child printed."""
        return self._ask(wait=pid), self.output[pid].read_text()

    def run(self, call: str, folder: Path, *, env=None, **arguments) -> tuple[int, str]:
        """Start and wait."""
        return self.wait(self.start(call, folder, env=env, **arguments))

    def together(
        self,
        call: str,
        folder: Path,
        *,
        count: int = 2,
        machines: int = 1,
        mpi: bool = False,
        **arguments,
    ) -> list[tuple[int, str]]:
        """The same call in processes that know each other, as torchrun starts them on one machine
        or on several, or as accelerate does by MPI.
        """
        local = count // machines
        common = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        names = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
        if mpi:
            names = ("PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID")
            common |= {"ACCELERATE_USE_CPU": "True"}
        pids = []
        for i in range(count):
            told = zip(names, (count, i, local, i % local), strict=True)
            env = common | {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in told}
            pids.append(self.start(call, folder, env=env, **arguments))
        return [self.wait(pid) for pid in pids]

    def stop(self):
        self.server.stdin.close()
        self.server.wait(30)
        self.server.stdout.close()


def _serve() -> None:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import tests.training.work

    tests.training.work.load()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                _child(**request)
        print(json.dumps(answer), flush=True)


def _child(call, folder, arguments, env, output) -> None:
    status = 1
    try:
        os.environ.update(env)
        log = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        module, _, name = call.partition(":")
        getattr(importlib.import_module(module), name)(Path(folder), **arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
