"""The import paths of version 0.1 lead to the same objects, with a warning."""

import importlib
import sys
import warnings

import pytest

from causalplug.moved import MOVED


@pytest.mark.parametrize("former", sorted(MOVED))
def test_a_former_name_leads_to_the_module_with_a_warning(former):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the folder of the module may have moved, too
        importlib.import_module(former.rpartition(".")[0])
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=MOVED[former]):
        old = importlib.import_module(former)
    new = importlib.import_module(MOVED[former])
    for name in new.__all__ if hasattr(new, "__all__") else ():
        assert getattr(old, name) is getattr(new, name)


def test_a_former_name_can_be_imported_from():
    sys.modules.pop("causalplug.mechanisms.label_map", None)
    with pytest.warns(DeprecationWarning, match="label_map has moved"):
        from causalplug.mechanisms.label_map import Label

    from causalplug import Label as now

    assert Label is now


def test_a_name_that_never_was_is_still_an_error():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("causalplug.causal.nothing")
