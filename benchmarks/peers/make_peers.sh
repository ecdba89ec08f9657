#!/usr/bin/env bash
# Environments of the tools we are compared with, each of its own under .peers/, none of them needed for anything else.
#   benchmarks/peers/make_peers.sh             what can be made here without a large download
#   benchmarks/peers/make_peers.sh kornia      that one; brings torch if .venv has none
#   benchmarks/peers/make_peers.sh spandrel    the same
# Hugin is a system package: apt-get install hugin-tools. scikit-image is in .venv anyway.
# ImgAlign is not among them: it imports cupy at its start, which needs CUDA.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}

own_torch() { .venv/bin/python -c 'import torch, os; print(os.path.dirname(os.path.dirname(torch.__file__)))' 2>/dev/null; }

# make_peer NAME PACKAGES-BESIDE-TORCH-OF-VENV PACKAGES-IN-ALL
make_peer() {
    local place=.peers/$1
    [ -e "$place/.done" ] && return
    rm -rf "$place"
    if folder=$(own_torch); then
        .venv/bin/python -m venv "$place"
        # torch is large: the one of .venv is looked at from here, after this environment's own packages
        echo "$folder" >"$("$place/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch-of-venv.pth"
        # shellcheck disable=SC2086
        "$place/bin/python" -m pip install --quiet --no-deps $2
    else
        "$python" -m venv "$place"
        # shellcheck disable=SC2086
        "$place/bin/python" -m pip install --quiet $3
    fi
}

make_kornia() {
    make_peer kornia "kornia kornia-rs" "kornia opencv-python-headless" &&
        .peers/kornia/bin/python -c 'from kornia.geometry import ImageRegistrator' &&
        touch .peers/kornia/.done
}

# spandrel asks for torchvision, whose build on the package index is for CUDA; peer_spandrel.py does without it.
make_spandrel() {
    make_peer spandrel "spandrel einops" "spandrel" &&
        .peers/spandrel/bin/python -c 'import einops, importlib.util, sys; sys.exit(not importlib.util.find_spec("spandrel"))' &&
        touch .peers/spandrel/.done
}

case ${1:-available} in
kornia) make_kornia ;;
spandrel) make_spandrel ;;
available)
    if own_torch >/dev/null; then
        for peer in kornia spandrel; do
            "make_$peer" || echo "make_peers: $peer could not be installed; its row will say so" >&2
        done
    fi
    for program in cpfind align_image_stack; do
        command -v "$program" >/dev/null || echo "make_peers: $program is not installed; apt-get install hugin-tools" >&2
    done
    ;;
*)
    echo "make_peers: got $1, expected kornia, spandrel or nothing" >&2
    exit 2
    ;;
esac
