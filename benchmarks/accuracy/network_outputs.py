"""Whether RCAN, RRDB and SwinIR make the same images as in spandrel, a library of others that loads such networks.

    python -m benchmarks.accuracy.network_outputs

spandrel's own classes, in the publications' sizes and with random weights, are written as PyTorch files. spandrel loads
such a file and upscales a picture of noise; `d2c` reads the same file as `d2c convert` does and upscales it as well. So
structure, the tables of names, range and mean of the colours, and the composed tail are all compared at once.

`make bench-peers` makes spandrel's environment. The exit code is 1 if images differ by more than rounding.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.peers.beside_spandrel import ENVIRONMENT, ROUNDING, beside_spandrel
from benchmarks.peers.tools import python_of
from benchmarks.program import program
from d2c.networks import find, network_of
from d2c.networks.base.count import parameters
from d2crealsr.errors import MachineError

if TYPE_CHECKING:
    from benchmarks.result_tables import Row

SCALES = {
    "RCAN": (2, 3, 4, 8),
    "RRDB": (2, 4, 8),
    "SwinIR": (2, 3, 4, 8),
    "SwinIR-light": (2, 3, 4),
}
"""Networks, and scales at which spandrel loads them."""
CASES = [(name, scale) for name, scales in SCALES.items() for scale in scales]
_SCRIPT = Path(__file__).parents[1] / "peers" / "peer_spandrel.py"
_TIMEOUT_S = 600


def compared(name: str, scale: int, picture: np.ndarray) -> Row:
    """Both programs' images of a picture ``(h, w, 3)`` by the same weights."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / file for file in ("picture.npy", "weights.pth", "outputs.npy")]
        np.save(files[0], picture)
        command = [python_of(ENVIRONMENT), _SCRIPT, name, str(scale), *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        if done.returncode:
            raise MachineError(f"{ENVIRONMENT}: {name} x{scale}: {done.stderr.strip().splitlines()[-1][:200]}")
        theirs = np.load(files[2])
        network = find(name.lower().partition("-")[0])
        model = network.released(files[1]).eval()
    with torch.no_grad():
        ours = model(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    difference, spread = float(np.abs(ours - theirs).max()), float(np.ptp(theirs))
    return {
        "network": name,
        "scale": scale,
        "parameters": parameters(*network_of(model)),
        "image": f"{theirs.shape[1]}x{theirs.shape[0]}",
        "range": spread,
        "largest_difference": f"{difference:.1e}",
        "equal": "yes" if ours.shape == theirs.shape and difference <= ROUNDING * spread else "no",
        "peer": done.stdout.strip(),
    }


@program(__doc__)
@beside_spandrel(
    "The same random weights in spandrel and in d2c, which reads them as d2c convert does.\n"
    f"equal: the images differ nowhere by more than {ROUNDING:g} of their range",
)
def main(width: int, height: int) -> list[Row]:
    picture = np.random.default_rng(0).random((height, width, 3), np.float32)
    return [compared(name, scale, picture) for name, scale in CASES]


if __name__ == "__main__":
    main()
