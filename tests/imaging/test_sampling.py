"""Reading images between their pixels, against SciPy's spline and against waves."""

import numpy as np
import pytest
from scipy import ndimage

from d2crealsr.imaging.sampling import Kernel, Sampled, at_spline, spline_coefficients


def positions(width: int, height: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, width - 1, (4, count)), rng.uniform(0, height - 1, (4, count))
    return x.astype(np.float32), y.astype(np.float32)


def test_the_spline_is_scipys_cubic_spline() -> None:
    image = np.random.default_rng(1).random((30, 40, 3), dtype=np.float32)
    x, y = positions(40, 30, 50)
    found = at_spline(spline_coefficients(image), x, y)
    for channel in range(3):
        expected = ndimage.map_coordinates(image[..., channel], [y, x], order=3, mode="mirror")
        np.testing.assert_allclose(found[..., channel], expected, atol=1e-4)


def test_the_spline_passes_through_the_pixels() -> None:
    image = np.random.default_rng(1).random((20, 30), dtype=np.float32)
    x, y = np.meshgrid(np.arange(30, dtype=np.float32), np.arange(20, dtype=np.float32))
    np.testing.assert_allclose(at_spline(spline_coefficients(image), x, y), image, atol=1e-5)


@pytest.mark.parametrize(("kernel", "off_px"), [("spline", 0.005), ("linear", 0.1)])
def test_a_wave_of_five_pixels_stays_in_place_by_a_spline_only(kernel: Kernel, off_px: float) -> None:
    period, fraction = 5.0, 0.25
    x = np.arange(100)
    image = np.tile(np.cos(2 * np.pi * x / period), (8, 1)).astype(np.float32)
    p = np.stack(np.meshgrid(x[20:80] + fraction, np.full(1, 4.0)), axis=-1)
    seen = Sampled.of(image, 1, kernel).at(p)[0]
    phase = np.angle(np.sum(seen * np.exp(-2j * np.pi * x[20:80] / period)))
    off = abs(phase * period / (2 * np.pi) - fraction)
    assert off < off_px
    assert kernel == "spline" or off > 0.02


@pytest.mark.parametrize("kernel", ["linear", "spline"])
def test_derivatives_are_per_pixel_of_the_full_image(kernel: Kernel) -> None:
    """A paraboloid on a grid twice as coarse."""
    x, y = np.meshgrid(np.arange(40.0), np.arange(30.0))
    image = (0.01 * x**2 - 0.02 * y**2 + 0.1 * x).astype(np.float32)
    grid = np.array([[[12.0, 9.0], [20.0, 15.0]]])
    _, dx, dy, laplacian = Sampled.of(image, 2, kernel).with_derivatives(2 * grid + 0.5)
    np.testing.assert_allclose(dx, (0.02 * grid[..., 0] + 0.1) / 2, atol=1e-4)
    np.testing.assert_allclose(dy, -0.04 * grid[..., 1] / 2, atol=1e-4)
    np.testing.assert_allclose(laplacian, -0.02 / 4, atol=1e-4)
