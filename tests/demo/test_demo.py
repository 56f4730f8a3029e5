"""The page to play with: what is behind it, without Gradio; and the page, where it is installed."""

import gc
import importlib.util
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.cli import main
from causalplug.demo import Question, app, ask, pairs
from causalplug.demo.app import Desk
from causalplug.demo.controls import controls
from causalplug.demo.drawing import answer_picture, draw_graph

IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]


@pytest.fixture(scope="module")
def bow():
    """X and Y share a hidden cause, and N follows X; trained at its counts in a moment."""
    rng = np.random.default_rng(0)
    u = rng.integers(2, size=600)
    x = (rng.random(600) < 0.3 + 0.4 * u).astype(int)
    y = np.where(rng.random(600) < 0.2 + 0.3 * x + 0.3 * u, "sick", "well")
    rows = pd.DataFrame({"X": x, "Y": y, "N": rng.normal(2.0 * x, 1.0)})
    variables = {"X": cp.Discrete(2), "Y": cp.Discrete(["sick", "well"]), "N": cp.Continuous()}
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y; X <-> Y; X -> N"), variables)
    dcm.sources = (cp.Source(["X", "Y", "N"], name="rows"),)
    dcm.history = {"ranges": {"N": [-3.0, -2.0, 4.0, 5.0]}}
    return dcm, rows


@pytest.fixture(scope="module")
def front():
    """The front-door model with an image, its generator frozen and untrained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [cp.Label("D", 2)], 4, LAYERS, license="mit")
    dcm = cp.DCM(
        cp.CausalGraph.parse("D -> I -> A; D <-> A"),
        {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(["no", "yes"])},
        mechanisms={"I": gan},
    )
    dcm.sources = (cp.Source(["D", "I", "A"], name="rows"),)
    return dcm


def test_a_control_for_every_variable(bow):
    dcm, _ = bow
    found = controls(dcm)
    assert found["Y"].choices == ("sick", "well")
    assert not found["Y"].is_slider
    assert (found["N"].low, found["N"].high) == (-2.0, 4.0)  # where all but a few rows lie
    assert found["N"].is_slider


def test_images_are_drawn_and_not_set(front):
    assert not controls(front)["I"].is_offered


def test_a_slider_without_a_record_goes_over_samples(bow):
    dcm, _ = bow
    dcm, dcm_history = cp.DCM(dcm.graph, dcm.variables), dcm.history
    assert dcm_history
    found = controls(dcm)["N"]
    assert found.low < found.start < found.high


@pytest.mark.parametrize(
    ("do", "seen", "written"),
    [
        ({}, {}, "P(Y)"),
        ({"X": "1"}, {}, "P(Y | do(X=1))"),
        ({}, {"X": "1"}, "P(Y | X=1)"),
        ({"X": "1"}, {"X": "0"}, "P(Y_{X=1} | X=0)"),
    ],
)
def test_what_is_set_and_seen_becomes_a_query(bow, do, seen, written):
    dcm, _ = bow
    assert str(Question.of(dcm, "Y", do, seen).query(number=False)) == written


@pytest.mark.parametrize(
    ("outcome", "do", "error", "told"),
    [
        ("Y", {"Y": "sick"}, cp.QueryError, "it is set to sick"),
        ("Y", {"X": "7"}, cp.DataError, "X=7 cannot be used: its values are 0, 1"),
        ("Y", {"Z": "1"}, cp.UnknownVariableError, "'Z' is not a variable"),
        ("X", {"N": "much"}, cp.DataError, "N is a number"),
        ("X", {"N": float("nan")}, cp.DataError, "not finite"),
    ],
)
def test_a_question_that_cannot_be_asked(bow, outcome, do, error, told):
    dcm, _ = bow
    with pytest.raises(error, match=told):
        Question.of(dcm, outcome, do, {})


def test_an_answer_is_that_of_estimate(bow):
    dcm, _ = bow
    found = ask(dcm, Question("Y", {}, {"X": 1}), n=2000)
    alone = dcm.estimate("P(Y | X=1)", 2000)
    assert not found.refused
    assert found.table["estimate"].tolist() == alone.table["estimate"].tolist()
    assert found.usual.table["estimate"].tolist() == (
        dcm.estimate("P(Y)", 2000).table["estimate"].tolist()
    )
    assert answer_picture(found).axes


def test_a_refused_question_has_the_bounds_of_the_models_own_distribution(bow):
    dcm, _ = bow
    found = ask(dcm, Question("Y", {"X": 1}))
    assert found.refused
    assert found.verdict == "The data do not determine this answer."
    drawn = dcm.sample(50_000, variables=["X", "Y"])
    for row in found.table.itertuples():  # Manski 1990: P(y, x) <= P(y | do(x)) <= P(y, x) + P(x')
        joint = ((drawn["X"] == 1) & (drawn["Y"] == row.Y)).mean()
        assert row.lower_bound == pytest.approx(joint, abs=1e-9)
        assert row.upper_bound == pytest.approx(joint + (drawn["X"] == 0).mean(), abs=1e-9)
    assert "chance in its rows comes on top" in found.notes[0]
    assert answer_picture(found).axes


def test_the_mean_of_a_number(bow):
    dcm, _ = bow
    found = ask(dcm, Question("N", {"X": 1}), n=2000)
    assert found.query == "E[N | do(X=1)]"
    assert found.table["estimate"].item() == dcm.estimate("E[N | do(X=1)]", 2000).value
    assert answer_picture(found).axes


def test_pairs_have_the_same_noise(front):
    drawn = pairs(front, "I", Question("I", {"D": 1}), n=3, seed=5)
    before, after = drawn.rows.values()
    for images, do in ((before, {}), (after, {"D": 1})):
        alone = front.sample(3, do=do, variables=["I"], seed=5)["I"]
        for picture, tensor in zip(images, alone, strict=True):
            assert np.abs(np.asarray(picture) / 255 - tensor[0].numpy()).max() < 1 / 255
    assert "same noise" in drawn.note


def test_pairs_of_what_was_seen(front):
    drawn = pairs(front, "I", Question("I", {"D": 1}, {"D": 0}), n=2)
    assert list(drawn.rows) == ["seen: D=0", "had D=1"]
    with pytest.raises(cp.VariableError, match="not an image variable"):
        pairs(front, "A", Question("A"), n=2)


def test_a_click_in_the_graph_meets_the_variable_that_is_drawn_there(bow):
    dcm, _ = bow
    drawn = draw_graph(dcm, Question("Y", {"X": 1}, {"N": 0.5}))
    wide, high = drawn.picture.size
    for name, (left, top, right, bottom) in drawn.boxes.items():
        assert 0 <= left < right <= wide
        assert 0 <= top < bottom <= high
        assert drawn.at((left + right) / 2, (top + bottom) / 2) == name
    assert drawn.at(1, 1) is None
    pixels = np.asarray(drawn.picture)
    left, top, right, bottom = map(int, drawn.boxes["X"])
    colours = pixels[top:bottom, left:right].reshape(-1, 3)
    assert (np.abs(colours.astype(int) - (0xFC, 0xEB, 0xD5)).max(1) < 6).mean() > 0.3  # orange: set


def test_boxes_do_not_overlap(bow):
    boxes = draw_graph(bow[0], Question("Y")).boxes.values()
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        assert apart


def test_the_desk_tells_mistakes_in_words(bow):
    desk = Desk(bow[0], n=500)
    state = desk.put(desk.start, "do", desk.start["outcome"], "0.5")
    shown = desk.answer(state)
    assert shown.words.startswith("**There is no answer.**")
    assert desk.put(state, "do", desk.start["outcome"], None)["do"] == desk.start["do"]


def test_the_desk_shows_bars_images_and_words(front):
    desk = Desk(front, n=300)
    shown = desk.answer({"outcome": "I", "do": {"D": "1"}, "seen": {}})
    assert shown.images is not None
    assert shown.bars is None
    shown = desk.answer({"outcome": "A", "do": {"D": "1"}, "seen": {}})
    assert shown.head[:2] == ["A", "estimate"]
    assert shown.bars is not None
    assert "The data determine this answer." in shown.words


def test_without_gradio_the_extra_is_named(bow, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "gradio" else find(name, *a)
    )
    with pytest.raises(cp.MissingDependencyError, match=r"pip install causalplug\[demo\]"):
        app(bow[0])
    assert main(["demo", "nowhere"]) == 2
    assert "causalplug[demo]" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # those of Gradio and of what it imports
def test_the_page_is_served_and_answers_programs(bow, monkeypatch):
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    client_of = pytest.importorskip("gradio_client").Client
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    page = app(bow[0], title="A bow", n=500)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, inbrowser=False)
    try:
        client = client_of(address, verbose=False)
        found = client.predict("Y", {}, {"X": "1"}, api_name="/ask")
        expected = ask(bow[0], Question("Y", {}, {"X": 1}), n=500)
        assert found["head"] == ["Y", "estimate"]
        assert [row[1] for row in found["rows"]] == expected.table["estimate"].round(4).tolist()
        refused = client.predict("Y", {"X": "1"}, {}, api_name="/ask")
        assert "do not determine" in refused["words"]
    finally:
        page.close()
        client = page = None
        gc.collect()  # what Gradio leaves open is reported here, and not in a later test
