"""The columns of every table in a pairs folder, each said once: name, kind, unit, meaning, number format.

The schema that is checked on writing and reading, the written order and the tables of ``docs/pairs-format.md`` all
follow from these tuples.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

from d2crealsr.store.shapes import RESIDUAL_SHAPES

__all__ = ["ALIGNMENT", "HOMOGRAPHY", "MANIFEST", "RESIDUALS", "TABLES", "TIMINGS", "Column", "Kind", "markdown"]

Kind: TypeAlias = Literal["text", "int", "float"]

EXACT = ".17g"
"""Digits that bring a double back bit by bit: what a published file can be rebuilt from."""
MICRO = ".6f"
"""A millionth of the unit: far below what any of the measured numbers means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    digits : str
        Python format specification of a float; fixes the bytes that are written.
    required : bool
        Whether a cell may not be empty.
    fixed : bool
        Part of the format's fixed columns, which stand in every table of this version; the others are optional to read.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    digits: str = MICRO
    required: bool = False
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    unique: bool = False
    fixed: bool = True

    def expected(self) -> str:
        """What a cell may hold, in words for an error message."""
        if self.one_of:
            return "one of " + ", ".join(repr(choice) for choice in self.one_of)
        words = {"text": "text", "int": "a whole number", "float": "a number"}[self.kind]
        if self.at_least is not None:
            words += f" of at least {self.at_least:g}"
        if self.at_most is not None:
            words += f" {'and' if self.at_least is not None else 'of'} at most {self.at_most:g}"
        return words if self.required else words + " or nothing"


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


def _share(name: str, meaning: str) -> Column:
    return Column(name=name, kind="float", meaning=meaning, at_least=0, at_most=1)


SCENE = _text("scene", "name of the scene, text", required=True)
ONE_SCENE = dataclasses.replace(SCENE, unique=True)

HOMOGRAPHY = tuple(
    _number(f"h{row}{column}", f"H_hr_to_lr[{row}, {column}]", digits=EXACT) for row in range(3) for column in range(3)
)

MANIFEST: tuple[Column, ...] = (
    ONE_SCENE,
    _text(
        "status",
        "accepted; rejected: there is an estimate and QA says no; failed: there is no estimate",
        required=True,
        one_of=("accepted", "rejected", "failed"),
    ),
    _text("reasons", "stable reason codes, joined by ;, also those that a reviewer overruled"),
    _text("split", "train, test or empty", one_of=("", "train", "test")),
    _text("group", "what must not be torn apart by a split: the printed picture", required=True),
    Column(name="scale", kind="int", meaning="HR pixels per LR pixel", required=True, at_least=1, at_most=16),
    _text("hr_path", "published HR image, relative to the folder; accepted scenes only"),
    _text("lr_path", "published LR image, relative to the folder; accepted scenes only"),
    _text("hr_source", "HR capture, relative to raw_root"),
    _text("lr_source", "LR capture, relative to raw_root"),
    _count("lr_x", "first column of the crop in the LR capture", unit="LR px"),
    _count("lr_y", "first row of the crop in the LR capture", unit="LR px"),
    _count("lr_width", "width of the crop", unit="LR px", at_least=1),
    _count("lr_height", "height of the crop", unit="LR px", at_least=1),
    *HOMOGRAPHY,
    _number("k1_hr", "radial distortion of the HR capture", digits=EXACT),
    _number("k1_lr", "radial distortion of the LR capture", digits=EXACT),
    _size("scale_effective", "HR px per LR px that the captures really have, at the crop's centre", "HR px / LR px"),
    _number("rotation_deg", "rotation from HR to LR", "degrees"),
    _size("card_offset", "distance of the HR frame's centre from the LR frame's centre", "LR px"),
    _count("n_keypoints_hr", "keypoints in HR, last registration"),
    _count("n_keypoints_lr", "keypoints in LR, last registration"),
    _count("n_matches", "matches, last registration"),
    _count("n_inliers", "matches that agree with the homography"),
    _size("reprojection_rmse_lr_px", "inliers' root mean square reprojection error; blind to a constant bias", "LR px"),
    _size("residual_p50_hr_px", "median length of the block-wise residual shifts", "HR px"),
    _size("residual_p95_hr_px", "95th percentile of their length", "HR px"),
    _size(
        "sigma_hr_px",
        "predicted standard error of the position over the crop: what the fit does not know and is seen to leave",
        "HR px",
    ),
    Column(
        name="zncc",
        kind="float",
        meaning="zero-mean normalised cross-correlation of LR and HR as LR would see it, over the unclipped crop",
        at_least=-1,
        at_most=1,
    ),
    _text("tone", "tone curve by which the captures were linearised"),
    *(_number(f"gain_{c}", f"brightness gain of {c.upper()}, linear light", digits=EXACT) for c in "rgb"),
    *(_number(f"offset_{c}", f"brightness offset of {c.upper()}, linear light on [0, 1]", digits=EXACT) for c in "rgb"),
    _number("field_x", "illumination field: its slope along x", digits=EXACT),
    _number("field_y", "illumination field: its slope along y", digits=EXACT),
    _number("field_r2", "illumination field: its radial term", digits=EXACT),
    _number(
        "ca_k_r",
        "magnification of red over green in the HR capture that was taken out (--correct-ca); else 0",
        digits=EXACT,
    ),
    _number("ca_k_b", "the same of blue", digits=EXACT),
    _text("lens_model", "lens correction that was applied, if any"),
    _text(
        "accepted_by",
        "qa, or reviewer where a person overruled the reasons; accepted scenes only",
        one_of=("", "qa", "reviewer"),
    ),
    _number(
        "brightness_error_before", "mean brightness difference of HR and LR before matching", "share of full range"
    ),
    _number("brightness_error_after", "the same after matching", "share of full range"),
    _size("sharpness_ratio", "sharpness of HR over that of LR", ""),
    _share("clipped_fraction", "share of the crop that is saturated in LR"),
    _text("hr_sha256", "SHA-256 of the published HR file"),
    _text("lr_sha256", "SHA-256 of the published LR file"),
    _text("hr_source_sha256", "SHA-256 of the HR capture"),
    _text("lr_source_sha256", "SHA-256 of the LR capture"),
    _added("scale_ratio", "scale_effective over scale"),
    _added("anisotropy", "largest over smallest magnification at the frame's centre"),
    _added("perspective_ratio", "largest over smallest magnification among the frame's corners"),
    _added("crop_side_lr_px", "shorter side of the crop that both captures allow", "LR px"),
    _added(
        "ca_r_hr_px",
        "how far outwards red lies of green at the crop's corner in the HR capture (lateral chromatic aberration)",
        "HR px",
    ),
    _added("ca_b_hr_px", "the same of blue", "HR px"),
    _added("content_differs_fraction", "share of the crop where LR shows something else than HR"),
    _added("zncc_block_p50", "median correlation of the blocks once each one's shift is taken out"),
    _added("textured_fraction", "share of the crop's blocks with enough texture to measure a shift"),
    _text(
        "left_out_of",
        "what a reviewer took the scene out of (split --decisions): train, test or unsplit; empty: nothing",
        fixed=False,
        one_of=("", "train", "test", "unsplit"),
    ),
    _text(
        "residual_shape",
        "pattern of the residual field, in words below: uniform, affine, radial, bent or random; empty without a field",
        fixed=False,
        one_of=("", *RESIDUAL_SHAPES),
    ),
    _added(
        "off_centre_hr_px",
        "what a distorting LR lens still leaves over the crop because the card is off its middle, root mean square",
        "HR px",
    ),
    _added("residual_shape_hr_px", "root mean square length of what that shape describes, over the crop", "HR px"),
    _added("residual_local_hr_px", "largest mean displacement of a ninth of the crop, at least 3×3 blocks", "HR px"),
    _added(
        "residual_side_hr_px",
        "largest mean displacement along a side of the crop (the outermost blocks with texture), less scatter's share",
        "HR px",
    ),
    _added("residual_worst_hr_px", "largest length of what that shape describes over the crop; 0 for random", "HR px"),
    _text("message", "one line for a person, where a scene has reasons", fixed=False),
    _text("hr_profile", "colour profile that the HR capture was converted from; empty: it was sRGB", fixed=False),
    _text("lr_profile", "the same of the LR capture; only with --convert-lr-profile", fixed=False),
    _text(
        "recipe",
        "fingerprints of what the row was made with: versions and settings of the estimate, a dot, settings of QA",
        fixed=False,
    ),
)

ALIGNMENT: tuple[Column, ...] = (
    SCENE,
    _count("iteration", "number of the registration, in order", required=True),
    _text("stage", "rough, sift or direct", required=True, one_of=("rough", "sift", "direct")),
    _size("scale_effective", "HR px per LR px", "HR px / LR px"),
    _size("sigma_blur_hr_px", "blur of HR that was matched against LR", "HR px"),
    _count("n_keypoints_hr", "keypoints in HR"),
    _count("n_keypoints_lr", "keypoints in LR"),
    _count("n_matches", "matches"),
    _count("n_inliers", "matches that agree with the homography"),
    _size("reprojection_rmse_lr_px", "inliers' root mean square reprojection error", "LR px"),
    _size("update_mean_hr_px", "mean shift over the crop against the row before", "HR px"),
    _size("update_max_hr_px", "largest shift over the crop against the row before", "HR px"),
    _size("residual_p50_hr_px", "median length of the block-wise residual shifts", "HR px"),
    Column(
        name="zncc",
        kind="float",
        meaning="zero-mean normalised cross-correlation over the crop's unclipped pixels",
        at_least=-1,
        at_most=1,
    ),
    _number("gain_g", "brightness gain of green"),
    *HOMOGRAPHY,
    _number("k1_hr", "radial distortion of the HR capture", digits=EXACT),
    _text("stopped", "empty, converged or failed", one_of=("", "converged", "failed")),
)

RESIDUALS: tuple[Column, ...] = (
    SCENE,
    Column(
        name="lr_x",
        kind="float",
        meaning="block's centre in the LR capture, x",
        unit="LR px",
        digits=".3f",
        required=True,
    ),
    Column(
        name="lr_y",
        kind="float",
        meaning="block's centre in the LR capture, y",
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
    _share("weight", "confidence; 0 where a block has no texture to measure with"),
)

TIMINGS: tuple[Column, ...] = (
    ONE_SCENE,
    Column(name="seconds", kind="float", meaning="wall time of the scene", unit="s", digits=".3f", at_least=0),
    Column(name="seconds_read", kind="float", meaning="reading both captures", unit="s", digits=".3f", at_least=0),
    Column(name="seconds_align", kind="float", meaning="aligning them", unit="s", digits=".3f", at_least=0),
    Column(
        name="seconds_write", kind="float", meaning="writing the published images", unit="s", digits=".3f", at_least=0
    ),
    _text("finished", "date and time (UTC) when the scene was done"),
    _text("host", "machine that did it"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "manifest.csv": MANIFEST,
    "alignment.csv": ALIGNMENT,
    "residuals.csv": RESIDUALS,
    "timings.csv": TIMINGS,
}
"""Columns by file name, in the order they are written."""


def markdown(columns: tuple[Column, ...]) -> str:
    """The columns as a Markdown table, as it stands in the documentation of the format."""
    lines = ["| column | kind | unit | meaning |", "|---|---|---|---|"]
    for column in columns:
        added = "" if column.fixed else " (optional to read)"
        lines.append(f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning}{added} |")
    return "\n".join(lines)
