"""Plots of single pairs: the residual field, tones, and the additional fine detail of HR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.align import Alignment
from d2crealsr.imaging.spectrum import FREQUENCIES, spectra, tone_pairs
from d2crealsr.plots.style import BLUE, GREY, SEQUENTIAL, axes, log_axis
from d2crealsr.types import ResidualField

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.axes import Axes

    from d2crealsr.types import Array, Image

__all__ = ["joint_histogram", "residual_field", "spectrum_ratio"]

_KEY_LENGTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def residual_field(
    residuals: pd.DataFrame | ResidualField | Alignment,
    ax: Axes | None = None,
    *,
    scene: str | None = None,
    largest_hr_px: float | None = None,
) -> Axes:
    """Draw the displacement that remains in a pair: a heat map of its length, and enlarged arrows for its direction.

    Parameters
    ----------
    residuals : DataFrame, ResidualField or Alignment
        Rows as :func:`d2crealsr.read_residuals` returns them, or what :func:`d2crealsr.align_pair` found.
    ax : Axes, optional
        Where to draw; by default a new figure.
    scene : str, optional
        The scene to draw. Needed if the table contains several.
    largest_hr_px : float, optional
        Upper end of the colour scale, with which several plots can be compared. By default the largest residual shown.

    Returns
    -------
    Axes
        Positions in the LR capture, in LR px, y down as in the image. Blocks that could not be measured are
        crossed out; arrows fade with the weight of their block.
    """
    ax = axes(ax)
    points, shifts, weights = _field(residuals, scene)
    known = (weights > 0) & np.isfinite(shifts).all(axis=1)
    length = np.where(known, np.linalg.norm(np.nan_to_num(shifts), axis=1), np.nan)
    top = largest_hr_px or (float(np.nanmax(length)) if known.any() else 1.0) or 1.0
    x, y = np.unique(points[:, 0]), np.unique(points[:, 1])
    grid = np.full((len(y), len(x)), np.nan)
    grid[np.searchsorted(y, points[:, 1]), np.searchsorted(x, points[:, 0])] = length
    heat = ax.pcolormesh(_edges(x), _edges(y), grid, cmap=SEQUENTIAL, vmin=0, vmax=top)
    ax.figure.colorbar(heat, ax=ax, label="residual [HR px]")
    ax.plot(*points[~known].T, "x", color=GREY, label="not measured")
    if known.any():
        _arrows(ax, points[known], shifts[known], weights[known], spacing=_spacing(x, y), light_from=0.6 * top)
    ax.set(title=scene or "Residual field", xlabel="x in the LR capture [LR px]", ylabel="y [LR px]", aspect="equal")
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    return ax


def _field(residuals: pd.DataFrame | ResidualField | Alignment, scene: str | None) -> tuple[Array, Array, Array]:
    """Block centres, shifts and weights."""
    if isinstance(residuals, Alignment):
        residuals = residuals.residuals
    if isinstance(residuals, ResidualField):
        return residuals.points_lr, residuals.shifts_hr_px, residuals.weights
    rows = residuals if scene is None else residuals[residuals["scene"] == scene]
    names = list(dict.fromkeys(rows["scene"]))
    if len(names) != 1:
        got = f"{len(names)} scenes" if names else "no rows"
        raise ValueError(f"scene: got {got} for {scene!r}, expected the rows of one; give scene= one of the table's")
    table = rows[["lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]].to_numpy(dtype=float)
    return table[:, :2], table[:, 2:4], table[:, 4]


def _arrows(ax: Axes, points: Array, shifts: Array, weights: Array, *, spacing: float, light_from: float) -> None:
    """Draw arrows, the longest as long as the distance between blocks, and a key that states its length."""
    length = np.linalg.norm(shifts, axis=1)
    longest = max(float(length.max()), 1e-9)
    key = max((value for value in _KEY_LENGTHS if value <= longest), default=_KEY_LENGTHS[0])
    colours = np.ones((len(points), 4))
    colours[length > light_from, :3] = 0  # black where the map is light, white where it is dark
    colours[:, 3] = 0.35 + 0.65 * weights
    u, v = shifts.T / longest * spacing
    drawn = ax.quiver(*points.T, u, v, angles="xy", scale_units="xy", scale=1, width=0.006, color=colours)
    drawn.set(edgecolor=GREY, linewidth=0.3, clip_on=False, in_layout=False)
    ax.quiverkey(drawn, 0.92, 1.04, key / longest * spacing, f"{key:g} HR px", labelpos="W", color=BLUE)


def _spacing(x: Array, y: Array) -> float:
    steps = [float(np.diff(axis).min()) for axis in (x, y) if len(axis) > 1]
    return min(steps, default=1.0)


def _edges(centres: Array) -> Array:
    """Edges of the cells around equally spaced centres."""
    half = np.diff(centres).min() / 2 if len(centres) > 1 else 0.5
    return np.append(centres - half, centres[-1] + half)


def joint_histogram(hr: Image, lr: Image, ax: Axes | None = None) -> Axes:
    """Draw how often each tone of HR coincides with each tone of LR. Equal brightness lies on the diagonal.

    Parameters
    ----------
    hr : (s·h, s·w, 3) ndarray
        Published HR.
    lr : (h, w, 3) ndarray
        Published LR.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Tones are mean encoded luma of squares of 4 × 4 LR px, in percent of the full range. Counts are logarithmic.
    """
    from matplotlib.colors import LogNorm

    ax = axes(ax)
    tones_hr, tones_lr = tone_pairs(hr, lr)
    counts, edges, _ = np.histogram2d(100 * tones_lr, 100 * tones_hr, bins=64, range=[[0, 100], [0, 100]])
    shown = np.ma.masked_equal(counts.T, 0)
    norm = LogNorm(1, max(2, counts.max()))
    heat = ax.pcolormesh(edges, edges, shown, cmap=SEQUENTIAL, norm=norm, rasterized=True)
    ax.figure.colorbar(heat, ax=ax, label="squares of 4 × 4 LR px")
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle="--", label="equal")
    ax.set(title="Tones of HR and LR", xlabel="LR luma [% of range]", ylabel="HR luma [% of range]", aspect="equal")
    ax.legend(loc="upper left")
    return ax


def spectrum_ratio(pairs: Iterable[tuple[Image, Image]], ax: Axes | None = None) -> Axes:
    """Draw the amplitude of HR divided by that of LR by spatial frequency: a thin line per pair, a thick median.

    Parameters
    ----------
    pairs : iterable of (hr, lr)
        Published images; HR is larger by a whole factor. They are used one by one, so a generator can read them.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        x ends at .5 cycles per LR px, the finest stripes that LR can represent.
    """
    ax = axes(ax)
    ratios = []
    for hr, lr in pairs:
        found = spectra(hr, lr)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios.append(found.hr / found.lr)
        ax.plot(FREQUENCIES, ratios[-1], color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
    if ratios:
        label = f"median of {len(ratios)} pairs" if len(ratios) > 1 else "pair"
        ax.plot(FREQUENCIES, np.median(ratios, axis=0), color=BLUE, linewidth=2.5, label=label)
    ax.axhline(1, color=GREY, linewidth=0.8, linestyle="--", label="as much as LR")
    ax.set(title="Detail of HR over LR", xlabel="fineness [cycles per LR px]", ylabel="amplitude ratio HR / LR")
    ax.set(yscale="log", xlim=(0, 0.5))
    log_axis(ax.yaxis)
    ax.legend(loc="upper left")
    return ax
