"""Colour profiles of images to upscale, to train on and to measure: refused, or converted where that is asked for."""

from __future__ import annotations

import hashlib

import numpy as np
import PIL.Image
import pytest
import torch
from click.testing import CliRunner

import d2c
from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.data.cache import ImageCache
from d2c.data.patches import to_tensor
from d2c.errors import DataError
from d2c.inference import figures
from d2crealsr.store.images import png_like, read_capture, read_image, write_image
from d2crealsr.store.profiles import to_srgb
from tests import icc

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
ADOBE = icc.matrix_profile("Adobe RGB (1998)", icc.ADOBE_RGB, 2.2)


@pytest.fixture
def upscaled(tmp_path):
    """Upscales an image with a profile; exit code, standard error, and the result's path."""
    pixels = np.random.default_rng(0).integers(40, 200, (20, 24, 3), dtype=np.uint8)
    native.save(tmp_path / "a.safetensors", D2CSR(TINY))

    def run(profile, *options):
        PIL.Image.fromarray(pixels).save(tmp_path / "in.png", icc_profile=profile)
        arguments = ["upscale", str(tmp_path / "in.png"), "--checkpoint", str(tmp_path / "a.safetensors")]
        result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path), "--device", "cpu", *options])
        return result.exit_code, result.stderr, tmp_path / "in_x2.png"

    return run


def test_srgb_passes(upscaled):
    assert upscaled(icc.matrix_profile("sRGB", icc.SRGB))[0] == 0


def test_another_profile_is_refused(upscaled):
    code, said, out = upscaled(ADOBE)
    assert (code, out.exists()) == (2, False)
    assert "has the colour profile 'Adobe RGB (1998)', expected sRGB" in said
    assert "--convert-profile" in said


def test_or_converted(upscaled, tmp_path):
    code, said, out = upscaled(ADOBE, "--convert-profile")
    assert code == 0, said
    found = read_image(out)
    write_image(tmp_path / "in.png", read_capture(tmp_path / "in.png", convert=True).pixels)
    model = ["--checkpoint", str(tmp_path / "a.safetensors"), "--out", str(tmp_path / "other"), "--device", "cpu"]
    assert CliRunner().invoke(cli, ["upscale", str(tmp_path / "in.png"), *model]).exit_code == 0
    assert np.array_equal(read_image(tmp_path / "other" / "in_x2.png"), found)


@pytest.fixture
def pairs(tmp_path):
    """Two pairs whose HR has another colour profile."""
    rng = np.random.default_rng(0)
    (tmp_path / "data/HR").mkdir(parents=True)
    (tmp_path / "data/LR").mkdir()
    for name in ("a.png", "b.png"):
        lr = rng.integers(40, 200, (24, 24, 3), dtype=np.uint8)
        write_image(tmp_path / "data/LR" / name, lr)
        hr = np.kron(lr, np.ones((2, 2, 1), np.uint8))
        PIL.Image.fromarray(hr).save(tmp_path / "data/HR" / name, icc_profile=ADOBE)
    native.save(tmp_path / "a.safetensors", D2CSR(TINY))
    return tmp_path / "data"


def test_eval_refuses_other_colours_or_converts_them(pairs, tmp_path):
    command = ["eval", str(tmp_path / "a.safetensors"), "--data", str(pairs), "--device", "cpu"]
    refused = CliRunner().invoke(cli, command)
    assert refused.exit_code != 0
    assert "'Adobe RGB (1998)', expected sRGB" in refused.stderr
    assert "--convert-profile" in refused.stderr
    converted = CliRunner().invoke(cli, [*command, "--convert-profile"])
    assert converted.exit_code == 0, converted.output


def test_training_refuses_other_colours_or_converts_them_also_where_they_are_cached(pairs, tmp_path):
    paths = sorted((pairs / "HR").iterdir())
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    cache = tmp_path / "cache"
    cache.mkdir()
    for path, digest in zip(paths, hashes, strict=True):  # as versions left it that knew no profiles
        np.save(cache / f"{digest}.npy", np.moveaxis(read_image(path), -1, 0))
    with pytest.raises(DataError, match=r"'Adobe RGB \(1998\)', expected sRGB.*--convert-profile"):
        ImageCache(cache).images(paths)
    found = ImageCache(cache, convert_profile=True).images(paths)
    for path, digest in zip(paths, hashes, strict=True):
        assert found[path][0] == digest
        assert np.array_equal(found[path][1], read_capture(path, convert=True).pixels)


def test_a_grey_picture_stays_grey_through_its_profile(upscaled, tmp_path):
    profile = icc.matrix_profile("gamma 1.8", icc.ADOBE_RGB, 1.8)
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    assert np.ptp(to_srgb(grey, profile, "a").astype(int), axis=2).max() > 0
    PIL.Image.fromarray(grey).save(tmp_path / "a.png", icc_profile=profile)
    model = ["--checkpoint", str(tmp_path / "a.safetensors"), "--out", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli, ["upscale", str(tmp_path / "a.png"), *model, "--convert-profile"])
    assert done.exit_code == 0, done.output
    assert np.ptp(read_image(tmp_path / "a_x2.png").astype(int), axis=2).max() == 0


@pytest.mark.parametrize("kind", ["colours", "grey"])
def test_the_function_refuses_and_converts_as_the_command_does(upscaled, tmp_path, kind):
    profile = icc.matrix_profile("gamma 1.8", icc.ADOBE_RGB, 1.8)
    code, said, out = upscaled(profile, "--convert-profile")
    assert code == 0, said
    if kind == "grey":
        grey = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
        PIL.Image.fromarray(grey).save(tmp_path / "in.png", icc_profile=profile)
        model = ["--checkpoint", str(tmp_path / "a.safetensors"), "--out", str(tmp_path / "grey"), "--device", "cpu"]
        command = ["upscale", str(tmp_path / "in.png"), *model, "--convert-profile"]
        assert CliRunner().invoke(cli, command).exit_code == 0
        out = tmp_path / "grey" / "in_x2.png"
    with pytest.raises(DataError, match=r"^image: in\.png: has the colour profile 'gamma 1\.8', expected sRGB"):
        d2c.upscale(tmp_path / "in.png", tmp_path / "a.safetensors", device="cpu")
    large = d2c.upscale(tmp_path / "in.png", tmp_path / "a.safetensors", device="cpu", convert_profile=True)
    assert np.array_equal(large, read_image(out))


@pytest.mark.parametrize("least", [254, 255])
def test_the_function_takes_an_alpha_channel_that_hides_nothing(tmp_path, least):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[4, 5, 3] = least
    write_image(tmp_path / "a.png", pixels)
    model = D2CSR(TINY)
    if least == 255:
        assert np.array_equal(d2c.upscale(tmp_path / "a.png", model), d2c.upscale(pixels[..., :3], model))
    else:
        with pytest.raises(DataError, match=r"^image: a\.png: has transparent pixels, expected an opaque picture"):
            d2c.upscale(tmp_path / "a.png", model)


@pytest.mark.parametrize("cached", [False, True])
def test_a_dataset_for_loops_of_ones_own_refuses_other_colours_or_converts_them(pairs, tmp_path, cached):
    cache = tmp_path / "cache" if cached else None
    with pytest.raises(DataError, match=r"'Adobe RGB \(1998\)', expected sRGB.*--convert-profile"):
        d2c.PairDataset(pairs, split="all", cache=cache)[0]
    item = d2c.PairDataset(pairs, split="all", cache=cache, convert_profile=True)[1]
    assert torch.equal(item.lr, to_tensor(read_image(pairs / "LR" / "b.png")))
    assert torch.equal(item.hr, to_tensor(read_capture(pairs / "HR" / "b.png", convert=True).pixels))


def test_hr_in_the_figure_of_a_patch_is_refused_or_converted_like_lr(upscaled, tmp_path, monkeypatch):
    drawn = []
    kept = figures.patch_figure
    monkeypatch.setattr(figures, "patch_figure", lambda *a: (drawn.append(a[3]), kept(*a))[1])
    pixels = np.random.default_rng(1).integers(40, 200, (40, 48, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "hr.png", icc_profile=ADOBE)
    patch = ["--box", "2,2,8,8", "--hr", str(tmp_path / "hr.png")]
    code, said, out = upscaled(None, *patch)
    assert (code, out.exists()) == (2, False), "before the work"
    assert f"{tmp_path / 'hr.png'}: has the colour profile 'Adobe RGB (1998)', expected sRGB" in said
    code, said, _ = upscaled(ADOBE, *patch, "--convert-profile")
    assert code == 0, said
    assert np.array_equal(drawn[0], read_capture(tmp_path / "hr.png", convert=True).pixels)
    assert not np.array_equal(drawn[0], pixels)


def test_hr_that_cannot_be_converted_is_refused_before_the_work(upscaled, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 2**16, (40, 48, 3), dtype=np.uint16)
    PIL.Image.new("RGB", (48, 40)).save(tmp_path / "like.png", icc_profile=ADOBE)
    (tmp_path / "hr.png").write_bytes(png_like(pixels, (tmp_path / "like.png").read_bytes(), "like.png"))
    code, said, out = upscaled(None, "--box", "2,2,8,8", "--hr", str(tmp_path / "hr.png"), "--convert-profile")
    assert (code, out.exists()) == (2, False)
    assert "which is converted at 8 bits only" in said
