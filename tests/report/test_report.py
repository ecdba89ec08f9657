"""The report as files: what is in it, what is drawn again, what it says where something is gone."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageSequence
import pytest

from d2crealsr.dataset.split import split
from d2crealsr.errors import UsageError
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.report import headline, make_report, measures, views, words
from d2crealsr.report import pair as drawing
from d2crealsr.report.blink import blink_place
from d2crealsr.report.sources import PairTask, Sources
from d2crealsr.store.files import write_text
from d2crealsr.store.images import read_image
from d2crealsr.store.pairs import read_dataset, read_manifest
from d2crealsr.store.tables import records
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def data_of(page: Path) -> dict[str, Any]:
    text = re.search(r'id="report-data">(.*?)</script>', page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert text is not None
    found: dict[str, Any] = json.loads(text[1])
    return found


def pair_data(page: Path, scene: str) -> dict[str, Any]:
    data = data_of(page)
    scenes = next(column["values"] for column in data["columns"] if column["name"] == "scene")
    text = (page.parent / "files" / data["keys"][scenes.index(scene)] / "pair.js").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.strip().removeprefix("reportPair(").removesuffix(");"))
    return found


@pytest.fixture(scope="module")
def master_rows(master: Path) -> list[dict[str, Any]]:
    """The rows of the manifest, which no test changes."""
    return records(read_manifest(master / "pairs"))


def drawn(pairs: Path) -> set[str]:
    return {entry.name for entry in (pairs / "report/files").iterdir()}


def content(folder: Path) -> Mapping[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_scene_is_there_with_its_stages(report: Path, master: Path) -> None:
    data = data_of(report)
    assert len(data["keys"]) == len(set(data["keys"])) == len(read_manifest(master / "pairs"))
    accepted, rejected = pair_data(report, "001"), pair_data(report, "dark 1")
    # The failed SIFT registration has no position to show.
    stages = ["before alignment", "rough", "direct refinement"]
    assert [view["name"] for view in accepted["views"]] == [*stages, "final, as published"]
    assert [view["name"] for view in rejected["views"]] == [*stages, "final, not published"]
    assert pair_data(report, "flat")["views"] == []
    assert set(pair_data(report, "alone")["captures"]) == {"hr"}


def test_the_place_that_differs_is_shown_where_it_is_the_reason(report: Path) -> None:
    assert pair_data(report, "dark 1")["captures"]["place"] == [30, 20, 3, 2]
    assert "place" not in pair_data(report, "001")["captures"]


def test_pages_name_only_files_that_are_there(report: Path) -> None:
    for scene in ("001", "dark 1", "flat"):
        data = pair_data(report, scene)
        files = [*data["files"].values(), *(v[k] for v in data["views"] for k in ("file", "difference"))]
        files += [capture["file"] for side, capture in data["captures"].items() if side in ("hr", "lr")]
        for file in files:
            assert read_image_size(report.parent / "files" / data["key"] / file) > 0


def read_image_size(path: Path) -> int:
    from d2crealsr.store.images import read_size

    return min(read_size(path))


def test_the_same_bytes_again_whatever_the_jobs(pairs: Path) -> None:
    first, second = make_report(pairs, pairs / "a"), make_report(pairs, pairs / "b", jobs=2)
    assert first.drawn == second.drawn == len(read_manifest(pairs))
    assert content(pairs / "a") == content(pairs / "b")


def test_a_second_run_draws_only_what_changed(pairs: Path) -> None:
    total = make_report(pairs).drawn
    seen: list[str] = []
    again = make_report(pairs, on_pair=lambda pair: seen.extend([] if pair.unchanged else [pair.scene]))
    assert (again.drawn, again.unchanged, seen) == (0, total, [])
    before = drawn(pairs)
    (pairs.parent / "raw/lr/dark 1.png").unlink()
    make_report(pairs, on_pair=lambda pair: seen.extend([] if pair.unchanged else [pair.scene]))
    assert seen == ["dark 1"]
    # What the earlier report had drawn of it is gone.
    assert len(drawn(pairs) - before) == 1
    assert len(drawn(pairs)) == total


def test_a_split_draws_nothing_again(pairs: Path) -> None:
    make_report(pairs)
    split(pairs, test=1)
    result = make_report(pairs)
    assert result.drawn == 0
    assert "test" in next(c["values"] for c in data_of(result.page)["columns"] if c["name"] == "split")


def test_an_interrupted_pair_is_drawn_again(pairs: Path) -> None:
    page = make_report(pairs).page
    (page.parent / "files" / data_of(page)["keys"][0] / drawing.DATA_FILE).unlink()
    assert make_report(pairs).drawn == 1


def test_gone_captures_are_said_and_the_published_pair_is_still_shown(pairs: Path) -> None:
    shutil.rmtree(pairs.parent / "raw")
    page = make_report(pairs).page
    accepted, rejected = pair_data(page, "001"), pair_data(page, "dark 1")
    assert [view["name"] for view in accepted["views"]] == ["final, as published"]
    assert any("HR capture hr/001.png is gone" in note for note in accepted["notes"])
    assert rejected["views"] == []
    assert len(rejected["notes"]) == 2


def test_a_changed_capture_is_not_passed_off_as_the_aligned_one(pairs: Path) -> None:
    shutil.copy(pairs.parent / "raw/hr/002.png", pairs.parent / "raw/hr/001.png")
    data = pair_data(make_report(pairs).page, "001")
    assert [view["name"] for view in data["views"]] == ["final, as published"]
    assert any("has changed since" in note for note in data["notes"])


def test_missing_published_images_are_said(pairs: Path) -> None:
    (pairs / "hr/001.png").unlink()
    data = pair_data(make_report(pairs).page, "001")
    assert data["views"][-1]["name"] == "final, not published"
    assert any("run align again" in note for note in data["notes"])


def test_a_folder_of_another_origin_is_left_alone(pairs: Path) -> None:
    write_text(pairs / "report/index.html", "<p>my homepage</p>")
    with pytest.raises(UsageError, match=r"holds index\.html or files that no `d2crealsr report`"):
        make_report(pairs)
    assert (pairs / "report/index.html").read_text(encoding="utf-8") == "<p>my homepage</p>"
    write_text(pairs / "other/files/precious.txt", "x")
    with pytest.raises(UsageError, match="no `d2crealsr report` made"):
        make_report(pairs, pairs / "other")
    assert (pairs / "other/files/precious.txt").exists()


@pytest.mark.slow
def test_command_line(pairs: Path) -> None:
    command = [sys.executable, "-m", "d2crealsr", "report", str(pairs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"open:   {pairs}/report/index.html" in done.stdout
    gone = subprocess.run([*command[:-1], str(pairs / "no")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)


def test_every_figure_of_the_dataset_has_words_and_a_function() -> None:
    script = (ROOT / "d2crealsr/report/templates/dataset.js").read_text(encoding="utf-8")
    functions = re.findall(r'^    "?([\w-]+)"?: \(into\) =>', script, flags=re.MULTILINE)
    assert functions == [name for name, figure in words.FIGURES.items() if figure.title]


# --- what the pictures show --------------------------------------------------------------------------------------


def test_hr_at_the_right_place_looks_like_lr_and_elsewhere_it_does_not() -> None:
    rng = np.random.default_rng(1)
    hr = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    source = degrade.reduced(hr, 4, "srgb")
    look = views.HrLook(source, 6.0, Photometry(gain=(1.2, 1.2, 1.2), offset=(0.01, 0.01, 0.01)))
    crop = Crop(10, 10, 40, 30)
    H = geometry.inverse(geometry.scaling(4))
    mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=Size(320, 240), lr_size=Size(80, 60))
    lr = look.picture(mapping, views.grid(crop, 1))
    luma = photometry.encoded_luma(lr)  # type: ignore[arg-type]
    right = look.luma(mapping, views.grid(crop, 1))
    moved = geometry.CaptureMapping(
        H_hr_to_lr=geometry.compose(geometry.translation(1, 0), H), hr_size=Size(320, 240), lr_size=Size(80, 60)
    )
    wrong = look.luma(moved, views.grid(crop, 1))
    assert np.abs(right - luma).max() < 0.004
    assert np.abs(wrong - luma).mean() > 0.02
    # A finer grid shows the same at the same places.
    fine = look.luma(mapping, views.grid(crop, 3))
    assert np.abs(fine[1::3, 1::3] - right).max() < 1e-5


def test_where_hr_does_not_reach_is_grey_and_unknown() -> None:
    hr = np.full((80, 80, 3), 200, np.uint8)
    look = views.HrLook(degrade.reduced(hr, 4, "srgb"), 4.0, Photometry())
    mapping = views.nominal_mapping(Size(80, 80), Size(60, 60), 4)
    p_lr = views.grid(Crop(0, 0, 60, 60), 1)
    assert (look.picture(mapping, p_lr)[0, 0] == 128).all()
    assert np.isnan(look.luma(mapping, p_lr)[0, 0])
    assert np.isfinite(look.luma(mapping, p_lr)[30, 30])


def test_difference_has_a_colour_for_each_sign() -> None:
    lr = np.full((2, 3), 0.5, np.float32)
    hr = lr + np.array([[-0.1, 0, 0.1], [np.nan, 0, 0]], np.float32)
    picture = views.difference(hr, lr, Size(3, 2)).astype(int)
    assert picture[0, 0, 2] > picture[0, 0, 0]  # HR darker: blue
    assert picture[0, 2, 0] > picture[0, 2, 2]  # HR brighter: orange
    assert picture[0, 1].min() > 230
    assert (picture[1, 0] == 128).all()


def test_spectrum_ratio_is_one_for_equal_images_and_rises_with_blur() -> None:
    from d2crealsr import opencv

    rng = np.random.default_rng(2)
    fine = opencv.blur(rng.random((256, 384), dtype=np.float32), 2.5)
    assert np.allclose(measures.amplitude_ratio(fine, fine, 1), 1)
    coarse = opencv.resize(fine, Size(192, 128), "area")
    below_half = measures.amplitude_ratio(fine, coarse, 2)[:8]
    assert np.allclose(below_half, 1, atol=0.1)
    sigma = 1.2
    ratio = measures.amplitude_ratio(fine, opencv.blur(coarse, sigma), 2)
    frequency = (np.arange(16) + 0.5) / 32
    assert np.allclose(ratio[:8], np.exp(2 * (np.pi * sigma * frequency[:8]) ** 2), rtol=0.15)


def test_joint_histogram_lies_on_the_diagonal_of_equal_images() -> None:
    luma = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    luma[0, 0] = np.nan
    counts = measures.tone_counts(luma, luma)
    assert counts.sum() == 399
    assert (counts - np.diag(np.diag(counts)) == 0).all()
    picture = measures.histogram_picture(counts)
    assert picture[0, -1, 3] > 0  # bright is up and right
    assert picture[0, 0, 3] == 0


def test_a_sixteen_bit_view_is_the_eight_bit_one() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (views.as_bytes(image.astype(np.uint16) * 257) == image).all()


def test_bounded_keeps_the_aspect(report: Path) -> None:
    assert views.bounded(np.zeros((600, 1200, 3), np.uint8), 240).shape == (120, 240, 3)
    data = pair_data(report, "001")
    thumb = read_image(report.parent / "files" / data["key"] / data["files"]["thumb_lr"])
    assert max(thumb.shape) == 160  # the whole view, as it is no larger than twice a card


def test_the_blink_is_lr_and_hr_of_one_place_in_turn(report: Path) -> None:
    for scene in ("001", "dark 1"):
        data = pair_data(report, scene)
        with PIL.Image.open(report.parent / "files" / data["key"] / data["files"]["blink"]) as blink:
            frames = [np.asarray(frame.convert("RGB")) for frame in PIL.ImageSequence.Iterator(blink)]
        assert [frame.shape for frame in frames] == [(128, 160, 3)] * 2
        assert np.abs(frames[0].astype(int) - frames[1]).mean() > 1


def test_the_place_of_the_blink_is_where_the_pair_differs_and_inside_the_crop() -> None:
    crop, luma = Crop(100, 50, 300, 200), np.zeros((200, 300), np.float32)
    assert blink_place(luma, crop, 8, [250, 150, 4, 2]) == Crop(212, 121, 80, 60)
    assert blink_place(luma, crop, 8, [390, 248, 9, 9]) == Crop(320, 190, 80, 60)
    assert blink_place(luma, crop, 1) == crop


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        (
            {},
            "good",
            "4 of 8 scenes were accepted, with a predicted error of 0.050 HR px in the median and 0.050 at most",
        ),
        ({"accepted_by": "reviewer"}, "good", "accepted, 4 of them by a reviewer, with a predicted"),
        ({"sigma_hr_px": None}, "good", "accepted, and no error is predicted for them"),
        ({"status": "rejected"}, "bad", "none of 8 scenes was accepted"),
    ],
)
def test_the_verdict_says_the_numbers_that_it_rests_on(
    master_rows: list[dict[str, Any]], changes: dict[str, Any], kind: str, words: str
) -> None:
    rows = [row | changes if row["status"] == "accepted" else row for row in master_rows]
    verdict = headline.judged(rows, {row["scene"]: {"key": row["scene"]} for row in rows})
    assert verdict.kind == kind
    assert words in verdict.because
    assert [scene["scene"] for scene in verdict.first][:2] == ["alone", "flat"]
    assert verdict.more == sum(row["status"] != "accepted" for row in rows) - 3


def test_the_verdict_on_few_accepted_scenes_is_a_warning(master_rows: list[dict[str, Any]]) -> None:
    rows = [row for row in master_rows if row["scene"] not in ("001", "002", "003")]
    assert headline.judged(rows, {row["scene"]: {"key": ""} for row in rows}).kind == "warn"
    assert headline.judged([], {}).because == "the folder has no scenes"


def test_the_verdict_on_one_printed_picture_asks_for_others(master_rows: list[dict[str, Any]]) -> None:
    row = next(row for row in master_rows if row["status"] == "accepted") | {"split": ""}
    alone = headline.judged([row], {row["scene"]: {"key": ""}})
    assert (alone.kind, alone.verdict) == ("warn", "Add captures of other pictures before you train")
    assert alone.because == "1 of 1 scene was accepted, with a predicted error of 0.050 HR px"
    twice = headline.judged([row, row | {"scene": "2"}], {})
    assert twice.kind == "warn"
    assert headline.judged([row, row | {"scene": "2", "split": "train"}], {}).kind == "good"
    failed = row | {"status": "failed"}
    assert headline.judged([failed], {row["scene"]: {"key": ""}}).because == "its only scene was not accepted"


def test_the_top_says_what_the_page_is_of(master: Path, master_rows: list[dict[str, Any]]) -> None:
    pairs, (first, *others) = master / "pairs", master_rows
    rows = [first | {"hr_camera": "Canon EOS R5", "split": "test"}, *others]
    drawn = {"a": {"taken": {"hr": "2026-10-02", "lr": ""}}, "b": {"taken": {"hr": "", "lr": "2026-09-30"}}, "c": {}}
    found = dict(headline.subject(pairs, read_dataset(pairs), rows, drawn))
    assert found["Folder"] == f"{master.name}/pairs, of the captures in ../raw"
    assert found["Scale"] == "×4"
    assert found["Scenes"] == "8, of which 4 accepted (3 without a split, 1 test)"
    assert found["Taken"] == "2026-09-30 to 2026-10-02"
    assert found["Cameras"] == "HR Canon EOS R5; LR unknown"
    assert dict(headline.subject(pairs, read_dataset(pairs), others, {}))["Taken"].startswith("unknown")


def test_the_day_of_a_capture_is_read_from_its_file(
    master: Path, master_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    exif = PIL.Image.Exif()
    exif[0x8769] = {0x9003: "2026:10:02 11:12:13"}
    PIL.Image.new("RGB", (240, 160)).save(tmp_path / "hr.png", exif=exif.tobytes())
    lr, row = master / "raw/lr/001.png", next(row for row in master_rows if row["scene"] == "001")
    task = PairTask(
        row=row, stages=[], residuals=[], hr_source=tmp_path / "hr.png", lr_source=lr, pairs=master, files=tmp_path
    )
    assert Sources(task, {"hr": "there", "lr": "there"}).taken == {"hr": "2026-10-02", "lr": ""}
    assert Sources(task, {"hr": "changed", "lr": "gone"}).taken == {"hr": "", "lr": ""}
