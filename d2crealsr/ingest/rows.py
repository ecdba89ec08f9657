"""Rows of the two tables that ``ingest`` writes: a frame in ``frames.csv``, a scene in ``manifest.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.imaging.marks import scene_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.plan import Entry, Scene
    from d2crealsr.store.exif import ExifData

__all__ = ["frame_row", "printed_number", "scene_row", "typed"]

_NUMBERS = (
    *("sharpness", "clipped_fraction", "scale_effective", "likeness"),
    *("focal_mm", "f_number", "exposure_s", "latitude", "longitude"),
)
"""Columns of a frame whose numbers the table has as texts of fixed precision."""


def frame_row(entry: Entry, frame: Frame, card: Path, file: str, keep_private: bool) -> dict[str, Any]:
    """The row of a frame: what it is, its figures, and how it was taken. ``file`` is its place in the raw folder."""
    shot = entry.shot
    link = shot.link if shot is not None else None
    return {
        "frame": frame.path.relative_to(card).as_posix(),
        "role": entry.role,
        "group": entry.group,
        "scale": entry.scale,
        "sharpness": None if shot is None else f"{shot.sharpness:.4f}",
        "clipped_fraction": None if shot is None else f"{shot.clipped:.4f}",
        "scale_effective": None if link is None else f"{link.scale:.3f}",
        "matches": None if link is None else link.inliers,
        "likeness": None if link is None else f"{link.likeness:.3f}",
        "note": entry.note,
        **_taken(frame.exif, "", keep_private),
        "file": file,
        "sha256": frame.sha256,
        "mark": printed_number(frame),
    }


def scene_row(
    scene: Scene,
    frames: Sequence[Frame],
    files: tuple[str, str],
    keep_private: bool,
    printed: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The row of a scene.

    Parameters
    ----------
    files : (str, str)
        The paths of HR and LR within the raw folder.
    printed : mapping
        The rows of ``cards.csv`` by the number on the card.
    """
    hr, lr = frames[scene.hr], frames[scene.lr]
    number = printed_number(hr) or printed_number(lr)
    on_card = printed.get(number, {})
    return {
        "scene": scene.scene,
        "hr": files[0],
        "lr": files[1],
        "group": scene.group,
        "scale": scene.scale,
        "source": on_card.get("source") or "",
        "source_licence": on_card.get("source_licence") or "",
        **_taken(hr.exif, "hr_", keep_private),
        **_taken(lr.exif, "lr_", keep_private),
        "mark": number,
    }


def typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a frame with its numbers as numbers, for other programs."""
    return {name: float(cell) if name in _NUMBERS and cell is not None else cell for name, cell in row.items()}


def printed_number(frame: Frame) -> str:
    """The number on the marks of the card in a frame, as in ``scene`` of ``cards.csv``; empty if none was read."""
    number = 0 if frame.sketch is None else frame.sketch.marks.number
    return scene_of(number) if number else ""


def _taken(exif: ExifData, prefix: str, keep_private: bool) -> dict[str, Any]:
    """How a frame was taken, by column name. Personal data only on request."""
    cells: dict[str, Any] = {
        "camera": exif.camera_name,
        "lens": exif.lens_name,
        "focal_mm": f"{exif.focal_mm:g}" if exif.focal_mm else None,
        "f_number": f"{exif.f_number:g}" if exif.f_number else None,
        "exposure_s": f"{exif.exposure_s:.6g}" if exif.exposure_s else None,
        "iso": exif.iso or None,
        "time": exif.time,
    }
    if keep_private:
        latitude, longitude = exif.place or (None, None)
        cells |= {
            "camera_serial": _harmless(exif.camera_serial),
            "lens_serial": _harmless(exif.lens_serial),
            "latitude": None if latitude is None else f"{latitude:.6f}",
            "longitude": None if longitude is None else f"{longitude:.6f}",
        }
    return {prefix + name: cell for name, cell in cells.items()}


def _harmless(text: str) -> str:
    """A text from a file as a cell that no spreadsheet takes for a formula."""
    return text.lstrip("=+-@ ")
