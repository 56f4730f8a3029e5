"""The recipes of tables: adjustment formulas on exact rows, what the cells can mean, and what is
refused."""

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.errors import DataError
from recipes.asia import run as asia
from recipes.asia.network import chest_clinic
from recipes.large_graph.run import BIDIRECTED, DIRECTED
from recipes.sachs import run as sachs
from recipes.sachs.cells import LEVELS, PROTEINS, Cells, made_up_world, read_cells, simulate_cells


def test_adjustment_is_right_where_the_rows_support_it():
    """On many rows both formulas give the exact answer for a shadow, and the part with support
    for none."""
    world = chest_clinic()
    rows = world.sample(1_000_000, seed=3)
    exact = world.joint(["dysp"], {"either": "yes"})[0]
    assert asia.back_door(rows, "yes") == pytest.approx(exact, abs=0.02)
    assert asia.front_door(rows, "yes") == pytest.approx(exact, abs=0.02)
    # No shadow and cancer never occur together: what is left of the formula is P(dysp | no shadow,
    # no cancer).
    joint = world.joint(["either", "lung", "dysp"])[1, 1]
    assert asia.back_door(rows, "no") == pytest.approx(joint[0] / joint.sum(), abs=0.003)


def test_asia_reads_tables_with_signs_or_words(tmp_path):
    names = ("asia", "tub")
    (tmp_path / "signs.tsv").write_text("Asia\tSmoke\tTub\n-1\t1\t1\n1\t1\t-1\n")
    (tmp_path / "words.csv").write_text("asia,tub\nno,yes\nyes,no\n")
    for name in ("signs.tsv", "words.csv"):
        rows = asia.read(str(tmp_path / name), names)
        assert rows["asia"].tolist() == ["no", "yes"]
        assert rows["tub"].tolist() == ["yes", "no"]
    with pytest.raises(DataError, match="lacks lung"):
        asia.read(str(tmp_path / "words.csv"), ("asia", "lung"))
    with pytest.raises(DataError, match="cannot be read"):
        asia.read(str(tmp_path / "none.csv"), names)


def cells_file(path, **changes):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(1, 4, (60, 4)), columns=list(PROTEINS)).assign(
        INT=[0, 8, 2] * 20
    )
    table.assign(**changes).to_csv(path, index=False)
    return table


def test_cells_are_read_by_experiment_and_level(tmp_path):
    table = cells_file(tmp_path / "cells.csv")
    cells = read_cells(str(tmp_path / "cells.csv"), "high")
    assert len(cells.untouched) == 20
    chosen = table[(table["INT"] == 8) & (table["PKA"] == 3)]
    assert cells.treated["Akt"].tolist() == [LEVELS[code - 1] for code in chosen["Akt"]]
    assert [source.do for source in cells.sources()] == [(), ("PKA",)]


def test_cells_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="run with --quick"):
        read_cells(str(tmp_path / "none.csv"), "high")
    cells_file(tmp_path / "cells.csv", Akt=7)
    with pytest.raises(DataError, match="levels other than 1, 2, 3"):
        read_cells(str(tmp_path / "cells.csv"), "high")
    (tmp_path / "cells.csv").write_text("PKA,Mek\n1,2\n")
    with pytest.raises(DataError, match="column Erk, Akt, INT is missing"):
        read_cells(str(tmp_path / "cells.csv"), "high")


def test_the_full_mode_says_what_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"has no cells.*--data, or run with --quick"):
        sachs.main(["--output-dir", str(tmp_path)])


def test_tables_that_no_model_can_have_are_told():
    """A cell with average PKA keeps its Mek when PKA is set to average: the shares bound each
    other."""
    untouched = pd.DataFrame(
        {"PKA": ["average"] * 9 + ["low"], "Mek": ["low"] * 4 + ["average"] * 6}
    )
    treated = pd.DataFrame({"PKA": ["average"] * 5, "Mek": ["low"] * 5})
    assert Cells("average", untouched, treated).contradiction == pytest.approx(0.5)
    simulated = simulate_cells(made_up_world(), "high", rows=20_000, treated=20_000, seed=1)
    assert simulated.contradiction < 0.02


def test_the_large_graph_has_its_variables():
    graph = cp.CausalGraph.parse(DIRECTED + BIDIRECTED)
    assert sorted(map(int, graph.variables)) == list(range(1, 30))
    assert (len(graph.directed), len(graph.bidirected)) == (37, 14)
