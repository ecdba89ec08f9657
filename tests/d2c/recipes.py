"""The programs of pipelines/ as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PIPELINES = Path(__file__).parents[2] / "pipelines"


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, PIPELINES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
