"""The top of the page: what it is of, and a verdict of one sentence with the numbers that it rests on."""

from __future__ import annotations

import collections
import datetime
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2crealsr.ui.page import number
from d2crealsr.ui.text import counted
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Judged", "judged", "subject"]

Row = dict[str, Any]

_FIRST = 3
"""Number of scenes that the verdict names."""
_CAMERAS = 3
"""Number of cameras of a side that are named."""
_BADNESS = {"failed": 0, "rejected": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The verdict on a dataset.

    Attributes
    ----------
    kind : str
        ``good``, ``warn`` or ``bad``, for its colour.
    verdict, because : str
        The verdict in a few words, and the numbers that it rests on.
    first : list of dict
        The scenes to shoot again first: ``scene``, ``key`` (of its pictures) and ``reasons``.
    more : int
        Number of further scenes that were not accepted.
    """

    kind: str
    verdict: str
    because: str
    first: list[dict[str, str]]
    more: int


def judged(rows: Sequence[Row], drawn: Mapping[str, Row]) -> Judged:
    """Judge a dataset by the share of its scenes that were accepted.

    At least half: it can be trained on, if they show more than one printed picture, because `split` keeps the scenes of
    one picture together. Fewer than half: the captures probably have a fault in common, which should be found
    first. The scenes to shoot again come in the order of the contact sheet: failed ones, then rejected ones with the
    largest residual.
    """
    accepted = [row for row in rows if row["status"] == "accepted"]
    bad = sorted((row for row in rows if row["status"] != "accepted"), key=_worst_first)
    if not accepted:
        kind, verdict = "bad", "Nothing to train on"
    elif _one_picture(accepted):
        kind, verdict = "warn", "Add captures of other pictures before you train"
    elif 2 * len(accepted) >= len(rows):
        kind, verdict = "good", "Ready to train on"
    else:
        kind, verdict = "warn", "Look at the reasons before you train"
    return Judged(
        kind=kind,
        verdict=verdict,
        because=_because(rows, accepted),
        first=[
            {"scene": row["scene"], "key": drawn[row["scene"]]["key"], "reasons": row["reasons"].replace(";", ", ")}
            for row in bad[:_FIRST]
        ],
        more=len(bad[_FIRST:]),
    )


def _one_picture(accepted: Sequence[Row]) -> bool:
    """Whether accepted scenes show one printed picture only, so that `split` cannot divide them."""
    return len({row["group"] for row in accepted}) == 1 and not any(row["split"] for row in accepted)


def _worst_first(row: Row) -> tuple[int, float]:
    residual = row["residual_p95_hr_px"]
    return _BADNESS[row["status"]], -float("inf") if residual is None else -residual


def _because(rows: Sequence[Row], accepted: Sequence[Row]) -> str:
    """How many scenes were accepted, and by how much they are off."""
    total = counted(len(rows), "scene")
    if not accepted:
        none = "its only scene was not accepted" if len(rows) == 1 else f"none of {total} was accepted"
        return none if rows else "the folder has no scenes"
    parts = [f"{len(accepted)} of {total} {'was' if len(accepted) == 1 else 'were'} accepted"]
    if reviewed := sum(row["accepted_by"] == "reviewer" for row in accepted):
        parts.append(f"{reviewed} of them by a reviewer")
    if errors := [row["sigma_hr_px"] for row in accepted if row["sigma_hr_px"] is not None]:
        middle, most = number(statistics.median(errors), 2), number(max(errors), 2)
        spread = f" in the median and {most} at most" if len(errors) > 1 else ""
        parts.append(f"with a predicted error of {middle} HR px{spread}")
    else:
        parts.append("and no error is predicted for them")
    return ", ".join(parts)


def subject(
    pairs: Path, dataset: Mapping[str, Any], rows: Sequence[Row], drawn: Mapping[str, Row]
) -> list[tuple[str, str]]:
    """What the page is of, as names and values: folder, scale, scenes, days, cameras and versions."""
    made = f"d2crealsr {dataset['tool_version']}, tables of {_day(pairs / 'manifest.csv')}; report: {version()}"
    origin = dataset.get("raw_root") or dataset.get("imported_from", "")
    facts = {
        "Folder": f"{pairs.parent.name}/{pairs.name}" + (f", of the captures in {origin}" if origin else ""),
        "Scale": f"×{dataset['scale']}",
        "Scenes": _counts(rows),
        "Taken": _days(result.get("taken", {}) for result in drawn.values()),
        "Cameras": _cameras(rows),
        "Made by": made,
    }
    return list(facts.items())


def _counts(rows: Sequence[Row]) -> str:
    """Number of scenes, and of accepted ones in each split."""
    accepted = [row for row in rows if row["status"] == "accepted"]
    splits = collections.Counter(row["split"] or ("left out" if row.get("left_out_of") else "") for row in accepted)
    named = [f"{count} {name or 'without a split'}" for name, count in splits.most_common()]
    return f"{len(rows)}, of which {len(accepted)} accepted" + (f" ({', '.join(named)})" if named else "")


def _days(taken: Iterable[Mapping[str, str]]) -> str:
    """The first and the last day on which a capture was taken."""
    days = sorted(day for sides in taken for day in sides.values() if day)
    if not days:
        return "unknown: the captures have no date in their EXIF data"
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _cameras(rows: Sequence[Row]) -> str:
    """The cameras of HR and LR, the most used ones first."""
    hr, lr = (_most_used(row.get(f"{side}_camera") for row in rows) for side in ("hr", "lr"))
    return hr if hr == lr else f"HR {hr}; LR {lr}"


def _most_used(cameras: Iterable[str | None]) -> str:
    used = collections.Counter(filter(None, cameras)).most_common()
    names = [name for name, _ in used[:_CAMERAS]]
    others = [f"{len(used) - _CAMERAS} others"] if len(used) > _CAMERAS else []
    return ", ".join([*names, *others]) or "unknown"


def _day(path: Path) -> str:
    """The day on which a file was written, in UTC."""
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date().isoformat()
