"""Reason codes in words: what each means, and what to do about it.

The module holds only text, so that reports and documentation can use it without numeric code. The statistic and the
threshold of each code of QA are a line of :data:`d2crealsr.quality.verdict.RULES`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REASONS", "ReasonInWords"]


class ReasonInWords(NamedTuple):
    """What a reason code means, and what helps."""

    means: str
    helps: str


REASONS = {
    "implausible_homography": ReasonInWords(
        "The mapping stretches or tilts the card more than is possible for two shots of a flat card from one "
        "place. Anisotropy is the largest magnification divided by the smallest at the frame's centre; "
        "perspective_ratio is the same among its corners.",
        "Hold the camera square to the card; if the strong tilt is intended, raise --max-anisotropy or "
        "--max-perspective.",
    ),
    "scale_mismatch": ReasonInWords(
        "The measured scale of the captures, divided by the requested scale, is out of range: detail would be "
        "invented or lost.",
        "Choose another --scale or another zoom.",
    ),
    "crop_too_small": ReasonInWords(
        "The part of the printed picture that both captures show is too small: its shorter side has fewer LR pixels "
        "than the threshold. Printed borders, the desk, a sleeve and fingers are not part of the picture.",
        "Centre the card in LR, let the picture fill the HR frame, clear it, or ask for a smaller --crop.",
    ),
    "clipped": ReasonInWords(
        "A capture is saturated: almost all of LR (clipped_fraction, LR's share of the crop), or too much of HR "
        "(hr_clipped_fraction, HR's share), whose detail is lost there. The message names the number.",
        "Expose LR less if the message names clipped_fraction, and HR less if it names hr_clipped_fraction.",
    ),
    "low_texture": ReasonInWords(
        "A failed scene: HR or LR has too little detail to find one in the other. A rejected pair: too few blocks of "
        "the crop have enough detail to measure their position. The mapping may be right, but nothing confirms it. "
        "textured_fraction is the share of blocks with enough detail.",
        "Print pictures with detail all over.",
    ),
    "not_same_scene": ReasonInWords(
        "After alignment, HR reduced to LR's resolution does not look like LR: the median correlation of the "
        "blocks is too low.",
        "Check that both captures show the same card, then reshoot.",
    ),
    "content_mismatch": ReasonInWords(
        "Somewhere in the crop LR shows something other than HR: a hand, a reflection, a shadow, a date imprint. "
        "content_differs_fraction is the share of the crop where the encoded luma of LR and HR, blurred by 1.5 LR "
        "px, differs by more than .03 plus half the local contrast. differing_hr_px is how far across the largest "
        "connected place is where a colour channel, blurred by 8 HR px, differs by more than .05 plus .15 of the "
        "local contrast; the message and the columns differing_x to differing_height say where it is.",
        "Clear the scene; take both shots under the same light.",
    ),
    "colour_mismatch": ReasonInWords(
        "LR has other colours than HR, after gain and offset of each channel were matched: one of the captures is in "
        "black and white or less saturated, its channels are exchanged, or another camera or picture style developed "
        "it. colour_ratio is the root mean square difference of a* and b* (colour_difference, both images blurred by 4 "
        "LR px), divided by the standard deviation of the colours themselves.",
        "Take both shots with one camera and one picture style, in colour, and develop them with the same settings.",
    ),
    "position_uncertain": ReasonInWords(
        "The predicted standard error of the mapping, sigma_hr_px, is too large, or direct refinement found no "
        "position at all. Causes are too little texture, too much clipping or too much differing content.",
        "Print pictures with detail all over; avoid clipping and keep the card uncovered.",
    ),
    "card_off_centre": ReasonInWords(
        "The card lies off the middle of LR, where the distortion of the LR lens bends it in a way that neither a "
        "homography nor the HR lens can follow. off_centre_hr_px is the displacement that this leaves over the "
        "crop; --refine radial fits the distortion (k1_lr) and hardly ever leaves any.",
        "Put the card in the middle of LR; otherwise use --refine radial, or give --undistort-lr or --lens-profile lr.",
    ),
    "residual_too_large": ReasonInWords(
        "The displacement that remains between HR and LR is too large in one of five statistics: the median of the"
        " blocks, their 95th percentile, the mean of the worst ninth of the crop, the mean along its worst side, "
        "or the largest displacement of the fitted pattern.",
        "The shape of the residual field (residual_shape) names the kind of error and what helps against it. If "
        "only one side is displaced, the card curls up there: press it flat, or take a smaller --crop.",
    ),
    "hr_not_sharper": ReasonInWords(
        "HR holds hardly any detail that LR could not show, so a network cannot learn anything from the pair: it has "
        "no more than LR at the finest scale that LR can show (sharpness_ratio), or its own detail ends at a scale "
        "that is hardly finer than LR (detail_scale). The cause is digital zoom, defocus, shake, a coarse print, a "
        "picture without fine detail, or an exchange of HR and LR.",
        "Zoom with the lens and switch digital zoom off (enlarged_by has the factor where it left traces); reshoot HR "
        "in focus and without shake; print finer, with detail all over; check whether HR and LR are exchanged.",
    ),
    "missing_hr": ReasonInWords(
        "The scene has no HR capture.",
        "Name it like its LR capture, and run align again.",
    ),
    "missing_lr": ReasonInWords(
        "The scene has no LR capture.",
        "Name it like its HR capture, and run align again.",
    ),
    "unreadable": ReasonInWords(
        "A capture is empty, truncated, damaged, of an unknown format, or may not be read; the message has the "
        "details.",
        "Copy it from the camera again, or export it as RGB of 8 or 16 bits.",
    ),
    "extra_missing": ReasonInWords(
        "Reading the format of a capture needs a package that is not installed; the message names it. The next run "
        "tries the scene again.",
        "Install the extra that the message names.",
    ),
    "unsupported_image": ReasonInWords(
        "A capture is not an RGB or grey picture of 8 or 16 bits; examples are a palette, CMYK, Lab, floating "
        "point, transparent pixels, and several pictures in one file.",
        "Export it as one opaque RGB picture of 8 or 16 bits.",
    ),
    "colour_profile": ReasonInWords(
        "LR has a colour profile that is not sRGB (it differs by more than 3 of 255 levels); or HR has such a "
        "profile and 16 bits; or a profile is damaged.",
        "Shoot or export sRGB; --convert-lr-profile converts the colours of LR.",
    ),
    "too_large": ReasonInWords(
        "The header announces more than 200 million pixels (--max-megapixels), or a side above 32,766; nothing is "
        "decoded.",
        "Check the file, or raise --max-megapixels.",
    ),
    "too_small": ReasonInWords(
        "The shorter side of a capture has fewer than 32 pixels.",
        "Shoot the card again at the camera's full size, without cropping.",
    ),
    "hr_lr_swapped": ReasonInWords(
        "HR is not found in LR, but LR is found in HR, at the requested scale (at least 12 matches agree); this is"
        " not checked at scale 1.",
        "Exchange the two files.",
    ),
    "too_few_matches": ReasonInWords(
        "Fewer than 12 matches agree on one plausible position.",
        "Check that both captures show the same card, then reshoot; or click corresponding points in the report and "
        "give them with --points.",
    ),
    "points_do_not_fit": ReasonInWords(
        "The points given with --points lie outside of a capture, or they place HR where no camera can have seen it: "
        "mirrored, folded, or in a strong tilt.",
        "Check that both points of each pair show the same spot, and give the scene's points again with --points.",
    ),
    "lens_unknown": ReasonInWords(
        "--lens-profile cannot be applied: the capture names no camera and focal length, or it was cropped, or the"
        " database of lensfun does not have the camera or the lens.",
        "Keep the EXIF data and the whole frame; update the database, or give k1 with --undistort-hr and "
        "--undistort-lr.",
    ),
    "tone_unknown": ReasonInWords(
        "--tone names a file of tone curves, and the camera of a capture has none in it.",
        "Run d2crealsr tone on captures of this camera, and give its file with --tone.",
    ),
    "out_of_memory": ReasonInWords(
        "The scene needs more memory than there is. The next run tries it again.",
        "Use fewer --jobs, or a machine with more memory.",
    ),
    "worker_died": ReasonInWords(
        "The worker process of the scene was killed twice, the second time while it worked on nothing else. "
        "Usually the system killed it because memory ran out. The next run tries the scene again. With --jobs 1 "
        "there is no worker process, so whatever kills it ends the run.",
        "Use fewer --jobs, or a machine with more memory.",
    ),
    "internal_error": ReasonInWords(
        "An unforeseen error happened; errors.log in the pairs folder has the details. The next run tries the "
        "scene again.",
        "Report it, with the log.",
    ),
}
"""Every reason code that the toolkit gives: first those of QA, then those of scenes without an estimate."""
