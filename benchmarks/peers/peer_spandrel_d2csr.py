"""Checkpoints of D2C-SR in spandrel; run by the python of .peers/spandrel, with this repository on its path.

    python -m benchmarks.peers.peer_spandrel_d2csr FOLDER

Each checkpoint in FOLDER is loaded by ``spandrel.ModelLoader`` after ``d2c.spandrel.install()``. It upscales the
picture ``FOLDER/picture.npy``, ``(h, w, 3)`` in [0, 1], and the result is written beside it as ``NAME.npy``. It prints
the version, and for each checkpoint what spandrel says of it.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import peer_spandrel  # stands in for torchvision where there is none


def main(folder: Path) -> None:
    import d2c.spandrel

    torch.set_num_threads(1)
    d2c.spandrel.install()
    d2c.spandrel.install()  # a second time changes nothing
    loader = peer_spandrel.spandrel.ModelLoader("cpu")
    pixels = torch.from_numpy(np.load(folder / "picture.npy")).permute(2, 0, 1)[None]
    print(f"spandrel {peer_spandrel.spandrel.__version__}")
    for path in sorted(folder.glob("*.safetensors")):
        loaded = loader.load_from_file(path)
        with torch.no_grad():
            image = loaded(pixels)[0]
            half = loaded.half()(pixels.half())[0]
        np.save(path.with_suffix(".npy"), image.permute(1, 2, 0).numpy())
        worst = float((half.float() - image).abs().max())
        print(f"{path.stem}: {loaded.architecture.name}, x{loaded.scale}, {', '.join(loaded.tags)}; fp16 {worst:.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
