"""Where the printed picture ends: desk, sleeve, printed border and fingers are cut off a crop.

LR shows the card with what lies around it. Working inwards, three kinds of surroundings may end at a frame of four
straight lines: the desk, the rim of a clear sleeve, and a blank printed border. The innermost frame that is found is
that of the picture. A card that is turned by much is sought in a turned view. On a desk that has the colours of the
card, edges that both shots show are sought instead. A crop is made smaller only where it reaches beyond the frame, or
where something lies over the side of the card. A picture that fills the crop keeps it to the pixel, whatever lines and
blank areas it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging.card_turn import turn_of
from d2crealsr.imaging.card_view import CardView
from d2crealsr.imaging.degrade import zncc
from d2crealsr.imaging.edge_frame import frame_in_both
from d2crealsr.imaging.frames import Frame, edges_along, likely_frames
from d2crealsr.imaging.largest_rectangle import largest_rectangle
from d2crealsr.imaging.reaching_in import reaching_in
from d2crealsr.imaging.sleeve import within_sleeve
from d2crealsr.imaging.straight_lines import courses, ridges, straight_lines
from d2crealsr.imaging.surroundings import UsualColours, off_plane
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from d2crealsr.imaging.card_view import Float32, Mask
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.straight_lines import Courses
    from d2crealsr.types import Array, Image

__all__ = ["within_picture"]

_BLUR_PX = 0.8
_EDGE = 0.008
"""Smallest change of colour of an edge, of full scale, per px."""
_UNLIKE_BLUR_PX, _UNLIKE_EDGE = 1.5, 0.025
"""The same for where the share of pixels unlike the surroundings changes."""
_EDGES, _UNLIKE_EDGES = 40, 12
"""Lines that are tried of both."""

_REACH = 0.24
"""Half the smallest side of a card, as a share of the HR frame's."""

_DESK = 0.625
"""Distance from the middle at which the desk is learnt, in sides of the HR frame."""
_FEWEST_DESK_PX, _FEWEST_PX = 400, 30
_LEARNT = 5_000
"""Pixels from which the colours of the desk on one side are learnt, or a few more."""

_RARE, _RARE_ON_ALL_SIDES = 0.02, 0.06
"""Share of the desk's pixels whose colours are too rare to be those of the desk, and the same for colours that must be
on two sides of the card."""

_GAP_PX = 2.0
"""Distance from a frame that is left out where its two sides are compared."""
_NEXT_TO = 0.1
"""Width of the desk and of the card's rim next to a frame, as a share of the HR frame's height; half of it inside."""

_LIKE_OUTSIDE, _UNLIKE_INSIDE = 0.7, 0.4
"""Smallest share of the pixels outside a frame that look like the surroundings, and how much smaller it is inside."""

_DOUBTFUL, _CLEAR_EDGES = 0.2, 0.9
"""Share of pixels like the desk inside the card's outline from which its edges must be clear, and how clear: a
logarithm. On a cloth of many colours, an area within the picture may differ from the cloth more than its rim does."""

_RIM_PX = 2.5
"""Width of the strip within a frame from which the next surroundings are learnt."""
_SAME, _DEVIATIONS = 0.02, 3.0
"""Difference from a strip up to which a pixel looks like it: of full scale, or in median deviations of the strip."""
_BLANK, _MOSTLY = 0.035, 0.8
"""Largest deviation of a blank border from an even course of its colours, and the share for which it must hold."""
_MARGIN_LR_PX, _MARGIN_PX = 1.5, 0.5
"""Distance of the crop from the frame, in px of LR and of the view, against blur, interpolation and its own error."""

_AROUND_PX = 8
_ALIKE = 0.85
"""Width of what is compared around what is cut off, and the smallest correlation of two alike views."""

_CELLS = 220
"""Cells of the grid, along the longer side of the crop, of which the remaining rectangle is made."""
_SMALLEST_PX = 16
"""Smallest side of a crop that is looked at."""


def within_picture(lr: Image, crop: Crop, mapping: CaptureMapping, hr: LinearReduced | None = None) -> Crop:
    """The part of a crop that lies within the printed picture; the crop itself if nothing shows where that ends.

    Parameters
    ----------
    lr : (H, W, 3) ndarray
        The LR capture.
    crop : Crop
        Rectangle of LR that would be published.
    mapping : CaptureMapping
        Where HR lies in LR.
    hr : LinearReduced, optional
        The HR capture. A crop is made smaller only if HR shows what is cut off as LR does. What is in one shot alone,
        such as a sheet of paper, makes the shots differ, which is for QA to judge.
    """
    view = CardView.of(lr, mapping) if crop.side >= _SMALLEST_PX else None
    if view is None or np.count_nonzero(_desk(view)) < _FEWEST_DESK_PX:
        return crop
    found = _Surroundings(view)
    frames = found.frames(hr)
    turned = _turned(lr, found)
    if turned is not None and (frames_of_turned := turned.frames()):
        found, view, frames = turned, turned.view, frames_of_turned
    if not frames:
        return crop
    is_clear = found.in_sleeve or found.by_edges
    covered = np.zeros_like(view.seen) if is_clear else reaching_in(found.colours, frames[0], found.strange)
    within = _largest(crop, view, frames[-1], covered)
    return crop if hr is not None and within != crop and not _in_both(view, crop, within, hr) else within


def _desk(view: CardView) -> Mask:
    """Where the desk is learnt."""
    x, y = view.from_middle
    outer = np.maximum(np.abs(x) / view.frame[0], np.abs(y) / view.frame[1]) > _DESK
    return np.asarray(outer & view.seen)


def _turned(lr: Image, found: _Surroundings) -> _Surroundings | None:
    """The same search in a view turned as the card is, if that is turned by much."""
    turn = turn_of(found.desk, found.view.seen)
    view = CardView.of(lr, found.view.mapping, turn) if turn else None
    return None if view is None or np.count_nonzero(_desk(view)) < _FEWEST_DESK_PX else _Surroundings(view)


class _Surroundings:
    """The search for what surrounds a picture, from the desk inwards.

    Attributes
    ----------
    desk : (h, w) ndarray of bool
        Where the colours are not those of the desk.
    strange : (h, w) ndarray of bool
        Where they are not those of the desk on two sides of the card or more.
    in_sleeve : bool
        Whether :meth:`frames` found a sleeve. Its highlights reach over the card's sides like a finger.
    by_edges : bool
        Whether :meth:`frames` found the card by its edges alone, as the desk has all colours.
    """

    def __init__(self, view: CardView) -> None:
        self.view = view
        self.colours: Float32 = opencv.blur(view.pixels, _BLUR_PX)
        sides = self._desk_on_all_sides()
        around = np.concatenate(sides)
        span = np.quantile(self.colours[view.seen], [0.005, 0.995], axis=0).astype(np.float32)
        self.desk = UsualColours([around], span, _RARE).unlike(self.colours)
        self.strange = UsualColours(sides, span, _RARE_ON_ALL_SIDES).unlike(self.colours)
        self._desk_colour: Float32 = np.median(around, axis=0)
        self.in_sleeve = self.by_edges = False
        self._reach = _REACH * view.frame
        self._ridges = [ridges(part, _EDGE) & seen for part, seen in self._both(view.pixels, view.seen)]
        self._lines = [
            straight_lines(ridge, reach, _EDGES) for ridge, reach in zip(self._ridges, self._reach, strict=True)
        ]

    def _desk_on_all_sides(self) -> list[Float32]:
        """Some colours, (N, 3), of the desk left, right, above and below the card."""
        far, (x, y) = _desk(self.view), self.view.from_middle
        sides = np.broadcast_arrays(x < -np.abs(y), x > np.abs(y), y <= -np.abs(x), y >= np.abs(x))
        parts = [self.colours[far & side] for side in sides]
        return [part[:: max(1, len(part) // _LEARNT)] for part in parts]

    @staticmethod
    def _both(image: Float32, mask: Mask) -> list[tuple[Float32, Mask]]:
        """An image and a mask, upright and transposed."""
        return [(image, mask), (np.ascontiguousarray(np.swapaxes(image, 0, 1)), mask.T)]

    def frames(self, hr: LinearReduced | None = None) -> list[Frame]:
        """The frames at which the surroundings end, the outermost first.

        If HR is given, edges that both captures show make up for colours that the desk and the card share.
        """
        outline = self._ending(self.desk, None)
        if outline is None:
            level, upright = self._courses(np.zeros_like(self.desk))
            both = None if hr is None else frame_in_both(level, upright, self.view, hr)
            self.by_edges = both is not None
            return [] if both is None else [both]
        blank = self._border(outline)
        card = within_sleeve(outline, self._ridges, self.colours, self._desk_colour)
        self.in_sleeve = card is not None
        if card is not None and blank is not None:
            card = blank  # which has been sought on all sides
        picture = blank if card is None else self._border(card)
        return [frame for frame in (outline, card, picture) if frame is not None]

    def _ending(self, unlike: Mask, outer: Frame | None) -> Frame | None:
        """The frame at which surroundings end that begin at an outer one, whose colours some pixels are unlike."""
        level, upright = self._courses(unlike)
        for frame in likely_frames(level, upright, outer, _RIM_PX):
            outside, inside = self._beside(frame, outer)
            if min(np.count_nonzero(outside), np.count_nonzero(inside)) < _FEWEST_PX:
                continue
            like, within = 1 - unlike[outside].mean(), 1 - unlike[inside].mean()
            is_clear = outer is not None or within < _DOUBTFUL or edges_along(level, upright, frame) > _CLEAR_EDGES
            if is_clear and like > _LIKE_OUTSIDE and within < like - _UNLIKE_INSIDE:
                return frame
        return None

    def _courses(self, unlike: Mask) -> list[Courses]:
        """What speaks for lines along the rows and along the columns."""
        soft = opencv.blur(unlike.astype(np.float32), _UNLIKE_BLUR_PX)
        found = []
        for (part, mask), ridge, lines, reach in zip(
            self._both(soft, unlike), self._ridges, self._lines, self._reach, strict=True
        ):
            more = straight_lines(ridges(part, _UNLIKE_EDGE), reach, _UNLIKE_EDGES)
            found.append(courses(np.concatenate([lines, more], axis=1), ridge, mask, reach))
        return found

    def _beside(self, frame: Frame, outer: Frame | None) -> tuple[Mask, Mask]:
        """The surroundings outside a frame, up to an outer one, and a rim inside of it."""
        beyond, width = frame.beyond(*self.view.from_middle), _NEXT_TO * self.view.frame[1]
        if outer is None:
            outside = (beyond > _GAP_PX) & (beyond < width)
        else:
            outside = (beyond > _GAP_PX) & (outer.beyond(*self.view.from_middle) < -_GAP_PX)
        inside = (beyond < -_GAP_PX) & (beyond > -_GAP_PX - width / 2)
        return outside & self.view.seen, inside & self.view.seen

    def _border(self, outline: Frame) -> Frame | None:
        """The frame within a blank border."""
        beyond = outline.beyond(*self.view.from_middle)
        strip = (beyond < -_GAP_PX) & (beyond > -_GAP_PX - _RIM_PX) & self.view.seen
        if np.count_nonzero(strip) < _FEWEST_PX:
            return None
        off = off_plane(self.colours, strip)
        found = self._ending(off > max(_SAME, _DEVIATIONS * float(np.median(off[strip]))), outline)
        if found is None:
            return None
        border, _ = self._beside(found, outline)
        is_blank = (off_plane(self.colours, border)[border] < _BLANK).mean() > _MOSTLY
        return found if is_blank else None


def _in_both(view: CardView, crop: Crop, within: Crop, hr: LinearReduced) -> bool:
    """Whether HR looks like LR where a crop is made smaller, and around it."""
    at = view.in_hr(np.stack(np.broadcast_arrays(*view.from_middle), axis=-1))
    lr = view.mapping.hr_to_lr(at.reshape(-1, 2)).reshape(at.shape)
    there = opencv.dilate(_holds(crop, lr) & ~_holds(within, lr), _AROUND_PX)
    there &= view.seen & hr.holds(at, margin_hr_px=view.pitch)
    if np.count_nonzero(there) < _FEWEST_PX:
        return True
    light = hr.at(hr.blurred(hr.luma, view.pitch), at)
    return zncc(np.sqrt(np.maximum(light[there], 0)), view.pixels.mean(axis=-1)[there]) > _ALIKE


def _holds(crop: Crop, points: Array) -> Mask:
    """Which positions (..., 2) lie in a crop."""
    inside: Mask = np.all(
        (points >= (crop.x, crop.y)) & (points < (crop.x + crop.width, crop.y + crop.height)), axis=-1
    )
    return inside


def _largest(crop: Crop, view: CardView, frame: Frame, covered: Mask) -> Crop:
    """The largest part of a crop within a frame and off what is covered."""
    x, y = _cell_sides(crop.x, crop.width), _cell_sides(crop.y, crop.height)
    at = view.of_lr(np.stack(np.meshgrid(x - 0.5, y - 0.5), axis=-1))
    within = frame.beyond(at[..., 0], at[..., 1]) <= -_MARGIN_LR_PX / view.lr_px - _MARGIN_PX
    bare = ~opencv.dilate(covered, int(np.ceil(_MARGIN_LR_PX / view.lr_px + _MARGIN_PX)))
    column, row = (
        np.clip(np.rint(at[..., axis] + (side - 1) / 2).astype(int), 0, side - 1) for axis, side in enumerate(view.size)
    )
    fits = within & bare[row, column]
    cells = fits[1:, 1:] & fits[1:, :-1] & fits[:-1, 1:] & fits[:-1, :-1]
    if cells.all():
        return crop
    left, top, width, height = largest_rectangle(cells)
    return Crop(int(x[left]), int(y[top]), int(x[left + width] - x[left]), int(y[top + height] - y[top]))


def _cell_sides(first: int, length: int) -> Array:
    """Borders of the cells along a side of a crop, in whole px."""
    return np.append(np.arange(first, first + length, -(-length // _CELLS)), first + length)
