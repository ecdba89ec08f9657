"""Whether spandrel, after `d2c.spandrel.install()`, makes the images of D2C-SR from its checkpoints.

    python -m benchmarks.accuracy.spandrel_loads

Checkpoints of four structures with random weights are written. The real spandrel, in an environment of its own, loads
them, with the structure read from the file, and upscales a picture of noise; `d2c` does the same.

`make bench-peers` makes spandrel's environment. The exit code is 1 if images differ by more than rounding.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import d2c
from benchmarks.peers.beside_spandrel import ENVIRONMENT, ROUNDING, beside_spandrel
from benchmarks.peers.tools import python_of
from benchmarks.program import program
from d2c.checkpoints import native
from d2crealsr.errors import MachineError

if TYPE_CHECKING:
    from benchmarks.result_tables import Row

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
@beside_spandrel("Checkpoints of D2C-SR in spandrel and in d2c.")
def main(width: int, height: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return compared(Path(folder), width, height)


if __name__ == "__main__":
    main()
