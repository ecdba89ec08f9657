"""Plots of a manifest, an alignment, a residual field, a pair: for notebooks and for the report.

Each function takes a table as :mod:`d2crealsr` reads it, or images, and an optional ``ax``, and returns the axes it
drew on. They need matplotlib (extra ``report``), which is imported when the first plot is drawn.
"""

from d2crealsr.plots.dataset import (
    inliers,
    predicted_and_measured,
    residual_by_stage,
    residual_distribution,
    scale_and_rotation,
    sharpness,
)
from d2crealsr.plots.pair import joint_histogram, residual_field, spectrum_ratio
from d2crealsr.plots.style import theme

__all__ = [
    "inliers",
    "joint_histogram",
    "predicted_and_measured",
    "residual_by_stage",
    "residual_distribution",
    "residual_field",
    "scale_and_rotation",
    "sharpness",
    "spectrum_ratio",
    "theme",
]
