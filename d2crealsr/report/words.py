"""Explanations of the report's figures: what each shows, what good and bad results look like, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FIGURES", "Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The text beside a figure. ``title`` is set only for figures of the whole dataset."""

    shows: str
    better: str
    worse: str
    todo: str
    title: str = ""


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
        "Distribution of residuals",
    ),
    "stages": Explanation(
        "Median residual of each pair after each stage, and the median over pairs.",
        "Lines fall and the last stage is the lowest.",
        "A line that rises, or one that never falls: that pair settled on something wrong.",
        "Open the pair and step through its stages.",
        "Residual against stage",
    ),
    "geometry": Explanation(
        "The scale that the captures really have, and how far one is turned against the other.",
        "One tight cluster: camera and zoom stayed as they were.",
        "Pairs far from the others: the zoom slipped, or the fit is wrong.",
        "Open the outliers; where many are off, fix the tripod or choose another --scale.",
        "Effective scale and rotation",
    ),
    "sharpness": Explanation(
        "How much sharper HR is than LR, against the residual left.",
        "Well above 1 throughout.",
        "Near 1: HR is out of focus, shaken or enlarged digitally, and there is nothing to learn from the pair.",
        "Reshoot pairs near 1 with the long lens in focus.",
        "Sharpness of HR over LR",
    ),
    "inliers": Explanation(
        "Keypoint matches that agree with the mapping, against the residual left.",
        "Hundreds of inliers.",
        "Few inliers and a large residual: the card has little texture or something covers it.",
        "Print pictures with detail all over.",
        "Inliers",
    ),
    "spectrum": Explanation(
        "Amplitude spectrum of HR over LR's by spatial frequency up to LR's limit: median over accepted pairs, and the "
        "middle 80 %.",
        "Begins at 1 and rises: that is the detail super-resolution has to restore.",
        "Flat at 1: HR is no sharper than LR. Not 1 at low frequency: brightness does not match.",
        "Check focus of the HR shots; look at pairs with a small sharpness ratio.",
        "Spectrum of HR over LR",
    ),
}
"""Every figure by its name; ``templates/dataset.js`` has a function of that name for each figure of the dataset."""
