"""Every error that causalplug raises: one parent, and each also the builtin that a caller would
expect.

A message says, in this order: what cannot be done; the names involved; why, in one clause; one or
    two ways out.
"""

import re
import sys
import warnings

__all__ = [
    "CausalPlugError",
    "ConfounderWarning",
    "ConvergenceWarning",
    "CycleError",
    "DataError",
    "FitWarning",
    "FrozenConfounderError",
    "GraphError",
    "GraphFileError",
    "GraphWarning",
    "LabelMapError",
    "LicenseWarning",
    "MarginalWarning",
    "MechanismError",
    "MissingDependencyError",
    "NotIdentifiableError",
    "PlanError",
    "QueryError",
    "QuerySyntaxError",
    "RepositoryError",
    "SamplingError",
    "SourceError",
    "TrainingError",
    "UnknownVariableError",
    "VariableError",
    "warn_caller",
    "without_tokens",
]


_INSIDE = {__name__.partition(".")[0], "accelerate", "contextlib", "torch"}
"""Packages between the user's line and a warning of ours."""
_TOKEN = re.compile(r"hf_(?:oauth_)?[A-Za-z0-9]{20,}")


def without_tokens(text: str) -> str:
    """The text with ``[token]`` in place of whatever looks like a token of Hugging Face."""
    return _TOKEN.sub("[token]", text)


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that led to the warning, however deep it arose.

    Args:
        message: Text of the warning.
        category: Class of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class CausalPlugError(Exception):
    """Parent of every error of this package; what looks like a token is not shown."""

    def __init__(self, *told: object):
        super().__init__(*[without_tokens(t) if isinstance(t, str) else t for t in told])


class GraphError(CausalPlugError, ValueError):
    """The text, file or edges do not describe an acyclic directed mixed graph."""


class CycleError(GraphError):
    """The directed edges close a cycle; the message names its path."""


class GraphFileError(GraphError, FileNotFoundError):
    """There is no such file to read a graph from."""


class UnknownVariableError(CausalPlugError, LookupError):
    """A name that is not a variable of the graph."""


class SourceError(CausalPlugError, ValueError):
    """A data source contradicts the graph, another source or itself."""


class PlanError(CausalPlugError, ValueError):
    """The sources or the available generators cannot serve the graph."""


class FrozenConfounderError(PlanError):
    """A frozen generator was given for a variable that a hidden confounder touches."""


class QueryError(CausalPlugError, ValueError):
    """A query that makes no sense for the graph: unknown variables, clashing values."""


class QuerySyntaxError(QueryError):
    """Malformed query text; ``position`` is the offending character's index."""

    def __init__(self, message: str, position: int):
        super().__init__(message)
        self.position = position


class NotIdentifiableError(CausalPlugError, ValueError):
    """The query has no unique answer given the graph and the data sources; ``identification``
    holds the certificate."""

    def __init__(self, message: str, identification: object = None):
        super().__init__(message)
        self.identification = identification


class VariableError(CausalPlugError, ValueError):
    """A variable's declaration is wrong, or a value lies outside it."""


class DataError(CausalPlugError, ValueError):
    """Rows that cannot be used: missing columns, missing values, wrong shapes or types."""


class MechanismError(CausalPlugError, ValueError):
    """A mechanism does not fit its variable, its parents or its weights."""


class LabelMapError(MechanismError):
    """A label map has holes, unknown labels or probabilities that do not sum to one."""


class RepositoryError(CausalPlugError, ValueError):
    """A folder or Hub repository is incomplete, malformed or not to be trusted."""


class TrainingError(CausalPlugError, RuntimeError):
    """Training had to stop; the message says where the last checkpoint is."""


class SamplingError(CausalPlugError, RuntimeError):
    """Sampling had to stop, for instance because the evidence is too rare."""


class MissingDependencyError(CausalPlugError, ImportError):
    """An optional library is not installed; the message has the command that installs it."""


class ConfounderWarning(UserWarning):
    """A graph has too many cliques of bidirected edges for one confounder noise each; some
    hidden causes of three and more variables cannot be learned."""


class ConvergenceWarning(UserWarning):
    """A module did not reach its target distribution; modules that depend on it inherit the
    error."""


class MarginalWarning(UserWarning):
    """A column has atoms or heavy tails that a mechanism trained before cannot show."""


class FitWarning(UserWarning):
    """A frozen generator's P(V | pa(V)) is not that of the rows; answers through it inherit the
    difference."""


class GraphWarning(UserWarning):
    """The rows contradict what the graph implies; answers rest on the graph."""


class LicenseWarning(UserWarning):
    """The licence of a pretrained part does not allow what the user said it is for."""
