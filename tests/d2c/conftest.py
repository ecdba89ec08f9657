"""d2c's tests need torch; without it none of them is collected but those of the command line's one line."""

from __future__ import annotations

import importlib.util

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
WITHOUT_TORCH = ("test_without_torch.py",)


def pytest_ignore_collect(collection_path, config):
    if HAS_TORCH or collection_path.suffix != ".py" or collection_path.name in (*WITHOUT_TORCH, "conftest.py"):
        return None
    return True


def pytest_report_header(config):
    return None if HAS_TORCH else "d2c: its tests are left out, torch is not installed (extra 'train')"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    if HAS_TORCH:
        import torch

        torch.set_num_threads(1)
