"""Pictures of both captures in which a person clicks corresponding points, for pairs that registration did not find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.report import views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.types import Image

__all__ = ["click_pictures", "wants_points"]

_LONGEST = {"hr": 1500, "lr": 3000}
"""Longer side of the pictures in px. HR fills only a part of LR, so that LR needs more pixels for exact clicks."""

_WRONG_POSITION = {"not_same_scene", "implausible_homography"}
"""Reasons of QA that a wrong position causes."""


def wants_points(row: Mapping[str, Any]) -> bool:
    """Whether points may help a scene: it failed, or its position may be wrong, or came from points already."""
    if row["status"] == "accepted":
        return False
    started = row.get("started_from") == "points"
    return row["status"] == "failed" or started or bool(_WRONG_POSITION & set(row["reasons"].split(";")))


def click_pictures(hr: Image, lr: Image) -> dict[str, views.Picture]:
    """Both captures, reduced, by side."""
    return {side: views.bounded(views.as_bytes(image), _LONGEST[side]) for side, image in (("hr", hr), ("lr", lr))}
