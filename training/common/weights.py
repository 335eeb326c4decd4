"""Coarser weights of a trained network: rounded to half precision or to eight bits, or pruned.

This is the one step of compression that changes what a network answers, and it is made before any export: all
files of a form hold the same weights, whatever the runtime, and `training.common.pack` only stores them
in fewer bytes.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from training.common.grid import is_matrix, to_int8_grid

WEIGHTS = ("fp32", "fp16", "int8")


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
