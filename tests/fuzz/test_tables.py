"""Broken tables and descriptions: read, or an error of the package in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store.captures import find_captures
from d2crealsr.store.columns import ALIGNMENT, MANIFEST, RESIDUALS
from d2crealsr.store.decisions import read_decisions
from d2crealsr.store.description import load_description
from d2crealsr.store.pairs import published_paths, read_manifest, scene_problem
from d2crealsr.store.tables import read_table
from d2crealsr.store.truth import TRUTH, read_truth

from .mutations import broken_text, said_in_one_line

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.store.columns import Column

EXPECTED = (LayoutError, TableError, MachineError)


def _text(columns: tuple[Column, ...], *rows: dict[str, Any]) -> str:
    names = [column.name for column in columns]
    return "\n".join([",".join(names), *(",".join(str(row.get(n, "")) for n in names) for row in rows), ""])


def _accepted(scene: str) -> dict[str, Any]:
    hr, lr = published_paths(scene)
    numbers = {"scale": 8, "lr_x": 4, "lr_y": 4, "lr_width": 40, "lr_height": 30, "n_inliers": 99, "zncc": 0.98}
    numbers |= {f"h{i}{j}": float(i == j) for i in range(3) for j in range(3)}
    return {"scene": scene, "status": "accepted", "group": scene, "hr_path": hr, "lr_path": lr, **numbers}


_FAILED = {"scene": "002", "status": "failed", "reasons": "unreadable", "group": "g", "scale": 8}
_TRUE = {c.name: 1 for c in TRUTH} | {"same_scene": "True"}
MANIFESTS = [_text(MANIFEST, _accepted("001"), _FAILED), _text(MANIFEST)]
STAGES = [_text(ALIGNMENT, {"scene": "001", "iteration": 1, "stage": "sift", "scale_effective": 7.9})]
FIELDS = [_text(RESIDUALS, {"scene": "001", "lr_x": 5.5, "lr_y": 6, "dx_hr_px": 0.1, "dy_hr_px": 0.2, "weight": 1})]
RAWS = ["scene,hr,lr,group\n001,hr/a.png,lr/a.png,g\n002,hr/b.png,,\n", "hr,lr,scene\nhr/a.png,lr/a.png,x\n"]
DECISIONS = ["scene,decision,note\n001,accept,fine\n002,reject,\n", 'scene,decision,note,who\n001,accept,"a, b",me\n']
TRUTHS = [_text(TRUTH, {**_TRUE, "scene": "001"}, {**_TRUE, "scene": "002"})]
DATASETS = ['{"format": "d2crealsr-pairs", "version": 1, "scale": 8, "settings": {"iters": 3}, "raw_root": "../raw"}']


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(MANIFESTS))
def test_manifest(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "manifest.csv").write_bytes(data)
    try:
        table = read_manifest(folder)
    except EXPECTED as error:
        return said_in_one_line(error)
    assert not [scene for scene in table["scene"] if scene_problem(scene)]
    for name in ("hr_path", "lr_path"):
        for cell in table[name]:
            assert (folder / cell).resolve().is_relative_to(folder.resolve())
    return None


@pytest.mark.parametrize("kind", ["alignment", "residuals"])
@settings(settings.get_profile("fuzz"))
@given(data=broken_text(STAGES + FIELDS))
def test_details(kind: str, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = _file(tmp_path_factory, data)
    try:
        read_table(path, ALIGNMENT if kind == "alignment" else RESIDUALS)
    except EXPECTED as error:
        said_in_one_line(error)


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(RAWS))
def test_manifest_of_captures(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = _file(tmp_path_factory, data)
    for name in ("hr/a.png", "lr/a.png", "hr/b.png"):
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).touch()
    try:
        captures = find_captures(path)
    except EXPECTED as error:
        return said_in_one_line(error)
    for capture in captures:
        assert scene_problem(capture.scene) is None
        assert not capture.group.startswith(("=", "@"))
        for file in (capture.hr, capture.lr):
            assert file is None or file.resolve().is_relative_to(path.parent.resolve())
    return None


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(DECISIONS))
def test_decisions(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        decisions = read_decisions(_file(tmp_path_factory, data))
    except EXPECTED as error:
        return said_in_one_line(error)
    assert set(decisions.values()) <= {"accept", "reject"}
    return None


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(TRUTHS))
def test_truth(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        assert read_truth(_file(tmp_path_factory, data))["same_scene"].dtype == bool
    except EXPECTED as error:
        said_in_one_line(error)


@settings(settings.get_profile("fuzz"))
@given(data=broken_text(DATASETS))
def test_description(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "dataset.json").write_bytes(data)
    try:
        assert load_description(folder)["version"] in (1, 2)
    except EXPECTED as error:
        said_in_one_line(error)


def _file(factory: pytest.TempPathFactory, data: bytes) -> Path:
    path = factory.getbasetemp() / "table.csv"
    path.write_bytes(data)
    return path
