"""Codebooks and weights of the accompaniment network, kept in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.transfer.accompaniment.data import EncodedPiece, Rows, encode_piece, make_codebooks, make_rows
from training.transfer.accompaniment.network import Both, train
from training.transfer.pieces import Piece

HANDS = ("low", "high")
CODEBOOKS = (512, 512)
HIDDEN = 224
DROPOUT = 0.05
LEARNING_RATE = 4e-3


@dataclass(frozen=True)
class Fitted:
    """Trained networks with their codebooks, bool (size, bits) by hand, and both parts of the data."""

    both: Both
    codebooks: dict[str, np.ndarray]
    encoded: list[EncodedPiece]
    train: Rows
    validation: Rows


def fit(pieces: list[Piece], run: Path, seed: int, epochs: int) -> Fitted:
    """Train, or take the weights of an earlier run where they are in `run`."""
    encoded = [encode_piece(p) for p in pieces]
    own = [e for e, p in zip(encoded, pieces, strict=True) if not p.is_validation]
    held = [e for e, p in zip(encoded, pieces, strict=True) if p.is_validation]
    path = run / "codebooks.npz"
    run.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        with np.load(path) as stored:
            codebooks = {hand: stored[hand] for hand in HANDS}
    else:
        codebooks = dict(zip(HANDS, make_codebooks(own, CODEBOOKS), strict=True))
        np.savez_compressed(path, **codebooks)
    rows, held_rows = (make_rows(part, list(codebooks.values())) for part in (own, held))
    torch.manual_seed(seed)
    both = Both(CODEBOOKS, HIDDEN, DROPOUT)
    weights = run / "weights.pt"
    if weights.is_file():
        both.load_state_dict(torch.load(weights))
    else:
        print("parameters", sum(p.numel() for p in both.parameters()), flush=True)
        train(both, rows, held_rows, run, epochs, seed, LEARNING_RATE)
        torch.save(both.state_dict(), weights)
    return Fitted(both.eval(), codebooks, encoded, rows, held_rows)
