"""What an earlier run's row is enough for: another verdict over its statistics, and its published images once more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.imaging.crop import MIN_SIDE, cut
from d2crealsr.imaging.estimate import Estimate
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
"""Statistics that an estimate has whose crop is too small to measure anything in."""

_DIGITS = {
    column.name: int(column.digits.removeprefix(".").removesuffix("f")) for column in MANIFEST if "f" in column.digits
}
_SLACK = 1.01
"""Over half a unit of the last digit: the decimal written is not exactly the double that is read."""


class Judgement(NamedTuple):
    """What QA says of a row: its reason codes, and the broken rules in words."""

    reasons: tuple[str, ...]
    explained: str


def judge_row(row: Mapping[str, Any], settings: AlignSettings) -> Judgement | None:
    """QA's verdict under other thresholds, from the statistics as the manifest keeps them.

    They are rounded there, so each rule is applied to both ends of what its statistic may have been.

    Parameters
    ----------
    row : mapping
        A row of the manifest that `align_pair` made, with the same settings but for QA's.

    Returns
    -------
    Judgement or None
        None where rounding, or an empty cell, leaves open what :func:`d2crealsr.quality.verdict.judge` and ``explain``
        would have said.
    """
    reasons, broken = dict[str, None](), []
    for rule in RULES:
        said = {_said(rule, value, settings) for value in _values(rule.statistic, row, settings)}
        if len(said) > 1:
            return None
        if words := said.pop():
            reasons[rule.reason] = None
            broken.append(words)
    return Judgement(tuple(reasons), "; ".join(broken))


def _said(rule: Rule, value: float | None, settings: AlignSettings) -> str:
    """A broken rule in words, empty for one that holds; None is a statistic that was not measured."""
    return "" if value is None or not rule.rejects(value, settings) else rule.words(value, settings)


def _values(statistic: str, row: Mapping[str, Any], settings: AlignSettings) -> Iterator[float | None]:
    """What a statistic may have been."""
    value = row.get(statistic)
    if value is not None:
        half = _SLACK * 0.5 * 10.0 ** -_DIGITS[statistic]
        yield from (float(value) - half, float(value) + half)
    elif said := re.search(rf"(?:^|; ){statistic} (nan|inf|-inf) ", row["message"]):  # neither is written in its cell
        yield float(said[1])
    elif _is_absent(statistic, row, settings):
        yield None
    else:
        yield from (None, float("nan"), float("inf"))


def _is_absent(statistic: str, row: Mapping[str, Any], settings: AlignSettings) -> bool:
    """Whether an empty cell is that of a statistic that such an estimate does not have."""
    side = row.get("crop_side_lr_px")
    if side is not None and side < MIN_SIDE:
        return statistic not in _WITHOUT_CROP
    return statistic == "sigma_hr_px" and settings.refine == "none"


def published_from_row(
    row: Mapping[str, Any], hr: Image, lr: Image, settings: AlignSettings
) -> tuple[Image, Image] | None:
    """The published HR and LR of a row of the manifest, pixel by pixel as `align_pair` makes them, without registering.

    Parameters
    ----------
    row : mapping
        Its estimate is exact in the manifest; ``settings`` add the interpolation.
    hr, lr : (H, W, 3) ndarray of uint8 or uint16
        The captures that the row was made from, RGB, oriented, in sRGB.

    Returns
    -------
    (hr, lr) or None
        None where the row holds no estimate.
    """
    estimate = Estimate.from_row(row, Size.of(hr), Size.of(lr))
    if estimate is None:
        return None
    return warp_hr(hr, estimate, settings.interpolation), cut(lr, estimate.placement.crop)
