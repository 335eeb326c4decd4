"""The Groove MIDI Dataset as rows that the drum network is trained on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.midi import read_midi
from segue.score import DRUM_CHANNEL, Meter, Score, Tempo, Track
from segue.transfer.grid import beat_grid
from segue.transfer.kit import (
    CLASS_OF_PITCH,
    GRID_BITS,
    SKELETON_COLUMNS,
    STYLES,
    hit_grid,
    loudness_classes,
    unit_features,
)
from segue.transfer.patterns import nearest_patterns
from training.transfer.codebook import choose_patterns
from training.transfer.network import Sequences


@dataclass(frozen=True)
class DrumPiece:
    """One recording: only notes of the kit, one track on the percussion channel, 4/4."""

    name: str
    style: str
    is_validation: bool
    beats_per_minute: float
    score: Score

    @property
    def notes(self) -> np.ndarray:
        """NOTE array of the hits."""
        return self.score.tracks[0].notes


def load_drums(data: Path) -> list[DrumPiece]:
    """The `beat` recordings in 4/4 whose first-named style is one of `STYLES`; the official split."""
    pieces = []
    with (data / "groove" / "info.csv").open() as file:
        for row in csv.DictReader(file):
            style = row["style"].split("/")[0]
            wanted = row["beat_type"] == "beat" and row["time_signature"] == "4-4" and style in STYLES
            path = data / "groove" / row["midi_filename"]
            if not wanted or not path.is_file():
                continue
            score, _ = read_midi(path.read_bytes())
            notes = np.concatenate([t.notes for t in score.tracks])
            notes = notes[CLASS_OF_PITCH[notes["pitch"]] >= 0]
            if len(notes) < 32:
                continue
            bpm = float(row["bpm"])
            score = Score(
                tracks=(Track(name="Drums", channel=DRUM_CHANNEL).with_notes(notes),),
                tempos=(Tempo(0, round(60e6 / bpm)),),
                meters=(Meter(0, 4, 4),),
            )
            pieces.append(DrumPiece(row["id"], style, row["split"] == "validation", bpm, score))
    return pieces


@dataclass
class EncodedDrums:
    """Hits (units, 4, classes, 2) and features of one recording."""

    hits: np.ndarray
    features: np.ndarray
    style: int


def encode_drums(piece: DrumPiece) -> EncodedDrums:
    """Hit grid and features of a recording in its own style."""
    grid = beat_grid(piece.score)
    hits = hit_grid(piece.notes, grid)
    features = unit_features(hits[..., 0], grid, piece.style, np.full(grid.units, piece.beats_per_minute))
    return EncodedDrums(hits, features, STYLES.index(piece.style))


def make_codebook(encoded: list[EncodedDrums], size: int) -> np.ndarray:
    """The patterns; every style weighs by the square root of its size."""
    counts = np.zeros(len(STYLES))
    for piece in encoded:
        counts[piece.style] += len(piece.hits)
    weight = np.concatenate([np.full(len(p.hits), 1 / np.sqrt(counts[p.style])) for p in encoded])
    patterns = np.concatenate([p.hits[..., 0].reshape(-1, GRID_BITS) > 0 for p in encoded])
    return choose_patterns(patterns, weight, size)


def make_sequences(encoded: list[EncodedDrums], codebook: np.ndarray) -> Sequences:
    """Rows for training: codes of the patterns, velocity and offset where there is a hit."""
    hits = np.concatenate([p.hits for p in encoded]).reshape(-1, GRID_BITS, 2)
    struck = hits[..., 0] > 0
    codes = nearest_patterns(struck, codebook)
    played = np.where(struck[..., None], hits, np.nan).transpose(0, 2, 1).reshape(len(hits), -1)
    return Sequences(
        onsets=codebook[codes],
        features=np.concatenate([p.features for p in encoded]),
        codes=codes[:, None],
        performance=played.astype(np.float32),
        classes=loudness_classes(np.concatenate([p.hits[..., 0] for p in encoded])),
        style=np.concatenate([np.full(len(p.hits), p.style) for p in encoded]),
        start=np.concatenate([[0], np.cumsum([len(p.hits) for p in encoded])]),
    )


def hide_skeleton(features: np.ndarray, rng: np.random.Generator) -> None:
    """Half of the windows are not told the skeleton, so that the stage can say how closely it is followed."""
    hidden = rng.random(len(features)) < 0.5
    features[hidden, :, SKELETON_COLUMNS] = 0
