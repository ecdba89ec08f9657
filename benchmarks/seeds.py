"""The seeds for tuning, and the seeds for reporting.

Thresholds, calibration factors and defaults are chosen on tuning seeds only; figures that are quoted come from
reporting seeds only. A run uses one of the two ranges, and says which.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from d2crealsr.errors import SettingsError

__all__ = ["REPORTING", "TUNING", "Purpose", "check_disjoint", "parse_seeds", "purpose_of"]

Purpose: TypeAlias = Literal["tuning", "reporting"]

TUNING = (range(0, 100), range(7000, 8000))
"""Seeds that thresholds and defaults may be chosen on."""

REPORTING = (range(100, 300),)
"""Seeds that nothing was ever chosen on."""


def check_disjoint(tuning: tuple[range, ...] = TUNING, reporting: tuple[range, ...] = REPORTING) -> None:
    """Refuse seed ranges that overlap: figures would be reported on what was tuned on.

    Raises
    ------
    SettingsError
        When a seed is in both.
    """
    both = {seed for part in tuning for seed in part} & {seed for part in reporting for seed in part}
    if both:
        raise SettingsError(
            f"seeds: {len(both)} are both for tuning and for reporting, from {min(both)} on; part them in seeds.py"
        )


def purpose_of(seeds: range) -> Purpose:
    """What a run on these seeds is for.

    Raises
    ------
    SettingsError
        When they are not all of one kind.
    """
    check_disjoint()
    kinds: dict[Purpose, tuple[range, ...]] = {"tuning": TUNING, "reporting": REPORTING}
    for purpose, parts in kinds.items():
        if all(any(seed in part for part in parts) for seed in seeds):
            return purpose
    known = "; ".join(f"{name} {_spelled(parts)}" for name, parts in kinds.items())
    raise SettingsError(f"seeds: got {seeds.start}..{seeds[-1]}, expected all of one kind ({known}); change --seeds")


def parse_seeds(text: str) -> range:
    """``"A..B"`` with B included, or a single seed.

    Raises
    ------
    SettingsError
        When it is neither, or empty.
    """
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise SettingsError(f"seeds: got {text!r}, expected A..B with B at least A; change --seeds")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def _spelled(parts: tuple[range, ...]) -> str:
    return ", ".join(f"{part.start}..{part[-1]}" for part in parts)
