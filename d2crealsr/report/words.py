"""What the report says beside its figures: what each shows, how better and worse look, what to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FIGURES", "REASONS", "Explanation", "Fix"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Words beside a figure."""

    shows: str
    better: str
    worse: str
    todo: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A reason code: what it means and what helps."""

    means: str
    helps: str


FIGURES = {
    "compare": Explanation(
        "LR against HR blurred to LR's resolution and brought to its brightness, so that what differs is position.",
        "Nothing moves when you blink; edges go on across the checkerboard; the difference is white with grey noise.",
        "Edges jump; lines break at the slider; edges in the difference are double, blue beside orange.",
        "Step through the stages: where it goes wrong first is the step to look at. Coloured patches without double "
        "edges are content: a hand, a reflection, a shadow.",
    ),
    "residuals": Explanation(
        "The displacement left in each block: an arrow from where LR has the content to where HR has it, its length in "
        "colour. Faint blocks have little texture.",
        "Short arrows in all directions: noise of the measurement.",
        "Arrows that agree with their neighbours. Their pattern names the cause.",
        "See the shape named above the field.",
    ),
    "photometry": Explanation(
        "How often each HR brightness meets each LR brightness, before and after matching; without clipped pixels.",
        "After matching, one narrow line along the diagonal.",
        "A bent line: the tone curve is not what was assumed. Two lines: light changed in part of the picture. A wide "
        "band: misaligned or different content.",
        "Bent: try --tone auto. Two lines: shoot both under the same light.",
    ),
    "residual-distribution": Explanation(
        "Share of pairs whose median (p50) and 95th percentile (p95) residual stay below a value.",
        "Both curves rise early and steeply.",
        "A long tail to the right: a few pairs are much worse than the rest.",
        "Sort the contact sheet by residual p95 and look at the tail.",
    ),
    "stages": Explanation(
        "Median residual of each pair after each stage, and the median over pairs.",
        "Lines fall and the last stage is the lowest.",
        "A line that rises, or one that never falls: that pair settled on something wrong.",
        "Open the pair and step through its stages.",
    ),
    "geometry": Explanation(
        "The scale that the captures really have, and how far one is turned against the other.",
        "One tight cluster: camera and zoom stayed as they were.",
        "Pairs far from the others: the zoom slipped, or the fit is wrong.",
        "Open the outliers; where many are off, fix the tripod or choose another --scale.",
    ),
    "sharpness": Explanation(
        "How much sharper HR is than LR, against the residual left.",
        "Well above 1 throughout.",
        "Near 1: HR is out of focus or shaken, and there is nothing to learn from the pair.",
        "Reshoot pairs near 1 with the long lens in focus.",
    ),
    "inliers": Explanation(
        "Keypoint matches that agree with the mapping, against the residual left.",
        "Hundreds of inliers.",
        "Few inliers and a large residual: the card has little texture or something covers it.",
        "Print pictures with detail all over.",
    ),
    "spectrum": Explanation(
        "Amplitude spectrum of HR over LR's by spatial frequency up to LR's limit: median over accepted pairs, and the "
        "middle 80 %.",
        "Begins at 1 and rises: that is the detail super-resolution has to restore.",
        "Flat at 1: HR is no sharper than LR. Not 1 at low frequency: brightness does not match.",
        "Check focus of the HR shots; look at pairs with a small sharpness ratio.",
    ),
}

REASONS = {
    "implausible_homography": Fix(
        "The mapping stretches or tilts the card more than two shots from one place can.",
        "Hold the camera square to the card; if the tilt is real, raise --max-anisotropy or --max-perspective.",
    ),
    "scale_mismatch": Fix(
        "The captures' own scale is too far from the one asked for.", "Choose another --scale, or another zoom."
    ),
    "crop_too_small": Fix(
        "Both captures share too small a part of the card.", "Centre the card in LR, or ask for a smaller --crop."
    ),
    "low_texture": Fix(
        "Too little detail to find or to check the position with.", "Print pictures with detail all over."
    ),
    "clipped": Fix("Next to nothing of LR is left below saturation.", "Expose LR less."),
    "content_mismatch": Fix(
        "Somewhere LR shows something else than HR: a hand, a reflection, a shadow.",
        "Clear the scene and shoot both from the same light.",
    ),
    "position_uncertain": Fix(
        "The predicted error of the mapping is too large.",
        "Print pictures with detail all over; avoid clipping and covering.",
    ),
    "not_same_scene": Fix(
        "After alignment HR does not look like LR.", "Check that both captures show the same card, then reshoot."
    ),
    "residual_too_large": Fix(
        "The displacement left between HR and LR is too large.",
        "See the shape of its residual field; a card that is bent, moved or curls up at a side needs a reshoot.",
    ),
    "hr_not_sharper": Fix(
        "HR holds no more detail than LR: there is nothing to learn from the pair.",
        "Reshoot HR in focus, without shake; check that HR and LR were not exchanged.",
    ),
    "card_off_centre": Fix(
        "The card lies too far from the middle of the LR frame, where the lens distorts.",
        "Centre the card in the LR shot, or give the lens' distortion.",
    ),
    "lens_unknown": Fix(
        "The lens profile asked for needs camera, lens and focal length, and the capture or the database lacks them.",
        "Keep EXIF data and the whole frame; or give k1 by --undistort-hr and --undistort-lr.",
    ),
    "missing_hr": Fix("There is no HR capture of this scene.", "Name it like its partner, and run align again."),
    "missing_lr": Fix("There is no LR capture of this scene.", "Name it like its partner, and run align again."),
    "unreadable": Fix(
        "A capture is empty, truncated, damaged or of a kind that is not read.",
        "Copy it from the camera again, or export it as RGB of 8 or 16 bits.",
    ),
    "unsupported_image": Fix(
        "A capture is no RGB or grey picture of 8 or 16 bits.", "Export it as one opaque RGB picture of 8 or 16 bits."
    ),
    "colour_profile": Fix(
        "A capture has a colour profile that cannot be left as it is.",
        "Shoot or export sRGB; --convert-lr-profile converts LR's colours.",
    ),
    "too_large": Fix(
        "A capture's header promises more pixels than are read.", "Check the file, or raise --max-megapixels."
    ),
    "too_small": Fix("A capture is smaller than what can be aligned.", "Shoot it whole, at the camera's full size."),
    "out_of_memory": Fix("The scene needs more memory than there is.", "Run again with fewer --jobs."),
    "worker_died": Fix(
        "The scene's worker process was killed, mostly because memory ran out.", "Run again with fewer --jobs."
    ),
    "hr_lr_swapped": Fix("HR is not found in LR, but LR is in HR.", "Exchange the two files."),
    "too_few_matches": Fix(
        "Too few matches agree on one plausible position.", "Check that both captures show one card, then reshoot."
    ),
    "internal_error": Fix("Something unforeseen happened.", "Report it with errors.log of the pairs folder."),
}
