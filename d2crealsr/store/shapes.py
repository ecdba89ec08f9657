"""Shapes that a residual field can have: their names, what each means, and what to do about it.

Words only, so that reports and documentation can use them without any numeric code; :mod:`d2crealsr.quality.shape`
finds which one a field has.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["RESIDUAL_SHAPES", "ResidualShape", "ShapeInWords", "shapes_markdown"]

ResidualShape: TypeAlias = Literal["uniform", "affine", "radial", "bent", "random"]


class ShapeInWords(NamedTuple):
    """What a shape looks like, where it comes from, and what helps."""

    looks: str
    means: str
    remedy: str


RESIDUAL_SHAPES: dict[ResidualShape, ShapeInWords] = {
    "uniform": ShapeInWords(
        "every arrow points the same way",
        "HR as a whole lies off: a bias, such as a half pixel forgotten or keypoints that are displaced",
        "look at the conventions of whatever resampled the images; realign from the captures",
    ),
    "affine": ShapeInWords(
        "arrows turn, stretch, shear or tilt steadily across the picture, as a plane seen from elsewhere",
        "the fit has not converged: one more homography would take it out",
        "realign with more iterations or with direct refinement (--refine radial)",
    ),
    "radial": ShapeInWords(
        "arrows point to or from the middle and grow with the third power of the distance",
        "a lens' distortion that the mapping does not have",
        "align with --refine radial, or give the lens' k1 by --undistort-hr and --undistort-lr",
    ),
    "bent": ShapeInWords(
        "arrows follow a curve along one direction and do not change across it",
        "the card is bowed and the camera moved between the shots, so that no flat mapping fits",
        "press the card flat, keep the camera in place between the shots; reshoot it if it matters",
    ),
    "random": ShapeInWords(
        "no pattern: arrows of neighbours have nothing to do with each other",
        "the measurement's own noise, or single things that moved; nothing that a better mapping would take out",
        "nothing, where it is small; where it is large, look for what moved or for too little texture",
    ),
}
"""Every shape by the name that stands in ``residual_shape``, in the order in which they are tried."""


def shapes_markdown() -> str:
    """The shapes as a Markdown table, as it stands in the documentation."""
    lines = ["| shape | looks like | means | what helps |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {words.looks} | {words.means} | {words.remedy} |" for name, words in RESIDUAL_SHAPES.items()
    ]
    return "\n".join(lines)
