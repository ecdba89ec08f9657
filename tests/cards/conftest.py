"""Photographs to make cards of: small pictures with texture everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from pathlib import Path


def picture(seed: int, size: tuple[int, int] = (312, 212)) -> np.ndarray:
    """Noise of several sizes, (height, width, 3)."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = np.kron(rng.integers(60, 200, (-(-height // 8), -(-width // 8), 3)), np.ones((8, 8, 1)))
    return (coarse[:height, :width] + rng.integers(-20, 20, (height, width, 3))).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("boat.png", "holiday/cat.png", "dog.png")):
        write_image(tmp_path / "photos" / name, picture(seed))
    return tmp_path / "photos"
