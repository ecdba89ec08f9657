"""Where a published pair lies in its captures."""

import numpy as np
import pytest

from d2crealsr.imaging import geometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.types import Crop, Size

H = np.array([[0.124, 0.003, 14.2], [-0.002, 0.126, 11.7], [1e-6, -2e-6, 1]])
MAPPING = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=Size(400, 300), lr_size=Size(100, 80), k1_hr=0.01, k1_lr=-0.02)
PLACEMENT = Placement(MAPPING, Crop(20, 16, 30, 20), 8)


def test_published_pixels_lie_in_hr_where_both_mappings_lead() -> None:
    """Published HR → LR capture → HR capture, for all pixels."""
    published = geometry.pixel_centres(PLACEMENT.published_size)
    p_lr = PLACEMENT.published_mapping.hr_to_lr(published)
    assert p_lr[0, 0] == pytest.approx([20 + 0.5 / 8 - 0.5, 16 + 0.5 / 8 - 0.5])
    np.testing.assert_allclose(MAPPING.lr_to_hr(p_lr), PLACEMENT.in_hr(published))


def test_rows_of_a_placement_are_part_of_it() -> None:
    part = PLACEMENT.rows(7, 4)
    assert part.published_size == Size(240, 32)
    whole = PLACEMENT.in_hr(geometry.pixel_centres(PLACEMENT.published_size))
    np.testing.assert_allclose(part.in_hr(geometry.pixel_centres(part.published_size)), whole[56 : 56 + 32])


@pytest.mark.parametrize("magnified", [6.9, 8.0, 9.4])
def test_how_much_hr_shrinks_is_the_effective_over_the_nominal_scale(magnified: float) -> None:
    H_hr_to_lr = geometry.compose(geometry.translation(9, 7), geometry.inverse(geometry.scaling(magnified)))
    mapping = geometry.CaptureMapping(H_hr_to_lr=H_hr_to_lr, hr_size=Size(400, 300), lr_size=Size(100, 80))
    assert Placement(mapping, Crop(12, 10, 20, 16), 8).shrink == pytest.approx(magnified / 8)
