"""Evaluation, upscaling of files, their figures, and the memory they would take."""

from __future__ import annotations

import csv
import dataclasses
import math

import numpy as np
import PIL.Image
import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.figures import branches_figure, images, oracle, weights_figure
from d2c.data.patches import PixelPair
from d2c.errors import BatchError, ConfigError, DataError, MemoryNeedError
from d2c.evaluation import evaluate
from d2c.evaluation.table import write_csv
from d2c.inference import figures, plan
from d2c.inference import files as upscale_module
from d2c.inference.bicubic import bicubic
from d2c.inference.figures import Box
from d2c.inference.files import Figures, upscale_files
from d2c.inference.run import Upscaled, upscale
from d2c.metrics import psnr_y, quality
from d2crealsr.store.images import read_image, write_image

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return D2CSR(MODEL).eval()


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 255, (40, 48, 3)).astype(np.uint8)
    return PixelPair("a", bicubic(hr, 24, 20), hr)


def test_rows_are_what_the_model_makes(model, pair):
    rows = {(r.method, r.protocol): r for r in evaluate.evaluate(model, [pair], ["basicsr-y", "d2c-released"])}
    assert [m for m, p in rows if p == "basicsr-y"] == evaluate.methods(NETWORK, model.config)
    lr = torch.from_numpy(pair.lr.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.no_grad():
        predictions = model.diverge(lr)
        fused = model(lr)
    expected = {
        "bicubic": bicubic(pair.lr, 48, 40),
        "branch_3": predictions[0, 2].permute(1, 2, 0).numpy(),
        "mean": predictions[0].mean(0).permute(1, 2, 0).numpy(),
        "fused": fused[0].permute(1, 2, 0).numpy(),
    }
    for (method, protocol), row in rows.items():
        if method in expected:
            found = quality(expected[method], pair.hr, 2, protocol)
            assert (row.psnr_db, row.ssim) == pytest.approx(tuple(found), abs=1e-4)
    best = max(rows[f"branch_{k}", "basicsr-y"].psnr_db for k in range(1, 5))
    assert rows["oracle", "basicsr-y"].psnr_db > best


def test_oracle_takes_the_nearest_branch_in_each_pixel():
    hr = np.full((2, 2, 3), 100, np.uint8)
    low, high = np.full((2, 2, 3), 90 / 255), np.full((2, 2, 3), 130 / 255)
    low[0, 0] = 0
    chosen = oracle(np.stack([low, high]), hr)
    assert np.array_equal(chosen[0, 0], high[0, 0])
    assert np.array_equal(chosen[1:], low[1:])


def test_means_and_csv(tmp_path):
    rows = [
        evaluate.Row("a", "fused", "basicsr-y", 30.0, 0.8),
        evaluate.Row("b", "fused", "basicsr-y", 31.0, 0.9),
        evaluate.Row("a", "mean", "basicsr-y", math.inf, 1.0),
    ]
    averaged = evaluate.means(rows)
    assert averaged[0] == ("mean", "fused", "basicsr-y", 30.5, pytest.approx(0.85))
    assert averaged[1].psnr_db == math.inf
    write_csv(tmp_path / "t.csv", rows)
    with (tmp_path / "t.csv").open(newline="") as file:
        assert next(iter(csv.DictReader(file))) == {
            "image": "a",
            "method": "fused",
            "protocol": "basicsr-y",
            "psnr_db": "30.000000",
            "ssim": "0.80000000",
        }


def test_only_the_test_split_is_measured(model, pairs):
    rows = evaluate.evaluate_files(model, pairs, "test", ["basicsr-y"])
    assert {r.image for r in rows} == {"000"}
    assert len({r.image for r in evaluate.evaluate_files(model, pairs, "all", ["basicsr-y"])}) == 6
    with pytest.raises(DataError, match="no pairs of scale 4, only of 2"):
        evaluate.evaluate_files(D2CSR(dataclasses.replace(MODEL, scale=4)), pairs, "test", ["basicsr-y"])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_upscaled_files_keep_their_depth(model, tmp_path, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (9, 7, 3)).astype(dtype)
    write_image(tmp_path / "a.png", pixels)
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path / "out")
    assert written == tmp_path / "out/a_x2.png"
    found = read_image(written)
    assert found.dtype == dtype
    peak = np.iinfo(dtype).max
    expected = np.clip(upscale(model, pixels).sr, 0, 1).astype(np.float64) * peak
    assert np.abs(found - expected).max() <= 0.51 + (dtype == np.uint16) * 0.02


def test_transparency_is_kept(model, tmp_path):
    rgba = np.random.default_rng(2).integers(0, 255, (6, 5, 4)).astype(np.uint8)
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path)
    with PIL.Image.open(written) as image:
        found = np.asarray(image)
    assert found.shape == (12, 10, 4)
    assert np.array_equal(found[..., 3], bicubic(rgba[..., 3], 10, 12))
    write_image(tmp_path / "b.png", rgba[..., :3])
    (opaque,) = upscale_files(model, [tmp_path / "b.png"], tmp_path)
    assert np.array_equal(found[..., :3], read_image(opaque))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(model, tmp_path, orientation):
    pixels = np.random.default_rng(3).integers(0, 255, (8, 16, 3)).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    (written,) = upscale_files(model, [tmp_path / "a.jpg"], tmp_path)
    with PIL.Image.open(written) as image:
        assert image.size == ((32, 16) if orientation < 5 else (16, 32))
        assert image.getexif().get(0x0112, 1) == 1
    assert np.array_equal(read_image(written), np.asarray(_again(model, tmp_path / "a.jpg")))


def _again(model, path):
    return np.rint(np.clip(upscale(model, read_image(path)).sr, 0, 1) * np.float32(255)).astype(np.uint8)


def test_two_files_of_one_name(model, tmp_path):
    with pytest.raises(ConfigError, match=r"would both become a_x2\.png"):
        upscale_files(model, [tmp_path / "x/a.png", tmp_path / "y/a.jpg"], tmp_path)


def test_files_that_cannot_be_read(model, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.png"):
        upscale_files(model, [tmp_path / "nowhere.png"], tmp_path)


def test_an_image_too_large_for_memory_costs_itself_only(model, tmp_path, monkeypatch):
    for name, size in (("small", 4), ("large", 64)):
        write_image(tmp_path / f"{name}.png", np.zeros((size, size, 3), np.uint8))
    small = upscale_module.plan_files(model, [tmp_path / "small.png"], tmp_path)[0].plan
    monkeypatch.setattr(plan, "available_bytes", lambda device: small.memory * 2)
    message = r"large\.png: upscaling 64x64 pixels by 2 needs about .* MB, cpu has .* kB"
    with pytest.raises(MemoryNeedError, match=message):
        upscale_files(model, [tmp_path / "large.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(BatchError, match=r"1 of 2 could not be worked on, the others are done: .*large\.png"):
        upscale_files(model, [tmp_path / "large.png", tmp_path / "small.png"], tmp_path / "out")
    assert (tmp_path / "out" / "small_x2.png").exists()


def made(scale=2, count=4):
    rng = np.random.default_rng(5)
    predictions = rng.random((count, 20 * scale, 30 * scale, 3)).astype(np.float32)
    weights = rng.dirichlet(np.ones(count), (20 * scale, 30 * scale)).transpose(2, 0, 1).astype(np.float32)
    return Upscaled(predictions.mean(0), {"predictions": predictions, "weights": weights[..., None]})


def test_figures_of_an_upscaled_file(model, tmp_path):
    write_image(tmp_path / "a.png", np.random.default_rng(1).integers(0, 255, (20, 30, 3)).astype(np.uint8))
    write_image(tmp_path / "hr.png", np.random.default_rng(1).integers(0, 255, (40, 60, 3)).astype(np.uint8))
    wanted = Figures(names=("branches", "weights"), box=Box(2, 3, 10, 5), hr=tmp_path / "hr.png")
    upscale_files(model, [tmp_path / "a.png"], tmp_path, wanted)
    assert {p.name for p in tmp_path.glob("a_x2*")} == {
        "a_x2.png",
        "a_x2_branches.png",
        "a_x2_weights.png",
        "a_x2_patch.png",
    }
    assert read_image(tmp_path / "a_x2_patch.png").shape[1] == 8 * 244 - 4  # LR, bicubic, 4 branches, fused, HR
    with pytest.raises(DataError, match=r"a\.png: got 30x20 pixels, expected 60x40"):
        upscale_files(model, [tmp_path / "a.png"], tmp_path, dataclasses.replace(wanted, hr=tmp_path / "a.png"))


def test_weight_maps_are_blue_to_red():
    low, middle, high = figures.heat(np.array([[0.0, 0.5, 1.0]]), figures.PAPER)[0].astype(int)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert middle[1] > max(low[1], high[1])
    assert np.array_equal(figures.heat(np.array([[-1.0, 2.0]]), figures.PAPER)[0], [low, high])
    flat = made()._replace(more={"weights": np.full((4, 40, 60, 1), 0.25, np.float32)})
    picture = weights_figure(flat)
    assert picture.shape == (2 * (40 + 24) - 4, 2 * 64 - 4, 3)


def test_predictions_stand_side_by_side():
    result = made()
    picture = branches_figure(result)
    first = np.rint(result.more["predictions"][0] * 255).astype(np.uint8)
    assert np.array_equal(picture[20:60, :60], first)
    large = branches_figure(made(scale=60))
    assert large.shape[1] == 2 * 1024 + 4


def test_patches_are_cut_where_the_box_says():
    result, lr = made(), np.random.default_rng(6).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    picture = figures.patch_figure(lr, images(result), Box(4, 6, 10, 5), panel=20)
    assert np.array_equal(picture[20:30:2, :20:2], lr[6:11, 4:14])
    fused = np.rint(result.sr[12:22, 8:28] * 255).astype(np.uint8)
    assert np.array_equal(picture[20:30, 6 * 24 : 6 * 24 + 20], fused)
    for box in (Box(25, 0, 10, 5), Box(-1, 0, 5, 5), Box(0, 0, 0, 5)):
        with pytest.raises(ConfigError, match=r"box: got .* inside 30x20 LR px"):
            figures.patch_figure(lr, images(result), box)


def test_wide_images_count_as_8_bit_in_the_default_protocol(model, pair):
    wide = PixelPair("a", pair.lr.astype(np.uint16) * 257, pair.hr.astype(np.uint16) * 257)
    rows = {r.method: r for r in evaluate.evaluate(model, [wide])}
    assert rows["bicubic"].psnr_db == pytest.approx(psnr_y(bicubic(pair.lr, 48, 40), pair.hr, 2), abs=0.05)
