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
    BEAT_STEPS,
    CLASS_OF_PITCH,
    CLASSES,
    GRID_BITS,
    PROFILE,
    STYLES,
    by_cell,
    histograms,
    hit_grid,
    loudness_classes,
    profile_of,
    sixteenths,
    unit_features,
)

_METERS = ("4-4", "3-4", "5-4")


@dataclass(frozen=True)
class DrumPiece:
    """One recording: only notes of the kit, one track on the percussion channel."""

    name: str
    style: str
    drummer: str
    is_validation: bool
    beats_per_minute: float
    score: Score

    @property
    def notes(self) -> np.ndarray:
        """NOTE array of the hits."""
        return self.score.tracks[0].notes

    @property
    def in_four(self) -> bool:
        """Whether its bars have four quarters."""
        return self.score.meters[0].numerator == 4


def load_drums(data: Path) -> list[DrumPiece]:
    """The `beat` recordings counted in quarters whose first-named style is one of `STYLES`; the official
    split.
    """
    pieces = []
    with (data / "groove" / "info.csv").open() as file:
        for row in csv.DictReader(file):
            style = row["style"].split("/")[0]
            wanted = row["beat_type"] == "beat" and row["time_signature"] in _METERS and style in STYLES
            path = data / "groove" / row["midi_filename"]
            if not wanted or not path.is_file():
                continue
            score, _ = read_midi(path.read_bytes())
            notes = np.concatenate([t.notes for t in score.tracks])
            notes = notes[CLASS_OF_PITCH[notes["pitch"]] >= 0]
            if len(notes) < 32:
                continue
            notes = _on_the_beat(notes)
            bpm = float(row["bpm"])
            score = Score(
                tracks=(Track(name="Drums", channel=DRUM_CHANNEL).with_notes(notes),),
                tempos=(Tempo(0, round(60e6 / bpm)),),
                meters=(Meter(0, int(row["time_signature"][0]), 4),),
            )
            validation = row["split"] == "validation"
            pieces.append(DrumPiece(row["id"], style, row["drummer"], validation, bpm, score))
    return pieces


def _on_the_beat(notes: np.ndarray) -> np.ndarray:
    """The notes moved as a whole so that those near a beat lie on it in the median: in most recordings the
    click comes some 15 ms late, which is the equipment's and no style's.
    """
    onset = notes["onset_tick"].astype(np.int64)
    beside = (onset + 480) % 960 - 480
    moved = notes.copy()
    moved["onset_tick"] = np.maximum(onset - round(float(np.median(beside[np.abs(beside) <= 120]))), 0)
    return moved


@dataclass
class EncodedDrums:
    """Hits (units, 12, classes, 2), features and histograms by unit, (units, PROFILE) counts, of one
    recording.
    """

    hits: np.ndarray
    features: np.ndarray
    counts: np.ndarray
    style: int


def encode_drums(piece: DrumPiece) -> EncodedDrums:
    """What the network is told of a recording in its own style."""
    grid = beat_grid(piece.score)
    hits = hit_grid(piece.notes, grid)
    heard = sixteenths(hits[..., 0])
    features = unit_features(heard, grid, np.full(grid.units, piece.beats_per_minute))
    onset = piece.notes["onset_tick"].astype(np.int64)
    unit = np.clip(np.searchsorted(grid.unit_tick - 40, onset, "right") - 1, 0, grid.units - 1)
    counts = np.zeros((grid.units, PROFILE), np.float32)
    for i in range(grid.units):
        own = piece.notes[unit == i]
        if len(own):
            counts[i] = np.concatenate([h.ravel() for h in histograms(own, grid)])
    return EncodedDrums(hits, features, counts, STYLES.index(piece.style))


def named_profiles(pieces: list[DrumPiece]) -> np.ndarray:
    """The profile of each style, float32 (styles, PROFILE)."""
    return np.stack([mean_profile([p for p in pieces if p.style == style]) for style in STYLES])


def mean_profile(pieces: list[DrumPiece]) -> np.ndarray:
    """The profile of the mean of the normalised histograms of the recordings in four, float32 (PROFILE,)."""
    own = [histograms(p.notes, beat_grid(p.score)) for p in pieces if p.in_four]
    return profile_of([np.mean([h[k] / max(h[k].sum(), 1) for h in own], axis=0) for k in range(2)])


def _blurred(patterns: np.ndarray) -> np.ndarray:
    """Unit vectors for patterns (n, GRID_BITS): hits with their neighbours in time, and the rhythm of all
    drums.
    """
    hits = patterns.reshape(-1, BEAT_STEPS, len(CLASSES)).astype(np.float32)
    # A snare or kick weighs more than a cymbal: it is heard as the pattern's figure.
    hits = hits * np.array([1.3, 1.2, 0.8, 1, 1, 1, 1, 1, 0.8], np.float32)
    both = np.concatenate([hits, 1.5 * hits.max(axis=2, keepdims=True)], axis=2)
    near = both.copy()
    near[:, 1:] += 0.35 * both[:, :-1]
    near[:, :-1] += 0.35 * both[:, 1:]
    flat = near.reshape(len(near), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def make_codebook(encoded: list[EncodedDrums], size: int, candidates: int = 4000) -> np.ndarray:
    """Patterns that really occur, bool (size, GRID_BITS), the empty one first; styles weigh by the square
    root of their size. Greedy facility location (Nemhauser et al. 1978), as in `training.transfer.codebook`,
    by the
    distance of hits that are forgiven a twelfth of a beat.
    """
    counts = np.bincount([p.style for p in encoded], [len(p.hits) for p in encoded], minlength=len(STYLES))
    weight = np.concatenate([np.full(len(p.hits), 1 / np.sqrt(counts[p.style])) for p in encoded])
    patterns = np.concatenate([p.hits[..., 0].reshape(-1, GRID_BITS) > 0 for p in encoded])
    packed, inverse = np.unique(np.packbits(patterns, axis=1), axis=0, return_inverse=True)
    total = np.bincount(inverse.ravel(), weight)
    rows = np.unpackbits(packed, axis=1)[:, :GRID_BITS].astype(bool)
    print("patterns", len(rows), flush=True)
    blurred = _blurred(rows)
    total[~rows.any(axis=1)] = 0
    order = np.argsort(-total, kind="stable")[:candidates]
    # Rare patterns speak through the candidate that is nearest to them.
    near = np.concatenate(
        [(blurred[i : i + 2000] @ blurred[order].T).argmax(axis=1) for i in range(0, len(rows), 2000)]
    )
    share = np.bincount(near, total, minlength=len(order))
    likeness = blurred[order] @ blurred[order].T
    covered = np.zeros(len(order), np.float32)
    chosen: list[int] = []
    for _ in range(size - 1):
        gain = share @ np.maximum(likeness - covered[:, None], 0)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        covered = np.maximum(covered, likeness[:, best])
    return np.concatenate([np.zeros((1, GRID_BITS), bool), rows[order][chosen]])


def nearest_patterns(patterns: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Index of the nearest pattern for each (n, GRID_BITS): int64 (n,); the empty pattern is 0 and no other
    is.
    """
    book = _blurred(codebook[1:])
    parts = [
        (_blurred(patterns[i : i + 2000]) @ book.T).argmax(axis=1) + 1 for i in range(0, len(patterns), 2000)
    ]
    return np.where(patterns.any(axis=1), np.concatenate(parts), 0)


@dataclass
class Rows:
    """Recordings one after the other, one row a beat.

    `onsets` (n, GRID_BITS) bool as coded; `features` (n, FEATURES); `codes` (n,); `performance` (n,
    PERFORMANCE), NaN where nothing sounds; `loudness` (n, 4 * LIMBS), -1 where a limb rests; `summed` (n + 1,
    PROFILE) running
    sums of the histograms; `style` (pieces,); `start` (pieces + 1,) first row of each.
    """

    onsets: np.ndarray
    features: np.ndarray
    codes: np.ndarray
    performance: np.ndarray
    loudness: np.ndarray
    summed: np.ndarray
    style: np.ndarray
    start: np.ndarray

    def style_of(self, rows: np.ndarray) -> np.ndarray:
        """The style of the piece in which each row lies, (n,)."""
        return self.style[np.searchsorted(self.start, rows, "right") - 1]

    def windows(self, length: int) -> np.ndarray:
        """First rows of windows that hop by half of `length` and stay in a piece; a short piece gives one."""
        pairs = zip(self.start[:-1], self.start[1:], strict=True)
        return np.concatenate([np.arange(a, max(b - length, a) + 1, length // 2) for a, b in pairs])

    def rest(self, first: np.ndarray, length: int) -> np.ndarray:
        """Profiles (windows, PROFILE) of the recordings without the window; of all where little else is
        left.
        """
        piece = np.searchsorted(self.start, first, "right") - 1
        begin, end = self.start[piece], self.start[piece + 1]
        inside = self.summed[np.minimum(first + length, end)] - self.summed[first]
        whole = self.summed[end] - self.summed[begin]
        left = end - begin - (np.minimum(first + length, end) - first)
        counts = np.where((left >= 16)[:, None], whole - inside, whole)
        drums = 48 * len(CLASSES)
        return np.stack([profile_of((c[:drums], c[drums:])) for c in counts])


def make_rows(encoded: list[EncodedDrums], codebook: np.ndarray) -> Rows:
    """Rows for training: codes of the patterns, velocity and offset where pattern and recording agree."""
    hits = np.concatenate([p.hits for p in encoded])
    flat = hits[..., 0].reshape(len(hits), -1) > 0
    codes = nearest_patterns(flat, codebook)
    cells = by_cell(hits)
    played = np.where(cells[..., :1] > 0, cells, np.nan)
    # The offset counts where the pattern has the hit on the same step.
    same = np.where((codebook[codes] & flat).reshape(hits.shape[:3])[..., None], hits, 0)
    played[..., 1] = np.where(by_cell(same)[..., 0] > 0, by_cell(same)[..., 1], np.nan)
    counts = np.concatenate([p.counts for p in encoded]).astype(np.float64)
    return Rows(
        onsets=codebook[codes],
        features=np.concatenate([p.features for p in encoded]),
        codes=codes,
        performance=played.transpose(0, 3, 1, 2).reshape(len(hits), -1).astype(np.float32),
        loudness=loudness_classes(cells[..., 0]),
        summed=np.concatenate([np.zeros((1, PROFILE)), np.cumsum(counts, axis=0)]),
        style=np.array([p.style for p in encoded]),
        start=np.concatenate([[0], np.cumsum([len(p.hits) for p in encoded])]),
    )
