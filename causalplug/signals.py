"""Signals that ask a process to end, taken as Ctrl-C is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ending_like_interrupts"]

_ENDING = [s for s in signal.Signals if s.name in ("SIGTERM", "SIGHUP")]  # Windows has no SIGHUP


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")


@contextmanager
def ending_like_interrupts() -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP raise :class:`KeyboardInterrupt`, where they would have ended
    the process without a word.

    A handler of the program's own stays, and so does a signal that is ignored (``nohup``). Outside
    the main thread nothing is changed: Python lets no other thread set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
