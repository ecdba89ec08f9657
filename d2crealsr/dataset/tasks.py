"""The tasks of a run: what is asked of a scene, and what is known of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from d2crealsr.dataset.freshness import SceneResult, SceneTask, recipe_of
from d2crealsr.store.developing import rendering_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d2crealsr.dataset.points import Starts
    from d2crealsr.dataset.reruns import Rerun
    from d2crealsr.registration.points import PointPairs
    from d2crealsr.store.captures import Capture
    from d2crealsr.store.decisions import Decision
    from d2crealsr.store.ledger import Ledger

__all__ = ["tasks_of"]


def tasks_of(
    common: Mapping[str, Any],
    captures: Sequence[Capture],
    ledger: Ledger,
    rerun: Rerun,
    starts: Starts,
    decisions: Mapping[str, Decision],
) -> list[SceneTask]:
    """A task for each scene.

    Parameters
    ----------
    common : mapping
        The fields of :class:`SceneTask` that are the same in all of them, ``options`` among them.
    """
    recipe = functools.cache(functools.partial(recipe_of, rerun.settings))  # most scenes share theirs
    return [
        SceneTask(
            **common,
            settings=rerun.settings,
            capture=capture,
            points=starts.now.get(capture.scene, ()),
            decision=decisions.get(capture.scene),
            force=common["options"].force or not ledger.is_whole(capture.scene),
            **_before(ledger, rerun, capture, starts.now.get(capture.scene, ()), recipe),
        )
        for capture in captures
    ]


def _before(
    ledger: Ledger, rerun: Rerun, capture: Capture, points: PointPairs, recipe: Callable[..., str]
) -> dict[str, Any]:
    """What a task is told of earlier runs: the scene's row, the result held back, and the recipes of then and now.

    ``recipe`` is :func:`recipe_of` for the settings of the run.
    """
    scene = capture.scene
    rendering = frozenset(rendering_of(path) for path in (capture.hr, capture.lr) if path is not None) - {""}
    return {
        "known": ledger.row(scene),
        "held": SceneResult(**ledger.held[scene], lost=True) if scene in ledger.held else None,
        "recipe": recipe(rerun.version, points, rendering),
        "former": recipe(rerun.former_version, points, rendering),
    }
