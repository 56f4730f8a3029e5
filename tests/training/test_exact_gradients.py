"""Gradients to the discrete parents of a frozen generator against the exact gradient, summed and
integrated."""

from benchmarks.gradients import compare


def test_the_enumerated_gradient_is_unbiased_and_the_steadiest() -> None:
    found = compare(repeats=150, temperature=0.5)
    for name in ("enumerate", "rloo"):
        # the squared error of a mean has about as many degrees of freedom as there are directions:
        # twice chance is far
        assert found[name]["bias"] < 2.0 * found[name]["chance"], found
    for name in ("straight-through", "none"):
        assert found[name]["bias"] > 10 * found[name]["chance"], found
    assert found["enumerate"]["deviation"] < min(
        v["deviation"] for k, v in found.items() if k != "enumerate"
    )
