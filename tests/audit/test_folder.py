"""The audit of existing pairs on images displaced by known amounts, made without the package's own resampling."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage

from d2crealsr.audit.benchmark_loss import loss_db
from d2crealsr.audit.folder import COLUMNS, EARLIER_COLUMNS, FIELD_COLUMNS, audit
from d2crealsr.audit.pair import MEASURED, AuditSettings, classify
from d2crealsr.command.audited import audit_summary
from d2crealsr.command.cli import main
from d2crealsr.errors import LayoutError, SettingsError
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.audit.folder import PairDone

WIDTH, HEIGHT = 144, 112
"""Of LR, in LR px."""
MARGIN = 24
"""Of the scene around HR, in HR px."""

Image = Any


@functools.cache
def scene(scale: int, seed: int) -> NDArray[np.float64]:
    """Light with detail at several scales, and room around HR."""
    rng = np.random.default_rng(seed)
    shape = (HEIGHT * scale + 2 * MARGIN, WIDTH * scale + 2 * MARGIN)
    light = np.full(shape, 0.35)
    for sigma, strength in ((1.2 * scale, 0.10), (3.0 * scale, 0.08), (9.0 * scale, 0.05)):
        noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
        light += strength * noise / noise.std()
    return np.clip(light, 0.02, 0.95)


def encoded(light: NDArray[np.float64]) -> Image:
    """8-bit sRGB picture of grey light."""
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def pair(
    scale: int = 1,
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    turn: float = 0.0,
    seed: int = 0,
    lr_seed: int | None = None,
    noise: float = 0.003,
) -> tuple[Image, Image]:
    """HR, its content ``shift`` HR px further right and down and turned about the middle, and LR."""
    light = scene(scale, seed)
    y, x = np.indices((HEIGHT * scale, WIDTH * scale), dtype=np.float64)
    cx, cy = (WIDTH * scale - 1) / 2, (HEIGHT * scale - 1) / 2
    dx, dy = x - cx - shift[0], y - cy - shift[1]
    from_x, from_y = cx + dx + turn * dy, cy + dy - turn * dx
    hr = ndimage.map_coordinates(light, [from_y + MARGIN, from_x + MARGIN], order=3)
    other = light if lr_seed is None else scene(scale, lr_seed)
    optics = ndimage.gaussian_filter(other, 0.8 * scale)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    lr = optics.reshape(HEIGHT, scale, WIDTH, scale).mean(axis=(1, 3))
    rng = np.random.default_rng([seed, 1])
    return encoded(hr), encoded(0.8 * lr + 0.01 + noise * rng.standard_normal(lr.shape))


def write_pair(folder: Path, name: str, images: tuple[Image, Image]) -> None:
    """A pair of the layout of City100."""
    for image, end in zip(images, "HL", strict=True):
        write_image(folder / f"{name}{end}.png", image)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.42, -0.27), (-1.1, 0.8)])
def test_a_known_shift_is_the_constant_part(tmp_path: Path, scale: int, shift: tuple[float, float]) -> None:
    write_pair(tmp_path, "001", pair(scale, shift=shift))
    row = audit(tmp_path).table.iloc[0]
    assert row["scale"] == scale
    assert [row["constant_x_hr_px"], row["constant_y_hr_px"]] == pytest.approx(shift, abs=0.05)
    assert row["smooth_hr_px"] == pytest.approx(np.hypot(*shift), abs=0.06)
    assert row["affine_hr_px"] < 0.06
    assert row["verdict"] == ("misaligned" if np.hypot(*shift) > 0.3 else "clean")
    assert row["correlation"] > 0.9
    assert row["residual_shape"] == ("uniform" if any(shift) else "random")


def test_scale_eight_is_measured_in_hr_pixels(tmp_path: Path) -> None:
    write_pair(tmp_path, "001", pair(8, shift=(1.0, 0.0)))
    row = audit(tmp_path, scale=8).table.iloc[0]
    assert row["constant_x_hr_px"] == pytest.approx(1.0, abs=0.1)
    assert row["constant_y_hr_px"] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_turn_is_the_affine_part(tmp_path: Path, scale: int) -> None:
    turn = 0.008
    write_pair(tmp_path, "001", pair(scale, turn=turn))
    row = audit(tmp_path).table.iloc[0]
    expected = turn * scale * np.sqrt((WIDTH**2 + HEIGHT**2) / 12)
    assert row["affine_hr_px"] == pytest.approx(expected, rel=0.1)
    assert row["constant_hr_px"] < 0.06
    assert row["rest_p50_hr_px"] < 0.5 * row["residual_p50_hr_px"]
    assert (row["verdict"], "affine" in row["reason"]) == ("misaligned", True)
    assert (row["residual_shape"], row["reason"].endswith("the field is affine")) == ("affine", True)


def test_the_floor_is_what_a_perfect_pair_measures(tmp_path: Path) -> None:
    """It does not see the shift, it grows with the noise, and a pair without a shift measures no more than it."""
    noises = {"1": 0.002, "2": 0.012}
    for name, noise in noises.items():
        write_pair(tmp_path, f"still{name}", pair(seed=3, noise=noise))
        write_pair(tmp_path, f"moved{name}", pair(seed=3, noise=noise, shift=(0.6, 0.3)))
    table = audit(tmp_path).table.set_index("scene")
    for name in noises:
        still, moved = table.loc[f"still{name}"], table.loc[f"moved{name}"]
        assert moved["floor_p50_hr_px"] == pytest.approx(still["floor_p50_hr_px"], rel=0.3)
        assert still["residual_p50_hr_px"] == pytest.approx(still["floor_p50_hr_px"], rel=0.5)
        assert moved["floor_smooth_hr_px"] < 0.1 < 0.5 < moved["smooth_hr_px"]
    assert table.loc["still2", "floor_p50_hr_px"] > 2 * table.loc["still1", "floor_p50_hr_px"]


def test_a_shift_beyond_the_blocks_reach_is_told_apart_from_another_scene(tmp_path: Path) -> None:
    write_pair(tmp_path, "1", pair(2, shift=(17.0, -10.0)))
    write_pair(tmp_path, "2", pair(2, seed=1, lr_seed=2))
    table = audit(tmp_path).table.set_index("scene")
    assert table["verdict"].to_dict() == {"1": "misaligned", "2": "different_content"}
    assert [table.loc["1", "coarse_x_hr_px"], table.loc["1", "coarse_y_hr_px"]] == pytest.approx([17, -10], abs=2.01)
    assert table.loc["2", "correlation"] < 0.4


def test_an_occluded_part_is_different_content(tmp_path: Path) -> None:
    hr, lr = pair(seed=4)
    _, other = pair(seed=5)
    lr = lr.copy()
    lr[20:90, 30:110] = other[20:90, 30:110]
    write_pair(tmp_path, "001", (hr, lr))
    row = audit(tmp_path).table.iloc[0]
    assert row["verdict"] == "different_content"
    assert "blocks with strong detail differ" in row["reason"]


@pytest.mark.parametrize("side", [0, 1])
def test_an_image_in_black_and_white_has_different_colours(tmp_path: Path, side: int) -> None:
    """The same tint in both is no difference; no tint in one of them is."""
    tint = scene(1, 9)[MARGIN:-MARGIN, MARGIN:-MARGIN, None] ** np.array([1.0, 0.6, 2.0])
    tint /= tint.mean(axis=2, keepdims=True)
    grey = pair(seed=6)
    tinted = tuple(np.clip(np.rint(image * tint ** (1 / 2.2) * 0.7), 0, 255).astype(np.uint8) for image in grey)
    write_pair(tmp_path, "1", tinted)
    write_pair(tmp_path, "2", (grey[0], tinted[1]) if side == 0 else (tinted[0], grey[1]))
    table = audit(tmp_path).table.set_index("scene")
    assert table["verdict"].to_dict() == {"1": "clean", "2": "different_colours"}
    assert table.loc["1", "colour_difference"] < 0.2 * table.loc["2", "colour_difference"]
    assert "of their own spread, at most 20%" in table.loc["2", "reason"]


def test_blank_and_tiny_images_have_too_little_texture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grain = [np.clip(rng.normal(120, 2, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8) for _ in range(2)]
    write_pair(tmp_path, "1", (grain[0], grain[1]))
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    write_pair(tmp_path, "2", (flat, flat))
    write_pair(tmp_path, "3", (flat[:20, :40], flat[:20, :40]))
    table = audit(tmp_path).table
    assert table["verdict"].tolist() == ["too_little_texture"] * 3
    assert "20" in table["reason"][2]


def test_a_pair_that_cannot_be_measured_is_no_finding(tmp_path: Path) -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    write_pair(tmp_path, "1", (flat, flat))
    write_pair(tmp_path, "2", (flat[:20, :40], flat[:20, :40]))
    result = run("audit", tmp_path)
    assert result.exit_code == 3, result.output
    assert "2 of 2 pairs not measured, which is no finding:\n  1: too_little_texture: contrast" in result.stdout
    assert "no findings" not in result.stdout
    assert result.stdout.endswith("\nnothing was measured\n")
    assert run("audit", tmp_path, "--json").exit_code == 3
    write_pair(tmp_path, "3", pair(2, seed=1, lr_seed=2))
    found = audit(tmp_path)
    assert [line.split(":")[0] for line in found.not_measured] == ["1", "2"]
    assert [line.split(":")[0] for line in found.findings] == ["3"]
    assert run("audit", tmp_path).exit_code == 4
    write_pair(tmp_path, "3", pair(2))
    assert run("audit", tmp_path).exit_code == 0


@pytest.mark.parametrize("only_in", ["hr", "lr"])
def test_a_small_object_in_one_image_is_a_finding_that_says_where(tmp_path: Path, only_in: str) -> None:
    hr, lr = pair(4)
    image, per_lr_px = (hr, 4) if only_in == "hr" else (lr, 1)
    y, x = np.indices(image.shape[:2]) / per_lr_px
    image[np.hypot(x - 60, y - 50) < 6] = 20
    write_pair(tmp_path, "1", (hr, lr))
    row = audit(tmp_path).table.iloc[0]
    assert row["verdict"] == "different_content"
    assert row["reason"].startswith("LR shows something else than HR at column 5")
    assert 40 < row["differing_hr_px"] < 80  # a strong difference looks larger, as LR is blurred
    assert row["differing_x"] + row["differing_width"] / 2 == pytest.approx(60, abs=2)
    assert row["differing_y"] + row["differing_height"] / 2 == pytest.approx(50, abs=2)
    assert audit(tmp_path, settings=AuditSettings(max_differing_place=100)).table["verdict"][0] == "clean"


def test_wrong_sizes_and_damaged_files_are_findings_that_name_the_file(tmp_path: Path) -> None:
    hr, lr = pair(2)
    write_pair(tmp_path, "1", (hr, lr))
    write_pair(tmp_path, "2", (hr[:-1], lr))
    write_pair(tmp_path, "3", (lr, hr))
    write_pair(tmp_path, "4", (hr, lr))
    data = (tmp_path / "4L.png").read_bytes()
    (tmp_path / "4L.png").write_bytes(data[: len(data) // 2])
    result = audit(tmp_path)
    assert result.table["verdict"].tolist() == ["clean", "wrong_size", "wrong_size", "unreadable"]
    assert len(result.findings) == 3
    assert "2H.png is 288x223" in result.findings[0]
    assert "144x112" in result.findings[0]
    assert "4L.png" in result.findings[2]
    assert set(result.fields["scene"]) == {"1"}


def test_a_scale_that_sizes_contradict(tmp_path: Path) -> None:
    write_pair(tmp_path, "1", pair(2))
    result = audit(tmp_path, scale=4)
    assert result.table["verdict"].tolist() == ["wrong_size"]
    assert "expected 576x448 for 1L.png" in result.findings[0]


def test_realsr_names_state_a_scale_and_images_have_one_size(tmp_path: Path) -> None:
    hr, lr = pair()
    write_image(tmp_path / "Canon_001_HR.png", hr)
    write_image(tmp_path / "Canon_001_LR4.png", lr)
    result = audit(tmp_path)
    assert (result.layout, result.table["scale"].tolist(), result.findings) == ("RealSR", [1], [])
    assert "LR has HR's size in 1 of 1 pairs, which are read at scale 1" in result.notes


def test_realsr_images_of_one_size_are_reduced_by_the_scale_that_is_asked_for(tmp_path: Path) -> None:
    hr, lr = pair(2)
    write_image(tmp_path / "Canon_001_HR.png", np.pad(hr, ((0, 1), (0, 1), (0, 0))))
    write_image(tmp_path / "Canon_001_LR2.png", np.pad(lr.repeat(2, 0).repeat(2, 1), ((0, 1), (0, 1), (0, 0))))
    result = audit(tmp_path, scale=2)
    assert (result.table["scale"].tolist(), result.table["verdict"].tolist()) == ([2], ["clean"])
    assert any("and HR is cropped to a multiple of 2" in note for note in result.notes)


def test_an_image_without_a_partner_is_a_finding(tmp_path: Path) -> None:
    write_pair(tmp_path, "1", pair())
    write_image(tmp_path / "2L.png", pair()[1])
    result = audit(tmp_path)
    assert result.table["verdict"].tolist() == ["clean"]
    assert result.findings == ["2L.png: has no partner in the folder"]


def test_result_does_not_depend_on_jobs_and_nothing_is_modified(tmp_path: Path) -> None:
    for number in range(3):
        write_pair(tmp_path, f"{number}", pair(seed=number, shift=(0.2 * number, 0)))
    before = {path.name: sha256_of(path) for path in sorted(tmp_path.iterdir())}
    told: list[PairDone] = []
    one, two = audit(tmp_path, on_pair=told.append), audit(tmp_path, jobs=2)
    assert one.table.to_csv() == two.table.to_csv()
    assert one.fields.to_csv() == two.fields.to_csv()
    assert {path.name: sha256_of(path) for path in sorted(tmp_path.iterdir())} == before
    assert [(pair.number, pair.total, pair.scene) for pair in told] == [(1, 3, "0"), (2, 3, "1"), (3, 3, "2")]
    assert list(one.table.columns) == [
        *("scene", "scale", "verdict", "reason", "residual_shape"),
        *MEASURED,
        *("hr_path", "lr_path", "registration_loss_db"),
    ]
    assert one.table["hr_path"].tolist() == ["0H.png", "1H.png", "2H.png"]
    assert list(one.fields.columns) == ["scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight", "zncc"]
    assert (tuple(one.table.columns), tuple(one.fields.columns)) == (COLUMNS, FIELD_COLUMNS)
    assert one.summary["pairs"] == 3


def test_command_line(tmp_path: Path) -> None:
    folder, table, fields = tmp_path / "pairs", tmp_path / "table.csv", tmp_path / "fields.csv"
    write_pair(folder, "1", pair())
    result = run("audit", folder, "--out", table, "--fields", fields)
    assert result.exit_code == 0, result.output
    assert "no findings" in result.stdout
    assert "[1/1] 1 clean" in result.stderr
    assert table.read_text(encoding="utf-8").startswith("scene,scale,verdict,reason,residual_shape,blocks")
    assert len(fields.read_text(encoding="utf-8").splitlines()) > 20
    write_pair(folder, "2", pair(shift=(1.0, 0.0)))
    result = run("audit", folder)
    assert result.exit_code == 4
    assert "2: misaligned: constant and affine part 1.0" in result.stdout
    assert run("audit", folder, "--limit", "5").exit_code == 0


def test_it_says_what_the_misalignment_costs_a_benchmark(tmp_path: Path) -> None:
    for name, shift in (("1", 0.0), ("2", 0.5)):
        write_pair(tmp_path, name, pair(2, shift=(shift, 0.0)))
    result = audit(tmp_path)
    still, moved = result.table["registration_loss_db"]
    assert still < 0.01
    assert moved == pytest.approx(loss_db(0.5, 2), rel=0.15)
    assert result.summary["registration_loss_db"] == pytest.approx((still + moved) / 2)
    told = audit_summary(result)
    assert f"due to registration: about {moved / 2:.2f} dB (mean of 2 pairs)\n  by curves of simulated" in told
    assert "\n2 pairs, layout City100;" in told
    assert "1 finding" in told
    assert "1 findings" not in told


def test_a_displacement_beyond_the_curves_gives_a_lower_limit(tmp_path: Path) -> None:
    write_pair(tmp_path, "1", pair(2, shift=(17.0, -10.0)))
    result = audit(tmp_path)
    assert result.table["registration_loss_db"][0] == loss_db(2.0, 2)
    assert f"at least {loss_db(2.0, 2):.2f} dB (mean of 1 pair)" in audit_summary(result)


def test_at_scale_one_the_loss_is_not_known(tmp_path: Path) -> None:
    write_pair(tmp_path, "1", pair(1))
    write_pair(tmp_path, "2", pair(1, seed=1, lr_seed=2))
    result = audit(tmp_path)
    assert result.table["registration_loss_db"].isna().all()
    assert "PSNR lost to registration: only known from x2 to x8\n" in audit_summary(result)


def test_a_table_that_an_earlier_version_wrote_is_replaced(tmp_path: Path) -> None:
    folder, table = tmp_path / "pairs", tmp_path / "table.csv"
    write_pair(folder, "1", pair())
    table.write_text(",".join(EARLIER_COLUMNS) + "\n", encoding="utf-8")
    assert run("audit", folder, "--out", table).exit_code == 0
    assert table.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)


def test_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "absent", tmp_path / "empty"):
        result = run("audit", folder)
        assert result.exit_code == 2
        assert str(folder) in result.stderr
        assert len(result.stderr.splitlines()) == 1
        with pytest.raises(LayoutError, match="pairs"):
            audit(folder)
    with pytest.raises(SettingsError, match="limit: got -1"):
        AuditSettings(limit=-1)


CLEAN = dict.fromkeys(MEASURED, 0.0) | {"correlation": 0.99, "contrast": 50.0, "weight": 100.0}


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "clean"),
        ({"smooth_hr_px": 0.26}, "misaligned"),
        ({"smooth_hr_px": 0.26, "floor_smooth_hr_px": 0.02}, "clean"),
        ({"rest_p50_hr_px": 0.51}, "misaligned"),
        ({"rest_p50_hr_px": 0.6, "floor_p50_hr_px": 0.2}, "clean"),
        ({"floor_smooth_hr_px": 0.3}, "too_little_texture"),
        ({"floor_smooth_hr_px": float("nan")}, "too_little_texture"),
        ({"smooth_error_hr_px": float("nan")}, "too_little_texture"),
        ({"smooth_hr_px": 0.4, "smooth_error_hr_px": 0.2}, "clean"),
        ({"weight": 7.0}, "too_little_texture"),
        ({"contrast": 2.0, "correlation": 0.0}, "too_little_texture"),
        ({"correlation": 0.5}, "different_content"),
        ({"unlike_fraction": 0.2}, "different_content"),
        ({"differing_hr_px": 27.1}, "different_content"),
        ({"differing_hr_px": 27.1, "weight": 7.0}, "different_content"),
        ({"differing_hr_px": 27.1, "contrast": 2.0}, "different_content"),
        ({"differing_hr_px": 27.1, "smooth_hr_px": 0.26}, "misaligned"),
        ({"unlike_fraction": 0.2, "coarse_x_hr_px": -13.0}, "misaligned"),
        ({"coarse_x_hr_px": 11.0}, "clean"),
        ({"colour_ratio": 0.21}, "different_colours"),
        ({"colour_ratio": 0.21, "weight": 7.0}, "different_colours"),
        ({"colour_ratio": 0.21, "smooth_hr_px": 0.26}, "misaligned"),
        ({"colour_ratio": float("nan")}, "clean"),
    ],
)
def test_verdict(changed: dict[str, float], verdict: str) -> None:
    found, reason = classify(CLEAN | changed, 4, AuditSettings())
    assert found == verdict
    assert bool(reason) == (verdict != "clean")
