"""``truth.csv``, the truth about simulated captures, and the paths of the true pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.store.columns import HOMOGRAPHY, ONE_SCENE, Column
from d2crealsr.store.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["TRUTH", "read_truth", "reference_path"]

_YES = ("True", "true", "1")
_NO = ("False", "false", "0")


def _side(name: str, meaning: str, unit: str) -> Column:
    return Column(name=name, kind="int", meaning=meaning, unit=unit, required=True, at_least=1)


TRUTH: tuple[Column, ...] = (
    ONE_SCENE,
    *HOMOGRAPHY,
    Column(name="k1_hr", kind="float", meaning="radial distortion of the HR capture", required=True),
    Column(name="k1_lr", kind="float", meaning="radial distortion of the LR capture", required=True),
    _side("hr_width", "width of the upright HR capture", "HR px"),
    _side("hr_height", "its height", "HR px"),
    _side("lr_width", "width of the upright LR capture", "LR px"),
    _side("lr_height", "its height", "LR px"),
    Column(name="ref_x", kind="float", meaning="first column of the reference in the LR capture", unit="LR px"),
    Column(name="ref_y", kind="float", meaning="first row of the reference in the LR capture", unit="LR px"),
    Column(name="same_scene", kind="text", meaning="whether both captures show one card", one_of=_YES + _NO),
    Column(
        name="content_differs_fraction",
        kind="float",
        meaning="share of the crop whose content differs between the captures (occlusion, glare)",
        at_least=0,
        at_most=1,
    ),
    Column(
        name="bow_shift_max_hr_px",
        kind="float",
        meaning="how far a bowed card departs from the plane that h00 … h22 stand for, at most",
        unit="HR px",
        at_least=0,
        fixed=False,
    ),
)
"""The columns that others rely on. The parameters of the simulation follow as text."""


def read_truth(path: Path) -> pd.DataFrame:
    """Read ``truth.csv``, indexed by scene, with ``same_scene`` as bool.

    Raises
    ------
    LayoutError
        When there is no such file.
    TableError
        When a column is missing, a value is not permitted in its column, or a scene occurs twice.
    """
    frame = read_table(path, TRUTH)
    frame["same_scene"] = frame["same_scene"].isin(_YES)
    return frame.set_index("scene")


def reference_path(truth: Path, scene: str) -> Path:
    """Path of the true picture of a scene, which lies beside ``truth.csv``."""
    return truth.parent / "reference" / f"{scene}.png"
