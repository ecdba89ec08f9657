"""A network of spandrel with random weights; run by the python of .peers/spandrel, which knows nothing of this project.

    python peer_spandrel.py RCAN 4 picture.npy weights.pth outputs.npy

It writes the weights as a PyTorch file, has spandrel load this file as it loads any other, and writes what the loaded
network makes of the picture ``(h, w, 3)`` in [0, 1]. It prints its version.
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch


def without_torchvision() -> None:
    """Give spandrel the three names that it imports of torchvision; none of these networks calls one of them.

    The torchvision of the package index is built for CUDA and cannot be imported beside a PyTorch for CPUs.
    """
    module = ModuleType("torchvision.transforms.functional")
    module.InterpolationMode = module.rotate = module.normalize = None
    for name in ("torchvision", "torchvision.transforms"):
        sys.modules[name] = ModuleType(name)
    sys.modules[module.__name__] = module


try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    without_torchvision()

import spandrel
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.RCAN import RCAN
from spandrel.architectures.SwinIR import SwinIR


def swinir(scale: int, groups: int, features: int, upsampler: str) -> SwinIR:
    """A SwinIR in the authors' settings, with weights by which pixels attend to each other unequally.

    Its own random weights are so small that every pixel of a window would count nearly the same.
    """
    sizes = {"img_size": 48, "window_size": 8, "embed_dim": features, "mlp_ratio": 2}
    layers = {"depths": [6] * groups, "num_heads": [6] * groups}
    model = SwinIR(upscale=scale, upsampler=upsampler, **sizes, **layers)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("qkv.weight", "relative_position_bias_table")):
                weight.normal_(std=weight.shape[1] ** -0.5)
    return model


NETWORKS = {
    "RCAN": lambda scale: RCAN(scale=scale),
    "RRDB": lambda scale: ESRGAN(scale=scale),
    "SwinIR": lambda scale: swinir(scale, 6, 180, "pixelshuffle"),
    "SwinIR-light": lambda scale: swinir(scale, 4, 60, "pixelshuffledirect"),
}


def main(network: str, scale: str, picture: Path, weights: Path, outputs: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.save(NETWORKS[network](int(scale)).state_dict(), weights)
    loaded = spandrel.ModelLoader("cpu").load_from_file(weights)
    pixels = torch.from_numpy(np.load(picture)).permute(2, 0, 1)[None]
    with torch.no_grad():
        image = loaded.model.eval()(pixels)[0]
    np.save(outputs, image.permute(1, 2, 0).numpy())
    print(f"spandrel {spandrel.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(Path, sys.argv[3:]))
