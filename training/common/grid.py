"""The eight-bit grid of weights: whole numbers from -127 to 127 times a scale for each row."""

from __future__ import annotations

import numpy as np

#: Largest whole number of an eight-bit weight; -128 is not used, so that the grid is symmetric.
LIMIT = 127
#: Bits of a scale's mantissa: a whole number of seven bits times a scale is then exact in float32.
_SCALE_BITS = 12


def int8_scale(largest: np.ndarray) -> np.ndarray:
    """The step of the eight-bit grid of rows whose largest magnitude is `largest`; 1 for a row of zeros."""
    mantissa, exponent = np.frexp(np.where(largest > 0, largest / LIMIT, 1.0))
    mantissa = np.ceil(mantissa * 2**_SCALE_BITS) / 2**_SCALE_BITS
    return np.where(largest > 0, np.ldexp(mantissa, exponent), 1.0).astype(np.float32)


def to_int8_grid(values: np.ndarray) -> np.ndarray:
    """`values` (rows, ...) rounded to whole multiples of their row's scale; off by half a scale at most."""
    rows = values.reshape(len(values), -1)
    scale = int8_scale(np.abs(rows).max(1))[:, None]
    return (np.rint(rows / scale) * scale).reshape(values.shape).astype(np.float32)


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether an array has two axes or more, those of length 1 not counted."""
    return sum(length > 1 for length in shape) > 1
