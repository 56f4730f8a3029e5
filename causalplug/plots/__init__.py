"""Pictures as matplotlib figures, in one look that the colour-blind can read and that is legible in
a paper's column.

No function here opens a window or touches matplotlib's global state: every one returns a figure to
show or to save.
"""

from __future__ import annotations

from causalplug.plots.certificate import plot_certificate
from causalplug.plots.curves import plot_curve
from causalplug.plots.distributions import plot_distributions
from causalplug.plots.drivers import plot_drivers
from causalplug.plots.fit import plot_fit
from causalplug.plots.graph import plot_graph
from causalplug.plots.images import plot_counterfactuals, plot_images, plot_interventions
from causalplug.plots.plan import plot_plan
from causalplug.plots.training import plot_training

__all__ = [
    "plot_certificate",
    "plot_counterfactuals",
    "plot_curve",
    "plot_distributions",
    "plot_drivers",
    "plot_fit",
    "plot_graph",
    "plot_images",
    "plot_interventions",
    "plot_plan",
    "plot_training",
]
