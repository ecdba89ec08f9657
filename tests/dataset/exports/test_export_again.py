"""An export is kept up to date, and writes, replaces and removes nothing but its own files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.dataset.exports import PAIR_EXPORTS
from d2crealsr.dataset.exports.export_pairs import ExportResult, export_pairs
from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store import files
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from collections.abc import Callable

    Content = Callable[[Path], dict[str, bytes]]

LAYOUTS = {layout.name: layout for layout in PAIR_EXPORTS}


def export(pairs: Path, layout: str = "basicsr", **options: Any) -> ExportResult:
    return export_pairs(pairs, pairs.parent / "out", layout=LAYOUTS[layout], **options)


def counts(result: ExportResult) -> tuple[int, int, int]:
    return result.written, result.unchanged, result.removed


@pytest.mark.parametrize(
    "layout", ["imagefolder", *(pytest.param(n, marks=pytest.mark.slow) for n in LAYOUTS if n != "imagefolder")]
)
def test_a_second_export_changes_nothing(pairs: Path, layout: str, content: Content) -> None:
    first = export(pairs, layout)
    assert first.splits == {"train": 2, "test": 1}
    assert first.left_out == 1
    before = content(pairs.parent / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (pairs.parent / "out").rglob("*.png")}
    assert counts(export(pairs, layout)) == (0, first.written, 0)
    assert content(pairs.parent / "out") == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_new_pairs_come_and_others_go_with_their_empty_folders(folder: Any, pairs: Path, content: Content) -> None:
    export(pairs)
    (pairs.parent / "out" / "notes.txt").write_text("mine")
    (pairs.parent / "out" / "train" / "HR" / "mine.png").write_bytes(b"mine")
    folder.add("new", "train")
    folder.rows["b_s001"] |= {"status": "rejected", "hr_path": "", "lr_path": "", "hr_sha256": "", "lr_sha256": ""}
    folder.rows["käse"]["split"] = ""
    folder.write()
    result = export(pairs)
    assert counts(result) == (6, 2, 5), "two images each of a new and a moved pair, and two lists"
    there = content(pairs.parent / "out")
    assert sorted(there) == sorted(
        ["meta_info.txt", "train/meta_info.txt", "HR/käse.png", "LR/käse.png", "notes.txt", "train/HR/mine.png"]
        + [f"train/{side}/{scene}.png" for side in ("HR", "LR") for scene in ("0001", "new")]
    )
    assert there["train/HR/mine.png"] == b"mine"
    assert not (pairs.parent / "out" / "test").exists()


def test_files_that_were_damaged_are_written_again(pairs: Path, content: Content) -> None:
    export(pairs)
    out = pairs.parent / "out"
    before = content(out)
    (out / "train/HR/0001.png").write_bytes(b"damaged")
    (out / "train/LR/0001.png").unlink()
    (out / "train/meta_info.txt").write_text("")
    assert counts(export(pairs)) == (3, 5, 0)
    assert content(out) == before


@pytest.mark.parametrize("how", ["hardlink", "symlink"])
def test_images_can_be_links(pairs: Path, how: Any, content: Content) -> None:
    export(pairs)
    out = pairs.parent / "out"
    before = content(out)
    assert export(pairs, files=how).written == 6, "copies are replaced"
    image, source = out / "train/HR/0001.png", pairs / "hr/0001.png"
    assert image.samefile(source)
    assert image.is_symlink() == (how == "symlink")
    assert counts(export(pairs, files=how)) == (0, 8, 0)
    assert export(pairs).written == 6
    assert not image.samefile(source)
    assert content(out) == before
    assert sorted(path.name for path in out.rglob(".tmp-*")) == []


def test_a_hard_link_that_is_not_possible_is_named(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(MachineError, match=r"cannot be made a hard link to .*; copy the files instead"):
        export(pairs, files="hardlink")


def test_an_export_that_was_killed_goes_on(pairs: Path, monkeypatch: pytest.MonkeyPatch, content: Content) -> None:
    out = pairs.parent / "out"

    def killed(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "_sync_folder", lambda folder: None)
        with pytest.raises(KeyboardInterrupt):
            export(pairs, on_file=killed)
    assert len(list(out.rglob("*.png"))) == 3
    assert counts(export(pairs)) == (5, 3, 0)
    assert len(content(out)) == 8


@pytest.mark.parametrize("name", ["notes.txt", "train/HR/0001.png", "dataset.json"])
def test_a_folder_of_others_is_refused_first(pairs: Path, name: str, content: Content) -> None:
    out = pairs.parent / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(LayoutError, match="holds files that no export wrote"):
        export(pairs)
    assert sorted(path.name for path in out.iterdir()) == [Path(name).parts[0]]
    assert content(out) == {name: b"mine"}


def test_a_file_of_others_in_an_export_is_refused(folder: Any, pairs: Path, content: Content) -> None:
    export(pairs)
    out = pairs.parent / "out"
    (out / "train/HR/new.png").write_text("mine")
    before = content(out)
    folder.add("new", "train")
    folder.write()
    with pytest.raises(LayoutError, match=r"train/HR/new\.png: is there, and no export wrote it"):
        export(pairs)
    assert content(out) == before


def test_nothing_is_written_or_removed_through_a_link(folder: Any, pairs: Path, tmp_path: Path) -> None:
    export(pairs)
    out = pairs.parent / "out"
    (out / "train").rename(tmp_path / "elsewhere")
    (out / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LayoutError, match=r"out/train: is a link, through which nothing is written"):
        export(pairs)
    for row in folder.rows.values():
        row["split"] = "test" if row["split"] else ""
    folder.write()
    export(pairs)
    assert len(list((tmp_path / "elsewhere").rglob("*.png"))) == 4, "what the link leads to stays"


def test_another_layout_or_other_pairs_are_refused(pairs: Path, tmp_path: Path) -> None:
    export(pairs)
    with pytest.raises(LayoutError, match="holds an export in layout 'basicsr', not 'realsr'"):
        export(pairs, "realsr")
    other = tmp_path / "deeper"
    other.mkdir()
    pairs.rename(other / "pairs")
    assert export_pairs(other / "pairs", tmp_path / "out", layout=LAYOUTS["basicsr"]).written == 0, "they were moved"
    (tmp_path / "pairs").mkdir()
    for name in ("manifest.csv", "dataset.json"):
        (tmp_path / "pairs" / name).write_bytes((other / "pairs" / name).read_bytes())
    with pytest.raises(LayoutError, match=r"holds an export of .*deeper/pairs"):
        export(tmp_path / "pairs")
    with pytest.raises(LayoutError, match="lies in the pairs folder"):
        export_pairs(other / "pairs", other / "pairs" / "out", layout=LAYOUTS["basicsr"])


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": "d2crealsr-export"}', "\udcff", '{"path": "../../pairs/hr/0001.png"}', '{"path": "/etc/x"}'],
)
def test_a_damaged_record_is_refused(pairs: Path, text: str) -> None:
    export(pairs)
    record = pairs.parent / "out" / ".export.json"
    if "path" in text:
        said = json.loads(record.read_text())
        said["files"][json.loads(text)["path"]] = {"source": "", "sha256": ""}
        text = json.dumps(said)
    record.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LayoutError, match="is not the record of an export"):
        export(pairs)
    assert (pairs / "hr/0001.png").exists()


def test_published_files_and_tables_must_be_as_they_were_written(pairs: Path) -> None:
    image = pairs / "hr" / "0001.png"
    before = image.read_bytes()
    write_image(image, np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(LayoutError, match=r"is not the file that manifest\.csv names; run d2crealsr verify"):
        export(pairs)
    image.write_bytes(b"no image")
    with pytest.raises(LayoutError, match="d2crealsr verify looks for such files"):
        export(pairs)
    image.write_bytes(before)
    (pairs / "manifest.csv").write_text((pairs / "manifest.csv").read_text().replace("käse", "brie"), encoding="utf-8")
    with pytest.raises(TableError, match="changed since it was written"):
        export(pairs)


def test_the_command_says_what_it_did(folder: Any, pairs: Path, tmp_path: Path) -> None:
    def run(*words: object) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["export", *map(str, words)])
        return done.exit_code, done.output

    code, said = run(pairs, "--layout", "realsr", "--out", tmp_path / "out")
    assert code == 0
    assert "3 pairs in " in said
    assert "(1 test, 2 train)\nfiles:  6 written, 0 unchanged, 0 removed\n" in said
    assert "Note: left out by a reviewer: 1 accepted pair\n" in said
    folder.add("new")
    folder.write()
    code, said = run(pairs, "--layout", "realsr", "--out", tmp_path / "out")
    assert "1 pair without a split; d2crealsr split" in said
    code, said = run(pairs, "--layout", "webdataset", "--out", tmp_path / "other")
    assert code == 2
    assert "got 'webdataset', expected one of basicsr, realsr, drealsr, div2k, d2c-list, imagefolder" in said
    code, said = run(tmp_path / "none", "--layout", "realsr", "--out", tmp_path / "other")
    assert (code, said.count("\n")) == (2, 1)
    folder.rows = {"bad": folder.rows["bad"]}
    folder.write()
    code, said = run(pairs, "--layout", "realsr", "--out", tmp_path / "other")
    assert (code, "of 1 scene in the manifest none is accepted" in said) == (2, True)
    assert not (tmp_path / "other").exists()
