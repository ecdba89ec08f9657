"""benchmarks/alignment.py: the summary, the recipes of others, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

import alignment
import opencv_recipes
import peers
from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.degrade import zncc
from d2crealsr.types import Size
from scenes import captures_of
from tables import read_csv

if TYPE_CHECKING:
    from pathlib import Path

    from scenes import BenchScene


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


def test_error_bars_compare_root_mean_squares() -> None:
    rows = [
        row(0.1),
        row(0.3, kind="leaves", seed=1) | {"status": "rejected"},
        {"method": alignment.BOUND, "seed": 0, "kind": "text", "rms": 0.01},
    ]
    whole, published, text = alignment.error_bars(rows)
    assert (whole["scenes of"], whole["count"], whole["share within 2 sigma"]) == ("all estimates", 2, 0.5)
    assert whole["true/predicted"] == pytest.approx(np.sqrt(0.05) / 0.1)
    assert (published["scenes of"], published["count"]) == ("published", 1)
    assert (text["scenes of"], text["share within 1 sigma"]) == ("published, text", 1.0)
    assert text["Cramér–Rao bound"] == pytest.approx(0.01)


@pytest.mark.slow
def test_what_the_sift_flag_costs(mini: BenchScene, cache: Path) -> None:
    hr, lr = captures_of(mini, cache)
    errors = {}
    for name in ("OpenCV SIFT, default flag", "OpenCV SIFT, precise upscale", "… + findTransformECC, linear light"):
        H = opencv_recipes.RECIPES[name](hr, lr, 8)
        mapping = alignment._mapping(mini, H)
        errors[name] = mini.error_of(mapping, mini.true_crop).mean
    default, precise, ecc = errors.values()
    assert default > 1.5 > precise > ecc


def test_recipes_find_nothing_where_nothing_is() -> None:
    blank = np.full((800, 1200, 3), 128, np.uint8)
    assert {name: recipe(blank, blank, 8) for name, recipe in opencv_recipes.RECIPES.items()} == dict.fromkeys(
        opencv_recipes.RECIPES
    )


@pytest.mark.slow
def test_small_run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = peers.Peer(name="absent", lacking=lambda: "no program absent", find=lambda bridge: None)
    present = peers.Peer(name="present", lacking=lambda: "", find=lambda bridge: bridge.start)
    monkeypatch.setattr(peers, "PEERS", (absent, present))
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


@pytest.mark.slow
def test_skimage_peers_align(mini: BenchScene, cache: Path) -> None:
    hr, lr = captures_of(mini, cache)
    for peer in peers.PEERS[:2]:
        H = peer.align(hr, lr, 8)
        assert H is not None, peer.name
        assert mini.error_of(alignment._mapping(mini, H), mini.true_crop).mean < 8


def test_what_peers_get_lies_where_it_is_said_to(mini: BenchScene, cache: Path) -> None:
    bridge = peers.Bridge.of(*captures_of(mini, cache), 8)
    H = geometry.compose(bridge.H_lr_to_lr2, mini.truth.H_hr_to_lr, geometry.inverse(bridge.H_hr_to_hr4))
    inner = np.s_[150:250, 100:200] if bridge.lr.shape[0] > bridge.lr.shape[1] else np.s_[150:250, 225:375]

    def likeness(x: float, y: float) -> float:
        moved = geometry.inverse(geometry.compose(geometry.translation(x, y), H))
        size = Size(bridge.lr.shape[1], bridge.lr.shape[0])
        return zncc(opencv.warp(bridge.hr, moved, size, "cubic")[inner], bridge.lr[inner])

    for axis in ((1.0, 0.0), (0.0, 1.0)):
        below, at, above = (likeness(step * axis[0], step * axis[1]) for step in (-1, 0, 1))
        peak = (below - above) / (2 * (below - 2 * at + above))
        assert abs(peak) < 0.12  # a forgotten half pixel is .375 of these pixels


def test_control_points_of_the_first_two_images() -> None:
    project = "p f0\nc n0 N1 x10 y20 X11.5 Y21 t0\nc n1 N1 x1 y2 X3 Y4 t1\n"
    source, target = peers.control_points(project)
    assert source.tolist() == [[10, 20]]
    assert target.tolist() == [[11.5, 21]]
    assert peers.control_points("")[0].shape == (0, 2)
