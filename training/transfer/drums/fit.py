"""Codebook and weights of the drum network, kept in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.transfer.drums.data import (
    DrumPiece,
    Rows,
    encode_drums,
    make_codebook,
    make_rows,
    named_profiles,
)
from training.transfer.drums.network import DrumNetwork, train_network

CODEBOOK = 512
HIDDEN = 128
DROPOUT = 0.35
EPOCHS = 12
RATE = 4e-3


@dataclass(frozen=True)
class Fitted:
    """The network, its patterns (CODEBOOK, GRID_BITS), profiles of the styles, and the rows of both parts."""

    network: DrumNetwork
    codebook: np.ndarray
    named: np.ndarray
    train: Rows
    validation: Rows


def fit(pieces: list[DrumPiece], run: Path, seed: int) -> Fitted:
    """Train, or take the weights of an earlier run where they are in `run`."""
    train, held = ([p for p in pieces if p.is_validation == validation] for validation in (False, True))
    encoded = [encode_drums(p) for p in train]
    codebook = make_codebook(encoded, CODEBOOK)
    rows, held_rows = make_rows(encoded, codebook), make_rows([encode_drums(p) for p in held], codebook)
    named = named_profiles(train)
    torch.manual_seed(seed)
    network = DrumNetwork(CODEBOOK, HIDDEN, DROPOUT)
    weights = run / "weights.pt"
    if weights.is_file():
        network.load_state_dict(torch.load(weights))
    else:
        run.mkdir(parents=True, exist_ok=True)
        train_network(network, rows, held_rows, named, EPOCHS, seed, RATE)
        torch.save(network.state_dict(), weights)
    return Fitted(network.eval(), codebook, named, rows, held_rows)
