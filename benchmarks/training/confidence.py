"""Where is the picture uncertain? Maps that may tell, compared with the error within each image.

    python -m benchmarks.training.confidence --work WORK --photos PHOTOS

Two nets of the preset tiny are trained on simulated ×8 postcards: the tree of D2C-SR, whose picture is the mean of its
four branches, and one path of it (width 1, four blocks), with two seeds. The tree is then trained half as many steps
through its third stage, which makes the fused picture. Candidates for a map are

- the spread of the tree's branches, before and after the third stage,
- the local gradient of the picture, which costs nothing,
- the spread over the eight flips and turns of the image, of the tree and of the path,
- the difference of the two seeds of the path,
- a tail that predicts the logarithm of the variance, trained on the frozen tree and on the frozen path.

A candidate and the error of the picture (luma) are compared as root mean squares over blocks of one LR px, within each
image: by AUSE (area between the sparsification curves of the candidate and of the error itself; 0 is perfect), by rank
correlation, and by the rank correlation that is left given the gradient. Images are never pooled. The width over which
a map is smoothed is chosen for each candidate on the pairs that training keeps for validation. The table is of the test
pairs, with 95 % intervals over them. Each net is trained once; how much training varies is not in the intervals.

Finished runs are kept in --work, and an interrupted one goes on.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import torch

from benchmarks.intervals import half_width
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.log_variance import Sample, fitted_tail, log_variance, sample
from benchmarks.training.shifted_scenes import with_scenes
from benchmarks.training.sparsification import (
    ause,
    block_rms,
    partial_rank_correlation,
    rank_correlation,
    smoothed,
)
from benchmarks.training.training_sets import TEST, simulated, validation_pairs
from d2c.checkpoints.native import load
from d2c.d2csr.presets import PRESETS
from d2c.data.layouts import find_pairs, with_split
from d2c.data.patches import to_tensor
from d2c.losses import luma
from d2c.training.train import Request, train
from d2crealsr.store import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from d2c.d2csr.network import D2CSR
    from d2c.data.layouts import Pair

    Plane = NDArray[np.float32]

SEED = 902
"""Seed of the simulated scenes, those of `training.misalignment`."""

SCALE = 8
VALIDATION = 0.2
SMOOTHED_OVER = (0.0, 0.5, 1.0, 2.0)
"""Widths of the Gaussian on a map, in blocks, one of which is chosen on validation."""

NETS: dict[str, dict[str, Any]] = {"tree": {}, "path": {"width": 1, "blocks": 4}, "path-2": {"width": 1, "blocks": 4}}
NETS["third"] = {}
"""What is changed in the preset tiny. The last one is the tree after the third stage."""

PICTURES = ("tree", "path", "third")
TAILED = ("tree", "path")
"""Nets whose pictures are judged, and those of them that get a tail of log-variance."""


class Candidate(NamedTuple):
    """A map that may tell where the picture of a net is uncertain."""

    picture: str
    name: str
    passes: int
    """How often the net is run, the picture included."""


CANDIDATES = (
    Candidate("tree", "gradient", 1),
    Candidate("tree", "spread of branches", 1),
    Candidate("tree", "spread over turns", 8),
    Candidate("tree", "log-variance tail", 1),
    Candidate("path", "gradient", 1),
    Candidate("path", "spread over turns", 8),
    Candidate("path", "two seeds", 2),
    Candidate("path", "log-variance tail", 1),
    Candidate("third", "gradient", 1),
    Candidate("third", "spread of branches", 1),
)


def trained(name: str, data: Path, work: Path, steps: int) -> D2CSR:
    """A net, trained where that is not done. The third stage begins with the weights of the tree."""
    chosen, third = PRESETS["tiny"], name == "third"
    settings = dataclasses.replace(
        chosen.train,
        seed=int(name == "path-2"),
        steps=steps,
        steps_together=steps // 2 if third else 0,
        validation=VALIDATION,
        validate_every=0,
    )
    request = Request(
        data=data,
        out=work / f"confidence-{name}-{steps}",
        model=dataclasses.replace(chosen.model, scale=SCALE, **NETS[name]),
        train=settings,
        stage="3" if third else "1",
        weights=work / f"confidence-tree-{steps}" / "last.safetensors" if third else None,
        device="cpu",
        cache=work / "confidence-cache",
        threads=1,
    )
    train(request)
    model: D2CSR = load(request.out)
    return model


def predictions(model: D2CSR, lr: NDArray[Any]) -> Plane:
    """Luma of the predictions of all branches, (P, H, W), in 8-bit levels."""
    return outputs(model, lr)[0]


def outputs(model: D2CSR, lr: NDArray[Any], *, fused: bool = False) -> tuple[Plane, Plane]:
    """The predictions, and the picture: their mean, or the fused one."""
    with torch.inference_mode():
        made = model.diverge(to_tensor(np.ascontiguousarray(lr))[None])
        picture = model.converge(made)[0] if fused else made.mean(dim=1)
        return np.asarray(255 * luma(made[0])), np.asarray(255 * luma(picture[0]))


def over_turns(model: D2CSR, lr: NDArray[Any]) -> Plane:
    """The mean prediction for each flip and turn of an image, turned back, (8, H, W)."""
    found = []
    for flipped in (False, True):
        for turns in range(4):
            seen = np.rot90(lr[:, ::-1] if flipped else lr, turns)
            back = np.rot90(predictions(model, seen).mean(axis=0), -turns)
            found.append(back[:, ::-1] if flipped else back)
    return np.stack(found)


class Seen(NamedTuple):
    """The error of each picture of an image, and the candidates for it, for each LR px."""

    errors: dict[str, Plane]
    maps: dict[str, dict[str, Plane]]


def errors_of(nets: dict[str, D2CSR], pair: Pair, names: Sequence[str]) -> dict[str, tuple[Plane, Plane, Plane]]:
    """For each net its predictions, its picture, and the error of the picture over LR px."""
    lr, hr = read_image(pair.lr), np.asarray(255 * luma(to_tensor(read_image(pair.hr))))
    made = {name: outputs(nets[name], lr, fused=name == "third") for name in names}
    return {name: (found, picture, block_rms(picture - hr, SCALE)) for name, (found, picture) in made.items()}


def maps_of(nets: dict[str, D2CSR], tails: dict[str, nn.Module], pair: Pair) -> Seen:
    """What there is of one image."""
    lr, made = read_image(pair.lr), errors_of(nets, pair, PICTURES)
    other = predictions(nets["path-2"], lr)[0]
    maps: dict[str, dict[str, Plane]] = {}
    for name, (found, picture, _) in made.items():
        planes = {"gradient": np.hypot(*np.gradient(picture)), "spread of branches": found.std(axis=0)}
        if name != "third":
            planes["spread over turns"] = over_turns(nets[name], lr).std(axis=0)
        if name == "path":
            planes["two seeds"] = np.abs(found[0] - other)
        maps[name] = {kind: block_rms(image, SCALE) for kind, image in planes.items()}
        if name in tails:
            maps[name]["log-variance tail"] = np.exp(log_variance(tails[name], nets[name], lr) / 2)
    return Seen({name: error for name, (_, _, error) in made.items()}, maps)


def trained_tails(nets: dict[str, D2CSR], training: Sequence[Pair], validation: Sequence[Pair]) -> dict[str, nn.Module]:
    """A tail of log-variance for each net that gets one."""

    def samples(name: str, pairs: Sequence[Pair]) -> list[Sample]:
        found = [(pair, errors_of(nets, pair, [name])[name][2]) for pair in pairs]
        return [sample(nets[name], read_image(pair.lr), error) for pair, error in found]

    return {name: fitted_tail(samples(name, training), samples(name, validation)) for name in TAILED}


def chosen_width(candidate: Candidate, images: Sequence[Seen]) -> float:
    """The width of smoothing with the highest mean rank correlation on these images."""

    def mean(sigma: float) -> float:
        return float(np.mean([rank_correlation(*_compared(candidate, image, sigma)) for image in images]))

    return max(SMOOTHED_OVER, key=mean)


def _compared(candidate: Candidate, image: Seen, sigma: float) -> tuple[Plane, Plane]:
    """A candidate's map and the error, without the blocks at the border."""
    inner = (slice(1, -1), slice(1, -1))
    found, error = image.maps[candidate.picture][candidate.name], image.errors[candidate.picture]
    return smoothed(found, sigma)[inner], error[inner]


def row_of(
    candidate: Candidate,
    width: float,
    gradient_width: float,
    images: Sequence[Seen],
) -> Row:
    """One line of the table: means over the images, and half-widths of their intervals."""
    areas, ranks, partial, better = [], [], [], []
    gradient = Candidate(candidate.picture, "gradient", 1)
    for image in images:
        found, error = _compared(candidate, image, width)
        edges, _ = _compared(gradient, image, gradient_width)
        areas.append(ause(found, error))
        ranks.append(rank_correlation(found, error))
        better.append(ranks[-1] - rank_correlation(edges, error))
        partial.append(partial_rank_correlation(found, error, edges) if candidate.name != "gradient" else math.nan)
    return {
        "picture": candidate.picture,
        "candidate": candidate.name,
        "passes": candidate.passes,
        "smoothed": width,
        "ause": float(np.mean(areas)),
        "ause_half_width": half_width(areas),
        "rank": float(np.mean(ranks)),
        "rank_half_width": half_width(ranks),
        "rank_over_gradient": float(np.mean(better)),
        "over_half_width": half_width(better),
        "partial_rank": float(np.mean(partial)),
        "partial_half_width": half_width(partial),
        "images": len(images),
    }


@program(__doc__)
@with_scenes(16)
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True, help="Steps of a run.")
@with_small("Two steps on sixteen scenes", steps=2, scenes=16)
@with_out
def main(work: Path, photos: Path | None, steps: int, scenes: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    data = simulated(
        work / f"x{SCALE}-{scenes}",
        scale=SCALE,
        size="mini",
        scenes=scenes,
        seed=SEED,
        test=scenes // TEST,
        photos=photos,
        recipe="postcards",
    ).folder
    nets = {name: trained(name, data, work, steps) for name in NETS}
    kept, training = validation_pairs(data, VALIDATION), with_split(find_pairs(data), "train", data)
    tails = trained_tails(nets, [pair for pair in training if pair not in kept], kept)
    validation = [maps_of(nets, tails, pair) for pair in kept]
    tested = [maps_of(nets, tails, pair) for pair in with_split(find_pairs(data), "test", data)]
    widths = {candidate: chosen_width(candidate, validation) for candidate in CANDIDATES}
    rows = [row_of(each, widths[each], widths[Candidate(each.picture, "gradient", 1)], tested) for each in CANDIDATES]
    said = (
        f"maps of confidence at x{SCALE}, nets of the preset tiny after {steps} steps, blocks of one LR px\n"
        "passes: runs of the net, the picture included; smoothed: Gaussian on the map, in blocks, chosen on "
        f"{len(validation)} validation pairs\n"
        "ause: area between the sparsification curves of map and error, 0 is perfect; rank: rank correlation\n"
        "rank_over_gradient: rank correlation minus that of the gradient; partial_rank: rank correlation given the "
        "gradient\n"
        f"third: the tree after {steps // 2} steps of its third stage, fused; log-variance tail: on frozen nets\n"
        "each within an image; means over the test pairs, and half-widths of 95 % intervals over them"
    )
    print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})


if __name__ == "__main__":
    main()
