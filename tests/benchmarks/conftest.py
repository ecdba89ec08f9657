"""Mini scenes that the tests of the benchmarks share; each is simulated once a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.scenes import BenchScene, make_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="session")
def mini(cache: Path) -> BenchScene:
    """A mini scene whose captures lie in ``cache``."""
    scene = BenchScene(seed=0, size="mini")
    make_files(scene, cache)
    return scene
