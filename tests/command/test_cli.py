"""The command line: exit codes, one-line errors, options that follow from the settings, what is printed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import d2crealsr.dataset.build
from d2crealsr.command.cli import main
from d2crealsr.settings import AlignSettings
from d2crealsr.store.images import write_image
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import read_dataset, read_manifest, write_pairs_table
from d2crealsr.truth.validate import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

COMMANDS = [
    *("align", "audit", "cards", "demo", "export", "import", "ingest", "report"),
    *("simulate", "split", "summary", "tone", "validate", "verify"),
]


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for scene in ("a", "b", "c", "d"):
        for side in ("hr", "lr"):
            write_image(tmp_path / "raw" / side / f"{scene}.png", rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    return tmp_path / "raw"


@pytest.fixture
def aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """`align` without the numbers: everything is accepted, but a scene whose first pixel is black fails."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        from d2crealsr.align import Alignment
        from d2crealsr.imaging.estimate import Estimate
        from d2crealsr.imaging.geometry import CaptureMapping
        from d2crealsr.imaging.photometry import Photometry
        from d2crealsr.imaging.placement import Placement
        from d2crealsr.types import AlignmentFailure, Crop, ResidualField, Size

        if not lr[0, 0].any():
            return AlignmentFailure(reason="low_texture", message="nothing to see")
        if lr[0, 0, 0] == 1:
            raise ValueError("not foreseen")
        side = settings.scale * 4
        mapping = CaptureMapping(H_hr_to_lr=np.eye(3), hr_size=Size.of(hr), lr_size=Size.of(lr))
        return Alignment(
            estimate=Estimate(placement=Placement(mapping, Crop(0, 0, 4, 4), settings.scale), light=Photometry()),
            hr=np.zeros((side, side, 3), dtype=np.uint8),
            lr=np.zeros((4, 4, 3), dtype=np.uint8),
            residuals=ResidualField(
                points_lr=np.zeros((0, 2)), shifts_hr_px=np.zeros((0, 2)), weights=np.zeros(0), zncc=np.zeros(0)
            ),
            stages=(),
            statistics={"residual_p50_hr_px": 0.08},
        )

    monkeypatch.setitem(d2crealsr.dataset.build.build.__kwdefaults__, "align", align)


def first_pixel(raw: Path, value: int, *scenes: str) -> None:
    for scene in scenes:
        image = np.full((40, 60, 3), 9, dtype=np.uint8)
        image[0, 0] = value
        write_image(raw / "lr" / f"{scene}.png", image)


@pytest.mark.usefixtures("aligned")
def test_align_tells_what_it_did_and_what_comes_next(raw: Path, tmp_path: Path) -> None:
    first_pixel(raw, 0, "b")
    out = tmp_path / "my pairs"
    result = run("align", raw, "--out", out)
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert lines[0].startswith("[1/4] a accepted  residual 0.08 HR px  ")
    assert lines[1].startswith("[2/4] b failed low_texture  ")
    assert lines[1].endswith("(nothing to see)")
    assert len(lines) == 4
    assert result.stdout.splitlines() == [
        "3 of 4 scenes accepted (4 done now, 0 unchanged)",
        "  1 failed",
        "    low_texture: 1",
        "residual: median 0.08 HR px over the accepted scenes",
        f"tables: {out}/manifest.csv, alignment.csv, residuals.csv",
        f"next:   d2crealsr split '{out}'",
    ]
    again = run("align", raw, "--out", out)
    assert again.stdout.startswith("3 of 4 scenes accepted (0 done now, 4 unchanged)")
    assert again.stderr.splitlines()[0] == "[1/4] a accepted  residual 0.08 HR px  unchanged"
    (raw / "hr" / "a.png").unlink()
    (raw / "lr" / "a.png").unlink()
    assert "kept: 1 scene that CAPTURES no longer has (--prune removes them)" in run("align", raw, "--out", out).stdout
    assert "kept" not in run("align", raw, "--out", out, "--prune").stdout


@pytest.mark.usefixtures("aligned")
def test_nothing_accepted_is_3(raw: Path, tmp_path: Path) -> None:
    first_pixel(raw, 0, "a", "b", "c", "d")
    result = run("align", raw, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "0 of 4 scenes accepted" in result.stdout
    assert "reason-codes" in result.stdout


@pytest.mark.usefixtures("aligned")
def test_tracebacks_only_when_asked_for(raw: Path, tmp_path: Path) -> None:
    first_pixel(raw, 1, "b")
    result = run("align", raw, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "Traceback" not in result.output
    assert "internal_error" in result.output
    assert "Traceback" in run("align", raw, "--out", tmp_path / "out", "--debug").stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["align", "{raw}"], "Error: Missing option '--out'"),
        (["align", "{tmp}/nowhere", "--out", "{tmp}/o"], "is not there; give a folder of captures"),
        (["align", "{tmp}/empty", "--out", "{tmp}/o"], "no captures found"),
        (["align", "{raw}", "--out", "{raw}"], "holds the captures themselves"),
        (["align", "{raw}", "--out", "{tmp}/o", "--scale", "17"], "scale: got 17, expected 1 to 16"),
        (["align", "{raw}", "--out", "{tmp}/o", "--scale", "x"], "'x' is not a valid integer"),
        (["align", "{raw}", "--out", "{tmp}/o", "--crop", "5"], "crop: got '5', expected WxH"),
        (["align", "{raw}", "--out", "{tmp}/o", "--scheduler", "a"], "add --backend dask"),
        (["align", "{raw}", "--out", "{tmp}/o", "--bogus"], "No such option"),
        (["split", "{tmp}/nowhere"], "no manifest.csv"),
        (["split", "{tmp}/empty", "--test", "-1"], "Invalid value for '--test'"),
        (["validate", "{tmp}/empty"], "Missing option '--truth'"),
        (
            ["align", "{raw}", "--out", "{tmp}/o", "--accept", "{raw}"],
            "is a folder, expected a file; give the CSV file",
        ),
        (["align", "{raw}", "--out", "{tmp}/o", "--crop", "31x99"], "got '31x99', expected sides of at least 32 LR"),
        (["simulate", "--out", "{tmp}/s", "--size", "huge"], "'huge' is not one of"),
        (["simulate", "--out", "{tmp}/s", "--nuisance", "rain"], "got 'rain'"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_use_is_2_and_one_line(args: list[str], message: str, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run(*(arg.format(raw=raw, tmp=tmp_path) for arg in args))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.usefixtures("aligned")
def test_a_machine_that_fails_is_1(raw: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"):
        result = run("align", raw, "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "in use by process" in result.stderr


@pytest.mark.parametrize(
    "args",
    [["align", "{it}", "--out", "{it}/o"], ["summary", "{it}"], ["audit", "{it}"], ["validate", "--truth", "{it}"]],
)
def test_a_path_that_may_not_be_read_is_1(args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: os.fspath(path) != str(tmp_path) or mode != os.R_OK)
    result = run(*(arg.format(it=tmp_path) for arg in args))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}: cannot be read (Permission denied); check its permissions\n"


def test_what_nobody_foresaw_is_1_and_one_line(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("one\ntwo")

    monkeypatch.setattr("d2crealsr.dataset.build.build", broken)
    result = run("align", raw, "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: RuntimeError: one two; unexpected")
    assert "Traceback" in run("align", raw, "--out", tmp_path / "out", "--debug").stderr


def test_interrupted_is_130(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("d2crealsr.dataset.build.build", interrupted)
    result = run("align", raw, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "Run the same command again" in result.stderr


@pytest.mark.usefixtures("aligned")
def test_split(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("align", raw, "--out", tmp_path / "pairs")
    monkeypatch.chdir(tmp_path)
    result = run("split", "--test", "2")  # PAIRS is pairs/
    assert result.exit_code == 0
    assert result.stdout.startswith("2 train, 2 test (4 assigned now)\ntest: ")
    assert sorted(read_manifest("pairs")["split"]) == ["test", "test", "train", "train"]
    result = run("split", "pairs", "--test", "4")
    assert result.exit_code == 2
    assert result.stderr.endswith("possible with --test: 2\n")
    assert run("split", "pairs", "--test", "1", "--resplit", "--seed", "3").exit_code == 0
    assert run("align", raw, "--out", "pairs", "--force").exit_code == 0
    assert sorted(read_manifest("pairs")["split"]) == ["test", "train", "train", "train"]


@pytest.mark.usefixtures("aligned")
def test_split_leaves_out_what_a_reviewer_rejected(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("align", raw, "--out", tmp_path / "pairs")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "decisions.csv").write_text("scene,decision,note\nb,reject,blurred\nzz,accept,\n")
    result = run("split", "--test", "1", "--decisions", "decisions.csv")
    assert result.exit_code == 0
    assert result.stderr == "Note: decisions for scenes that the manifest does not have: zz; check the names\n"
    assert "1 accepted by the checks, left out by a reviewer: b\n" in result.stdout
    assert run("align", raw, "--out", "pairs", "--force").exit_code == 0
    row = read_manifest("pairs").set_index("scene").loc["b"]
    assert (row["status"], row["split"], row["left_out_of"]) == ("accepted", "", "unsplit")


def test_every_setting_is_an_option_with_its_default() -> None:
    command = main.commands["align"]
    options = {param.name: param for param in command.get_params(click.Context(command))}
    for field in dataclasses.fields(AlignSettings):
        assert options[field.name].default == field.default
        assert f"--{field.name.replace('_', '-')}" in options[field.name].opts
    lines_of_one_name = re.sub(r"--no-[a-z-]+", "", run("align", "--help").stdout)  # the second name of a switch
    help_text = " ".join(lines_of_one_name.split())
    for field in dataclasses.fields(AlignSettings):
        assert field.metadata["doc"] in help_text


@pytest.mark.usefixtures("aligned")
def test_options_reach_the_settings(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ["--scale", "2", "--iters", "1", "--crop", "max", "--no-brightness", "--licence", "CC0"]
    assert run("align", raw, "--out", out, *given).exit_code == 0
    content = read_dataset(out)
    chosen = {"scale": 2, "iters": 1, "crop": "max", "brightness": False}
    assert content["settings"] == {**dataclasses.asdict(AlignSettings()), **chosen}
    assert content["licence"] == "CC0"


def test_a_reviewer_overrules_and_a_profile_is_chosen(tmp_path: Path) -> None:
    raw, out, decisions = tmp_path / "raw", tmp_path / "pairs", tmp_path / "decisions.csv"
    assert run("simulate", "--out", raw, "--size", "mini", "--scenes", "1").exit_code == 0
    decisions.write_text("scene,decision,note\n001,accept,looked at it\n999,accept,\n")
    severe = ["align", raw, "--out", out, "--max-residual-p50", "0", "--iters", "1"]
    rejected = run(*severe)
    assert rejected.exit_code == 3
    assert "[1/1] 001 rejected residual_too_large  " in rejected.stderr
    accepted = run(*severe, "--accept", decisions)
    assert accepted.exit_code == 0
    assert "[1/1] 001 accepted by reviewer despite residual_too_large  " in accepted.stderr
    assert "Note: decisions for scenes that CAPTURES does not have: 999; check the names\n" in accepted.stderr
    assert "  1 by reviewer, overruling the checks\n" in accepted.stdout
    row = read_manifest(out).iloc[0]
    assert (row["status"], row["accepted_by"], row["reasons"]) == ("accepted", "reviewer", "residual_too_large")
    assert row["message"].startswith("residual_p50_hr_px ")
    off = run(*severe, "--qa-profile", "off")
    assert off.exit_code == 0
    # The reviewer's accept stands until a decisions file says otherwise.
    assert read_manifest(out).iloc[0][["accepted_by", "reasons"]].tolist() == ["reviewer", ""]
    assert read_dataset(out)["settings"]["qa_profile"] == "off"
    decisions.write_text("scene,decision\n")
    wrong = run(*severe, "--accept", decisions)
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert "row 1: got columns 'scene,decision', expected scene,decision,note" in wrong.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"  d2crealsr {command} " in result.stdout
    assert sorted(main.commands) == COMMANDS


def test_help_and_version() -> None:
    assert run().stdout == run("--help").stdout
    assert run("--version").stdout == f"d2crealsr, version {d2crealsr.__version__}\n"


def test_simulate_align_validate(tmp_path: Path) -> None:
    raw, out = tmp_path / "my captures", tmp_path / "pairs"
    result = run("simulate", "--out", raw, "--size", "mini", "--scenes", "1", "--format", "png")
    assert result.exit_code == 0
    assert result.stderr == "[1/1] 001\n"
    assert result.stdout.startswith(f"1 scene in {raw}, ")
    assert f"next:   d2crealsr align '{raw}'" in result.stdout
    assert run("align", raw, "--out", out).exit_code == 0
    clean = run("validate", out, "--truth", raw / "truth.csv", "--csv", tmp_path / "errors.csv")
    assert clean.exit_code == 0
    assert "no findings" in clean.stdout
    assert "true_error_mean" in clean.stdout
    assert (tmp_path / "errors.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    manifest = read_manifest(out)
    write_pairs_table(out, "manifest.csv", manifest.assign(h02=manifest["h02"] + 0.1))  # .8 HR px beside the pixels
    found = run("validate", out, "--truth", raw / "truth.csv")
    assert found.exit_code == 4
    assert "finding" in found.stdout


def test_the_command_starts_without_heavy_libraries() -> None:
    heavy = {"cv2", "joblib", "pandas", "pandera", "rich", "dask"}
    code = f"import sys, d2crealsr.command.cli, d2crealsr; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.usefixtures("aligned")
def test_what_is_printed_as_a_table_is_printed_as_json_too(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("align", raw, "--out", out)
    first = json.loads(run("summary", out, "--json").stdout)
    assert first == json.loads(run("summary", out, "--format", "json").stdout)
    assert [row["scene"] for row in first] == ["a", "b", "c", "d"]
    told, checked = run("verify", out), json.loads(run("verify", out, "--json").stdout)
    assert [
        f"{each['code']} {each['where']}: {each['text']}" for each in checked["findings"]
    ] == told.stdout.splitlines()[:-1]
    assert told.stdout.splitlines()[-1].startswith(f"{checked['scenes']} scenes, {checked['accepted']} accepted: ")
    audited = json.loads(run("audit", raw, "--json").stdout)
    assert [pair["scene"] for pair in audited["pairs"]] == ["a", "b", "c", "d"]
    assert {pair["residual_p50_hr_px"] for pair in audited["pairs"]} == {None}  # of noise nothing is measured
