"""Whether proxies tell the values of a hidden cause apart, on the model that answers.

The answer is divided by the determinant of the bridge equations, see
:mod:`causalplug.identification.proxies`. Where it cannot be told from zero there is no answer, as
with an instrument that does nothing; where it is small beside its standard error, the answer's
interval is not to be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from causalplug.caveats import Caveat
from causalplug.errors import SamplingError
from causalplug.identification.identification import Identification
from causalplug.identification.query import Query
from causalplug.sampling.answers import Estimate

__all__ = ["completeness_caveats"]

_LEAST = 2.0  # standard errors from zero
_STRONG = math.sqrt(10)  # the F statistic of ten of Staiger & Stock (1997), of one number
_TINY = 1e-3  # where there is no standard error


def completeness_caveats(
    identification: Identification | None, ask: Callable[[Query], Estimate]
) -> tuple[Caveat, ...]:
    """Caveats about proxies that hardly tell the values of a hidden cause apart.

    Args:
        identification: The decision by which the model is asked.
        ask: The model's answer to another query, with its interval.

    Raises:
        SamplingError: The proxies do not tell them apart at all.
    """
    if identification is None:
        return ()
    found = []
    for test in identification.not_zero:
        answer = ask(test)
        value, error = answer.value, answer.standard_error
        if not math.isfinite(error):
            error = math.nan
        _refuse_zero(identification, test, value, error)
        found += _doubt(test, value, error)
    return tuple(found)


def _refuse_zero(identification: Identification, test: Query, value: float, error: float) -> None:
    known = math.isfinite(error)
    least = _LEAST * error if known else _TINY
    if math.isfinite(value) and abs(value) > least:
        return
    shown = f"{value:.3g}"
    if known:
        shown = f"{value:.3g}, with standard error {error:.3g}"
    raise SamplingError(
        f"{identification.query.name or identification.query} cannot be answered by proxies: the "
        f"answer is divided by {test}, which is {shown} and cannot be told from zero. The proxies "
        "do not tell as many values of the hidden cause apart as they have: merge values of both "
        "(with fewer, the hidden cause may have no more), take stronger proxies or more rows, or "
        "ask causalplug.bounds, which needs none"
    )


def _doubt(test: Query, value: float, error: float) -> list[Caveat]:
    if not math.isfinite(error):
        text = f"Whether {test} is zero could not be tested: it has no interval."
        return [Caveat("not checked", "proxies", text, {"determinant": value})]
    if abs(value) >= _STRONG * error:
        return []
    text = (
        f"The proxies are weak: the answer is divided by {test}, which is only "
        f"{abs(value) / error:.1f} standard errors from zero, so that its interval may be too "
        "narrow."
    )
    return [
        Caveat("weak proxies", "proxies", text, {"determinant": value, "standard error": error})
    ]
