"""The statistics that QA uses: plausibility of the mapping, matching, residual shifts, brightness, and all by stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.imaging import degrade, geometry
from d2crealsr.imaging.tone_family import is_curve
from d2crealsr.quality import detail, enlargement, residuals, sharpness
from d2crealsr.quality.colour import compare_colours
from d2crealsr.quality.place import largest_place
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.imaging.comparison import Look, LrCrop
    from d2crealsr.imaging.photometry import Photometry
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.quality.place import Place
    from d2crealsr.quality.shape import Shape
    from d2crealsr.types import Image, ResidualField, Stage

__all__ = ["MEASURES", "PublishedPair", "displacement", "matching", "place_cells", "plausibility", "with_evidence"]

_STRIDE = 3
"""A ninth of the pixels suffices for the similarity and brightness at a stage. It is odd, to sample a whole mosaic."""

_SAMPLED_FINER = 2
"""How much finer than its detail a camera samples, about: a lens shows half the contrast at half the pixels' limit."""


@dataclass(frozen=True, kw_only=True)
class PublishedPair:
    """A published pair and what it was made of, as far as measures of QA look at it.

    Attributes
    ----------
    placement : Placement
    capture : Image
        The HR capture.
    published : Image
        The published HR image.
    lr_crop : LrCrop
        The published part of the LR capture.
    look : Look
        HR as LR's camera would have developed it.
    light : Photometry
        The matching of brightness, and the tone curves of both captures.
    field : ResidualField
        The shift left in each block.
    shape : Shape
        The pattern of the field.
    """

    placement: Placement
    capture: Image
    published: Image
    lr_crop: LrCrop
    look: Look
    light: Photometry
    field: ResidualField
    shape: Shape


def plausibility(placement: Placement) -> dict[str, float]:
    """Statistics of the mapping itself, which show whether a camera could have caused it."""
    mapping = placement.mapping
    H, centre = mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size)
    effective = geometry.scale_effective(H, centre)
    offset = mapping.hr_centre_in_lr - geometry.frame_centre(mapping.lr_size)
    return {
        "scale_effective": effective,
        "scale_ratio": effective / placement.scale,
        "rotation_deg": geometry.rotation_deg(H, centre),
        "anisotropy": geometry.anisotropy(H, centre),
        "perspective_ratio": geometry.perspective_ratio(H, mapping.hr_size),
        "card_offset": float(np.hypot(*offset)),
        "crop_side_lr_px": float(placement.crop.side),
    }


def matching(stages: tuple[Stage, ...]) -> dict[str, float]:
    """Counts of the last SIFT registration that succeeded."""
    last = next(stage for stage in reversed(stages) if stage.n_inliers and stage.stopped != "failed")
    return {
        "n_keypoints_hr": last.n_keypoints_hr,
        "n_keypoints_lr": last.n_keypoints_lr,
        "n_matches": last.n_matches,
        "n_inliers": last.n_inliers,
        "reprojection_rmse_lr_px": last.reprojection_rmse_lr_px,
    }


def displacement(field: ResidualField, shape: Shape) -> dict[str, float]:
    """Statistics of the residual field: how large the remaining displacement is, and where."""
    return {
        "residual_p50_hr_px": residuals.percentile(field, 50),
        "residual_p95_hr_px": residuals.percentile(field, 95),
        "residual_local_hr_px": residuals.worst_neighbourhood(field),
        "residual_side_hr_px": residuals.worst_side(field),
        "residual_shape_hr_px": shape.hr_px,
        "residual_worst_hr_px": shape.worst_hr_px,
        "zncc_block_p50": residuals.typical_zncc(field),
        "textured_fraction": residuals.measured_share(field),
    }


def likeness(pair: PublishedPair) -> dict[str, float]:
    """Similarity of LR and the degraded HR, independent of the residual field."""
    seen_by, look, mapping = pair.lr_crop, pair.look, pair.placement.mapping
    return {"zncc": seen_by.zncc(look, mapping), "content_differs_fraction": seen_by.differing(look, mapping)}


def brightness_and_sharpness(pair: PublishedPair) -> dict[str, float]:
    """Brightness of HR and LR before and after matching, sharpness of the published HR over LR's, and clipping."""
    lr_crop, placement, sigma = pair.lr_crop, pair.placement, pair.look.sigma_hr_px
    before = lr_crop.seen(pair.look.source, placement.mapping, sigma)
    as_published = degrade.reduced(pair.published, placement.scale, lr_crop.tone, with_clipping=False)
    after = lr_crop.seen(as_published, placement.published_mapping, sigma)
    return {
        "brightness_error_before": lr_crop.brightness_error(before),
        "brightness_error_after": lr_crop.brightness_error(after),
        "sharpness_ratio": sharpness.ratio(as_published, lr_crop.luma),
        "clipped_fraction": 1 - float(lr_crop.valid.mean()),
        "hr_clipped_fraction": pair.look.source.clipped_fraction(lr_crop.in_hr(placement.mapping)),
    }


def foreign_object(pair: PublishedPair) -> dict[str, float]:
    """The largest connected place where LR shows something other than HR: how far across it is, and its rectangle."""
    place = largest_place(pair.lr_crop, pair.lr_crop.shown(pair.look, pair.placement.mapping))
    return place_cells(place)


def place_cells(place: Place) -> dict[str, float]:
    """A place by the columns of the manifest; only its size where nothing differs."""
    x, y, width, height = (float(value) for value in place.box)
    box = {"differing_x": x, "differing_y": y, "differing_width": width, "differing_height": height}
    return {"differing_hr_px": place.hr_px, **(box if place.hr_px else {})}


def own_detail(capture: Image, published: Image, placement: Placement) -> dict[str, float]:
    """Detail of the published HR beyond what LR can show, and a sign of digital enlargement; nothing at scale 1."""
    if placement.scale == 1:
        return {}
    mapping, scale = placement.mapping, detail.detail_scale(published, placement.scale)
    effective = geometry.scale_effective(mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size))
    factor = enlargement.enlarged_by(capture, _part_in_hr(placement), effective / (_SAMPLED_FINER * scale))
    return {"detail_scale": scale, "enlarged_by": factor}


def _part_in_hr(placement: Placement) -> Crop:
    """The smallest rectangle of the HR capture that holds the corners of the published part."""
    corners = (np.array(placement.published_size) - 1) * [[0, 0], [1, 0], [0, 1], [1, 1]]
    p_hr = placement.in_hr(corners)
    left, top = np.maximum(np.ceil(p_hr.min(axis=0)), 0).astype(int).tolist()
    right, bottom = (np.minimum(p_hr.max(axis=0), np.array(placement.mapping.hr_size) - 1)).astype(int).tolist()
    return Crop(left, top, right - left, bottom - top)


def colours(pair: PublishedPair) -> dict[str, float]:
    """What the colours of LR and HR differ by after matching; nothing if they could not be measured."""
    fitted = any(is_curve(tone) for tone in (pair.light.tone, pair.light.tone_of_hr))
    found = compare_colours(pair.lr_crop, pair.look, pair.placement.mapping, curves_are_fitted=fitted)
    return {} if isnan(found.ratio) else {"colour_difference": found.difference, "colour_ratio": found.ratio}


MEASURES: tuple[Callable[[PublishedPair], dict[str, float]], ...] = (
    lambda pair: displacement(pair.field, pair.shape),
    likeness,
    brightness_and_sharpness,
    foreign_object,
    lambda pair: own_detail(pair.capture, pair.published, pair.placement),
    colours,
)
"""What is measured of every published pair. Each gives statistics by the columns of the manifest that keep them."""


def with_evidence(stage: Stage, pair: PublishedPair, statistics: Mapping[str, float]) -> Stage:
    """The stage with what its own estimate would have left; ``statistics`` are those of the published pair."""
    lr_crop, look, mapping = pair.lr_crop, pair.look, pair.placement.mapping
    if stage.H_hr_to_lr is None or stage.stopped == "failed":
        return stage
    if stage.k1_hr == mapping.k1_hr and np.array_equal(stage.H_hr_to_lr, mapping.H_hr_to_lr):
        p50, zncc, gain_g = statistics["residual_p50_hr_px"], statistics["zncc"], look.light.gain[1]
        return dataclasses.replace(stage, residual_p50_hr_px=p50, zncc=zncc, gain_g=gain_g)
    k1_lr = mapping.k1_lr if stage.stage == "direct" else 0.0  # SIFT maps the captures as they are
    of_stage = dataclasses.replace(mapping, H_hr_to_lr=stage.H_hr_to_lr, k1_hr=stage.k1_hr, k1_lr=k1_lr)
    left = residuals.under(pair.field, mapping, of_stage, pair.placement.scale)
    thin = lr_crop.thinned(_STRIDE)
    return dataclasses.replace(
        stage,
        residual_p50_hr_px=residuals.percentile(left, 50),
        zncc=thin.zncc(look, of_stage),
        gain_g=thin.brightness(thin.seen(look.source, of_stage, look.sigma_hr_px), of_stage).gain[1],
    )
