"""Whether spandrel, after `d2c.spandrel.install()`, makes the images of D2C-SR from its checkpoints.

    python -m benchmarks.accuracy.spandrel_loads

Checkpoints of four structures with random weights are written. The real spandrel, in an environment of its own, loads
them, with the structure read from the file, and upscales a picture of noise; `d2c` does the same.

`make bench-peers` makes spandrel's environment. The exit code is 1 if images differ by more than rounding.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import torch

import d2c
from benchmarks.peers.tools import lacks_environment, python_of
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import text_table
from d2c.checkpoints import native
from d2crealsr.errors import MachineError

if TYPE_CHECKING:
    from benchmarks.result_tables import Row

ENVIRONMENT = "spandrel"
ROUNDING = 1e-5
"""Largest difference, where white is 1, that counts as equal."""
CONFIGS = {
    "small": d2c.D2CConfig(scale=8, groups=1, blocks=1, features=16, convergence_features=16),
    "three": d2c.D2CConfig(scale=3, depth=1, width=3, groups=2, blocks=2, features=8, deep_residual=False),
    "released": d2c.D2CConfig(scale=4, features=16, blocks=1, convergence_bias=False, convergence_relu=True),
    "gain": d2c.D2CConfig(scale=2, groups=1, blocks=1, features=8, convergence_gain=40.0, borders="composed"),
}
_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 600


def compared(folder: Path, width: int, height: int) -> list[Row]:
    """Both programs' images of one picture, for each structure."""
    picture = np.random.default_rng(0).random((height, width, 3), np.float32)
    np.save(folder / "picture.npy", picture)
    for seed, (name, config) in enumerate(CONFIGS.items()):
        torch.manual_seed(seed)
        native.save(folder / f"{name}.safetensors", d2c.D2CSR(config))
    command = [python_of(ENVIRONMENT), "-m", "benchmarks.peers.peer_spandrel_d2csr", folder]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode:
        raise MachineError(f"{ENVIRONMENT}: {done.stderr.strip().splitlines()[-1][:200]}")
    peer, *said = done.stdout.strip().splitlines()
    told = dict(line.split(": ", 1) for line in said)
    rows: list[Row] = []
    for name, config in CONFIGS.items():
        model = d2c.load(folder / f"{name}.safetensors")
        with torch.no_grad():
            ours = model(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        difference = float(np.abs(ours - np.load(folder / f"{name}.npy")).max())
        equal = "yes" if difference <= ROUNDING else "no"
        found = {"peer": peer, "largest_difference": f"{difference:.1e}", "equal": equal, "spandrel_says": told[name]}
        rows.append({"structure": name, "scale": config.scale, **found})
    return rows


@program(__doc__)
@click.option("--width", type=click.IntRange(8), default=24, show_default=True, help="Of the picture, px.")
@click.option("--height", type=click.IntRange(8), default=20, show_default=True, help="Of the picture, px.")
@with_small("A picture of 9x8 pixels", width=9, height=8)
@with_out
def main(width: int, height: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    if lacking := lacks_environment(ENVIRONMENT)():
        click.echo(f"spandrel: not installed: {lacking}")
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = compared(Path(folder), width, height)
    print_and_store(f"Checkpoints of D2C-SR in spandrel and in d2c.\n\n{text_table(rows)}", out, {"": rows})
    if any(row["equal"] == "no" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
