"""The text form of causal questions.

    query    =  term, or terms and numbers joined by + - * / and ( ):
                E[N | do(C=1)] - E[N | do(C=0)],  P(Y=1 | do(X=1)) / P(Y=1 | do(X=0)),
                1 - P(Y=1) / P(Y=2)
    term     =  P(events) | P(events | conditions) | E[variable] | E[variable | conditions]
                | a named quantity
    event    =  Y | Y=1 | Y_{X=1} | Y_{X=1}=1 | Y_{X=1, M_{X=0}}  (no value: every value)
                | Y>=3 | Y_{X=1}<0.5 | 18<=age<65 | Y!=red         (a range of values)
    condition = an event | do(X=1, Z)                             (do() holds for all events)
    value    =  1 | -0.5 | red | "dark red" | $m | *              ($m: as a subscript; *: every)
    quantity =  ATE(Y, X) | ATE(Y=yes, X=2 vs 0 | Z=1) | ETT(Y, X) | PN(Y, X) | PS(Y, X)
                | PNS(Y=hi vs lo, X=2 vs 0)
                | LATE(Y, X, Z) | NDE(Y, X, M) | NIE(Y, X, M)
                | RR(Y=1, X=1 vs 0) | OR(Y=1, X=1 vs 0)

Names are written as in graphs; others than letters, digits and ``_ . ' : -`` go into double quotes.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple, NoReturn

from causalplug.errors import QueryError, QuerySyntaxError
from causalplug.graphs.text import unquoted
from causalplug.identification.events import Bound, Event, World
from causalplug.identification.quantities import PARTS, QUANTITIES, Argument, Maker
from causalplug.identification.regions import Except, Interval, Region
from causalplug.values import Json
from causalplug.wording import shortened

__all__ = ["parse_query"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<subscript>_\{)
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'[^'\n]*'(?![\w']))
    | (?P<bound>\$[^\W\d]\w*)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<name>[\w.](?:[\w.':]|-(?=\w))*?(?=_\{)|[\w.](?:[\w.':]|-(?=\w))*)
    | (?P<sign><=|>=|!=|[()\[\]{}|,;=+*/<>≤≥≠-])
    """,
    re.VERBOSE,
)
_AROUND = 60
_DEEPEST = 30
_MOST_DIGITS = 300
_NO_NUMBERS = {"nan", "inf", "infinity"}
_COMPARISONS = ("<", "<=", ">", ">=", "!=", "≤", "≥", "≠")
# Other names of what can be asked.
_MEANT = {
    "p": "P(Y | do(X=1))",
    "Pr": "P(Y | do(X=1))",
    "ATT": "ETT(Y, X)",
    "CATE": "ATE(Y, X | Z=1)",
    "CDE": "P(Y=1 | do(X=1, M=0)) - P(Y=1 | do(X=0, M=0))",
    "TE": "ATE(Y, X)",
    "ACE": "ATE(Y, X)",
    "RD": "ATE(Y, X)",
    "Var": "P(Y | do(X=1)), whose summary has the deviation",
    "Median": "P(Y | do(X=1)), whose summary has the quantiles",
    "median": "P(Y | do(X=1)), whose summary has the quantiles",
    "Quantile": "P(Y | do(X=1)), whose summary has the quantiles",
    "quantile": "P(Y | do(X=1)), whose summary has the quantiles",
}
# Words that stand where a term should end.
_JOINING = {
    "and": "several events are separated by commas, as in P(Y=1, X=1)",
    "or": "add the cases, as in P(Y=1) + P(Y=2), or write a range, as in P(Y>=1)",
    "in": "add the cases, as in P(Y=1) + P(Y=2), or write a range, as in P(1<=Y<3)",
    "not": "write Y!=1",
    "given": "write a bar before what is given, as in P(Y=1 | X=1)",
    "if": "write a bar before what is given, as in P(Y=1 | X=1)",
    "is": "write Y=1",
}
_CLOSING = {"(": ")", "[": "]"}


class Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse_query(text: str, make: Maker) -> Any:
    """The query written in ``text``.

    Args:
        text: The question.
        make: The class of queries, which builds the terms and their contrasts.

    Raises:
        QuerySyntaxError: Malformed text; ``position`` is the index of the character where reading
            stopped.
        QueryError: Well-formed text that asks nothing sensible.
    """
    return _Parser(text, make).query()


class _Parser:
    def __init__(self, text: str, make: Maker):
        if not isinstance(text, str):
            raise QueryError(
                f"{text!r} is not a query: give text such as 'P(Y | do(X=1))' or a Query"
            )
        self.text, self.make = text, make
        self.tokens = self._tokens()
        self.at = 0
        self.where: list[tuple[Event, int]] = []
        self.depth = 0

    # --- tokens ---

    def _tokens(self) -> list[Token]:
        found, position = [], 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                unclosed = self.text[position] == '"'
                self.fail(
                    "this quote is not closed"
                    if unclosed
                    else "this character has no meaning here",
                    position,
                )
            if match.lastgroup != "space":
                found.append(Token(match.lastgroup or "", match.group(), position))
            position = match.end()
        found.append(Token("end", "", len(self.text.rstrip())))
        return found

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def accept(self, *texts: str) -> Token | None:
        """The next token if it is one of these signs (or unquoted words)."""
        if self.next.text in texts and self.next.kind != "quoted":
            return self.take()
        return None

    def expect(self, sign: str, why: str) -> Token:
        return self.accept(sign) or self.fail(f"expected {sign!r} {why}")

    def fail(self, what: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self.next.position
        raise QuerySyntaxError(
            f"the query cannot be read: {what} (character {position + 1})\n"
            + self.marked(position),
            position,
        )

    def marked(self, position: int) -> str:
        """The text around ``position`` on one line, and a mark under it on the next."""
        start = max(0, position - _AROUND)
        end = position + _AROUND
        before = ("…" if start else "") + "".join(map(_on_one_line, self.text[start:position]))
        after = "".join(map(_on_one_line, self.text[position:end]))
        rest = ""
        if end < len(self.text):
            rest = "…"
        return f"    {before}{after}{rest}\n    {' ' * len(before)}^"

    # --- grammar ---

    def query(self) -> object:
        if self.next.kind == "end":
            self.fail("there is no text; write for instance P(Y | do(X=1))")
        found = self.sum()
        if self.next.kind != "end":
            self.fail("the query ends before this; join terms by +, -, * or /")
        if isinstance(found, float):
            self.fail("this is a number and no query; write for instance P(Y | do(X=1))", 0)
        return found

    def sum(self) -> object:
        """Products joined by ``+`` and ``-``."""
        parts = self._signed()
        queries = [part for _, part in parts if not isinstance(part, float)]
        if not queries:
            return sum(sign * part for sign, part in parts)
        if len(parts) == 1 and parts[0][0] == 1:
            return queries[0]
        if len(queries) == len(parts) and all(query.formula is None for query in queries):
            return self.make.contrast(parts)
        (sign, total), *others = parts
        if sign != 1:
            total = self.times(-1.0, "*", total, 0)
        for sign, part in others:
            total = self.make.joined("+" if sign == 1 else "-", total, part)
        return total

    def _signed(self) -> list[tuple[float, Any]]:
        """The products of a sum, each with its sign."""
        parts = []
        sign = -1.0 if self.accept("-") else 1.0
        while True:
            parts.append((sign, self.product()))
            operator = self.accept("+", "-")
            if operator is None:
                return parts
            sign = -1.0 if operator.text == "-" else 1.0

    def product(self) -> object:
        """Factors joined by ``*`` and ``/``."""
        found = self.factor()
        while True:
            start = self.next.position
            operator = self.accept("*", "/")
            if operator is None:
                if isinstance(found, float) and self.next.kind == "name":
                    self.fail("expected '*' after a factor, as in 2 * P(Y=1)")
                return found
            found = self.times(found, operator.text, self.factor(), start)

    def times(self, left: Any, sign: str, right: Any, position: int) -> object:
        numbers = isinstance(left, float), isinstance(right, float)
        if sign == "/" and right == 0:
            self.fail("nothing can be divided by 0", position)
        if sign == "/" and isinstance(right, float):
            right, sign = 1 / right, "*"
        if all(numbers):
            found = left * right if sign == "*" else left / right
            if not math.isfinite(found):
                self.fail("this number is too large: it has to be finite", position)
            return found
        if sign == "*" and any(numbers):
            if numbers[0]:
                number, query = (left, right)
            else:
                number, query = (right, left)
            if query.formula is None:
                return self.make.contrast([(number, query)])
            return self.make.joined("*", number, query)
        return self.make.joined(sign, left, right)

    def factor(self) -> Any:
        """A number, a term, or a sum in parentheses."""
        if self.next.text == "-" and self.tokens[self.at + 1].kind == "number":
            self.take()
            return -float(self.number(self.take()))
        if self.next.kind == "number":
            return float(self.number(self.take()))
        if self.accept("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                self.fail(f"more than {_DEEPEST} parentheses stand inside each other")
            found = self.sum()
            self.expect(")", "to close the parenthesis")
            self.depth -= 1
            return found
        return self.term()

    def term(self) -> Any:
        head = self.take()
        opener = self.accept("(", "[")
        if head.kind != "name" or head.text not in {"P", "E", *QUANTITIES} or opener is None:
            if head.text in _MEANT:
                self.fail(f"{head.text} is written {_MEANT[head.text]}", head.position)
            names = ", ".join(f"{name}(...)" for name in QUANTITIES)
            self.fail(f"expected P(...), E[...] or one of {names}", head.position)
        if head.text in QUANTITIES:
            built = self.quantity(head)
        else:
            start, self.where = self.next.position, []
            outcomes = self.events("the variable asked for")
            world, given = self.conditions()
            try:
                built = self.make(outcomes, do=world, given=given, expectation=head.text == "E")
            except QueryError as error:
                set_twice = (
                    at for e, at in self.where if e.variable in world and e.variable not in e.do
                )
                self._refuse(error, next(set_twice, start))
        if self.next.text in _JOINING:
            self.fail(_JOINING[self.next.text])
        self.expect(_CLOSING[opener.text], f"to close {head.text}{opener.text}")
        return built

    def conditions(self) -> tuple[World, list[Event]]:
        """What follows the bar: the world of all events, and the evidence."""
        assigned: Json = {}
        given: list[Event] = []
        if self.accept("|"):
            while True:
                if self.next.text == "do" and self.tokens[self.at + 1].text == "(":
                    self.take()
                    self.take()
                    self.assignments(assigned, ")")
                    self.expect(")", "to close do(")
                else:
                    given.append(self.noted("a condition"))
                if not self.accept(","):
                    break
        return World(assigned), given

    def events(self, what: str) -> list[Event]:
        events = [self.noted(what)]
        while self.accept(","):
            events.append(self.noted(what))
        return events

    def noted(self, what: str) -> Event:
        """An event, with its place kept for messages."""
        start = self.next.position
        self.where.append((self.event(what), start))
        return self.where[-1][0]

    def event(self, what: str) -> Event:
        lower = self.lower_bound()
        start = self.next.position
        name = self.name(what)
        world = self.subscript(name)
        if lower is not None:
            return Event(name, self.between(lower, name, start), World(world))
        operator = self.accept(*_COMPARISONS)
        if operator is not None:
            return Event(name, self.region(operator), World(world))
        return Event(name, self.value() if self.accept("=") else None, World(world))

    def subscript(self, name: str) -> Json:
        """What is set in the world of an event."""
        world: Json = {}
        if self.accept("_{"):
            self.depth += 1
            if self.depth > _DEEPEST:
                self.fail(f"more than {_DEEPEST} worlds stand inside each other")
            self.assignments(world, "}")
            self.expect("}", f"to close the subscript of {shortened(name, 40)}")
            self.depth -= 1
        return world

    def lower_bound(self) -> tuple[float, bool] | None:
        """``18<=`` before a name: the bound, and whether it belongs to the interval."""
        ahead = 0
        if self.next.text == "-":
            ahead = 1
        if len(self.tokens) <= self.at + ahead + 1:
            return None
        number, operator = self.tokens[self.at + ahead], self.tokens[self.at + ahead + 1]
        if number.kind != "number" or operator.text not in ("<", "<=", "≤"):
            return None
        bound = self.bound()
        self.take()
        return bound, operator.text != "<"

    def between(self, lower: tuple[float, bool], name: str, start: int) -> Interval:
        operator = self.accept("<", "<=", "≤")
        if operator is None:
            self.fail(f"expected '<' after {shortened(name, 40)}, as in 18<=age<65")
        return self.interval(
            low=lower[0],
            includes_low=lower[1],
            high=self.bound(),
            includes_high=operator.text != "<",
            start=start,
        )

    def region(self, operator: Token) -> Region:
        """The values that ``<50``, ``>=3`` or ``!=red`` stand for."""
        if operator.text in ("!=", "≠"):
            value = self.value()
            if value is None or isinstance(value, Bound):
                self.fail("expected one value after '!='", operator.position)
            return Except(value)
        start, bound = operator.position, self.bound()
        if operator.text in ("<", "<=", "≤"):
            return self.interval(high=bound, includes_high=operator.text != "<", start=start)
        return self.interval(low=bound, includes_low=operator.text != ">", start=start)

    def interval(
        self,
        *,
        start: int,
        low: float | None = None,
        high: float | None = None,
        includes_low: bool = True,
        includes_high: bool = True,
    ) -> Interval:
        try:
            return Interval(low, high, includes_low, includes_high)
        except QueryError as error:
            self._refuse(error, start)

    def bound(self) -> float:
        """A number with its sign."""
        negative = self.accept("-")
        token = self.take()
        if token.kind != "number":
            self.at -= token.kind != "end"
            self.fail("expected a number to compare with")
        if negative:
            return -self.number(token)
        return self.number(token)

    def assignments(self, into: Json, close: str) -> None:
        """``X=1, Z, M_{X=0}``: what is set, added to ``into``."""
        while True:
            start = self.next.position
            event = self.event("a variable that is set")
            if isinstance(event.value, Region):
                self.fail("do() sets one value, and no range of values", start)
            if event.do and event.value is not None:
                self.fail(
                    f"{shortened(event.variable, 60)} is set to what another world makes of it, so "
                    "it takes no value",
                    start,
                )
            if event.variable in into:
                self.fail(
                    (
                        f"{shortened(event.variable, 60)} is set twice; a world sets each "
                        "variable once"
                    ),
                    start,
                )
            if event.do:
                into[event.variable] = event
            else:
                into[event.variable] = event.value
            if not self.accept(","):
                break
        if self.next.text != close:
            self.fail(f"expected ',' or {close!r} after what is set")

    def name(self, what: str) -> str:
        token = self.take()
        if token.kind == "quoted":
            return unquoted(token.text)
        if token.kind not in ("name", "number"):
            self.at -= token.kind != "end"
            self.fail(f"expected {what}")
        return token.text

    def value(self) -> Any:
        if self.accept("*"):
            return None
        negative = self.accept("-")
        token = self.take()
        if token.kind == "number":
            number = self.number(token)
            if negative:
                return -number
            return number
        if negative:
            self.fail("expected a number after '-'", token.position)
        if token.kind == "quoted":
            return unquoted(token.text)
        if token.kind == "bound":
            return Bound(token.text[1:])
        if token.kind != "name":
            self.at -= token.kind != "end"
            self.fail('expected a value: a number, a word, "quoted words" or $name')
        if token.text.casefold() in _NO_NUMBERS:
            self.fail(
                f"{token.text} is no number that a variable can have; put it into quotes, "
                f'"{token.text}", '
                "if a category is called so",
                token.position,
            )
        return token.text

    def number(self, token: Token) -> int | float:
        """The finite number that is written."""
        if len(token.text) > _MOST_DIGITS:
            self.fail(f"a number has more than {_MOST_DIGITS} digits", token.position)
        if re.fullmatch(r"0\d+", token.text):
            self.fail(
                f'a number does not begin with 0: write {int(token.text)}, or "{token.text}" in '
                "quotes if a category is called so",
                token.position,
            )
        if re.search(r"[.eE]", token.text):
            number = float(token.text)
        else:
            number = int(token.text)
        if not math.isfinite(number):
            self.fail("this number is too large: it has to be finite", token.position)
        return number

    def quantity(self, head: Token) -> Any:
        """``ATE(Y=yes, X=1 vs 0, ... | conditions``: the arguments of a named quantity."""
        arguments: list[Argument] = []
        while True:
            name = self.name("a variable")
            if not self.accept("="):
                arguments.append(name)
            else:
                value = self.value()
                why = f"and a second value, as in {shortened(name, 40)}=1 vs 0"
                if arguments:
                    compared: Token | None = self.expect("vs", why)
                else:
                    compared = self.accept("vs")
                arguments.append((name, value, self.value()) if compared else (name, value))
            if not self.accept(","):
                break
        needed = PARTS[head.text]
        if len(arguments) != len(needed):
            missing = needed[len(arguments) :]
            wrong = "it has too many variables"
            if missing:
                wrong = f"it has no {missing[0]}"
            example = ", ".join("YXM"[: len(needed)])
            self.fail(f"{head.text} cannot be asked for: {wrong}; write {head.text}({example})")
        world, given = self.conditions()
        try:
            return QUANTITIES[head.text](self.make, *arguments, do=world, given=tuple(given))
        except QueryError as error:
            self._refuse(error, head.position)

    def _refuse(self, error: QueryError, position: int) -> NoReturn:
        """Raise ``error`` with the place in the text that it is about."""
        raise QueryError(f"{shortened(error, 400)}\n{self.marked(position)}") from None


def _on_one_line(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " "
