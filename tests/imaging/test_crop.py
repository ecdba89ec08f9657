"""The published rectangle: size, place, and what happens where it does not fit."""

import numpy as np
import pytest

from d2crealsr.errors import SettingsError
from d2crealsr.imaging import crop, geometry
from d2crealsr.settings import AlignSettings, settings_from
from d2crealsr.types import Crop, Size


def mapping(hr: Size, lr: Size, scale: int, *, offset: tuple[float, float] = (0, 0), turn: float = 0.0):
    """HR centred on LR, moved by ``offset`` LR px and turned by ``turn`` degrees."""
    t = np.radians(turn)
    turned = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1.0]])
    to_centre = geometry.translation(*-geometry.frame_centre(hr))
    to_lr = geometry.translation(*(geometry.frame_centre(lr) + offset))
    H = geometry.compose(to_lr, np.diag([1 / scale, 1 / scale, 1.0]), turned, to_centre)
    return geometry.CaptureMapping(H_hr_to_lr=H, hr_size=hr, lr_size=lr)


@pytest.mark.parametrize(
    ("hr", "expected"),
    [
        (Size(6000, 4000), Size(432, 288)),
        (Size(3000, 2000), Size(216, 144)),
        (Size(4000, 6000), Size(288, 432)),
        (Size(1200, 800), Size(86, 56)),
    ],
)
def test_default_sizes(hr: Size, expected: Size) -> None:
    assert crop.default_size(hr, 8) == expected
    chosen = crop.choose_crop(mapping(hr, hr, 8), 8, "default")
    assert (chosen.width, chosen.height) == expected


@pytest.mark.parametrize(
    ("turn", "expected"),
    [(90.0, (144, 216)), (270.0, (144, 216)), (180.0, (216, 144)), (50.0, (144, 216)), (-40.0, (216, 144))],
)
def test_the_default_size_goes_by_the_frame_as_lr_sees_it(turn: float, expected: tuple[int, int]) -> None:
    frame = Size(3000, 2000)
    assert crop.requested_size("default", mapping(frame, frame, 8, turn=turn), 8) == expected


def test_it_is_centred_to_half_a_pixel() -> None:
    m = mapping(Size(3000, 2000), Size(3000, 2000), 8, offset=(31.3, -12.8))
    chosen = crop.choose_crop(m, 8, "default")
    centre = np.array([chosen.x + (chosen.width - 1) / 2, chosen.y + (chosen.height - 1) / 2])
    assert np.abs(centre - m.hr_centre_in_lr).max() <= 0.5


def test_explicit_size_and_max() -> None:
    m = mapping(Size(3000, 2000), Size(3000, 2000), 8)
    assert crop.choose_crop(m, 8, "100x60")[2:] == (100, 60)
    largest = crop.choose_crop(m, 8, "max")
    assert 368 <= largest.width <= 375
    assert 244 <= largest.height <= 250


def test_scale_1_keeps_the_whole_picture() -> None:
    chosen = crop.choose_crop(mapping(Size(1218, 870), Size(1218, 870), 1), 1, "default")
    assert chosen.width >= 1208
    assert chosen.height >= 860


def test_where_it_does_not_fit_the_largest_with_that_centre() -> None:
    """LR is a crop that ends 40 px right of HR's centre: half the width is left, and the height is kept."""
    hr = Size(3000, 2000)
    m = mapping(hr, Size(400, 300), 8, offset=(160.0, 0.0))
    chosen = crop.choose_crop(m, 8, "default")
    assert chosen.height == 144
    assert chosen.width in (78, 80)
    assert chosen.x + chosen.width <= 400


@pytest.mark.parametrize("turn", [90.0, 45.0, 180.0])
def test_turned_captures_stay_inside(turn: float) -> None:
    m = mapping(Size(3000, 2000), Size(3000, 2000), 8, turn=turn)
    chosen = crop.choose_crop(m, 8, "default")
    outline = np.array(
        [[chosen.x - 0.45, chosen.y - 0.45], [chosen.x + chosen.width - 0.55, chosen.y + chosen.height - 0.55]]
    )
    p_hr = m.lr_to_hr(outline)
    assert (p_hr >= 1).all()
    assert (p_hr <= np.array([2998, 1998])).all()
    assert min(chosen.width, chosen.height) >= 100


def test_nothing_where_hr_lies_outside_lr() -> None:
    chosen = crop.choose_crop(mapping(Size(3000, 2000), Size(300, 200), 8, offset=(900.0, 0.0)), 8, "default")
    assert chosen.width * chosen.height == 0


def test_a_wrong_request_says_what_is_expected() -> None:
    with pytest.raises(SettingsError, match="expected WxH"):
        AlignSettings(crop="large")
    with pytest.raises(SettingsError, match="expected WxH"):
        AlignSettings(crop="9" * 5000 + "x99")


@pytest.mark.parametrize("crop", ["0x0", "1x1", "31x200", "200x31"])
def test_a_request_that_is_always_too_small_is_refused(crop: str) -> None:
    with pytest.raises(SettingsError, match=f"crop: got '{crop}', expected sides of at least 32 LR pixels"):
        AlignSettings(crop=crop)
    assert settings_from({"crop": crop}, "dataset.json") == AlignSettings()  # an earlier version took it
    assert AlignSettings(crop="32x32").crop == "32x32"


@pytest.mark.parametrize(
    ("wide", "same"), [("999999998x60", "400x60"), ("60x999999998", "60x300"), ("401x61", "399x61")]
)
def test_a_request_beyond_lr_is_tried_from_lrs_size_on(wide: str, same: str, monkeypatch: pytest.MonkeyPatch) -> None:
    m = mapping(Size(3000, 2000), Size(400, 300), 8, offset=(20.0, 0.0))
    tried: list[Crop] = []
    fits = crop._fits
    monkeypatch.setattr(crop, "_fits", lambda placement: tried.append(placement.crop) or fits(placement))
    chosen = crop.choose_crop(m, 8, wide)
    assert max(each.width for each in tried) <= 400
    assert max(each.height for each in tried) <= 300
    assert chosen == crop.choose_crop(m, 8, same)
    assert chosen.width >= 32


def test_crop_is_a_named_tuple() -> None:
    assert Crop(1, 2, 3, 4).width == 3
