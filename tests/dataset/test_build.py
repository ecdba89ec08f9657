"""A folder of captures becomes a folder of pairs; what goes wrong with a scene is a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.verify import accept_edits, verify
from d2crealsr.errors import LayoutError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_alignment, read_dataset, read_residuals, read_timings
from tests.dataset.folders import done_by, manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Aligner = Callable[..., Any]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pairs"


def stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for side in ("hr", "lr") for path in (out / side).iterdir()}


def bad_scenes(raw: Path) -> None:
    """One scene each: blank, of another picture, unforeseen, truncated, without HR, without LR."""
    picture = read_image(raw / "hr" / "001.png")
    unforeseen = np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8)
    for scene, lr in (("blank", picture * 0), ("other", picture * 0 + 7), ("unforeseen", unforeseen)):
        write_image(raw / "hr" / f"{scene}.png", picture)
        write_image(raw / "lr" / f"{scene}.png", lr)
    (raw / "hr" / "truncated.png").write_bytes((raw / "hr" / "001.png").read_bytes()[:2000])
    write_image(raw / "lr" / "truncated.png", picture)
    write_image(raw / "lr" / "no_hr.png", picture)
    write_image(raw / "hr" / "no_lr.png", picture)


def test_what_is_published_and_written(raw: Path, out: Path, aligner: Aligner) -> None:
    result = build(raw, out, align=aligner)
    assert result.status == {"accepted": 5}
    table = manifest(out)
    assert table["scene"].tolist() == sorted(["001", "NA", "null", "1e5", 'card é, "x"'])
    for scene, row in table.iterrows():
        assert row["hr_path"] == f"hr/{scene}.png"
        assert row["hr_sha256"] == sha256_of(out / row["hr_path"])
        assert row["lr_source_sha256"] == sha256_of(raw / row["lr_source"])
        hr, lr = read_image(out / row["hr_path"]), read_image(out / row["lr_path"])
        assert hr.shape[:2] == (8 * lr.shape[0], 8 * lr.shape[1])
        np.testing.assert_array_equal(lr, read_image(raw / row["lr_source"])[2:6, 1:7])
        level = float(read_image(raw / row["lr_source"]).mean())
        assert (row["h02"], row["gain_r"], row["gain_b"]) == (level, level, 1 / 3)
        assert (row["lr_x"], row["lr_y"], row["lr_width"], row["lr_height"]) == (1, 2, 6, 4)
        assert (row["accepted_by"], row["n_inliers"], row["split"], row["group"]) == ("qa", 17, "", scene)
    stages = read_alignment(out)
    assert stages["stage"].tolist() == ["rough", "sift"] * 5
    assert stages["h00"].isna().tolist() == [True, False] * 5
    assert len(read_residuals(out)) == 10
    timings = read_timings(out)
    assert (timings["seconds"] >= timings["seconds_align"]).all()
    assert sorted(path.name for path in (out / "hr").iterdir()) == sorted(f"{scene}.png" for scene in table["scene"])


def test_dataset_json_says_what_it_was_made_with_and_nothing_that_changes(
    raw: Path, out: Path, aligner: Aligner
) -> None:
    build(raw, out, align=aligner, settings=AlignSettings(scale=4), licence="CC0", jobs=1)
    content = read_dataset(out)
    assert content["raw_root"] == "../raw"
    assert (content["scale"], content["settings"]["scale"], content["licence"]) == (4, 4, "CC0")
    assert content.keys() == {
        *("format", "version", "scale", "tool", "tool_version", "settings", "raw_root", "licence", "citation"),
        *("sha256", "checksum"),
    }
    build(raw, out, align=aligner, settings=AlignSettings(scale=4), citation="me")
    content = read_dataset(out)
    assert (content["licence"], content["citation"]) == ("CC0", "me")


def test_bad_scenes_are_rows_and_do_not_stop_the_others(raw: Path, out: Path, aligner: Aligner) -> None:
    bad_scenes(raw)
    events: list[Any] = []
    result = build(raw, out, align=aligner, on_event=events.append)
    assert result.status == {"accepted": 5, "failed": 5, "rejected": 1}
    table = manifest(out)
    assert table.loc[table["status"] != "accepted", ["status", "reasons"]].agg(" ".join, axis=1).to_dict() == {
        "blank": "failed low_texture",
        "no_hr": "failed missing_hr",
        "no_lr": "failed missing_lr",
        "other": "rejected not_same_scene",
        "truncated": "failed unreadable",
        "unforeseen": "failed internal_error",
    }
    bad = table[table["status"] != "accepted"]
    assert bad[["hr_path", "lr_path", "hr_sha256", "accepted_by"]].eq("").all(axis=None)
    assert "truncated.png" in bad.loc["truncated", "message"]
    assert "no LR capture" in bad.loc["no_lr", "message"]
    assert bad.loc["unforeseen", "message"].startswith("ZeroDivisionError: two lines;")
    assert bad.loc["other", "h00"] == 1 / 3
    assert bad["h00"].isna().sum() == 5
    assert "ZeroDivisionError" in (out / "errors.log").read_text()
    assert not (out / "hr" / "other.png").exists()
    assert {"other"} < set(read_residuals(out)["scene"])
    assert [event.number for event in events[1:]] == list(range(1, 12))
    assert events[0].total == events[1].total == 11


def test_a_rerun_touches_nothing(raw: Path, out: Path, aligner: Aligner) -> None:
    bad_scenes(raw)
    build(raw, out, align=aligner)
    before, tables = stamps(out), (out / "manifest.csv").read_bytes()

    def never(hr: Any, lr: Any, *, settings: Any) -> Any:
        assert (lr[0, 0] == (255, 0, 0)).all(), "only the scene that failed unforeseen is tried again"
        return aligner(hr, lr, settings=settings)

    result = build(raw, out, align=never)
    assert (result.done, result.unchanged) == (1, 10)
    assert stamps(out) == before
    assert (out / "manifest.csv").read_bytes() == tables


def test_what_makes_a_scene_be_done_again(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    everything = set(manifest(out)["scene"])
    assert done_by(raw, out, align=aligner) == set()
    (out / "hr" / "NA.png").write_bytes(b"damaged")
    (out / "lr" / "001.png").unlink()
    assert done_by(raw, out, align=aligner) == {"NA", "001"}
    assert sha256_of(out / "hr" / "NA.png") == manifest(out).loc["NA", "hr_sha256"]
    write_image(raw / "lr" / "1e5.png", read_image(raw / "lr" / "null.png"))
    assert done_by(raw, out, align=aligner) == {"1e5"}
    assert done_by(raw, out, align=aligner, settings=AlignSettings(iters=2)) == everything
    assert done_by(raw, out, align=aligner, settings=AlignSettings(iters=2)) == set()
    assert done_by(raw, out, align=aligner, settings=AlignSettings(iters=2), force=True) == everything
    (out / "residuals.csv").unlink()
    assert done_by(raw, out, align=aligner, settings=AlignSettings(iters=2)) == everything


def test_another_tool_version_does_everything_again(
    raw: Path, out: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(raw, out, align=aligner)
    monkeypatch.setattr("d2crealsr.dataset.build.version", lambda name: "9.9")
    assert len(done_by(raw, out, align=aligner)) == 5
    assert read_dataset(out)["tool_version"] == "9.9"


def test_a_scene_that_turns_bad_is_no_longer_published_and_comes_back(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    good = (raw / "lr" / "NA.png").read_bytes()
    write_image(raw / "lr" / "NA.png", read_image(raw / "lr" / "NA.png") * 0 + 7)
    build(raw, out, align=aligner)
    assert manifest(out).loc["NA", "status"] == "rejected"
    assert not (out / "hr" / "NA.png").exists()
    assert not (out / "lr" / "NA.png").exists()
    (raw / "lr" / "NA.png").unlink()
    build(raw, out, align=aligner)
    assert manifest(out).loc["NA", "reasons"] == "missing_lr"
    assert not {"NA"} & set(read_alignment(out)["scene"])
    (raw / "lr" / "NA.png").write_bytes(good)
    assert done_by(raw, out, align=aligner) == {"NA"}
    assert manifest(out).loc["NA", "status"] == "accepted"


def test_split_and_strangers_columns_survive(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    lines = (out / "manifest.csv").read_text().splitlines()
    lines = [f"{line},{'notes' if number == 0 else f'note {number}'}" for number, line in enumerate(lines)]
    text = "\n".join(lines).replace("NA,accepted,,,", "NA,accepted,,test,") + "\n"
    (out / "manifest.csv").write_text(text)
    assert accept_edits(out) == ("manifest.csv",)
    write_image(raw / "lr" / "NA.png", read_image(raw / "lr" / "NA.png") * 0 + 7)
    build(raw, out, align=aligner, force=True)
    table = manifest(out)
    assert table["split"].to_dict() == {scene: "test" if scene == "NA" else "" for scene in table["scene"]}
    assert table.loc["NA", "status"] == "rejected"
    assert table["notes"].tolist() == [f"note {number}" for number in range(1, 6)]


def test_tables_without_a_description_are_taken_as_they_are(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    before = {path.name: path.read_bytes() for path in out.glob("*.csv")}
    (out / "dataset.json").unlink()
    for path in [*out.glob("?r/*.png")]:
        path.unlink()
    build(raw, out, align=aligner)
    assert {path.name: path.read_bytes() for path in out.glob("[amr]*.csv")}.items() <= before.items()
    assert verify(out).findings == ()


def test_groups_follow_the_captures_without_work(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    (raw / "manifest.csv").write_text(
        "scene,hr,lr,group\n" + "".join(f"{s},hr/{s}.png,lr/{s}.png,card\n" for s in ("001", "NA", "null", "1e5"))
    )
    assert done_by(raw, out, align=aligner) == set()
    assert manifest(out)["group"].to_dict() == {
        **dict.fromkeys(("001", "NA", "null", "1e5"), "card"),
        'card é, "x"': 'card é, "x"',  # no longer listed: kept as it was
    }


def test_scenes_that_left_raw_are_kept_until_pruned(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    before = manifest(out).loc["NA"].to_dict()
    (raw / "hr" / "NA.png").unlink()
    (raw / "lr" / "NA.png").unlink()
    result = build(raw, out, align=aligner, settings=AlignSettings(iters=2))
    assert result.kept == ("NA",)
    assert result.status == {"accepted": 4}
    assert manifest(out).loc["NA", "recipe"] == before["recipe"]
    assert sha256_of(out / "hr" / "NA.png") == before["hr_sha256"]
    assert "NA" in set(read_residuals(out)["scene"])
    result = build(raw, out, align=aligner, prune=True)
    assert result.kept == ()
    assert "NA" not in set(manifest(out)["scene"]) | set(read_residuals(out)["scene"])
    assert not (out / "hr" / "NA.png").exists()


def test_two_raw_folders_do_not_mix_unasked(
    raw: Path, out: Path, aligner: Aligner, make_raw: Callable[[Path, list[str]], Path], tmp_path: Path
) -> None:
    build(raw, out, align=aligner)
    other = make_raw(tmp_path / "other", ["x1", "x2"])
    before = (out / "manifest.csv").read_bytes()
    with pytest.raises(LayoutError, match="5 scenes from other captures"):
        build(other, out, align=aligner)
    assert (out / "manifest.csv").read_bytes() == before
    build(other, out, align=aligner, prune=True)
    assert manifest(out)["scene"].tolist() == ["x1", "x2"]
