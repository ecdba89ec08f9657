"""Perceptual distances, LPIPS and DISTS, by torchmetrics. Smaller is more alike, and 0 is equal.

They need packages and weights that are no part of this project: torchmetrics, torchvision, and the weights of a
classifier, which torchvision would download. Nothing is downloaded here: what is missing is named before the work.

References
----------
LPIPS: Zhang et al., doi:10.1109/CVPR.2018.00068. DISTS: Ding et al., doi:10.1109/TPAMI.2020.3045810.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias, get_args

import torch

from d2c.data.patches import to_tensor
from d2c.errors import ConfigError
from d2c.metrics import to_uint8
from d2c.precision import computing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DISTANCES", "LEAST_SIDE", "DistanceRow", "PerceptualDistance", "check_distances", "distance", "title"]

PerceptualDistance: TypeAlias = Literal["lpips", "dists"]

DISTANCES: tuple[PerceptualDistance, ...] = get_args(PerceptualDistance)

LEAST_SIDE = 64
"""Smallest side of an image in px, below which nothing is left of it in the last layers."""


class DistanceRow(NamedTuple):
    """The distance of one image by one method. It stands among rows of PSNR and SSIM, and has neither."""

    image: str
    method: str
    protocol: PerceptualDistance
    distance: float

    @property
    def psnr_db(self) -> float:
        """NaN."""
        return math.nan

    @property
    def ssim(self) -> float:
        """NaN."""
        return math.nan


class _Kind(NamedTuple):
    title: str
    name: str
    options: dict[str, Any]


_KINDS: dict[PerceptualDistance, _Kind] = {
    "lpips": _Kind("LPIPS, AlexNet", "LearnedPerceptualImagePatchSimilarity", {"net_type": "alex", "normalize": True}),
    "dists": _Kind("DISTS", "DeepImageStructureAndTextureSimilarity", {}),
}


class _WouldDownloadError(Exception):
    """Weights are missing. The arguments are the address and the file in which they would be stored."""


def title(kind: PerceptualDistance) -> str:
    """The name of a distance for tables."""
    return _KINDS[kind].title


def check_distances(kinds: Sequence[str]) -> None:
    """Make sure that the distances can be measured, before anything else is done.

    Raises
    ------
    ConfigError
        When a package or weights are missing; names them.
    """
    black = torch.zeros(1, 3, LEAST_SIDE, LEAST_SIDE)
    for kind in DISTANCES:
        if kind in kinds:
            _measured(kind, black, black)


def distance(sr: NDArray[Any], hr: NDArray[Any], border: int, kind: PerceptualDistance, device: torch.device) -> float:
    """The distance of two images ``(H, W, 3)``, both rounded to 8 bit, without a border.

    It is computed in fp32, whatever arithmetic made the images.

    Parameters
    ----------
    border : int
        Pixels to remove from each side, as for PSNR: the scale.
    device : torch.device
        Where it is computed.
    """
    inside = slice(border, -border or None)
    with computing("fp32", device):
        return _measured(kind, *(to_tensor(to_uint8(image)[inside, inside])[None].to(device) for image in (sr, hr)))


def _measured(kind: PerceptualDistance, sr: Tensor, hr: Tensor) -> float:
    """The distance of two images ``(1, 3, H, W)`` on [0, 1]. Some measures load their weights only here."""
    try:
        with _no_downloads(), torch.inference_mode():
            return float(_metric(kind).to(sr.device)(sr, hr))
    except _WouldDownloadError as error:
        address, file = error.args
        raise ConfigError(
            f"protocol: {kind} needs weights that are not there, and d2c downloads nothing; get {address}, save it as "
            f"{file}, or leave --protocol {kind} out"
        ) from error


@functools.cache
def _metric(kind: PerceptualDistance) -> Any:
    """The measure of torchmetrics, which is made once."""
    _, name, options = _KINDS[kind]
    try:
        import torchmetrics.image
        import torchvision  # noqa: F401  (torchmetrics lacks the classes without it)

        found = getattr(torchmetrics.image, name)
    except (ImportError, AttributeError, RuntimeError) as error:  # RuntimeError: torchvision is for another torch
        raise ConfigError(
            f"protocol: {kind} needs the packages torchmetrics and torchvision for this torch ({error}); install them, "
            f"or leave --protocol {kind} out"
        ) from error
    return found(**options)


@contextlib.contextmanager
def _no_downloads() -> Iterator[None]:
    """A block in which torch raises an error instead of downloading weights, and does not say that it downloads."""

    def refuse(url: str, dst: str, *_more: Any, **_options: Any) -> NoReturn:
        raise _WouldDownloadError(url, dst)

    allowed = torch.hub.download_url_to_file
    torch.hub.download_url_to_file = refuse
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.hub.download_url_to_file = allowed
