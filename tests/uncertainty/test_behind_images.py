"""Intervals of answers through an image."""

import warnings

import causalplug as cp
from benchmarks.coverage import CASES, bootstrap


def test_the_interval_is_about_as_wide_as_that_of_what_the_images_show():
    """The network reads projections, and has more weights than the rows determine; the plug-in
    formula knows that a bright image is all there is to see."""
    case = CASES["image"]()
    tables = case.draw(1000, 1)
    dcm = case.model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, [cp.DataSource(t) for t in tables], progress=False, **dict(case.settings))
    found = dcm.estimate(case.query, n=20_000)
    assert 0.8 < found.standard_error / bootstrap(case, tables, 0) < 1.4
    assert abs(float(found) - case.truth) < 3 * found.standard_error
