"""Codebook and weights of the drum network, kept in the run folder."""

from __future__ import annotations

from pathlib import Path

from segue.transfer.kit import FEATURES, GRID_BITS, LOUDNESS, PERFORMANCE
from training.transfer.drums.data import (
    DrumPiece,
    encode_drums,
    hide_skeleton,
    make_codebook,
    make_sequences,
)
from training.transfer.network import Fitted, UnitNetwork, fit_network

CODEBOOK = 256
HIDDEN = 80
DROPOUT = 0.3


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
    rows, held = (make_sequences(part, codebook) for part in (train, validation))
    network = fit_network(
        new_network, run / "weights.pt", rows, held, minutes, epochs, seed, hide_skeleton, 4e-3
    )
    return Fitted(network, {"pattern": codebook}, rows, held)
