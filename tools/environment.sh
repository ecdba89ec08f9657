#!/usr/bin/env bash
# Make or refresh the virtual environment that the Makefile's targets use.
#   tools/environment.sh base     the toolkit and its developer tools, no torch
#   tools/environment.sh train    the same and the extra `train` (torch)
# PYTHON chooses the interpreter, VENV the folder. pip's own settings and a torch that is installed stay as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?expected base or train}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

fail() {
    echo "environment: $1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "$python is not installed, Python 3.11 or newer is needed; choose one with PYTHON=/path/to/python"
version=$("$python" -c 'import platform; print(platform.python_version())')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $version, 3.11 or newer is needed; choose one with PYTHON=/path/to/python3.11"

if [ -e "$venv" ] && [ "$("$venv/bin/python" -c 'import platform; print(platform.python_version())' 2>/dev/null)" != "$version" ]; then
    echo "environment: $venv is not of Python $version, making it anew"
    rm -rf "$venv"
fi
if [ ! -e "$venv" ]; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
    seen=()
    if "$python" -c 'import torch' 2>/dev/null; then
        echo "environment: $python has torch; $venv will use that one"
        seen=(--system-site-packages)
    fi
    "$python" -m venv "${seen[@]}" "$venv" || {
        rm -rf "$venv"
        fail "$python cannot make $venv; on Debian and Ubuntu: apt-get install python3-venv"
    }
fi

constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
if "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    grep -v '^torch==' constraints.txt >"$constraints"
else
    cp constraints.txt "$constraints"
    [ "$kind" = base ] || echo "environment: torch comes from pip's index; on Linux x86-64 that may be a CUDA build of several" \
        "gigabytes. For a CPU build put one into $venv first, or point pip's settings at it."
fi
# Make asks for `base` before `train`, and has said it then.
[ "$kind" = train ] && [ -e "$venv/bin/d2crealsr" ] ||
    echo "environment: installing into $venv, a minute or so the first time"
extras=dev
[ "$kind" = base ] || extras=dev,train,onnx,hub
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" --editable ".[$extras]"

if ! problem=$("$venv/bin/python" -c 'import cv2' 2>&1); then
    case $problem in
    *libGL* | *libgthread* | *libglib*)
        fail "OpenCV lacks a system library (${problem##*: }); on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
        ;;
    *) fail "import cv2 fails: ${problem##*$'\n'}; two OpenCV packages in one environment break each other: make clean, then again" ;;
    esac
fi
