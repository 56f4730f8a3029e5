"""Pictures of graphs and plans as matplotlib figures, in one look that the colour-blind can read.

No function here opens a window or touches matplotlib's global state: every one returns a figure to show or to save.
"""

from __future__ import annotations

from causalplug.plots.graph import plot_graph
from causalplug.plots.plan import plot_plan

__all__ = ["plot_graph", "plot_plan"]
