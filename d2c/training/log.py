"""The ``log.csv`` of a run, with a row at regular steps. Interruptions do not change its rows."""

from __future__ import annotations

import contextlib
import csv
import io
from typing import TYPE_CHECKING, Any

from d2c.errors import ConfigError, DataError
from d2c.evaluation.evaluate import methods
from d2c.networks.base.stage import MOVED
from d2crealsr.store import files
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d2c.networks import Network

__all__ = ["RunLog", "columns", "read_log_rows"]

_MOST_STEPS = 2**53
_FIRST = b"stage,step,"


def columns(network: Network, config: Any, train: Any) -> list[str]:
    """Columns of ``log.csv``. The last ones have values only in rows with a validation."""
    stages = network.stages(train)
    terms = [*(name for kind in stages for name in kind.weights), *(name for kind in stages for name in kind.terms)]
    moved = [MOVED] if train.realign else []
    validation = [f"val_{what}_{method}" for what in ("psnr_db", "ssim") for method in methods(network, config)]
    return list(dict.fromkeys(["stage", "step", "epoch", "lr", *terms, *moved, *validation]))


class RunLog:
    """Appends to ``log.csv``, and to TensorBoard's files if requested.

    Parameters
    ----------
    path : Path
        The file. Rows of steps after ``(stage, step)`` are removed, because those steps will be done again.
    names : sequence of str
        Its columns, from :func:`columns`.
    """

    def __init__(
        self, path: Path, names: Sequence[str], *, stage: int, step: int, tensorboard: Path | None = None
    ) -> None:
        self.names = names
        rows = read_log_rows(path) if (stage, step) > (0, 0) or not _is_log(path) else []  # none would be kept
        strange = sorted(set(rows[0] if rows else ()) - set(self.names))
        if strange:
            raise DataError(f"{path}: has a column {strange[0]!r:.80}, which this run's log does not; {_REMEDY}")
        kept = [row for row in rows if (int(row["stage"]), int(row["step"])) <= (stage, step)]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        files.write_text(path, text.getvalue())
        self.path = path
        self.tensorboard = _tensorboard(tensorboard) if tensorboard else None

    def row(self, values: Mapping[str, Any]) -> None:
        """Append one row. Numbers are written with all digits that are needed to read the same value."""
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
        """Flush the rows to the disk, so that a state that is saved later cannot survive without them."""
        try:
            with self.path.open("rb+") as file:
                files.flush_to_disk(file.fileno())
        except OSError as error:
            raise files.cannot_write(self.path, error) from error

    def close(self) -> None:
        """Flush and close the files."""
        if self.tensorboard is not None:
            self.tensorboard.close()


_REMEDY = "restore it, or move it away to go on without its rows"


def _is_log(path: Path) -> bool:
    """Whether a file begins as a log of any network's run does."""
    with contextlib.suppress(OSError), files.open_regular(path) as file:
        return file.read(len(_FIRST)) == _FIRST
    return False


def read_log_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a ``log.csv`` as text. Cells are checked: numbers or empty, and whole numbers for stage and step.

    A missing file has no rows. If the last row has no line end, the run was killed while writing it. The row is left
    out, because its step will be done again.

    Raises
    ------
    DataError
        When the file cannot be read or is not a log, for example after a spreadsheet has saved it; names the row.
    """
    try:
        text = files.read_text(path, "utf-8-sig")
        reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""), strict=True)
        names, *lines = list(reader) or [[]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: is not the log of a run, a CSV file in UTF-8 ({error}); {_REMEDY}") from error
    while lines and not any(lines[-1]):
        lines.pop()
    if (names or lines) and (not {"stage", "step"} <= set(names) or len(set(names)) < len(names)):
        got = ",".join(names)
        raise DataError(f"{path}: is not the log of a run: got columns {got!r:.80}, expected stage,step,…; {_REMEDY}")
    for number, line in enumerate(lines, start=2):
        if problem := _row_problem(names, line):
            raise DataError(f"{path}: is not the log of a run: row {number}, {problem}; {_REMEDY}")
    return [dict(zip(names, line, strict=True)) for line in lines]


def _row_problem(names: Sequence[str], line: Sequence[str]) -> str:
    """The problem of a row of a log; empty for a correct one."""
    if len(line) != len(names):
        return f"got {len(line)} cells, expected {len(names)}"
    for name, cell in zip(names, line, strict=True):
        whole = name in ("stage", "step")
        try:
            good = not (cell or whole) or (0 <= int(cell) <= _MOST_STEPS if whole else isinstance(float(cell), float))
        except ValueError:
            good = False
        if not good:
            return f"column {name}: got {cell!r:.80}, expected {'a whole number' if whole else 'a number'}"
    return ""


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(f"--tensorboard: not installed; run: {how_to_install('tensorboard')}") from error
    writer: Any = SummaryWriter
    return writer(folder)
