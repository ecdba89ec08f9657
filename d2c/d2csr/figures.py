"""The figures of the paper for an image: the predictions side by side, and their weight maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2c.inference.figures import PAPER, heat, reduced, side_by_side
from d2c.metrics import to_uint8, y_basicsr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2c.inference.figures import Picture
    from d2c.networks.base.upscaler import Upscaled

__all__ = ["branches_figure", "images", "oracle", "weights_figure"]


def images(made: Upscaled, hr: NDArray[Any] | None = None) -> dict[str, NDArray[Any]]:
    """The branches and the fused image by name. With HR also their mean and the oracle."""
    predictions = made.more["predictions"]
    branches = {f"branch_{k}": branch for k, branch in enumerate(predictions, start=1)}
    if hr is None:
        return {**branches, "fused": made.sr}
    return {**branches, "mean": predictions.mean(axis=0), "fused": made.sr, "oracle": oracle(predictions, hr)}


def oracle(predictions: NDArray[Any], hr: NDArray[Any]) -> NDArray[Any]:
    """The best prediction at each pixel: of ``(P, H, W, 3)``, the one whose 8-bit Y is nearest to that of HR.

    No network can know it. It shows how much a perfect convergence net could gain from the divergence.
    """
    errors = np.stack([np.abs(y_basicsr(p) - y_basicsr(hr)) for p in predictions])  # (P, H, W)
    best = errors.argmin(axis=0)
    return np.asarray(np.take_along_axis(predictions, best[None, :, :, None], axis=0)[0])


def branches_figure(made: Upscaled) -> Picture:
    """Figures 7 and 12: the predictions side by side, two in a row, each reduced if it is too large."""
    panels = [(f"branch {k}", reduced(to_uint8(p))) for k, p in enumerate(made.more["predictions"], start=1)]
    return side_by_side(panels, in_a_row=2 if len(panels) <= 4 else 4)


def weights_figure(made: Upscaled) -> Picture:
    """Figure 4: the weight map of each prediction, red for high and blue for low weights, on one labelled scale."""
    weights = made.more["weights"][..., 0]  # (P, H, W)
    low, high = (float(v) for v in np.quantile(weights, (0.01, 0.99)))
    if high - low < 1e-6:  # all equal: show the middle of the scale
        low, high = low - 0.5, high + 0.5
    panels = [
        (f"weight {k}: {low:.3f} blue to {high:.3f} red", reduced(heat((w - low) / (high - low), PAPER)))
        for k, w in enumerate(weights, start=1)
    ]
    return side_by_side(panels, in_a_row=2 if len(panels) <= 4 else 4)
