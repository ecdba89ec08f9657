"""The import contracts of pyproject.toml hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = settings["tool"]["importlinter"]["contracts"]
    assert isinstance(found, list)
    return found


def test_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


# One illegal import for each contract: where it is put and what breaks by it.
ILLEGAL = {
    "floors": ("d2crealsr/settings.py", "import d2crealsr.imaging.geometry"),
    "numbers": ("d2crealsr/audit/pair.py", "import pandas"),
    "no-inverse-crime": ("d2crealsr/registration/sift.py", "import d2crealsr.simulate.camera"),
    "no-inverse-crime-back": ("d2crealsr/simulate/camera.py", "import d2crealsr.imaging.geometry"),
    "independent-judge": ("d2crealsr/truth/shift.py", "import d2crealsr.imaging.warp"),
    "toolkit-without-model": ("d2crealsr/imaging/warp.py", "import torch"),
    "file-layer-only": ("d2c/__init__.py", "import d2crealsr.registration"),
    "networks-through-the-table": ("d2c/training/loop.py", "import d2c.d2csr.stages"),
}


def test_every_contract_has_an_illegal_import_to_try() -> None:
    assert set(ILLEGAL) == {contract["id"] for contract in contracts()}


@pytest.mark.parametrize("contract", sorted(ILLEGAL))
def test_contract_breaks_on_an_illegal_import(contract: str, tmp_path: Path) -> None:
    for package in ("d2crealsr", "d2c"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line = ILLEGAL[contract]
    module = tmp_path / name
    module.write_text(module.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    title = next(str(c["name"]) for c in contracts() if c["id"] == contract)
    assert result.returncode == 1
    assert f"{title} BROKEN" in result.stdout
