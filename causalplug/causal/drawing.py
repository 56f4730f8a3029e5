"""Drawing a certificate: the graph in layers, with what stands in the way in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalplug.causal.graph import CausalGraph
from causalplug.errors import MissingDependencyError

if TYPE_CHECKING:
    from causalplug.causal.certificate import Certificate

__all__ = ["draw_certificate", "layered_positions"]

ROOT, FOREST, PLAIN = "#d95f02", "#fdc086", "#e8e8e8"


def draw_certificate(certificate: Certificate, ax: Any = None) -> Any:
    """Draw ``certificate.graph``: the c-factor in strong colour, the rest of its hedge in light, confounders dashed.

    Args:
        certificate: what to draw.
        ax: matplotlib axes; a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingDependencyError(
            "the certificate cannot be drawn: matplotlib is not installed; run `pip install matplotlib`"
        ) from None
    graph = certificate.graph if certificate.graph is not None else CausalGraph()
    if ax is None:
        _, ax = plt.subplots(figsize=(1.6 + 1.1 * min(len(graph.variables), 10), 3.2))
    forest = frozenset().union(*(hedge.forest for hedge in certificate.hedges))
    at = layered_positions(graph)
    inside = forest | certificate.variables
    for cause, effect in graph.directed:
        strong = cause in inside and effect in inside
        _edge(ax, at[cause], at[effect], "-|>", "solid", 0.0, strong)
    for left, right in graph.bidirected:
        strong = left in inside and right in inside
        _edge(ax, at[left], at[right], "<|-|>", "dashed", 0.35, strong)
    for name, (x, y) in at.items():
        colour = ROOT if name in certificate.variables else FOREST if name in forest else PLAIN
        box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#444444"}
        ax.text(x, y, name, ha="center", va="center", bbox=box, zorder=3)
    xs, ys = [x for x, _ in at.values()] or [0.0], [y for _, y in at.values()] or [0.0]
    ax.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    ax.set_ylim(min(ys) - 0.7, max(ys) + 0.7)
    ax.set_axis_off()
    ax.set_title(certificate.sentence, fontsize=8, wrap=True)
    return ax


def layered_positions(graph: CausalGraph) -> dict[str, tuple[float, float]]:
    """Causes to the left of their effects; within a layer in the order of the layer before."""
    depth: dict[str, int] = {}
    for name in graph.topological_order():
        depth[name] = max((depth[p] + 1 for p in graph.parents(name)), default=0)
    layers: dict[int, list[str]] = {}
    for name in graph.topological_order():
        layers.setdefault(depth[name], []).append(name)
    at: dict[str, tuple[float, float]] = {}
    for level, names in sorted(layers.items()):

        def height(name: str) -> float:
            above = [at[p][1] for p in graph.parents(name)]
            return sum(above) / len(above) if above else 0.0

        ordered = sorted(names, key=height)
        for i, name in enumerate(ordered):
            # A small slant keeps an edge over two layers off the variable between them.
            at[name] = (float(level), i - (len(ordered) - 1) / 2 + 0.25 * (level % 2))
    return at


def _edge(
    ax: Any, start: tuple[float, float], end: tuple[float, float], arrow: str, style: str, bend: float, strong: bool
) -> None:
    ax.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": arrow,
            "linestyle": style,
            "color": ROOT if strong else "#888888",
            "linewidth": 1.8 if strong else 1.0,
            "shrinkA": 14,
            "shrinkB": 14,
            "connectionstyle": f"arc3,rad={bend}",
        },
        zorder=2,
    )
