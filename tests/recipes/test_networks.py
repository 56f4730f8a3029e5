"""Exact networks: sums against brute force and samples, files against published tables, and what
is refused."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import DataError
from recipes.asia.network import HIDDEN, chest_clinic
from recipes.networks import Network

FILES = Path(__file__).parents[2].parent / "shared" / "data" / "networks"


def enumerate_joint(network, keep, do):
    """P(keep | do) by a loop over every joint value of every variable, hidden ones included."""
    names = list(network.tables)
    found = np.zeros([len(network.categories[name]) for name in keep])
    for values in product(*(range(len(network.categories[name])) for name in names)):
        at = dict(zip(names, values, strict=True))
        probability = 1.0
        for name, (parents, table) in network.tables.items():
            if name in do:
                probability *= network.categories[name][at[name]] == do[name]
            else:
                probability *= table[tuple(at[parent] for parent in parents)][at[name]]
        found[tuple(at[name] for name in keep)] += probability
    return found


@pytest.mark.parametrize("seed", range(3))
def test_joints_equal_an_enumeration(seed):
    graph = cp.CausalGraph.parse("X -> M -> Y; X <-> Y; M <-> Z; Z -> Y")
    network = Network.random(graph, seed=seed, values=("a", "b", "c"))
    assert network.graph() == graph
    for do in ({}, {"X": "b"}, {"M": "c", "Z": "a"}):
        for keep in (["Y"], ["Z", "X", "Y"]):
            np.testing.assert_allclose(
                network.joint(keep, do), enumerate_joint(network, keep, do), atol=1e-12
            )


@pytest.mark.parametrize("do", [{}, {"X": 1}])
def test_samples_have_the_exact_distribution(do):
    network = Network.random(cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), seed=2)
    rows = network.sample(40_000, seed=1, do=do)
    assert set(rows) == {"X", "M", "Y"}
    exact = network.joint(["X", "M", "Y"], do)
    error = np.sqrt(exact * (1 - exact) / 40_000)
    assert (np.abs(network.shares(rows, ["X", "M", "Y"]) - exact) <= 4.5 * error).all()


def test_known_answers_of_the_chest_clinic():
    """From the tables by hand: bronchitis has probability .45 whatever is done to the lung."""
    network = chest_clinic()
    assert network.graph() == cp.CausalGraph.parse(
        "asia -> tub -> either -> xray, dysp; lung -> either; lung <-> dysp"
    )
    yes = 0.45 * 0.9 + 0.55 * 0.7
    no = 0.45 * 0.8 + 0.55 * 0.1
    p_tub = 0.01 * 0.05 + 0.99 * 0.01
    assert network.joint(["dysp"], {"lung": "yes"})[0] == pytest.approx(yes)
    assert network.joint(["dysp"], {"either": "no"})[0] == pytest.approx(no)
    assert network.joint(["dysp"], {"lung": "no"})[0] == pytest.approx(
        p_tub * yes + (1 - p_tub) * no
    )


def test_the_file_has_the_published_tables():
    if not (FILES / "asia.bif").is_file():
        pytest.skip("the network files are not beside the repository")
    read, published = chest_clinic(FILES / "asia.bif"), chest_clinic()
    assert read.categories == published.categories
    for name, (parents, table) in published.tables.items():
        others, values = read.tables[name]
        np.testing.assert_allclose(values.transpose([*map(others.index, parents), -1]), table)


BIF = """
network unknown { }
variable B { type discrete [ 2 ] { yes, no }; }
variable A { type discrete [ 2 ] { yes, no }; }
probability ( B | A ) { (yes) 0.9, 0.1; (no) 0.2, 0.8; }
probability ( A ) { table 0.25, 0.75; }
"""


def test_a_file_in_any_order(tmp_path):
    (tmp_path / "two.bif").write_text(BIF)
    network = Network.read_bif(tmp_path / "two.bif")
    np.testing.assert_allclose(network.joint(["A", "B"]), [[0.225, 0.025], [0.15, 0.6]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(no) 0.2, 0.8;", "", "'B' must hold distributions"),
        ("0.25, 0.75", "0.25, 0.25", "'A' must hold distributions"),
        ("probability ( A ) { table 0.25, 0.75; }", "", "a parent has no table"),
        (
            "probability ( A ) { table 0.25, 0.75; }",
            "probability ( A | B ) { (yes) 1, 0; (no) 0, 1; }",
            "in a cycle",
        ),
        ("(no) 0.2", "(maybe) 0.2", "'B' cannot be read"),
        ("0.2, 0.8", "0.2", "'B' cannot be read"),
        ("B | A", "B | C", "'B' cannot be read"),
    ],
)
def test_files_that_are_no_networks(tmp_path, old, new, message):
    assert old in BIF
    (tmp_path / "two.bif").write_text(BIF.replace(old, new))
    with pytest.raises(DataError, match=message):
        Network.read_bif(tmp_path / "two.bif", hidden=HIDDEN)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Network.read_bif(tmp_path / "none.bif")
