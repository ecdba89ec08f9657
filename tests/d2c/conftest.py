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


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    if HAS_TORCH:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_pairs():
    """The maker of tiny pairs folders."""
    return _make_pairs


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A pairs folder of six ×2 scenes of 24×20 LR px; the first is the test split."""
    return _make_pairs(tmp_path_factory.mktemp("pairs"))


def _make_pairs(folder, count=6, scale=2, size=(24, 20), test=1, dtype="uint8", seed=0):
    """A pairs folder whose first ``test`` scenes are the test split; LR images of ``size`` (width, height)."""
    import numpy as np
    import pandas as pd
    from scipy.ndimage import gaussian_filter

    from d2c.inference.bicubic import bicubic
    from d2crealsr.store.images import write_image

    columns = ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"]
    width, height = size
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        texture = gaussian_filter(rng.normal(0.5, 1.0, (scale * height, scale * width, 3)), (1.0, 1.0, 0.5))
        hr = np.rint(np.clip(0.5 + texture, 0, 1) * np.iinfo(dtype).max).astype(dtype)
        lr = bicubic(hr, width, height)
        scene = f"{k:03d}"
        for name, image in (("hr", hr), ("lr", lr)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            write_image(folder / name / f"{scene}.png", image)
        split = "test" if k < test else "train"
        rows.append([scene, "accepted", split, f"card{k}", scale, f"hr/{scene}.png", f"lr/{scene}.png"])
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    return folder
