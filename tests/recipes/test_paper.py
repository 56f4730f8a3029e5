"""What the recipes take from the papers: readings, protocols, graphs, and the commands behind the
figures."""

import importlib

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from recipes import figures
from recipes.common import tvd
from recipes.cxr.answers import bounds, label_map
from recipes.cxr.data import stand_in
from recipes.cxr.protocol import distances, table_with_dummies
from recipes.idgen.worlds import FIDELITY, GRAPHS, load_pictures, table_world, with_images
from recipes.large_graph.scalability import random_graph, trained_together
from recipes.sachs.cells import PROTEINS, READINGS, read_cells
from recipes.watch import Watch


@pytest.mark.parametrize("figure", figures.FIGURES, ids=lambda figure: figure.name)
def test_the_command_of_every_figure_is_a_script_with_these_options(figure):
    script = importlib.import_module(f"recipes.{figure.script}")
    words = figure.command(dict.fromkeys(figures.DATA, "folder"))[2:]
    with pytest.raises(SystemExit) as stopped:
        script.main([*words, "--output-dir", "folder", "--help"])
    assert stopped.value.code == 0


def test_figures_without_their_data_say_what_they_need(tmp_path, capsys):
    assert figures.main(["cxr", "--output-dir", str(tmp_path)]) == 0
    assert "needs --cxr: folder with cxr_real_64.npz" in capsys.readouterr().out
    assert figures.main(["asia", "--list"]) == 0
    assert "recipes.asia.run --network NETWORKS/asia.bif" in capsys.readouterr().out


def test_the_readings_of_observational_are_told_apart(tmp_path):
    """Ten cells of each experiment: none, Mek, PKA."""
    table = pd.DataFrame(3, index=range(30), columns=list(PROTEINS)).assign(
        INT=np.repeat([0, 2, 8], 10)
    )
    table.to_csv(tmp_path / "cells.csv", index=False)
    found = {name: read_cells(str(tmp_path / "cells.csv"), "high", name) for name in READINGS}
    assert [len(found[name].untouched) for name in READINGS] == [10, 20, 30]
    assert {len(cells.treated) for cells in found.values()} == {10}
    assert found["pooled"].sources()[0].name == "pooled"


def test_graphs_of_the_scalability_figure():
    graph = random_graph(15, 75, 5, np.random.default_rng(0))
    assert (len(graph.variables), len(graph.directed), len(graph.bidirected)) == (15, 75, 5)
    alone = cp.CausalGraph.parse("A -> B -> C")
    pair = cp.CausalGraph.parse("A -> B -> C; A <-> C")
    assert trained_together([alone, pair])["modular"] == 1.5


def test_the_row_s_label_shows_pneumonia_as_often_as_all_rows_have_it():
    """The paper's reading: of C=0 73 % pneumonia, where the rows have 41 %."""
    xrays = stand_in(12)
    assert label_map(xrays)[0]["pneumonia"] == pytest.approx(0.407, abs=0.001)
    assert label_map(xrays, row=True)[0]["pneumonia"] == pytest.approx(0.732, abs=0.001)
    assert label_map(xrays, row=True)[1] == "COVID"


def test_the_bounds_of_the_chest_x_rays_are_those_worked_out_by_hand():
    xrays = stand_in(12)
    p_c, given = xrays.probabilities.sum(1), xrays.probabilities[:, 1] / xrays.probabilities.sum(1)
    known = given[1] * p_c[1] - given[0] * p_c[0]
    assert bounds(xrays) == pytest.approx([known - p_c[1], known + p_c[0]])


def test_dummy_rows_are_a_share_of_the_table_and_show_covid():
    xrays = stand_in(60)
    table = table_with_dummies(xrays, 2000, 0.05, seed=0)
    dummies = (table["C"] == 1) & (table["N"] == 0)
    assert len(table["C"]) == 2000
    assert dummies.sum() == 100
    covid = {image.tobytes() for image in xrays.images[xrays.C == 1]}
    assert all(image.tobytes() in covid for image in table["Xray"][dummies])


@pytest.mark.parametrize("name", GRAPHS)
def test_worlds_with_images_keep_their_graph(name):
    """I takes the place of the digit that it shows, and J comes after the outcome."""
    world, tables = with_images(name, 3), table_world(name, 3)
    assert set(world.graph.variables) == {*tables.graph.variables, "I", "J"}
    assert world.graph.bidirected == tables.graph.bidirected
    assert world.graph.parents("I") == ("X",)
    assert world.graph.parents("J") == ("Y",)
    shown = world.network.joint(["S"], {"X": 1})
    assert shown[1] == pytest.approx(FIDELITY)
    assert cp.identify(world.graph, "P(Y | do(X))").answerable


def test_pictures_show_their_digit():
    pictures = load_pictures(None)
    digits = np.array([0, 1, 1, 0])
    images = pictures.show(digits, np.random.default_rng(0))
    assert images.shape == (4, 1, 8, 8)
    known = {image.tobytes(): d for image, d in zip(pictures.images, pictures.digits, strict=True)}
    assert [known[image.tobytes()] for image in images] == digits.tolist()


def test_a_watch_measures_at_every_validation():
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=600)
    rows = {"X": x, "Y": np.where(rng.random(600) < 0.2, 1 - x, x)}
    dcm = cp.DCM(cp.CausalGraph.parse("X <-> Y"), dict.fromkeys("XY", cp.Discrete(2)))
    watch = Watch(lambda: {"mean": float(dcm.sample(100, variables=["X"], seed=0)["X"].mean())})
    config = cp.TrainingConfig(
        objective="adversarial", steps=6, validate_every=3, check_graph=False, tolerance=0.9
    )
    cp.Trainer(dcm, [cp.DataSource(rows)], config=config, accelerator=watch.accelerator()).train()
    assert [point["step"] for point in watch.points] == [3.0, 6.0]
    assert all({"seconds", "held-out", "mean"} <= set(point) for point in watch.points)


def test_distances_of_the_protocol_are_those_of_the_table():
    """A model that was fitted to a table exactly has none."""

    class Exact:
        def sample(self, n, **options):
            return {"C": np.array([0, 0, 1, 1] * 5), "N": np.array([0, 1, 1, 1] * 5)}

    table = {"C": np.array([0, 0, 1, 1]), "N": np.array([0, 1, 1, 1])}
    assert max(distances(Exact(), table, 20).values()) == 0
    off = distances(Exact(), {"C": np.array([0, 0, 1, 1]), "N": np.array([1, 1, 1, 1])}, 20)
    assert off["P(C)"] == 0
    assert off["P(N)"] == off["P(N | C)"] == off["P(N, C)"] == pytest.approx(0.25)
    assert tvd([1, 0], [0, 1]) == 1
