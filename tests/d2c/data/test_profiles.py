"""Colour profiles of images to upscale: refused, or converted where that is asked for."""

from __future__ import annotations

import hashlib

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.data.cache import ImageCache
from d2c.errors import DataError
from d2crealsr.store.images import read_capture, read_image, write_image
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
