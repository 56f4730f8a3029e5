"""Rules of the arguments that questions to a model share."""

from __future__ import annotations

from causalplug.arguments import COUNT, MAPPING, NAMES, ROWS, TEXT, instance
from causalplug.errors import QueryError, SamplingError
from causalplug.identification.query import Query

__all__ = ["DATA", "DO", "EFFECT", "GIVEN", "QUERY", "ROW_COUNT", "VARIABLES"]

DO = MAPPING.or_none("no intervention").raising(QueryError)
GIVEN = MAPPING.or_none("no condition").raising(QueryError)
VARIABLES = NAMES.or_none("all")
ROW_COUNT = COUNT.or_none().raising(SamplingError)
DATA = ROWS.or_none("none")
QUERY = TEXT.or_else(instance("a Query", Query))
EFFECT = {
    "outcome": TEXT,
    "treatment": TEXT,
    "given": GIVEN,
    "n": ROW_COUNT,
    "data": DATA,
}
