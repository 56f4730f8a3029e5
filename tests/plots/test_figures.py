"""Pictures of results: they show the numbers that they were given, nothing runs out of the
figure, no text overlaps."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

import causalplug as cp
from causalplug import plots
from causalplug.adapters.callable import CallableGenerator
from causalplug.checks.fit import ConfigurationFit, FitReport
from causalplug.errors import DataError, NotIdentifiableError, VariableError
from causalplug.plots.drivers import _numbers
from causalplug.plots.style import SERIES, panels
from causalplug.training.report import ModuleReport, TrainingReport
from causalplug.training.validation import Distance

IMAGE = cp.Image(1, 6, 6)


def check_layout(figure: Figure) -> None:
    """All text lies in the figure and no two pieces of it overlap."""
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in written(figure)]
    assert boxes
    for text, box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 1 <= box.y0, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    upright = [
        (text.get_text(), text.get_window_extent())
        for text in written(figure)
        if text.get_rotation() % 90 == 0
    ]
    for (one, a), (other, b) in combinations(upright, 2):
        assert not a.overlaps(b), (one, other)


def written(figure: Figure) -> list[Text]:
    """Every text that is seen: titles, labels, legends, and those tick labels that lie in the
    view."""
    found = [text for text in (figure._suptitle, figure._supxlabel) if text is not None]
    found += [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            places = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
            found += [label for at, label in places if min(limits) <= at <= max(limits)]
    return [text for text in found if text.get_text() and text.get_visible()]


def report(*modules: ModuleReport) -> TrainingReport:
    return TrainingReport(list(modules))


def module(
    names: tuple[str, ...], measures: dict[str, list[float]], best: int = 200
) -> ModuleReport:
    points = [
        {"step": 100.0 * (i + 1), "loss": 1.0, key: v}
        for key, vs in measures.items()
        for i, v in enumerate(vs)
    ]
    distances = (Distance("P(D, A)", 1000, tvd=0.02, floor=0.01, ceiling=0.03),)
    return ModuleReport(names, "warm", 400, best, distances=distances, curve=points)


def test_training_shows_every_validation_the_floor_and_the_kept_step() -> None:
    values = [0.2, 0.1, 0.05, 0.04]
    figure = plots.plot_training(
        report(module(("D", "A"), {"nll": [1.5, 1.2], "tvd": values}, best=300))
    )
    likelihood, distance = figure.axes
    assert likelihood.lines[0].get_ydata().tolist() == [1.5, 1.2]
    assert distance.lines[0].get_ydata().tolist() == values
    assert [
        line.get_ydata()[0] for line in distance.lines if line.get_label() == "sampling floor"
    ] == [0.01]
    (kept,) = [line for line in distance.lines if line.get_label() == "kept"]
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (300, 0.05)
    check_layout(figure)


def test_training_of_many_modules() -> None:
    names = [(f"variable_{i}", "another", "third") for i in range(5)]
    figure = plots.plot_training(report(*(module(name, {"tvd": [0.3, 0.2]}) for name in names)))
    assert sum(axes.get_visible() for axes in figure.axes) == 5
    check_layout(figure)
    with pytest.raises(DataError, match="no curve"):
        plots.plot_training(report(ModuleReport(("A",), "adversarial")))


def test_bars_have_the_heights_of_the_distributions() -> None:
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> Y"),
        {"X": cp.Discrete(["no", "yes"]), "Y": cp.Discrete(["a", "b", "c"])},
    )
    answer = dcm.estimate("P(Y | do(X=yes))", n=500)
    given: dict[str, Any] = {
        "truth": [0.2, 0.3, 0.5],
        "model": answer,
        "naive": {"c": 0.1, "a": 0.6, "b": 0.3},
    }
    figure = plots.plot_distributions({"P(Y | do(X=yes))": given})
    (axes,) = figure.axes
    groups = [group for group in axes.containers if isinstance(group, BarContainer)]
    heights = [[bar.get_height() for bar in bars] for bars in groups]
    assert heights == [[0.2, 0.3, 0.5], answer.table["estimate"].tolist(), [0.6, 0.3, 0.1]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    colours = [to_hex(bars[0].get_facecolor()).upper() for bars in groups]
    assert colours == [SERIES[name] for name in ("truth", "model", "naive")]
    check_layout(figure)


def test_bars_of_two_questions_and_long_names() -> None:
    names = ["very much better", "the same", "very much worse", "not known to us"]
    bars = {kind: dict.fromkeys(names, 0.25) for kind in ("data", "model", "sample of another")}
    figure = plots.plot_distributions({f"P(outcome | do(treatment={x}))": bars for x in (0, 1)})
    check_layout(figure)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "at least one"),
        ({"P(Y)": {}}, "at least one"),
        ({"P(Y)": {"model": {"a": 1.0}, "truth": {"b": 1.0}}}, "the same values"),
        ({"P(Y)": {"model": [0.5, 0.5], "truth": [1.0]}}, "the same values"),
        ({"P(Y)": {"model": [[0.5, 0.5]]}}, "one probability per value"),
    ],
)
def test_distributions_that_cannot_be_drawn(answers: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        plots.plot_distributions(answers)


@pytest.fixture(scope="module")
def painter() -> cp.DCM:
    """An image whose level is D's and whose texture is the latent, and an A that reads it."""

    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        texture = 0.2 + 0.1 * np.tanh(latent).reshape(-1, 1, 6, 6)
        return (texture + 0.5 * labels[:, 0, None, None, None]).astype(np.float32)

    made = CallableGenerator(paint, IMAGE, [cp.Label("level", 2)], latent_shape=(36,))
    variables = {"D": cp.Discrete(["low", "high"]), "I": IMAGE}
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), variables, mechanisms={"I": made})
    dcm.sources = (cp.Source(["D", "I"]),)
    return dcm


def shown(figure: Figure, lines: int, columns: int) -> np.ndarray:
    """Pixels ``(lines, columns, height, width)`` of the images in a figure."""
    flat = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    return np.stack(flat).reshape(lines, columns, 6, 6).astype(float)


def test_in_a_column_only_the_intervention_differs(painter: cp.DCM) -> None:
    real = {"rows": np.random.default_rng(0).random((9, 1, 6, 6), dtype=np.float32)}
    figure = plots.plot_interventions(
        painter, "I", [{"D": "low"}, {"D": "high"}], n=5, seed=3, rows=real
    )
    rows, low, high = shown(figure, 3, 5)
    assert np.abs(rows - 255 * real["rows"][:5, 0]).max() <= 0.51
    assert np.abs(high - low - 127.5).max() <= 1.0
    assert np.abs(low[0] - low[1]).max() > 10
    labels = [axes.get_ylabel() for axes in figure.axes[::5]]
    assert labels == ["rows", "do(D=low)", "do(D=high)"]
    check_layout(figure)
    assert figure.get_supxlabel() == ""


def test_counterfactual_pairs_are_of_one_unit_and_say_what_they_rest_on(painter: cp.DCM) -> None:
    ask: dict[str, Any] = {"evidence": {"D": "low"}, "do": {"D": "high"}, "n": 4}
    with pytest.raises(NotIdentifiableError):
        plots.plot_counterfactuals(painter, "I", **ask)
    figure = plots.plot_counterfactuals(painter, "I", **ask, allow_unidentified=True)
    seen, had, difference = shown(figure, 3, 4)
    assert np.abs(had - seen - 127.5).max() <= 1.0
    assert np.array_equal(difference, had - seen)
    assert "not determined" in figure.get_supxlabel()
    check_layout(figure)


def test_images_that_cannot_be_drawn(painter: cp.DCM) -> None:
    with pytest.raises(VariableError, match="declared discrete"):
        plots.plot_interventions(painter, "D", [{}])
    with pytest.raises(VariableError, match="not in the graph"):
        plots.plot_counterfactuals(painter, "J", do={"D": "high"})
    with pytest.raises(DataError, match="give every row as many"):
        plots.plot_images({"one": [np.zeros((2, 2), np.uint8)], "two": []})


@pytest.mark.parametrize("configurations", [1, 6])
def test_a_fit_check_shows_every_number(configurations: int) -> None:
    import torch

    items = tuple(
        ConfigurationFit(
            {"D": i, "E": "b"},
            90,
            0.5 + i / 20,
            0.2,
            0.01,
            0.4,
            -i / 9,
            0.1 - i / 30,
            1.0 - i / 8,
            i / 6,
        )
        for i in range(configurations)
    )
    worst = torch.arange(8 * 36).reshape(8, 1, 6, 6).to(torch.uint8)
    for pictures in (None, worst):
        figure = plots.plot_fit(FitReport("I", "off", (), items, pictures))
        fields = ("accuracy", "agreement", "spread", "brightness", "memorised")
        for axes, field in zip(figure.axes, fields, strict=False):
            assert list(axes.lines[1].get_xdata()) == [getattr(item, field) for item in items]
        assert len(figure.axes) == (5 if pictures is None else 6)
        check_layout(figure)


def test_numbers_that_a_page_has_no_room_for_are_counted() -> None:
    (axes,) = panels(1, 1, 3.0, 3.0)[1][0]
    _numbers(axes, [("Y=1", 0.2, 0.1, 0.3)], 8)
    assert axes.get_xlabel() == "estimate and interval; 8 more are not shown"
    _numbers(axes, [("Y=1", 0.2, 0.1, 0.3)], 0)
    assert axes.get_xlabel() == "estimate and interval"
