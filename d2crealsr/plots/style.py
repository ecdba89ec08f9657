"""The look of all plots: colours that colour-blind people can tell apart, on light and on dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from d2crealsr.errors import SettingsError
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["BLUE", "GREY", "ORANGE", "PURPLE", "SEQUENTIAL", "STATUS", "TEAL", "Theme", "axes", "log_axis", "theme"]

Theme: TypeAlias = Literal["light", "dark"]

# Colours of medium luminance, with a contrast of at least 3:1 against white and against the dark background. Hue and
# lightness differ for every kind of colour blindness (blue and orange most). No plot relies on colour alone.
BLUE, ORANGE, TEAL, PURPLE, GREY = "#2f83c5", "#cf6f17", "#1f9a77", "#b25fa0", "#80868b"
SEQUENTIAL = "cividis"
"""Colour map for sizes; it looks the same with and without red-green blindness."""

STATUS = {"accepted": (BLUE, "o"), "rejected": (ORANGE, "^"), "failed": (GREY, "x")}
"""Colour and marker of a scene's status."""

_INK = {"light": ("#1b1d1f", "#55595e", "#d9d9d3"), "dark": ("#e9eaea", "#a9afb5", "#33383d")}


def theme(name: Theme = "light") -> AbstractContextManager[None]:
    """A ``with`` block in which plots are drawn for a light or a dark page, with a transparent background.

    Outside such a block, plots use the text size and colours of matplotlib's own settings.
    """
    mpl = _matplotlib()
    ink, soft, line = _INK[name]
    rc = {
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": soft,
        "xtick.color": soft,
        "ytick.color": soft,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "grid.color": line,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "none",
    }
    context: AbstractContextManager[None] = mpl.rc_context(rc)
    return context


def axes(ax: Axes | None) -> Axes:
    """Return ``ax``, or axes in a new figure of pyplot, which a notebook shows.

    Raises
    ------
    SettingsError
        When matplotlib is not installed.
    """
    _matplotlib()
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def log_axis(axis: Axis) -> None:
    """Give a logarithmic axis ticks at 1, 2, 5, … with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _matplotlib() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise SettingsError(f"plots: matplotlib is not installed; {how_to_install('report')}") from error
    return mpl
