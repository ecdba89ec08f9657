"""Determine what may change when a run is resumed, and report what may not.

Settings that do not change the weights may change. The schedules follow the epoch and not the number of steps. A stage
that is given more steps therefore ends with the same weights as if it had been given them at the start, if its rate is
constant or falls by steps; along a cosine or milestones, the rate follows the longer schedule from there on. This holds
while the state of the stage is the last one. A stage is over when the next one has begun with its weights, or when the
moving average has replaced them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from d2c.data.datasets import Datasets
from d2c.data.hold_out import hold_out
from d2c.data.records import PairRecord, fingerprint, of_source, pair_records
from d2c.errors import ConfigError, DataError
from d2c.training.stages import stage_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from d2c.data.layouts import Pair
    from d2c.networks import Network, NetworkConfig, TrainSettings
    from d2c.networks.base.stage import Stage

    Parts: TypeAlias = tuple[list[Pair], list[Pair]]

__all__ = [
    "Settings",
    "check_lengths",
    "check_same",
    "from_run",
    "parts",
    "settings_changes",
]

_NAMES = 3


class Settings(NamedTuple):
    """Everything on which a run's weights depend: its settings, the pairs' fingerprint, the hash of initial weights.

    ``records`` are the pairs, and ``datasets`` where they are. Both are empty if an earlier version made the run.
    """

    network: Network
    model: NetworkConfig
    train: TrainSettings
    facts: dict[str, str]
    records: list[PairRecord]
    datasets: Datasets = Datasets()


def parts(
    before: Settings | None,
    pairs: Sequence[Pair],
    digests: Mapping[Path, str],
    rule: Callable[[], Parts],
    outside: Sequence[Pair] | None = None,
) -> Parts:
    """The pairs for training and those for validation: by ``rule`` in a new run, otherwise those of the run.

    If ``outside`` are given to validate on, all ``pairs`` are for training.

    A run keeps its parts even if the rule has changed or pairs were added. If an earlier version made the run and
    stored no list, the present rule and the former one are tried.
    """
    if outside is not None:
        return list(pairs), list(outside)
    if before is None:
        return rule()
    if fingerprint(before.records) == before.facts.get("data"):
        held = {record.name for record in before.records if record.part == "validation"}
        return [pair for pair in pairs if pair.key not in held], [pair for pair in pairs if pair.key in held]
    by_name = [dataclasses.replace(pair, group=pair.name) for pair in pairs]
    share = before.train.validation
    for tried in (rule, lambda: hold_out(pairs, share), lambda: hold_out(by_name, share)):
        with contextlib.suppress(DataError):
            found = tried()
            if fingerprint(pair_records(*found, digests)) == before.facts.get("data"):
                return found
    return rule()


def from_run(run: Path, *, weights: Path | None = None, stage: int = 1) -> str:
    """The options for a new run that starts from the weights of another run."""
    options = f"--config {shlex.quote(str(run / 'config.toml'))} --weights {shlex.quote(str(weights or run))} --out NEW"
    return options + (f" --stage {stage}" if stage > 1 else "")


def check_same(before: Settings, now: Settings, run: Path) -> None:
    """Raise :class:`ConfigError` for the first differing setting that would change the weights."""
    for table, old, new in (("model", before.model, now.model), ("train", before.train, now.train)):
        for field in dataclasses.fields(old):
            was, wanted = getattr(old, field.name), getattr(new, field.name)
            if was != wanted and not (field.metadata.get("free") or field.metadata.get("length")):
                raise ConfigError(
                    f"{run}: its run has {table}.{field.name} = {was}, now it is {wanted}; "
                    "use the same settings to go on, or another --out"
                )
    _check_datasets(before.datasets, now.datasets, run)
    started, given = before.facts.get("weights"), now.facts["weights"]
    if started != given:
        was = "random weights" if started == "random" else "weights that --weights named"
        wanted = "random ones" if given == "random" else "the weights that --weights names"
        raise ConfigError(
            f"{run}: its run started from {was}, now it would from {wanted}; give the same --weights, or another --out"
        )
    stages, wanted = before.facts.get("stages"), now.facts.get("stages")
    if stages != wanted:
        raise ConfigError(
            f"{run}: its run is trained by {stages or 'the stages of its network'}, now it would be by "
            f"{wanted or 'these'}; give the same loss to go on, or another --out"
        )
    if before.facts.get("data") != now.facts["data"]:
        raise ConfigError(
            f"{run}: its data changed since: {_data_changes(before, now)}; restore them to go on, or start a new run "
            f"from its weights with {from_run(run)}"
        )
    if before.facts.get("errors") != now.facts.get("errors"):
        raise ConfigError(
            f"{run}: its run weighs the pairs by errors that have changed since (residuals.csv or sigma_hr_px in "
            f"manifest.csv); restore them to go on, or start a new run from its weights with {from_run(run)}"
        )


def _data_changes(before: Settings, now: Settings) -> str:
    """The differences between the pairs of a run and the present ones, in words with the first names."""
    if fingerprint(before.records) != before.facts.get("data"):
        parts = [record.part for record in now.records]
        return (
            "which pairs is not known, as an earlier version made the run and kept no list of them "
            f"(now {parts.count('train')} to train on, {parts.count('validation')} to validate on)"
        )
    had, have = max(1, len(before.datasets.data)), len(now.datasets.data)
    if had != have:
        return f"it had {had} dataset{'' if had == 1 else 's'}, now it has {have}"
    sources = now.datasets.sources()
    said = {
        source: _pair_changes(*(of_source(settings.records, source, sources) for settings in (before, now)))
        for source in sources
    }
    files = [sorted(record[2:] for record in settings.records) for settings in (before, now)]
    if not any(said.values()) or (len(sources) > 1 and files[0] == files[1]):
        return "the order of the " + ("datasets" if any(said.values()) else "pairs")
    if len(sources) == 1:
        return said[""]
    return "; ".join(f"in {path} {changes}" for (source, path) in sources.items() if (changes := said[source]))


def _pair_changes(before: Sequence[PairRecord], now: Sequence[PairRecord]) -> str:
    """Which pairs of a dataset were added, removed and changed, in words; empty if none was."""
    old, new = ({record.name: record for record in records} for records in (before, now))
    kinds = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name][2:] != old[name][2:]],
    }
    return ", ".join(
        f"{len(names)} {'pair' if len(names) == 1 else 'pairs'} {kind} "
        f"({', '.join(names[:_NAMES])}{', …' if len(names) > _NAMES else ''})"
        for kind, names in kinds.items()
        if names
    )


def _check_datasets(before: Datasets, now: Datasets, run: Path) -> None:
    """Raise :class:`ConfigError` if the shares of the same datasets, or the kind of validation, would change."""
    weights, places = (before.data_weight, now.data_weight), (before.validate_on, now.validate_on)
    if len(before.data) == len(now.data) > 1 and weights[0] != weights[1]:
        changed = "--data-weight", *(" ".join(f"{weight:g}" for weight in found) for found in weights)
    elif (places[0] is None) != (places[1] is None):
        changed = "--validate-on", *(str(place or "") for place in places)
    else:
        return
    option, was, wanted = changed
    raise ConfigError(
        f"{run}: its run has {option} {was or 'not given'}, now it is {wanted or 'not given'}; "
        "use the same settings to go on, or another --out"
    )


def check_lengths(before: Settings, now: Settings, steps_per_epoch: int, state: tuple[int, int], run: Path) -> None:
    """Raise :class:`ConfigError` if the stages cannot have the requested numbers of steps.

    Parameters
    ----------
    before, now : Settings
        The settings of the run, and the requested ones.
    steps_per_epoch : int
        Steps of an epoch, the same for both.
    state : tuple of int
        The stage and the step of the run's state.
    run : Path
        Folder of the run.
    """
    stage, step = state
    kinds = now.network.stages(now.train)[:stage]
    if len(kinds) < stage:
        raise ConfigError(
            f"{run}: stage {stage} of its run has begun, now only {len(kinds)} are asked for; "
            "keep its length above 0, or use another --out"
        )
    for number, kind in enumerate(kinds, start=1):
        had, wanted = (stage_steps(kind, steps_per_epoch, settings.train) for settings in (before, now))
        if had == wanted:
            continue
        said = f"{run}: stage {number} of its run has {had} steps, now {wanted} are asked for"
        if number < stage:
            why = f"stage {number + 1} has begun on its weights"
        elif now.train.ema and step >= had:
            why = "the moving average has replaced its weights"
        elif wanted <= step:
            raise ConfigError(f"{said}, and {step} are done; ask for more than {step}, or use another --out")
        else:
            continue
        raise ConfigError(
            f"{said}, but {why}; keep the {had} steps, or start a new run from it with {from_run(run, stage=number)}"
        )


def rate_said(before: Settings, now: Settings, begun: type[Stage] | None) -> str:
    """What is added about a begun stage that gets another length; empty if nothing but its end depends on it."""
    if begun is None or all(getattr(before.train, name) == getattr(now.train, name) for name in begun.lengths):
        return ""
    said = begun.follows_length(now.train)
    return f"; {said}" if said else ""


def settings_changes(before: Settings, now: Settings) -> str:
    """The settings that change on resuming, in words, with lengths first; empty if there are none."""
    changed = [
        (not field.metadata.get("length"), field.name.replace("_", "-"), getattr(old, field.name), now_value)
        for old, new in ((before.model, now.model), (before.train, now.train))
        for field in dataclasses.fields(old)
        if getattr(old, field.name) != (now_value := getattr(new, field.name))
    ]
    return ", ".join(f"{name} {was} → {value}" for _, name, was, value in sorted(changed, key=lambda change: change[0]))
