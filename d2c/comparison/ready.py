"""What the checkpoints that come with the package make of a dataset, without any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2c.checkpoints.builtin import builtin_names
from d2c.checkpoints.native import load
from d2c.data.layouts import find_pairs, with_split
from d2c.evaluation.evaluate import EvalOptions, evaluate_files, means
from d2c.inference.files import upscale_files
from d2c.inference.run import laid_out
from d2c.metrics import PROTOCOLS
from d2c.networks import network_of

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.ui.progress import Reporter

__all__ = ["show_ready"]


def show_ready(data: Path, out: Path, reporter: Reporter) -> list[str]:
    """Upscale the first test image of a dataset by each built-in checkpoint of its scale, and measure all of them.

    Parameters
    ----------
    data : Path
        A pairs folder or list with a test split. Whether HR and LR of each pair belong together is not checked.
    out : Path
        Gets a folder for each checkpoint, such as ``builtin-x8``, with the image.

    Returns
    -------
    list of str
        A line for each checkpoint: its mean PSNR and SSIM on the test split, and the image.
    """
    pairs = with_split(find_pairs(data), "test", data)
    lines = []
    for name in builtin_names():
        model = laid_out(load(name))
        network, config = network_of(model)
        if config.scale != pairs[0].scale:
            continue
        rows = evaluate_files(model, data, "test", PROTOCOLS[:1], reporter, options=EvalOptions(trust_pairs=True))
        found = {row.method: row for row in means(rows)}
        (made,) = upscale_files(model, [pairs[0].lr], out / name.replace(":", "-"), reporter=reporter)
        reached = found[network.main]
        lines.append(f"{name}: {reached.psnr_db:.3f} dB, SSIM {reached.ssim:.4f} ({reached.protocol}); {made}")
    return lines
