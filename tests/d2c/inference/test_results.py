"""What upscaling may replace, what it does not make again, and how a batch goes on past a damaged image."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.errors import BatchError, ConfigError, DataError
from d2c.inference import files as upscale
from d2c.inference import plan, results
from d2c.inference.figures import Box
from d2c.inference.files import Figures, Limits, plan_files, upscale_files
from d2c.inference.run import upscale as upscale_image
from d2crealsr.store import UsageError
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.notes import note_in

TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)


def network(seed=0):
    torch.manual_seed(seed)
    return D2CSR(TINY).eval()


@pytest.fixture(scope="module")
def model():
    return network()


def noise(seed=0, size=(6, 8), dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (*size, 3)).astype(dtype)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def photos(tmp_path):
    for k, name in enumerate("abc"):
        write_image(tmp_path / f"{name}.png", noise(k))
    return tmp_path


def test_an_input_is_never_replaced_however_it_is_reached(model, tmp_path):
    ways = {
        "itself": lambda way: way,
        "dotted": lambda way: tmp_path / "x" / ".." / way.name,
        "linked": lambda way: _linked(tmp_path / "x" / "other.png", way, os.symlink),
        "second name": lambda way: _linked(tmp_path / "x" / "other.png", way, os.link),
    }
    (tmp_path / "x").mkdir()
    write_image(tmp_path / "photo.png", noise(0))
    write_image(tmp_path / "photo_x2.png", noise(1))
    before = contents(tmp_path)
    for name, way in ways.items():
        other = way(tmp_path / "photo_x2.png")
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match=r"photo_x2\.png: would be replaced by a result, but is the input"):
                upscale_files(model, [tmp_path / "photo.png", other], tmp_path, limits=Limits(overwrite=overwrite))
        assert contents(tmp_path) == before, name
        (tmp_path / "x" / "other.png").unlink(missing_ok=True)


def _linked(new, old, how):
    how(old, new)
    return new


def test_the_result_of_an_input_that_lies_under_its_name_as_a_link_is_refused(model, tmp_path):
    write_image(tmp_path / "photo.png", noise(0))
    (tmp_path / "photo_x2.png").symlink_to(tmp_path / "photo.png")
    with pytest.raises(ConfigError, match="is the input"):
        upscale_files(model, [tmp_path / "photo.png"], tmp_path, limits=Limits(overwrite=True))


def test_another_file_in_the_way_is_refused_before_anything_is_written(model, photos):
    out = photos / "out"
    out.mkdir()
    (out / "c_x2.png").write_text("mine")
    (out / "elsewhere").write_text("mine too")
    (out / "b_x2.png").symlink_to(out / "elsewhere")
    before = contents(out)
    with pytest.raises(ConfigError, match=r"b_x2\.png, .*c_x2\.png: there already, and not made .* with --overwrite"):
        upscale_files(model, [photos], out)
    assert contents(out) == before
    upscale_files(model, [photos], out, limits=Limits(overwrite=True))
    assert read_image(out / "c_x2.png").shape == (12, 16, 3)
    assert not (out / "b_x2.png").is_symlink()
    assert (out / "elsewhere").read_text() == "mine too"


def test_a_folder_in_the_way_is_refused_even_when_files_may_be_replaced(model, photos):
    (photos / "out" / "a_x2.png").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"a_x2\.png: a folder is in the place of a result; give another folder"):
        upscale_files(model, [photos], photos / "out", limits=Limits(overwrite=True))


def test_a_folder_is_upscaled_twice_and_its_results_are_no_inputs(model, photos):
    (photos / "notes.txt").write_text("mine")
    (photos / ".hidden.png").write_text("no image")
    (photos / "sub").mkdir()
    first = upscale_files(model, [photos], photos)
    assert first == [photos / f"{name}_x2.png" for name in "abc"]
    times = {path: path.stat().st_mtime_ns for path in first}
    before = contents(photos)
    assert upscale_files(model, [photos], photos) == first
    assert contents(photos) == before
    assert {path: path.stat().st_mtime_ns for path in first} == times


def test_a_cut_batch_goes_on_where_it_was(model, photos, monkeypatch):
    first, *rest = whole = upscale_files(model, [photos], photos / "whole")
    shutil.copytree(photos / "whole", photos / "cut")
    (photos / "cut" / "c_x2.png").unlink()
    made = []
    kept = upscale._upscale_file
    monkeypatch.setattr(
        upscale, "_upscale_file", lambda m, job, *more: (made.append(job.source.name), kept(m, job, *more))
    )
    upscale_files(model, [photos], photos / "cut")
    assert made == ["c.png"]
    assert contents(photos / "cut") == contents(photos / "whole")
    assert first.name == "a_x2.png"
    assert len(rest) == len(whole) - 1


def test_a_result_that_was_cut_short_is_made_again(model, photos):
    first, *_ = upscale_files(model, [photos], photos / "out")
    before = contents(photos / "out")
    first.write_bytes(first.read_bytes()[:-20])
    upscale_files(model, [photos], photos / "out")
    assert contents(photos / "out") == before


def test_what_of_a_folder_cannot_be_read_is_named(photos):
    (photos / "d.png").symlink_to("nowhere")
    os.mkfifo(photos / "e.png")
    (photos / "f.png").symlink_to("e.png")
    (photos / "g.psd").write_text("")
    found, said = results.images_of([photos])
    assert [path.name for path in found] == ["a.png", "b.png", "c.png", "d.png", "f.png"]
    assert said == [
        f"{photos}: 2 files (e.png, g.psd) are left out, of a kind that is not read; export it as TIFF or JPEG"
    ]


@pytest.mark.parametrize("change", ["input", "checkpoint", "grey", "convert_profile"])
def test_results_of_other_input_weights_or_settings_are_not_taken_for_these(model, photos, change):
    upscale_files(model, [photos / "a.png"], photos / "out")
    before = contents(photos / "out")
    if change == "input":
        write_image(photos / "a.png", noise(9))
    changed = network(1) if change == "checkpoint" else model
    limits = {"grey": Limits(grey=False), "convert_profile": Limits(convert_profile=True)}.get(change, Limits())
    with pytest.raises(ConfigError, match=r"a_x2\.png: there already, and not made of these images"):
        upscale_files(changed, [photos / "a.png"], photos / "out", limits=limits)
    assert contents(photos / "out") == before


def test_a_result_carries_what_it_was_made_of(model, photos):
    (written,) = upscale_files(model, [photos / "a.png"], photos / "out")
    with PIL.Image.open(written) as image:
        said = json.loads(image.info["d2c"])
        image.load()  # the chunk's checksum is right, or Pillow would say so
    assert set(said) == {"input", "checkpoint", "settings"}
    assert said["checkpoint"] == results.model_digest(model)
    assert said["settings"] == {"grey": "auto"}


def test_a_big_tiff_carries_it_too(model, photos, monkeypatch):
    for module in (plan, upscale):
        monkeypatch.setattr(module, "PNG_PIXELS", 10)
    (written,) = upscale_files(model, [photos / "a.png"], photos)
    assert written.suffix == ".tif"
    assert json.loads(note_in(written, "d2c"))["checkpoint"] == results.model_digest(model)
    stands = written.stat().st_mtime_ns
    upscale_files(model, [photos], photos)
    assert written.stat().st_mtime_ns == stands
    assert not (photos / "a_x2_x2.tif").exists()


def test_notes_of_other_programs_are_none_of_ours(tmp_path):
    write_image(tmp_path / "plain.png", noise())
    PIL.Image.fromarray(noise()).save(tmp_path / "a.tif", description="taken by me")
    PIL.Image.fromarray(noise()).save(tmp_path / "list.tif", description='["d2c"]')
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    for path in tmp_path.iterdir():
        assert note_in(path, "d2c") == ""
    assert note_in(tmp_path / "nowhere.png", "d2c") == ""


def test_figures_are_results_like_any_other(model, photos):
    wanted = Figures(names=("branches",), box=Box(0, 0, 4, 4))
    upscale_files(model, [photos / "a.png"], photos, wanted)
    before = contents(photos)
    (photos / "a_x2_patch.png").unlink()
    upscale_files(model, [photos / "a.png"], photos, wanted)
    assert contents(photos) == before
    assert [job.source.name for job in plan_files(model, [photos], photos / "o")] == ["a.png", "b.png", "c.png"]
    with pytest.raises(ConfigError, match=r"a_x2_patch\.png: there already"):
        upscale_files(model, [photos / "a.png"], photos, Figures(box=Box(1, 0, 4, 4)))
    (photos / "b_x2_branches.png").write_text("mine")
    with pytest.raises(ConfigError, match=r"b_x2_branches\.png: there already"):
        upscale_files(model, [photos / "b.png"], photos, wanted)
    assert not (photos / "b_x2.png").exists()


def test_a_box_outside_one_of_several_images_leaves_out_only_this_one(model, photos):
    write_image(photos / "b.png", noise(size=(3, 3)))
    with pytest.raises(BatchError, match=r"1 of 3 could not be worked on, the others are done: .*b\.png"):
        upscale_files(model, [photos], photos / "out", Figures(box=Box(0, 0, 4, 4)))
    assert {path.name for path in (photos / "out").glob("*_patch.png")} == {"a_x2_patch.png", "c_x2_patch.png"}
    with pytest.raises(DataError, match=r"b\.png: has 3x3 pixels, and the box 0,0,4,4 is not inside; change --box"):
        upscale_files(model, [photos / "b.png"], photos / "out", Figures(box=Box(0, 0, 4, 4)))


def test_one_image_given_twice_or_two_of_one_name_are_refused(model, photos):
    with pytest.raises(ConfigError, match=r"a\.png: is given twice"):
        upscale_files(model, [photos, photos / "a.png"], photos / "out")
    shutil.copy(photos / "a.png", photos / "a.tif")
    with pytest.raises(ConfigError, match=r"a\.png and .*a\.tif would both become a_x2\.png"):
        upscale_files(model, [photos], photos / "out")
    assert not (photos / "out").exists()


def test_a_result_whose_name_would_be_too_long_is_refused_before_the_work(model, photos):
    shutil.copy(photos / "a.png", photos / ("x" * 250 + ".png"))
    with pytest.raises(UsageError, match=r"x…: this name is 257 bytes long, at most 255 are possible"):
        upscale_files(model, [photos], photos / "out")
    assert not (photos / "out").exists()


def test_images_whose_results_share_a_file_on_disks_that_ignore_case_are_refused(model, photos):
    shutil.copy(photos / "a.png", photos / "A.png")
    with pytest.raises(ConfigError, match=r"would both become a_x2\.png on disks that ignore case"):
        upscale_files(model, [photos], photos / "out")


def test_folders_without_images_and_places_that_take_no_files(model, photos):
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no images to upscale are directly in it"):
        upscale_files(model, [photos / "empty"], photos / "out")
    with pytest.raises(UsageError, match=r"a\.png is no folder"):
        upscale_files(model, [photos / "a.png"], photos / "a.png")
    with pytest.raises(UsageError, match=r"a\.png is no folder"):
        upscale_files(model, [photos / "a.png"], photos / "a.png" / "out")


def _damage(path):
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize("damage", [_damage, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_image_costs_itself_only(photos, damage):
    native.save(photos / "m.safetensors", network())
    damage(photos / "b.png")
    names = [str(photos / f"{name}.png") for name in "abc"]
    command = ["upscale", *names, "--checkpoint", str(photos / "m.safetensors"), "--device", "cpu"]
    done = CliRunner().invoke(cli, [*command, "--out", str(photos / "out")])
    assert done.exit_code == 1, done.output
    assert done.stdout.split() == [str(photos / "out" / f"{name}_x2.png") for name in "ac"]
    assert sorted(contents(photos / "out")) == ["a_x2.png", "c_x2.png"]
    left_out, count = done.stderr.splitlines()
    assert left_out.startswith(f"left out: {photos / 'b.png'}")
    assert "1 of 3 could not be worked on, the others are done" in count


def test_the_only_image_says_its_own_error(model, photos):
    _damage(photos / "b.png")
    with pytest.raises(DataError, match=r"b\.png"):
        upscale_files(model, [photos / "b.png"], photos / "out")
    with pytest.raises(BatchError, match=r"1 of 3 .*b\.png"):
        upscale_files(model, [photos], photos / "out")


def test_an_image_that_is_replaced_meanwhile_is_not_recorded_as_the_other(model, photos, monkeypatch):
    def swapped(*arguments, **options):
        found = read(*arguments, **options)
        write_image(photos / "a.png", noise(5))
        return found

    read = upscale.images.read_image_and_alpha
    monkeypatch.setattr(upscale.images, "read_image_and_alpha", swapped)
    with pytest.raises(DataError, match=r"a\.png: was replaced while this command ran"):
        upscale_files(model, [photos / "a.png"], photos / "out")
    assert not (photos / "out" / "a_x2.png").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["grey", "equal channels", "with alpha", "BigTIFF", "with figures"])
def test_grey_in_grey_out(model, tmp_path, monkeypatch, dtype, kind):
    grey = noise(dtype=dtype)[..., 0]
    colours = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.full_like(grey, np.iinfo(dtype).max // 2)
    shown = {"grey": grey, "with alpha": np.dstack([colours, opaque])}.get(kind, colours)
    write_image(tmp_path / "a.png", shown)
    if kind == "BigTIFF":
        monkeypatch.setattr(upscale, "PNG_PIXELS", 10)
    wanted = Figures(names=("branches",)) if kind == "with figures" else None
    (written,) = upscale_files(model, [tmp_path / "a.png"], tmp_path / "out", wanted)
    found = upscale.images.read_image_and_alpha(written)[0]
    assert found.dtype == dtype
    assert np.ptp(found.astype(int), axis=2).max() == 0
    fused = upscale_image(model, colours).sr
    assert np.ptp(np.clip(fused, 0, 1), axis=2).max() > 1 / 255  # else this network would tell nothing
    luma = np.clip(fused @ [0.299, 0.587, 0.114], 0, 1) * np.iinfo(dtype).max
    assert np.abs(found[..., 0] - luma).max() <= 0.6


def test_grey_off_gives_what_the_network_makes_and_colours_are_never_touched(model, tmp_path):
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    tinted = grey.copy()
    tinted[0, 0, 2] ^= 1
    for name, pixels, limits in (("off", grey, Limits(grey=False)), ("tinted", tinted, Limits())):
        write_image(tmp_path / f"{name}.png", pixels)
        (written,) = upscale_files(model, [tmp_path / f"{name}.png"], tmp_path, limits=limits)
        expected = np.rint(np.clip(upscale_image(model, pixels).sr, 0, 1) * np.float32(255))
        assert np.abs(read_image(written) - expected).max() <= 1
        assert np.ptp(read_image(written).astype(int), axis=2).max() > 0
