"""The bound falls with light and rises with blur, and its derivatives are those of a homography."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.accuracy import cramer_rao
from benchmarks.scenes import captures_of
from d2crealsr.imaging import geometry

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene


def test_moves_are_the_derivatives_of_a_homography() -> None:
    points = np.array([[0.3, -0.2], [-0.6, 0.4]])
    step = 1e-6
    for index in range(8):
        D = np.eye(3).ravel()
        D[index] += step
        moved = (geometry.project(D.reshape(3, 3), points) - points) / step
        assert cramer_rao._moves(*points.T)[..., index] == pytest.approx(moved, abs=1e-5)


def test_light_and_blur(mini: BenchScene, cache: Path) -> None:
    hr, _ = captures_of(mini, cache)
    session = mini.truth.session

    def bound(**lr: float) -> float:
        changed = dataclasses.replace(session, lr=dataclasses.replace(session.lr, **lr))
        return cramer_rao.bound(hr, changed, mini.true_mapping, mini.true_crop)

    dim, bright = bound(exposure=0.2), bound(exposure=0.4)
    # twice the electrons: √2 where photons are the noise, a little more where read noise counts
    assert 1.41 < dim / bright < 1.6
    assert bound(psf_sigma=2.0) > 1.5 * bound(psf_sigma=0.8)
