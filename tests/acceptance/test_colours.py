"""Colour fringes of the HR lens: with ``correct_ca`` red and blue lie where the card has them, told by pixels alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.truth.shift import measure_shift

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene
    from d2crealsr.truth.mapping_error import MappingError
    from d2crealsr.types import Image

KIND, SEED = "text", 2
"""Black letters: the one kind of card whose fringes of a fifth of a pixel are certain in a capture this small."""


def linear(image: Image, channel: int) -> np.ndarray:
    """One channel of an sRGB image in linear light."""
    encoded = image[..., channel].astype(np.float64) / 255
    curve = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.asarray(curve, np.float32)


def displaced(pair: Alignment, scene: Scene) -> tuple[float, float, float]:
    """Root mean square displacement of red, green and blue from the true picture over the published HR, in HR px."""
    x, y = np.array(pair.crop[:2]) - np.array(scene.truth.reference_origin)
    height, width = pair.hr.shape[:2]
    grid = np.stack(np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 7)), axis=-1).reshape(-1, 2)
    lengths = []
    for channel in range(3):
        planes = linear(pair.hr, channel), linear(scene.reference, channel)
        shift = measure_shift(*planes, (float(8 * x), float(8 * y))).field.at(grid)
        lengths.append(float(np.sqrt(np.mean(np.sum(shift**2, axis=1)))))
    red, green, blue = lengths
    return red, green, blue


@pytest.fixture(scope="module")
def fringed(mini_scene: Callable[..., Scene]) -> Scene:
    return mini_scene(KIND, SEED, "chromatic-aberration")


@pytest.mark.slow
def test_colours_lie_where_the_card_has_them(
    fringed: Scene, error_of: Callable[[Alignment, Scene], MappingError]
) -> None:
    before, after = (align_pair(fringed.hr, fringed.lr, correct_ca=correct) for correct in (False, True))
    assert isinstance(before, Alignment)
    assert isinstance(after, Alignment)
    assert before.accepted
    assert after.accepted
    assert before.ca_k == (0.0, 0.0)
    # The simulator's factor leads from the captured to the ideal position, the manifest's the other way.
    np.testing.assert_allclose(after.ca_k, (-fringed.truth.session.hr.ca_r, -fringed.truth.session.hr.ca_b), rtol=0.2)
    red_before, _, blue_before = displaced(before, fringed)
    red, green, blue = displaced(after, fringed)
    assert red < 0.75 * red_before
    assert blue < 0.5 * blue_before
    assert max(red, blue) < green + 0.03
    assert error_of(after, fringed).mean < error_of(before, fringed).mean + 0.01


def test_a_lens_without_fringes_is_left_as_it_is(mini_scene: Callable[..., Scene]) -> None:
    scene = mini_scene(KIND, SEED)
    plain, corrected = (align_pair(scene.hr, scene.lr, correct_ca=correct) for correct in (False, True))
    assert isinstance(plain, Alignment)
    assert isinstance(corrected, Alignment)
    assert corrected.ca_k == (0.0, 0.0)
    np.testing.assert_array_equal(corrected.hr, plain.hr)
