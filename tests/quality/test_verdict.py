"""Rules: each statistic on both sides of its threshold."""

import dataclasses

import pytest

from d2crealsr.errors import SettingsError
from d2crealsr.quality import verdict
from d2crealsr.settings import AlignSettings
from d2crealsr.store.columns import MANIFEST

GOOD = {
    "anisotropy": 1.003,
    "perspective_ratio": 1.002,
    "scale_ratio": 1.01,
    "crop_side_lr_px": 144.0,
    "textured_fraction": 1.0,
    "zncc_block_p50": 0.98,
    "clipped_fraction": 0.01,
    "hr_clipped_fraction": 0.002,
    "content_differs_fraction": 0.001,
    "colour_ratio": 0.08,
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
            assert rule.limit(moved) == (8.0 if rule.of_scale else 1.0)


def test_how_much_detail_is_asked_for_depends_on_the_scale() -> None:
    """It is a share of the scale."""
    (rule,) = (rule for rule in verdict.RULES if rule.statistic == "detail_scale")
    for scale in (2, 3, 4, 8):
        settings = AlignSettings(scale=scale, min_detail=0.5)
        assert rule.limit(settings) == scale / 2
        assert verdict.judge(GOOD | {"detail_scale": 0.24 * scale}, AlignSettings(scale=scale)) == ("hr_not_sharper",)
        assert verdict.judge(GOOD | {"detail_scale": 0.25 * scale}, AlignSettings(scale=scale)) == ()


def test_every_rule_names_a_column_and_a_side() -> None:
    assert {rule.statistic for rule in verdict.RULES} <= {column.name for column in MANIFEST}, "else it never applies"
    assert {rule.bad_when for rule in verdict.RULES} <= {"above", "below"}


BY_JUDGEMENT = [rule for rule in verdict.RULES if isinstance(rule.threshold, str)]


@pytest.mark.parametrize("rule", BY_JUDGEMENT, ids=lambda r: f"{r.statistic}-{r.bad_when}")
def test_strict_halves_what_a_threshold_allows(rule: verdict.Rule) -> None:
    strict = AlignSettings(qa_profile="strict")
    halfway = (rule.limit(AlignSettings()) + rule.best(strict)) / 2
    assert rule.limit(strict) == pytest.approx(halfway)
    between = (rule.limit(AlignSettings()) + halfway) / 2
    assert rule.reason in verdict.judge(GOOD | {rule.statistic: between}, strict)
    assert rule.reason not in verdict.judge(GOOD | {rule.statistic: between}, AlignSettings())
    assert not rule.rejects(rule.best(strict), strict)


@pytest.mark.parametrize("given", [{"min_detail": 0.9}, {"min_sharpness": 3.0}, {"max_colour_ratio": 0.05}])
def test_strict_never_loosens_a_threshold_that_was_given(given: dict[str, float]) -> None:
    (name,) = given
    rule = next(rule for rule in verdict.RULES if rule.threshold == name)
    assert rule.limit(AlignSettings(qa_profile="strict", **given)) == rule.limit(AlignSettings(**given))


def test_strict_tightens_a_threshold_that_was_given_too() -> None:
    given = AlignSettings(qa_profile="strict", max_sigma=0.2)
    assert verdict.judge(GOOD | {"sigma_hr_px": 0.11}, given) == ("position_uncertain",)
    assert verdict.explain(GOOD | {"sigma_hr_px": 0.11}, given) == "sigma_hr_px 0.11 above 0.1"


def test_a_reason_is_explained_by_its_own_numbers() -> None:
    bad = GOOD | {"sigma_hr_px": 9.0, "textured_fraction": 0.0}
    assert verdict.judge(bad, AlignSettings()) == ("low_texture", "position_uncertain")
    assert verdict.explain(bad, AlignSettings(), "low_texture") == "textured_fraction 0 below 0.5"
    assert verdict.explain(bad, AlignSettings(), "position_uncertain") == "sigma_hr_px 9 above 0.25"


def test_a_good_pair_is_good_in_every_profile() -> None:
    assert not any(verdict.judge(GOOD, AlignSettings(qa_profile=p)) for p in ("strict", "default", "off"))


@pytest.mark.parametrize("value", [-1e9, 1e9, float("nan")])
def test_off_rejects_only_what_cannot_be_published(value: float) -> None:
    off = AlignSettings(qa_profile="off", max_sigma=0.0)
    bad = dict.fromkeys(GOOD, value) | {"crop_side_lr_px": 32.0}
    assert verdict.judge(bad, off) == ()
    assert verdict.explain(bad, off) == ""
    assert verdict.judge(bad | {"crop_side_lr_px": 31.0}, off) == ("crop_too_small",)
    assert {"crop_too_small"} == verdict.NOT_PUBLISHABLE


def test_a_profile_that_is_none() -> None:
    with pytest.raises(SettingsError, match="qa_profile: got 'lax', expected one of strict, default, off"):
        AlignSettings(qa_profile="lax")  # type: ignore[arg-type]


def test_reasons_are_listed_once_in_the_order_of_the_rules() -> None:
    bad = GOOD | {"residual_p50_hr_px": 9.0, "residual_p95_hr_px": 9.0, "anisotropy": 2.0}
    assert verdict.judge(bad, AlignSettings()) == ("implausible_homography", "residual_too_large")
