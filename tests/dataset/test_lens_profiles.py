"""Lens profiles: EXIF data read, found in lensfun's database, converted to k1 against lensfun's own correction."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.align import align_pair
from d2crealsr.dataset import lens_profiles
from d2crealsr.dataset.build import build
from d2crealsr.errors import ImageError, SettingsError, UsageError
from d2crealsr.imaging.geometry import Lens, frame_centre
from d2crealsr.settings import AlignSettings
from d2crealsr.store.exif import ExifData, read_exif
from d2crealsr.store.pairs import read_manifest
from d2crealsr.types import AlignmentFailure, Size

if TYPE_CHECKING:
    from pathlib import Path

FRAME = Size(6000, 4000)
TELE = ExifData("NIKON CORPORATION", "NIKON D850", "", "70-300mm f/4.5-5.6", 70.0, 8.0, (6000, 4000))


def write_capture(path: Path, size: tuple[int, int] = (300, 200), **tags: Any) -> Path:
    """A capture with EXIF data: the tele above, but for what ``tags`` change; None leaves one out."""
    values = {"make": TELE.camera_make, "model": TELE.camera, "lens": TELE.lens, "focal": 70.0, "frame": size} | tags
    exif = PIL.Image.Exif()
    numbers = {"make": 0x010F, "model": 0x0110}
    exif.update({number: values[name] for name, number in numbers.items() if values[name] is not None})
    inner = exif.get_ifd(0x8769)
    inner[0x829D] = 8.0
    inner[0xA002], inner[0xA003] = values["frame"]
    for name, number in (("lens", 0xA434), ("focal", 0x920A)):
        if values[name] is not None:
            inner[number] = values[name]
    PIL.Image.new("RGB", size, "grey").save(path, exif=exif)
    return path


def test_exif_data_is_read(tmp_path: Path) -> None:
    shot = read_exif(write_capture(tmp_path / "a.jpg", lens="  Some  lens\0"))
    assert shot == ExifData("NIKON CORPORATION", "NIKON D850", "", "Some lens", 70.0, 8.0, (300, 200))
    PIL.Image.new("RGB", (30, 20)).save(tmp_path / "bare.jpg")
    assert read_exif(tmp_path / "bare.jpg") == ExifData("", "", "", "", 0.0, 0.0, (0, 0))
    (tmp_path / "none.jpg").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="EXIF data cannot be read"):
        read_exif(tmp_path / "none.jpg")


@pytest.mark.parametrize("k1", [-0.03, 0.004, 0.05])
def test_a_correction_of_one_coefficient_is_found_whatever_the_magnification(k1: float) -> None:
    x, y = np.meshgrid(np.linspace(0, 5999, 40), np.linspace(0, 3999, 30))
    captured = np.stack([x.ravel(), y.ravel()], axis=1)
    ideal = Lens(k1, FRAME).undistort(captured)
    centre = frame_centre(FRAME)
    found, left = lens_profiles.fit_k1(centre + (ideal - centre) * 1.03, captured, FRAME)
    assert found == pytest.approx(k1, abs=1e-9)
    assert left < 1e-6


class TestWithLensfun:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("lensfunpy", reason="the extra lens is not installed")

    @pytest.mark.parametrize(
        ("name", "focal", "most_px"),
        [("70-300mm f/4.5-5.6", 70, 1.0), ("70-300mm f/4.5-5.6", 300, 0.3), ("50mm f/1.8G", 50, 3.0)],
    )
    def test_k1_does_what_lensfun_does(self, name: str, focal: float, most_px: float) -> None:
        """Models poly3 and ptlens: our correction, up to one magnification, against lensfun's own remap grid."""
        import lensfunpy

        shot = TELE._replace(lens=name, focal_mm=focal)
        profile = lens_profiles.find_lens_profile(shot, FRAME)
        database = lensfunpy.Database()
        camera = database.find_cameras(shot.camera_make, shot.camera)[0]
        modifier = lensfunpy.Modifier(database.find_lenses(camera, None, name)[0], camera.crop_factor, *FRAME)
        modifier.initialize(focal, 8.0, 5.0, scale=1.0, flags=lensfunpy.ModifyFlags.DISTORTION)
        captured = modifier.apply_geometry_distortion()[::200, ::200].reshape(-1, 2).astype(np.float64)
        x, y = np.meshgrid(np.arange(0, 6000, 200.0), np.arange(0, 4000, 200.0))
        ideal = np.stack([x.ravel(), y.ravel()], axis=1) - frame_centre(FRAME)
        ours = Lens(profile.k1, FRAME).undistort(captured) - frame_centre(FRAME)
        magnification = np.sum(ours * ideal) / np.sum(ideal**2)
        apart = np.linalg.norm(ours / magnification - ideal, axis=1)
        unbent = np.linalg.norm(captured - frame_centre(FRAME) - ideal, axis=1)
        assert apart.max() < most_px
        assert apart.max() <= 1.5 * profile.left_px + 0.1
        assert focal == 300 or unbent.max() > 10
        assert abs(profile.k1) > 1e-3

    def test_portrait_captures_have_the_same_lens(self) -> None:
        upright = lens_profiles.find_lens_profile(TELE, Size(4000, 6000))
        assert upright == lens_profiles.find_lens_profile(TELE, FRAME)
        assert "70-300mm" in upright.described

    @pytest.mark.parametrize(
        ("tags", "says"),
        [
            ({"model": None}, "names no camera"),
            ({"focal": None}, "names no camera and focal length"),
            ({"model": "Box camera"}, "does not know the camera"),
            ({"lens": "A lens nobody made 7mm"}, "no distortion of the lens"),
            ({"lens": None}, r"no distortion of the lens \(unnamed\)"),
            ({"frame": (300, 300)}, "use it uncropped"),
        ],
    )
    def test_what_is_missing_is_said(self, tmp_path: Path, tags: dict[str, Any], says: str) -> None:
        path = write_capture(tmp_path / "hr.jpg", **tags)
        with pytest.raises(ImageError, match=rf"hr.jpg: lens profile: .*{says}.*--lens-profile") as raised:
            lens_profiles.with_lens_profiles(AlignSettings(lens_profile="hr"), {"hr": path}, {"hr": Size(300, 200)})
        assert raised.value.reason == "lens_unknown"

    def test_each_capture_gets_its_own(self, tmp_path: Path) -> None:
        paths = {"hr": write_capture(tmp_path / "h.jpg", focal=300.0), "lr": write_capture(tmp_path / "l.jpg")}
        sizes = {"hr": Size(300, 200), "lr": Size(300, 200)}
        both, described = lens_profiles.with_lens_profiles(AlignSettings(lens_profile="both"), paths, sizes)
        assert both.undistort_hr == pytest.approx(0.0022, abs=2e-4)
        assert both.undistort_lr == pytest.approx(0.0191, abs=5e-4)
        assert both.lens_profile == "none"
        assert described.startswith("hr: Nikon D850, ")
        assert "; lr: Nikon D850, " in described
        one, _ = lens_profiles.with_lens_profiles(AlignSettings(lens_profile="lr"), paths, sizes)
        assert (one.undistort_hr, one.undistort_lr) == (0.0, both.undistort_lr)


def _told_settings(hr: Any, lr: Any, *, settings: AlignSettings) -> AlignmentFailure:
    """An aligner that only says what it was given."""
    return AlignmentFailure(
        reason="too_few_matches", message=f"{settings.undistort_hr:.4f} {settings.undistort_lr:.4f}"
    )


def test_a_build_looks_profiles_up_and_writes_them_down(tmp_path: Path) -> None:
    pytest.importorskip("lensfunpy", reason="the extra lens is not installed")
    raw = tmp_path / "raw"
    for side in ("hr", "lr"):
        (raw / side).mkdir(parents=True)
        write_capture(raw / side / "1.jpg", focal=300.0 if side == "hr" else 70.0)
        write_capture(raw / side / "2.jpg", model="Box camera" if side == "lr" else TELE.camera)
    build(raw, tmp_path / "pairs", settings=AlignSettings(lens_profile="both"), align=_told_settings)
    rows = read_manifest(tmp_path / "pairs").set_index("scene")
    assert [float(k1) for k1 in rows.loc["1", "message"].split()] == pytest.approx([0.0022, 0.0191], abs=2e-4)
    assert rows.loc["1", "lens_model"].count("Nikkor 70-300mm") == 2
    assert rows.loc["2", "reasons"] == "lens_unknown"
    assert "2.jpg: lens profile: lensfun does not know the camera" in rows.loc["2", "message"]


def test_a_lens_that_was_unknown_is_looked_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("hr", "lr"):
        (tmp_path / "raw" / side).mkdir(parents=True)
        write_capture(tmp_path / "raw" / side / "1.jpg")

    def unknown(*given: Any) -> lens_profiles.LensProfile:
        raise ImageError("lens profile: lensfun does not know the camera", reason="lens_unknown")

    monkeypatch.setattr("d2crealsr.dataset.build.check_lensfun", lambda: None)
    for found, reasons in (
        (unknown, "lens_unknown"),
        (lambda *given: lens_profiles.LensProfile(k1=0.25, name="a lens", left_px=0.1), "too_few_matches"),
    ):
        monkeypatch.setattr(lens_profiles, "find_lens_profile", found)
        build(tmp_path / "raw", tmp_path / "pairs", settings={"lens_profile": "hr"}, align=_told_settings)
        row = read_manifest(tmp_path / "pairs").iloc[0]
        assert row["reasons"] == reasons
    assert row["message"].startswith("0.25")


def test_without_lensfunpy_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lensfunpy", None)
    with pytest.raises(UsageError, match=r"lensfunpy is not installed; pip install '\.\[lens\]'"):
        lens_profiles.check_lensfun()


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match="leave out --undistort-lr or --lens-profile"):
        AlignSettings(lens_profile="both", undistort_lr=0.01)
    with pytest.raises(SettingsError, match="SIFT alone"):
        AlignSettings(lens_profile="hr", refine="none")
    with pytest.raises(SettingsError, match="looked up for files"):
        align_pair(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8), lens_profile="hr")
