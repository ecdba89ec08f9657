"""Rules: each statistic on both sides of its threshold."""

import dataclasses

import pytest

from d2crealsr.quality import verdict
from d2crealsr.settings import AlignSettings

GOOD = {
    "anisotropy": 1.003,
    "perspective_ratio": 1.002,
    "scale_ratio": 1.01,
    "crop_side_lr_px": 144.0,
    "textured_fraction": 1.0,
    "zncc_block_p50": 0.98,
    "clipped_fraction": 0.01,
    "content_differs_fraction": 0.001,
    "sigma_hr_px": 0.02,
    "residual_p50_hr_px": 0.1,
    "residual_p95_hr_px": 0.3,
}


def test_a_good_pair_is_accepted() -> None:
    assert verdict.judge(GOOD, AlignSettings()) == ()


@pytest.mark.parametrize("rule", verdict.RULES, ids=lambda r: f"{r.reason}-{r.statistic}-{r.bad_when}")
def test_each_rule_at_its_threshold(rule: verdict.Rule) -> None:
    limit = rule.limit(AlignSettings())
    step = 1e-6 if rule.bad_when == "above" else -1e-6
    assert rule.reason not in verdict.judge(GOOD | {rule.statistic: limit}, AlignSettings())
    assert rule.reason in verdict.judge(GOOD | {rule.statistic: limit + step}, AlignSettings())


def test_what_could_not_be_measured_is_no_reason_to_accept() -> None:
    assert verdict.judge(GOOD | {"residual_p50_hr_px": float("nan")}, AlignSettings()) == ("residual_too_large",)


def test_every_threshold_is_a_setting_that_moves_it() -> None:
    for rule in verdict.RULES:
        if isinstance(rule.threshold, str):
            moved = dataclasses.replace(AlignSettings(), **{rule.threshold: 1.0})
            assert rule.limit(moved) == 1.0


def test_reasons_are_listed_once_in_the_order_of_the_rules() -> None:
    bad = GOOD | {"residual_p50_hr_px": 9.0, "residual_p95_hr_px": 9.0, "anisotropy": 2.0}
    assert verdict.judge(bad, AlignSettings()) == ("implausible_homography", "residual_too_large")
