"""What drives an answer: shares of the variance against closed forms, modules, and the page."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.cli import main
from causalplug.sampling.answers import VariancePart
from causalplug.uncertainty.drivers import drivers_of

N = 4000
TWO = cp.Discrete(2)


@pytest.fixture(scope="module")
def chain():
    """X -> Y -> Z, trained at its counts: P(Y) does not read Z."""
    rng = np.random.default_rng(0)
    x = (rng.random(N) < 0.3).astype(int)
    y = (rng.random(N) < 0.2 + 0.5 * x).astype(int)
    z = (rng.random(N) < 0.1 + 0.6 * y).astype(int)
    rows = pd.DataFrame({"X": x, "Y": y, "Z": z})
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y -> Z"), dict.fromkeys("XYZ", TWO))
    cp.fit(dcm, cp.DataSource(rows, name="survey"), seed=0, held_out=0, progress=False)
    return dcm, rows


def test_shares_are_those_of_the_delta_method(chain):
    dcm, rows = chain
    found = dcm.drivers("P(Y=1)", data=rows)
    p = rows.groupby("X")["Y"].mean()
    share = rows["X"].mean()
    cause = (p[1] - p[0]) ** 2 * share * (1 - share) / N
    counts = rows["X"].value_counts()
    effect = sum((counts[v] / N) ** 2 * p[v] * (1 - p[v]) / counts[v] for v in (0, 1))
    by_name = {module.name: module.share for module in found.modules}
    known = 1 - dict(found.uncertainty).get("sampling from the model", 0.0)
    assert set(by_name) == {"X", "Y"}
    assert by_name["X"] == pytest.approx(known * cause / (cause + effect), rel=0.03)
    assert by_name["Y"] == pytest.approx(known * effect / (cause + effect), rel=0.03)
    assert found.unused == ("Z",)


def test_parts_add_up_to_the_variance(chain):
    dcm, _ = chain
    for query in ("P(Z)", "P(Z=1 | do(X=1)) - P(Z=1 | do(X=0))", "P(Y=1 | do(X=1)) / P(Y=1)"):
        answer = dcm.estimate(query, 20_000)
        total = sum(part.variance for part in answer.variance_parts)
        assert total == pytest.approx(answer.table["standard_error"].to_numpy() ** 2)
        shares = [share for _, share in dcm.drivers(query, 20_000).uncertainty]
        assert sum(shares) == pytest.approx(1)


def test_what_is_set_is_held_and_not_run(chain):
    dcm, _ = chain
    found = dcm.drivers("P(Z=1 | do(Y=1))")
    assert [module.name for module in found.modules] == ["Z"]
    assert (found.held, found.unused) == (("Y",), ("X",))
    assert "Set by the question: Y." in str(found)
    observed = dcm.drivers("P(Z=1)").modules
    assert {module.overlap for module in observed} == {"nothing is set"}


def test_an_experiment_and_a_table_have_their_own_shares():
    """With X and Y confounded, only the trial tells P(Y | do(X))."""
    rng = np.random.default_rng(1)
    u, coin = rng.random(2000) < 0.5, rng.integers(2, size=500)
    x = (rng.random(2000) < 0.2 + 0.6 * u).astype(int)
    seen = {"X": x, "Y": (rng.random(2000) < 0.2 + 0.3 * x + 0.3 * u).astype(int)}
    tossed = rng.random(500) < 0.5
    trial = {"X": coin, "Y": (rng.random(500) < 0.2 + 0.3 * coin + 0.3 * tossed).astype(int)}
    sources = [cp.DataSource(seen, name="seen"), cp.DataSource(trial, do=("X",), name="trial")]
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y; X <-> Y"), dict.fromkeys("XY", TWO))
    cp.fit(dcm, sources, objective="likelihood", seed=0, steps=100, progress=False)
    shares = dict(dcm.drivers("P(Y=1 | do(X=1))").uncertainty)
    assert shares["rows of trial"] > 0.5 > shares["rows of seen"]
    shares = dict(dcm.drivers("P(Y=1)").uncertainty)
    assert shares["rows of seen"] > 0.9


@pytest.fixture
def front():
    """A front door with a frozen image, as a training would have left it."""
    layers = [{"type": "linear", "in_features": 6, "out_features": 64, "name": "out"}]
    layers.append({"type": "sigmoid"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(cp.Image(1, 8, 8), [cp.Label("D", 2)], 4, layers)
    variables = {"D": TWO, "I": cp.Image(1, 8, 8), "A": TWO}
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    dcm = cp.DCM(graph, variables, mechanisms={"I": gan})
    dcm.sources = (cp.Source(["D", "I", "A"], name="rows"),)
    distance = {"target": "P(D, I, A)", "tvd": 0.2, "floor": 0.01}
    module = {"variables": ["D", "A"], "objective": "warm", "converged": False}
    dcm.history = {
        "modules": [{**module, "distances": [distance]}],
        "fits": [{"name": "I", "verdict": "unfit", "reasons": ["half are copies"]}],
    }
    return dcm


def test_a_generator_is_named_and_its_verdict_and_warnings_are_its_own(front):
    found = front.drivers("P(A | do(D=1))", 500)
    pulled = next(module for module in found.modules if module.is_pulled)
    trained = next(module for module in found.modules if not module.is_pulled)
    assert (pulled.name, pulled.share_in_words) == ("I", "taken as given")
    assert pulled.made_by == "ConditionalGAN, made in memory"
    assert pulled.fit == "unfit: half are copies"
    assert [caveat.name for caveat in pulled.caveats] == ["unfit generator"]
    assert trained.made_by == "warm on P(D, I, A)"
    assert trained.fit == "TVD 0.200, floor 0.010, not converged"
    assert [caveat.name for caveat in trained.caveats] == ["not converged"]
    assert math.isnan(trained.share)
    assert "no interval holds their error" in str(found)
    assert found.uncertainty == ()
    assert "No interval" in found.notes()[0]


def test_a_question_that_the_data_do_not_determine_is_refused(front):
    with pytest.raises(cp.NotIdentifiableError):
        front.drivers("P(A_{D=1}=1 | D=0, A=1)", 500)


def test_the_page_has_every_part_and_no_text_beyond_its_edges(front):
    figure = front.drivers("P(A | do(D=1))", 500).plot()
    figure.canvas.draw()
    words = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    shown = " ".join(text.get_text() for text in words)
    for part in ("What drives P(A | do(D=1))", "unfit", "made in memory", "uncertainty comes from"):
        assert part in " ".join(shown.split())
    whole = figure.bbox
    for text in words:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1 + 1
        assert whole.y0 <= box.y0


def test_many_sources_share_the_last_colour(chain):
    dcm, _ = chain
    found = dcm.drivers("P(Y=1)", 1000)
    parts = tuple((f"rows of {'a long name ' * 2}{i}", 0.1) for i in range(10))
    figure = replace(found, uncertainty=parts).plot()
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert "all others: 50.0 %" in shown


def test_replicates_are_one_part():
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), dict.fromkeys("XY", TWO))
    answer = dcm.estimate("P(Y=1)", 100)
    part = VariancePart("replicates", (), "", np.array([0.01]))
    found = drivers_of(dcm, replace(answer, variance_parts=(part,)))
    assert found.uncertainty == (("rows and training, by replicates", 1.0),)
    assert all(math.isnan(module.share) for module in found.modules)
    assert {module.action for module in found.modules} == {"untrained"}


def test_the_command_prints_the_table_and_draws_the_page(chain, tmp_path, capsys):
    dcm, rows = chain
    dcm.save_pretrained(tmp_path / "model")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    model, page = str(tmp_path / "model"), tmp_path / "page.png"
    ask = ["drivers", model, "P(Y=1 | do(X=1))", "--data", str(tmp_path / "rows.csv")]
    assert main([*ask, "--png", str(page)]) == 0
    assert "rows of survey" in capsys.readouterr().out
    assert page.read_bytes().startswith(b"\x89PNG")
    assert main([*ask, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [module["variables"] for module in told["modules"]] == [["Y"]]
    assert main(["drivers", model, "P(Y=1)", "--columns", "X"]) == 2
    assert "--data" in capsys.readouterr().err
    assert main(["drivers", model, "P(Q=1)"]) == 2


def test_a_notebook_shows_it_escaped(chain):
    html = chain[0].drivers("P(Y=1 | do(X=1))", 1000)._repr_html_()
    assert "<table>" in html
    assert "P(Y=1 | do(X=1))" in html
