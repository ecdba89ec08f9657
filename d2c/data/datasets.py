"""The datasets of a run: where its pairs are, the share of the patches of each, and the pairs to validate on."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2c.data.layouts import find_pairs, with_split
from d2c.data.mixture import Mixture
from d2c.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.data.layouts import Note, Pair

__all__ = ["Datasets", "datasets_in"]

_VALIDATION = "v"
"""The source of pairs that ``--validate-on`` names."""
_LARGEST = sys.float_info.max


@dataclass(frozen=True, kw_only=True, slots=True)
class Datasets:
    """Where the pairs of a run are. No value but the weights influences what is learnt; the pairs themselves do.

    Attributes
    ----------
    data : tuple of Path
        Folders and lists of pairs, of which the training split is used.
    data_weight : tuple of float
        Shares of the patches, in the order of ``data``, in any unit. Without them, an epoch uses one patch of every
        pair.
    validate_on : Path or None
        Pairs to validate on; none of the training pairs are held out then.
    """

    data: tuple[Path, ...] = ()
    data_weight: tuple[float, ...] = ()
    validate_on: Path | None = None

    def __post_init__(self) -> None:
        if self.data_weight and len(self.data_weight) != len(self.data):
            raise ConfigError(
                f"data-weight: got {_counted(self.data_weight, 'weight')} for {_counted(self.data, 'dataset')}, "
                "expected one for each --data, in the same order; change --data-weight"
            )
        for weight in self.data_weight:
            if not (weight > 0 and math.isfinite(weight)):
                raise ConfigError(
                    f"data-weight: got {weight:g}, expected a finite number above 0; change it, or leave its --data out"
                )
        if self.validate_on is not None and not _is_text(str(self.validate_on.absolute())):
            raise ConfigError(f"validate-on: {self.validate_on} has a name that is not UTF-8; rename it")
        (path, times), *_ = [*Counter(map(_place, self.data)).most_common(1), (Path(), 0)]
        if times > 1:
            raise ConfigError(
                f"data: {path} is given {times} times; give it once (--data-weight sets how many patches come from it)"
            )

    def sources(self) -> dict[str, Path | None]:
        """Path of each dataset by the source that its pairs have; ``None`` if an earlier version did not record it."""
        if len(self.data) < 2:
            found: dict[str, Path | None] = {"": self.data[0] if self.data else None}
        else:
            found = {str(number): path for number, path in enumerate(self.data, start=1)}
        return found | ({} if self.validate_on is None else {_VALIDATION: self.validate_on})

    def scale(self) -> int:
        """The scale of all pairs. Raises :class:`DataError` if the datasets differ in it."""
        found = {path: find_pairs(path)[0].scale for path in self.sources().values() if path is not None}
        if len(set(found.values())) > 1:
            said = ", ".join(f"{path} of {scale}" for path, scale in found.items())
            raise DataError(f"data: the datasets have pairs of different scales ({said}); give datasets of one scale")
        return next(iter(found.values()))

    def pairs(self, scale: int, note: Note) -> list[Pair]:
        """The pairs of the training splits, one dataset after the other."""
        found = []
        titles = _titles(self.data) if len(self.data) > 1 else [""]
        sources = [source for source in self.sources() if source != _VALIDATION]
        for path, source, title in zip(self.data, sources, titles, strict=True):
            own = with_split(find_pairs(path, scale=scale, note=note), "train", path, note)
            found += [dataclasses.replace(pair, source=source, dataset=title) for pair in own]
        return found

    def validation_pairs(self, scale: int, note: Note) -> list[Pair] | None:
        """The pairs of ``validate_on``: its validation split, else its test split, else all; None without it."""
        if self.validate_on is None:
            return None
        every = find_pairs(self.validate_on, scale=scale, note=note)
        split = next((split for split in ("val", "test") if any(pair.split == split for pair in every)), None)
        own = [pair for pair in every if split in (None, pair.split)]
        note(f"{self.validate_on}: validating on {_counted(own, 'pair')}" + (f" of the {split} split" if split else ""))
        title = _titles([*self.data, self.validate_on])[-1]
        return [dataclasses.replace(pair, source=_VALIDATION, dataset=title) for pair in own]

    def mixture(self, pairs: Sequence[Pair]) -> Mixture | None:
        """How the pairs to train on are mixed; None if each gives one patch in an epoch."""
        if len(self.data_weight) < 2:
            return None
        members = [[k for k, pair in enumerate(pairs) if pair.source == source] for source in self.sources()]
        members = members[: len(self.data)]
        for path, own in zip(self.data, members, strict=True):
            if not own:
                raise DataError(
                    f"{path}: all of its training pairs are kept for validation, so it cannot have a share of the "
                    "patches; add scenes, give --validate-on, or leave it out"
                )
        return Mixture(members, _shares(self.data_weight))

    def table(self) -> dict[str, Any]:
        """The values as they stand in a settings file."""
        paths = tuple(str(path.absolute()) for path in self.data)
        table: dict[str, Any] = {"data": paths} if all(map(_is_text, paths)) else {}
        if self.data_weight:
            table["data_weight"] = self.data_weight
        if self.validate_on is not None:
            table["validate_on"] = str(self.validate_on.absolute())
        return table

    def said(self, pairs: Sequence[Pair], weights: Sequence[float] = ()) -> list[str]:
        """A sentence on each of several datasets: its pairs to train on, and its share of the patches.

        ``weights`` say how often each pair is used in comparison with the others.
        """
        counts = Counter(pair.source for pair in pairs)
        if len(self.data) < 2:
            return []
        parts = dict.fromkeys(map(str, range(1, len(self.data) + 1)), 0.0)
        for pair, weight in zip(pairs, weights or [1.0] * len(pairs), strict=True):
            parts[pair.source] += weight
        shares = _shares(self.data_weight or [*parts.values()])
        return [
            f"{path}: {_counted(range(counts[str(number)]), 'pair')} to train on, {share:.1%} of the patches"
            for number, (path, share) in enumerate(zip(self.data, shares, strict=True), start=1)
        ]


def datasets_in(table: dict[str, Any], where: str) -> dict[str, Any]:
    """The datasets that the table [train] of a settings file names, as values of :class:`Datasets`; they are removed.

    Raises
    ------
    ConfigError
        When a value has another type.
    """
    found: dict[str, Any] = {}
    names, weights, validate_on = (table.pop(key, None) for key in ("data", "data_weight", "validate_on"))
    if names is not None:
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise ConfigError(f"{where}: data: got {names!r:.80}, expected a list of paths")
        found["data"] = tuple(map(Path, listed))
    if weights is not None:
        listed = weights if isinstance(weights, list) else [weights]
        if not all(isinstance(weight, (int, float)) and not isinstance(weight, bool) for weight in listed):
            raise ConfigError(f"{where}: data_weight: got {weights!r:.80}, expected a list of numbers")
        found["data_weight"] = tuple(float(max(-_LARGEST, min(weight, _LARGEST))) for weight in listed)
    if validate_on is not None:
        if not isinstance(validate_on, str):
            raise ConfigError(f"{where}: validate_on: got {validate_on!r:.80}, expected a path")
        found["validate_on"] = Path(validate_on)
    return found


def _shares(weights: Sequence[float]) -> list[float]:
    """Weights divided by their sum, which may be larger than the largest number."""
    parts = [weight / max(weights) for weight in weights]
    return [part / math.fsum(parts) for part in parts]


def _titles(paths: Sequence[Path]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    wholes = [_place(path).parts for path in paths]
    count = next(n for n in range(1, max(map(len, wholes)) + 1) if len({w[-n:] for w in wholes}) == len(set(wholes)))
    return ["/".join(whole[-count:]) for whole in wholes]


def _place(path: Path) -> Path:
    """A path without links, as far as they can be followed."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or no path at all
        return path.absolute()


def _is_text(path: str) -> bool:
    """Whether a path can stand in a TOML file, which a name that is not UTF-8 cannot."""
    return path.encode(errors="replace").decode() == path


def _counted(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
