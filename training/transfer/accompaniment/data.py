"""Pieces as the rows that the accompaniment network and the style encoder are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.chords import chords_of_record
from segue.transfer.encoding import (
    CHORD_AT,
    GRID_BITS,
    STYLE_SIZE,
    cell_lengths,
    cell_velocities,
    chords_of_steps,
    hand_patterns,
    join_hands,
    keys_of_chords,
    onset_grid,
    place_notes,
    source_features,
    unit_features,
)
from segue.transfer.grid import PITCHED_STEPS, pitched_grid
from segue.transfer.patterns import nearest_patterns
from segue.transfer.style import style_rows
from training.transfer.codebook import choose_patterns
from training.transfer.pieces import Piece

#: The corpora, in the order in which they are numbered.
STYLES = ("pop", "hymn", "chorale", "lied", "quartet")


@dataclass(frozen=True)
class EncodedPiece:
    """One piece: onset grid, features without a style, velocities and lengths by cell, whether a chord is
    known, what the style encoder hears, and the number of its corpus. One row a unit.
    """

    onsets: np.ndarray
    features: np.ndarray
    velocity: np.ndarray
    lengths: np.ndarray
    known: np.ndarray
    rows: np.ndarray
    style: int


@dataclass(frozen=True)
class Rows:
    """Pieces one after the other. `onsets` (n, bits) bool as coded; `features` (n, F); `codes` (n, 2), -1
    where there is no chord; `velocity` (n, C), NaN where nothing is known; `lengths` (n, C), -1 where there
    is no note; `heard` (n, ROWS) for the encoder; `style` (n,); `start` (pieces + 1,).
    """

    onsets: np.ndarray
    features: np.ndarray
    codes: np.ndarray
    velocity: np.ndarray
    lengths: np.ndarray
    heard: np.ndarray
    style: np.ndarray
    start: np.ndarray


def encode_piece(piece: Piece) -> EncodedPiece:
    """A piece with its own accompaniment as the source."""
    grid = pitched_grid(piece.score)
    starts, chords = chords_of_record(piece.record)
    keys = keys_of_chords(starts, piece.record.get("keys") or [])
    step_chord = chords_of_steps(grid, starts)
    notes = piece.accompaniment
    placed = place_notes(notes, grid, step_chord, chords)
    source = source_features(notes, grid)
    features = unit_features(grid, step_chord, chords, keys, piece.melody, source, np.zeros(STYLE_SIZE))
    velocity = cell_velocities(placed, grid)
    if not piece.has_velocity:
        velocity = np.full_like(velocity, np.nan)
    onsets, lengths = onset_grid(placed, grid), cell_lengths(placed, grid)
    return EncodedPiece(
        onsets,
        features.astype(np.float16),
        velocity.astype(np.float16),
        lengths.astype(np.int8),
        features[:, CHORD_AT + 36] == 0,
        style_rows(onsets, lengths, grid).astype(np.float16),
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
        choose_patterns(np.concatenate([h[i] for h in hands]), weight, size, steps=PITCHED_STEPS)
        for i, size in enumerate(sizes)
    ]


def make_rows(encoded: list[EncodedPiece], codebooks: list[np.ndarray]) -> Rows:
    """Rows for training. What the network is given of the unit before is the pattern, not the true notes."""
    hands = [hand_patterns(p.onsets) for p in encoded]
    codes = np.stack(
        [
            nearest_patterns(np.concatenate([h[i] for h in hands]), book, PITCHED_STEPS)
            for i, book in enumerate(codebooks)
        ],
        axis=1,
    )
    known = np.concatenate([p.known for p in encoded])
    return Rows(
        onsets=join_hands(codebooks[0][codes[:, 0]], codebooks[1][codes[:, 1]]).reshape(-1, GRID_BITS),
        features=np.concatenate([p.features for p in encoded]),
        codes=np.where(known[:, None], codes, -1),
        velocity=np.concatenate([p.velocity for p in encoded]).astype(np.float32),
        lengths=np.concatenate([p.lengths for p in encoded]).astype(np.int64),
        heard=np.concatenate([p.rows for p in encoded]),
        style=np.concatenate([np.full(len(p.onsets), p.style) for p in encoded]),
        start=np.concatenate([[0], np.cumsum([len(p.onsets) for p in encoded])]),
    )
