"""What `align` writes, and what it never overwrites: captures, tables of others, folders it may not use."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.errors import LayoutError, LockError, MachineError, UsageError
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.locks import lock_folder
from tests.dataset.folders import done_by, manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Aligner = Callable[..., Any]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pairs"


def test_captures_are_never_written_over(raw: Path, tmp_path: Path, aligner: Aligner) -> None:
    hashes = {path: sha256_of(path) for path in raw.rglob("*.png")}
    for out in (raw, raw / "hr", raw / "lr"):
        with pytest.raises(LayoutError, match="holds the captures themselves"):
            build(raw, out, align=aligner)
    (raw / "manifest.csv").write_text("scene,hr,lr,group\n1,hr/001.png,lr/001.png,\n")
    with pytest.raises(LayoutError, match="holds the captures themselves"):
        build(raw / "manifest.csv", raw, align=aligner)
    foreign = tmp_path / "foreign"
    write_image(foreign / "hr" / "001.png", read_image(raw / "hr" / "001.png"))
    with pytest.raises(LayoutError, match=r"1 files in hr/ and lr/ and no dataset\.json"):
        build(raw, foreign, align=aligner)
    (foreign / "hr" / "001.png").rename(foreign / "hr" / ".DS_Store")
    assert build(raw, foreign, align=aligner).accepted
    assert {path: sha256_of(path) for path in raw.rglob("*.png")} == hashes


def test_a_strange_manifest_in_out_is_not_overwritten(raw: Path, out: Path, aligner: Aligner) -> None:
    out.mkdir()
    (out / "manifest.csv").write_text("scene,hr,lr,group\n")
    with pytest.raises(LayoutError, match=r"holds captures \(manifest\.csv\), which this command did not make"):
        build(raw, out, align=aligner)
    assert (out / "manifest.csv").read_text() == "scene,hr,lr,group\n"


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        ({"statistics": {"n_inliers": -5}}, "column n_inliers: got -5"),
        ({"statistics": {"unknown": 1.0}}, "no manifest columns: unknown"),
        ({"hr": np.zeros((31, 48, 3), dtype=np.uint8)}, r"got HR (31, 48, 3) and LR (4, 6, 3), expected (32, 48, 3)"),
        ({"lr": np.zeros((4, 5, 3), dtype=np.uint8)}, r"and LR (4, 5, 3)"),
    ],
)
def test_what_breaks_the_format_is_that_scenes_failure(
    breaking: dict[str, Any], message: str, raw: Path, out: Path, aligner: Aligner
) -> None:
    def broken(hr: Any, lr: Any, *, settings: Any) -> Any:
        alignment = aligner(hr, lr, settings=settings)
        broken = np.array_equal(lr, read_image(raw / "lr" / "NA.png"))
        return dataclasses.replace(alignment, **breaking) if broken else alignment

    assert build(raw, out, align=broken).status == {"accepted": 4, "failed": 1}
    row = manifest(out).loc["NA"]
    assert (row["reasons"], row["hr_path"]) == ("internal_error", "")
    assert message in row["message"]
    assert not (out / "hr" / "NA.png").exists()


def test_a_message_holds_nothing_that_differs_from_run_to_run(raw: Path, out: Path) -> None:
    def broken(hr: Any, lr: Any, *, settings: Any) -> Any:
        raise ValueError(f"cannot use {object()}")

    build(raw, out, align=broken)
    assert manifest(out)["message"].unique().tolist() == [
        "ValueError: cannot use <object object>; errors.log has the details, please report them"
    ]


def test_leftovers_of_a_killed_run_go(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner)
    (out / "hr" / ".tmp-abc.png").write_bytes(b"half")
    (out / ".tmp-def.csv").write_bytes(b"half")
    build(raw, out, align=aligner)
    assert not list(out.rglob(".tmp-*"))


def test_a_disk_that_fails_ends_the_run_and_keeps_what_is_done(
    raw: Path, out: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from d2crealsr.store import files

    calls: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        calls.append(path)
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(data[: len(data) // 2])
            if path.suffix == ".png" and sum(p.suffix == ".png" for p in calls) == 5:
                raise OSError(28, "No space left on device")
            temporary.write_bytes(data)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(MachineError, match="No space left on device"):
        build(raw, out, align=aligner)
    monkeypatch.undo()
    assert not list(out.rglob(".tmp-*"))
    assert len(manifest(out)) == 2
    assert len(done_by(raw, out, align=aligner)) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(raw: Path, tmp_path: Path, aligner: Aligner) -> None:
    (tmp_path / "ro").mkdir(mode=0o555)
    with pytest.raises(UsageError, match="may not be written to"):
        build(raw, tmp_path / "ro" / "pairs", align=aligner)


def test_one_run_at_a_time(raw: Path, out: Path, aligner: Aligner) -> None:
    with lock_folder(out), pytest.raises(LockError, match="in use by process"):
        build(raw, out, align=aligner)


def test_json_is_plain(raw: Path, out: Path, aligner: Aligner) -> None:
    build(raw, out, align=aligner, citation="Ünï")
    assert json.loads((out / "dataset.json").read_text(encoding="utf-8"))["citation"] == "Ünï"
