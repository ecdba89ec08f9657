"""Tone curves of cameras from several scenes: one robust fit of all of them, and whether it is better than sRGB.

The scenes share the curves; all other numbers belong to a scene and are eliminated (:mod:`.tone_evidence`). Whether a
curve is supported is decided by scenes that it was not fitted to: each scene in turn is left out, and its misfit under
the curves of the other scenes is compared with its misfit if this camera has the curve of sRGB. Wilcoxon's signed-rank
test, which does not mind that scenes have very different amounts of texture, says whether the scenes agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm, wilcoxon
from scipy.stats import t as student

from d2crealsr.imaging.tone_family import KNOTS
from d2crealsr.registration.tone_evidence import evidence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.registration.tone_evidence import SceneEvidence, ToneScene
    from d2crealsr.types import Array

__all__ = ["FEWEST_SCENES", "FittedCurve", "PooledTone", "fit_tone"]

FEWEST_SCENES = 6
"""Number of scenes below which there is no evidence for a curve, even if all of them agree: 1 in 2⁶ is chance."""

_ROUNDS = 8
"""Largest number of fits of each scene for one choice of the curves that differ from sRGB."""

_LARGEST_STEP = 0.7
_SETTLED = 0.02
_PRIOR = 1.0
"""Standard deviation of the prior on the numbers of a curve, about sRGB. It decides where brightnesses do not occur."""

_CORRELATION = 16.0
"""Number of LR pixels that count as one observation against the prior, because neighbours are correlated."""

_CHANCE = 0.02
"""Probability of a curve that is accepted although the camera's is sRGB."""


class FittedCurve(NamedTuple):
    """The curve of one camera.

    Attributes
    ----------
    numbers : (KNOTS,) ndarray
        Numbers of :class:`~d2crealsr.imaging.tone_family.ToneCurve`, with mean 0. All are 0 if sRGB stands.
    interval : (KNOTS,) and (KNOTS,) ndarray
        Their intervals of 95 % by leaving out one scene by this camera at a time (jackknife), or those of the prior if
        there are fewer than two. If sRGB stands they are those of the curve that was tried.
    improved : int
        Number of scenes by this camera whose misfit is smaller by the curves of the other scenes than with sRGB.
    chance : float
        Probability of such an improvement if the curve is sRGB.
    """

    numbers: Array
    interval: tuple[Array, Array]
    improved: int
    chance: float

    @property
    def supported(self) -> bool:
        """Whether the curve differs from sRGB by more than noise explains."""
        return self.chance <= _CHANCE


class PooledTone(NamedTuple):
    """The curves by camera, and their evidence.

    Attributes
    ----------
    curves : dict of FittedCurve
    scenes : tuple of str
        Names of the scenes that were used.
    misfit_before, misfit_after : float
        Root mean square of the scenes' robust standard deviations of encoded luma, on [0, 1], with sRGB and with the
        curves.
    """

    curves: dict[str, FittedCurve]
    scenes: tuple[str, ...]
    misfit_before: float
    misfit_after: float


def fit_tone(scenes: Sequence[ToneScene], *, on_fit: Callable[[str], None] = lambda scene: None) -> PooledTone | None:
    """Fit the tone curves of the cameras of some registered scenes; None if fewer than :data:`FEWEST_SCENES` can be.

    Parameters
    ----------
    scenes : sequence of ToneScene
    on_fit : callable, optional
        Called with the name of a scene when it was fitted once more.
    """
    cameras = sorted({camera for scene in scenes for camera in scene.cameras if camera})
    fit = _Fit(scenes, cameras, on_fit)
    if not fit.evaluated():
        return None
    before, kept = fit.misfit, list(cameras)
    curves: dict[str, FittedCurve] = {}
    while fit.converged(kept):
        judged = {camera: fit.judged(camera, kept) for camera in kept}
        worst = max(kept, key=lambda camera: judged[camera].chance, default="")
        curves |= judged
        if not kept or judged[worst].supported:
            break
        curves[worst] = judged[worst]._replace(numbers=np.zeros(KNOTS))
        kept.remove(worst)
    else:
        return None
    return PooledTone({camera: curves[camera] for camera in cameras}, fit.used, before, fit.misfit)


class _Fit:
    """A fit in progress: the scenes, the present numbers of all curves, and the normal equations there."""

    def __init__(self, scenes: Sequence[ToneScene], cameras: Sequence[str], on_fit: Callable[[str], None]) -> None:
        self._scenes, self._cameras, self._on_fit = list(scenes), list(cameras), on_fit
        self._at = np.zeros(len(cameras) * KNOTS)
        self._of_camera = np.repeat(cameras, KNOTS)
        self._found: list[SceneEvidence] = []
        self._matrices = self._vectors = np.empty(0)

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the scenes that can be fitted."""
        return tuple(scene.name for scene in self._scenes)

    @property
    def misfit(self) -> float:
        """Root mean square of the misfits of the scenes at the present numbers."""
        return float(np.sqrt(np.mean([each.misfit**2 for each in self._found])))

    def evaluated(self) -> bool:
        """Fit all scenes at the present numbers, and leave out those that cannot be; False if too few remain."""
        curves = dict(zip(self._cameras, self._at.reshape(-1, KNOTS), strict=True))
        fitted = []
        for scene in self._scenes:
            fitted.append((scene, evidence_of(scene, curves)))
            self._on_fit(scene.name)
        pairs = [(scene, evidence) for scene, evidence in fitted if evidence is not None]
        if len(pairs) < FEWEST_SCENES:
            return False
        # The next fit of a scene starts where this one ended.
        self._scenes = [
            replace(scene, mapping=one.parameters.mapping, sigma_hr_px=one.parameters.sigma) for scene, one in pairs
        ]
        self._found = [evidence for _, evidence in pairs]
        self._matrices = np.stack([each.matrix for each in self._found]) / _CORRELATION
        self._vectors = np.stack([each.vector for each in self._found]) / _CORRELATION
        return True

    def converged(self, kept: Sequence[str]) -> bool:
        """Move to the best numbers of the curves that are not sRGB; False if too few scenes can be fitted there."""
        for _ in range(_ROUNDS):
            step = self._solution(kept) - self._at
            largest = float(np.abs(step).max(initial=0))
            if largest < _SETTLED:
                break
            self._at = self._at + step * min(1.0, _LARGEST_STEP / largest)
            if not self.evaluated():
                return False
        return True

    def judged(self, camera: str, kept: Sequence[str]) -> FittedCurve:
        """The curve of one camera after convergence, and what scenes say that it was not fitted to."""
        left_out = self._left_out(kept)
        without = self._left_out([other for other in kept if other != camera])
        shown = np.array([camera in scene.cameras for scene in self._scenes])
        gain = (self._misfits(without) - self._misfits(left_out))[shown]
        own = self._of_camera == camera
        half = _half_width(left_out[shown])[own]
        numbers = self._solution(kept)[own]
        chance = float(wilcoxon(gain, alternative="greater").pvalue) if np.any(gain) else 1.0
        return FittedCurve(numbers, (numbers - half, numbers + half), int(np.sum(gain > 0)), chance)

    def _solution(self, kept: Sequence[str], without: int | None = None) -> Array:
        """The numbers of the curves, 0 for those that are sRGB, by the normal equations of all scenes but one."""
        scenes = np.arange(len(self._found)) != (-1 if without is None else without)
        matrix = self._matrices[scenes].sum(axis=0)
        right = (self._vectors[scenes] + self._matrices[scenes] @ self._at).sum(axis=0)
        free = np.isin(self._of_camera, list(kept))
        solution = np.zeros_like(self._at)
        solution[free] = np.linalg.solve(matrix[np.ix_(free, free)] + np.eye(int(free.sum())) / _PRIOR**2, right[free])
        return solution

    def _left_out(self, kept: Sequence[str]) -> Array:
        """The solutions without each scene in turn, (S, P)."""
        return np.stack([self._solution(kept, without=scene) for scene in range(len(self._found))])

    def _misfits(self, solutions: Array) -> Array:
        """Misfit of each scene at the numbers of its own row, (S, P) → (S,), up to a constant of the scene."""
        away = solutions - self._at
        square = np.einsum("si,sij,sj->s", away, self._matrices, away)
        misfits: Array = square - 2 * np.sum(self._vectors * away, axis=1)
        return misfits


def _half_width(left_out: Array) -> Array:
    """Half the width of the intervals of 95 % by the solutions without each scene in turn, (S, P) → (P,).

    They are those by the camera. The others say little about its numbers, and with them the interval is too narrow.
    """
    scenes = len(left_out)
    if scenes < 2:
        return np.full(left_out.shape[1], norm.ppf(0.975) * _PRIOR)
    error = np.sqrt((scenes - 1) / scenes * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    half: Array = student.ppf(0.975, scenes - 1) * error
    return half
