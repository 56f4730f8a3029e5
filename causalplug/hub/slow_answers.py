"""Answers of a server that arrive byte by byte, or never end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["refuse_slow_answers"]

_LEAST = 1000.0  # bytes a second, on average
_LONGEST_TEXT = 256 << 20  # bytes of an answer that is no file


def refuse_slow_answers(client: object, seconds: float) -> Callable[[Any], None]:
    """A hook for answers: in any so many seconds, they must bring 1,000 bytes a second on average,
    and those in JSON end after 256 MB.

    Args:
        client: A client of the HTTP library, whose name differs between versions of
            huggingface_hub.
        seconds: How long an answer may take its time.
    """
    library: Any = sys.modules[type(client).__module__.partition(".")[0]]

    class Watched(library.SyncByteStream):
        def __init__(self, stream: Any, most: float):
            self._stream, self._most = stream, most

        def __iter__(self) -> Iterator[bytes]:
            pieces = iter(self._stream)
            arrived, lately, waited = 0, 0, 0.0
            while True:
                asked = time.monotonic()
                piece = next(pieces, None)
                if piece is None:
                    return
                waited += time.monotonic() - asked  # without what the reader does in between
                arrived, lately = arrived + len(piece), lately + len(piece)
                if waited > seconds:
                    self._refuse_slow(lately, waited)
                    lately, waited = 0, 0.0
                if arrived > self._most:
                    raise library.ReadError(f"the answer is longer than {self._most:,.0f} bytes")
                yield piece

        def _refuse_slow(self, lately: int, waited: float) -> None:
            if lately < _LEAST * waited:
                raise library.ReadTimeout(
                    f"the last {lately:,} bytes of the answer took {waited:.0f} seconds"
                )

        def close(self) -> None:
            self._stream.close()

    def watch(response: Any) -> None:
        most = float("inf")
        if "json" in response.headers.get("Content-Type", ""):
            most = _LONGEST_TEXT
        response.stream = Watched(response.stream, most)

    return watch
