"""What would have been (layer 3): abduction, action, prediction.

Abduction keeps the rows of noise that agree with what was seen, whole: own noise, confounder noise
and the latents of frozen generators. A value that no row can hit by chance, a number or an image,
is set instead and its noise recovered from it, where the mechanism says how. Action and prediction
run the model on that noise under the interventions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalplug.data.arrow import from_arrow, is_arrow
from causalplug.data.plain import plain_columns
from causalplug.errors import QueryError
from causalplug.noise import Noise, Provenance
from causalplug.sampling.accept import Stream
from causalplug.sampling.condition import Evidence
from causalplug.sampling.evidence import compile_evidence
from causalplug.sampling.guard import seen_in
from causalplug.sampling.interventions import compile_do
from causalplug.sampling.memory import check_noise
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.request import check_count, request
from causalplug.sampling.sample import answer
from causalplug.sampling.worlds import Rows, World
from causalplug.values import Json, Named, Value
from causalplug.variables import Variable
from causalplug.wording import check_known

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.model.model import Model

__all__ = ["abduct", "counterfactual"]

FACTUAL = "factual"


def counterfactual(
    dcm: Model,
    n: int | Named | object,
    *,
    evidence: object = None,
    do: Named | None = None,
    worlds: Mapping[str, Named] | None = None,
    variables: str | Iterable[str] | None = None,
    factual: bool = False,
    draws: int = 1,
    options: SamplingOptions = DEFAULTS,
) -> pd.DataFrame:
    """Rows of what would have been; documented at :meth:`causalplug.DCM.counterfactual`."""
    started = time.perf_counter()
    seen, n, repeat = _seen(dcm, n, evidence, draws)
    given = compile_evidence(dcm, seen, n)
    settings = _settings(do, worlds)
    compiled: dict[str | None, World] = {}
    for label, setting in settings.items():
        compiled[label] = World(dcm.graph, compile_do(dcm, _repeated(dcm, setting, repeat), n))
    if factual and FACTUAL in compiled:
        raise QueryError(
            f"a world cannot be called {FACTUAL!r} beside factual=True, which adds one. Rename it."
        )
    if factual:
        compiled = {
            FACTUAL: World(dcm.graph),
            **{label or "counterfactual": w for label, w in compiled.items()},
        }
    asked = request(
        dcm,
        n,
        worlds=compiled,
        given=given,
        variables=variables,
        options=options,
    )
    return answer(asked, started)


def abduct(
    dcm: Model,
    n: int | object,
    *,
    evidence: object = None,
    draws: int = 1,
    options: SamplingOptions = DEFAULTS,
) -> Noise:
    """The noise of rows that agree with the evidence; documented at
    :meth:`causalplug.DCM.abduct`."""
    check_known(options.interpolate, dcm.graph.index, "interpolate= cannot be used")
    seen, n, _ = _seen(dcm, n, evidence, draws)
    check_noise(n)
    given = compile_evidence(dcm, seen, n)
    for i, part in enumerate(given):
        later = [(g.world, g.names) for g in given[i + 1 :]]
        part.prepare(dcm, later)
        part.recover_all(dcm)
    stream = Stream(
        dcm,
        n,
        given=given,
        options=options,
        whole=True,
    )
    parts = [part for _, part in stream.parts(_bare)]
    provenance = Provenance(seen_in(given), options.allow_unidentified)
    return Noise.cat(parts).to("cpu").chosen_for(provenance)


def _bare(rows: Rows) -> Noise:
    """The noise without the numbers drawn so far: they can be drawn again."""
    return rows.noise.to("cpu")


def _settings(do: Named | None, worlds: Mapping[str, Named] | None) -> dict[str | None, Named]:
    """Interventions by label of the world."""
    if worlds is None:
        return {None: do or {}}
    if do is not None:
        raise QueryError(
            "do= and worlds= cannot be given together: put do into each of the worlds."
        )
    if not isinstance(worlds, Mapping) or not worlds:
        raise QueryError(
            f"worlds={worlds!r} cannot be used: it maps names of your choice to interventions, for "
            "example {'treated': {'X': 1}, 'untreated': {'X': 0}}."
        )
    return {str(label): setting for label, setting in worlds.items()}


def _seen(
    dcm: Model, n: Value, evidence: Value, draws: int
) -> tuple[Value, int, tuple[int, int] | None]:
    """Evidence, number of rows, and (rows, draws) where rows of data were given in place of a
    number."""
    if hasattr(n, "__index__") and np.ndim(n) == 0:
        check_count(n)
        if draws != 1:
            raise QueryError(f"draws={draws} cannot be used with n={n}: ask for more rows instead.")
        return evidence, int(n), None
    check_count(draws)
    rows = _row_columns(dcm, n)
    count = set(map(len, rows.values()))
    if len(count) != 1:
        raise QueryError(
            f"the given rows cannot be used: their columns have different lengths, {sorted(count)}."
        )
    (length,) = count
    check_count(length)
    values = {name: _repeat(codes, draws) for name, codes in rows.items()}
    if evidence is None:
        return [Evidence(values)], length * draws, (length, draws)
    if isinstance(evidence, Mapping | Evidence):
        more = [evidence]
    else:
        more = list(evidence)
    return [Evidence(values), *more], length * draws, (length, draws)


def _row_columns(dcm: Model, rows: Value) -> Json:
    """Columns of users' values, each an array or tensor with one entry per row."""
    import pandas as pd

    if isinstance(rows, pd.Series):  # one row of a DataFrame
        rows = rows.to_dict()
    if is_arrow(rows) and not isinstance(rows, pd.DataFrame):
        table = from_arrow(rows)
        rows = plain_columns(table.names, table.read(None))
    if not isinstance(rows, Mapping | pd.DataFrame):
        raise QueryError(
            f"The rows of a counterfactual cannot be read from {type(rows).__name__}: give a "
            "number of rows, one row as a mapping, or a DataFrame of rows."
        )
    names = list(rows)
    check_known(names, dcm.graph.index, "the given rows cannot be used")
    if not names:
        raise QueryError("the given rows cannot be used: they have no columns.")
    found: dict[str, Value] = {}
    for name in names:
        found[name] = _decoded(dcm.variables[name], name, rows[name])
    return found


def _decoded(variable: Variable, name: str, column: Value) -> Value:
    """A column of given rows as the model gives its own: checked, one value per row."""
    if variable.is_image:
        return variable.encode(column, name)
    return variable.decode(variable.encode([column] if _is_value(column) else column, name))


def _is_value(column: Value) -> bool:
    if not isinstance(column, str):
        return np.ndim(column) == 0
    return True


def _repeat(values: Value, draws: int) -> Value:
    if draws == 1:
        return values
    if isinstance(values, torch.Tensor):
        return values.repeat_interleave(draws, 0)
    return np.repeat(values, draws, 0)


def _repeated(dcm: Model, do: Named, repeat: tuple[int, int] | None) -> Named:
    """Interventions that were written for the given rows, for every draw of them."""
    if repeat is None or repeat[1] == 1 or not isinstance(do, Mapping):
        return do
    length, draws = repeat
    found = {}
    for name, value in do.items():
        if name in dcm.variables and _is_one_per_row(dcm.variables[name], value, length):
            value = _repeat(np.asarray(value), draws)
        found[name] = value
    return found


def _is_one_per_row(variable: Variable, value: object, rows: int) -> bool:
    """Whether a setting holds one value of the variable for each of the rows."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sized):
        return False
    return len(value) == rows and np.ndim(value) > len(variable.event_shape)  # type: ignore[arg-type]
