"""Curves show the numbers and the intervals that they were given; no edge runs behind a box."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection

import causalplug as cp
from causalplug import plots
from causalplug.plots.graph import laid_out
from causalplug.sampling.answers import Estimate
from tests.graph_cases import NAMED, random_admg
from tests.plots.test_figures import check_layout

TABLE = pd.DataFrame(
    {
        "dose": [1.0, 0.0, 2.0],
        "estimate": [0.5, 0.2, 0.9],
        "low": [0.45, 0.1, np.nan],
        "high": [0.8, 0.3, np.nan],
        "standard_error": 0.1,
    }
)


def test_a_line_in_the_order_of_the_doses_with_its_band():
    figure = plots.plot_curve(TABLE)
    (axes,) = figure.axes
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [0.0, 1.0, 2.0]
    assert line.get_ydata().tolist() == [0.2, 0.5, 0.9]
    (band,) = [part for part in axes.collections if isinstance(part, PolyCollection)]
    corners = {tuple(point) for path in band.get_paths() for point in path.vertices}
    assert {(0.0, 0.1), (0.0, 0.3), (1.0, 0.45), (1.0, 0.8)} <= corners
    assert max(x for x, _ in corners) == 1.0  # at 2 the model knows no interval
    assert axes.get_xlabel() == "do(dose)"
    check_layout(figure)


def test_a_curve_for_every_category_or_for_one():
    table = TABLE.loc[[0, 0, 1, 1]].reset_index(drop=True)
    table.insert(1, "Y", ["no", "yes"] * 2)
    assert len(plots.plot_curve(table).axes[0].lines) == 2
    one = plots.plot_curve({"model": table, "truth": ([0, 1], [0.2, 0.4])}, value="yes")
    assert len(one.axes[0].lines) == 2
    check_layout(one)
    with pytest.raises(cp.DataError, match="Y has no value 'maybe'; its values are no, yes"):
        plots.plot_curve(table, value="maybe")


def test_a_cause_of_categories_has_points():
    table = TABLE.assign(dose=["low", "none", "high"])
    (axes,) = plots.plot_curve(table).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["low", "none", "high"]
    (bars,) = [part for part in axes.collections if isinstance(part, LineCollection)]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0.45, 0.8], [0.1, 0.3]]


@pytest.mark.parametrize("wrong", [{}, {"a": ([0, 1], [0.1])}, {"a": pd.DataFrame({"x": [1]})}])
def test_what_is_not_a_curve(wrong):
    with pytest.raises(cp.DataError, match=r"(cannot|can) be drawn"):
        plots.plot_curve(wrong)


def test_the_curve_of_a_model():
    dcm = cp.DCM(cp.CausalGraph.parse("T -> Y"), {"T": cp.Continuous(), "Y": cp.Continuous()})
    dcm.sources = (cp.Source(["T", "Y"]),)
    curve = dcm.curve("Y", "T", [0.0, 1.0], n=200)
    (line,) = plots.plot_curve(curve).axes[0].lines
    assert line.get_ydata().tolist() == curve["estimate"].tolist()


def test_an_interval_need_not_be_symmetric():
    table = pd.DataFrame({"A": [0, 1], "estimate": [0.4, 0.6], "low": [0.1, np.nan], "high": 0.5})
    answer = Estimate("P(A)", table, {}, {}, 10, 10, 0.0, 0, "identifiable")
    (axes,) = plots.plot_distributions({"P(A)": {"model": answer}}).axes
    (bars,) = [part for part in axes.collections if isinstance(part, LineCollection)]
    assert bars.get_segments()[0][:, 1].tolist() == [0.1, 0.5]


def behind(graph):
    """Pairs of an edge and a variable behind whose box it runs."""
    places, arcs, _, _ = laid_out(graph, graph.variables, across=0.5, down=0.3)
    return [
        (arc, name)
        for arc in arcs
        for name, place in places.items()
        if name not in (arc.left, arc.right)
        and any(place.covers(x, y, 0.0) for x, y in arc.points(places, steps=60))
    ]


@pytest.mark.parametrize("name", NAMED)
def test_no_edge_runs_behind_a_box(name):
    assert behind(cp.CausalGraph.parse(NAMED[name])) == []


def test_nor_in_random_graphs():
    for seed in range(30):
        rng = random.Random(seed)
        graph = random_admg(seed, rng.randint(3, 12), rng.uniform(0.1, 0.4), rng.uniform(0, 0.3))
        assert behind(graph) == [], seed
