"""Other libraries on the same rows: what ``benchmarks/field.py --peers`` compares with.

None of them is needed by causalplug: they are imported when they are used, and left out where they
are not installed (``pip install -r benchmarks/field-requirements.txt``).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import pandas as pd

import causalplug as cp
from benchmarks.field_models import Structural

__all__ = ["PEERS", "Side"]


class Side(Protocol):
    """What is compared: a fit, means under interventions, counterfactuals of rows."""

    name: str

    @property
    def remark(self) -> str: ...

    def fit(self, model: Structural, rows: pd.DataFrame) -> None: ...

    def mean(self, do: dict[str, float], n: int) -> pd.Series: ...

    def counterfactual(self, rows: pd.DataFrame, do: dict[str, float]) -> pd.DataFrame: ...


class Gcm:
    """dowhy.gcm with automatically assigned mechanisms of quality GOOD (Bloebaum et al. 2024)."""

    name, remark = "dowhy.gcm", ""

    @staticmethod
    def available() -> bool:
        return find_spec("dowhy") is not None

    def fit(self, model: Structural, rows: pd.DataFrame) -> None:
        import networkx as nx
        from dowhy import gcm

        gcm.config.disable_progress_bars()
        self.gcm: Any = gcm
        graph = cp.CausalGraph.parse(model.graph)
        self.model = gcm.InvertibleStructuralCausalModel(nx.DiGraph(list(graph.directed)))
        gcm.auto.assign_causal_mechanisms(self.model, rows, quality=gcm.auto.AssignmentQuality.GOOD)
        gcm.fit(self.model, rows)

    def mean(self, do: dict[str, float], n: int) -> pd.Series:
        set_to = {name: _constant(value) for name, value in do.items()}
        return self.gcm.interventional_samples(self.model, set_to, num_samples_to_draw=n).mean()

    def counterfactual(self, rows: pd.DataFrame, do: dict[str, float]) -> pd.DataFrame:
        set_to = {name: _constant(value) for name, value in do.items()}
        found = self.gcm.counterfactual_samples(self.model, set_to, observed_data=rows)
        return found.reset_index(drop=True)


def _constant(value: float) -> Any:
    return lambda _: value


class Flows:
    """A causal normalizing flow: neural splines of (64, 64), Adam at 1e-3, 3,000 steps
    (Javaloy et al. 2023)."""

    name, remark = "causalflows", ""
    steps, batch = 3000, 256

    @staticmethod
    def available() -> bool:
        return find_spec("causalflows") is not None

    def fit(self, model: Structural, rows: pd.DataFrame) -> None:
        import torch
        from causalflows.flows import CausalNSF

        graph = cp.CausalGraph.parse(model.graph)
        self.order = list(graph.topological_order())
        adjacency = torch.eye(len(self.order), dtype=torch.bool)
        for a, b in graph.directed:
            adjacency[self.order.index(b), self.order.index(a)] = True
        values = torch.as_tensor(rows[self.order].to_numpy(np.float32))
        self.loc, self.scale = values.mean(0), values.std(0)
        values = (values - self.loc) / self.scale
        torch.manual_seed(0)
        options = {"adjacency": adjacency, "hidden_features": (64, 64)}
        self.flow = CausalNSF(features=len(self.order), context=0, **options)
        optimizer = torch.optim.Adam(self.flow.parameters(), lr=1e-3)
        for _ in range(self.steps):
            batch = values[torch.randint(len(values), (self.batch,))]
            loss = -self.flow().log_prob(batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def _set(self, do: dict[str, float]) -> dict[str, Any]:
        ((name, value),) = do.items()
        index = self.order.index(name)
        return {"index": index, "value": (value - self.loc[index]) / self.scale[index]}

    def _frame(self, values: Any) -> pd.DataFrame:
        return pd.DataFrame((values * self.scale + self.loc).detach().numpy(), columns=self.order)

    def mean(self, do: dict[str, float], n: int) -> pd.Series:
        return self._frame(
            self.flow().sample_interventional(**self._set(do), sample_shape=(n,))
        ).mean()

    def counterfactual(self, rows: pd.DataFrame, do: dict[str, float]) -> pd.DataFrame:
        import torch

        values = torch.as_tensor(rows[self.order].to_numpy(np.float32))
        values = (values - self.loc) / self.scale
        return self._frame(self.flow().compute_counterfactual(values, **self._set(do)))


PEERS = [Gcm, Flows]
