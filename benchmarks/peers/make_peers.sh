#!/usr/bin/env bash
# Environments of the tools we are compared with, each of its own under .peers/, none of them needed for anything else.
#   benchmarks/peers/make_peers.sh           what can be made here without a large download
#   benchmarks/peers/make_peers.sh kornia    that one; brings torch if .venv has none
# Hugin is a system package: apt-get install hugin-tools. scikit-image is in .venv anyway.
# ImgAlign is not among them: it imports cupy at its start, which needs CUDA.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}

own_torch() { .venv/bin/python -c 'import torch, os; print(os.path.dirname(os.path.dirname(torch.__file__)))' 2>/dev/null; }

make_kornia() {
    local place=.peers/kornia
    [ -e "$place/.done" ] && return
    rm -rf "$place"
    if folder=$(own_torch); then
        .venv/bin/python -m venv "$place"
        # torch is large: the one of .venv is looked at from here, after this environment's own packages
        echo "$folder" >"$("$place/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch-of-venv.pth"
        "$place/bin/python" -m pip install --quiet --no-deps kornia kornia-rs
    else
        "$python" -m venv "$place"
        "$place/bin/python" -m pip install --quiet kornia opencv-python-headless
    fi
    "$place/bin/python" -c 'from kornia.geometry import ImageRegistrator'
    touch "$place/.done"
}

case ${1:-available} in
kornia) make_kornia ;;
available)
    if own_torch >/dev/null; then make_kornia || echo "make_peers: kornia could not be installed; its row will say so" >&2; fi
    for program in cpfind align_image_stack; do
        command -v "$program" >/dev/null || echo "make_peers: $program is not installed; apt-get install hugin-tools" >&2
    done
    ;;
*)
    echo "make_peers: got $1, expected kornia or nothing" >&2
    exit 2
    ;;
esac
