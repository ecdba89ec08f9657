"""The model card: what the model was trained on and for how long, how good it was, its licence, and how to use it."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from d2c.errors import ConfigError, DataError
from d2c.hub.checkpoint import check_same_model, reached
from d2c.networks import network_of
from d2c.networks.base.count import described
from d2c.report.curves import read_log
from d2c.training.runfolder import RunFolder
from d2crealsr.store import files
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from d2c.hub.checkpoint import Reached
    from d2c.training.resume import Settings

__all__ = ["CardSources", "card_of"]

_VALIDATED_BY = "basicsr-y"
"""Protocol of the validation in a run's log."""
_NOT_OWN = "The weights are those of no checkpoint of the run."
_WHOLE_SETTINGS = ("batch", "patch", "lr", "schedule", "augment", "ema", "precision", "seed")


class CardSources(NamedTuple):
    """From what a card is made besides the model: the run, a table of ``d2c eval --csv``, and a licence."""

    run: Path | None = None
    metrics: Path | None = None
    licence: str = ""


def card_of(model: nn.Module, sources: CardSources) -> str:
    """The card as Markdown with a head in YAML. What is not known is said to be unknown.

    Raises
    ------
    ConfigError, DataError
        When the run or the table is none, or the run trains another configuration.
    """
    network, config = network_of(model)
    folder, settings, done = None, None, None
    if sources.run is not None:
        folder = RunFolder(sources.run)
        if not is_run(folder.config):
            raise ConfigError(f"run: {sources.run} is not the folder of a run; give the folder that d2c train wrote")
        settings = folder.settings(network.name)
        assert settings is not None
        check_same_model(model, settings, sources.run)
        done = reached(model, folder, read_log(folder.log), network.main)
    paper = f" ({network.paper})" if network.paper else ""
    lines = [
        *_head(sources.licence, config.scale),
        f"# {network.name} for super-resolution by {config.scale}",
        "",
        f"Weights of the network `{network.name}`{paper}, trained with d2c on pairs of photographs.",
        "",
        described(model) + ".",
        "",
        "## Data",
        "",
        *_data(settings),
        "",
        "## Training",
        "",
        *_budget(done, settings),
        "",
        "## Quality",
        "",
        *_quality(done, network.main, sources.metrics),
        "",
        "## Licence",
        "",
        _line(sources.licence) or "Not stated. Ask the owner of the weights before you use them.",
        "The licence of the data above may limit the use of the weights too.",
        "",
        *_use(network.name, config.scale),
    ]
    return "\n".join(lines) + "\n"


def _head(licence: str, scale: int) -> list[str]:
    tags = ["super-resolution", "image-to-image", f"x{scale}"]
    return [
        "---",
        f"license: {json.dumps(_line(licence) or 'unknown', ensure_ascii=False)}",
        "library_name: d2c",
        "pipeline_tag: image-to-image",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
        "",
    ]


def _data(settings: Settings | None) -> list[str]:
    if settings is None:
        return ["Not recorded."]
    counts = {part: sum(r.part == part for r in settings.records) for part in ("train", "validation")}
    lines = [f"{counts['train']} pairs to train on, {counts['validation']} to validate on."]
    for path in settings.datasets.data:
        said = _description(path)
        facts = [f"`{_line(path.name)}`"]
        facts += [f"{words}: {_line(said[key])}" for key, words in _ENTRIES.items() if said.get(key)]
        lines += ["", "- " + "; ".join(facts)]
    return [
        *lines,
        "",
        f"SHA-256 of names, parts and contents of the pairs: `{settings.facts.get('data', 'unknown')}`.",
    ]


_ENTRIES = {"licence": "licence", "citation": "citation", "tool_version": "made by d2crealsr"}


def _description(path: Path) -> dict[str, Any]:
    """The description of a pairs folder; empty for other layouts and where the folder is no longer there."""
    try:
        said = json.loads(files.read_text(path / "dataset.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _budget(done: Reached | None, settings: Settings | None) -> list[str]:
    if done is None or settings is None:
        return ["Not recorded."]
    counts = ", ".join(f"{count:,} in stage {stage}" for stage, count in done.steps.items()) or "none in the log"
    steps = f"Steps: {counts}." if done.is_own else f"{_NOT_OWN} Steps up to the last checkpoint: {counts}."
    values = [f"{name} {getattr(settings.train, name)}" for name in _WHOLE_SETTINGS if hasattr(settings.train, name)]
    lines = [f"{steps} Settings: {', '.join(values)}."]
    if settings.facts.get("weights", "random") != "random":
        lines += ["", f"It began with the weights of the file with SHA-256 `{settings.facts['weights']}`."]
    return lines


def _quality(done: Reached | None, main: str, metrics: Path | None) -> list[str]:
    rows = [] if metrics is None else _measured(metrics)
    if done is not None:
        pairs = "validation pairs of the run" if done.is_own else "validation pairs, of the run's last checkpoint"
        pairs += f", at {done.validated_before}" if done.validated_before else ""
        for method in dict.fromkeys(["bicubic", main]):
            psnr, ssim = (done.validated.get(f"val_{what}_{method}", math.nan) for what in ("psnr_db", "ssim"))
            if math.isfinite(psnr):
                rows.append([pairs, method, _VALIDATED_BY, f"{psnr:.3f}", f"{ssim:.4f}", ""])
    if not rows:
        return ["Not measured."]
    head = ["pairs", "method", "protocol", "PSNR, dB", "SSIM", "distance"]
    table = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return [*table, "", "basicsr-y: 8-bit Y of BT.601, a border of the scale cut off. Means over the pairs."]


def _measured(path: Path) -> list[list[str]]:
    """The means in a table of ``d2c eval --csv``."""
    try:
        rows = list(csv.DictReader(io.StringIO(files.read_text(path, "utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a table that d2c eval --csv wrote") from error
    names = ("method", "protocol", "psnr_db", "ssim", "distance")
    found = [
        [f"`{_line(path.name)}`", *(_line(row.get(name) or "") for name in names)]
        for row in rows
        if row.get("image") == "mean"
    ]
    if not found:
        raise DataError(f"{path}: has no row of means; give a table that d2c eval --csv wrote")
    return found


def _use(network: str, scale: int) -> list[str]:
    own = f', network="{network}"' if ":" in network else ""
    return [
        "## How to use it",
        "",
        "    pip install '.[train,hub]'  # in a checkout of d2crealsr",
        "",
        "```python",
        "import d2c",
        "",
        f'model = d2c.hub.from_pretrained("OWNER/NAME"{own})  # or the folder of these files',
        f"large = d2c.upscale(image, model)  # uint8 RGB (h, w, 3) to ({scale}h, {scale}w, 3)",
        "```",
        "",
        "`d2c upscale photo.jpg --checkpoint model.safetensors --out upscaled/` does the same for files.",
    ]


def _line(text: Any) -> str:
    """Text of somebody else in one line of a table."""
    return " ".join(plain(str(text)).split()).replace("|", "\\|")
