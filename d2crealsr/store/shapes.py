"""Shapes that a residual field can have: their names, what each means, and what to do about it.

The module holds only text, so that reports and documentation can use it without numeric code.
:mod:`d2crealsr.quality.shape` determines the shape of a field.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["RESIDUAL_SHAPES", "ResidualShape", "ShapeInWords"]

ResidualShape: TypeAlias = Literal["uniform", "affine", "radial", "bent", "random"]


class ShapeInWords(NamedTuple):
    """What a shape looks like, where it comes from, and what helps."""

    looks: str
    means: str
    remedy: str


RESIDUAL_SHAPES: dict[ResidualShape, ShapeInWords] = {
    "uniform": ShapeInWords(
        "every arrow points the same way",
        "HR is displaced as a whole: a bias, such as a forgotten half pixel or displaced keypoints",
        "check the pixel convention of the program that resampled the images; align again from the captures",
    ),
    "affine": ShapeInWords(
        "arrows change steadily across the picture: a rotation, scaling, shear or perspective",
        "the fit has not converged: one more homography would remove the pattern",
        "align again with more iterations or with direct refinement (--refine radial)",
    ),
    "radial": ShapeInWords(
        "arrows point towards or away from the middle and grow with the third power of the distance",
        "lens distortion that the mapping does not model",
        "align with --refine radial, or give the k1 of the lens with --undistort-hr and --undistort-lr",
    ),
    "bent": ShapeInWords(
        "arrows follow a curve along one direction and do not change across it",
        "the card is bowed and the camera moved between the shots, so no mapping of a plane fits",
        "press the card flat and keep the camera in place between the shots; reshoot if the error matters",
    ),
    "random": ShapeInWords(
        "no pattern: neighbouring arrows are unrelated",
        "noise of the measurement, or single objects that moved; a better mapping would not remove it",
        "nothing where it is small; where it is large, look for objects that moved or for too little texture",
    ),
}
"""Every shape by its name in the column ``residual_shape``, from the simplest to none."""
