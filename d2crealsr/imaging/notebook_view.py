"""A pair as HTML for a notebook: HR and LR in turn at one place, the field of what remains, and numbers.

It is one piece of HTML without scripts, which a notebook also shows when it was not run by its reader.
"""

from __future__ import annotations

import base64
import html
import itertools
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.types import Image, ResidualField

__all__ = ["pair_html"]

_WIDEST, _HIGHEST = 480, 320
"""Largest part of HR that is shown, in HR px. It is not reduced, so that small displacements are seen."""
_QUALITY = 88
_FIELD = 300
"""Width of the field's picture, in CSS px."""
_numbers = itertools.count()


def pair_html(hr: Image, lr: Image, residuals: ResidualField, *, title: str, numbers: Mapping[str, str]) -> str:
    """The centre of a pair as two images that alternate, the residual field, and a table of numbers.

    Parameters
    ----------
    hr : (s·h, s·w, 3) ndarray
        Published HR.
    lr : (h, w, 3) ndarray
        Published LR.
    residuals : ResidualField
    title : str
    numbers : mapping
        Texts by what they mean.
    """
    name = f"d2crealsr-blink-{next(_numbers)}"
    shown_hr, shown_lr = _centres(hr, lr)
    height, width = shown_hr.shape[:2]
    style = (
        f"@keyframes {name}{{0%,49%{{opacity:1}}50%,100%{{opacity:0}}}}"
        f".{name}{{position:absolute;left:0;top:0;animation:{name} 1.2s infinite}}"
        f"@media (prefers-reduced-motion:reduce){{.{name}{{animation-duration:6s}}}}"
    )
    blink = (
        f'<figure style="margin:0"><div style="position:relative;width:{width}px;height:{height}px">'
        f'<img width="{width}" height="{height}" alt="centre of LR, enlarged" src="{_uri(shown_lr)}"/>'
        f'<img class="{name}" width="{width}" height="{height}" alt="centre of HR" src="{_uri(shown_hr)}"/></div>'
        "<figcaption>Centre: HR and LR in turn. What is aligned stands still.</figcaption></figure>"
    )
    rows = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(v)}</td></tr>" for k, v in numbers.items())
    return (
        f"<style>{style}</style><div><b>{html.escape(title)}</b>"
        f'<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">{blink}{_field(residuals)}'
        f"<table>{rows}</table></div></div>"
    )


def _centres(hr: Image, lr: Image) -> tuple[Image, Image]:
    """The same part of both, at HR's size and 8 bit."""
    scale = hr.shape[0] // lr.shape[0]
    height, width = (
        max(1, min(size, most // scale)) for size, most in zip(lr.shape[:2], (_HIGHEST, _WIDEST), strict=True)
    )
    top, left = ((size - part) // 2 for size, part in zip(lr.shape[:2], (height, width), strict=True))
    part = lr[top : top + height, left : left + width]
    enlarged = opencv.resize(np.ascontiguousarray(part), Size(scale * width, scale * height), "cubic")
    rows, columns = slice(scale * top, scale * (top + height)), slice(scale * left, scale * (left + width))
    return _bytes(hr[rows, columns]), _bytes(opencv.as_image(enlarged))


def _bytes(image: Image) -> Image:
    return image if image.dtype == np.uint8 else np.rint(image / 257.0).astype(np.uint8)


def _uri(image: Image) -> str:
    data = opencv.encode_jpeg(np.ascontiguousarray(image), _QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def _field(residuals: ResidualField) -> str:
    """The displacements of the blocks as arrows, the longest as long as the distance between blocks."""
    known = (residuals.weights > 0) & np.isfinite(residuals.shifts_hr_px).all(axis=1)
    points = residuals.points_lr
    if not known.any():
        return "<p>No block could be measured.</p>"
    low, high = points.min(axis=0), points.max(axis=0)
    steps = [float(np.diff(values).min()) for axis in (0, 1) if len(values := np.unique(points[:, axis])) > 1]
    step = min(steps, default=1.0)
    longest = max(float(np.linalg.norm(residuals.shifts_hr_px[known], axis=1).max()), 1e-9)
    parts = []
    for (x, y), (dx, dy), weight in zip(
        points[known], residuals.shifts_hr_px[known] * step / longest, residuals.weights[known], strict=True
    ):
        opacity = 0.3 + 0.7 * float(weight)
        line = f'<line x1="{x:.2f}" y1="{y:.2f}" x2="{x + dx:.2f}" y2="{y + dy:.2f}"/>'
        parts.append(f'<g opacity="{opacity:.2f}">{line}<circle cx="{x:.2f}" cy="{y:.2f}" r="{step / 12:.2f}"/></g>')
    width, height = high - low + 2 * step
    box = f"{low[0] - step:.2f} {low[1] - step:.2f} {width:.2f} {height:.2f}"
    return (
        f'<figure style="margin:0"><svg width="{_FIELD}" height="{_FIELD * height / width:.0f}" viewBox="{box}" '
        f'role="img" aria-label="residual field" style="background:#f4f4f4" stroke="#1b5e9e" fill="#1b5e9e" '
        f'stroke-width="{step / 14:.3f}">{"".join(parts)}</svg>'
        f"<figcaption>What remains, block by block. The longest line is {longest:.2f} HR px; dots are the blocks."
        "</figcaption></figure>"
    )
