"""In a notebook: objects show themselves, names are escaped, nothing runs on, and an
interruption leaves a model."""

import re
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.training.learner import Learner

pytestmark = pytest.mark.filterwarnings(
    "ignore::causalplug.errors.ConvergenceWarning"
)  # training for a moment
GRAPH = cp.CausalGraph.parse('D -> "<b>" -> A; D <-> A')


def table(n=400):
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=n)
    return cp.DataSource(
        {"D": d, "<b>": d ^ (rng.random(n) < 0.2), "A": d ^ (rng.random(n) < 0.4)}, name="<rows>"
    )


def model():
    return cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Discrete(2)))


def well_formed(html):
    """The elements of a piece of HTML that is also XML."""
    return ElementTree.fromstring(
        f"<div>{re.sub(r'<!DOCTYPE[^>]*>|<[?].*?[?]>', '', html, flags=re.DOTALL)}</div>"
    )


def test_a_graph_is_a_picture():
    drawn = well_formed(GRAPH._repr_svg_())
    assert drawn[0].tag.endswith("svg")
    assert cp.CausalGraph.from_edges([], [], [f"V{i}" for i in range(41)])._repr_svg_() is None


def test_a_plan_is_a_table_and_a_picture():
    html = cp.plan(GRAPH)._repr_html_()
    tags = [element.tag.rpartition("}")[2] for element in well_formed(html)]
    assert "table" in tags
    assert tags[-1] == "svg"
    assert "<b>&lt;b&gt;" not in html
    assert "&lt;b&gt;" in html


def test_without_matplotlib_the_table_is_left(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    monkeypatch.setitem(sys.modules, "matplotlib.textpath", None)
    assert GRAPH._repr_svg_() is None
    assert "svg" not in cp.plan(GRAPH)._repr_html_()


def test_a_model_a_report_and_an_answer_are_tables():
    dcm = model()
    assert "Not trained" in dcm._repr_html_()
    report = cp.fit(dcm, table(), objective="likelihood", steps=4, validate_every=2, progress=False)
    shown = well_formed(dcm._repr_html_())
    cells = [cell.text or "" for cell in shown.iter("td")]
    assert {"D", "<b>", "A", "trained"} <= set(cells)
    assert any("DiscreteMLP" in cell for cell in cells)
    assert "identifiable from <rows>" in "".join(shown.itertext())
    cells = [cell.text or "" for cell in well_formed(report._repr_html_()).iter("td")]
    assert {module.name for module in report.modules} <= set(cells)
    assert f"{report.modules[0].distances[0].tvd:.4f}" in cells
    assert "total variation distance from held-out rows" in str(report)
    answer = dcm.estimate("P(A=1 | do(D=1))", n=500)
    assert "95% intervals cover the sampling of" in str(answer)
    assert f"{answer.value:.4g}" in answer._repr_html_()


def test_an_identification_is_its_formula():
    simple = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    assert "\\sum_{i} P(i \\mid D=1)" in cp.identify(simple, "P(A | do(D=1))")._repr_markdown_()
    refused = cp.identify(cp.CausalGraph.parse("X -> Y; X <-> Y"), "P(Y | do(X))")._repr_markdown_()
    assert "**not identifiable**" in refused
    assert "$$" not in refused


def test_nothing_runs_on_and_no_setting_is_left_changed():
    threads, settings = set(threading.enumerate()), torch.get_num_threads()
    dcm = model()
    cp.fit(dcm, table(), objective="warm", steps=4, progress=True)
    dcm.sample(1000, seed=0)
    dcm._repr_html_()
    alive = [t for t in set(threading.enumerate()) - threads if not t.daemon]
    assert not alive
    assert torch.get_num_threads() == settings


@pytest.mark.parametrize("objective", ["adversarial", "likelihood"])
def test_an_interruption_leaves_a_usable_model_and_can_be_resumed(objective, tmp_path, monkeypatch):
    settings = {
        "objective": objective,
        "steps": 30,
        "save_every": 10,
        "validate_every": 10,
        "progress": False,
    }
    whole = model()
    cp.fit(whole, table(), **settings)
    made = [cls for cls in _subclasses(Learner) if "step" in vars(cls)]
    calls = 0

    def interrupted(step):
        def run(self, *args, **options):
            nonlocal calls
            calls += 1
            if calls == 25:
                raise KeyboardInterrupt
            return step(self, *args, **options)

        return run

    dcm, threads = model(), torch.get_num_threads()
    with monkeypatch.context() as patch:
        for cls in made:
            patch.setattr(cls, "step", interrupted(cls.step))
        with pytest.raises(KeyboardInterrupt) as stopped:
            cp.fit(dcm, table(), output_dir=tmp_path, **settings)
    assert "resume_from_checkpoint=True" in stopped.value.__notes__[0]
    assert torch.get_num_threads() == threads
    rows = dcm.sample(2000, do={"D": 1}, seed=0)
    assert rows["A"].isin([0, 1]).all()
    assert all(torch.isfinite(parameter).all() for parameter in dcm.parameters())
    cp.fit(dcm, table(), output_dir=tmp_path, resume_from_checkpoint=True, **settings)
    for key, value in whole.trained_tensors().items():
        assert torch.equal(value, dcm.trained_tensors()[key]), key


def _subclasses(cls):
    return [cls, *(deeper for child in cls.__subclasses__() for deeper in _subclasses(child))]
