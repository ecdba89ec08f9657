"""What does it cost if cameras demosaic in other ways, or have other colour filters, than the estimator's model?

    python -m benchmarks.accuracy.demosaics --seeds 100..109 --out benchmarks/results/demosaics

All other figures are of simulated cameras with an RGGB filter and OpenCV's edge-aware demosaicing. This is also the
model by which refinement predicts the error of LR's demosaicing. Here each scene is exposed once, with the light of all
three colours and one draw of noise at every pixel. Each camera takes from it what its filter lets through, demosaics,
balances, encodes and stores a JPEG of quality 95, for HR and LR alike:

* RGGB with OpenCV's edge-aware interpolation, to which all others are compared on the same scenes;
* GRBG and BGGR with the same interpolation;
* RGGB with LibRaw's bilinear, AHD and DCB interpolation, by way of a DNG;
* X-Trans (6x6 pixels) with LibRaw's interpolation for it (three passes, F. Markesteijn).

mean: true error in HR px, as in accuracy.alignment, over the scenes that have an estimate with every camera; predicted:
mean standard error by sigma_hr_px; cost: mean increase against the first camera, and its interval of 95 %. rejected:
pairs that are rejected, or have no estimate, although the same scene is accepted with the first camera.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.dng import write_dng
from benchmarks.intervals import mean_of
from benchmarks.program import Run, needs, over_scenes, program, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.simulate import encode_capture
from d2crealsr.simulate.sensor import RAW_LEVELS, develop
from d2crealsr.simulate.shoot import mosaics
from d2crealsr.store.readers.raws import rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.scenes import BenchScene

Raw = NDArray[np.uint16]

X_TRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"
_WHITE = 65535


class Camera(NamedTuple):
    """A colour filter, as the colours of its first square row after row, and what interpolates its mosaic."""

    pattern: str
    demosaic: Callable[[Raw], Raw]


def filtered(light: Raw, pattern: str) -> Raw:
    """The mosaic (H, W) of raw values (H, W, 3) that every colour would have at every pixel."""
    side = round(len(pattern) ** 0.5)
    mosaic = np.empty(light.shape[:2], light.dtype)
    for number, letter in enumerate(pattern):
        part = np.s_[number // side :: side, number % side :: side]
        mosaic[part] = light[..., "RGB".index(letter)][part]
    return mosaic


def edge_aware(mosaic: Raw, pattern: str) -> Raw:
    """OpenCV's interpolation of any Bayer pattern."""
    top, left = divmod(pattern.index("R"), 2)
    red_first = np.pad(mosaic, ((top, 0), (left, 0)), mode="reflect")
    return opencv.demosaic_edge_aware(red_first)[top:, left:]


def by_libraw(mosaic: Raw, pattern: str, algorithm: str) -> Raw:
    """LibRaw's interpolation of a DNG, without its colours and balance: raw values (H, W, 3)."""
    import rawpy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosaic.dng"
        write_dng(path, mosaic, phase=pattern)
        with rawpy.imread(str(path)) as raw:
            light = rendered(raw, (), algorithm, "raw")
    black, white = RAW_LEVELS
    table = np.round(black + np.arange(_WHITE + 1) * ((white - black) / _WHITE)).astype(np.uint16)
    rgb: Raw = table[light]
    return rgb


def _opencv(pattern: str) -> Camera:
    return Camera(pattern, functools.partial(edge_aware, pattern=pattern))


def _libraw(pattern: str, algorithm: str) -> Camera:
    return Camera(pattern, functools.partial(by_libraw, pattern=pattern, algorithm=algorithm))


REFERENCE = "RGGB edge-aware"
CAMERAS = {
    REFERENCE: _opencv("RGGB"),
    "GRBG edge-aware": _opencv("GRBG"),
    "BGGR edge-aware": _opencv("BGGR"),
    "RGGB bilinear": _libraw("RGGB", "LINEAR"),
    "RGGB AHD": _libraw("RGGB", "AHD"),
    "RGGB DCB": _libraw("RGGB", "DCB"),
    "X-Trans": _libraw(X_TRANS, "AHD"),
}


def measure(scene: BenchScene) -> list[Row]:
    """A row for each camera."""
    *light, session = mosaics(scene.recipe, scene.settings, colour_filter=np.copy)
    rows = []
    for name, camera in CAMERAS.items():
        files = (
            encode_capture(develop(filtered(raw, camera.pattern), shot, camera.demosaic), "jpg")
            for raw, shot in zip(light, (session.hr, session.lr), strict=True)
        )
        hr, lr = (opencv.as_image(opencv.decode(data)) for data in files)
        rows.append({"seed": scene.seed, "kind": scene.kind, "camera": name} | _row(scene, hr, lr))
    return rows


def _row(scene: BenchScene, hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> Row:
    found = align_pair(hr, lr, scale=scene.scale)
    if not isinstance(found, Alignment):
        return {"status": found.reason}
    error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found))
    status = "accepted" if found.accepted else ";".join(found.reasons)
    sigma = found.statistics.get("sigma_hr_px", float("nan"))
    return {"status": status, "mean": error.mean, "worst": error.maximum, "rms": error.rms, "sigma_hr_px": sigma}


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A row for each camera."""
    cells = {(row["seed"], row["camera"]): row for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    everywhere = [seed for seed in seeds if all("mean" in cells[seed, camera] for camera in CAMERAS)]
    good = [seed for seed in seeds if cells[seed, REFERENCE]["status"] == "accepted"]
    of_reference = np.array([cells[seed, REFERENCE]["mean"] for seed in everywhere])
    table = []
    for camera in CAMERAS:
        means = np.array([cells[seed, camera]["mean"] for seed in everywhere])
        row: Row = {"camera": camera, "scenes": len(everywhere)}
        if everywhere:
            cost = mean_of(means - of_reference)
            row |= {"mean": float(means.mean()), "p95": float(np.percentile(means, 95))}
            row["predicted"] = float(np.mean([cells[seed, camera]["sigma_hr_px"] for seed in everywhere]))
            row |= {"cost": cost.mean, "low": cost.low, "high": cost.high}
        rejected = sum(cells[seed, camera]["status"] != "accepted" for seed in good)
        table.append(row | {"rejected": rejected, "of": len(good)})
    return table


def _told(rows: Sequence[Row]) -> str:
    told = (f"{row['camera']} {row.get('mean', float('nan')):.4f} {row['status']}" for row in rows)
    return f"{rows[0]['seed']} {rows[0]['kind']}: {'; '.join(told)}"


@program(__doc__)
@over_scenes(with_seeds("100..109"), with_size("half"), with_jobs, with_small("One mini scene", seeds="0", size="mini"))
def main(run: Run) -> None:
    needs("rawpy", extra="raw")
    rows = [row for of_scene in run.each(measure, run.scenes(), told=_told) for row in of_scene]
    run.store(
        f"Demosaics and colour filters, {run.about}. Errors in HR px.\n\n{text_table(summarise(rows), digits=4)}", rows
    )


if __name__ == "__main__":
    main()
