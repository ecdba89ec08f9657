"""The only module that calls OpenCV: a thin, typed layer over loose type stubs and surprising defaults.

Images are RGB wherever colour matters. Matrices map *output* pixel centres to *input* pixel centres, which is the
direction that a warp needs. No function inverts a matrix without the caller's knowledge.

Notes
-----
This layer avoids the following traps: ``SIFT_create`` is biased by +0.25 px unless ``enable_precise_upscale`` is set
(OpenCV issue 23123); robust estimators use a global random generator unless they are given a state; ``GaussianBlur``
shortens its kernel for 8-bit input; functions for files use the colour order BGR.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from d2crealsr.errors import is_out_of_memory
from d2crealsr.types import Array, Image, Matrix, Size

__all__ = [
    "DecodeError",
    "Error",
    "Keypoints",
    "blur",
    "close",
    "connected",
    "decode",
    "decode_jpeg",
    "demosaic_edge_aware",
    "dilate",
    "draw_discs",
    "encode_jpeg",
    "encode_png",
    "encode_tiff",
    "find_homography",
    "find_marks",
    "lab",
    "labelled",
    "looked_up",
    "mark_count",
    "mark_modules",
    "remap",
    "resize",
    "set_thread_count",
    "sift",
    "thread_count",
    "threefold",
    "use_one_thread",
    "warp",
]

Pixels: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]
Interpolation: TypeAlias = Literal["nearest", "linear", "cubic", "lanczos4", "area"]

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it would print, the errors here say

_INTERPOLATION: dict[Interpolation, int] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos4": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}


Error = cv2.error
"""The exception that OpenCV raises."""


class DecodeError(ValueError):
    """OpenCV could not decode the bytes."""


class Keypoints(NamedTuple):
    """SIFT features: positions (N, 2) as (x, y) in px, sizes (N,) in px, descriptors (N, 128) float32."""

    points: Array
    sizes: Array
    descriptors: Float32


def use_one_thread() -> None:
    """Restrict OpenCV to the calling thread. Process pools do not do so, and bytes must not depend on threads."""
    cv2.setNumThreads(1)


def thread_count() -> int:
    """Number of threads that OpenCV may use in this process."""
    return cv2.getNumThreads()


def set_thread_count(count: int) -> None:
    """Set the number of threads that OpenCV may use in this process."""
    cv2.setNumThreads(count)


def decode(data: bytes) -> Pixels:
    """Decode the bytes of an image file at its own depth to RGB(A) or grey, without applying the orientation flag.

    Raises
    ------
    DecodeError
        When the bytes are not a complete image.
    MemoryError
        When the image does not fit into memory.
    """
    return _decoded(data, cv2.IMREAD_UNCHANGED)


def decode_jpeg(data: bytes) -> Pixels:
    """As :func:`decode` for a JPEG, but RGB also where it is grey. The decoder writes RGB, so nothing is copied."""
    return _decoded(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def _decoded(data: bytes, flags: int) -> Pixels:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        is_bgr = flags == cv2.IMREAD_UNCHANGED
        if is_bgr and pixels is not None and pixels.ndim == 3 and pixels.shape[2] in (3, 4):
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    except cv2.error as error:
        if is_out_of_memory(error):
            raise MemoryError("decoding needs more memory than there is") from error
        raise DecodeError(str(error).strip().splitlines()[-1]) from error
    if pixels is None:
        raise DecodeError("the data is truncated or damaged")
    return cast("Pixels", pixels)


def _encode(suffix: str, image: Pixels, parameters: list[int]) -> bytes:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, data = cv2.imencode(suffix, image, parameters)
    if not done:
        raise ValueError(f"cannot encode {image.dtype} {image.shape} as {suffix}")
    return data.tobytes()


def encode_png(image: Pixels) -> bytes:
    """PNG bytes of an RGB, RGBA or grey image, 8 or 16 bit."""
    return _encode(".png", image, [])


def encode_jpeg(image: Pixels, quality: int = 95, *, full_colour: bool = False) -> bytes:
    """JPEG bytes of an 8-bit RGB or grey image, with colours at full resolution (4:4:4) or at half of it (4:2:0)."""
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444] if full_colour else []
    return _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])


def encode_tiff(image: Pixels) -> bytes:
    """TIFF bytes of an RGB or grey image, 8 or 16 bit."""
    return _encode(".tiff", image, [])


def blur(image: Float32, sigma: float) -> Float32:
    """Gaussian blur in float32 with a kernel up to 4σ and reflected borders. σ is in px; 0 returns the input."""
    if sigma <= 0:
        return image
    radius = max(1, int(np.ceil(4 * sigma)))
    size = (2 * radius + 1, 2 * radius + 1)
    blurred = cv2.GaussianBlur(image, size, sigmaX=sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101)
    return cast("Float32", blurred)


def resize(image: Pixels, size: Size, interpolation: Interpolation) -> Pixels:
    """Resize with OpenCV's half-pixel convention ``x' = s·x + (s−1)/2`` (s = output ÷ input size)."""
    return cast("Pixels", cv2.resize(image, tuple(size), interpolation=_INTERPOLATION[interpolation]))


def warp(
    image: Pixels,
    H_out_to_in: Matrix,
    size: Size,
    interpolation: Interpolation = "linear",
    *,
    outside: Literal["reflect", "zero"] = "reflect",
) -> Pixels:
    """Sample ``image`` at ``H_out_to_in`` of every output pixel centre; the output has ``size`` (width, height)."""
    return cast(
        "Pixels",
        cv2.warpPerspective(
            image,
            H_out_to_in,
            tuple(size),
            flags=_INTERPOLATION[interpolation] | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101 if outside == "reflect" else cv2.BORDER_CONSTANT,
        ),
    )


def remap(
    image: Pixels,
    map_x: Float32,
    map_y: Float32,
    interpolation: Interpolation = "linear",
    *,
    outside: Literal["reflect", "zero"] = "reflect",
) -> Pixels:
    """Sample ``image`` at (map_x, map_y), pixel centres of the input, one per output pixel."""
    border = cv2.BORDER_REFLECT_101 if outside == "reflect" else cv2.BORDER_CONSTANT
    return cast("Pixels", cv2.remap(image, map_x, map_y, _INTERPOLATION[interpolation], borderMode=border))


def sift(image: NDArray[np.uint8], *, contrast_threshold: float, at_most: int = 0) -> Keypoints:
    """Detect and describe SIFT keypoints with unbiased positions: the ``at_most`` strongest, or all if it is 0.

    ``enable_precise_upscale`` keeps the positions unbiased. Without it every keypoint is displaced by +0.25 px.
    """
    create: Any = vars(cv2)["SIFT_create"]  # missing in the type stubs of OpenCV 5
    detector = create(nfeatures=at_most, contrastThreshold=contrast_threshold, enable_precise_upscale=True)
    found, descriptors = detector.detectAndCompute(image, None)
    if descriptors is None or not found:
        return Keypoints(np.empty((0, 2)), np.empty(0), np.empty((0, 128), np.float32))
    points = np.array([k.pt for k in found], dtype=np.float64)
    sizes = np.array([k.size for k in found], dtype=np.float64)
    return Keypoints(points, sizes, cast("Float32", descriptors))


_MAGSAC: dict[str, Any] = {
    "confidence": 0.9999,
    "score": cv2.SCORE_METHOD_MAGSAC,
    "sampler": cv2.SAMPLING_UNIFORM,
    "loMethod": cv2.LOCAL_OPTIM_SIGMA,
    "loIterations": 10,
    "loSampleSize": 50,
    "final_polisher": cv2.MAGSAC,
    "final_polisher_iterations": 3,
    "isParallel": False,
}
"""Parameters of OpenCV's USAC that make it MAGSAC++."""


def find_homography(
    source: Array, target: Array, *, threshold: float, iterations: int = 5000, seed: int = 0
) -> tuple[Matrix | None, NDArray[np.bool_]]:
    """Robust homography from source to target by MAGSAC++ (Barath et al., CVPR 2020, doi:10.1109/CVPR42600.2020.00138).

    Points are (N, 2) in px, and ``threshold`` is in px of the target. The same input always gives the same result.
    """
    parameters = cv2.UsacParams()
    given = {"threshold": threshold, "maxIterations": iterations, "randomGeneratorState": seed}
    for name, value in (_MAGSAC | given).items():
        setattr(parameters, name, value)
    try:
        H, inliers = cv2.findHomography(source, target, parameters)
    except cv2.error as error:
        if is_out_of_memory(error):
            raise
        H, inliers = None, None
    if H is None or inliers is None or not np.isfinite(H).all() or abs(H[2, 2]) < 1e-12:
        return None, np.zeros(len(source), dtype=bool)
    return np.asarray(H / H[2, 2], dtype=np.float64), inliers.ravel().astype(bool)


_MARKS = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h10)
"""AprilTag 36h10, two codes of which differ in at least 10 bits (Wang, Olson 2016, doi:10.1109/IROS.2016.7759617)."""

_MARK_SEARCH: dict[str, Any] = {
    "errorCorrectionRate": 0.25,  # one wrong bit, of the four that the code could correct: fewer marks where none is
    "perspectiveRemovePixelPerCell": 8,  # with the default of 4, marks of fewer than 6 px a module are hardly ever read
    "cornerRefinementMethod": cv2.aruco.CORNER_REFINE_SUBPIX,
}


def mark_count() -> int:
    """Number of different marks."""
    return len(_MARKS.bytesList)


def mark_modules(number: int) -> NDArray[np.bool_]:
    """The square modules of a mark with its black border but without white around it, (8, 8); true is white."""
    side = _MARKS.markerSize + 2
    return cv2.aruco.generateImageMarker(_MARKS, number, side, borderBits=1) > 127


def find_marks(image: NDArray[np.uint8], *, smallest: float) -> list[tuple[int, Array]]:
    """Number and corners, (4, 2) in px, of the marks in a grey image.

    The corners are those of the black border: top left, top right, bottom right and bottom left of the upright mark.
    ``smallest`` is the smallest perimeter of a mark as a share of the longer side of the image.
    """
    parameters = cv2.aruco.DetectorParameters()
    for name, value in (_MARK_SEARCH | {"minMarkerPerimeterRate": smallest}).items():
        setattr(parameters, name, value)
    corners, numbers, _ = cv2.aruco.ArucoDetector(_MARKS, parameters).detectMarkers(image)
    if not corners:  # `numbers` is None then
        return []
    found = (np.asarray(four, np.float64).reshape(4, 2) for four in corners)
    return list(zip((int(number) for number in numbers.ravel()), found, strict=True))


def demosaic_edge_aware(mosaic: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Edge-aware demosaicing of a 16-bit RGGB mosaic (red at pixel (0, 0)) to RGB."""
    return cast("NDArray[np.uint16]", cv2.cvtColor(mosaic, cv2.COLOR_BayerRGGB2RGB_EA))


def draw_discs(image: NDArray[np.uint8], centres: Array, radii: Array, colours: NDArray[np.uint8]) -> None:
    """Draw filled discs with soft edges in place, one over the other; centres (N, 2) and radii (N,) to 1/16 px."""
    for (x, y), radius, colour in zip(
        np.rint(centres * 16).astype(int).tolist(),
        np.rint(radii * 16).astype(int).tolist(),
        colours.tolist(),
        strict=True,
    ):
        cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA, 4)


def as_image(pixels: Pixels) -> Image:
    """Narrow the type of (H, W, 3) 8- or 16-bit pixels after checking them."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected (H, W, 3) uint8 or uint16 RGB, got {pixels.shape} {pixels.dtype}")
    return cast("Image", pixels)


def dilate(mask: NDArray[np.bool_], radius: int = 1) -> NDArray[np.bool_]:
    """Grow a mask by ``radius`` pixels in all eight directions."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def close(mask: NDArray[np.bool_], radius: int = 1) -> NDArray[np.bool_]:
    """Fill gaps of a mask of up to ``2·radius`` pixels; its outer border stays where it is."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0


def connected(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Connected parts of a mask, diagonals included: boxes (N, 4) as (x, y, width, height), and areas (N,), in px."""
    _, _, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = cast("NDArray[np.int32]", found[1:])  # the first one is the background
    return parts[:, :4], parts[:, 4]


def labelled(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The connected parts of a mask, diagonals included, numbered from 1; 0 outside of it."""
    return cast("NDArray[np.int32]", cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1])


def looked_up(image: Image, table: Float32) -> Float32:
    """``table[image]``: replace every value of an image by its float32 value in a table. The shape stays the same."""
    if image.dtype == np.uint8:
        return cast("Float32", cv2.LUT(image, table))
    return np.take(table, image)


def threefold(plane: Float32) -> Float32:
    """The same plane in three channels, (H, W) → (H, W, 3)."""
    return cast("Float32", cv2.merge([plane] * 3))


def lab(linear: Float32) -> Float32:
    """CIELAB of linear RGB on [0, 1] with sRGB primaries and D65, (H, W, 3): L* of 0 … 100, a*, b*."""
    return cast("Float32", cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB))


def filter2d(image: Float32, kernel: Float32) -> Float32:
    """Correlate a float32 image with a small kernel, with reflected borders."""
    return cast("Float32", cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101))


def separable(image: Float32, kernel: Float32) -> Float32:
    """Correlate a float32 image with the same kernel along rows and along columns, with reflected borders."""
    return cast("Float32", cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101))


def derivatives(image: Float32) -> tuple[Float32, Float32, Float32]:
    """Derivatives in x and y (central differences) and Laplacian of a smooth float32 image, per pixel."""
    dx = filter2d(image, np.array([[-0.5, 0, 0.5]], np.float32))
    dy = filter2d(image, np.array([[-0.5], [0], [0.5]], np.float32))
    laplacian = filter2d(image, np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32))
    return dx, dy, laplacian
