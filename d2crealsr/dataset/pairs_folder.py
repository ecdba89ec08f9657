"""Open a pairs folder to write into it: make sure that it is one, and bring it to the state that earlier runs left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError
from d2crealsr.store.changes import refuse_if_changed
from d2crealsr.store.columns import TABLES
from d2crealsr.store.description import DATASET_FILE, FORMAT_VERSION, load_description
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.listing import list_images
from d2crealsr.store.merge import recover
from d2crealsr.store.ownership import refuse_foreign, refuse_links
from d2crealsr.store.pairs import load_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_pairs", "written_folders"]


def open_pairs(out: Path) -> tuple[Ledger, dict[str, Any]]:
    """The tables and description of the pairs folder, empty for a new one. Removes leftovers of a killed run."""
    refuse_links(out, "hr", "lr")
    described = (out / DATASET_FILE).exists()
    sides = [out / side for side in ("hr", "lr") if (out / side).is_dir()]
    images = [path for side in sides for path in list_images(side, deep=False).images]
    if images and not described:
        raise LayoutError(
            f"{out}: has {len(images)} files in hr/ and lr/ and no {DATASET_FILE}; give a new folder with --out"
        )
    if not described:
        refuse_foreign(out, own="pairs")
        there = [name for name in TABLES if (out / name).exists()]
        if there and "manifest.csv" not in there:
            raise LayoutError(f"{out}: has a {there[0]} that no align wrote; give a new folder with --out")
    refuse_if_changed(out)
    if not described or load_description(out)["version"] != FORMAT_VERSION:  # no checksums: the schema must do
        for name in TABLES:
            if (out / name).exists():
                load_table(out, name)
    recover(out, upgrade=described)
    remove_leftovers(*written_folders(out))
    return Ledger.load(out), load_description(out) if described else {}


def written_folders(out: Path) -> tuple[Path, Path, Path]:
    """Folders that a run writes to."""
    return out, out / "hr", out / "lr"
