"""The file layer, which `d2c` may import: the pairs format and its readers, raw layouts, images, atomic writes."""

from d2crealsr.errors import D2CRealSRError, ImageError, LayoutError, MachineError, ScaleError, TableError, UsageError
from d2crealsr.store.files import atomic_path, sha256_of
from d2crealsr.store.images import IMAGE_SUFFIXES, read_image, write_image
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import read_dataset, read_manifest

__all__ = [
    "IMAGE_SUFFIXES",
    "D2CRealSRError",
    "ImageError",
    "LayoutError",
    "MachineError",
    "ScaleError",
    "TableError",
    "UsageError",
    "atomic_path",
    "lock_folder",
    "read_dataset",
    "read_image",
    "read_manifest",
    "sha256_of",
    "write_image",
]
