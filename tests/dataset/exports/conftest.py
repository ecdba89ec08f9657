"""A small pairs folder whose rows a test chooses, and what a folder holds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import write_image
from d2crealsr.store.pairs import published_paths, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable


class PairsFolder:
    """A pairs folder of scale 2 without the numbers of an estimate, which its rows need not have here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}

    def add(self, scene: str, split: str = "", *, status: str = "accepted", **cells: Any) -> None:
        """A scene, with its images if it is accepted."""
        row = {"scene": scene, "status": status, "split": split, "group": scene, "scale": 2, **cells}
        if status == "accepted":
            seed = [len(self.rows), *scene.encode()]
            for side, path, size in zip(("hr", "lr"), published_paths(scene), ((24, 32), (12, 16)), strict=True):
                pixels = np.random.default_rng([*seed, size[0]]).integers(0, 256, (*size, 3), dtype=np.uint8)
                write_image(self.path / path, pixels)
                row |= {f"{side}_path": path, f"{side}_sha256": sha256_of(self.path / path)}
        self.rows[scene] = row

    def write(self, **description: Any) -> Path:
        """Write the manifest and the description."""
        self.path.mkdir(exist_ok=True)
        with (self.path / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [column.name for column in MANIFEST], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[scene] for scene in sorted(self.rows))
        write_dataset(self.path, {"scale": 2, "tool": "d2crealsr", "tool_version": "9.9", **description})
        return self.path


@pytest.fixture
def folder(tmp_path: Path) -> PairsFolder:
    return PairsFolder(tmp_path / "pairs")


@pytest.fixture
def pairs(folder: PairsFolder) -> Path:
    """Two scenes to train on, one to test on, a rejected one, and one that a reviewer left out."""
    folder.add("0001", "train", residual_p50_hr_px=0.1, residual_p95_hr_px=0.3, sigma_hr_px=0.02)
    folder.add("käse", "train", residual_p50_hr_px=0.2, residual_p95_hr_px=0.4)
    folder.add("b_s001", "test", group="b")
    folder.add("bad", status="rejected")
    folder.add("unloved", left_out_of="train")
    return folder.write(licence="CC BY 4.0", settings={"scale": 2, "crop": "max"})


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """What the files of a folder contain that are not hidden."""

    def read(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        return {name: data for name, data in found.items() if not name.startswith(".")}

    return read
