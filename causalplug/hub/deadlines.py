"""A deadline for every step of a request, from the connection to the end of the headers."""

from __future__ import annotations

import contextlib
import contextvars
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["with_deadlines"]

_LOOK = 0.1  # seconds between two looks at the clock, at most


def with_deadlines(client: type, seconds: float) -> Any:
    """A class of clients whose requests do not wait for headers that never end.

    The time-outs of the HTTP library bound the time between two pieces: headers that arrive byte
    by byte, and ``100 Continue`` without end, pass under them. Here connecting, sending the
    headers, and receiving those of the answer may each take so many seconds. Bodies are not
    concerned: those that are sent may be large, and those that are received are watched by
    :func:`~causalplug.hub.slow_answers.refuse_slow_answers`.

    Args:
        client: The class of clients, whose library differs between versions of huggingface_hub.
        seconds: How long a step may take.
    """
    library: Any = sys.modules[client.__module__.partition(".")[0]]
    base: Any = client

    class Bounded(base):
        def send(self, request: Any, **how: Any) -> Any:
            steps = _Steps(seconds)
            request.extensions.setdefault("trace", steps)
            sending = _Sending(lambda: super(Bounded, self).send(request, **how))
            while not sending.done.wait(steps.left()):
                if steps.late():
                    steps.hang_up()
                    raise library.ReadTimeout(
                        f"the step {steps.name!r} took longer than {seconds:.0f} seconds",
                        request=request,
                    )
            return sending.result()

    Bounded.__module__ = client.__module__  # where its library is found
    return Bounded


class _Steps:
    """What the HTTP library is doing for one request, as its trace tells.

    Args:
        seconds: How long a step may take.
    """

    def __init__(self, seconds: float):
        self.name, self._seconds = "", seconds
        self._until = float("inf")
        self._socket: socket.socket | None = None

    def __call__(self, event: str, details: dict[str, Any]) -> None:
        step, _, state = event.rpartition(".")
        self.name, self._until = step, float("inf")
        if state == "started" and not step.endswith("_body"):
            self._until = time.monotonic() + self._seconds
        if state == "complete" and step.endswith(("connect_tcp", "start_tls")):
            self._socket = details["return_value"].get_extra_info("socket")

    def left(self) -> float:
        """Seconds until the next look at the clock."""
        return max(0.0, min(_LOOK, self._until - time.monotonic()))

    def late(self) -> bool:
        """Whether the step has taken too long."""
        return time.monotonic() >= self._until

    def hang_up(self) -> None:
        """Close a connection that was made for this request, so that nothing waits for it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Sending:
    """A call in a thread of its own, which does not keep the process alive.

    Args:
        call: What to do; it sees the context of the thread that asks.
    """

    def __init__(self, call: Callable[[], Any]):
        self.done = threading.Event()
        self._call = call
        self._answer: Any = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer = self._call()
        except BaseException as error:  # raised where the answer is waited for
            self._error = error
        finally:
            self.done.set()

    def result(self) -> Any:
        """What the call returned.

        Raises:
            BaseException: What the call raised.
        """
        if self._error is not None:
            raise self._error
        return self._answer
