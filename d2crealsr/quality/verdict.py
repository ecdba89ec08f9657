"""From statistics to a verdict: one rule a line, each with its reason code, number and threshold."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

from d2crealsr.imaging.crop import MIN_SIDE
from d2crealsr.settings import STRICT_SHARE, scale_advice
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.reasons import REASONS, ReasonInWords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.settings import AlignSettings

__all__ = ["FIXED_RULES", "NOT_PUBLISHABLE", "QA_SETTINGS", "RULES", "Rule", "explain", "in_words", "judge"]


class Rule(NamedTuple):
    """A pair is rejected for ``reason`` when a statistic is above or below its threshold.

    ``threshold`` is a number, or the name of the setting that holds it. ``perfect`` is the statistic's best value,
    which the profile ``strict`` moves the threshold towards. Where nothing can be published beyond the threshold
    (``publishable`` false), the rule holds in every profile, and nobody can overrule it. With ``of_scale``, threshold
    and perfect value are shares of the scale.
    """

    reason: str
    statistic: str
    bad_when: Literal["above", "below"]
    threshold: float | str
    perfect: float = 0.0
    publishable: bool = True
    of_scale: bool = False

    def limit(self, settings: AlignSettings) -> float:
        """The threshold's value under the given settings: what is set, tightened in the profile ``strict``."""
        value = float(getattr(settings, self.threshold) if isinstance(self.threshold, str) else self.threshold)
        limit = self._at_scale(value, settings.scale)
        if not (self.publishable and settings.qa_profile == "strict"):
            return limit
        best = self.best(settings)
        tightened = best + STRICT_SHARE * (limit - best)
        return min(limit, tightened) if self.bad_when == "above" else max(limit, tightened)

    def best(self, settings: AlignSettings) -> float:
        """The perfect value of the statistic under the given settings."""
        return self._at_scale(self.perfect, settings.scale)

    def _at_scale(self, value: float, scale: int) -> float:
        return value * scale if self.of_scale else value

    def rejects(self, value: float, settings: AlignSettings) -> bool:
        """Whether a value breaks the rule. nan, a statistic that could not be measured, breaks it."""
        if settings.qa_profile == "off" and self.publishable:
            return False
        limit = self.limit(settings)
        return not (value <= limit if self.bad_when == "above" else value >= limit)

    def words(self, value: float, settings: AlignSettings) -> str:
        """The broken rule for a person: statistic, value and threshold."""
        text = f"{self.statistic} {value:.4g} {self.bad_when} {self.limit(settings):g}"
        effective = value * settings.scale
        if self.statistic != "scale_ratio" or not isfinite(effective) or round(effective) == settings.scale:
            return text
        return f"{text} ({scale_advice(effective)})"


RULES = (
    Rule("implausible_homography", "anisotropy", "above", "max_anisotropy", 1.0),
    Rule("implausible_homography", "perspective_ratio", "above", "max_perspective", 1.0),
    Rule("scale_mismatch", "scale_ratio", "below", "min_scale_ratio", 1.0),
    Rule("scale_mismatch", "scale_ratio", "above", "max_scale_ratio", 1.0),
    Rule("crop_too_small", "crop_side_lr_px", "below", MIN_SIDE, publishable=False),
    Rule("clipped", "clipped_fraction", "above", "max_clipped"),
    Rule("clipped", "hr_clipped_fraction", "above", "max_hr_clipped"),
    Rule("low_texture", "textured_fraction", "below", "min_textured", 1.0),
    Rule("not_same_scene", "zncc_block_p50", "below", "min_zncc", 1.0),
    Rule("content_mismatch", "content_differs_fraction", "above", "max_differing"),
    Rule("content_mismatch", "differing_hr_px", "above", "max_differing_place"),
    Rule("colour_mismatch", "colour_ratio", "above", "max_colour_ratio", 0.1),
    Rule("position_uncertain", "sigma_hr_px", "above", "max_sigma"),
    Rule("card_off_centre", "off_centre_hr_px", "above", "max_off_centre"),
    Rule("residual_too_large", "residual_p50_hr_px", "above", "max_residual_p50"),
    Rule("residual_too_large", "residual_p95_hr_px", "above", "max_residual_p95"),
    Rule("residual_too_large", "residual_local_hr_px", "above", "max_residual_local"),
    Rule("residual_too_large", "residual_side_hr_px", "above", "max_residual_side"),
    Rule("residual_too_large", "residual_worst_hr_px", "above", "max_residual_worst"),
    Rule("hr_not_sharper", "sharpness_ratio", "below", "min_sharpness", 2.0),
    Rule("hr_not_sharper", "detail_scale", "below", "min_detail", 0.39, of_scale=True),
)
"""Every rule QA applies, in the order in which reasons are listed."""

NOT_PUBLISHABLE = frozenset(rule.reason for rule in RULES if not rule.publishable)
"""Reasons that leave no images to publish, whatever a person or a profile says."""

QA_SETTINGS = (
    "qa_profile",
    *dict.fromkeys(rule.threshold for rule in RULES if isinstance(rule.threshold, str)),
)
"""Settings that decide the verdict and nothing else."""

FIXED_RULES = tuple(rule for rule in RULES if rule.publishable and not isinstance(rule.threshold, str))
"""Rules that no setting tells of."""


def judge(statistics: Mapping[str, float], settings: AlignSettings) -> tuple[str, ...]:
    """The reason codes that apply, each once, in the order of :data:`RULES`; empty when the pair is accepted.

    Statistics that a crop too small to measure does not have are not held against it a second time.
    """
    measured = [rule for rule in RULES if rule.statistic in statistics]
    return tuple(dict.fromkeys(r.reason for r in measured if r.rejects(statistics[r.statistic], settings)))


def explain(statistics: Mapping[str, float], settings: AlignSettings, reason: str = "") -> str:
    """The broken rules in one line for a person, with this pair's numbers; empty when the pair is accepted.

    With ``reason``, only the rules of that reason.
    """
    measured = (rule for rule in RULES if rule.statistic in statistics and reason in ("", rule.reason))
    broken = (rule for rule in measured if rule.rejects(statistics[rule.statistic], settings))
    return "; ".join(rule.words(statistics[rule.statistic], settings) for rule in broken)


def in_words(reason: str) -> ReasonInWords:
    """What a reason code means and what helps; where nobody wrote it down, what its rules go by."""
    meanings = {column.name: column.meaning for column in MANIFEST}
    broken = [f"{r.statistic} ({meanings[r.statistic]}) is {r.bad_when} its limit" for r in RULES if r.reason == reason]
    means = f"The number {' or '.join(broken)}." if broken else "This version does not know the code."
    return REASONS.get(reason, ReasonInWords(means, "See docs/reason-codes.md."))
