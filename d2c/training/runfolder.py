"""The folder of a run: its settings, lock and training state. All files in it are complete or absent."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import platform
from typing import TYPE_CHECKING, Any

import torch

from d2c.data.datasets import Datasets, datasets_in
from d2c.data.records import read_records, records_text
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import network_in, stored
from d2c.networks.base.packed import is_packed
from d2c.settings import toml
from d2c.training.resume import Settings
from d2crealsr.store import files, lock_folder, ownership
from d2crealsr.store.ownership import is_run
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["RunFolder", "claim"]

_STATE_FORMAT = 2
_MOST_THREADS = 1024
_STATE_PARTS: dict[str, Any] = {
    "stage": int,
    "step": int,
    "best": (int, float),
    "unlogged": dict,
    "model": dict,
    "engine": dict,
}


class RunFolder:
    """The folder with ``config.toml, log.csv, last.safetensors, best.safetensors, state/, figures/, cache/``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.log = path / "log.csv"
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.state = path / "state" / "state.pt"
        self.started = path / "state" / "started.json"
        self.pairs = path / "state" / "pairs.csv"
        self.weights = path / "weights"
        self.figures = path / "figures"
        self.cache = path / "cache"
        self.tensorboard = path / "tensorboard"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, and remove leftovers of a killed run. Raises LockError if another run has locked it."""
        with lock_folder(self.path):
            files.remove_leftovers(self.path, self.state.parent, self.weights, self.figures)
            yield

    def kept(self, stage: int, step: int) -> Path:
        """The weights after a step that the run was asked to keep."""
        return self.weights / f"stage{stage}-step{step}.safetensors"

    def is_blank(self) -> bool:
        """Whether no run has saved anything here yet, so that a run with any settings may begin."""
        return not any(path.exists() for path in (self.state, self.last, self.best))

    def settings(self, network: str | None = None) -> Settings | None:
        """The settings of the folder's run; None for a new folder.

        ``network`` is the network named by the user, as for :func:`d2c.networks.stored`.
        """
        if not self.config.exists():
            return None
        tables, where = toml.read(self.config), str(self.config)
        found = stored(network_in(tables), network, where)
        datasets = Datasets(**datasets_in(tables.get("train", {}), where))
        return Settings(
            found,
            toml.from_table(found.config, tables.get("model", {}), found.config(), where),
            toml.from_table(found.train, tables.get("train", {}), found.train(), where),
            tables.get("data", {}),
            read_records(self.pairs),
            datasets,
        )

    def settle(self, settings: Settings) -> None:
        """Record the settings and the pairs of a run."""
        network, model, train, facts, records, datasets = settings
        tables = {
            "model": {"network": network.name, **dataclasses.asdict(model)},
            "train": dataclasses.asdict(train) | datasets.table(),
            "data": facts,
        }
        for path, text in ((self.pairs, records_text(records)), (self.config, toml.to_text(tables))):
            with contextlib.suppress(OSError):
                if files.read_bytes(path) == text.encode():
                    continue
            files.write_text(path, text)

    def note_start(
        self, *, data: Sequence[Path], device: str, precision: str, threads: int, command: Sequence[str]
    ) -> None:
        """Record facts for the report on which the weights do not depend, without a date, so that reruns are equal."""
        versions = {"python": platform.python_version()}
        versions |= {name: version(name) for name in ("d2crealsr", "torch", "numpy")}
        places = [str(path.absolute()) for path in data]
        noted: dict[str, Any] = {"command": list(command), "data": places if places[1:] else places[0]}
        noted |= {"device": device, "precision": precision, "threads": threads, "versions": versions}
        files.write_text(self.started, json.dumps(noted, indent=2, ensure_ascii=False) + "\n")

    def threads(self) -> int | None:
        """The threads that the run was started with; None if an earlier version made it or the record is damaged."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            noted = json.loads(files.read_text(self.started))
            count = noted.get("threads") if isinstance(noted, dict) else None
            if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= _MOST_THREADS:
                return count
        return None

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write the training state, which consists of numbers, tensors, lists and dictionaries."""
        buffer = io.BytesIO()
        torch.save({"format": _STATE_FORMAT, **state}, buffer)
        files.write_bytes(self.state, buffer.getvalue())

    def load_state(self) -> dict[str, Any] | None:
        """The training state on the CPU; None for a new folder. Nothing in the file is executed."""
        if not self.state.exists():
            return None
        try:
            with files.open_regular(self.state) as file:
                if is_packed(file):
                    raise ValueError("packed")
                file.seek(0)
                state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # damaged files can raise almost anything
            raise CheckpointError(f"{self.state}: is damaged; delete it to start over") from error
        if not isinstance(state, dict) or state.get("format") != _STATE_FORMAT:
            raise CheckpointError(f"{self.state}: is of another version; delete it to start over")
        if not all(isinstance(state.get(name), kind) for name, kind in _STATE_PARTS.items()):
            raise CheckpointError(f"{self.state}: is damaged; delete it to start over")
        return state

    @contextlib.contextmanager
    def taking_up(self) -> Iterator[None]:
        """A block that restores parts of the state. If one does not fit, it raises CheckpointError."""
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{self.state}: does not fit this run; delete it to start over") from error


def claim(folder: Path) -> None:
    """Make sure that a folder belongs to a run or contains nobody's work; raises LayoutError otherwise."""
    config = folder / "config.toml"
    if is_run(config):
        return
    if config.exists():
        toml.read(config)  # reports errors in a file that was edited by hand
    ownership.refuse_foreign(folder, own="a training run")
    if config.exists():
        raise ConfigError(
            f"{config}: does not belong to a training run: it has no table [train]; give another folder with --out"
        )
