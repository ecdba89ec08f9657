"""Files of real cameras: are they read, and are copies of them free of personal data with the same pixels?

    python -m tests.robustness.real_files FILES --out tests/robustness/results/real_files.txt

The files are not part of the repository. Those of the stored run are HEIC files of the source package of pillow-heif
1.8.1 (BSD-3-Clause), folder tests/images, which pip downloads: `pip download --no-deps --no-binary :all: pillow-heif`.
No package was found that ships camera RAW.

GPS, serial: whether the file has a position or a serial number, and whether its copy has one. same: whether the copy
has the same pixels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import PIL.ExifTags
import PIL.Image

from benchmarks.program import print_and_store, program, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.store.exif import ExifData, read_exif
from d2crealsr.store.images import decode_image, read_capture
from d2crealsr.store.personal import without_personal_data


def tried(path: Path) -> Row:
    """A row for a file."""
    data = path.read_bytes()
    cleaned = without_personal_data(data, path.name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(cleaned)
        before, after = read_exif(path), read_exif(copy)
    pixels = read_capture(path, convert=True).pixels
    return {
        "file": path.name,
        "camera": before.camera_name,
        "mm": before.focal_mm,
        "pixels": f"{pixels.shape[1]}x{pixels.shape[0]}",
        "bits": 8 * pixels.itemsize,
        "GPS": _changes(before, after, "place"),
        "serial": _changes(before, after, "camera_serial"),
        "same": np.array_equal(decode_image(cleaned, path.name), decode_image(data, path.name)),
    }


def _written(path: Path) -> Path:
    """A picture with a position."""
    exif = PIL.Image.Exif()
    exif.get_ifd(PIL.ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    PIL.Image.new("RGB", (32, 24), (90, 120, 60)).save(path, exif=exif)
    return path


def _changes(before: ExifData, after: ExifData, name: str) -> str:
    there, kept = (bool(getattr(exif, name)) for exif in (before, after))
    return "kept" if kept else "removed" if there else "none"


@program(__doc__)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Store the table here.")
@with_small("A JPEG with a position that the program writes itself", exposed=True)
def main(files: tuple[Path, ...], out: Path | None, small: bool) -> None:
    if not files and not small:
        raise click.UsageError("no files: name some")
    with tempfile.TemporaryDirectory() as folder:
        rows = [tried(path) for path in ([_written(Path(folder, "small.jpg"))] if small else files)]
    print_and_store(text_table(rows), out)
    bad = [row["file"] for row in rows if "kept" in (row["GPS"], row["serial"]) or not row["same"]]
    if bad:
        raise SystemExit(f"not cleaned, or with other pixels: {', '.join(map(str, bad))}")


if __name__ == "__main__":
    main()
