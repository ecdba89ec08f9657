"""The samples of SRFlow side by side, and how far they are from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2c.inference.figures import CIVIDIS, heat, reduced, side_by_side
from d2c.metrics import to_uint8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2c.inference.figures import Picture
    from d2c.networks.base.upscaler import Upscaled

__all__ = ["samples_figure", "spread"]


def spread(made: Upscaled) -> NDArray[Any]:
    """The standard deviation of the samples at each pixel ``(H, W)``, the root of its mean square over the colours."""
    return np.asarray(np.sqrt(made.more["samples"].var(axis=0).mean(axis=-1)))


def samples_figure(made: Upscaled) -> Picture:
    """The image that is not drawn, the samples, and their spread with the range of its colours in grey levels."""
    apart = spread(made)
    high = max(float(np.quantile(apart, 0.99)), 1 / 255)
    panels = [("not drawn", reduced(to_uint8(made.sr)))]
    panels += [
        (f"sample {number}", reduced(to_uint8(sample))) for number, sample in enumerate(made.more["samples"], start=1)
    ]
    panels.append((f"spread: 0 blue to {255 * high:.1f} of 255 yellow", reduced(heat(apart / high, CIVIDIS))))
    return side_by_side(panels, in_a_row=len(panels) if len(panels) <= 6 else 4)
