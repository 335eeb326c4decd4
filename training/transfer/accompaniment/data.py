"""Pieces as the rows that the accompaniment network is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.chords import chords_of_record
from segue.transfer.encoding import (
    FEATURES,
    GRID_BITS,
    STYLES,
    cell_lengths,
    cell_velocities,
    chords_of_steps,
    hand_patterns,
    join_hands,
    onset_grid,
    place_notes,
    source_features,
    unit_features,
)
from segue.transfer.grid import sixteenth_grid
from segue.transfer.patterns import nearest_patterns
from training.transfer.codebook import choose_patterns
from training.transfer.network import Sequences
from training.transfer.pieces import Piece

SOURCE_COLUMNS = slice(FEATURES - 6, FEATURES)


@dataclass
class EncodedPiece:
    """One piece before the codebook is known."""

    onsets: np.ndarray
    features: np.ndarray
    velocity: np.ndarray
    lengths: np.ndarray
    known: np.ndarray
    style: int


def encode_piece(piece: Piece) -> EncodedPiece:
    """Onset grid, features and performance of a piece."""
    grid = sixteenth_grid(piece.score)
    starts, chords = chords_of_record(piece.record)
    step_chord = chords_of_steps(grid, starts)
    notes = piece.accompaniment
    placed = place_notes(notes, grid, step_chord, chords)
    features = unit_features(
        grid, step_chord, chords, piece.melody, source_features(notes, grid), piece.style
    )
    velocity = cell_velocities(placed, grid)
    if not piece.has_velocity:
        velocity = np.full_like(velocity, np.nan)
    no_chord = features[:, FEATURES - 6 - 6 - 15] > 0
    return EncodedPiece(
        onset_grid(placed, grid),
        features.astype(np.float16),
        velocity.astype(np.float16),
        cell_lengths(placed, grid).astype(np.int8),
        ~no_chord,
        STYLES.index(piece.style),
    )


def make_codebooks(encoded: list[EncodedPiece], sizes: tuple[int, int]) -> list[np.ndarray]:
    """The codebook of each hand; every style weighs by the square root of its size."""
    counts = np.zeros(len(STYLES))
    for piece in encoded:
        counts[piece.style] += len(piece.onsets)
    weight = np.concatenate([np.full(len(p.onsets), 1 / np.sqrt(counts[p.style])) for p in encoded])
    hands = [hand_patterns(p.onsets) for p in encoded]
    return [
        choose_patterns(np.concatenate([h[i] for h in hands]), weight, size) for i, size in enumerate(sizes)
    ]


def make_sequences(encoded: list[EncodedPiece], codebooks: list[np.ndarray]) -> Sequences:
    """Rows for training. What the network is given of the unit before is the pattern, not the true notes."""
    start = np.concatenate([[0], np.cumsum([len(p.onsets) for p in encoded])])
    hands = [hand_patterns(p.onsets) for p in encoded]
    codes = np.stack(
        [nearest_patterns(np.concatenate([h[i] for h in hands]), book) for i, book in enumerate(codebooks)],
        axis=1,
    )
    coded = join_hands(codebooks[0][codes[:, 0]], codebooks[1][codes[:, 1]]).reshape(-1, GRID_BITS)
    known = np.concatenate([p.known for p in encoded])
    return Sequences(
        onsets=coded,
        features=np.concatenate([p.features for p in encoded]),
        codes=np.where(known[:, None], codes, -1),
        performance=np.concatenate([p.velocity for p in encoded]).astype(np.float32),
        classes=np.concatenate([p.lengths for p in encoded]).astype(np.int64),
        style=np.concatenate([np.full(len(p.onsets), p.style) for p in encoded]),
        start=start,
    )
