"""From statistics to a verdict: one rule a line, each with its reason code, number and threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from d2crealsr.imaging.crop import MIN_SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.settings import AlignSettings

__all__ = ["RULES", "Rule", "explain", "judge"]


class Rule(NamedTuple):
    """A pair is rejected for ``reason`` when a statistic is above or below its threshold.

    ``threshold`` is a number, or the name of the setting that holds it.
    """

    reason: str
    statistic: str
    bad_when: Literal["above", "below"]
    threshold: float | str

    def limit(self, settings: AlignSettings) -> float:
        """The threshold's value under the given settings."""
        return float(getattr(settings, self.threshold)) if isinstance(self.threshold, str) else self.threshold

    def rejects(self, value: float, settings: AlignSettings) -> bool:
        """Whether a value breaks the rule. nan, a statistic that could not be measured, breaks it."""
        limit = self.limit(settings)
        return not (value <= limit if self.bad_when == "above" else value >= limit)


RULES = (
    Rule("implausible_homography", "anisotropy", "above", "max_anisotropy"),
    Rule("implausible_homography", "perspective_ratio", "above", "max_perspective"),
    Rule("scale_mismatch", "scale_ratio", "below", "min_scale_ratio"),
    Rule("scale_mismatch", "scale_ratio", "above", "max_scale_ratio"),
    Rule("crop_too_small", "crop_side_lr_px", "below", MIN_SIDE),
    Rule("clipped", "clipped_fraction", "above", "max_clipped"),
    Rule("low_texture", "textured_fraction", "below", "min_textured"),
    Rule("not_same_scene", "zncc_block_p50", "below", "min_zncc"),
    Rule("content_mismatch", "content_differs_fraction", "above", "max_differing"),
    Rule("position_uncertain", "sigma_hr_px", "above", "max_sigma"),
    Rule("residual_too_large", "residual_p50_hr_px", "above", "max_residual_p50"),
    Rule("residual_too_large", "residual_p95_hr_px", "above", "max_residual_p95"),
)
"""Every rule QA applies, in the order in which reasons are listed."""


def judge(statistics: Mapping[str, float], settings: AlignSettings) -> tuple[str, ...]:
    """The reason codes that apply, each once, in the order of :data:`RULES`; empty when the pair is accepted.

    Statistics that a crop too small to measure does not have are not held against it a second time.
    """
    measured = [rule for rule in RULES if rule.statistic in statistics]
    return tuple(dict.fromkeys(r.reason for r in measured if r.rejects(statistics[r.statistic], settings)))


def explain(statistics: Mapping[str, float], settings: AlignSettings) -> str:
    """The broken rules in one line for a person, with this pair's numbers; empty when the pair is accepted."""
    broken = (r for r in RULES if r.statistic in statistics and r.rejects(statistics[r.statistic], settings))
    return "; ".join(f"{r.statistic} {statistics[r.statistic]:.4g} {r.bad_when} {r.limit(settings):g}" for r in broken)
