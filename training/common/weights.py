"""Coarser weights of a trained network: rounded to half precision or to eight bits, or pruned.

This is the one step of compression that changes what a network answers, and it is made before any export: all
files of a form hold the same weights, whatever the runtime, and `training.common.pack` only stores them
in fewer bytes.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

WEIGHTS = ("fp32", "fp16", "int8")
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


def matrices(network: nn.Module) -> list[Tensor]:
    """The parameters that make the size; biases and single rows stay as they are."""
    return [p for p in network.parameters() if is_matrix(p.shape)]


def round_weights(network: nn.Module, form: str) -> nn.Module:
    """A copy of `network` whose matrices hold only values that `form` (one of `WEIGHTS`) can store."""
    if form not in WEIGHTS:
        raise ValueError(f"weights {form} are unknown; use one of {', '.join(WEIGHTS)}")
    network = copy.deepcopy(network)
    with torch.no_grad():
        for matrix in matrices(network):
            if form == "fp16":
                matrix.copy_(matrix.half().float())
            elif form == "int8":
                matrix.copy_(torch.from_numpy(to_int8_grid(matrix.numpy())))
    return network


def prune(network: nn.Module, share: float) -> tuple[nn.Module, list[Tensor]]:
    """A copy whose `share` of smallest magnitudes of each matrix is 0, and for each matrix what is kept."""
    network = copy.deepcopy(network)
    kept = []
    with torch.no_grad():
        for matrix in matrices(network):
            size = matrix.abs().flatten()
            mask = torch.ones_like(size, dtype=torch.bool)
            mask[size.argsort()[: round(share * len(size))]] = False
            kept.append(mask.view_as(matrix))
            matrix.mul_(kept[-1])
    return network, kept


def apply_masks(network: nn.Module, kept: list[Tensor]) -> None:
    """Set to 0 again what was pruned; a fine-tuning calls it after each step."""
    with torch.no_grad():
        for matrix, mask in zip(matrices(network), kept, strict=True):
            matrix.mul_(mask)
