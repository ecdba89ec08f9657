"""Each nuisance does what its name says, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from d2crealsr.simulate import NUISANCES, Recipe, SimulateSettings, encode_capture, session_for, shoot
from d2crealsr.simulate.overlay import covers
from d2crealsr.simulate.sleeve import through_sleeve
from d2crealsr.simulate.truth import truth_of
from d2crealsr.store.images import read_header, read_image

SEEDS = range(6)


def session(*nuisances, seed=3):
    recipe = Recipe(scene="n", group="n", generator="leaves", capture_seed=seed)
    return session_for(recipe, SimulateSettings(size="mini", nuisances=nuisances))


def scene(*nuisances, kind="leaves", seed=3):
    recipe = Recipe(scene="n", group="n", generator=kind, source=("coffee",), texture_seed=1, capture_seed=seed)
    return shoot(recipe, SimulateSettings(size="mini", nuisances=nuisances))


CHANGES = {
    "lr-exposure-x4": {"lr.exposure"},
    "occlusion": {"hr.overlay", "lr.overlay"},
    "glare": {"hr.overlay", "lr.overlay"},
    "small-object": {"hr.overlay", "lr.overlay"},
    "lr-psf": {"lr.psf_sigma"},
    "tilt": {"hr.tilt_x", "hr.tilt_y", "lr.tilt_x", "lr.tilt_y"},
    "distortion-0.5": {"hr.k1"},
    "distortion-2": {"hr.k1"},
    "chromatic-aberration": {"hr.ca_r", "hr.ca_b"},
    "halftone-133": {"screen"},
    "halftone-200": {"screen"},
    "inkjet": {"screen"},
    "bowed-card": {"bow_mm"},
    "off-centre": {"lr.shift_x", "lr.shift_y"},
    "off-centre-lens": {"lr.shift_x", "lr.shift_y", "lr.k1"},
    "desk-in-frame": {"card_fraction"},
    "white-border": {"card_fraction", "border"},
    "desk-in-crop": {"card_fraction"},
    "sleeve": {"card_fraction", "sleeve"},
    "hand": {"hr.overlay", "lr.overlay"},
    "low-texture": {"card_kind"},
    "repetition": {"card_kind"},
    "wrong-scene": {"same_scene"},
    "portrait": {"size"},
    "orientation-flags": {"hr.orientation", "lr.orientation"},
    "turned-camera": {"lr.roll"},
    "rolled": {"lr.roll"},
    "marked-cards": {"card_kind"},
}


def changed(a, b, prefix=""):
    names = set()
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("hr", "lr"):
            names |= changed(one, other, field.name + ".")
        elif one != other:
            names.add(prefix + field.name)
    return names


@pytest.mark.parametrize("name", NUISANCES)
def test_a_nuisance_changes_its_own_numbers_only(name):
    found = set().union(*(changed(session(seed=seed), session(name, seed=seed)) for seed in SEEDS))
    assert found == CHANGES[name]


def test_order_of_names_decides_nothing():
    assert session("glare", "tilt", "portrait") == session("portrait", "glare", "tilt")


def test_numbers_are_as_named():
    plain = session()
    assert session("lr-exposure-x4").lr.exposure == pytest.approx(4 * plain.lr.exposure)
    assert session("lr-psf").lr.psf_sigma == 3.5
    assert abs(session("distortion-0.5").hr.k1) == 0.005
    assert abs(session("distortion-2").hr.k1) == 0.02
    tilted = session("tilt")
    assert np.hypot(tilted.hr.tilt_x, tilted.hr.tilt_y) == pytest.approx(15)
    assert tilted.lr.tilt_x - tilted.hr.tilt_x == pytest.approx(plain.lr.tilt_x - plain.hr.tilt_x)


@pytest.mark.parametrize(("name", "share"), [("occlusion", 0.3), ("glare", 0.2)])
def test_overlays_cover_their_share_of_the_card(name, share):
    x, y = np.meshgrid(np.linspace(-75, 75, 301), np.linspace(-50, 50, 201))
    for seed in SEEDS:
        shot = session(name, seed=seed)
        overlay = shot.hr.overlay or shot.lr.overlay
        assert covers(overlay, x, y).mean() == pytest.approx(share, abs=0.02)
        assert 0.02 < truth_of(shot).content_differs_fraction < 0.9


def test_a_small_object_lies_within_the_crop_and_is_tens_of_hr_pixels_across():
    for seed in SEEDS:
        shot = session("small-object", seed=seed)
        overlay = shot.hr.overlay or shot.lr.overlay
        assert 2 * min(overlay.half_length, overlay.half_width) / shot.hr_px_mm >= 36
        assert 2 * max(overlay.half_length, overlay.half_width) / shot.hr_px_mm <= 96
        assert 0 < truth_of(shot).content_differs_fraction < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", ["occlusion", "glare"])
def test_overlays_are_in_one_shot_where_the_truth_says(name):
    for seed in SEEDS:
        with_it = scene(name, seed=seed)
        if with_it.truth.session.hr.overlay is not None:
            break
    without = scene(seed=seed)
    np.testing.assert_array_equal(with_it.lr, without.lr)
    np.testing.assert_array_equal(with_it.reference, without.reference)
    changed_pixels = (np.abs(with_it.hr.astype(int) - without.hr) > 25).any(axis=2)
    # the crop is the central 57.6 % of the HR frame
    crop = changed_pixels[170:630, 255:945]
    assert crop.mean() == pytest.approx(with_it.truth.content_differs_fraction, abs=0.12)


def test_overexposure_clips():
    assert (scene("lr-exposure-x4", kind="text").lr[350:450, 550:650] == 255).mean() > 0.3


def test_off_centre_card_lies_a_fifth_of_the_frame_off():
    H = truth_of(session("off-centre")).H_hr_to_lr
    x, y, w = H @ np.array([599.5, 399.5, 1])
    assert abs(abs(x / w - 599.5) - 0.2 * 1200) < 30
    assert abs(abs(y / w - 399.5) - 0.2 * 800) < 30


@pytest.mark.slow
def test_desk_is_seen_around_the_card_only_then():
    plain, desk = scene(kind="text"), scene("desk-in-frame", kind="text")
    rim = np.ones((800, 1200), dtype=bool)
    rim[60:-60, 80:-80] = False
    assert desk.hr[rim].mean() < 0.7 * plain.hr[rim].mean()
    x, y, w = desk.truth.H_hr_to_lr @ np.array([599.5, 399.5, 1])
    assert abs(x / w - 599.5) < 40
    assert abs(y / w - 399.5) < 40


def test_a_finger_reaches_into_the_crop_of_both_shots_and_differs_in_none():
    for seed in SEEDS:
        shot = session("hand", seed=seed)
        finger = shot.hr.overlay
        assert shot.lr.overlay == finger
        crop = 0.576 * np.array(shot.size) * shot.hr_px_mm / 2
        x, y = np.meshgrid(np.linspace(-crop[0], crop[0], 200), np.linspace(-crop[1], crop[1], 200))
        assert 0.005 < covers(finger, x, y).mean() < 0.15
        assert truth_of(shot).content_differs_fraction == 0


def test_a_sleeve_lies_beside_the_card_as_far_as_its_rim():
    sleeve = session("sleeve").sleeve
    out, along = np.array([0.1, 0.8 * sleeve.rim_mm, sleeve.rim_mm + 0.1]), np.zeros(3)
    desk = np.full((3, 3), 0.2, np.float32)
    bright = dataclasses.replace(sleeve, phase=0.0)
    near, seam, beyond = through_sleeve(desk, bright, out, along)
    assert near == pytest.approx([0.24] * 3, abs=0.02)
    assert seam == pytest.approx(near + sleeve.shine, abs=0.02)
    np.testing.assert_array_equal(beyond, desk[2])


@pytest.mark.slow
def test_wrong_scene_shows_another_card():
    wrong, right = scene("wrong-scene"), scene()
    np.testing.assert_array_equal(wrong.hr, right.hr)
    assert (wrong.truth.session.same_scene, wrong.truth.content_differs_fraction) == (False, 1.0)
    card = (slice(360, 440), slice(540, 660))
    assert np.corrcoef(wrong.lr[card].ravel(), right.lr[card].ravel())[0, 1] < 0.5


def test_low_texture_is_nearly_blank():
    middle = scene("low-texture").hr[300:500, 450:750].astype(float)
    assert middle.std(axis=(0, 1)).max() < 5


def test_portrait_captures_stand_upright():
    upright = scene("portrait")
    assert upright.hr.shape == upright.lr.shape == (1200, 800, 3)
    assert upright.reference.shape == ((86 + 16) * 8, (56 + 16) * 8, 3)


@pytest.mark.parametrize("image_format", ["png", "jpg"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_stored_flag_turns_the_picture_upright(tmp_path, image_format, orientation):
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = (200, 40, 90)
    path = tmp_path / f"a.{image_format}"
    path.write_bytes(encode_capture(upright, image_format, orientation))
    assert read_header(path.read_bytes(), path.name).orientation == orientation
    read = read_image(path)
    assert read.shape == upright.shape
    assert np.abs(read[4:12, 4:20].astype(int) - (200, 40, 90)).max() < 6
    assert read[20:, 28:].max() < 6


def test_flags_differ_and_truth_is_of_the_upright_pictures():
    for seed in SEEDS:
        flagged = session("orientation-flags", seed=seed)
        assert flagged.hr.orientation != flagged.lr.orientation
        np.testing.assert_array_equal(truth_of(flagged).H_hr_to_lr, truth_of(session(seed=seed)).H_hr_to_lr)


@pytest.mark.slow
def test_chromatic_aberration_parts_red_and_blue(dots):
    session_ = dots.session(5, "chromatic-aberration", quiet=True)
    card = dots.draw(session_)
    recipe = Recipe(scene="n", group="n", generator="plain", capture_seed=5)
    shot = shoot(recipe, SimulateSettings(size="mini"), session=session_, artwork=card.artwork)
    radius = 4.5 * dots.sigma_mm / session_.hr_px_mm
    growth = []
    for place in dots.apply(session_.cameras[0].card_to_image, card.places_mm):
        found = [dots.find(dots.linear(shot.hr, channel), place, radius) for channel in (0, 2)]
        offset = place - (599.5, 399.5)
        if all(f is not None for f in found) and np.hypot(*offset) > 250:
            growth.append((found[0] - found[1]) @ offset / (offset @ offset))
    # captured → ideal is stretched by 1 + ca_r, so that the captured red dot lies further in by as much
    assert np.mean(growth) == pytest.approx(session_.hr.ca_b - session_.hr.ca_r, abs=1.5e-4)


def test_bow_moves_content_by_what_the_truth_says():
    shifts = [truth_of(session("bowed-card", seed=seed)).bow_shift_max_hr_px for seed in SEEDS]
    assert all(0 < shift < 1.5 for shift in shifts)
    assert truth_of(session()).bow_shift_max_hr_px == 0
