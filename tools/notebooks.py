"""Run the notebooks and store their output in them: python tools/notebooks.py [NAME …]

Each runs from its first cell in a temporary folder. A notebook that fails, or that would be larger than 1 MB, is left
as it was.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
_MOST_BYTES = 1_000_000
_CELL_SECONDS = 1800


def run(path: Path) -> None:
    """Run a notebook, and write it with its output."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=_CELL_SECONDS, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which differ from run to run
    notebook.metadata.pop("widgets", None)
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > _MOST_BYTES:
        raise SystemExit(f"{path}: {len(text.encode()):,} bytes with its output, at most {_MOST_BYTES:,}")
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{path}: {len(text.encode()):,} bytes\n")


if __name__ == "__main__":
    names = sys.argv[1:]
    for found in sorted(FOLDER.glob("*.ipynb")):
        if not names or found.stem in names:
            run(found)
