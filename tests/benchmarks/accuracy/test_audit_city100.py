"""The report on City100 says what the tables say."""

from __future__ import annotations

import pandas as pd

from benchmarks.accuracy import audit_city100

MEASURES = [
    f"{name}_hr_px" for name in (*audit_city100._MEASURES, "floor_smooth", "smooth_error", "floor_p50", "floor_p95")
]


def table(value: float, scenes: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({name: [value] * len(scenes) for name in MEASURES}, index=scenes)
    return frame.assign(verdict="clean", zncc=0.99)


def test_every_pair_is_listed_also_the_one_that_failed() -> None:
    before, after = table(0.2, ["001", "002"]), table(0.1, ["001"])
    manifest = pd.DataFrame(
        {"status": ["accepted", "failed"], "k1_hr": [-0.002, float("nan")], "sigma_hr_px": [0.02, float("nan")]},
        index=["001", "002"],
    )
    lines = audit_city100.report(before, after, manifest).splitlines()
    assert lines[0] == "smooth, px: smaller after realigning in 1 of 2 pairs"
    assert lines[3].split() == ["001", "0.200", "0.100", "0.200", "0.100", "0.200", "0.100"]
    assert lines[4].split() == ["002", "0.200", "0.200", "0.200"]
    assert lines[5].split()[0] == "median"
    assert lines[-1].split()[:3] == ["002", "clean", "failed"]


def test_no_threshold_holds_a_pair_back() -> None:
    settings = audit_city100.nothing_rejected()
    assert settings.scale == 1
    assert settings.max_residual_p95 > 1e6
    assert settings.min_zncc <= 0
