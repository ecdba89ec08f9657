"""Simulated scenes with exact truth for the benchmarks, made from a seed and, if requested, kept in a folder.

Each seed gives one scene, and the seed modulo five gives the kind of card, so successive seeds have all kinds.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import tempfile
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import joblib
import numpy as np

import d2crealsr.simulate
from benchmarks.smooth_cards import power_beyond_nyquist, published_part
from d2crealsr import opencv
from d2crealsr.imaging.crop import MIN_SIDE
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.placement import Placement
from d2crealsr.jobs import threads
from d2crealsr.simulate import (
    NUISANCES,
    Recipe,
    SimulateSettings,
    Truth,
    default_recipes,
    encode_capture,
    session_for,
    shoot,
)
from d2crealsr.simulate.camera import cast_rays, project, surface
from d2crealsr.simulate.nuisances import MARKED_CARDS
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.recipe import KINDS
from d2crealsr.simulate.truth import default_crop, truth_of
from d2crealsr.store.files import write_bytes, write_text
from d2crealsr.store.images import read_image
from d2crealsr.truth.mapping_error import MappingError, crop_grid, mapping_error
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.align import Alignment
    from d2crealsr.simulate.settings import SizeName
    from d2crealsr.types import Image, Matrix

__all__ = [
    "CLASSES",
    "PLAIN",
    "BenchScene",
    "SceneFiles",
    "captures_and_detail",
    "captures_of",
    "make_files",
    "side_by_side",
    "simulator_fingerprint",
]

_Scene = TypeVar("_Scene")
_Result = TypeVar("_Result")

_DIFFERS = 0.15
"""Difference of encoded values, of full scale, from which on an object counts (design, section 9)."""

PLAIN = "plain"
"""Name of the class of scenes without a nuisance."""

CLASSES = (PLAIN, *(name for name in NUISANCES if name != MARKED_CARDS))
"""The classes of scenes that are made from seeds alone; cards with marks need pages."""


@dataclass(frozen=True, kw_only=True)
class BenchScene:
    """What decides a benchmark scene; everything else about it follows.

    Attributes
    ----------
    nuisance : str
        One name of :data:`d2crealsr.simulate.NUISANCES`, or :data:`PLAIN`.
    """

    seed: int
    size: SizeName = "half"
    nuisance: str = PLAIN
    scale: int = 8

    @property
    def name(self) -> str:
        """Unique among the scenes of one size, as in ``occlusion-0012``."""
        return f"{self.nuisance}-{self.seed:04d}"

    @property
    def settings(self) -> SimulateSettings:
        """The simulator's settings for this scene."""
        nuisances = () if self.nuisance == PLAIN else (self.nuisance,)
        return SimulateSettings(size=self.size, seed=self.seed, scale=self.scale, nuisances=nuisances)

    @property
    def recipe(self) -> Recipe:
        """What is on its card."""
        kind = self.seed % len(KINDS)
        return default_recipes(kind + 1, self.seed, wheel_library())[kind]

    @property
    def kind(self) -> str:
        """Kind of card, as photographed."""
        return self.truth.session.card_kind or self.recipe.generator

    @cached_property
    def truth(self) -> Truth:
        """Its exactly known facts, from the drawn numbers alone."""
        return truth_of(session_for(self.recipe, self.settings))

    @property
    def true_mapping(self) -> CaptureMapping:
        """Where HR truly lies in LR."""
        session = self.truth.session
        return self.mapping(self.truth.H_hr_to_lr, session.hr.k1, session.lr.k1)

    def mapping(self, H_hr_to_lr: Matrix, k1_hr: float = 0.0, k1_lr: float = 0.0) -> CaptureMapping:
        """A mapping between captures of this scene's size."""
        size = self.truth.session.size
        return CaptureMapping(H_hr_to_lr=H_hr_to_lr, hr_size=size, lr_size=size, k1_hr=k1_hr, k1_lr=k1_lr)

    def crop_of(self, found: Alignment) -> Crop:
        """What a pair would publish; the default crop where that is too small to be published."""
        return found.crop if found.crop.side >= MIN_SIDE else self.true_crop

    @property
    def true_crop(self) -> Crop:
        """The default crop, placed by the truth."""
        return default_crop(self.truth.session, self.truth.H_hr_to_lr)

    @property
    def differing_hr_px(self) -> float:
        """How far across an object in one of the shots is, in HR px: its largest connected place in the crop; 0: none.

        What belongs to it are pixels at which a channel differs by .15 of full scale between HR with the object,
        whichever shot it truly is in, and HR without.
        """
        session = self.truth.session
        overlay = session.hr.overlay or session.lr.overlay
        if overlay is None:
            return 0.0
        lr = replace(session.lr, overlay=None)
        with_it, without = (
            shoot(self.recipe, self.settings, session=replace(session, hr=replace(session.hr, overlay=o), lr=lr)).hr
            for o in (overlay, None)
        )
        corners = self.true_mapping.lr_to_hr(crop_grid(self.true_crop))
        (left, top), (right, bottom) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
        apart = np.abs(with_it.astype(int) - without).max(axis=2)[top:bottom, left:right]
        boxes, _ = opencv.connected(apart >= _DIFFERS * 255)
        return float(boxes[:, 2:].max(initial=0))

    def error_of(self, mapping: CaptureMapping, crop: Crop) -> MappingError:
        """True error of a mapping over a crop (design: 19×13 points); exact also where the card is bowed."""
        if self.truth.session.bow_mm:
            return self._error_on_bowed_card(mapping, crop)
        return mapping_error(Placement(mapping, crop, self.scale), self.true_mapping)

    def _error_on_bowed_card(self, mapping: CaptureMapping, crop: Crop) -> MappingError:
        """The same by rays: p_lr sees a place on the surface, and the HR camera sees that place at p_hr.

        What is published at p_lr comes from another p_hr; the true mapping's slope turns the difference into LR px.
        """
        hr, lr = self.truth.session.cameras
        p_lr = crop_grid(crop)
        hit = [cast_rays(lr, np.array([x]), np.array([y])) for x, y in p_lr]
        x_mm, y_mm = (np.array([float(both[axis].item()) for both in hit]) for axis in (0, 1))
        seen_at = project(hr, np.column_stack([x_mm, y_mm, surface(hr, x_mm)]))
        off_hr = mapping.lr_to_hr(p_lr) - seen_at
        plane = self.true_mapping
        anchor = plane.lr_to_hr(p_lr)
        return MappingError.of(-self.scale * (plane.hr_to_lr(anchor + off_hr) - plane.hr_to_lr(anchor)))


@dataclass(frozen=True, kw_only=True)
class SceneFiles:
    """The two captures as files, JPEG of quality 95, and a number about the card, the share of its power beyond LR."""

    hr: Path
    lr: Path
    beyond: Path

    @property
    def beyond_nyquist(self) -> float:
        """Share of the power of the card's own picture at frequencies that LR cannot show."""
        return float(self.beyond.read_text(encoding="ascii"))

    def read(self) -> tuple[Image, Image]:
        """Both captures, oriented."""
        return read_image(self.hr), read_image(self.lr)


def make_files(scene: BenchScene, folder: Path) -> SceneFiles:
    """The captures of a scene as files in ``folder``; made unless the same simulator has left them there.

    The files' folder is named by a fingerprint of the simulator's code, so that changed code never meets old pixels.
    """
    place = folder / simulator_fingerprint() / f"{scene.size}-x{scene.scale}"
    names = {"hr": f"{scene.name}-hr.jpg", "lr": f"{scene.name}-lr.jpg", "beyond": f"{scene.name}-beyond.txt"}
    found = SceneFiles(**{what: place / name for what, name in names.items()})
    if not (found.hr.exists() and found.lr.exists() and found.beyond.exists()):
        made = shoot(scene.recipe, scene.settings)
        session = made.truth.session
        write_bytes(found.hr, encode_capture(made.hr, "jpg", session.hr.orientation))
        write_bytes(found.lr, encode_capture(made.lr, "jpg", session.lr.orientation))
        beyond = power_beyond_nyquist(published_part(scene, made.reference), scene.scale)
        write_text(found.beyond, f"{beyond:.6f}\n")
    return found


def captures_of(scene: BenchScene, folder: Path | None) -> tuple[Image, Image]:
    """Both captures of a scene as a reader finds them; kept in ``folder`` if given."""
    hr, lr, _ = captures_and_detail(scene, folder)
    return hr, lr


def captures_and_detail(scene: BenchScene, folder: Path | None) -> tuple[Image, Image, float]:
    """The same, and :attr:`SceneFiles.beyond_nyquist`."""
    with contextlib.ExitStack() as stack:
        files = make_files(scene, folder or Path(stack.enter_context(tempfile.TemporaryDirectory())))
        return *files.read(), files.beyond_nyquist


def side_by_side(
    function: Callable[[_Scene], _Result],
    scenes: Sequence[_Scene],
    *,
    jobs: int = 1,
    told: Callable[[_Result], str],
) -> list[_Result]:
    """Results in the order of the scenes, each on one thread; a line about each on standard error as it comes."""
    results: list[_Result] = []
    work = (joblib.delayed(_on_one_thread)(function, scene) for scene in scenes)
    for result in joblib.Parallel(n_jobs=jobs or -1, return_as="generator")(work):
        results.append(result)
        click.echo(f"[{len(results)}/{len(scenes)}] {told(result)}", err=True)
    return results


def _on_one_thread(function: Callable[[_Scene], _Result], scene: _Scene) -> _Result:
    threads.use_one_thread()
    return function(scene)


@cache
def simulator_fingerprint() -> str:
    """Hash of the simulator's code, comments and layout aside."""
    folder = Path(d2crealsr.simulate.__file__).parent
    trees = (ast.dump(ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.py")))
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:12]
