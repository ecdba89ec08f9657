"""Makes tiny pairs folders for the tests: HR of random smooth texture, LR its antialiased reduction."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from d2c.bicubic import bicubic
from d2crealsr.store.images import write_image

COLUMNS = ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"]


def make_pairs(folder, count=6, scale=2, size=(24, 20), test=1, dtype=np.uint8, seed=0):
    """A pairs folder whose first ``test`` scenes are the test split; LR images of ``size`` (width, height)."""
    width, height = size
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
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "manifest.csv", index=False)
    return folder
