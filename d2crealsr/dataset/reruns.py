"""Changes that a second run makes in a finished folder: announce them first, and decide at the end on lost pairs."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.dataset.freshness import estimate_of
from d2crealsr.errors import LayoutError, UsageError
from d2crealsr.settings import AlignSettings, settings_from, tones_by_camera
from d2crealsr.store.decisions import first_names
from d2crealsr.store.pairs import DATASET_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d2crealsr.dataset.freshness import SceneResult

__all__ = ["Rerun"]

_SMALL_SHARE = 0.1
"""Losses below this share of the published pairs need no consent."""
_SHARE_OF_VERDICTS = 0.5
"""Largest share of losses without consent if only thresholds changed. Other thresholds can then restore the pairs."""


class Rerun(NamedTuple):
    """The settings of a run, and those with which its folder was made. They are equal for a new folder.

    ``former_version`` is the version of the tool that last wrote the folder, and ``points`` are the scenes whose points
    this run changes.
    """

    raw: str
    out: Path
    settings: AlignSettings
    former: AlignSettings
    version: str
    former_version: str
    points: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        raw: str,
        out: Path,
        asked: AlignSettings | Mapping[str, Any] | None,
        description: Mapping[str, Any],
        version: str,
    ) -> Rerun:
        """Combine the requested settings with those of the folder's description, which is empty for a new folder.

        Raises
        ------
        SettingsError
            When a requested or described setting is invalid.
        """
        described = description.get("settings", {})
        scale = {"scale": description["scale"]} if "scale" in description else {}
        former = settings_from({**described, **scale}, str(out / DATASET_FILE))
        settings = asked if isinstance(asked, AlignSettings) else dataclasses.replace(former, **(asked or {}))
        written_by = description.get("tool_version", version)
        return cls(raw, out, settings, former if description else settings, version, str(written_by))

    def refuse_other_scale(self, standing: int) -> None:
        """Raise LayoutError if the folder has pairs and another scale is requested."""
        if standing and self.settings.scale != self.former.scale:
            raise LayoutError(
                f"{self.out}: its {standing} pairs are of scale {self.former.scale}, got --scale "
                f"{self.settings.scale}; give another folder with --out, or leave --scale out"
            )

    @property
    def changed(self) -> list[str]:
        """What differs from the settings of the folder, written as ``crop: max → default``, and changed points."""
        settings = [each for name, (old, new) in self._differences().items() for each in _told(name, old, new)]
        return settings + ([f"points of {first_names(self.points)}"] if self.points else [])

    def _differences(self) -> dict[str, tuple[Any, Any]]:
        names = (f.name for f in dataclasses.fields(AlignSettings))
        pairs = {name: (getattr(self.former, name), getattr(self.settings, name)) for name in names}
        return {name: (old, new) for name, (old, new) in pairs.items() if old != new}

    def announcement(self, standing: Mapping[str, Mapping[str, Any]], recipes: Mapping[str, str]) -> str:
        """What the run is going to change, and for how many published pairs; empty if it changes none."""
        made = sum(estimate_of(row["recipe"]) != estimate_of(recipes[scene]) for scene, row in standing.items())
        judged = sum(row["recipe"] != recipes[scene] for scene, row in standing.items()) - made
        counts = ((made, "aligned again"), (judged, "judged again"))
        parts = [f"{count} {'pair' if count == 1 else 'pairs'} {what}" for count, what in counts if count]
        why = self.changed
        if self.version != self.former_version:
            why.append(f"d2crealsr: {self.former_version} → {self.version}")
        if parts and not why:
            why = ["made with other settings than the folder's"]
        return ", ".join([*why, *parts]) if why else ""

    def settle_losses(
        self,
        losses: Mapping[str, SceneResult],
        standing: Mapping[str, Mapping[str, Any]],
        recipes: Mapping[str, str],
        *,
        allowed: bool,
    ) -> str:
        """A note on the pairs that are removed; empty if there are none.

        Parameters
        ----------
        losses : mapping
            Results that would remove a published pair, by scene.
        standing : mapping
            Manifest rows of the pairs that were published when the run began, by scene.
        recipes : mapping
            Recipes of this run by scene.
        allowed : bool
            Whether ``--allow-loss`` was given.

        Raises
        ------
        UsageError
            When there are too many to remove without consent.
        """
        if not losses:
            return ""
        verdicts_only = all(estimate_of(standing[scene]["recipe"]) == estimate_of(recipes[scene]) for scene in losses)
        small = len(losses) < _SMALL_SHARE * len(standing)
        half = verdicts_only and len(losses) <= _SHARE_OF_VERDICTS * len(standing)
        named = first_names([f"{scene} ({result.row['reasons']})" for scene, result in sorted(losses.items())])
        count = f"{len(losses)} of {len(standing)} published pairs"
        why = ", ".join(self.changed) or "with the folder's own settings"
        if not (allowed or small or half):
            others = len(standing) - len(losses)
            raise UsageError(
                f"{self.out}: {count} would no longer be accepted ({why}): {named}. They stay as they were, and the "
                f"{others} others are up to date; run the same command with --allow-loss to remove them, or "
                f"{self._other()}"
            )
        back = f"; to restore them: {self._way_back()}" if self._differences() else ""
        return f"{count} are no longer accepted ({why}): {named}{back}"

    def _other(self) -> str:
        """What a person can do to keep the pairs."""
        if self.changed:
            return "leave that option out to keep the folder's own settings"
        return "give the options that they were made with"

    def _way_back(self) -> str:
        """The command that restores the folder's former settings."""
        command = ["d2crealsr", "align", self.raw, "--out", str(self.out)]
        for name, (old, _) in self._differences().items():
            option = _option(name)
            if isinstance(old, bool):
                command.append(option if old else f"--no-{option[2:]}")
            else:
                command += [option, str(old)]
        return shlex.join(command)


def _told(name: str, old: Any, new: Any) -> list[str]:
    """A changed setting, written as ``crop: max → default``; of the tone curves of cameras, each that changed."""
    curves = [tones_by_camera(value) if name == "tone" else {} for value in (old, new)]
    if not any(curves):
        return [f"{_option(name)[2:]}: {old} → {new}"]
    pairs = {
        camera: tuple(
            by_camera.get(camera, "none" if by_camera else value)
            for by_camera, value in zip(curves, (old, new), strict=True)
        )
        for camera in sorted(curves[0] | curves[1])
    }
    return [f"tone of {camera}: {before} → {after}" for camera, (before, after) in pairs.items() if before != after]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
