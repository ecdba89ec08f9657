"""A run's ``log.csv``: one row every so many steps, the same rows whether the run was interrupted or not."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any

from d2c.errors import ConfigError
from d2c.evaluate import methods
from d2c.stages import TERMS
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RunLog", "columns"]


def columns(predictions: int) -> list[str]:
    """Columns of ``log.csv``; the last ones are filled in rows where there was a validation."""
    validation = [f"val_{what}_{method}" for what in ("psnr_db", "ssim") for method in methods(predictions)]
    return ["stage", "step", "epoch", "lr", "alpha", *TERMS, *validation]


class RunLog:
    """Appends to ``log.csv`` (and to TensorBoard's files, where asked).

    Parameters
    ----------
    path : Path
        The file; rows of steps after ``(stage, step)`` are cut off, since those steps will be done again.
    """

    def __init__(self, path: Path, predictions: int, *, stage: int, step: int, tensorboard: Path | None = None) -> None:
        self.names = columns(predictions)
        kept = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                # a row that a kill cut short has no last column, and its step comes again
                kept = [r for r in csv.DictReader(file) if None not in r.values() and _key(r) <= (stage, step)]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        files.write_text(path, text.getvalue())
        self.path = path
        self.tensorboard = _tensorboard(tensorboard) if tensorboard else None

    def row(self, values: Mapping[str, Any]) -> None:
        """Append one row; numbers are written so that they read back the same."""
        cells = {name: repr(value) if isinstance(value, float) else value for name, value in values.items()}
        text = io.StringIO()
        csv.DictWriter(text, self.names, restval="", lineterminator="\n").writerow(cells)
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text.getvalue())
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        if self.tensorboard is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self.tensorboard.add_scalar(f"stage {values['stage']}/{name}", value, values["step"])

    def sync(self) -> None:
        """Make sure that the rows are on the disk: a state that is saved after them must not outlive them."""
        try:
            with self.path.open("rb+") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise files.cannot_write(self.path, error) from error

    def close(self) -> None:
        """Flush what is buffered."""
        if self.tensorboard is not None:
            self.tensorboard.close()


def _key(row: Mapping[str, str]) -> tuple[int, int]:
    return int(row["stage"]), int(row["step"])


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard: not installed; run: pip install 'd2crealsr[tensorboard]'") from error
    writer: Any = SummaryWriter
    return writer(folder)
