"""What registration says of its own errors, by cases that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from d2crealsr.imaging import geometry
from d2crealsr.imaging.degrade import LinearReduced
from d2crealsr.imaging.placement import Placement
from d2crealsr.registration.chromatic import ChromaticAberration
from d2crealsr.registration.locate import Located, locate, registration_statistics
from d2crealsr.registration.refine import Refinement
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Crop, ResidualField, Size, Stage

H = geometry.inverse(geometry.scaling(8))
MAPPING = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=Size(800, 640), lr_size=Size(100, 80))
PLACEMENT = Placement(MAPPING, Crop(30, 24, 40, 32), 8)
NO_BLOCKS = ResidualField(
    points_lr=np.empty((0, 2)), shifts_hr_px=np.empty((0, 2)), weights=np.empty(0), zncc=np.empty(0)
)
PLANE = np.zeros((160, 200), np.float32)
SIFT = Stage(iteration=1, stage="sift", H_hr_to_lr=H, sigma_blur_hr_px=8.0)
FAILED = Stage(iteration=2, stage="direct", H_hr_to_lr=H, stopped="failed")
CERTAIN = Refinement(mapping=MAPPING, sigma_blur_hr_px=8.0, phase=None, converged=True, covariance=np.zeros((9, 9)))


def evidence_of(*stages: Stage, pattern_hr_px: float = 0.0, **found: Any) -> dict[str, float]:
    source = LinearReduced(PLANE[..., None].repeat(3, axis=2), PLANE, 4)
    return registration_statistics(
        Located(source, MAPPING, stages, **found), PLACEMENT, NO_BLOCKS, pattern_hr_px, AlignSettings()
    )


def test_no_error_is_predicted_without_refinement_and_none_is_known_where_it_failed() -> None:
    assert "sigma_hr_px" not in evidence_of(SIFT)
    assert np.isnan(evidence_of(SIFT, FAILED)["sigma_hr_px"])


def test_what_the_fit_leaves_is_added_to_what_noise_does() -> None:
    assert evidence_of(SIFT, refinement=CERTAIN, pattern_hr_px=0.3)["sigma_hr_px"] == pytest.approx(0.3)


def test_fringes_count_while_they_are_not_corrected() -> None:
    fringes = ChromaticAberration(1e-3, 1e-3, 1e-6, 1e-6)
    left = evidence_of(SIFT, refinement=CERTAIN, aberration=fringes)
    corrected = evidence_of(SIFT, refinement=CERTAIN, aberration=fringes, ca_k=(1e-3, 1e-3))
    corner = np.hypot(40, 32) / 2 * 8
    assert left["ca_r_hr_px"] == corrected["ca_r_hr_px"] == pytest.approx(1e-3 * corner)
    # Luma is pulled by the weights of red and blue, .2848 together, at the root mean square distance from the centre.
    assert left["sigma_hr_px"] == pytest.approx(0.2848e-3 * corner * np.sqrt(7 / 18), rel=0.1)
    assert corrected["sigma_hr_px"] == 0


def test_sift_alone_stays_as_it_is() -> None:
    source = LinearReduced(PLANE[..., None].repeat(3, axis=2), PLANE, 4)
    sift = Located(source, MAPPING, (SIFT,))
    found = locate(sift, np.zeros((80, 100, 3), np.uint8), "srgb", AlignSettings(refine="none", scale=16))
    assert found is sift
