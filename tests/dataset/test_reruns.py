"""A second run into a finished folder: what it keeps, what it says first, and that nothing goes unasked."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.dataset.build import build
from d2crealsr.dataset.verify import accept_edits
from d2crealsr.errors import LayoutError, SettingsError
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_dataset
from tests.dataset.folders import EARLIER, SCENES, content, events_of, manifest, never

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]


@pytest.fixture
def raw(make_raw: Callable[[Path, list[str]], Path], tmp_path: Path) -> Path:
    return make_raw(tmp_path / "raw", SCENES)


def _rejected(found: Any) -> Any:
    import dataclasses

    return dataclasses.replace(found, reasons=("residual_too_large",))


@pytest.fixture
def out(raw: Path, aligner: Aligner) -> Path:
    """A finished folder of twelve pairs."""
    folder = raw.parent / "pairs"
    build(raw, folder, align=aligner)
    return folder


def test_a_setting_that_is_not_given_keeps_the_folders_value(raw: Path, out: Path, aligner: Aligner) -> None:
    said, done, _ = events_of(raw, out, align=aligner, settings={"crop": "max"})
    assert (said, len(done)) == ("crop: default → max, 12 pairs aligned again", 12)
    assert events_of(raw, out, align=never)[:2] == ("", set())
    assert read_dataset(out)["settings"]["crop"] == "max"
    said, done, _ = events_of(raw, out, align=aligner, settings={"crop": "default", "iters": 2})
    assert (said, len(done)) == ("iters: 3 → 2, crop: max → default, 12 pairs aligned again", 12)


def test_another_version_says_what_it_costs(
    raw: Path, out: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("d2crealsr.dataset.build.version", lambda name: "9.9")
    said, done, _ = events_of(raw, out, align=aligner)
    assert (said, len(done)) == ("d2crealsr: 0.1.0 → 9.9, 12 pairs aligned again", 12)


@pytest.mark.parametrize("consent", [{}, {"force": True}, {"allow_loss": True}, {"prune": True}])
def test_a_folder_of_pairs_keeps_its_scale(raw: Path, out: Path, consent: dict[str, bool]) -> None:
    before = content(out)
    with pytest.raises(LayoutError, match=r"12 pairs are of scale 8, got --scale 4; give another folder with --out"):
        build(raw, out, align=never, settings={"scale": 4}, **consent)
    assert content(out) == before


def test_a_folder_without_pairs_takes_another_scale(raw: Path, tmp_path: Path, aligner: Aligner) -> None:
    def fails(hr: Any, lr: Any, *, settings: Any) -> Any:
        return _rejected(aligner(hr, lr, settings=settings))

    build(raw, tmp_path / "new", align=fails)
    assert build(raw, tmp_path / "new", align=aligner, settings={"scale": 4}).accepted == 12


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"crop": 5', r"dataset\.json: setting crop is 5, expected a str"),
        ('"iters": true', r"dataset\.json: setting iters is True, expected a int"),
        ('"max_sigma": -1', r"dataset\.json: max_sigma: got -1"),
    ],
)
def test_settings_of_a_description_are_checked(raw: Path, out: Path, entry: str, message: str) -> None:
    path = out / "dataset.json"
    name = entry.split(":")[0]
    path.write_text(re.sub(rf"{name}: [^,\n]*", entry, path.read_text()))
    with pytest.raises(SettingsError, match=message):
        build(raw, out, align=never)


def test_settings_that_a_description_lacks_are_the_defaults(raw: Path, out: Path) -> None:
    path = out / "dataset.json"
    path.write_text(re.sub(r'    "crop": "default",\n', '    "of_tomorrow": [1],\n', path.read_text()))
    assert accept_edits(out) == ("dataset.json",)
    assert events_of(raw, out, align=never)[:2] == ("", set())


@pytest.mark.parametrize("name", ["timings.csv", "alignment.csv", "residuals.csv"])
def test_tables_of_others_are_not_written_over(raw: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "notes" / name
    path.parent.mkdir()
    path.write_text("lap,time\n")
    with pytest.raises(LayoutError, match=rf"has a {name} that no align wrote; give a new folder"):
        build(raw, path.parent, align=never)
    assert path.read_text() == "lap,time\n"


def test_pairs_stand_while_a_drive_is_gone(raw: Path, out: Path) -> None:
    before, away = content(out), raw.parent / "away"
    (raw / "hr").rename(away)
    (raw / "hr").mkdir()
    for settings in ({}, {"crop": "max"}, {"max_sigma": 0.001}):
        result = build(raw, out, align=never, settings=settings)
        assert (result.accepted, result.unchanged) == (12, 12)
        assert re.match(
            r"12 published pairs were left as they are.*: 00 \(hr/00\.png is not there\); 01", result.notes[0]
        )
        build(raw, out, align=never, settings={"crop": "default", "max_sigma": 0.25})
        assert content(out) == before
    (raw / "hr").rmdir()
    away.rename(raw / "hr")
    assert build(raw, out, align=never).notes == ()
    assert content(out) == before


def test_what_is_announced_is_not_of_pairs_whose_captures_are_away(raw: Path, out: Path, aligner: Aligner) -> None:
    for scene in ("03", "04"):
        (raw / "hr" / f"{scene}.png").unlink()
    said, done, _ = events_of(raw, out, align=aligner, settings={"crop": "max"})
    assert (said, len(done)) == ("crop: default → max, 10 pairs aligned again", 10)


def test_a_pair_stands_where_its_new_capture_cannot_be_read(raw: Path, out: Path) -> None:
    before = content(out)
    (raw / "lr" / "03.png").write_bytes((raw / "lr" / "03.png").read_bytes()[:400])
    result = build(raw, out, align=never)
    assert result.accepted == 12
    assert re.match(r"1 published pairs were left as they are.*: 03 \(03\.png: ", result.notes[0])
    assert content(out) == before


def test_a_pair_stands_where_the_machine_or_the_code_fails(
    raw: Path, out: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = manifest(out)

    def runs_out(hr: Any, lr: Any, *, settings: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("d2crealsr.dataset.build.version", lambda name: "9.9")
    result = build(raw, out, align=runs_out)
    assert result.accepted == 12
    assert "00 (it needs more memory than there is" in result.notes[0]
    assert manifest(out).equals(before)
    assert events_of(raw, out, align=aligner)[1] == set(SCENES)


def test_another_capture_is_taken_and_said(raw: Path, out: Path, aligner: Aligner) -> None:
    write_image(raw / "lr" / "05.png", read_image(raw / "lr" / "05.png")[::-1])
    write_image(raw / "lr" / "06.png", np.full((48, 64, 3), 7, np.uint8))
    _, done, result = events_of(raw, out, align=aligner)
    assert done == {"05", "06"}
    assert result.notes == ("2 published pairs were aligned again, as their captures have changed: 05, 06",)
    assert manifest(out).loc["06", "status"] == "rejected"


def test_a_rows_hashes_are_of_the_pixels_that_were_used(raw: Path, aligner: Aligner, tmp_path: Path) -> None:
    """A capture that is exchanged between the look at it and its decoding."""
    other = raw.parent / "other.png"
    shutil.copy(raw / "hr" / "05.png", other)

    def exchanged(path: Path, **kwargs: Any) -> Any:
        if path.name == "00.png" and path.parent.name == "hr":
            shutil.copy(other, path)
        return read(path, **kwargs)

    from d2crealsr.dataset import scene
    from d2crealsr.store.files import sha256_of

    read = scene.read_capture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, "read_capture", exchanged)
        build(raw, tmp_path / "pairs", align=aligner)
    assert manifest(tmp_path / "pairs").loc["00", "hr_source_sha256"] == sha256_of(other)


def test_a_reviewers_accept_stands_until_a_file_says_otherwise(raw: Path, aligner: Aligner, tmp_path: Path) -> None:
    write_image(raw / "lr" / "04.png", np.full((48, 64, 3), 7, np.uint8))
    out, decisions = tmp_path / "pairs", tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\n04,accept,\n")
    build(raw, out, align=aligner, accept=decisions)
    path = out / "manifest.csv"
    path.write_text(path.read_text().replace("04,accepted,not_same_scene,,", "04,accepted,not_same_scene,test,"))
    accept_edits(out)
    before = content(out)
    assert build(raw, out, align=never).reviewed == 1
    decisions.write_text("scene,decision,note\n01,accept,\n")
    assert build(raw, out, align=never, accept=decisions).reviewed == 1
    assert content(out) == before
    assert build(raw, out, align=aligner, settings={"crop": "max"}).reviewed == 1
    decisions.write_text("scene,decision,note\n04,reject,\n")
    assert build(raw, out, align=aligner, accept=decisions).accepted == 11
    assert manifest(out).loc["04", ["status", "accepted_by", "split"]].tolist() == ["rejected", "", "test"]
    assert not (out / "hr" / "04.png").exists()
    decisions.write_text("scene,decision,note\n04,accept,\n")
    build(raw, out, align=aligner, accept=decisions)
    assert manifest(out).loc["04", ["status", "accepted_by", "split"]].tolist() == ["accepted", "reviewer", "test"]


def test_an_accept_outlives_thresholds_that_do_not_need_it(tmp_path: Path) -> None:
    shutil.copytree(EARLIER, tmp_path / "v")
    raw, out, decisions = tmp_path / "v" / "raw", tmp_path / "v" / "pairs", tmp_path / "decisions.csv"
    build(raw, out, settings={"max_residual_p95": 0.5})
    decisions.write_text("scene,decision,note\ncoffee,accept,\n")
    build(raw, out, accept=decisions)
    before = content(out)
    result = build(raw, out, settings={"max_residual_p95": 2.5})
    assert (result.accepted, result.reviewed) == (3, 0)
    assert manifest(out).loc["coffee", ["reasons", "accepted_by"]].tolist() == ["", "reviewer"]
    assert build(raw, out, settings={"max_residual_p95": 0.5}).reviewed == 1
    assert content(out) == before
    build(raw, out, settings={"max_residual_p95": 2.5})
    decisions.write_text("scene,decision,note\ncoffee,reject,\n")
    result = build(raw, out, accept=decisions)
    assert "decisions to reject, which align does not act on (split --decisions does): coffee" in result.notes
    assert manifest(out).loc["coffee", "accepted_by"] == "qa"


def test_an_accept_is_for_the_captures_it_was_given_for(raw: Path, aligner: Aligner, tmp_path: Path) -> None:
    write_image(raw / "lr" / "04.png", np.full((48, 64, 3), 7, np.uint8))
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\n04,accept,\n")
    build(raw, tmp_path / "pairs", align=aligner, accept=decisions)
    write_image(raw / "hr" / "04.png", np.full((48, 64, 3), 9, np.uint8))
    assert build(raw, tmp_path / "pairs", align=aligner).accepted == 11


def test_a_walk_through_reruns(tmp_path: Path) -> None:
    """Real captures: no options, another scale, a threshold too tight, one that costs a pair, and back again."""
    shutil.copytree(EARLIER, tmp_path / "v")
    raw, pairs = tmp_path / "v" / "raw", tmp_path / "v" / "pairs"

    def align(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["align", str(raw), "--out", str(pairs), *options])
        return done.exit_code, done.output

    first = content(pairs)
    assert align()[0] == 0
    before = content(pairs)
    changed = {name for name in before if before[name] != first[name]}
    # It is brought to format 2, with its columns, and HR is warped by today's estimate.
    tables = {"dataset.json", "manifest.csv", "alignment.csv", "residuals.csv"}
    assert changed == tables | {"hr/astronaut.png", "hr/chelsea.png", "hr/coffee.png"}
    code, said = align("--scale", "8")
    assert code == 2
    assert "its 3 pairs are of scale 2, got --scale 8" in said
    code, said = align("--max-residual-p95", "0.3")
    assert code == 2
    assert said.startswith("max-residual-p95: 2.5 → 0.3, 3 pairs judged again\n")
    assert "2 of 3 published pairs would no longer be accepted" in said
    assert {path: data for path, data in content(pairs).items() if "/" in path} == {
        path: data for path, data in before.items() if "/" in path
    }
    assert align()[0] == 0
    assert content(pairs) == before
    code, said = align("--max-residual-p95", "0.5")
    assert code == 0
    assert not (pairs / "hr" / "coffee.png").exists()
    command = re.search(r"to restore them: (.*)", said)
    assert command
    assert CliRunner().invoke(main, shlex.split(command[1])[1:]).exit_code == 0
    after = content(pairs)
    # LR of the pair that came back has the same pixels, and says now that they are sRGB.
    differing = {name for name in before if after[name] != before[name]}
    assert differing == {"dataset.json", "manifest.csv", "lr/coffee.png"}
    assert np.array_equal(*(read_image(folder / "lr" / "coffee.png") for folder in (EARLIER / "pairs", pairs)))
