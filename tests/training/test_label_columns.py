"""Label maps that are counted in a column of the data, whatever the order of its values."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.mechanisms.frozen.label_columns import with_label_values
from causalplug.training.prepare import _rows_with

IMAGE = cp.Image(1, 4, 4)
GRAPH = cp.CausalGraph.parse("L -> I; D -> I")
TABLE = {"D": [0, 0, 1, 1], "L": [2, 2, 0, 1], "I": np.zeros((4, 1, 4, 4), np.float32)}


def model(column, parents=("D",)):
    """A generator whose labels are 0, 1, 2 in this order, in a model that declares them in
    another."""
    layers = [
        {"type": "linear", "in_features": 7, "out_features": 16, "name": "out"},
        {"type": "sigmoid"},
    ]
    gan = ConditionalGAN(IMAGE, [cp.Label("digit", 3)], 4, layers)
    gan.requested_label_map = cp.LabelMap.estimate(column=column)
    variables = {"D": cp.Discrete(2), "L": cp.Discrete([2, 0, 1]), "I": IMAGE}
    edges = [(parent, "I") for parent in parents]
    graph = cp.CausalGraph.from_edges(edges, [], variables=list(variables))
    return cp.DCM(graph, variables, mechanisms={"I": gan})


def rows_of(dcm, *tables):
    sources = [
        table if isinstance(table, cp.DataSource) else cp.DataSource(table) for table in tables
    ]
    return [source.encode(dcm.variables) for source in sources]


def estimated(dcm, *tables):
    mechanism = dcm.mechanism("I")
    return mechanism.take_rows(_rows_with(dcm, "I", mechanism, rows_of(dcm, *tables))).label_map


def test_a_column_of_labels_is_read_by_value():
    found = estimated(model("L"), TABLE)
    assert found.probabilities.tolist() == [[0, 0, 1], [0.5, 0.5, 0]]


def test_a_parent_may_hold_the_labels():
    found = estimated(model("L", ("L",)), TABLE)
    assert found.probabilities.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_the_source_is_one_that_has_the_column():
    larger = {"D": [0, 1] * 5, "I": np.zeros((10, 1, 4, 4), np.float32)}
    found = estimated(model("L"), larger, {"D": TABLE["D"], "L": TABLE["L"]})
    assert found.probabilities.tolist() == [[0, 0, 1], [0.5, 0.5, 0]]


def test_labels_that_were_set_tell_nothing():
    with pytest.raises(
        cp.DataError, match="no source records D, L together without setting I or L"
    ):
        estimated(model("L"), cp.DataSource(TABLE, do=("L",)))


def test_other_mechanisms_read_their_rows_as_they_are():
    dcm = model(None)
    codes = {"L": torch.tensor([0, 1])}
    assert with_label_values(dcm.mechanism("I"), codes, dcm.variables)["L"] is codes["L"]
