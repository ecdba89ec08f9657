"""Make a run's report from its folder: the log, the settings, the last checkpoint, and some scenes of the data."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2c.checkpoints import native
from d2c.data.hold_out import grouped, hold_out
from d2c.data.records import fingerprint, pair_records
from d2c.device import pick_device
from d2c.errors import CheckpointError, ConfigError
from d2c.evaluation.evaluate import FilePairs, is_measurable
from d2c.networks import network_of
from d2c.networks.base.sampling import Sampling
from d2c.precision import available_precision
from d2c.report.crops import make_example
from d2c.report.curves import figures, read_log
from d2c.report.headline import judged, state_of, subject
from d2c.settings import toml
from d2c.training.resume import parts
from d2c.training.runfolder import RunFolder
from d2crealsr.store import D2CRealSRError, files, page_folder
from d2crealsr.store.ownership import is_run
from d2crealsr.ui import page
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from d2c.data.datasets import Datasets
    from d2c.data.layouts import Pair
    from d2c.report.crops import Example
    from d2c.report.curves import Log
    from d2c.settings.config import Precision
    from d2c.training.resume import Settings

__all__ = ["report"]

_GENERATOR = "d2c report"
_SCENES = 4
"""Scenes of the validation part that are shown unless another number is asked for."""
_SAMPLES = 3
"""Samples to show of a network that draws any."""
_PICTURE = re.compile(r"scene-\d+-[a-z0-9.-]+\.(?:png|webp)")


def _is_path(value: Any) -> bool:
    return isinstance(value, str)


_NOTED: dict[str, Callable[[Any], bool]] = {
    "command": lambda value: isinstance(value, list) and all(isinstance(word, str) for word in value),
    "data": lambda value: isinstance(value, str) or (isinstance(value, list) and all(map(_is_path, value))),
    "device": lambda value: isinstance(value, str),
    "precision": lambda value: isinstance(value, str),
    "threads": lambda value: isinstance(value, int),
    "versions": lambda value: isinstance(value, dict),
}
"""The entries of ``started.json`` that are used, and their types. Invalid ones are ignored."""


def report(
    run: Path,
    *,
    out: Path | None = None,
    data: Path | Sequence[Path] | None = None,
    network: str | None = None,
    scenes: int = _SCENES,
    device: str = "auto",
    precision: Precision = "fp32",
    reporter: Reporter | None = None,
) -> Path:
    """Write the report of a run. If it is still training, the report shows its present state.

    Parameters
    ----------
    run : Path
        Folder of the run.
    out : Path, optional
        Folder of the report; by default ``report`` in the folder of the run.
    data : Path or sequence of Path, optional
        The datasets of the run, in their order; by default where they were when the run was started. Without pairs
        there are no example crops, and the page says so.
    network : str, optional
        Network of the run; needed if it is ``module:NAME``.
    scenes : int
        Number of scenes of the validation part to show; 0 for none.
    device : str
        Device of the model.
    precision : str
        Arithmetic in which the crops are computed, as far as the device has it.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ConfigError
        When the folder is not a run, or the device does not exist.
    """
    reporter = reporter or Reporter()
    target = pick_device(device)
    computed = available_precision(precision, target, reporter.note)
    folder, usual = RunFolder(run), run / "report"
    out = out or usual
    if not is_run(folder.config):
        if folder.config.exists():
            toml.read(folder.config)  # reports what is wrong with it
        raise ConfigError(f"{run}: no config.toml of a run; give the folder that d2c train made with --out")
    page_folder.claim(out, _GENERATOR, _PICTURE)
    tables, log, started = toml.read(folder.config), read_log(folder.log), _started(folder)
    settings = folder.settings(network)
    assert settings is not None
    where = _datasets(data, settings, started)
    examples, notes = _examples(
        folder,
        settings,
        where,
        out,
        count=scenes,
        device=target,
        precision=computed,
        reporter=reporter,
        named=bool(data),
    )
    if not log.rows:
        notes.insert(0, "The log has no rows yet: training has just begun, or was stopped before its first row.")
    options = [
        *_given("--out", None if out == usual else out),
        *_given("--network", network),
        *_given("--scenes", None if scenes == _SCENES else scenes),
        *_given("--device", None if device == "auto" else device),
        *_given("--precision", _unusual(precision)),
    ]
    html = page.render(
        "d2c.report",
        "run.html.j2",
        name=run.resolve().name,
        figures=figures(log, settings.network, settings.train),
        subject=subject(run.resolve(), folder.log, settings, state_of(log, settings), started),
        judged=judged(log, settings),
        stats=_stats(log, settings),
        trained=_trained(folder, computed),
        examples=examples,
        notes=notes,
        command=shlex.join(started.get("command", [])),
        facts=_facts(tables, started),
        again=shlex.join(["d2c", "report", str(run), *_given_data(data), *options]),
    )
    shown = {file for example in examples for file in example.files}
    page_folder.publish(out, html, shown, earlier=_PICTURE)
    return out / page_folder.PAGE


def _given(option: str, value: object) -> list[str]:
    """An option of the command line, if it was given another value than the default."""
    return [] if value is None else [option, str(value)]


def _given_data(data: Path | Sequence[Path] | None) -> list[str]:
    """The options that name the datasets, if they were given."""
    places = [data] if isinstance(data, (str, os.PathLike)) else data or []
    return [word for path in places for word in ("--data", str(path))]


def _started(folder: RunFolder) -> dict[str, Any]:
    """The facts recorded when training was started; empty for runs of older versions."""
    noted = files.read_json(folder.started, dict) or {}
    return {name: noted[name] for name, is_good in _NOTED.items() if name in noted and is_good(noted[name])}


def _datasets(given: Path | Sequence[Path] | None, settings: Settings, started: dict[str, Any]) -> Datasets | None:
    """The datasets of the run, where they are said to be; None if nothing says it."""
    places = given or started.get("data", [])
    data = (places,) if isinstance(places, (str, os.PathLike)) else tuple(places)
    return dataclasses.replace(settings.datasets, data=tuple(map(Path, data)), data_weight=()) if data else None


def _stats(log: Log, settings: Settings) -> dict[str, Any]:
    """The top line: the state of the run and its quality."""
    network, state = settings.network, state_of(log, settings)
    values = {method: log.last(f"val_psnr_db_{method}") for method in log.methods}
    value = values.get(network.main, math.nan)
    return {
        "stage": state.stage,
        "step": state.step,
        "steps": state.steps,
        "loss": log.rows[-1].get("total", math.nan) if log.rows else math.nan,
        "main": network.main.capitalize(),
        "value": value,
        "over_bicubic": value - values.get("bicubic", math.nan),
        "rivals": {words: value - values.get(rival, math.nan) for rival, words in network.rivals.items()},
        "best": max((value for _, value in log.curve(f"val_psnr_db_{network.main}")), default=math.nan),
    }


def _unusual(precision: Precision) -> str | None:
    """A precision, if it is not the default."""
    return None if precision == "fp32" else precision


def _trained(folder: RunFolder, precision: Precision) -> str:
    """The checkpoint of the crops and their precision in words; empty if there is no checkpoint."""
    if not folder.last.exists():
        return ""
    try:
        notes = native.provenance(folder.last)
    except CheckpointError:  # reported in the place of its crops
        return ""
    stage = f"stage {notes['stage']}, step {notes.get('step', 'not noted')}" if "stage" in notes else "no stage noted"
    return stage + (f", computed in {precision}" if _unusual(precision) else "")


def _examples(
    folder: RunFolder,
    settings: Settings,
    data: Datasets | None,
    out: Path,
    *,
    count: int,
    device: torch.device,
    precision: Precision,
    reporter: Reporter,
    named: bool,
) -> tuple[list[Example], list[str]]:
    """Example crops, and one line for every reason why some are missing. Data that a person ``named`` must be there."""
    if count == 0:
        return [], ["No example crops were asked for (--scenes 0)."]
    if data is None:
        return [], ["No example crops: the run does not say where its data are. Give them with --data."]
    if not folder.last.exists():
        return [], ["No example crops yet: there is no checkpoint. It comes with the first saved state."]
    examples: list[Example] = []
    notes: list[str] = []
    shown = _shown(data, settings) if named else None
    try:
        model = native.load(folder.last, device=device, network=settings.network.name)
        drawing, config = network_of(model)
        if drawing.sampling is not None:
            drawing.sampled(Sampling(samples=_SAMPLES)).note(model, config)
        pairs, note = shown or _shown(data, settings)
        notes += [note] if note else []
        chosen = FilePairs([pair for pair in pairs if is_measurable(pair)][:count], convert_profile=True)
        reporter.start("example crops", len(chosen))
        for place, pair in enumerate(chosen, start=1):
            examples.append(make_example(model, pair, out / page_folder.FILES, f"scene-{place}", precision))
            reporter.step(place)
        reporter.finish()
    except D2CRealSRError as error:
        notes.append(f"Example crops are left out: {error}.")
        reporter.note(f"example crops are left out: {error}")
    return examples, notes


def _shown(data: Datasets, settings: Settings) -> tuple[list[Pair], str]:
    """The scenes kept for validation, and a note on them for the reader."""
    train, scale, unheard = settings.train, settings.model.scale, Reporter().note
    pairs, outside = data.pairs(scale, unheard), data.validation_pairs(scale, unheard)
    digests = {path: files.sha256_of(path) for pair in [*pairs, *(outside or ())] for path in (pair.lr, pair.hr)}
    kept, held_out = parts(
        settings,
        pairs,
        digests,
        lambda: hold_out(grouped(pairs, train.group_by), train.validation, is_measurable),
        outside,
    )
    if fingerprint(pair_records(kept, held_out, digests)) != settings.facts.get("data"):
        return held_out or kept, (
            f"The pairs in {' and '.join(map(str, data.sources().values()))} are not those of the run: scenes shown "
            "below may have been trained on."
        )
    if not held_out:
        return kept, "The run kept no scenes for validation: those shown below were trained on."
    return held_out, ""


def _facts(settings: dict[str, dict[str, Any]], started: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Settings and facts of the run, as tables of names and values."""
    rows = {
        name: [(key, _words(value)) for key, value in table.items() if isinstance(value, (str, int, float, list))]
        for name, table in settings.items()
    }
    hashes = [("SHA-256 of what was seen of the data" if n == "data" else n, v) for n, v in rows.pop("data", [])]
    where = [(name, _words(started[name])) for name in ("data", "device", "precision", "threads") if name in started]
    versions = [(name, str(value)) for name, value in started.get("versions", {}).items()]
    return {"run": [*where, *hashes, *versions]} | rows


def _words(value: Any) -> str:
    """A value of a settings file for people."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
