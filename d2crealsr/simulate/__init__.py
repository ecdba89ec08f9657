"""Physically based captures with exactly known truth.

Two simulated cameras photograph a printed card. The look of the card and the poses of the cameras are drawn from seeds,
so the homography between the captures is known exactly. The simulator shares no code with the alignment that is
measured against it.

Suggested reading order: :mod:`.recipe` (what a scene is made from), :mod:`.session` (its drawn numbers),
:mod:`.camera`, :mod:`.card` and :mod:`.printing` (what is photographed), :mod:`.render` and :mod:`.sensor` (how),
:mod:`.shoot` (one scene), :mod:`.folder` (a folder of scenes).
"""

from __future__ import annotations

from d2crealsr.simulate.folder import simulate
from d2crealsr.simulate.nuisances import NUISANCES
from d2crealsr.simulate.photographs import Library, folder_library, wheel_library
from d2crealsr.simulate.recipe import Recipe, default_recipes
from d2crealsr.simulate.session import Session, Shot
from d2crealsr.simulate.settings import SIZES, SimulateSettings
from d2crealsr.simulate.shoot import Scene, session_for, shoot
from d2crealsr.simulate.storage import encode_capture
from d2crealsr.simulate.truth import Truth

__all__ = [
    "NUISANCES",
    "SIZES",
    "Library",
    "Recipe",
    "Scene",
    "Session",
    "Shot",
    "SimulateSettings",
    "Truth",
    "default_recipes",
    "encode_capture",
    "folder_library",
    "session_for",
    "shoot",
    "simulate",
    "wheel_library",
]
