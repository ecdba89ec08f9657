"""Metrics against scikit-image and against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from d2c.inference.bicubic import bicubic
from d2c.metrics import psnr_released, psnr_y, quality, ssim_released, ssim_y, to_uint8


@pytest.fixture(scope="module")
def images():
    hr = astronaut()[100:164, 200:280]
    noise = np.random.default_rng(0).normal(0, 8, hr.shape)
    return np.clip(np.rint(hr + noise), 0, 255).astype(np.uint8), hr


def test_psnr_y_against_scikit_image(images):
    sr, hr = images
    a, b = (rgb2ycbcr(x)[4:-4, 4:-4, 0] for x in images)
    assert psnr_y(sr, hr, 4) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)


def test_ssim_y_against_scikit_image(images):
    sr, hr = images
    a, b = (rgb2ycbcr(x)[4:-4, 4:-4, 0] for x in images)
    expected = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim_y(sr, hr, 4) == pytest.approx(expected, abs=1e-12)


def test_golden_values(images):
    """Literal BT.601 on one colour: Y of white is 235, of black 16, of (10, 200, 30) 16 + 26,715.99/255."""
    flat = np.full((16, 16, 3), (10, 200, 30), np.uint8)
    black = np.zeros_like(flat)
    y = (65.481 * 10 + 128.553 * 200 + 24.966 * 30) / 255
    assert psnr_y(flat, black, 2) == pytest.approx(20 * math.log10(255 / y))
    assert psnr_y(np.full_like(flat, 255), black, 0) == pytest.approx(20 * math.log10(255 / 219))
    assert quality(*images, 4, "basicsr-y") == pytest.approx(GOLDEN["basicsr-y"], abs=1e-4)
    assert quality(*images, 4, "d2c-released") == pytest.approx(GOLDEN["d2c-released"], abs=1e-4)


GOLDEN = {"basicsr-y": (35.042397, 0.922794), "d2c-released": (34.999406, 0.935586)}


def test_equal_images(images):
    assert psnr_y(images[1], images[1], 4) == math.inf
    assert ssim_y(images[1], images[1], 4) == pytest.approx(1)
    assert ssim_released(images[1], images[1]) == pytest.approx(1)


def test_depths_and_floats_mean_the_same(images):
    sr, hr = images
    wide, unit = (sr.astype(np.uint16) * 257, hr.astype(np.uint16) * 257), (sr / 255, hr.astype(np.float32) / 255)
    for other in (wide, unit):
        assert psnr_y(*other, 4) == psnr_y(sr, hr, 4)
        assert ssim_y(*other, 4) == ssim_y(sr, hr, 4)
    assert to_uint8(np.array([-0.3, 1.7, 0.5])).tolist() == [0, 255, 128]
    with pytest.raises(TypeError, match="got int64"):
        to_uint8(np.zeros((2, 2, 3), np.int64))


def test_border_is_cut(images):
    sr, hr = images[0].copy(), images[1]
    before = psnr_y(sr, hr, 3), psnr_released(sr, hr, 3)
    sr[:3] = 0
    sr[:, -3:] = 255
    assert (psnr_y(sr, hr, 3), psnr_released(sr, hr, 3)) == before
    assert psnr_y(sr, hr, 2) < before[0] - 3


def literal_released(sr, hr, border):
    """The released formulas on BGR floats, windows summed one by one."""
    weights = (65.738, 129.057, 25.064)
    bgr = [x[..., ::-1].astype(np.float64) / 255 for x in (sr, hr)]
    a, b = (sum(w * np.clip(x, 0, 1)[..., c] / 256 for c, w in enumerate(weights)) for x in bgr)
    cut = (a - b)[border:-border, border:-border]
    psnr = -10 * math.log10((cut**2).mean())
    gauss = np.array([[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5) for j in range(11)] for i in range(11)])
    gauss /= gauss.sum()
    total = 0.0
    padded = [np.pad(x, 5) for x in (a, b)]
    for row in range(a.shape[0]):
        for column in range(a.shape[1]):
            p, q = (x[row : row + 11, column : column + 11] for x in padded)
            mp, mq = (gauss * p).sum(), (gauss * q).sum()
            vp, vq = (gauss * p * p).sum() - mp**2, (gauss * q * q).sum() - mq**2
            cov = (gauss * p * q).sum() - mp * mq
            total += (2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))
    return psnr, total / a.size


def test_released_protocol_against_its_literal_formulas(images):
    sr, hr = (x[:24, :30] for x in images)
    psnr, ssim = literal_released(sr, hr, 4)
    assert psnr_released(sr, hr, 4) == pytest.approx(psnr, abs=1e-9)
    assert ssim_released(sr, hr) == pytest.approx(ssim, abs=1e-9)


def test_released_protocol_does_not_round_and_swaps_colours():
    hr = np.zeros((16, 16, 3))
    sr = hr + 0.001  # under half a step of 8 bit
    assert psnr_y(sr, hr, 4) == math.inf
    assert psnr_released(sr, hr, 4) == pytest.approx(-20 * math.log10(0.001 * (65.738 + 129.057 + 25.064) / 256))
    red, blue = hr.copy(), hr.copy()
    red[..., 0] = blue[..., 2] = 0.5
    assert psnr_released(red, hr, 0) == pytest.approx(-20 * math.log10(0.5 * 25.064 / 256))
    assert psnr_released(blue, hr, 0) == pytest.approx(-20 * math.log10(0.5 * 65.738 / 256))
    assert psnr_released(hr + 3, hr + 1, 0) == math.inf


def test_wrong_images_are_named():
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=r"got shapes \(20, 20, 3\) and \(20, 19, 3\)"):
        psnr_y(image, image[:, 1:], 0)
    with pytest.raises(ValueError, match="border: got 10"):
        psnr_y(image, image, 10)
    with pytest.raises(ValueError, match="10x10 pixels are left"):
        ssim_y(image, image, 5)
    with pytest.raises(ValueError, match="expected one of basicsr-y, d2c-released"):
        quality(image, image, 1, "y")


def keys(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def literal_bicubic_row(row, size):
    """Keys a = −0.5 by its definition: support stretched when reducing, weights normalised inside the image."""
    out, factor = [], len(row) / size
    stretch = max(factor, 1.0)
    for i in range(size):
        centre = (i + 0.5) * factor - 0.5
        weights = np.array([keys((k - centre) / stretch) for k in range(len(row))])
        out.append((weights * row).sum() / weights.sum())
    return np.array(out)


@pytest.mark.parametrize("size", [40, 35, 5, 3])
def test_bicubic_is_keys_with_antialiasing(size):
    image = np.random.default_rng(1).random((10, 10))
    expected = np.array([literal_bicubic_row(row, size) for row in image])
    expected = np.array([literal_bicubic_row(column, size) for column in expected.T]).T
    np.testing.assert_allclose(bicubic(image, size, size), expected, atol=2e-6)


def test_bicubic_keeps_types_and_clips():
    step = np.zeros((8, 8, 3), np.uint16)
    step[:, 4:] = 65535
    wide = bicubic(step, 32, 16)
    assert wide.dtype == np.uint16
    assert wide.shape == (16, 32, 3)
    assert (wide.min(), wide.max()) == (0, 65535)
    assert bicubic(step.astype(np.uint8), 16, 32).dtype == np.uint8


@pytest.mark.parametrize("measure", [psnr_y, psnr_released])
def test_an_image_that_is_not_a_number_somewhere_has_no_psnr(measure):
    image = np.full((9, 9, 3), 0.5, np.float32)
    image[4, 4, 1] = np.nan
    assert np.isnan(measure(image, np.full_like(image, 0.5), 1))
