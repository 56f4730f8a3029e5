"""Declarations, and every way in which values can disagree with them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as PILImage

from causalplug.errors import DataError, VariableError
from causalplug.variables import (
    Continuous,
    Discrete,
    Image,
    Text,
    Vector,
    variable_from_dict,
)

COLOUR = Discrete(["red", "green", "blue"])


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        (Discrete(3), np.array([0, 2, 1])),
        (COLOUR, np.array(["blue", "red"])),
        (Discrete([1, 2, 3]), np.array([3, 1, 1])),
        (Discrete(["low", 2]), np.array([2, "low"], dtype=object)),
        (Discrete([False, True]), np.array([True, False])),
        (Continuous(), np.array([0.5, -3.0], dtype=np.float32)),
        (Image(1, 2, 2, -1, 1), np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 1, 2, 2)),
    ],
)
def test_values_come_back_under_their_names(variable, values):
    decoded = variable.decode(variable.encode(values))
    assert decoded.tolist() == values.tolist()
    assert variable_from_dict(variable.to_dict()) == variable


def test_columns_of_a_frame_and_tensors_are_read():
    frame = pd.DataFrame({"c": pd.Categorical(["red", "blue", "red"])})
    assert COLOUR.encode(frame["c"]).tolist() == [0, 2, 0]
    assert Discrete(4).encode(torch.tensor([3, 0])).tolist() == [3, 0]
    assert COLOUR.code("green") == 1


def test_features_are_one_hot_and_pass_relaxed_rows_unchanged():
    relaxed = torch.tensor([[0.2, 0.3, 0.5]])
    assert COLOUR.features(torch.tensor([1])).tolist() == [[0.0, 1.0, 0.0]]
    assert COLOUR.features(relaxed) is relaxed


def test_bytes_are_mapped_onto_the_range_of_an_image():
    image = Image(1, 1, 2, low=-1, high=1)
    codes = image.encode(np.array([[[[0, 255]]]], dtype=np.uint8))
    assert codes.dtype == torch.uint8
    assert image.scale(codes).flatten().tolist() == [-1.0, 1.0]


def test_pictures_go_in_and_out():
    picture = PILImage.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    image = Image(3, 2, 2)
    codes = image.encode([picture, picture])
    assert codes.shape == (2, 3, 2, 2)
    assert np.array_equal(np.asarray(image.to_pil(image.decode(codes))[0]), np.asarray(picture))


@pytest.mark.parametrize(
    ("variable", "values", "message"),
    [
        (Discrete(2), [0, 2], r"outside its categories: 2"),
        (Discrete(2), [0, -1], r"outside its categories: -1"),
        (COLOUR, ["red", "gren"], r"Did you mean 'green'"),
        (COLOUR, ["red", None], r"1 missing value "),
        (Discrete(2), [0.0, np.nan, np.nan], r"2 missing values"),
        (Discrete(2), [[0, 1]], r"one category per row"),
        (Continuous(), [1.0, np.nan], r"1 missing value "),
        (Continuous(), [1.0, np.inf], r"outside"),
        (Continuous(low=0), [1.0, -1.0], r"1 values outside \[0"),
        (Continuous(), ["a"], r"must be numbers"),
        (Image(3, 2, 2), np.zeros((5, 1, 2, 2)), r"images of shape \(1, 2, 2\)"),
        (Image(1, 2, 2), np.full((1, 1, 2, 2), 2.0), r"outside the declared range \[0, 1\]"),
        (Image(1, 2, 2), np.zeros((1, 1, 2, 2), int), r"type int64"),
        (Image(1, 2, 2), np.full((1, 1, 2, 2), np.nan), r"missing"),
    ],
)
def test_values_outside_the_declaration_are_refused_by_name(variable, values, message):
    with pytest.raises(DataError, match=message) as caught:
        variable.encode(values, "V")
    assert "'V'" in str(caught.value)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Discrete("abc"), "list of their names"),
        (lambda: Discrete([]), "without categories"),
        (lambda: Discrete(["a", "a"]), "more than once"),
        (lambda: Continuous(low=1, high=1), "empty"),
        (lambda: Image(0, 2, 2), "at least 1"),
        (lambda: Image(1, 2, 2, 1, 0), "empty"),
        (lambda: variable_from_dict({"kind": "audio"}, "S"), "kind 'audio'"),
        (lambda: variable_from_dict({"kind": "image", "depth": 3}, "S"), "depth"),
    ],
)
def test_impossible_declarations_are_refused(declare, message):
    with pytest.raises(VariableError, match=message):
        declare()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Discrete(True), "Discrete\\(True\\) cannot be declared"),
        (lambda: Discrete([1.0, float("nan")]), "nan as a category"),
        (lambda: Discrete(["a", None]), "None as a category"),
        (lambda: Discrete([["a"], ["b"]]), "as a category"),
        (lambda: Discrete([("a", 1), ("b", 2)]), "as a category"),
        (lambda: Continuous(low="a"), "give a number"),
        (lambda: Image(1.5, 2, 2), "a whole number"),
        (lambda: Image("1", 2, 2), "a whole number"),
    ],
)
def test_declarations_that_make_no_sense(build, message):
    with pytest.raises(VariableError, match=message):
        build()


def test_categories_may_come_as_an_array_or_an_index():
    assert Discrete(np.array(["a", "b"])) == Discrete(["a", "b"])
    assert Discrete(pd.Categorical(["b", "a"]).categories) == Discrete(["a", "b"])
    assert Discrete(np.arange(3)) == Discrete(3)


@pytest.mark.parametrize(
    "values", [np.array(["2020-01-01"], "datetime64[ns]"), np.array([1j]), np.array(["1.5"])]
)
def test_what_only_looks_like_numbers_is_no_continuous_value(values):
    with pytest.raises(DataError, match="must be numbers"):
        Continuous().encode(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [(3, "cannot be 3"), (None, "cannot be None"), (np.zeros((3, 2, 2)), r"\(3, 2, 2\)")],
)
def test_what_is_no_image_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        Image(1, 2, 2).encode(values, "I")


def test_texts_come_back_with_all_their_characters():
    text = Text(16)
    assert text.decode(text.encode(["a\x00", "é"])).tolist() == ["a\x00", "é"]
    with pytest.raises(DataError, match="UTF-8 cannot hold"):
        text.encode(["\ud800"])


def test_numbers_too_large_for_a_vector_are_refused():
    with pytest.raises(DataError, match="not finite"):
        Vector(2).encode([[1e300, 0.0]])


@pytest.mark.parametrize("pack", [list, pd.Series])
def test_images_of_several_sizes_are_refused(pack):
    images = pack([np.zeros((1, 4, 4)), np.zeros((1, 5, 5))])
    with pytest.raises(DataError, match=r"several sizes|same shape"):
        Image(1, 4, 4).encode(images)


@pytest.mark.parametrize("categories", [[1, 2, 4], 3, [0, 2]])
def test_true_is_no_number_of_a_category(categories):
    with pytest.raises(DataError, match="outside its categories"):
        Discrete(categories).encode(np.array([True, False]))


@pytest.mark.parametrize(("categories", "codes"), [(2, [1, 0]), ([1, 0], [0, 1])])
def test_true_is_one_where_nought_and_one_are_all(categories, codes):
    assert Discrete(categories).encode(np.array([True, False])).tolist() == codes
