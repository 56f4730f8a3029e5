"""What ``causalplug train`` is told in a file: graph, variables, mechanisms, sources and settings,
checked first.

.. code-block:: toml

    graph = "D -> I -> A; D <-> A"        # or a file
    output_dir = "runs/frontdoor"

    [variables]
    D = 2                                 # the number of categories
    A = ["red", "green", "blue"]          # their names
    I = "image 3x32x32"                   # channels x height x width, values in [0, 1]
    N = "continuous"

    [mechanisms.I]
    repo = "user/mnist-cgan"              # a Hub id or a folder
    label_map = "estimate"

    [[sources]] file = "observed.csv"

    [[sources]] file = "experiment.csv" do = ["D"] columns = ["D", "A"] where = {site = "B"}

    [settings] steps = 1500 seed = 0
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.cli.declarations import checked_settings, declared
from causalplug.cli.files import read_file
from causalplug.cli.given import read_given_graph
from causalplug.cli.sources import SOURCE, TEXT_KEYS, beside, declared_source
from causalplug.errors import DataError, SourceError, UnknownVariableError, VariableError
from causalplug.files.validation import check_keys
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.plan import Plan, check_pull, plan
from causalplug.selection import drop, without
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from causalplug.data.source import DataSource
    from causalplug.dcm import DCM
    from causalplug.variables import Variable

__all__ = ["RunFile"]

_PART = {
    "repo": str,
    "revision?": str,
    "subfolder?": str,
    "label_map?": str | dict[str, object],
    "transform?": str | list[str],
}
_SCHEMA = {
    "graph": str,
    "latents?": list[str],
    "output_dir?": str,
    "variables": {str: object},
    "mechanisms?": {str: _PART},
    "encoders?": {str: {"repo": str, "revision?": str, "subfolder?": str}},
    "sources": [SOURCE],
    "model?": {
        "hidden?": list[int],
        "confounder_size?": int,
        "counterfactuals?": bool | list[str],
        "seed?": int,
    },
    "settings?": dict[str, object],
}


@dataclass(frozen=True)
class RunFile:
    """A run, read from a file and checked as far as that goes without rows and without networks.

    Attributes:
        path: The file; paths in it are relative to its folder.
        data: What it says.
        graph, variables, settings: As they are for :class:`causalplug.DCM` and
            :class:`causalplug.TrainingConfig`.
    """

    path: Path
    data: Json
    graph: CausalGraph
    variables: dict[str, Variable]
    settings: Json

    @classmethod
    def read(cls, path: Path) -> RunFile:
        """Read and check a file.

        Raises:
            DataError, RepositoryError: It is malformed, keys are missing or unknown.
            GraphError, VariableError, UnknownVariableError, TrainingError: What it says makes no
                sense.
        """
        data = check_keys(read_file(path), _SCHEMA, where=str(path))
        file = path.parent / data["graph"]
        if os.path.isfile(file):
            named = str(file)
        else:
            named = data["graph"]
        graph = read_given_graph(named, latents=data.get("latents", ()))
        variables = {}
        for name, item in data["variables"].items():
            variables[name] = declared(item, name)
        _check_names(graph, data, path)
        if not data["sources"] or not all("file" in item for item in data["sources"]):
            raise SourceError(
                f"{path} cannot be used: training needs rows; write [[sources]] with file = "
                '"rows.csv"'
            )
        return cls(
            path,
            data,
            graph,
            variables,
            checked_settings(data.get("settings", {}), f"{path}: settings"),
        )

    @property
    def output_dir(self) -> Path | None:
        """Where the run goes by the file's word."""
        if "output_dir" in self.data:
            return self.path.parent / self.data["output_dir"]
        return None

    def plan(self) -> Plan:
        """The plan, from the headers of the tables alone.

        Raises:
            PlanError, SourceError: The sources cannot serve the graph, or a generator cannot stand
                where it should.
        """
        for name in self.data.get("mechanisms", {}):
            check_pull(self.graph, name)
        kinds = {name: variable.kind for name, variable in self.variables.items()}
        available = {name: item["repo"] for name, item in self.data.get("mechanisms", {}).items()}
        objective = self.settings.get("objective")
        return plan(
            self.graph,
            [declared_source(item, self.path) for item in self.data["sources"]],
            available=available,
            objective=objective,
            kinds=kinds,
            counterfactuals=self.data.get("model", {}).get("counterfactuals", False),
        )

    def sources(self) -> list[DataSource]:
        """The tables, read.

        Raises:
            DataError, SourceError: They cannot be read.
        """
        from causalplug.data.source import DataSource

        found = []
        for item in self.data["sources"]:
            found.append(
                DataSource(
                    beside(item["file"], self.path),
                    do=item.get("do", ()),
                    columns=item.get("columns"),
                    name=item.get("name", item["file"]),
                    where=_conditions(item.get("where", {})),
                    **{key: item[key] for key in TEXT_KEYS if key in item},
                )
            )
        return found

    def build(self, preset: str | None = None) -> DCM:
        """The model before training, its generators and encoders loaded.

        Args:
            preset: Name of the preset whose networks the model has where the file does not say.

        Raises:
            RepositoryError, MechanismError: A generator or an encoder cannot be had, or does not
                fit.
        """
        from causalplug.dcm import DCM
        from causalplug.training.config import TrainingConfig

        networks: Json = {}
        if preset is not None:
            networks = TrainingConfig.networks(preset)
        return DCM(
            self.graph,
            self.variables,
            mechanisms=self._parts("mechanisms"),
            encoders=self._parts("encoders"),
            **(networks | self.data.get("model", {})),
        )

    def _parts(self, what: str) -> Json:
        from causalplug.load import from_pretrained

        found = {}
        for name, item in self.data.get(what, {}).items():
            folder = self.path.parent / item["repo"]
            options = drop(item, ("repo",))
            if isinstance(options.get("label_map"), dict):
                options["label_map"] = self._table(name, options["label_map"])
            found[name] = from_pretrained(folder if folder.is_dir() else item["repo"], **options)
        return found

    def _table(self, name: str, table: Named) -> dict[Any, Any]:
        """A label map by parent's value, its keys turned from text into the values that they
        name."""
        parents = self.graph.parents(name)
        if len(parents) != 1 or not self.variables[parents[0]].is_discrete:
            raise DataError(
                f"{self.path} cannot be used: mechanisms.{name}.label_map is a table, which needs "
                'one discrete parent; write "estimate", or bind the generator in Python'
            )
        values = {str(value): value for value in self.variables[parents[0]].categories}
        return {values.get(key, key): label for key, label in table.items()}


def _conditions(where: Named) -> Json:
    """Conditions on rows: a value, a list of values, or ``{low = 0.5, high = 1}``."""
    found: Json = {}
    for name, condition in where.items():
        if isinstance(condition, Mapping):
            if not condition or not set(condition) <= {"low", "high"}:
                raise DataError(
                    f"where.{name} cannot be used: an interval has the keys low and high; got "
                    f"{', '.join(condition) or 'none'}"
                )
            condition = (condition.get("low"), condition.get("high"))
        found[name] = condition
    return found


def _check_names(graph: CausalGraph, data: Named, path: Path) -> None:
    """Declarations, mechanisms and encoders are of the graph's variables, and every variable is
    declared."""
    from causalplug.wording import did_you_mean

    for what in ("variables", "mechanisms", "encoders"):
        for name in data.get(what, {}):
            if name not in graph:
                hint = (
                    did_you_mean(name, graph.variables)
                    or f"; its variables are {', '.join(graph.variables)}"
                )
                raise UnknownVariableError(
                    f"{path} cannot be used: {what}.{name} is not in the graph{hint}"
                )
    missing = without(graph.variables, data["variables"])
    if missing:
        raise VariableError(
            f"{path} cannot be used: {', '.join(missing)} is not declared; write for example "
            f"{missing[0]} = 2 under [variables]"
        )
