"""Codebooks and weights of the accompaniment network, kept in the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segue.transfer.encoding import CELLS, FEATURES, GRID_BITS, LENGTHS
from training.transfer.accompaniment.data import (
    SOURCE_COLUMNS,
    encode_piece,
    make_codebooks,
    make_sequences,
)
from training.transfer.network import Fitted, UnitNetwork, fit_network
from training.transfer.pieces import Piece

HANDS = ("low", "high")
CODEBOOKS = (256, 256)
HIDDEN = 112
DROPOUT = 0.05


def new_network() -> UnitNetwork:
    """The architecture."""
    return UnitNetwork(GRID_BITS, FEATURES, list(CODEBOOKS), CELLS, HIDDEN, CELLS * len(LENGTHS), DROPOUT)


def _hide_source(features: np.ndarray, rng: np.random.Generator) -> None:
    """One window in six knows nothing of a source: the stage also writes accompaniments for bare melodies."""
    hidden = rng.random(len(features)) < 1 / 6
    features[hidden, :, SOURCE_COLUMNS] = 0


def fit(pieces: list[Piece], run: Path, seed: int, minutes: float, epochs: int) -> Fitted:
    """Train, or take the weights of an earlier run where they are in `run`."""
    encoded = [encode_piece(p) for p in pieces]
    train = [e for e, p in zip(encoded, pieces, strict=True) if not p.is_validation]
    validation = [e for e, p in zip(encoded, pieces, strict=True) if p.is_validation]
    path = run / "codebooks.npz"
    run.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        with np.load(path) as stored:
            codebooks = {hand: stored[hand] for hand in HANDS}
    else:
        codebooks = dict(zip(HANDS, make_codebooks(train, CODEBOOKS), strict=True))
        np.savez_compressed(path, **codebooks)
    rows, held = (make_sequences(part, list(codebooks.values())) for part in (train, validation))
    network = fit_network(
        new_network, run / "weights.pt", rows, held, minutes, epochs, seed, _hide_source, 6e-3
    )
    return Fitted(network, codebooks, rows, held)
