"""Pictures: everything of the plan is in them, nothing overlaps, and no global state is touched."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from itertools import combinations, pairwise

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text

from causalplug.graphs.graph import CausalGraph
from causalplug.planning.plan import plan
from causalplug.plots import plot_graph, plot_plan
from causalplug.plots.graph import laid_out
from causalplug.plots.style import COLOURS
from tests.graph_cases import NAMED, random_admg, ring

GRAPHS = {name: CausalGraph.parse(text) for name, text in NAMED.items()} | {
    "ring": ring(4),
    "30 variables": random_admg(11, 30, 0.07, 0.03),
    "odd names": CausalGraph.parse(
        '"$x_1$" -> "a name that is too long to be shown" <-> "%&"; "$x_1$" <-> "%&"'
    ),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def arrows(figure: Figure) -> list[FancyArrowPatch]:
    return figure.findobj(FancyArrowPatch)


def overlaps(first: FancyBboxPatch, second: FancyBboxPatch) -> bool:
    return first.get_window_extent().overlaps(second.get_window_extent())


@pytest.mark.parametrize("name", GRAPHS)
def test_a_plan_is_drawn_whole(name: str) -> None:
    graph = GRAPHS[name]
    made = plan(graph)
    figure = made.plot()
    written = texts(figure)
    for number, module in enumerate(made.modules, start=1):
        assert f"{number}  {module.label}" in written
    short = [variable for variable in graph.variables if len(variable) <= 22]
    assert all(written.count(variable) == 1 for variable in short)
    dashed = [
        arrow
        for arrow in arrows(figure)
        if to_hex(arrow.get_edgecolor()).upper() == COLOURS["confounder"]
    ]
    assert len(dashed) == len(graph.bidirected)
    assert len(arrows(figure)) == len(graph.directed) + len(graph.bidirected) + len(made.edges)
    boxes = [patch for patch in figure.findobj(FancyBboxPatch) if patch.get_zorder() == 2]
    plates = [patch for patch in figure.findobj(FancyBboxPatch) if patch.get_zorder() == 6]
    assert (len(boxes), len(plates)) == (len(made.modules), len(graph.variables))
    assert not any(overlaps(a, b) for a, b in combinations(boxes, 2))
    assert not any(overlaps(a, b) for a, b in combinations(plates, 2))
    inside = figure.bbox
    for patch in [*boxes, *plates]:
        extent = patch.get_window_extent()
        assert inside.x0 <= extent.x0 <= extent.x1 <= inside.x1
        assert inside.y0 <= extent.y0 <= extent.y1 <= inside.y1


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_drawn_whole(name: str) -> None:
    graph = GRAPHS[name]
    figure = plot_graph(graph)
    assert len(arrows(figure)) == len(graph.directed) + len(graph.bidirected)
    figure.savefig(BytesIO(), format="png")


def test_causes_stand_left_of_their_effects() -> None:
    for seed in range(20):
        graph = random_admg(seed, 8, 0.3, 0.2)
        places, _, _, _ = laid_out(graph, graph.variables)
        assert all(places[cause].x < places[effect].x for cause, effect in graph.directed)
    places, _, _, _ = laid_out(CausalGraph.parse(NAMED["front-door"]), ["D", "A"])
    assert places["D"].x < places["A"].x


def test_generations_go_downwards() -> None:
    made = plan(GRAPHS["30 variables"])
    figure = made.plot()
    heights = {text.get_text(): text.get_position()[1] for text in figure.findobj(Text)}
    title = {m.variables: heights[f"{i}  {m.label}"] for i, m in enumerate(made.modules, start=1)}
    assert made.edges
    assert all(title[earlier] > title[later] for earlier, later in made.edges)


def test_options() -> None:
    made = plan(CausalGraph.parse(NAMED["front-door"]), available={"I": "someone/mnist"})
    assert len(arrows(plot_plan(made, causal=False))) == 2
    assert "confounder" in texts(plot_plan(made))
    assert "confounder" not in texts(plot_plan(made, legend=False))
    assert "pulled" in texts(plot_plan(made))
    assert "could be pulled" in texts(plot_plan(plan(made.graph)))
    figure = Figure()
    assert plot_plan(made, ax=figure.add_subplot(2, 1, 1)) is figure


def test_a_renderer_has_the_colour_of_what_is_pulled() -> None:
    graph = CausalGraph.parse("S -> X -> D; X <-> D")
    made = plan(graph, available={"X": "someone/renderer"})
    plates = [patch for patch in made.plot().findobj(FancyBboxPatch) if patch.get_zorder() == 6]
    assert len({patch.get_facecolor() for patch in plates}) == 2
    assert "2  TRAIN code, PULL renderer" in texts(made.plot())


LARGE = (
    "1 -> 2 -> 3; 2 -> 5; 7, 8 -> 6; 4 -> 7; 5 -> 8; 11 -> 8; 6 -> 9; 19 -> 9; 10 -> 11; 16 -> "
    "10; 8 -> 14; 9 -> 17; 13 -> 19; 27 -> 15; 14 -> 23; 1 <-> 3; 5 <-> 6; 7 <-> 9; 10 <-> 8; 11 "
    "<-> 9; 23 <-> 27; 17 <-> 19"
)


def runs_over_names(figure: Figure) -> int:
    """How often a thin arrow runs behind the name of a variable that is not its end."""
    figure.draw_without_rendering()
    plates = [
        patch.get_window_extent()
        for patch in figure.findobj(FancyBboxPatch)
        if patch.get_zorder() == 6
    ]
    found = 0
    for thin in arrows(figure):
        if to_hex(thin.get_edgecolor()).upper() == COLOURS["outer edge"]:
            paths, _ = thin._get_path_in_displaycoord()
            corners = paths[0].cleaned(curves=False).vertices[:-1]
            points = [
                p + (q - p) * part for p, q in pairwise(corners) for part in (0, 0.25, 0.5, 0.75)
            ]
            found += sum(any(box.contains(x, y) for x, y in points) for box in plates)
    return found


@pytest.mark.parametrize(
    ("graph", "share"), [(CausalGraph.parse(LARGE), 0.0), (random_admg(11, 30, 0.15, 0.03), 0.35)]
)
def test_thin_arrows_run_around_names(
    graph: CausalGraph, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = runs_over_names(plan(graph).plot())
    monkeypatch.setattr("causalplug.plots.plan.clear_bend", lambda *_: 0.06)
    straight = runs_over_names(plan(graph).plot())
    assert straight > 0
    assert around <= share * straight


def test_no_global_state_is_touched() -> None:
    code = (
        "import sys\n"
        "from causalplug.graphs.graph import CausalGraph\n"
        "from causalplug.planning.plan import plan\n"
        "plan(CausalGraph.parse('D -> I -> A; D <-> A')).plot()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
