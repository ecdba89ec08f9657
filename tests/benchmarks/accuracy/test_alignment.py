"""benchmarks/accuracy/alignment.py: the summary, the recipes of others, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from benchmarks.accuracy import alignment
from benchmarks.peers import opencv_recipes, tools
from benchmarks.result_tables import read_csv
from benchmarks.scenes import captures_of

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene


def row(mean: float, *, failed: str = "", kind: str = "text", seed: int = 0) -> dict[str, Any]:
    found = {"mean": mean, "p95": mean, "worst": 2 * mean, "rms": mean, "sigma_hr_px": 0.1, "seconds": 1.0}
    about = {"method": alignment.DEFAULT, "seed": seed, "kind": kind, "failed": failed, "status": "accepted"}
    return about | ({} if failed == "no estimate" else found) | {"seconds": 1.0}


def test_failures_are_counted_and_left_out() -> None:
    rows = [row(0.1), row(0.3), row(50.0, failed="gross"), row(0, failed="no estimate")]
    (summary,) = alignment.summarise(rows)
    assert summary["failures"] == 2
    assert summary["mean"] == pytest.approx(0.2)
    assert summary["worst"] == pytest.approx(0.4)


@pytest.mark.slow
def test_what_the_sift_flag_costs(mini: BenchScene, cache: Path) -> None:
    hr, lr = captures_of(mini, cache)
    errors = {}
    for name in ("OpenCV SIFT, default flag", "OpenCV SIFT, precise upscale", "… + findTransformECC, linear light"):
        H = opencv_recipes.RECIPES[name](hr, lr, 8)
        mapping = mini.mapping(H)
        errors[name] = mini.error_of(mapping, mini.true_crop).mean
    default, precise, ecc = errors.values()
    assert default > 1.5 > precise > ecc


@pytest.mark.slow
def test_small_run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = tools.Peer(name="absent", lacking=lambda: "no program absent", find=lambda bridge: None)
    present = tools.Peer(name="present", lacking=lambda: "", find=lambda bridge: bridge.start)
    monkeypatch.setattr(tools, "PEERS", (absent, present))
    out = tmp_path / "ladder"
    arguments = ["--small", "--seeds", "0..0", "--peers", "--cache", str(cache), "--out", str(out)]
    done = CliRunner().invoke(alignment.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "absent" in done.stdout
    assert "not installed: no program absent" in done.stdout
    rows = {r["method"]: r for r in read_csv(tmp_path / "ladder-scenes.csv")}
    assert set(rows) == {*alignment.OURS, *opencv_recipes.RECIPES, "absent", "present", alignment.BOUND}
    # the bridge leads a peer's answer back to the captures
    start = float(rows["OpenCV SIFT precise, HR blurred"]["mean"])
    assert float(rows["present"]["mean"]) == pytest.approx(start, rel=1e-6)
    assert 0 < float(rows[alignment.BOUND]["rms"]) < float(rows[alignment.DEFAULT]["rms"])
    assert "command:" in (tmp_path / "ladder.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ([], "100..124"),
        (["--small"], "0..1"),
        (["--small", "--scenes", "3", "--seed", "5"], "5..7"),
        (["--scenes", "2"], "100..101"),
        (["--seeds", "7"], "7"),
    ],
)
def test_seeds_are_those_that_were_given(given: list[str], seeds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "side_by_side", lambda *_, **__: [[row(0.1)]])
    done = CliRunner().invoke(alignment.main, given, catch_exceptions=False)
    assert f" seeds {seeds}, " in done.stdout


@pytest.mark.parametrize("given", [["--seeds", "0", "--scenes", "3"], ["--seeds", "0", "--seed", "5"], ["--seed", "5"]])
def test_seeds_that_are_given_twice_are_refused(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "side_by_side", lambda *_, **__: pytest.fail("worked"))
    done = CliRunner().invoke(alignment.main, given, catch_exceptions=False)
    assert (done.exit_code, "--scenes" in done.stderr) == (2, True)
