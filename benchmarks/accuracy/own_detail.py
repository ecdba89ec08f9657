"""Does QA notice an HR without detail of its own? Digital zoom, soft captures and sharp ones, with known truth.

    python -m benchmarks.accuracy.own_detail --align 12 --cache scenes --out benchmarks/results/own-detail
    python -m benchmarks.accuracy.own_detail --net runs/x8 --net runs/x4 --only net --cache scenes

Digital zoom: the lens is set to the scale divided by a share, and software enlarges its capture by the share, on
encoded values, followed by JPEG of quality 95 where nothing else is said. HR is published by the true mapping, in its
own brightness; --align N registers N scenes of some classes as well, and compares. Accepted: not rejected by the rule
on detail_scale. Smooth cards are reported apart: those whose reference picture (the card without noise) has less than
3 % of its power beyond LR's Nyquist frequency. Seen: enlarged_by names a factor; right: it is within 2 % of the share.
Every capture is measured once; --rejudge applies today's threshold to the rows of earlier runs, in no time. The stored
table is of two runs, the first with --align 8, the second with --only net, judged together.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import numpy as np

from benchmarks.hr_captures import SHARP, SOFT, captures, enlarged, jpeg, shares_at, sharpened
from benchmarks.program import FILE, Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, read_csv, text_table
from benchmarks.smooth_cards import SMOOTH, power_beyond_nyquist
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.errors import UsageError
from d2crealsr.quality import evidence, verdict
from d2crealsr.settings import AlignSettings
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.hr_captures import Captures
    from benchmarks.scenes import BenchScene
    from d2c import D2CSR
    from d2crealsr.types import Image

    Enlargement: TypeAlias = Callable[[Image, Size, float], Image]

ENLARGEMENTS: dict[str, Enlargement] = {
    "nearest": lambda small, size, share: jpeg(enlarged(small, size, "nearest")),
    "bilinear, no JPEG": lambda small, size, share: enlarged(small, size, "linear"),
    "bilinear, sharpened": lambda small, size, share: jpeg(
        sharpened(enlarged(small, size, "linear"), radius=share / 2, amount=2)
    ),
    "bicubic": lambda small, size, share: jpeg(enlarged(small, size, "cubic")),
    "bicubic, JPEG 75": lambda small, size, share: jpeg(enlarged(small, size, "cubic"), 75),
    "bicubic, sharpened": lambda small, size, share: jpeg(
        sharpened(enlarged(small, size, "cubic"), radius=share / 2, amount=2)
    ),
    "bicubic, sharpened finely": lambda small, size, share: jpeg(
        sharpened(enlarged(small, size, "cubic"), radius=1, amount=3)
    ),
}
"""What software makes of a capture of the lens, by name."""

_SCALE = 8
"""Scale of the pairs if none is given."""

ALIGNED = (SHARP, "x8 bicubic, sharpened", "x4 bicubic")
"""Classes that ``--align`` registers."""


def hr_captures(shots: Captures, nets: Sequence[Path], only: Sequence[str] = ()) -> Iterator[tuple[str, Image]]:
    """Every HR capture of a scene by the name of its class, or those whose name contains one of some texts."""
    return ((name, make()) for name, make in _makers(shots, nets) if is_wanted(name, only))


def is_wanted(name: str, only: Sequence[str]) -> bool:
    """Whether the name of a class contains one of some texts; every class if there are none."""
    return not only or any(text in name for text in only)


def check_only(only: Sequence[str], scale: int, nets: Sequence[Path]) -> None:
    """Refuse texts that are in the name of no class, before anything is measured.

    Raises
    ------
    UsageError
        For the first of them.
    """
    names = [SHARP, *SOFT, *(f"x{share:g} {name}" for share in shares_at(scale) for name in ENLARGEMENTS)]
    names += [_name_of(net) for net in nets]
    for text in only:
        if not any(text in name for name in names):
            raise UsageError(
                f"--only: {text!r} is in the name of no class at scale {scale}, expected a part of one of "
                f"{', '.join(names)}; change --only, or give --net for a network"
            )


def _makers(shots: Captures, nets: Sequence[Path]) -> Iterator[tuple[str, Callable[[], Image]]]:
    size = Size.of(shots.picture(SHARP))
    for name in (SHARP, *SOFT):
        yield name, functools.partial(shots.picture, name)
    for share in shares_at(shots.scene.scale):
        small = shots.picture(f"zoom-{share:g}")
        for name, enlarge in ENLARGEMENTS.items():
            yield f"x{share:g} {name}", functools.partial(enlarge, small, size, share)
    for net in nets:
        yield _name_of(net), functools.partial(upscaled_by, _loaded(net), shots)


def _name_of(net: Path) -> str:
    return f"x{_loaded(net).config.scale} by a trained net"


@functools.cache
def _loaded(net: Path) -> D2CSR:
    import d2c

    return d2c.load(net).eval()


def upscaled_by(model: D2CSR, shots: Captures) -> Image:
    """The capture that a network enlarges to the size of HR, enlarged by it, as a JPEG of quality 95."""
    import torch

    small = shots.picture(f"zoom-{model.config.scale}").astype(np.float32) / 255
    with torch.inference_mode():
        large = model(torch.from_numpy(small).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    return jpeg(opencv.as_image(np.clip(np.rint(255 * large), 0, 255).astype(np.uint8)))


def measure(
    scene: BenchScene, cache: Path | None, nets: Sequence[Path], only: Sequence[str], aligned: frozenset[int]
) -> list[Row]:
    """The measures of every HR capture of a scene."""
    shots = captures(scene, cache)
    settings = AlignSettings(scale=scene.scale)
    facts: Row = {"scale": scene.scale, "size": scene.size, "seed": scene.seed, "kind": scene.kind}
    facts["beyond"] = power_beyond_nyquist(shots.published_reference, scene.scale)
    rows: list[Row] = []
    for name, hr in hr_captures(shots, nets, only):
        found = evidence.own_detail(hr, shots.published(hr), shots.true_placement)
        row: Row = facts | {"class": name} | found | {"rejected": bool(verdict.judge(found, settings))}
        if scene.seed in aligned and name in ALIGNED:
            row |= _by_align(hr, shots.picture("lr"), settings)
        rows.append(row)
    return rows


def _by_align(hr: Image, lr: Image, settings: AlignSettings) -> Row:
    """The same by the whole of `align`."""
    pair = align_pair(hr, lr, settings=settings)
    if not isinstance(pair, Alignment):
        return {"reasons": pair.reason}
    return {"aligned": pair.statistics["detail_scale"], "reasons": ";".join(pair.reasons)}


def scale_of(lines: Sequence[dict[str, str]], asked: int | None) -> int:
    """The scale of the rows of earlier runs; that which is asked for, or 8, if they do not state it.

    Raises
    ------
    UsageError
        When they are of several scales, or of another than is asked for.
    """
    scales = {int(line["scale"]) for line in lines if "scale" in line}
    if len(scales) > 1 or (scales and asked not in (None, *scales)):
        found = ", ".join(map(str, sorted(scales)))
        wanted = "one scale" if asked is None else f"--scale {asked}"
        raise UsageError(f"--rejudge: the rows are of scale {found}, expected {wanted}; judge the rows of one scale")
    return next(iter(scales), asked or _SCALE)


def rejudged(path: Path, settings: AlignSettings) -> list[Row]:
    """The rows of an earlier run with the verdict of today."""
    rows: list[Row] = []
    for line in read_csv(path):
        numbers = {n: float(line[n]) for n in ("beyond", "detail_scale", "enlarged_by", "aligned") if n in line}
        of_align = {"reasons": line.get("reasons", "")} if "aligned" in line else {}
        rows.append(line | of_align | numbers | {"rejected": bool(verdict.judge(numbers, settings))})
    return rows


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row a class: what is accepted, and the numbers; smooth cards apart."""
    return [_summary(name, [row for row in rows if row["class"] == name]) for name in _classes(rows)]


def _classes(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["class"] for row in rows))


def _summary(name: str, rows: Sequence[Row]) -> Row:
    usual = [row for row in rows if row["beyond"] >= SMOOTH]
    smooth = [row for row in rows if row["beyond"] < SMOOTH]
    summary: Row = {"HR": name, "scenes": len(usual), "% accepted": _accepted(usual)}
    if usual:
        scales = np.array([row["detail_scale"] for row in usual])
        summary |= {f"p{q}": float(np.percentile(scales, q)) for q in (5, 50, 95)}
        summary |= {"least": float(scales.min()), "most": float(scales.max())}
    factors = np.array([row["enlarged_by"] for row in rows])
    summary["% seen"] = 100 * float(np.mean(np.isfinite(factors)))
    if name.startswith("x"):
        share = float(name[1:].split()[0])
        summary["% right"] = 100 * float(np.mean(np.abs(factors / share - 1) < 0.02))
    return summary | {"smooth": len(smooth), "% smooth accepted": _accepted(smooth)}


def _accepted(rows: Sequence[Row]) -> float:
    return 100 * float(np.mean([not row["rejected"] for row in rows])) if rows else float("nan")


def compared(rows: Sequence[Row]) -> str:
    """What the whole of `align` says of the captures that it was given."""
    both = [row for row in rows if "reasons" in row]
    found = [row for row in both if "aligned" in row]
    same = sum(row["rejected"] == ("hr_not_sharper" in row["reasons"]) for row in found)
    apart = max((abs(row["aligned"] - row["detail_scale"]) for row in found), default=float("nan"))
    return (
        f"Registered by the whole of align: {len(both)} captures, {len(both) - len(found)} without an estimate. Of the "
        f"others {same} have the same verdict, and detail_scale differs by at most {apart:.3f}."
    )


def _told(rows: Sequence[Row]) -> str:
    wrong = [row["class"] for row in rows if row["rejected"] == (row["class"] == SHARP)]
    return f"{rows[0]['seed']} {rows[0]['kind']} {100 * rows[0]['beyond']:.1f} %: {'; '.join(wrong)}"


@program(__doc__)
@over_scenes(
    *(with_seeds("100..224"), with_size("mini"), with_jobs, with_cache), with_small("Two mini scenes", seeds="0..1")
)
@click.option("--scale", type=click.IntRange(2, 16), help="Scale of the pairs.  [default: 8, or that of the rows]")
@click.option(
    "--net",
    "nets",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A checkpoint of d2c that enlarges as well; repeatable.",
)
@click.option("--only", multiple=True, help="Only classes whose name contains this; repeatable.")
@click.option("--align", "count", type=click.IntRange(min=0), default=0, help="Scenes that are registered as well.")
@click.option("--rejudge", "earlier", multiple=True, type=FILE, help="Rows of an earlier run to judge; repeatable.")
def main(run: Run, scale: int | None, count: int, earlier: tuple[Path, ...], **chosen: Any) -> None:
    scale = scale_of([line for path in earlier for line in read_csv(path)], scale)
    settings = AlignSettings(scale=scale)
    measured = functools.partial(measure, cache=run.cache, aligned=frozenset(run.wanted[:count]), **chosen)
    if earlier:
        rows = [row for path in earlier for row in rejudged(path, settings)]
        sizes = "".join(f"{size} size, " for size in dict.fromkeys(row["size"] for row in rows if "size" in row))
        about = f"{', '.join(path.name for path in earlier)} judged again, {sizes}scale {scale}"
    else:
        check_only(chosen["only"], scale, chosen["nets"])
        about = f"{run.size} size, scale {scale}, {run.of_seeds}"
        rows = [row for of_scene in run.each(measured, run.scenes(scale=scale), told=_told) for row in of_scene]
    (rule,) = (rule for rule in verdict.RULES if rule.statistic == "detail_scale")
    limit = rule.limit(settings)
    parts = [
        f"Own detail of HR: {about}; accepted from {limit:.2f}",
        text_table(summarise(rows), digits=2),
    ]
    parts += [compared(rows)] if any("reasons" in row for row in rows) else []
    run.store("\n\n".join(parts), rows)


if __name__ == "__main__":
    main()
