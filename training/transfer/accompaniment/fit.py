"""Codebooks and weights of the accompaniment network, kept in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from segue.transfer.encoding import CELLS, FEATURES, GRID_BITS, LENGTHS
from training.transfer.accompaniment.data import (
    SOURCE_COLUMNS,
    encode_piece,
    make_codebooks,
    make_sequences,
)
from training.transfer.network import Sequences, UnitNetwork, train_network
from training.transfer.pieces import Piece

CODEBOOKS = (256, 256)
HIDDEN = 112
DROPOUT = 0.05


@dataclass
class Fitted:
    """A trained network with its codebooks and the validation rows."""

    network: UnitNetwork
    codebooks: list[np.ndarray]
    train: Sequences
    validation: Sequences


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
            codebooks = [stored["low"], stored["high"]]
    else:
        codebooks = make_codebooks(train, CODEBOOKS)
        np.savez_compressed(path, low=codebooks[0], high=codebooks[1])
    fitted = Fitted(
        new_network(), codebooks, make_sequences(train, codebooks), make_sequences(validation, codebooks)
    )
    weights = run / "weights.pt"
    if weights.is_file():
        fitted.network.load_state_dict(torch.load(weights))
        return fitted
    torch.manual_seed(seed)
    fitted.network = new_network()
    print("parameters", sum(p.numel() for p in fitted.network.parameters()), flush=True)
    train_network(fitted.network, fitted.train, fitted.validation, minutes, epochs, seed, _hide_source, 6e-3)
    torch.save(fitted.network.state_dict(), weights)
    return fitted
