"""Codebook and weights of the drum network, kept in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from segue.transfer.kit import FEATURES, GRID_BITS, LOUDNESS, PERFORMANCE
from training.transfer.drums.data import (
    DrumPiece,
    encode_drums,
    hide_skeleton,
    make_codebook,
    make_sequences,
)
from training.transfer.network import Sequences, UnitNetwork, train_network

CODEBOOK = 256
HIDDEN = 80
DROPOUT = 0.3


@dataclass
class Fitted:
    """A trained network with its codebook and the validation rows."""

    network: UnitNetwork
    codebook: np.ndarray
    train: Sequences
    validation: Sequences


def new_network() -> UnitNetwork:
    """The architecture."""
    return UnitNetwork(GRID_BITS, FEATURES, [CODEBOOK], PERFORMANCE, HIDDEN, LOUDNESS, DROPOUT)


def fit(pieces: list[DrumPiece], run: Path, seed: int, minutes: float, epochs: int) -> Fitted:
    """Train, or take the weights of an earlier run where they are in `run`."""
    encoded = [encode_drums(p) for p in pieces]
    train = [e for e, p in zip(encoded, pieces, strict=True) if not p.is_validation]
    validation = [e for e, p in zip(encoded, pieces, strict=True) if p.is_validation]
    run.mkdir(parents=True, exist_ok=True)
    codebook = make_codebook(train, CODEBOOK)
    torch.manual_seed(seed)
    fitted = Fitted(
        new_network(), codebook, make_sequences(train, codebook), make_sequences(validation, codebook)
    )
    weights = run / "weights.pt"
    if weights.is_file():
        fitted.network.load_state_dict(torch.load(weights))
        return fitted
    print("parameters", sum(p.numel() for p in fitted.network.parameters()), flush=True)
    train_network(fitted.network, fitted.train, fitted.validation, minutes, epochs, seed, hide_skeleton, 4e-3)
    torch.save(fitted.network.state_dict(), weights)
    return fitted
