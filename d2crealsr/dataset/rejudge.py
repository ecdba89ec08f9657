"""Use the row of an earlier run to judge its statistics again, and to make its published images again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.imaging.crop import MIN_SIDE, cut
from d2crealsr.imaging.estimate import Estimate, missing_cells
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.quality.verdict import RULES
from d2crealsr.store.columns import MANIFEST
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from d2crealsr.quality.verdict import Rule
    from d2crealsr.settings import AlignSettings
    from d2crealsr.types import Image

__all__ = ["Judgement", "judge_row", "published_from_row"]

_WITHOUT_CROP = ("anisotropy", "perspective_ratio", "scale_ratio", "crop_side_lr_px")
"""The only statistics of an estimate whose crop is too small to measure anything else."""

_DIGITS = {
    column.name: int(column.digits.removeprefix(".").removesuffix("f")) for column in MANIFEST if "f" in column.digits
}
_SLACK = 1.01
"""Factor on half a unit of the last digit, because the double that is read is not exactly the written decimal."""


class Judgement(NamedTuple):
    """QA's verdict on a row: its reason codes, and the broken rules in words."""

    reasons: tuple[str, ...]
    explained: str


def judge_row(row: Mapping[str, Any], settings: AlignSettings) -> Judgement | None:
    """QA's verdict under other thresholds, from the statistics in the manifest.

    They are rounded there, so each rule is applied to both ends of the interval that contains the exact value.

    Parameters
    ----------
    row : mapping
        A manifest row made by `align_pair` with the same settings, except for those of QA.

    Returns
    -------
    Judgement or None
        None if, because of rounding or an empty cell, the results of :func:`d2crealsr.quality.verdict.judge` and
        ``explain`` are not certain.
    """
    reasons, broken = dict[str, None](), []
    for rule in RULES:
        said = {_in_words(rule, value, settings) for value in _values(rule.statistic, row, settings)}
        if len(said) > 1:
            return None
        if words := said.pop():
            reasons[rule.reason] = None
            broken.append(words)
    return Judgement(tuple(reasons), "; ".join(broken))


def _in_words(rule: Rule, value: float | None, settings: AlignSettings) -> str:
    """The rule in words if it is broken, else empty. The value None means that the statistic was not measured."""
    return "" if value is None or not rule.rejects(value, settings) else rule.words(value, settings)


def _values(statistic: str, row: Mapping[str, Any], settings: AlignSettings) -> Iterator[float | None]:
    """The values that a statistic may have had before rounding."""
    value = row.get(statistic)
    if value is not None:
        half = _SLACK * 0.5 * 10.0 ** -_DIGITS[statistic]
        yield from (float(value) - half, float(value) + half)
    elif said := re.search(rf"(?:^|; ){statistic} (nan|inf|-inf) ", row["message"]):  # such cells are empty
        yield float(said[1])
    elif _is_absent(statistic, row, settings):
        yield None
    else:
        yield from (None, float("nan"), float("inf"))


def _is_absent(statistic: str, row: Mapping[str, Any], settings: AlignSettings) -> bool:
    """Whether an empty cell belongs to a statistic that an estimate of this kind does not have."""
    side = row.get("crop_side_lr_px")
    if side is not None and side < MIN_SIDE:
        return statistic not in _WITHOUT_CROP
    if statistic == "detail_scale":
        return settings.scale == 1
    return statistic == "sigma_hr_px" and settings.refine == "none"


def published_from_row(
    row: Mapping[str, Any], hr: Image, lr: Image, settings: AlignSettings
) -> tuple[Image, Image] | None:
    """The published HR and LR of a manifest row, with the same pixels as from `align_pair`, but without registration.

    Parameters
    ----------
    row : mapping
        The row, in which the estimate is stored exactly; ``settings`` add the interpolation.
    hr, lr : (H, W, 3) ndarray of uint8 or uint16
        The captures from which the row was made: RGB, upright, in sRGB.

    Returns
    -------
    (hr, lr) or None
        None if the row has no estimate, or lacks a part of one.
    """
    if missing_cells(row):  # a default in its place would give other pixels
        return None
    estimate = Estimate.from_row(row, Size.of(hr), Size.of(lr))
    if estimate is None or estimate.placement.crop.side < 1:
        return None
    return warp_hr(hr, estimate, settings.interpolation), cut(lr, estimate.placement.crop)
