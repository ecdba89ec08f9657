"""Plots of a whole dataset, from the tables of a pairs folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.plots.style import BLUE, GREY, ORANGE, STATUS, axes, log_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = [
    "inliers",
    "predicted_and_measured",
    "residual_by_stage",
    "residual_distribution",
    "scale_and_rotation",
    "sharpness",
]

_STAGES = ["rough", "sift", "direct"]


def residual_distribution(manifest: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of accepted pairs whose median or 95th-percentile residual is below a value.

    Parameters
    ----------
    manifest : DataFrame
        As :func:`d2crealsr.read_manifest` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        One step curve each of ``residual_p50_hr_px`` and ``residual_p95_hr_px``; x in HR px.
    """
    ax = axes(ax)
    accepted = manifest[manifest["status"] == "accepted"]
    kinds = (
        ("residual_p50_hr_px", "median block", BLUE, "-"),
        ("residual_p95_hr_px", "95 % of blocks below", ORANGE, "--"),
    )
    for column, words, colour, line in kinds:
        values = np.sort(accepted[column].dropna().to_numpy(dtype=float))
        label = words if not len(values) else f"{words} (median pair {np.median(values):.2g})"
        share = np.arange(1, len(values) + 1) / max(len(values), 1)
        ax.step(np.r_[0, values], np.r_[0, 100 * share], where="post", color=colour, linestyle=line, label=label)
    ax.axhline(50, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(title="Residual of the accepted pairs", xlabel="residual [HR px]", ylabel="pairs below [%]")
    ax.set(xlim=(0, None), ylim=(0, 100))
    ax.legend(loc="best")
    return ax


def residual_by_stage(alignment: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how the residual falls from stage to stage: a thin line for each scene, a thick one for their median.

    Parameters
    ----------
    alignment : DataFrame
        As :func:`d2crealsr.read_alignment` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        y is ``residual_p50_hr_px`` on a logarithmic scale; x is the stages in their order.
    """
    ax = axes(ax)
    known = alignment[alignment["residual_p50_hr_px"] > 0]
    names = known["iteration"].astype(str) + " " + known["stage"]
    order = known.assign(rank=known["stage"].map(_STAGES.index), name=names)
    order = order.sort_values(["rank", "iteration"], kind="stable")
    places = {name: place for place, name in enumerate(dict.fromkeys(order["name"]))}
    for _, rows in order.groupby("scene", sort=False):
        x = [places[name] for name in rows["name"]]
        ax.plot(x, rows["residual_p50_hr_px"], color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
    medians = order.groupby("name")["residual_p50_hr_px"].median()
    ax.plot(
        list(places.values()),
        [medians[name] for name in places],
        color=BLUE,
        linewidth=2.5,
        marker="o",
        label=f"median of {known['scene'].nunique()} scenes",
    )
    ax.set_xticks(list(places.values()), list(places))
    ax.set(title="Residual by stage", xlabel="stage", ylabel="median block's residual [HR px]", yscale="log")
    log_axis(ax.yaxis)
    ax.legend(loc="upper right")
    return ax


def scale_and_rotation(manifest: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the measured zoom and roll of the captures: one point per pair. The line is the requested scale.

    Parameters
    ----------
    manifest : DataFrame
        As :func:`d2crealsr.read_manifest` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure.
    """
    ax = axes(ax)
    _by_status(ax, manifest, "rotation_deg", "scale_effective")
    for scale in manifest["scale"].unique():
        ax.axhline(float(scale), color=GREY, linewidth=0.8, linestyle="--", label=f"published scale {scale}")
    ax.set(title="Zoom and roll", xlabel="rotation from HR to LR [degrees]", ylabel="effective scale [HR px / LR px]")
    ax.legend()
    return ax


def sharpness(manifest: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the sharpness of HR divided by that of LR. Pairs to the right of the line have detail to learn from.

    Parameters
    ----------
    manifest : DataFrame
        As :func:`d2crealsr.read_manifest` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure.
    """
    from matplotlib.ticker import MaxNLocator

    ax = axes(ax)
    known = manifest[manifest["sharpness_ratio"].notna()]
    ratios = {status: _numbers(known[known["status"] == status], "sharpness_ratio") for status in STATUS}
    found = {status: values for status, values in ratios.items() if len(values)}
    if found:
        every = np.concatenate([*found.values(), [1.0]])
        bins = np.linspace(every.min(), every.max(), 21)
        colours = [STATUS[status][0] for status in found]
        labels = [f"{status} ({len(values)})" for status, values in found.items()]
        ax.hist(list(found.values()), bins=list(bins), stacked=True, color=colours, label=labels)
    ax.axvline(1, color=GREY, linewidth=0.8, linestyle="--", label="as sharp as LR")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(title="Sharpness of HR over LR", xlabel="sharpness ratio HR / LR", ylabel="pairs")
    ax.legend()
    return ax


def inliers(manifest: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the support of the last registration by keypoints: number and share of the matches that agree.

    Parameters
    ----------
    manifest : DataFrame
        As :func:`d2crealsr.read_manifest` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure.
    """
    ax = axes(ax)
    share = 100 * _numbers(manifest, "n_inliers") / _numbers(manifest, "n_matches")
    _by_status(ax, manifest.assign(share=share), "n_inliers", "share")
    ax.set(title="Agreeing keypoints", xlabel="inliers", ylabel="inliers among the matches [%]", xscale="log")
    log_axis(ax.xaxis)
    ax.set_ylim(0, 102)
    ax.legend()
    return ax


def predicted_and_measured(
    manifest: pd.DataFrame, ax: Axes | None = None, *, measured: str = "residual_p50_hr_px"
) -> Axes:
    """Draw a measured error against the predicted standard error: one point per pair, and the line of equality.

    Parameters
    ----------
    manifest : DataFrame
        Has the columns ``sigma_hr_px`` and ``measured``: the table that :func:`d2crealsr.read_manifest` returns, or
        its join by scene with the table that ``d2crealsr validate --csv`` writes.
    ax : Axes, optional
        Where to draw; by default a new figure.
    measured : str
        Column of the measured error, in HR px. A residual includes its own measurement noise and is therefore above
        the line for good pairs. ``true_error_mean_hr_px`` of simulated captures has no such noise.
    """
    ax = axes(ax)
    ax.set(title="Predicted and measured error", xscale="log", yscale="log")
    positive = manifest[(manifest["sigma_hr_px"] > 0) & (manifest[measured] > 0)]
    _by_status(ax, positive, "sigma_hr_px", measured)
    if len(positive):
        ends = positive[["sigma_hr_px", measured]].to_numpy(dtype=float)
        low, high = ends.min() / 1.2, ends.max() * 1.2
        ax.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle="--", label="equal")
    log_axis(ax.xaxis)
    log_axis(ax.yaxis)
    words = {"residual_p50_hr_px": "median block's residual", "true_error_mean_hr_px": "true error, mean"}
    ax.set(xlabel="predicted standard error σ [HR px]", ylabel=f"{words.get(measured, measured)} [HR px]")
    ax.legend()
    return ax


def _by_status(ax: Axes, manifest: pd.DataFrame, x: str, y: str) -> None:
    """Draw one point per pair with the colour and marker of its status, except for pairs without numbers."""
    for status, (colour, marker) in STATUS.items():
        rows = manifest[(manifest["status"] == status) & manifest[x].notna() & manifest[y].notna()]
        if len(rows):
            label = f"{status} ({len(rows)})"
            ax.scatter(_numbers(rows, x), _numbers(rows, y), color=colour, marker=marker, alpha=0.8, label=label)


def _numbers(rows: pd.DataFrame, column: str) -> Numbers:
    return np.asarray(rows[column].to_numpy(dtype=float, na_value=np.nan))
