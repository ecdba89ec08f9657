"""Cards: what is on them, and how it is printed."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.printing import print_card, srgb_of_linear
from d2crealsr.simulate.recipe import GENERATORS, OF_PHOTOGRAPHS
from d2crealsr.simulate.shoot import card_size
from d2crealsr.types import Size

SMALL = Size(480, 312)


def photographs():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), rng.integers(0, 256, (90, 50, 3), dtype=np.uint8)]


def draw(kind, seed=1, size=SMALL):
    return draw_artwork(kind, size, size.width / 150, photographs(), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("size", [SMALL, Size(312, 480)])
def test_every_kind_fills_its_card_and_follows_its_seed(kind, size):
    card = draw(kind, size=size)
    assert card.shape == (size.height, size.width, 3)
    assert card.dtype == np.uint8
    np.testing.assert_array_equal(card, draw(kind, size=size))
    if kind not in ("smooth", "filled"):  # which are the photograph, whatever the seed
        assert (card != draw(kind, seed=2, size=size)).any()


@pytest.mark.parametrize("kind", OF_PHOTOGRAPHS)
def test_photographic_kinds_need_a_photograph(kind):
    with pytest.raises(ValueError, match="expected at least one"):
        draw_artwork(kind, SMALL, 3.2, [], np.random.default_rng(0))


def test_unknown_kind():
    with pytest.raises(ValueError, match="'marble'"):
        draw("marble")


def test_plain_has_no_texture_and_repeated_repeats():
    assert draw("plain").std(axis=(0, 1)).max() < 3
    repeated = draw("repeated", size=Size(1440, 960))
    np.testing.assert_array_equal(repeated[:, :-24], repeated[:, 24:])


def test_dead_leaves_have_detail_at_all_scales():
    """Averaging over blocks of growing size keeps much of the contrast, as in natural pictures."""
    grey = draw("leaves", size=Size(960, 624)).mean(axis=2)
    contrast = [grey.reshape(624 // n, n, 960 // n, n).mean(axis=(1, 3)).std() for n in (1, 4, 24)]
    assert contrast[1] > 0.5 * contrast[0]
    assert contrast[2] > 0.15 * contrast[0]


def printed(artwork, **changes):
    options = {"screen": "", "grain": False, "rng": np.random.default_rng(0)} | changes
    return print_card(artwork, (150.0, 100.0), **options)


def test_ink_and_paper_bound_the_light_and_grain_is_fine():
    black, white = (np.full((48, 72, 3), value, np.uint8) for value in (0, 255))
    assert printed(black).light.max() / 65535 == pytest.approx(0.03, abs=1e-4)
    assert printed(white).light.min() / 65535 == pytest.approx(0.88, abs=1e-4)
    assert printed(white).light.std() == 0
    mottled = printed(white, grain=True).light / 65535
    assert 0.003 < mottled.std() / mottled.mean() < 0.02


@pytest.mark.parametrize(("screen", "lines_per_inch"), [("am-133", 133), ("am-200", 200)])
def test_halftone_has_its_ruling_and_keeps_tone(screen, lines_per_inch):
    """33 card px per mm, as at half size; the third ink's screen stands upright, so its ruling is read off a row."""
    size = Size(4944, 240)
    for tone in (0.3, 0.5, 0.7):
        grey = np.full((size.height, size.width, 3), round(255 * float(srgb_of_linear(np.array(tone)))), np.uint8)
        card = printed(grey, screen=screen).light[..., 2] / 65535
        assert (card.mean() - 0.03) / 0.85 == pytest.approx(tone, abs=0.03)
    spectrum = np.abs(np.fft.rfft(card - card.mean(axis=1, keepdims=True), axis=1)).mean(axis=0)
    per_mm = np.argmax(spectrum) / 150.0
    assert per_mm * 25.4 == pytest.approx(lines_per_inch, rel=0.01)


def test_inkjet_scatters_dots_and_keeps_tone():
    grey = np.full((512, 720, 3), 188, np.uint8)
    card = printed(grey, screen="inkjet").light[..., 1] / 65535
    assert card.std() > 0.2
    assert (card.mean() - 0.03) / 0.85 == pytest.approx(0.5, abs=0.03)


def test_a_screen_too_fine_for_the_raster_is_continuous_tone():
    grey = np.full((48, 720, 3), 188, np.uint8)  # 4.8 card px per mm
    assert printed(grey, screen="am-200").light.std() == 0


def test_reduced_card_is_the_mean_of_blocks(dots):
    session = dots.session(0)
    size = card_size(session)
    assert (size.width % 24, size.height % 24) == (0, 0)
    card = printed(draw("leaves"))
    blocks = card.light.astype(float).reshape(78, 4, 120, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(card.reduced(4), blocks, atol=1)
    assert card.reduced(1) is card.light
