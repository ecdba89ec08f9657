"""The columns of every table in a pairs folder, each declared once: name, kind, unit, meaning, number format.

Three things follow from these tuples: the schema that is checked on writing and on reading, the order in which columns
are written, and the tables of ``docs/pairs-format.md``.
"""

from __future__ import annotations

import dataclasses

from d2crealsr.store.column import EXACT, MICRO, SLACK, Column, Kind
from d2crealsr.store.shapes import RESIDUAL_SHAPES

__all__ = ["ALIGNMENT", "HOMOGRAPHY", "MANIFEST", "RESIDUALS", "SLACK", "TABLES", "TIMINGS", "Column", "Kind"]


def _text(
    name: str, meaning: str, *, required: bool = False, fixed: bool = True, one_of: tuple[str, ...] = ()
) -> Column:
    return Column(name=name, kind="text", meaning=meaning, required=required, fixed=fixed, one_of=one_of)


def _count(name: str, meaning: str, *, unit: str = "", at_least: float = 0, required: bool = False) -> Column:
    return Column(name=name, kind="int", meaning=meaning, unit=unit, at_least=at_least, required=required)


def _size(name: str, meaning: str, unit: str) -> Column:
    return Column(name=name, kind="float", meaning=meaning, unit=unit, at_least=0)


def _number(name: str, meaning: str, unit: str = "", digits: str = MICRO) -> Column:
    return Column(name=name, kind="float", meaning=meaning, unit=unit, digits=digits)


def _added(name: str, meaning: str, unit: str = "") -> Column:
    return dataclasses.replace(_number(name, meaning, unit), fixed=False)


def _added_lr_px(name: str, meaning: str) -> Column:
    return dataclasses.replace(_count(name, meaning, unit="LR px"), fixed=False)


def _share(name: str, meaning: str) -> Column:
    return Column(name=name, kind="float", meaning=meaning, at_least=0, at_most=1)


def _added_share(name: str, meaning: str) -> Column:
    return dataclasses.replace(_share(name, meaning), fixed=False)


_SIDES = ("hr", "lr")


def _of(side: str, meaning: str) -> str:
    return f"{side.upper()} capture: {meaning}"


def _of_both(name: str, meaning: str) -> tuple[Column, ...]:
    return tuple(_text(f"{side}_{name}", _of(side, meaning), fixed=False) for side in _SIDES)


def _taken_with(name: str, meaning: str, unit: str, digits: str = MICRO) -> tuple[Column, ...]:
    return tuple(
        dataclasses.replace(_size(f"{side}_{name}", _of(side, meaning), unit), digits=digits, fixed=False)
        for side in _SIDES
    )


SCENE = _text("scene", "name of the scene; text, even where it looks like a number", required=True)
ONE_SCENE = dataclasses.replace(SCENE, unique=True)

HOMOGRAPHY = tuple(
    _number(f"h{row}{column}", f"H_hr_to_lr[{row}, {column}]", digits=EXACT) for row in range(3) for column in range(3)
)

MANIFEST: tuple[Column, ...] = (
    ONE_SCENE,
    _text(
        "status",
        "accepted; rejected: there is an estimate, but QA rejects it; failed: there is no estimate",
        required=True,
        one_of=("accepted", "rejected", "failed"),
    ),
    _text("reasons", "stable reason codes, joined by ; (kept when a reviewer overrules them)"),
    _text("split", "train, test or empty", one_of=("", "train", "test")),
    _text("group", "the printed picture; a split keeps all scenes of one group on one side", required=True),
    Column(name="scale", kind="int", meaning="HR pixels per LR pixel", required=True, at_least=1, at_most=16),
    _text("hr_path", "path of the published HR image, relative to the folder; accepted scenes only"),
    _text("lr_path", "path of the published LR image, relative to the folder; accepted scenes only"),
    _text("hr_source", "path of the HR capture, relative to raw_root"),
    _text("lr_source", "path of the LR capture, relative to raw_root"),
    _count("lr_x", "first column of the crop in the LR capture", unit="LR px"),
    _count("lr_y", "first row of the crop in the LR capture", unit="LR px"),
    _count("lr_width", "width of the crop", unit="LR px", at_least=1),
    _count("lr_height", "height of the crop", unit="LR px", at_least=1),
    *HOMOGRAPHY,
    _number("k1_hr", "radial distortion coefficient of the HR capture", digits=EXACT),
    _number("k1_lr", "radial distortion coefficient of the LR capture", digits=EXACT),
    _size("scale_effective", "measured scale of the captures at the centre of the HR frame", "HR px / LR px"),
    _number("rotation_deg", "rotation from HR to LR", "degrees"),
    _size("card_offset", "distance between the centres of the HR frame and the LR frame", "LR px"),
    _count("n_keypoints_hr", "keypoints in HR at the last SIFT registration"),
    _count("n_keypoints_lr", "keypoints in LR at the last SIFT registration"),
    _count("n_matches", "matches at the last SIFT registration"),
    _count("n_inliers", "matches that agree with the homography"),
    _size(
        "reprojection_rmse_lr_px",
        "root mean square reprojection error of the inliers; it cannot show a constant bias",
        "LR px",
    ),
    _size("residual_p50_hr_px", "median length of the residual shifts of the blocks", "HR px"),
    _size("residual_p95_hr_px", "95th percentile of the length of the residual shifts", "HR px"),
    _size(
        "sigma_hr_px",
        "predicted standard error of the position over the crop: error of the fit and systematic error seen after it",
        "HR px",
    ),
    Column(
        name="zncc",
        kind="float",
        meaning="zero-mean normalised cross-correlation of LR with HR (as LR would see it) over the unclipped crop",
        at_least=-1,
        at_most=1,
    ),
    _text(
        "tone", "tone curve with which the captures were linearised; that of HR, a slash, that of LR, if they differ"
    ),
    *(_number(f"gain_{c}", f"brightness gain of {c.upper()}, linear light", digits=EXACT) for c in "rgb"),
    *(_number(f"offset_{c}", f"brightness offset of {c.upper()}, linear light on [0, 1]", digits=EXACT) for c in "rgb"),
    _number("field_x", "illumination field: slope along x", digits=EXACT),
    _number("field_y", "illumination field: slope along y", digits=EXACT),
    _number("field_r2", "illumination field: radial term", digits=EXACT),
    _number(
        "ca_k_r",
        "magnification of red relative to green, less 1, that was corrected in HR (--correct-ca); 0: not corrected",
        digits=EXACT,
    ),
    _number("ca_k_b", "the same for blue", digits=EXACT),
    _text("lens_model", "lens correction that was applied, if any"),
    _text(
        "accepted_by",
        "qa, reviewer where a person overruled QA, or import for a pair of others; accepted scenes only",
        one_of=("", "qa", "reviewer", "import"),
    ),
    _number(
        "brightness_error_before",
        "mean absolute difference of HR and LR in linear light, over 6×6 blocks of the crop, before matching",
        "share of full range",
    ),
    _number("brightness_error_after", "the same difference after matching", "share of full range"),
    _size("sharpness_ratio", "sharpness of HR divided by sharpness of LR", ""),
    _share("clipped_fraction", "share of the crop's LR pixels that are saturated in a channel or next to such a pixel"),
    _text("hr_sha256", "SHA-256 of the published HR file"),
    _text("lr_sha256", "SHA-256 of the published LR file"),
    _text("hr_source_sha256", "SHA-256 of the HR capture"),
    _text("lr_source_sha256", "SHA-256 of the LR capture"),
    _added("scale_ratio", "scale_effective divided by scale"),
    _added(
        "anisotropy", "largest magnification divided by the smallest, over directions at the centre of the HR frame"
    ),
    _added("perspective_ratio", "largest magnification divided by the smallest, among the corners of the HR frame"),
    _added("crop_side_lr_px", "shorter side of the crop", "LR px"),
    _added(
        "ca_r_hr_px",
        "lateral chromatic aberration of HR: how far red lies outside green at the crop's corner",
        "HR px",
    ),
    _added("ca_b_hr_px", "the same for blue", "HR px"),
    _added("content_differs_fraction", "share of the crop where LR shows something other than HR"),
    _added("zncc_block_p50", "median correlation of the blocks, each after removal of its own shift"),
    _added("textured_fraction", "share of the unclipped blocks that have enough texture to measure a shift"),
    _text(
        "left_out_of",
        "split that the scene had when a reviewer left it out (split --decisions): train, test or unsplit; else empty",
        fixed=False,
        one_of=("", "train", "test", "unsplit"),
    ),
    _text(
        "residual_shape",
        "pattern of the residual field: uniform, affine, radial, bent or random; empty where there is no field",
        fixed=False,
        one_of=("", *RESIDUAL_SHAPES),
    ),
    _added(
        "off_centre_hr_px",
        "root mean square displacement over the crop that LR lens distortion leaves when the card is off centre",
        "HR px",
    ),
    _added("residual_shape_hr_px", "root mean square length of the pattern over the crop", "HR px"),
    _added(
        "residual_local_hr_px",
        "largest mean displacement of any ninth of the crop (of at least 3×3 blocks)",
        "HR px",
    ),
    _added(
        "residual_side_hr_px",
        "largest mean displacement of the outermost textured blocks along one side, less the part due to their scatter",
        "HR px",
    ),
    _added("residual_worst_hr_px", "largest length of the pattern over the crop; 0 for random", "HR px"),
    _text("message", "one line that explains the reasons to a person", fixed=False),
    _text("hr_profile", "colour profile that the HR capture was converted from; empty: none, it was sRGB", fixed=False),
    _text("lr_profile", "the same for the LR capture; only with --convert-lr-profile", fixed=False),
    _text(
        "recipe",
        "two fingerprints, joined by a dot: versions and settings of the estimate; settings of QA",
        fixed=False,
    ),
    _added(
        "detail_scale",
        "scale up to which HR holds detail; to 1: none beyond LR's Nyquist frequency; empty: not measured, or scale 1",
        "HR px / LR px",
    ),
    _added(
        "enlarged_by",
        "factor by which the HR capture was enlarged digitally, seen in the period of its second differences; empty: "
        "no period was seen",
    ),
    _added(
        "differing_hr_px",
        "how far across the largest connected place is where LR shows something other than HR; 0: there is none",
        "HR px",
    ),
    *(
        _added_lr_px(name, meaning)
        for name, meaning in (
            ("differing_x", "rectangle around this place in the LR capture: first column; empty where there is none"),
            ("differing_y", "its first row"),
            ("differing_width", "its width"),
            ("differing_height", "its height"),
        )
    ),
    _text(
        "started_from",
        "what registration started from: sift, or points that a person gave; empty where there is no estimate",
        fixed=False,
        one_of=("", "sift", "points"),
    ),
    _added(
        "colour_difference",
        "root mean square difference of a* and b* between LR and HR (as LR would see it) that remains after the fit",
        "CIELAB units",
    ),
    _added(
        "colour_ratio",
        "colour_difference divided by the standard deviation of the colours of LR or HR, the larger of both and 4",
    ),
    _added_share(
        "hr_clipped_fraction",
        "share of the crop's HR pixels that are saturated in a channel, before brightness was matched",
    ),
    *_of_both("tone", "tone curve of the capture; linear for camera RAW; empty where there is no estimate"),
    *_of_both("camera", "maker and model of the camera, from EXIF; empty where the file does not say"),
    *_of_both("lens", "lens, from EXIF"),
    *_taken_with("focal_mm", "focal length, from EXIF", "mm"),
    *_taken_with("exposure_s", "exposure time, from EXIF", "s", digits=".9g"),
    *_taken_with("f_number", "f-number, from EXIF", ""),
    *(
        dataclasses.replace(_count(f"{side}_iso", _of(side, "sensitivity (ISO), from EXIF")), fixed=False)
        for side in _SIDES
    ),
    *_of_both("developed", "how the capture was developed: program, version, settings; empty unless it is camera RAW"),
)

ALIGNMENT: tuple[Column, ...] = (
    SCENE,
    _count("iteration", "number of the stage, in order from 1", required=True),
    _text("stage", "rough, sift or direct", required=True, one_of=("rough", "sift", "direct")),
    _size("scale_effective", "HR px per LR px", "HR px / LR px"),
    _size("sigma_blur_hr_px", "standard deviation of the Gaussian blur that brings HR to LR's resolution", "HR px"),
    _count("n_keypoints_hr", "keypoints in HR"),
    _count("n_keypoints_lr", "keypoints in LR"),
    _count("n_matches", "matches"),
    _count("n_inliers", "matches that agree with the homography"),
    _size("reprojection_rmse_lr_px", "root mean square reprojection error of the inliers", "LR px"),
    _size(
        "update_mean_hr_px",
        "mean change of position since the previous stage, over the frame's central part",
        "HR px",
    ),
    _size(
        "update_max_hr_px",
        "largest change of position since the previous stage, over the frame's central part",
        "HR px",
    ),
    _size("residual_p50_hr_px", "median length of the residual shifts of the blocks", "HR px"),
    Column(
        name="zncc",
        kind="float",
        meaning="zero-mean normalised cross-correlation of LR with HR (as LR would see it) over the unclipped crop",
        at_least=-1,
        at_most=1,
    ),
    _number("gain_g", "brightness gain of green"),
    *HOMOGRAPHY,
    _number("k1_hr", "radial distortion coefficient of the HR capture", digits=EXACT),
    _text(
        "stopped", "how the stage ended: converged, failed, or empty where neither", one_of=("", "converged", "failed")
    ),
)

RESIDUALS: tuple[Column, ...] = (
    SCENE,
    Column(
        name="lr_x",
        kind="float",
        meaning="x of the block's centre in the LR capture",
        unit="LR px",
        digits=".3f",
        required=True,
    ),
    Column(
        name="lr_y",
        kind="float",
        meaning="y of the block's centre in the LR capture",
        unit="LR px",
        digits=".3f",
        required=True,
    ),
    Column(
        name="dx_hr_px",
        kind="float",
        meaning="where published HR has the content minus where LR has it, x",
        unit="HR px",
    ),
    Column(
        name="dy_hr_px",
        kind="float",
        meaning="where published HR has the content minus where LR has it, y",
        unit="HR px",
    ),
    _share("weight", "confidence, 0 to 1; 0 where a block has too little texture to measure a shift"),
)

TIMINGS: tuple[Column, ...] = (
    ONE_SCENE,
    Column(name="seconds", kind="float", meaning="wall time of the whole scene", unit="s", digits=".3f", at_least=0),
    Column(name="seconds_read", kind="float", meaning="time to read both captures", unit="s", digits=".3f", at_least=0),
    Column(name="seconds_align", kind="float", meaning="time to align them", unit="s", digits=".3f", at_least=0),
    Column(
        name="seconds_write",
        kind="float",
        meaning="time to write the published images",
        unit="s",
        digits=".3f",
        at_least=0,
    ),
    _text("finished", "date and time (UTC) when the scene was finished"),
    _text("host", "name of the machine that aligned the scene"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "manifest.csv": MANIFEST,
    "alignment.csv": ALIGNMENT,
    "residuals.csv": RESIDUALS,
    "timings.csv": TIMINGS,
}
"""Columns by file name, in the order they are written."""
