"""Which frame lies in which: every frame is searched in every other at low resolution.

A link is believed only if the picture of the one frame, mapped to the other, looks like what is there. Matches alone
could come from a desk that two frames share, from a photograph that two cards share, or from the letters of a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.degrade import zncc
from d2crealsr.ingest.marked import mapping_by_marks, of_other_cards
from d2crealsr.registration import features
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.ingest.sketches import Reduced, Sketch
    from d2crealsr.types import Array, Matrix

__all__ = ["Link", "link_between"]

_FEW_SOUGHT, _FEW_SEARCHED = 300, 800
"""Keypoints that are compared for each pair of frames; all are compared where these find enough."""

_RATIO = 0.8
_FEWEST_VOTES = 6
"""Matches among the few keypoints from which on a pair of frames is looked at closely."""

_THRESHOLD_PX = 2.0
_FEWEST_INLIERS = 12
_FEWEST_INLIERS_OF_A_HINT = 8
_SCALES = (0.75, 20.0)
"""Smallest and largest number of px of the one frame on a px of the other: from two shots alike to more than x8."""

_MOST_PERSPECTIVE = 2.0

_PARTS = 5
"""Parts of a frame along each side."""

_LEAST_LIKENESS, _LEAST_LIKENESS_OF_A_HINT = 0.5, 0.35
"""Smallest median zncc, over the parts of the frame, of two pictures that show the same."""

_ALIKE_EVERYWHERE = 0.75
"""The same, if few matches agree, as on a smooth card. It must hold for the part in the middle as well."""

_LEAST_LIKENESS_OF_MARKS = 0.2
"""The same, if marks of one number say where the card is. Cards of two printings may have marks of one number."""

_LEAST_MIDDLE = 0.3
"""Smallest zncc of the part in the middle. The card lies there, even if a desk fills the other parts."""


class Link(NamedTuple):
    """One frame found in another.

    Attributes
    ----------
    inner, outer : int
        Numbers of the frame that was searched for and of the one in which it was found.
    H_inner_to_outer : Matrix
        Mapping of their pixels.
    scale : float
        Px of the inner frame on a px of the outer one.
    inliers : int
        Matches that agree on the mapping, or corners of marks.
    likeness : float
        Median over the parts of the inner frame of the zero-mean normalised cross-correlation with the outer one.
    sure : bool
        Whether this suffices by itself. Other links need a hint from time and focal lengths.
    """

    inner: int
    outer: int
    H_inner_to_outer: Matrix
    scale: float
    inliers: int
    likeness: float
    sure: bool


def link_between(inner: Sketch, outer: Sketch) -> Link | None:
    """The link from one frame to another, with numbers still to be given; None if it is not found there."""
    if of_other_cards(inner.marks, outer.marks):
        return None
    if (marked := _link_by_marks(inner, outer)) is not None:
        return marked
    sought, places = inner.sought, outer.searched
    votes = [_votes(sought, place) for place in places]
    best = int(np.argmax(votes))
    if votes[best] < _FEWEST_VOTES:
        return None
    found = _found_in(sought, places[best])
    if found is None:
        return None
    H_between, inliers = found
    likeness, middle = _likeness(sought, places[best], H_between)
    H = geometry.compose(geometry.inverse(places[best].H_frame_to_reduced), H_between, sought.H_frame_to_reduced)
    scale = geometry.scale_effective(H, geometry.frame_centre(inner.size))
    if likeness < _LEAST_LIKENESS_OF_A_HINT or middle < _LEAST_MIDDLE or not _SCALES[0] < scale < _SCALES[1]:
        return None
    sure = (inliers >= _FEWEST_INLIERS and likeness >= _LEAST_LIKENESS) or min(likeness, middle) >= _ALIKE_EVERYWHERE
    return Link(0, 0, H, scale, inliers, likeness, sure)


def _link_by_marks(inner: Sketch, outer: Sketch) -> Link | None:
    """The link that the marks of a card give, where the pictures do not contradict it."""
    best: Link | None = None
    for H, count in mapping_by_marks(inner.marks, outer.marks):
        scale = geometry.scale_effective(H, geometry.frame_centre(inner.size))
        place = _smallest_around(geometry.project(H, geometry.corners(inner.size)), outer)
        H_between = geometry.compose(place.H_frame_to_reduced, H, geometry.inverse(inner.sought.H_frame_to_reduced))
        likeness, _ = _likeness(inner.sought, place, H_between)
        if _SCALES[0] < scale < _SCALES[1] and likeness > max(_LEAST_LIKENESS_OF_MARKS, best.likeness if best else 0):
            best = Link(0, 0, H, scale, 4 * count, likeness, True)
    return best


def _smallest_around(outline: Array, outer: Sketch) -> Reduced:
    """The smallest part of a frame with a whole outline in it; the whole frame if there is none."""
    for place in outer.searched:
        position = geometry.project(place.H_frame_to_reduced, outline)
        if np.all((position >= 0) & (position <= np.array(Size.of(place.luma)) - 1)):
            return place
    return outer.searched[-1]


def _votes(sought: Reduced, searched: Reduced) -> int:
    """Matches that pass the ratio test among the first keypoints of both."""
    one, other = sought.descriptors(_FEW_SOUGHT), searched.descriptors(_FEW_SEARCHED)
    if min(len(one), len(other)) < 2:
        return 0
    similarity = one @ other.T
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    nearest = similarity[rows, best].copy()
    similarity[rows, best] = -1
    return int(np.count_nonzero(2 - 2 * nearest < _RATIO**2 * (2 - 2 * similarity.max(axis=1))))


def _found_in(sought: Reduced, searched: Reduced) -> tuple[Matrix, int] | None:
    """The mapping between two reduced pictures, and how many matches agree on it."""
    matches = features.match_anywhere(sought.keypoints, searched.keypoints, _RATIO)
    source, target = sought.points[matches.hr], searched.points[matches.lr]
    consensus = features.agree_on_homography(source, target, sought.sizes[matches.hr], _THRESHOLD_PX)
    if consensus is None or consensus.inliers.sum() < _FEWEST_INLIERS_OF_A_HINT:
        return None
    if not geometry.perspective_ratio(consensus.H, Size.of(sought.luma)) < _MOST_PERSPECTIVE:
        return None
    return consensus.H, int(consensus.inliers.sum())


def _likeness(sought: Reduced, searched: Reduced, H: Matrix) -> tuple[float, float]:
    """Median zncc over the parts of the picture that was searched for, and zncc of the part in the middle.

    Parts outside of the other picture are left out; both are 0 if these are the most.
    """
    size = Size.of(sought.luma)
    there = opencv.warp(searched.luma, H, size, "linear").astype(np.float32)
    here = sought.luma.astype(np.float32)
    position = geometry.project(H, geometry.pixel_centres(size))
    inside = np.all((position >= 0) & (position <= np.array(Size.of(searched.luma)) - 1), axis=-1)
    rows, columns = (np.linspace(0, side, _PARTS + 1).astype(int) for side in here.shape)
    found = np.full((_PARTS, _PARTS), np.nan)
    for row, column in np.ndindex(found.shape):
        part = (slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1]))
        if inside[part].mean() > 0.9:
            found[row, column] = zncc(here[part], there[part])
    if np.isfinite(found).mean() < 0.5:
        return 0.0, 0.0
    middle = found[_PARTS // 2, _PARTS // 2]
    return float(np.nanmedian(found)), float(np.nan_to_num(middle))
