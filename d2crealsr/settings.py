"""Settings of the toolkit. Every default is written here once; the options of the command line come from here."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from d2crealsr.errors import SettingsError
from d2crealsr.types import Size

__all__ = [
    "CURVE",
    "MAX_DIFFERING_PLACE_HR_PX",
    "MIN_SIDE",
    "STRICT_SHARE",
    "AlignSettings",
    "CropRequest",
    "QaProfile",
    "RefineModel",
    "check_ranges",
    "crop_request",
    "is_tone",
    "scale_advice",
    "setting",
    "settings_from",
    "tones_by_camera",
]

CropRequest: TypeAlias = str
"""``"default"``, ``"max"`` or ``"WxH"`` in LR px."""

Interpolation: TypeAlias = Literal["cubic", "lanczos4"]

RefineModel: TypeAlias = Literal["none", "homography", "radial"]
"""What direct refinement fits: nothing, a homography, or a homography and the radial distortion of the HR lens."""

LensProfileOf: TypeAlias = Literal["none", "hr", "lr", "both"]

QaProfile: TypeAlias = Literal["strict", "default", "off"]
"""How QA uses its thresholds: tightened by :data:`STRICT_SHARE`, as they are set, or not at all."""

STRICT_SHARE = 0.5
"""Share of the distance between a perfect value and a threshold that the profile ``strict`` allows."""


MAX_DIFFERING_PLACE_HR_PX = 27.0
"""Largest extent of a place that differs, for QA and audit. A place of 36 HR px that differs by .15 of full scale
measures more at scale 8, even if only its colour differs."""

MIN_SIDE = 32
"""Smallest published LR side, in px; a smaller crop is rejected as ``crop_too_small``."""


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    group: str | None = None,
) -> Any:
    """A dataclass field with its own documentation and range. ``group`` is the title under which the help lists it."""
    metadata = {"doc": doc, "unit": unit, "at_least": at_least, "at_most": at_most, "group": group}
    return dataclasses.field(default=default, metadata=metadata)


_SIZE = re.compile(r"(\d{1,9})x(\d{1,9})")


def crop_request(text: CropRequest) -> Size | None:
    """The size requested by ``"WxH"``; None for ``"default"`` and ``"max"``."""
    if text in ("default", "max"):
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise SettingsError(f"crop: got {text!r:.80}, expected WxH in LR pixels (as 432x288), 'max' or 'default'")
    size = Size(int(match[1]), int(match[2]))
    if min(size) < MIN_SIDE:
        raise SettingsError(f"crop: got {text!r}, expected sides of at least {MIN_SIDE} LR pixels; change --crop")
    return size


_ALIGNMENT, _IMAGES, _RULES = "Alignment", "Published images", "Quality rules"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignSettings:
    """All settings of the alignment of a pair. Two runs with equal settings and inputs publish equal bytes."""

    scale: int = setting(8, "HR pixels per LR pixel of the published pairs.", at_least=1, at_most=16, group=_ALIGNMENT)
    iters: int = setting(
        3, "Number of SIFT registrations, including the first, rough one.", at_least=1, at_most=20, group=_ALIGNMENT
    )
    refine: RefineModel = setting(
        "radial", "Direct refinement after SIFT; radial also fits the distortion of the HR lens.", group=_ALIGNMENT
    )
    tone: str = setting(
        "srgb",
        "Tone curve of captures that are not linear: srgb, gamma=G with G from 1 to 3.5, auto for the likeliest of "
        "these, or a file ending in .json that `tone` wrote for these cameras. HR/LR for two curves.",
        group=_ALIGNMENT,
    )
    undistort_hr: float = setting(
        0.0,
        "Radial distortion k1 of the HR lens, from which refinement starts.",
        at_least=-0.3,
        at_most=0.3,
        group=_ALIGNMENT,
    )
    undistort_lr: float = setting(
        0.0, "Radial distortion k1 of the LR lens.", at_least=-0.3, at_most=0.3, group=_ALIGNMENT
    )
    lens_profile: LensProfileOf = setting(
        "none",
        "Take k1 of these captures from the lensfun database, by their EXIF data. Needs the extra lens.",
        group=_ALIGNMENT,
    )
    correct_ca: bool = setting(
        False, "Correct lateral chromatic aberration of the HR lens where it is certain.", group=_ALIGNMENT
    )
    interpolation: Interpolation = setting(
        "cubic", "Kernel that warps the published HR; lanczos4 is sharper and slower.", group=_IMAGES
    )
    crop: CropRequest = setting(
        "default",
        "Size of the crop in LR: WxH, max, or default, which is 57.6 % of the width and height of the HR frame there.",
        unit="LR px",
        group=_IMAGES,
    )
    brightness: bool = setting(True, "Bring the published HR to the brightness of LR.", group=_IMAGES)
    qa_profile: QaProfile = setting(
        "default",
        "How the thresholds below are used: strict halves what they allow, off rejects nothing that can be published.",
        group=_RULES,
    )
    convert_lr_profile: bool = setting(
        False,
        "Convert LR captures of another colour profile to sRGB instead of refusing them. HR is always converted.",
        group=_IMAGES,
    )
    max_residual_p50: float = setting(
        0.75, "Largest median residual of an accepted pair.", unit="HR px", at_least=0, group=_RULES
    )
    max_residual_p95: float = setting(
        2.5, "Largest 95th percentile of the residuals of an accepted pair.", unit="HR px", at_least=0, group=_RULES
    )
    max_residual_local: float = setting(
        0.8,
        "Largest mean residual of an accepted pair in any ninth of the crop.",
        unit="HR px",
        at_least=0,
        group=_RULES,
    )
    max_residual_side: float = setting(
        0.3,
        "Largest mean residual of an accepted pair along any side of the crop.",
        unit="HR px",
        at_least=0,
        group=_RULES,
    )
    max_residual_worst: float = setting(
        0.9,
        "Largest displacement that the pattern of the residuals of an accepted pair may show.",
        unit="HR px",
        at_least=0,
        group=_RULES,
    )
    max_sigma: float = setting(
        0.25, "Largest predicted standard error of an accepted pair.", unit="HR px", at_least=0, group=_RULES
    )
    max_off_centre: float = setting(
        0.25,
        "Largest displacement by the LR lens in an accepted pair whose card is not in the middle of LR.",
        unit="HR px",
        at_least=0,
        group=_RULES,
    )
    max_differing: float = setting(
        0.012, "Largest share of the crop that may show different content in LR.", at_least=0, at_most=1, group=_RULES
    )
    max_differing_place: float = setting(
        MAX_DIFFERING_PLACE_HR_PX,
        "Largest extent of a connected place that may show different content in LR, as seen at LR's resolution.",
        unit="HR px",
        at_least=0,
        group=_RULES,
    )
    max_colour_ratio: float = setting(
        0.2,
        "Largest difference of the colours of an accepted pair, as a share of their standard deviation.",
        at_least=0,
        group=_RULES,
    )
    max_clipped: float = setting(
        0.97, "Largest share of the crop that may be clipped in LR.", at_least=0, at_most=1, group=_RULES
    )
    max_hr_clipped: float = setting(
        0.07, "Largest share of the crop that may be clipped in HR.", at_least=0, at_most=1, group=_RULES
    )
    max_anisotropy: float = setting(
        1.05, "Largest ratio of the magnifications in two directions at the centre.", at_least=1, group=_RULES
    )
    max_perspective: float = setting(
        1.05, "Largest ratio of the magnifications at two corners.", at_least=1, group=_RULES
    )
    min_scale_ratio: float = setting(
        0.9, "Smallest ratio of the measured scale to the requested one.", at_least=0, group=_RULES
    )
    max_scale_ratio: float = setting(
        1.25, "Largest ratio of the measured scale to the requested one.", at_least=0, group=_RULES
    )
    min_sharpness: float = setting(
        1.0,
        "Smallest ratio of the detail of HR to that of LR, at the finest scale that LR can show.",
        at_least=0,
        group=_RULES,
    )
    min_detail: float = setting(
        0.243,
        "How far the detail of HR must reach, as a share of the scale: its detail_scale divided by the scale.",
        at_least=0,
        at_most=1,
        group=_RULES,
    )
    min_zncc: float = setting(
        0.8, "Median correlation of the blocks below which the captures show different scenes.", at_most=1, group=_RULES
    )
    min_textured: float = setting(
        0.5, "Smallest share of blocks with enough texture to measure a residual.", at_most=1, group=_RULES
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        crop_request(self.crop)
        check_tone(self.tone)
        for side, k1 in (("hr", self.undistort_hr), ("lr", self.undistort_lr)):
            if k1 and self.lens_profile in (side, "both"):
                raise SettingsError(
                    f"undistort_{side}: got {k1:g} and a lens profile; leave out --undistort-{side} or --lens-profile"
                )
        if self.refine == "none" and (self.undistort_hr or self.undistort_lr or self.lens_profile != "none"):
            raise SettingsError(
                "undistort: SIFT alone cannot take a lens into account; use --refine homography or radial"
            )


def settings_from(values: Mapping[str, Any], where: str) -> AlignSettings:
    """Settings from a description. A missing setting has its default, and unknown names are ignored.

    Raises
    ------
    SettingsError
        For a value of the wrong type or out of its range. The text begins with ``where``.
    """
    hints = get_type_hints(AlignSettings)
    known: dict[str, Any] = {name: value for name, value in values.items() if name in hints}
    for name, value in list(known.items()):
        kind = hints[name] if isinstance(hints[name], type) else str
        fits = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
        if not fits:
            raise SettingsError(
                f"{where}: setting {name} is {value!r:.80}, expected a {kind.__name__}; restore the file, or correct it"
            )
        known[name] = kind(value)
    if (match := _SIZE.fullmatch(known.get("crop", ""))) and min(map(int, match.groups())) < MIN_SIDE:
        del known["crop"]  # earlier versions took it, and published nothing by it
    try:
        return AlignSettings(**known)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def scale_advice(effective: float) -> str:
    """Advice for captures whose scale is not the requested one; ``effective`` is in HR px per LR px."""
    return f"the captures look x{effective:.1f}; use --scale {min(max(round(effective), 1), 16)}"


_GAMMA = re.compile(r"gamma=(\d+(?:\.\d+)?)")
_NUMBER = r"-?\d{1,2}(?:\.\d{1,6})?"
CURVE = re.compile(rf"curve=({_NUMBER}(?::{_NUMBER}){{2,15}})")
"""The name of a curve of :mod:`d2crealsr.imaging.tone_family`: its 3 to 16 numbers."""


def is_tone(tone: str) -> bool:
    """Whether a text names one tone curve: ``"srgb"``, ``"gamma=G"`` or ``"curve=A:B:C…"``."""
    gamma = _GAMMA.fullmatch(tone)
    return tone == "srgb" or bool(CURVE.fullmatch(tone)) or bool(gamma and 1 <= float(gamma[1]) <= 3.5)


def tones_by_camera(tone: str) -> dict[str, str]:
    """The tone curves of a setting that names one for each camera, as JSON text; empty for every other setting.

    Examples
    --------
    >>> tones_by_camera('{"Canon EOS R6": "curve=0:0.25:0"}')
    {'Canon EOS R6': 'curve=0:0.25:0'}
    """
    if not tone.startswith("{"):
        return {}
    try:
        found = json.loads(tone)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found or not all(isinstance(t, str) and is_tone(t) for t in found.values()):
        raise SettingsError(f"tone: got {tone:.80}, expected a curve for each camera in JSON; give the file by --tone")
    return found


def check_tone(tone: str) -> None:
    """Raise :class:`SettingsError` unless ``tone`` is one of what the setting of this name allows."""
    if tone == "auto" or tone.endswith(".json") or tones_by_camera(tone):
        return
    if tone.count("/") > 1 or not all(is_tone(one) for one in tone.split("/")):
        raise SettingsError(
            f"tone: got {tone!r:.80}, expected srgb, auto or gamma=G with G from 1 to 3.5, or a file of d2crealsr "
            "tone, whose name ends in .json; change --tone"
        )


def check_ranges(settings: Any) -> None:
    """Raise :class:`SettingsError` for the first field of another type or outside its range or choices.

    A number of NumPy, which JSON does not know, becomes one of Python.
    """
    hints = get_type_hints(type(settings))
    for f in dataclasses.fields(settings):
        given, low, high = getattr(settings, f.name), f.metadata.get("at_least"), f.metadata.get("at_most")
        value = _typed(f.name, given, hints[f.name])
        if value is not given:
            object.__setattr__(settings, f.name, value)
        choices = get_args(hints[f.name]) if get_origin(hints[f.name]) is Literal else ()
        if choices and not (isinstance(value, str) and value in choices):
            raise SettingsError(f"{f.name}: got {value!r:.80}, expected one of {', '.join(choices)}")
        if isinstance(value, float) and not math.isfinite(value):
            option = "--" + f.name.replace("_", "-")
            raise SettingsError(f"{f.name}: got {value}, expected a finite number; change {option}")
        if (low is not None and value < low) or (high is not None and value > high):
            wanted = f"{low} to {high}" if high is not None else f"at least {low}"
            option = "--" + f.name.replace("_", "-")
            raise SettingsError(f"{f.name}: got {value}, expected {wanted}; change {option}")


_KINDS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
    tuple[str, ...]: ((tuple, list), "a tuple of texts"),
}
"""By the type hint of a field: the types whose values it takes, and what they are called."""


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value in the type of its field; raises :class:`SettingsError` if it is none."""
    numpy = sys.modules.get("numpy")  # settings are read where nothing else needs it
    plain = value.item() if numpy is not None and isinstance(value, numpy.generic) else value
    if hint not in _KINDS:
        return plain
    kinds, wanted = _KINDS[hint]
    fits = isinstance(plain, kinds) and isinstance(plain, bool) == (hint is bool)
    several = fits and isinstance(plain, (tuple, list))
    if not fits or (several and not all(isinstance(each, str) for each in plain)):
        raise SettingsError(f"{name}: got {value!r:.80}, expected {wanted}")
    if several:
        return tuple(plain)
    if isinstance(plain, (str, int, float)):
        return plain
    return int(plain) if hint is int else float(plain)
