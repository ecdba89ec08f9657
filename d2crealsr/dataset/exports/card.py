"""The dataset card of Hugging Face: the licence, how the pairs were made, and how accurately they are aligned."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["card_of"]

_LICENCES = (
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nc-nd-4.0",
    "odc-by",
    "odbl",
)
"""Licences that the card's head names by themselves; others are ``other``."""

_ERRORS = (
    ("residual_p50_hr_px", "median displacement of the blocks of a pair"),
    ("residual_p95_hr_px", "95th percentile of their displacement"),
    ("sigma_hr_px", "predicted standard error of the position"),
)


def card_of(splits: Mapping[str, Sequence[OutgoingPair]], request: Request) -> str:
    """The card as Markdown with a head in YAML.

    Parameters
    ----------
    splits : mapping
        Pairs by the folder of their split; ``""`` is the dataset's own folder.
    request : Request
    """
    return "\n".join([*_head(splits, request), *_body(splits, request)]) + "\n"


def _head(splits: Mapping[str, Sequence[OutgoingPair]], request: Request) -> list[str]:
    licence = _entry(request, "licence")
    known = licence.lower().replace(" ", "-")
    head = ["---", f"license: {known if known in _LICENCES else 'other' if licence else 'unknown'}"]
    if licence and known not in _LICENCES:
        head.append(f"license_name: {json.dumps(licence, ensure_ascii=False)}")
    head += ["task_categories:", "- image-to-image", "tags:", "- super-resolution", "configs:"]
    head += ["- config_name: default", "  data_files:"]
    for folder in splits:
        head += [f"  - split: {folder or 'train'}", f'    path: "{f"{folder}/" if folder else ""}**"']
    return [*head, "---", ""]


def _body(splits: Mapping[str, Sequence[OutgoingPair]], request: Request) -> list[str]:
    every = [pair for pairs in splits.values() for pair in pairs]
    counts = ", ".join(f"{len(pairs)} in `{folder or 'train'}`" for folder, pairs in splits.items())
    scales = ", ".join(f"×{scale}" for scale in sorted({pair.scale for pair in every}))
    imported = sum(pair.row.get("accepted_by") == "import" for pair in every)
    return [
        "# Pairs of low and high resolution",
        "",
        f"{len(every)} pixel-aligned pairs of scale {scales} ({counts}). `lr` and `hr` show the same scene; HR has the",
        "grid of LR, finer by `scale`. `group` names the picture that a scene shows: all its scenes are in one split.",
        "",
        "## Licence",
        "",
        _entry(request, "licence") or "Not stated by the folder from which this dataset was exported.",
        *(["", "## Citation", "", citation] if (citation := _entry(request, "citation")) else []),
        "",
        "## How it was made",
        "",
        *_making(len(every), imported, request),
        "",
        "## Errors",
        "",
        *_errors(splits),
    ]


def _making(count: int, imported: int, request: Request) -> list[str]:
    version = _entry(request, "tool_version")
    tool = " ".join(filter(None, [_entry(request, "tool") or "d2crealsr", version]))
    lines = []
    if count > imported:
        lines.append(
            f"{count - imported} pairs were made by {tool} from two captures of one scene each: it finds where one "
            "lies in the other, refines this to a fraction of a pixel, matches brightness, resamples HR once, and "
            f"keeps the pairs that pass its checks. Of {request.scenes} scenes, {count} are in this dataset."
        )
    if imported:
        lines.append(f"{imported} pairs were made by others, and imported by {tool}.")
    settings = request.description.get("settings")
    if isinstance(settings, dict) and settings:
        lines += ["", "| setting | value |", "|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in settings.items()]
    return lines


def _errors(splits: Mapping[str, Sequence[OutgoingPair]]) -> list[str]:
    """A table of the measured errors in HR pixels."""
    head = ["split", "number, HR px", "pairs with it", "median", "largest"]
    rows = []
    for folder, pairs in splits.items():
        for column, words in _ERRORS:
            values = [float(value) for pair in pairs if (value := pair.row.get(column)) is not None]
            figures = [f"{statistics.median(values):.3f}", f"{max(values):.3f}"] if values else ["", ""]
            rows.append([folder or "train", f"`{column}`: {words}", str(len(values)), *figures])
    return [
        "Displacements of HR against LR are measured block by block on the published images. They include the noise of",
        "this measurement.",
        "",
        *("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)),
    ]


def _entry(request: Request, name: str) -> str:
    """An entry of the description in one line."""
    return " ".join(plain(str(request.description.get(name) or "")).split())


def _cell(value: Any) -> str:
    return " ".join(plain(str(value)).split()).replace("|", "\\|")
