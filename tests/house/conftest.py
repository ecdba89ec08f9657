"""A copy of both packages in which a test can build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

COMMANDS = """
import json, sys
from click.testing import CliRunner
from d2crealsr.command.cli import main

def d2crealsr(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output

def docs(name, *arguments):
    import runpy
    return runpy.run_path("tools/tables_in_docs.py")[name](*arguments)
"""


class House:
    """A copy of both packages to build in, and commands and code that run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in ("d2crealsr", "d2c"):
            shutil.copytree(ROOT / package, root / package)
        (root / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "tables_in_docs.py", root / "tools")

    def module(self, name: str, code: str) -> None:
        """A new module."""
        (self.root / name).write_text(textwrap.dedent(code), encoding="utf-8")

    def line(self, name: str, before: str, new: str) -> None:
        """A new line of a module, in front of the one that begins like this."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{before}") == 1, f"{name} has another line {before!r}"
        path.write_text(text.replace(f"\n{before}", f"\n{new}\n{before}"), encoding="utf-8")

    def runs(self, code: str, *arguments: object) -> str:
        """What code prints that is run in the copy."""
        environment = os.environ | {"PYTHONPATH": str(self.root)}
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))
