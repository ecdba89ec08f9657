"""Options of a run that do not influence estimates: how it is executed, and what it may change in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d2crealsr.store.images import MAX_PIXELS

if TYPE_CHECKING:
    from d2crealsr.jobs.workers import Backend
    from d2crealsr.store.captures import Preference

__all__ = ["RunOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Options of a run on which no estimate depends.

    Attributes
    ----------
    jobs : int
        Scenes at a time; 0 for one per core. It does not apply to a dask cluster that ``scheduler`` names.
    backend, scheduler
        joblib's ``"loky"`` (processes of this machine) or ``"dask"``, on the cluster at ``scheduler`` or a local one.
    force : bool
        Align every scene again, even if it is up to date.
    prune : bool
        Remove scenes from the pairs folder that RAW does not have. Otherwise they are kept.
    allow_loss : bool
        Remove published pairs that would no longer be accepted, however many they are. Otherwise they are removed only
        if they are fewer than a tenth of the published pairs, or up to half if only thresholds changed.
    accept : path, optional
        A reviewer's decisions (:func:`d2crealsr.store.decisions.read_decisions`) on rejected scenes that are to be
        published. They hold for these captures until another file says ``reject``.
    licence, citation : str, optional
        Entries of ``dataset.json``. By default the present ones are kept.
    prefer : {"jpeg", "raw"}, optional
        Which file is used of a shot that has camera RAW and JPEG; by default as in the last run, at first ``"jpeg"``.
    max_pixels : int
        Largest capture that is decoded. A scene with a larger one fails.
    """

    jobs: int = 1
    backend: Backend = "loky"
    scheduler: str | None = None
    force: bool = False
    prune: bool = False
    allow_loss: bool = False
    accept: str | os.PathLike[str] | None = None
    licence: str | None = None
    citation: str | None = None
    prefer: Preference | None = None
    max_pixels: int = MAX_PIXELS
