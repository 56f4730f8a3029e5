"""Without the extra ``plots`` every picture is refused with the way to install it."""

import sys

import pytest

import causalplug as cp
from causalplug.plots import style

GRAPH = cp.CausalGraph.parse("D -> I -> A; D <-> A")
PICTURES = {
    "graph": GRAPH.plot,
    "plan": lambda: cp.plan(GRAPH).plot(),
    "certificate": lambda: cp.identify(GRAPH, "P(A_{D=1} | D=0)").plot(),
}


@pytest.mark.parametrize("what", sorted(PICTURES))
def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    style.text_width.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(cp.MissingDependencyError, match=r"pip install causalplug\[plots\]"):
        PICTURES[what]()


def test_the_command_line_does_not_call_it_a_bug(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    from causalplug.cli import main

    style.text_width.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    picture = str(tmp_path / "plan.png")
    monkeypatch.setattr(sys, "argv", ["causalplug", "plan", "X -> Y", "--png", picture])
    with pytest.raises(SystemExit) as stopped:
        sys.exit(main())
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "causalplug[plots]" in told
    assert "bug" not in told
