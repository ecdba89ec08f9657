"""`d2c eval` goes on past a pair that cannot be measured, keeps its table, and names only options that it has."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig, metrics
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.data.hold_out import hold_out
from d2c.data.layouts import find_pairs
from d2c.errors import DataError
from d2c.evaluation import evaluate
from d2crealsr.store import MachineError
from d2crealsr.store.images import write_image

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
METHODS = ["bicubic", "branch_1", "branch_2", "mean", "fused", "oracle"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    native.save(path, D2CSR(TINY))
    return path


def data(folder, names="abc", scale=2, side=8):
    for k, name in enumerate(names):
        hr = np.random.default_rng(k).integers(0, 255, (scale * side, scale * side, 3)).astype(np.uint8)
        for part, image in (("HR", hr), ("LR", np.ascontiguousarray(hr[::scale, ::scale]))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            write_image(folder / part / f"{name}.png", image)
    return folder


def measured(model, folder, *more):
    done = CliRunner().invoke(cli, ["eval", str(model), "--data", str(folder), "--split", "all", *map(str, more)])
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), done.exception
    for option in re.findall(r"--[a-z-]+", done.stderr):
        assert option in CliRunner().invoke(cli, ["eval", "--help"]).output, done.stderr
    return done


def _cut(path):
    path.write_bytes(path.read_bytes()[:-60])


def _small(path):
    for part in ("HR", "LR"):
        shutil.rmtree(path.parent.parent / "small", ignore_errors=True)
        shutil.copy(data(path.parent.parent / "small", "b", side=4) / part / "b.png", path.parent.parent / part)
    shutil.rmtree(path.parent.parent / "small")


@pytest.mark.parametrize("part", ["HR", "LR"])
@pytest.mark.parametrize(
    "damage", [_cut, lambda path: path.write_bytes(b""), lambda path: path.write_text("text"), _small]
)
def test_a_pair_that_cannot_be_measured_costs_itself_only(model, tmp_path, part, damage):
    damage(data(tmp_path / "d") / part / "b.png")
    done = measured(model, tmp_path / "d", "--csv", tmp_path / "x.csv")
    assert done.exit_code == 1
    assert [line.split()[0] for line in done.stdout.split("\n\n")[0].splitlines()[2:]] == ["a", "c", "mean"]
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1 + 3 * len(METHODS)
    rows = json.loads(measured(model, tmp_path / "d", "--json").stdout)
    assert [row["method"] for row in rows[-len(METHODS) :]] == [*METHODS]
    assert {row["image"] for row in rows} == {"a", "c", "mean"}
    assert "b.png" in done.stderr
    assert "1 of 3 could not be worked on, the others are done: b;" in done.stderr


def test_the_only_pair_says_its_own_error_and_no_table_is_written(model, tmp_path):
    _cut(data(tmp_path / "d", "a") / "LR" / "a.png")
    done = measured(model, tmp_path / "d", "--csv", tmp_path / "x.csv")
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert not (tmp_path / "x.csv").exists()


def test_a_table_is_printed_though_its_file_cannot_be_written(model, tmp_path, monkeypatch):
    data(tmp_path / "d", "ab")
    (tmp_path / "file").touch()
    early = measured(model, tmp_path / "d", "--csv", tmp_path / "file" / "x.csv")
    assert (early.exit_code, early.stdout, len(early.stderr.splitlines())) == (2, "", 1)

    def full(path, text):
        raise MachineError(f"{path}: cannot be written (no space)")

    monkeypatch.setattr(evaluate.files, "write_text", full)
    late = measured(model, tmp_path / "d", "--csv", tmp_path / "x.csv")
    assert (late.exit_code, late.stderr.splitlines()[:-1]) == (1, ["measured at scale 2, that of the checkpoint"])
    assert "PSNR in dB" in late.stdout


def test_a_table_replaces_a_table_of_eval_and_no_other_file(model, tmp_path):
    data(tmp_path / "d", "ab")
    table = tmp_path / "x.csv"
    assert [measured(model, tmp_path / "d", "--csv", table).exit_code for _ in range(2)] == [0, 0]
    for path in (model, tmp_path / "d" / "HR" / "a.png"):
        before = path.read_bytes()
        done = measured(model, tmp_path / "d", "--csv", path)
        assert (done.exit_code, path.read_bytes()) == (2, before)
        assert done.stdout == ""


def test_a_model_of_another_scale_is_said_to_be_that(model, tmp_path):
    done = measured(model, data(tmp_path / "plain", scale=4))
    assert done.exit_code == 2
    assert "all pairs are of scale 4, so give pairs of scale 2, or a model of scale 4" in done.stderr
    named = data(tmp_path / "named", scale=4)
    (named / "LR").rename(named / "LR_x4")
    done = measured(model, named)
    assert done.exit_code == 2
    assert "no pairs of scale 2, only of 4; the model upscales by 2" in done.stderr
    odd = data(tmp_path / "odd")
    write_image(odd / "HR" / "b.png", np.zeros((12, 12, 3), np.uint8))
    assert "replace or remove the pair" in measured(model, odd).stderr


def test_the_test_folder_of_realsr_is_measured_as_it_is(model, tmp_path):
    place = tmp_path / "RealSR" / "Canon" / "Test" / "2"
    place.mkdir(parents=True)
    for k in range(2):
        image = np.random.default_rng(k).integers(0, 255, (16, 16, 3)).astype(np.uint8)
        write_image(place / f"Canon_00{k}_HR.png", image)
        write_image(place / f"Canon_00{k}_LR2.png", np.ascontiguousarray(image[::2, ::2]))
    done = measured(model, place, "--split", "auto")
    assert done.exit_code == 0, done.output
    assert "measuring all 2 pairs" in done.stderr
    assert [line.split()[0] for line in done.stdout.split("\n\n")[0].splitlines()[2:]] == [
        "Canon_000",
        "Canon_001",
        "mean",
    ]


def test_lr_images_of_hr_size_as_realsr_publishes_them_are_reduced(model, tmp_path):
    hr = np.random.default_rng(1).integers(0, 255, (21, 23, 3)).astype(np.uint8)
    lr = hr[:20, :22].reshape(10, 2, 11, 2, 3).mean(axis=(1, 3))
    for folder, hr_pixels, lr_pixels in (
        ("published", hr, np.pad(np.rint(lr).repeat(2, 0).repeat(2, 1), ((0, 1), (0, 1), (0, 0)))),
        ("reduced", hr[:20, :22], np.rint(lr)),
    ):
        write_image(tmp_path / folder / "Canon_001_HR.png", np.ascontiguousarray(hr_pixels))
        write_image(tmp_path / folder / "Canon_001_LR2.png", np.ascontiguousarray(lr_pixels.astype(np.uint8)))
    done = measured(model, tmp_path / "published")
    assert done.exit_code == 0, done.output
    assert "scale 2, that of the checkpoint" in done.stderr
    assert "LR has HR's size in 1 of 1 pairs: it is reduced by 2 (means of 2x2 pixels)" in done.stderr
    assert done.stdout == measured(model, tmp_path / "reduced").stdout


def test_the_least_side_is_the_least_that_is_measured():
    rng = np.random.default_rng(0)
    for protocol in metrics.PROTOCOLS:
        for border in (1, 2, 4):
            side = metrics.least_side(border, protocol)
            for size, fits in ((side, True), (side - 1, False)):
                image = rng.random((size, size + 3, 3))
                if fits:
                    assert np.isfinite(metrics.quality(image, image * 0.9, border, protocol).ssim)
                else:
                    with pytest.raises(ValueError, match=r"border|pixels are left"):
                        metrics.quality(image, image, border, protocol)


def test_what_is_too_small_to_be_measured_is_never_kept_for_validation(tmp_path):
    folder = data(tmp_path / "d", "abcdef")
    pairs = find_pairs(folder)
    held = hold_out(pairs, 0.05)[1][0].name
    data(tmp_path / "d", held, side=4)
    assert hold_out(pairs, 0.05, evaluate.is_measurable)[1][0].name != held
    assert {pair.name for pair in hold_out(pairs, 0.5, evaluate.is_measurable)[0]} > {held}
    data(tmp_path / "d", "abcdef", side=4)
    with pytest.raises(DataError, match="none of the 6 training pairs is large enough to validate on"):
        hold_out(pairs, 0.05, evaluate.is_measurable)


def test_training_says_of_a_small_image_what_is_wrong_before_it_begins(tmp_path):
    folder = data(tmp_path / "d", "abcdef")
    held = hold_out(find_pairs(folder), 0.05)[1][0].name
    data(folder, held, side=4)
    quick = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--steps", "1", "--features", "4", "--device", "cpu"]
    done = CliRunner().invoke(cli, ["train", "--data", str(folder), "--out", str(tmp_path / "run"), *quick])
    assert done.exit_code == 2
    assert f"{held}: its LR image is 4x4, smaller than a patch of 8" in done.stderr
