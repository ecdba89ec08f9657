"""Files with results of upscaling: how they are named and recognised, and which files they may replace.

Every result stores a note on what it was made from (:class:`Origin`). From this note a second run knows which results
are done, results in a folder are not taken for images to upscale, and other files in the place of results are
recognised.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from d2c.checkpoints import native
from d2c.checkpoints.builtin import builtin_names
from d2c.errors import ConfigError, DataError
from d2c.networks import DEFAULT, network_of
from d2crealsr.store import notes
from d2crealsr.store.listing import folded, list_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from torch import nn

__all__ = ["KEY", "Origin", "builtin_of", "check_names", "images_of", "missing", "model_digest"]

KEY = "d2c"
"""Key of the note in a result."""
_NAMED = 3


class Origin(NamedTuple):
    """Everything on which the pixels of a result depend: two SHA-256 hashes and the settings, but not the device.

    ``name`` is that of a built-in checkpoint, and empty for any other.
    """

    input: str
    checkpoint: str
    settings: Mapping[str, Any]
    name: str = ""

    @property
    def note(self) -> str:
        """The text that is stored in the result. It has a name only if there is one, as in earlier versions."""
        stored = self._asdict()
        name = stored.pop("name")
        return json.dumps(stored | ({"name": name} if name else {}), sort_keys=True)


def model_digest(model: nn.Module) -> str:
    """SHA-256 of a model's network, configuration and weights, whatever file they came from."""
    network, config = network_of(model)
    named = "" if network.name == DEFAULT else network.name  # earlier versions did not store it
    found = hashlib.sha256((named + repr(config)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def builtin_of(model: nn.Module, digest: str) -> str:
    """The name of the built-in checkpoint that is this model, whose digest is given; empty if there is none."""
    network = network_of(model)[0].name
    same = (name for name in builtin_names() if native.network_name(name) == network)
    return next((name for name in same if model_digest(native.load(name)) == digest), "")


def images_of(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The images to upscale, including the images directly in folders, and sentences on files that are left out.

    Hidden files and earlier results (which have the note) in a folder are left out.

    Raises
    ------
    DataError
        When a folder has no images.
    """
    found: list[Path] = []
    said: list[str] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        listing = list_images(path, deep=False)
        images = [file for file in listing.images if not notes.note_in(file, KEY)]
        if not images:
            raise DataError(f"{path}: no images to upscale are directly in it ({len(listing.images)} earlier results)")
        said += [f"{path}: {note}" for note in listing.notes]
        found += images
    return found, said


def check_names(paths: Sequence[Path], scale: int) -> None:
    """Make sure that no two inputs would have the same result, also on disks that ignore case.

    Raises
    ------
    ConfigError
        When two would; names the first two.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(folded(path.stem), path)
        if other is not path:
            if other == path:
                raise ConfigError(f"{path}: is given twice; give every image once")
            on = "" if other.stem == path.stem else " on disks that ignore case"
            raise ConfigError(
                f"{other} and {path} would both become {path.stem}_x{scale}.png{on}; upscale them to two folders"
            )


def missing(wanted: Mapping[Path, str], inputs: Iterable[Path], *, overwrite: bool) -> list[Path]:
    """The wanted results (given with their notes) that do not exist yet.

    Raises
    ------
    ConfigError
        When one is an input of this command, or another file is in its place and may not be replaced.
    """
    read = {_identity(path): path for path in inputs if path.exists()}
    left, in_the_way = [], []
    for target, note in wanted.items():
        if not os.path.lexists(target):
            left.append(target)
            continue
        if target.exists() and (source := read.get(_identity(target))) is not None:
            raise ConfigError(
                f"{target}: would be replaced by a result, but is the input {source}; give another folder with --out"
            )
        own = stat.S_ISREG(target.lstat().st_mode) and notes.note_in(target, KEY) == note
        if own and notes.is_whole(target):
            continue
        if not own and (target.is_dir() or not overwrite):
            in_the_way.append(target)
        left.append(target)
    if in_the_way:
        names = _few([str(path) for path in in_the_way])
        if overwrite:
            raise ConfigError(f"{names}: a folder is in the place of a result; give another folder with --out")
        raise ConfigError(
            f"{names}: there already, and not made of these images by this checkpoint with these settings; "
            "give another folder with --out, or replace with --overwrite"
        )
    return left


def _identity(path: Path) -> tuple[int, int]:
    """The identity of a file, independent of its name."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
