"""benchmarks/accuracy/own_detail.py: what is counted, what a smooth card is, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import hr_captures, smooth_cards
from benchmarks.accuracy import own_detail
from benchmarks.result_tables import read_csv, write_csv
from d2crealsr import opencv
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Size

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def row(name: str, beyond: float, scale: float, factor: float = float("nan"), **more: Any) -> dict[str, Any]:
    facts = {"class": name, "beyond": beyond, "detail_scale": scale, "enlarged_by": factor, "rejected": scale < 2}
    return {"seed": 1, "kind": "text", **facts, **more}


def test_smooth_cards_are_counted_apart_and_factors_against_the_share() -> None:
    rows = [row("x4 bicubic", 0.2, 1.0, 4.0), row("x4 bicubic", 0.2, 3.0), row("x4 bicubic", 0.01, 1.0, 8.0)]
    (summary,) = own_detail.summarise(rows)
    assert (summary["scenes"], summary["% accepted"], summary["most"]) == (2, 50, 3)
    assert (summary["smooth"], summary["% smooth accepted"]) == (1, 0)
    assert summary["% seen"] == pytest.approx(200 / 3)
    assert summary["% right"] == pytest.approx(100 / 3)


def test_the_whole_of_align_is_compared() -> None:
    rows = [
        row("sharp", 0.2, 3.0, aligned=3.1, reasons=""),
        row("x8 bicubic", 0.2, 1.0, aligned=1.0, reasons="low_texture"),
        row("x8 bicubic", 0.2, 1.0, reasons="too_few_matches"),
    ]
    said = own_detail.compared(rows)
    assert "3 captures, 1 without an estimate" in said
    assert "others 1 have the same verdict" in said
    assert "at most 0.100" in said


def test_rows_of_earlier_runs_are_judged_again(tmp_path: Path) -> None:
    rows = [row("sharp", 0.2, 3.0, aligned=3.1, reasons=""), row("sharp", 0.2, 1.0)]
    write_csv(tmp_path / "rows.csv", [{**one, "rejected": ""} for one in rows])
    again = own_detail.rejudged(tmp_path / "rows.csv", AlignSettings())
    assert [one["rejected"] for one in again] == [False, True]
    assert own_detail.summarise(again)[0]["% accepted"] == 50


def test_a_card_is_smooth_by_its_own_spectrum() -> None:
    noise = np.random.default_rng(1).normal(128, 30, (256, 256, 1)).clip(0, 255)
    rough = opencv.as_image(np.repeat(noise, 3, axis=2).astype(np.uint8))
    blurred = opencv.blur(rough.astype(np.float32), 12)
    soft = opencv.as_image((128 + 30 * (blurred - blurred.mean()) / blurred.std()).clip(0, 255).astype(np.uint8))
    assert smooth_cards.power_beyond_nyquist(rough, 8) > 0.9
    assert smooth_cards.power_beyond_nyquist(soft, 8) < smooth_cards.SMOOTH


def test_enlargement_keeps_the_middle_where_it_is() -> None:
    small = np.zeros((40, 60, 3), np.uint8)
    small[19:21, 29:31] = 255
    for size in (Size(240, 160), Size(90, 60)):
        bright = hr_captures.enlarged(small, size, "linear")[..., 0].astype(float)
        y, x = (np.average(np.arange(n), weights=bright.sum(axis=1 - axis)) for axis, n in enumerate(bright.shape))
        assert (x, y) == pytest.approx(((size.width - 1) / 2, (size.height - 1) / 2), abs=0.02)


@pytest.mark.slow
def test_small_run(cache: Path, tmp_path: Path) -> None:
    arguments = ["--small", "--seeds", "0", "--cache", str(cache), "--out", str(tmp_path / "own-detail")]
    done = CliRunner().invoke(own_detail.main, arguments)
    assert done.exit_code == 0, done.output
    verdicts = {line["class"]: line["rejected"] for line in read_csv(tmp_path / "own-detail-scenes.csv")}
    assert verdicts["sharp"] == "False"
    assert all(said == "True" for name, said in verdicts.items() if name.startswith(("x8 ", "x4 ")))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(own_detail.main, arguments, catch_exceptions=False)


def test_the_header_of_rows_judged_again_is_of_these_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.csv")
    write_csv(tmp_path / "rows.csv", [row("sharp", 0.2, 3.0) | {"scale": 4, "size": "mini"}])
    head = run("--rejudge", path).stdout.splitlines()[0]
    assert head.startswith("Own detail of HR: rows.csv judged again, mini size, scale 4; accepted from ")
    assert str(tmp_path) not in run(f"--rejudge={path}").stdout
    refused = run("--rejudge", path, "--scale", "8")
    assert (refused.exit_code, "rows are of scale 4, expected --scale 8" in refused.stderr) == (2, True)
    write_csv(tmp_path / "rows.csv", [row("sharp", 0.2, 3.0)])
    assert "rows.csv judged again, scale 2;" in run("--rejudge", path, "--scale", "2").stdout


def test_classes_that_are_not_there_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def measure(_scene: Any, only: tuple[str, ...], **_: Any) -> list[dict[str, Any]]:
        seen.append(only)
        return [row("sharp", 0.2, 3.0)]

    monkeypatch.setattr(own_detail, "measure", measure)
    for only, scale in (("sharpp", "8"), ("x8", "4"), ("net", "8")):
        refused = run("--small", "--only", "sharp", "--only", only, "--scale", scale)
        assert (refused.exit_code, f"--only: {only!r} is in the name of no class" in refused.stderr) == (2, True)
    assert not seen
    assert run("--small", "--only", "sharp", "--only", "x4").exit_code == 0
    assert set(seen) == {("sharp", "x4")}


def test_several_texts_choose_the_classes_that_have_any_of_them() -> None:
    names = ("sharp", "x4 nearest", "x8 nearest")
    assert [name for name in names if own_detail.is_wanted(name, ("sharp", "x4"))] == ["sharp", "x4 nearest"]
    assert all(own_detail.is_wanted(name, ()) for name in names)


def test_captures_without_an_estimate_are_counted() -> None:
    assert "1 captures, 1 without an estimate" in own_detail.compared([row("sharp", 0.2, 3.0, reasons="no")])
