"""What the table of tone curves counts, and which values of ``--tone`` are measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.accuracy import tone_curves
from benchmarks.accuracy.tone_curves import summarise, tones
from benchmarks.accuracy.tone_styles import Light, filmic, flat, known_name, s_curve
from benchmarks.result_tables import Row
from d2crealsr.imaging.tone_family import named_curve
from d2crealsr.store.tone_file import CameraCurve, ToneFile


def row(seed: int, curve: str, tone: str, mean: float, status: str = "accepted") -> Row:
    return {"seed": seed, "curve": curve, "tone": tone, "mean": mean, "status": status}


ROWS = [
    row(1, "srgb", "srgb", 0.01),
    row(1, "flat", "auto", 0.09),
    row(1, "flat", "file", 0.02),
    row(2, "srgb", "srgb", 0.02),
    row(2, "flat", "file", 0.04),
    row(3, "srgb", "srgb", 0.03),
    row(3, "flat", "file", math.nan, "too_few_matches"),
    row(4, "srgb", "srgb", 0.05, "hr_not_sharper"),
    row(4, "flat", "file", 0.06, "hr_not_sharper"),
]


def test_the_loss_is_that_of_the_same_scenes() -> None:
    srgb, auto, file = summarise(ROWS)
    assert (srgb["curve"], auto["--tone"], file["--tone"]) == ("srgb", "auto", "file")
    assert [each["scenes"] for each in (srgb, auto, file)] == [4, 1, 3]
    assert (file["mean"], file["loss"]) == (pytest.approx(0.04), pytest.approx(0.04 / 3))
    assert file["low"] < file["loss"] < file["high"]
    assert math.isnan(auto["low"])


def test_a_scene_without_an_estimate_is_rejected_and_one_that_srgb_rejects_is_not_counted() -> None:
    *_, file = summarise(ROWS)
    assert (file["rejected"], file["of"]) == (1, 3)
    assert (file["good"], file["good to"]) == (pytest.approx(0.03), pytest.approx(0.03 + 0.01 * 12.706, abs=1e-4))
    assert file["below"] == pytest.approx(0.906, abs=0.001), "1 of 3, by the exact binomial interval"


def test_other_values_of_tone_are_measured_on_the_compared_scenes_only() -> None:
    def camera(low: float, tone: str) -> CameraCurve:
        return CameraCurve(tone=tone, interval=((low, low + 0.2), (-0.1, 0.1), (0, 0)), improved=6, chance=0.4)

    file = ToneFile(
        curves={"hr": camera(-0.2, "srgb"), "lr": camera(0.0, "srgb")},
        scenes=("1",),
        scale=8,
        misfit_before=0.01,
        misfit_after=0.01,
        tool_version="1",
    )
    known = known_name(flat)
    assert tones("contrast", file, compared=False) == {"file": "srgb"}
    assert tones("flat", file, compared=False) == {"file": "srgb", "known": known}
    assert tones("mixed", file, compared=False)["known"] == f"{known_name(filmic)}/{known_name(s_curve)}"
    fitted = {"fitted": "curve=-0.1:0:0/curve=0.1:0:0"}
    assert tones("srgb", file, compared=False) == {"srgb": "srgb", "file": "srgb"} | fitted
    assert tones("srgb", file, compared=True) == {"srgb": "srgb", "auto": "auto", "file": "srgb"} | fitted


@pytest.mark.parametrize("curve", [s_curve, filmic, flat])
def test_a_known_curve_is_the_inverse_but_for_scale_and_offset(curve: Callable[[Light], Light]) -> None:
    light = np.linspace(0, 1, 201)
    decoded = named_curve(known_name(curve)).decoded(curve(light))
    slope, offset = np.polyfit(decoded, light, 1)
    assert np.abs(slope * decoded + offset - light).max() < 0.002


@pytest.mark.parametrize("seeds", [["--seeds", "50..150"], ["--tone-seeds", "5000..5001"]])
def test_wrong_seeds_are_refused_before_the_work(seeds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tone_curves, "_scored", lambda *_: pytest.fail("worked"))
    done = CliRunner().invoke(tone_curves.main, seeds, catch_exceptions=False)
    assert (done.exit_code, "expected all of one kind" in done.stderr) == (2, True)


def test_what_is_kept_is_named_by_all_that_decides_it(tmp_path: Path) -> None:
    works = [
        tone_curves.Work(tmp_path, "mini", tone_size, seeds)
        for tone_size in ("mini", "half")
        for seeds in (range(7000, 7006), range(7000, 7012), range(7006, 7012))
    ]
    for name in ("raw", "tone_file"):
        assert len({getattr(work, name)("flat") for work in works}) == len(works)
    assert len({work.rows for work in (*works, works[0]._replace(size="half"))}) == len(works) + 1


def test_rows_of_another_range_of_seeds_give_the_rows_of_this_one() -> None:
    def rows(seeds: range) -> list[Row]:
        both = [(seed, ("srgb", "auto", "file") if seed in seeds[:8] else ("file",)) for seed in seeds]
        return [row(seed, "flat", tone, 0.1) for seed, every in both for tone in every]

    kept, wanted = rows(range(100, 112)), range(106, 118)
    lacking = tone_curves._lacking(kept, wanted)
    assert lacking == list(range(108, 118)), "106 and 107 are compared already"
    kept += [one for one in rows(wanted) if one["seed"] in lacking]
    assert tone_curves._lacking(kept, wanted) == []
    for seeds in (wanted, range(100, 112)):
        found = tone_curves._of_seeds(kept, seeds)
        assert {(one["seed"], one["tone"]) for one in found} == {(one["seed"], one["tone"]) for one in rows(seeds)}
        assert len(found) == len(rows(seeds))
