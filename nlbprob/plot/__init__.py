"""Figures of a fit: each function takes and returns Axes of matplotlib, and is the one that draws the report's figure.

Text is readable at the width of a column, 3.5 inches, which is how wide a figure is made where no Axes are handed over.
"""

from nlbprob.plot.averages import psths
from nlbprob.plot.behavior import decoded
from nlbprob.plot.bound import learning
from nlbprob.plot.courses import latents, trajectories
from nlbprob.plot.dynamics import modes
from nlbprob.plot.flow import flow
from nlbprob.plot.pareto import pareto
from nlbprob.plot.parts import contributions, tuning
from nlbprob.plot.plates import plates
from nlbprob.plot.readout import (
    loadings,
    loadings_by_area,
    loadings_of_latent,
    loadings_of_mode,
    orthonormal_latents,
)
from nlbprob.plot.shapes import factors, templates
from nlbprob.plot.spikes import rasters
from nlbprob.plot.subspaces import subspace_angles
from nlbprob.plot.switching import regimes, switching
from nlbprob.plot.timescales import timescales

__all__ = [
    "contributions",
    "decoded",
    "factors",
    "flow",
    "latents",
    "learning",
    "loadings",
    "loadings_by_area",
    "loadings_of_latent",
    "loadings_of_mode",
    "modes",
    "orthonormal_latents",
    "pareto",
    "plates",
    "psths",
    "rasters",
    "regimes",
    "subspace_angles",
    "switching",
    "templates",
    "timescales",
    "trajectories",
    "tuning",
]
