"""The truth is right to 0.02 HR px: dots at known places are found where it says, in both captures."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.simulate import Recipe, SimulateSettings, shoot
from d2crealsr.simulate.desk import lay_desk
from d2crealsr.simulate.printing import print_card
from d2crealsr.simulate.render import Grid, Tabletop, light_on, sampling_for
from d2crealsr.simulate.truth import default_crop, reference_grid, truth_of

CARD_PX_PER_HR_PX = 1.5
TOLERANCE_HR_PX = 0.02


def undistorted(points, width, height, k1):
    """Captured to ideal, as the design defines k1: r = 1 at half the diagonal."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    r2 = ((points - centre) ** 2).sum(axis=1) / ((width**2 + height**2) / 4)
    return centre + (points - centre) * (1 + k1 * r2)[:, None]


@pytest.fixture(scope="module", params=["", "distortion-2", "tilt", "portrait", "off-centre"])
def seen(request, dots):
    """Light on both sensors and on the reference's grid, before noise and 8 bits, and the truth about it."""
    session = dots.session(11, *filter(None, [request.param]))
    card = dots.draw(session)
    rng = np.random.default_rng(0)
    printed = print_card(card.artwork, session.card_mm, screen="", grain=False, rng=rng)
    table = Tabletop(printed, lay_desk((1100, 730), session.size, rng))
    truth = truth_of(session)
    width, height = session.size
    whole = Grid(left=-0.5, top=-0.5, pitch=1, width=width, height=height)
    hr_camera, lr_camera = session.cameras
    hr = light_on(whole, table, hr_camera, session.hr.psf_sigma, None, sampling_for(CARD_PX_PER_HR_PX))
    in_lr = dots.apply(lr_camera.card_to_image, card.places_mm)
    (x0, y0), (x1, y1) = np.floor(in_lr.min(axis=0)).astype(int) - 8, np.ceil(in_lr.max(axis=0)).astype(int) + 8
    part = Grid(left=x0 - 0.5, top=y0 - 0.5, pitch=1, width=x1 - x0, height=y1 - y0)
    lr = np.zeros((height, width, 3), np.float32)
    fine = sampling_for(CARD_PX_PER_HR_PX * session.zoom)
    lr[y0:y1, x0:x1] = light_on(part, table, lr_camera, session.lr.psf_sigma, None, fine)
    grid = reference_grid(default_crop(session, truth.H_hr_to_lr), session.scale)
    reference = light_on(grid, table, lr_camera, 1.0, None, sampling_for(CARD_PX_PER_HR_PX))
    return session, card, truth, hr, lr, reference


def test_hr_and_lr_show_the_dots_where_the_truth_says(seen, dots):
    session, card, truth, hr, lr, _ = seen
    width, height = session.size
    radius = 4.5 * dots.sigma_mm / session.hr_px_mm
    errors = []
    for guess in _first_guesses(session, card, width, height):
        in_hr = dots.find(hr[..., 1], guess, radius)
        if in_hr is None:
            continue
        ideal = undistorted(in_hr[None], width, height, session.hr.k1)
        expected = dots.apply(truth.H_hr_to_lr, ideal)[0]
        in_lr = dots.find(lr[..., 1], expected, radius / session.zoom + 1)
        errors.append(session.scale * (in_lr - expected))
    errors = np.array(errors)
    assert len(errors) > 40
    assert np.abs(errors.mean(axis=0)).max() < 0.005
    assert np.sqrt((errors**2).sum(axis=1).mean()) < TOLERANCE_HR_PX


def _first_guesses(session, card, width, height):
    """Roughly where dots are in HR; refined by :func:`find_dot`, distortion ignored but for its first order."""
    H = session.cameras[0].card_to_image
    mapped = np.column_stack([card.places_mm, np.ones(len(card.places_mm))]) @ H.T
    ideal = mapped[:, :2] / mapped[:, 2:]
    return ideal - (undistorted(ideal, width, height, session.hr.k1) - ideal)


def test_card_positions_are_where_the_camera_model_says(seen, dots):
    """Half a card pixel of shift would cancel between HR and LR; places in mm do not forgive it."""
    session, card, _, hr, _, _ = seen
    width, height = session.size
    mapped = dots.apply(session.cameras[0].card_to_image, card.places_mm)
    errors = []
    for guess, ideal in zip(_first_guesses(session, card, width, height), mapped, strict=True):
        found = dots.find(hr[..., 1], guess, 4.5 * dots.sigma_mm / session.hr_px_mm)
        if found is not None:
            errors.append(undistorted(found[None], width, height, session.hr.k1)[0] - ideal)
    errors = np.array(errors)
    assert np.abs(errors.mean(axis=0)).max() < 0.01  # a tilted dot's centroid is not quite its centre's image
    assert np.sqrt((errors**2).sum(axis=1).mean()) < TOLERANCE_HR_PX


def test_reference_grid_is_the_published_one(seen, dots):
    """p_lr = (x0 + (u + .5)/s − .5, …) with the origin that truth.csv gives."""
    session, card, truth, _, _, reference = seen
    in_lr = dots.apply(session.cameras[1].card_to_image, card.places_mm)
    in_reference = (in_lr - np.array(truth.reference_origin) + 0.5) * session.scale - 0.5
    radius = 4.5 * dots.sigma_mm / session.hr_px_mm
    errors = [
        found - place for place in in_reference if (found := dots.find(reference[..., 1], place, radius)) is not None
    ]
    assert len(errors) > 15
    assert np.abs(np.mean(errors, axis=0)).max() < 0.01
    assert np.sqrt((np.array(errors) ** 2).sum(axis=1).mean()) < TOLERANCE_HR_PX


def test_finished_pictures_agree_with_the_truth(dots):
    """Through noise, colour filter, demosaic and 8 bits: a homography fitted to all dots, over the default crop."""
    differences = []
    for seed in (21, 22):
        session = dots.session(seed)
        card = dots.draw(session)
        recipe = Recipe(scene="dots", group="dots", generator="plain", capture_seed=seed)
        scene = shoot(recipe, SimulateSettings(size="mini"), session=session, artwork=card.artwork)
        hr, lr, reference = (dots.linear(image) for image in (scene.hr, scene.lr, scene.reference))
        radius = 4.5 * dots.sigma_mm / session.hr_px_mm
        H, origin = scene.truth.H_hr_to_lr, np.array(scene.truth.reference_origin)
        for guess in dots.apply(session.cameras[0].card_to_image, card.places_mm):
            in_hr = dots.find(hr, guess, radius)
            if in_hr is None:
                continue
            expected = dots.apply(H, in_hr[None])[0]
            in_lr = dots.find(lr, expected, radius / session.zoom + 1)
            place = (expected - origin + 0.5) * session.scale - 0.5
            in_reference = dots.find(reference, place, radius)
            to_reference = np.full(2, np.nan) if in_reference is None else in_reference - place
            differences.append([*(session.scale * (in_lr - expected)), *to_reference])
    lr_x, lr_y, ref_x, ref_y = np.nanmean(differences, axis=0)
    assert len(differences) > 120
    assert max(abs(lr_x), abs(lr_y)) < TOLERANCE_HR_PX
    assert max(abs(ref_x), abs(ref_y)) < TOLERANCE_HR_PX
