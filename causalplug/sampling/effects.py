"""Effects and curves: the questions that are asked most, put together for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from causalplug.caveats import unique_caveats
from causalplug.errors import QueryError
from causalplug.identification.quantities import ate
from causalplug.identification.query import Event, Query
from causalplug.sampling.answers import Estimate
from causalplug.sampling.terms import category
from causalplug.selection import all_of_kind, to_dicts
from causalplug.values import Named
from causalplug.variables import Discrete, Variable
from causalplug.wording import check_known

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.model.model import Model

__all__ = ["ate_query", "curve", "curve_table"]


def ate_query(
    dcm: Model,
    outcome: str,
    treatment: str,
    *,
    value: object = None,
    treated: object = None,
    control: object = None,
    given: Named | None = None,
) -> Query:
    """The average treatment effect as a query; documented at :meth:`causalplug.DCM.ate`."""
    check_known(
        [outcome, treatment, *(given or {})], dcm.graph.index, "the effect cannot be estimated"
    )
    treated, control = _levels(dcm, treatment, treated, control)
    outcome_variable: Any = dcm.variables[outcome]
    if value is None and outcome_variable.is_discrete and not _numeric(outcome_variable):
        if outcome_variable.size != 2:
            raise QueryError(
                f"the effect on {outcome!r} cannot be estimated: its categories are "
                f"{outcome_variable.size} names, which have no mean. Say which probability you "
                f"mean, for example value={outcome_variable.categories[-1]!r}."
            )
        value = outcome_variable.categories[1]
    if value is None:
        asked: str | tuple[str, object] = outcome
    else:
        asked = (outcome, value)
    return ate(
        Query,
        asked,
        (treatment, treated, control),
        given=tuple(Event(*item) for item in (given or {}).items()),
    )


def _numeric(variable: Discrete) -> bool:
    return all_of_kind(variable.categories, int | float)


def _levels(dcm: Model, treatment: str, treated: object, control: object) -> tuple[object, Any]:
    """The two values to compare: those given, or the two that a binary variable has."""
    variable = dcm.variables[treatment]
    if not (variable.is_discrete or variable.is_number):
        if variable.is_image:
            what = "an image"
        else:
            what = f"of kind {variable.kind}"
        raise QueryError(
            f"the effect of {treatment!r} cannot be estimated: it is {what}. Use DCM.sample(do=…)."
        )
    if variable.is_discrete:
        treated, control = (
            _known(variable, treated, treatment),
            _known(variable, control, treatment),
        )
    if treated is not None and control is not None:
        return treated, control
    if not variable.is_discrete or variable.size != 2:
        raise QueryError(
            f"the effect of {treatment!r} cannot be estimated without the two values to compare: "
            "it has more than two. Give treated= and control=."
        )
    first, second = variable.categories
    if treated is None:
        treated = first
        if control is None or control == first:
            treated = second
    return treated, (first if treated == second else second) if control is None else control


def _known(variable: Variable, value: object, name: str) -> object:
    """The category that a value means; None stays None."""
    if value is None:
        return None
    return category(variable, value, name)


def curve(
    estimate: Callable[[Query], Estimate],
    outcome: str,
    treatment: str,
    values: Iterable[object],
    given: Named | None,
    variables: Named,
) -> pd.DataFrame:
    """The outcome at several values of do(treatment); documented at
    :meth:`causalplug.DCM.curve`."""
    check_known([outcome, treatment, *(given or {})], variables, "the curve cannot be estimated")
    variable = variables[outcome]
    expectation = not variable.is_discrete or _numeric(variable)
    asked = []
    for value in values:
        _check_value(variables[treatment], value, treatment)
        query = Query(
            outcome, do={treatment: value}, given=dict(given or {}), expectation=expectation
        )
        asked.append((value, query))
    if not asked:
        raise QueryError(f"the curve over {treatment!r} has no points: values= is empty.")
    return curve_table(treatment, [(value, estimate(query)) for value, query in asked])


def _check_value(variable: Variable, value: object, name: str) -> None:
    """Refuse a value that the treatment does not have, before anything is sampled.

    Raises:
        DataError: It is outside the declaration.
    """
    if isinstance(variable, Discrete):
        category(variable, value, name)
    elif variable.is_number:
        variable.encode([value], name)


def curve_table(treatment: str, points: list[tuple[object, Estimate]]) -> pd.DataFrame:
    """One table from the estimates at every value; ``attrs`` hold the status of the worst."""
    import pandas as pd

    tables = []
    for value, answer in points:
        table = answer.table.copy()
        table.insert(0, treatment, [value] * len(table))
        tables.append(table)
    frame = pd.concat(tables, ignore_index=True)
    marked = [answer for _, answer in points if answer.marked]
    found = [caveat for _, answer in points for caveat in answer.warnings]
    frame.attrs = {
        "identification": (marked or [points[0][1]])[0].status,
        "warnings": to_dicts(unique_caveats(found)),
        "seconds": sum(a.seconds for _, a in points),
    }
    return frame
