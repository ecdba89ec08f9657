"""What `make install` says when something is missing. A stub stands in for Python, so nothing is installed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Answers the questions that tools/environment.sh asks; `-m venv` copies the stub itself into the environment.
STUB = """#!/usr/bin/env bash
echo "$*" >>"$STUB_LOG"
case "$*" in
    *platform*) cat "$(dirname "$0")/version" 2>/dev/null || echo "${STUB_VERSION:-3.11.9}" ;;
    *version_info*) [ "${STUB_VERSION:-3.11.9}" != 3.10.4 ] ;;
    *"import ensurepip"*) [ -z "${STUB_NO_VENV:-}" ] ;;
    *"import torch"*) [ -n "${STUB_TORCH:-}" ] ;;
    *"import cv2"*) [ -z "${STUB_CV2:-}" ] || { echo "ImportError: $STUB_CV2" >&2; exit 1; } ;;
    "-m venv"*)
        mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python"
        echo "${STUB_VERSION:-3.11.9}" >"${@: -1}/bin/version" ;;
    *"-m pip"*)
        touch "$(dirname "$0")/d2crealsr"
        while [ "$1" != --constraint ]; do shift; done; grep '^torch==' "$2" || true; echo "extras ${*: -1}" ;;
esac
"""


def environment(folder: Path, kind: str = "base", **stub: str) -> subprocess.CompletedProcess[str]:
    (folder / "tools").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tools/environment.sh", folder / "tools")
    shutil.copy(ROOT / "constraints.txt", folder)
    python = folder / "python-stub"
    python.write_text(STUB, encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    settings = {"PYTHON": str(python), "VENV": "venv", "STUB_LOG": str(folder / "log"), "PATH": os.environ["PATH"]}
    command = ["bash", str(folder / "tools/environment.sh"), kind]
    return subprocess.run(command, env=settings | stub, capture_output=True, text=True, check=False)


def test_base_installs_no_torch_and_the_next_run_keeps_the_environment(tmp_path: Path) -> None:
    first = environment(tmp_path)
    assert first.returncode == 0, first.stderr
    assert "extras .[dev]\n" in first.stdout
    environment(tmp_path)
    assert (tmp_path / "log").read_text(encoding="utf-8").count("-m venv") == 1


def test_train_asks_for_the_tested_torch(tmp_path: Path) -> None:
    result = environment(tmp_path, "train")
    assert "extras .[dev,train,onnx,hub]" in result.stdout
    assert "torch==2" in result.stdout
    assert "CUDA" in result.stdout


def test_train_after_base_does_not_say_again_that_it_installs(tmp_path: Path) -> None:
    said = environment(tmp_path).stdout + environment(tmp_path, "train").stdout
    assert said.count("environment: installing into venv") == 1
    assert "installing into venv" in environment(tmp_path).stdout


def test_installed_torch_is_kept(tmp_path: Path) -> None:
    result = environment(tmp_path, "train", STUB_TORCH="yes")
    assert "--system-site-packages" in (tmp_path / "log").read_text(encoding="utf-8")
    assert "torch==" not in result.stdout


@pytest.mark.parametrize(
    ("stub", "said"),
    [
        ({"STUB_VERSION": "3.10.4"}, "is Python 3.10.4, 3.11 or newer is needed; choose one with PYTHON="),
        ({"STUB_NO_VENV": "yes"}, "apt-get install python3-venv"),
        ({"STUB_CV2": "libGL.so.1: cannot open shared object file"}, "apt-get install libgl1 libglib2.0-0"),
        ({"STUB_CV2": "libgthread-2.0.so.0: cannot open shared object file"}, "apt-get install libgl1 libglib2.0-0"),
        ({"STUB_CV2": "cannot import name 'gapi'"}, "two OpenCV packages in one environment break each other"),
        ({"PYTHON": "no-such-python"}, "no-such-python is not installed"),
    ],
    ids=["old", "no venv", "no libGL", "no glib", "broken OpenCV", "no Python"],
)
def test_what_is_missing_is_said_with_its_remedy(stub: dict[str, str], said: str, tmp_path: Path) -> None:
    result = environment(tmp_path, **stub)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_another_version_of_python_makes_the_environment_anew(tmp_path: Path) -> None:
    environment(tmp_path)
    result = environment(tmp_path, STUB_VERSION="3.12.1")
    assert result.returncode == 0
    assert "is not of Python 3.12.1, making it anew" in result.stdout
    assert (tmp_path / "venv/bin/version").read_text(encoding="utf-8") == "3.12.1\n"
