#!/usr/bin/env bash
# What a release must pass: a wheel and a source distribution that install and run without the checkout.
#   tools/release_check.sh            the toolkit alone: the wheel, its demo, the source distribution
#   tools/release_check.sh train      also with the extras report and train: the demo of d2c, and docs/tutorial.md
# PYTHON is the interpreter with the package `build`; the environments it makes are temporary.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-.venv/bin/python}
kind=${1:-base}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

said() { echo "release-check: $1"; }

version=$("$python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
said "version $version"
grep -q "^version: $version\$" CITATION.cff || { said "CITATION.cff has another version; correct it" >&2; exit 1; }

"$python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
wheel=$(echo "$work"/dist/d2crealsr-"$version"-*.whl)
source=$work/dist/d2crealsr-$version.tar.gz

installed() { # installed NAME WHAT: an environment with WHAT, in which nothing of the checkout can be seen
    "$python" -m venv "$work/$1"
    "$work/$1/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" "$2"
    mkdir -p "$work/$1/empty"
    cd "$work/$1/empty"
}

for what in "$wheel" "$source"; do
    name=$(basename "$what" | tr -cd a-z)
    said "install $(basename "$what") and run d2crealsr demo"
    installed "$name" "$what"
    [ "$("$work/$name/bin/d2crealsr" --version)" = "d2crealsr, version $version" ]
    "$work/$name/bin/d2crealsr" demo --quiet >"$work/demo.log"
    "$work/$name/bin/d2crealsr" verify d2crealsr-demo/pairs
    "$work/$name/bin/d2c" --version 2>"$work/torch.log" && exit 1
    grep "needs PyTorch" "$work/torch.log"
    cd "$root"
done

if [ "$kind" = train ]; then
    said "the same with the extras report and train, and d2c demo"
    installed train "${wheel}[report,train]"
    "$work/train/bin/d2crealsr" demo --quiet >"$work/demo.log"
    [ -f d2crealsr-demo/pairs/report/index.html ]
    "$work/train/bin/d2c" demo --quiet
    [ -f d2crealsr-demo/run/comparison.png ]
    said "the other commands of docs/tutorial.md"
    "$work/train/bin/d2crealsr" summary d2crealsr-demo/pairs --sort -residual_p95_hr_px
    "$work/train/bin/d2c" eval d2crealsr-demo/run --data d2crealsr-demo/pairs
    "$work/train/bin/d2c" upscale d2crealsr-demo/pairs/lr/001.png --checkpoint d2crealsr-demo/run --out upscaled
    [ -f upscaled/001_x8.png ]
    "$work/train/bin/d2c" report d2crealsr-demo/run
    cd "$root"
fi
said "passed"
