"""From a folder of pairs to a loaded dataset, and from a run to an answer of onnxruntime: the commands of the docs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "other-programs.md"


def commands(title: str) -> list[str]:
    """The commands below a heading of the page, as written."""
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    text = next(part for part in section if part.startswith(title + "\n"))
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


def run(title: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    output = ""
    for command in commands(title):
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        output += done.stdout
    return output


@pytest.mark.slow
def test_from_a_run_to_an_answer_of_onnxruntime(tmp_path: Path) -> None:
    for name in ("torch", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    import d2c
    from d2c.checkpoints import native

    small = d2c.D2CConfig(depth=1, groups=1, blocks=1, features=8, convergence_features=8)
    native.save(tmp_path / "runs" / "paper" / "last.safetensors", d2c.D2CSR(small))
    assert len(commands("A run in two commands")) == 2
    assert run("A run in two commands", tmp_path).endswith("(1, 3, 256, 384)\n")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="datasets is not installed")
def test_from_pairs_to_a_loaded_dataset(tmp_path: Path) -> None:
    (tmp_path / "pairs").symlink_to(ROOT / "tests" / "earlier" / "v0.1.0" / "pairs")
    assert len(commands("Pairs in two commands")) == 2
    told = run("Pairs in two commands", tmp_path)
    assert "features: ['lr', 'hr', 'scene', 'group', 'scale'],\n        num_rows: 2" in told
    assert "test: Dataset" in told
