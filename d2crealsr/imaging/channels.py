"""Arithmetic along the last, short axis of an image: its channels, or x and y.

NumPy works along the last axis first, and is up to twenty times slower where that has two or three elements than where
it works on whole planes. The functions give the same numbers, to the last bit, as the expressions in their examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.types import Array

    Float32 = NDArray[np.float32]

__all__ = ["add_to_channels", "all_of", "largest_of", "multiply_channels", "plane_times", "times_each"]


def plane_times(plane: Float32, factors: NDArray[np.float32]) -> Float32:
    """A plane (...) times a factor for each channel (C,), (..., C).

    Examples
    --------
    >>> plane, factors = np.float32([[0.5, 2]]), np.float32([1, 3])
    >>> bool((plane_times(plane, factors) == plane[..., None] * factors).all())
    True
    """
    product = np.empty((*plane.shape, len(factors)), np.float32)
    for channel, factor in enumerate(factors):
        np.multiply(plane, factor, out=product[..., channel])
    return product


def times_each(image: Array, plane: Array) -> Array:
    """Every channel of (..., C) times a plane (...), in the order of memory of an image.

    Examples
    --------
    >>> image, plane = np.array([[0.1, 0.3], [0.5, 0.4]]), np.array([2.0, 3.0])
    >>> bool((times_each(image, plane) == image * plane[..., None]).all())
    True
    """
    product = np.empty(image.shape)
    for channel in range(image.shape[-1]):
        np.multiply(image[..., channel], plane, out=product[..., channel])
    return product


def multiply_channels(image: Float32, factors: NDArray[np.float32]) -> None:
    """``image *= factors``, a factor for each channel of (..., C)."""
    for channel, factor in enumerate(factors):
        image[..., channel] *= factor


def add_to_channels(image: Float32, terms: NDArray[np.float32]) -> None:
    """``image += terms``, a term for each channel of (..., C)."""
    for channel, term in enumerate(terms):
        image[..., channel] += term


def largest_of(image: Float32) -> Float32:
    """The largest channel of each pixel, (..., C) to (...).

    Examples
    --------
    >>> image = np.float32([[0.1, 0.3, 0.2], [0.5, 0.4, 0.6]])
    >>> bool((largest_of(image) == image.max(axis=-1)).all())
    True
    """
    largest: Float32 = image[..., 0].copy()
    for channel in range(1, image.shape[-1]):
        np.maximum(largest, image[..., channel], out=largest)
    return largest


def all_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether all channels of each pixel are true, (..., C) to (...).

    Examples
    --------
    >>> mask = np.array([[True, True], [True, False]])
    >>> bool((all_of(mask) == mask.all(axis=-1)).all())
    True
    """
    every: NDArray[np.bool_] = np.logical_and.reduce([mask[..., channel] for channel in range(mask.shape[-1])])
    return every
