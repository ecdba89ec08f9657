"""EXIF data that a camera stored with the picture: the camera, the lens, and the settings of the shot."""

from __future__ import annotations

import struct
import warnings
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import PIL.Image

from d2crealsr.errors import ImageError
from d2crealsr.store.files import open_regular
from d2crealsr.store.headers import needed, one_line
from d2crealsr.store.readers import START, reader_of
from d2crealsr.store.readers.tags import TagFile

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NO_EXIF", "ExifData", "exif_in", "read_exif"]

_MAKE, _MODEL, _EXIF = 0x010F, 0x0110, 0x8769
_F_NUMBER, _FOCAL_LENGTH, _WIDTH, _HEIGHT = 0x829D, 0x920A, 0xA002, 0xA003
_LENS_MAKE, _LENS_MODEL = 0xA433, 0xA434
_EXPOSURE, _ISO, _TAKEN, _FRACTION = 0x829A, 0x8827, 0x9003, 0x9291
_LONGEST_NAME = 80
_BODY_SERIAL, _LENS_SERIAL, _GPS = 0xA431, 0xA435, 0x8825


class ExifData(NamedTuple):
    """EXIF data of one capture. Texts that the file does not have are empty, and numbers are 0.

    ``frame`` is the size (width, height) of the picture as the camera stored it, before any later cropping. ``time`` is
    the camera's own time, ``YYYY-MM-DDThh:mm:ss`` with a fraction where there is one. Serial numbers and the place are
    personal; ``place`` is (latitude, longitude) in degrees, None if it is not there.
    """

    camera_make: str
    camera: str
    lens_make: str
    lens: str
    focal_mm: float
    f_number: float
    frame: tuple[int, int]
    exposure_s: float = 0.0
    iso: int = 0
    time: str = ""
    camera_serial: str = ""
    lens_serial: str = ""
    place: tuple[float, float] | None = None

    @property
    def camera_name(self) -> str:
        """Maker and model, as a cell that no spreadsheet takes for a formula."""
        return _full_name(self.camera_make, self.camera)

    @property
    def lens_name(self) -> str:
        """The same for the lens."""
        return _full_name(self.lens_make, self.lens)

    @property
    def cells(self) -> dict[str, str | float | int | None]:
        """How the picture was taken, by the names of columns: nothing personal, and None for what is not known."""
        return {
            "camera": self.camera_name,
            "lens": self.lens_name,
            "focal_mm": self.focal_mm or None,
            "exposure_s": self.exposure_s or None,
            "f_number": self.f_number or None,
            "iso": self.iso or None,
        }


NO_EXIF = ExifData("", "", "", "", 0.0, 0.0, (0, 0))


def read_exif(path: Path) -> ExifData:
    """Read the EXIF data of a capture. Everything is empty if there are none, or if they are damaged.

    The reader of the format finds the data, and Pillow reads them.

    Raises
    ------
    ImageError
        When the file is not an image, or the library that reads its format is not installed.
    """
    try:
        with open_regular(path) as file:
            reader = reader_of(file.read(START))
            file.seek(0)
            with needed(reader, path.name):
                return exif_in(reader.exif_of(file))
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # damaged headers make a library raise nearly anything
        raise ImageError(f"{path.name}: its EXIF data cannot be read ({one_line(error)}); export it again") from error


def exif_in(block: IO[bytes]) -> ExifData:
    """EXIF data from something open that is read as a TIFF. What is damaged is missing."""
    tags = PIL.Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about damaged tags, which are then missing
            if not _is_bounded(block):
                return NO_EXIF
            block.seek(0)
            tags.load_from_fp(block)
            exif: dict[int, Any] = {**tags, **tags.get_ifd(_EXIF)}
            gps = dict(tags.get_ifd(_GPS))
    except Exception:  # damaged EXIF data make Pillow raise nearly anything
        return NO_EXIF
    return ExifData(
        camera_make=_text(exif.get(_MAKE)),
        camera=_text(exif.get(_MODEL)),
        lens_make=_text(exif.get(_LENS_MAKE)),
        lens=_text(exif.get(_LENS_MODEL)),
        focal_mm=_number(exif.get(_FOCAL_LENGTH)),
        f_number=_number(exif.get(_F_NUMBER)),
        frame=(int(_number(exif.get(_WIDTH))), int(_number(exif.get(_HEIGHT)))),
        exposure_s=_number(exif.get(_EXPOSURE)),
        iso=int(_number(_first(exif.get(_ISO)))),
        time=_time(_text(exif.get(_TAKEN)), _text(exif.get(_FRACTION))),
        camera_serial=_text(exif.get(_BODY_SERIAL)),
        lens_serial=_text(exif.get(_LENS_SERIAL)),
        place=_place(gps),
    )


def _is_bounded(block: IO[bytes]) -> bool:
    """Whether there are directories whose values cannot claim more memory than a few times the size of the file."""
    try:
        tiff = TagFile(block)
        inner = tiff.directory(tiff.first, (_EXIF, _GPS))
        for at in inner.values():
            tiff.directory(at[0], ())
    except (ValueError, struct.error, IndexError):
        return False
    return not tiff.big  # Pillow reads the addresses of other TIFF files only


def _full_name(maker: str, model: str) -> str:
    """Maker and model; many models repeat the maker."""
    name = model if not maker or model.lower().startswith(maker.lower()) else f"{maker} {model}"
    plain = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(plain.split()).lstrip("=+-@ ")[:_LONGEST_NAME]


def _first(value: Any) -> Any:
    """The first of several values."""
    return value[0] if isinstance(value, tuple) and value else value


def _time(taken: str, fraction: str) -> str:
    """The time of a shot in ISO 8601; empty if the file does not have it or it is no time."""
    try:
        time = datetime.strptime(taken, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return ""
    return time.isoformat() + (f".{fraction}" if fraction.isdigit() else "")


def _place(gps: dict[int, Any]) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, positive to the north and east (EXIF 2.32, tags 1 to 4 of the GPS part)."""
    try:
        north, east = (
            sum(float(part) / 60**power for power, part in enumerate(gps[tag])) * (-1 if gps.get(ref) in other else 1)
            for ref, tag, other in ((1, 2, ("S",)), (3, 4, ("W",)))
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return north, east


def _text(value: Any) -> str:
    return " ".join(value.replace("\0", " ").split()) if isinstance(value, str) else ""


def _number(value: Any) -> float:
    """The number of a tag; 0 if it is not a number, such as a fraction with the denominator 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if 0 < number < 1e9 else 0.0
