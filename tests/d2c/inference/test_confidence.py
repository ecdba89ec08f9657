"""The map beside an upscaled image: what its grey values are, that it has no seams, and how it is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.errors import DataError
from d2c.inference import confidence, files, plan
from d2c.inference.confidence import HALF, changes, enlarged, likely_error
from d2c.inference.files import Figures, Limits, upscale_files
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.notes import note_in

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
MAP = Figures(confidence=True)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return D2CSR(TINY).eval()


def noise(size=(6, 8), dtype=np.uint8, channels=3):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (*size, channels)).astype(dtype)


def grey_map(path):
    """The file of a map as it is, without colours made of its grey values."""
    import PIL.Image

    with PIL.Image.open(path) as image:
        return np.asarray(image)


def test_a_ramp_has_its_own_slope_in_8_bit_levels_of_y_per_lr_pixel():
    ramp = np.repeat(np.arange(0, 160, 2, dtype=np.uint8)[None, :, None], 16, axis=0).repeat(3, axis=2)
    slope = 2 * (235 - 16) / 255
    np.testing.assert_allclose(changes(ramp, 8), 8 * slope, rtol=1e-5)
    np.testing.assert_allclose(changes(ramp.swapaxes(0, 1), 4), 4 * slope, rtol=1e-5)
    np.testing.assert_array_equal(changes(ramp.astype(np.uint16) * 257, 8), changes(ramp, 8))
    grey = round(255 * 8 * slope / (8 * slope + HALF))
    assert enlarged(likely_error(ramp, 8), 8, 0, 16).tolist() == [[grey] * 80] * 16
    assert likely_error(np.full((8, 8, 3), 90, np.uint8), 4).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("shape", [(1, 20), (20, 1), (1, 1)])
def test_along_a_side_of_one_pixel_nothing_changes(shape, tmp_path):
    ramp = np.arange(0, 2 * max(shape), 2, dtype=np.uint8).reshape(shape)[..., None].repeat(3, axis=2)
    slope = 0 if shape == (1, 1) else 2 * (235 - 16) / 255
    np.testing.assert_allclose(changes(ramp, 1), np.full(shape, slope), rtol=1e-5)
    confidence.write_map(tmp_path / "map.png", ramp, 1, ("d2c", "{}"))
    assert grey_map(tmp_path / "map.png").shape == shape


def test_an_edge_is_light_where_it_is_and_dark_elsewhere():
    step = np.zeros((32, 64, 3), np.uint8)
    step[:, 36:] = 200
    found = enlarged(likely_error(step, 8), 8, 0, 32)
    assert found[16].argmax() // 8 == 36 // 8
    assert found[:, :8].max() == found[:, 60:].max() == 0
    assert found.shape == (32, 64)


def test_values_are_enlarged_bilinearly_between_the_centres_of_lr_pixels():
    values = np.array([[0, 80]], np.float32)
    assert enlarged(values, 4, 0, 4).tolist() == [[0, 0, 10, 30, 50, 70, 80, 80]] * 4
    assert enlarged(values.T, 4, 3, 6).tolist() == [[30] * 4, [50] * 4, [70] * 4]


def test_strips_leave_no_seams(monkeypatch):
    image = noise((40, 24))
    whole = changes(image, 4)
    shown = enlarged(whole, 4, 0, 40)
    monkeypatch.setattr(confidence, "_AT_A_TIME", 1)  # one row of LR px at a time
    np.testing.assert_allclose(changes(image, 4), whole, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate([enlarged(whole, 4, k, k + 4) for k in range(0, 40, 4)]), shown)


@pytest.mark.parametrize("kind", ["8 bit", "16 bit", "alpha", "self-ensemble", "figures"])
def test_the_map_is_that_of_the_result_whatever_the_result_is(model, tmp_path, kind):
    pixels = noise(dtype=np.uint16 if kind == "16 bit" else np.uint8, channels=4 if kind == "alpha" else 3)
    write_image(tmp_path / "a.png", pixels)
    wanted = Figures(confidence=True, names=("branches",) if kind == "figures" else ())
    (written,) = upscale_files(
        model, [tmp_path / "a.png"], tmp_path / "out", wanted, limits=Limits(self_ensemble=kind == "self-ensemble")
    )
    found = grey_map(tmp_path / "out" / "a_x2_confidence.png")
    result = confidence.finished_result(written)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, enlarged(likely_error(result, 2), 2, 0, 12))
    note = json.loads(note_in(tmp_path / "out" / "a_x2_confidence.png", "d2c"))
    assert note["settings"]["value"] == confidence.UNIT


def test_a_map_alone_is_made_of_the_result_that_is_there(model, tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise())
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path)
    stands = written.stat().st_mtime_ns
    monkeypatch.setattr(files, "upscale_strips", None)
    assert upscale_files(model, [tmp_path / "a.png"], tmp_path, MAP) == [written]
    place = tmp_path / "a_x2_confidence.png"
    np.testing.assert_array_equal(grey_map(place), enlarged(likely_error(read_image(written), 2), 2, 0, 12))
    made = place.stat().st_mtime_ns
    upscale_files(model, [tmp_path], tmp_path, MAP)  # neither a result nor a map is an input
    assert (written.stat().st_mtime_ns, place.stat().st_mtime_ns) == (stands, made)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_map_of_a_big_tiff_is_one_too(model, tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise(dtype=np.uint16))
    for module in (plan, files):
        monkeypatch.setattr(module, "PNG_PIXELS", 10)
    monkeypatch.setattr(confidence, "_AT_A_TIME", 1)
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path, MAP)
    with tifffile.TiffFile(tmp_path / "a_x2_confidence.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), enlarged(likely_error(tifffile.imread(written), 2), 2, 0, 12))
    (tmp_path / "a_x2_confidence.tif").unlink()
    upscale_files(model, [tmp_path / "a.png"], tmp_path, MAP)
    assert (tmp_path / "a_x2_confidence.tif").exists()


def test_the_command_writes_it_beside_each_result(model, tmp_path):
    native.save(tmp_path / "m.safetensors", model)
    write_image(tmp_path / "a.png", noise())
    words = ["upscale", tmp_path / "a.png", "--checkpoint", tmp_path / "m.safetensors", "--out", tmp_path / "out"]

    def called(*more):
        done = CliRunner().invoke(cli, [*map(str, words), "--device", "cpu", *more])
        assert done.exit_code == 0, done.output
        return sorted(path.name for path in (tmp_path / "out").iterdir()), done.stdout

    assert called("--confidence") == (["a_x2.png", "a_x2_confidence.png"], f"{tmp_path / 'out' / 'a_x2.png'}\n")
    (tmp_path / "out" / "a_x2_confidence.png").unlink()
    assert called("--confidence", "--plan", "--json")[1].strip() == "[]"  # a map alone needs no network


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_damaged_result_of_which_a_map_is_wanted_is_named_with_what_to_do(model, tmp_path, monkeypatch, ending):
    write_image(tmp_path / "a.png", noise((20, 20)))
    for module in (plan, files):
        monkeypatch.setattr(module, "PNG_PIXELS", 10 if ending == "tif" else plan.PNG_PIXELS)
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path / "out")
    data = written.read_bytes()
    middle = len(data) // 2
    written.write_bytes(data[:middle] + (bytes(60) + data[middle + 60 :] if ending == "png" else b""))
    with pytest.raises(DataError, match=rf"a_x2.{ending}: this result is damaged, .*; delete it and give the command"):
        upscale_files(model, [tmp_path / "a.png"], tmp_path / "out", MAP)
    written.unlink()
    upscale_files(model, [tmp_path / "a.png"], tmp_path / "out", MAP)
    assert written.read_bytes() == data
    assert (tmp_path / "out" / f"a_x2_confidence.{ending}").exists()


def test_an_image_that_cannot_be_read_is_named_once(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"^{tmp_path / 'a.png'}: its header cannot be read"):
        upscale_files(model, [tmp_path / "a.png"], tmp_path / "out")
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=rf"^{tmp_path / 'a.png'}: cannot be read \(No such file or directory\)"):
        upscale_files(model, [tmp_path / "a.png"], tmp_path / "out")
