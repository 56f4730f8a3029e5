"""A page to play with a model: the graph to click at, what is set and what was seen, and answers as
pictures and in words.

What the page does is done by functions that need no page: :class:`Question`, :func:`ask` and
:func:`pairs`. Only :func:`app` needs the extra ``demo``.
"""

from __future__ import annotations

from causalplug.demo.answer import Answer, ask
from causalplug.demo.app import app
from causalplug.demo.pairs import Pairs, pairs
from causalplug.demo.question import Question

__all__ = ["Answer", "Pairs", "Question", "app", "ask", "pairs"]
