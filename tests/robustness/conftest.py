"""What is not even imported where torch is absent, and where the good captures that are damaged are kept."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

collect_ignore = [] if importlib.util.find_spec("torch") else ["bad_checkpoints.py"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")
