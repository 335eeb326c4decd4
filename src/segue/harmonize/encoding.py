"""From notes to what the model hears, beat by beat; and back from its windows to the piece.

Conventions
-----------
- A *beat grid* has `n + 1` ascending boundary ticks for `n` felt beats.
- `features` are float32, shape (beats, FEATURES). Before the model hears them they are rotated so that pitch
  class 0 is the tonic of the major scale that fits the notes best (its relative minor counts as the same
  scale). What the model says is rotated back, so transposing a piece transposes its chords and changes
  nothing else.
- Columns: melody in each quarter of the beat (4 x 12, sounding time as a share of the quarter beat), where
  its notes begin (4 x 12, 1 at the nearest quarter of a beat), lowest note of the accompaniment (12, share of
  the beat), accompaniment (12, share of its sounding time), height of the melody's notes that begin in the
  beat (mean distance from the piece's mean, in octaves) and how many they are (in fours, no more than 1),
  place in the bar (downbeat, middle of the bar, place known), and whether the piece has a melody and an
  accompaniment at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue import windows
from segue.beats import Grid
from segue.ingest.key import KEY_PROFILES

MELODY = slice(0, 48)
ONSETS = slice(48, 96)
BASS = slice(96, 108)
OTHERS = slice(108, 120)
HEIGHT = slice(120, 122)
PLACE = slice(122, 125)
PRESENCE = slice(125, 127)
FEATURES = 127

#: Beats that the model sees at once, and beats at each inner edge of a window whose answer is not used.
WINDOW = 256
MARGIN = 32

#: Slots a beat in which the melody is told apart and the lowest note is looked for.
SLOTS = 4


def chroma_by_beat(notes: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """Sounding ticks of every pitch class within every interval, float64, shape (intervals, 12).

    `boundaries` are ascending ticks, shape (intervals + 1,); notes count as far as they reach into them.
    """
    n = len(boundaries) - 1
    note, cell = _note_cells(notes, boundaries)
    onset = notes["onset_tick"][note].astype(np.float64)
    begin = np.maximum(onset, boundaries[cell])
    end = np.minimum(onset + notes["duration_tick"][note], boundaries[cell + 1])
    index = cell * 12 + notes["pitch"][note] % 12
    return np.bincount(index, np.maximum(end - begin, 0), n * 12).reshape(n, 12)


def _note_cells(notes: np.ndarray, boundaries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the note and of the interval for every pair of the two that overlap."""
    n = len(boundaries) - 1
    onset = notes["onset_tick"].astype(np.int64)
    first = np.searchsorted(boundaries, onset, "right") - 1
    last = np.searchsorted(boundaries, onset + notes["duration_tick"], "left")
    first, last = np.clip(first, 0, n), np.clip(last, 0, n)
    return expand(first, last)


def expand(first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the range and the number for every number in the ranges from `first` up to `stop` (n,)."""
    count = np.maximum(stop - first, 0)
    index = np.repeat(np.arange(len(first)), count)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count) + first[index]


def note_chroma(melody: np.ndarray, others: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """How much each pitch class sounds in each beat, float64, shape (beats, 12), from two NOTE arrays.

    The melody counts as a share of the beat, the rest as shares of its own sound, so that a thick
    accompaniment does not drown the melody. `ticks` (beats + 1,) are the boundaries of the beats.
    """
    own = chroma_by_beat(melody, ticks) / np.maximum(np.diff(ticks), 1)[:, None]
    rest = chroma_by_beat(others, ticks)
    return np.minimum(own, 1) + rest / np.maximum(rest.sum(axis=1, keepdims=True), 1e-9)


def subdivide(boundaries: np.ndarray, parts: int) -> np.ndarray:
    """Boundaries with every interval cut into equal parts, float64, shape (intervals * parts + 1,)."""
    share = np.arange(parts) / parts
    inner = boundaries[:-1, None] + np.diff(boundaries)[:, None] * share
    return np.append(inner.ravel(), boundaries[-1])


def bass_by_beat(notes: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """Share of every beat in which a pitch class is the lowest sounding one, shape (beats, 12)."""
    n = len(boundaries) - 1
    note, slot = _note_cells(notes, subdivide(boundaries, SLOTS))
    lowest = np.full(n * SLOTS, 128, np.int64)
    np.minimum.at(lowest, slot, notes["pitch"][note].astype(np.int64))
    sounding = np.flatnonzero(lowest < 128)
    index = sounding // SLOTS * 12 + lowest[sounding] % 12
    return np.bincount(index, minlength=n * 12).reshape(n, 12) / SLOTS


@dataclass(frozen=True)
class Melody:
    """What is heard of a melody: the MELODY and ONSETS (beats, 48) and HEIGHT (beats, 2) columns."""

    sounding: np.ndarray
    onsets: np.ndarray
    height: np.ndarray


def melody_columns(notes: np.ndarray, boundaries: np.ndarray) -> Melody:
    """The columns of a melody, float32; notes that begin outside the boundaries have no onset."""
    beats = len(boundaries) - 1
    slots = subdivide(boundaries, SLOTS)
    chroma = chroma_by_beat(notes, slots) / np.maximum(np.diff(slots), 1)[:, None]
    # The nearest slot: a note a little early belongs to the next one.
    middles = (slots[:-1] + slots[1:]) / 2
    slot = np.searchsorted(middles, notes["onset_tick"], "left")
    inside = (notes["onset_tick"] >= boundaries[0] - (slots[1] - slots[0]) / 2) & (slot < beats * SLOTS)
    slot, pitch = slot[inside], notes["pitch"][inside].astype(np.int64)
    onsets = np.zeros((beats * SLOTS, 12), np.float32)
    onsets[slot, pitch % 12] = 1
    count = np.bincount(slot // SLOTS, minlength=beats)
    mean = pitch.mean() if len(pitch) else 0.0
    apart = np.bincount(slot // SLOTS, pitch - mean, beats) / np.maximum(count, 1) / 12
    return Melody(
        np.minimum(chroma, 1).reshape(beats, -1).astype(np.float32),
        onsets.reshape(beats, -1),
        np.stack([apart, np.minimum(count, 4) / 4], axis=1).astype(np.float32),
    )


def accompaniment_columns(notes: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """The BASS and OTHERS columns, float32, shape (beats, 24)."""
    chroma = chroma_by_beat(notes, boundaries)
    chroma /= np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9)
    return np.concatenate([bass_by_beat(notes, boundaries), chroma], axis=1).astype(np.float32)


def join_columns(melody: Melody | None, accompaniment: np.ndarray | None, place: np.ndarray) -> np.ndarray:
    """Features, float32, shape (beats, FEATURES), from their groups of columns; None: there is none."""
    features = np.zeros((len(place), FEATURES), np.float32)
    features[:, PLACE] = place
    if melody is not None:
        features[:, MELODY], features[:, ONSETS] = melody.sounding, melody.onsets
        features[:, HEIGHT] = melody.height
        features[:, PRESENCE.start] = 1
    if accompaniment is not None:
        features[:, BASS.start : OTHERS.stop] = accompaniment
        features[:, PRESENCE.start + 1] = 1
    return features


def encode(melody: np.ndarray, accompaniment: np.ndarray, grid: Grid) -> np.ndarray:
    """Features, float32, shape (beats, FEATURES), untransposed, from the two parts' NOTE arrays."""
    return join_columns(
        melody_columns(melody, grid.ticks) if len(melody) else None,
        accompaniment_columns(accompaniment, grid.ticks) if len(accompaniment) else None,
        grid.place,
    )


def scale_fit(features: np.ndarray) -> np.ndarray:
    """How well each of the 12 diatonic scales fits the notes, shape (12,): correlation with key profiles.

    Entry k is the better one of k major and its relative minor.
    """
    melody = features[:, MELODY].reshape(-1, SLOTS, 12).sum(axis=(0, 1), dtype=np.float64) / SLOTS
    chroma = melody + features[:, OTHERS].sum(axis=0, dtype=np.float64)
    if not chroma.any():
        return np.zeros(12)
    rotated = np.stack([np.roll(chroma, -k) for k in range(12)])
    major = _correlation(rotated, KEY_PROFILES[0])
    minor = np.roll(_correlation(rotated, KEY_PROFILES[12]), -9)
    return np.maximum(major, minor)


def _correlation(rows: np.ndarray, profile: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    profile = profile - profile.mean()
    norm = np.linalg.norm(rows, axis=1) * np.linalg.norm(profile)
    return rows @ profile / np.maximum(norm, 1e-12)


def scale_of(features: np.ndarray) -> int:
    """The scale that fits best, 0..11: the pitch class that becomes 0 before the model hears the piece."""
    return int(np.argmax(np.round(scale_fit(features), 9)))


def rotate_features(features: np.ndarray, down: int) -> np.ndarray:
    """The features of the piece transposed `down` semitones down."""
    rotated = features.copy()
    chroma = features[:, : OTHERS.stop].reshape(len(features), -1, 12)
    rotated[:, : OTHERS.stop] = np.roll(chroma, -down, axis=2).reshape(len(features), -1)
    return rotated


def rotate_classes(values: np.ndarray, up: int) -> np.ndarray:
    """Values of majmin classes or keys, shape (..., 24 or 25), with roots moved `up` semitones up."""
    rotated = values.copy()
    rotated[..., :12] = np.roll(values[..., :12], up, axis=-1)
    rotated[..., 12:24] = np.roll(values[..., 12:24], up, axis=-1)
    return rotated


def cut_windows(features: np.ndarray) -> np.ndarray:
    """The windows of a piece, float32, shape (windows, WINDOW, FEATURES); zeros beyond its end."""
    return windows.split_windows(features, WINDOW, MARGIN)


def join_windows(outputs: np.ndarray, beats: int) -> np.ndarray:
    """Outputs by beat, shape (beats, ...): each beat is taken from the window in which it is inner."""
    return windows.join_windows(outputs, beats, MARGIN)
