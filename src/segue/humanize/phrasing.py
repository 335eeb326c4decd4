"""Pitched notes as a sequence, as the dynamics network sees them.

Conventions
-----------
- Notes are in the order of a track: by onset, then pitch. Notes whose onsets follow each other by less than
  `CHORD_SECONDS` are one *chord*; its onset is the mean of theirs.
- Velocities are in [0, 1] (MIDI velocity / 127); timing deviations are milliseconds, positive when late.
- Intervals between onsets and durations enter rounded to half octaves of time, so that what is asked of the
  network (how a player bends them) cannot be read off its input.
"""

from __future__ import annotations

import numpy as np

from segue import windows

#: Notes in one window of the network, and how many at either end only give context where a neighbour exists.
WINDOW_NOTES = 128
MARGIN_NOTES = 16
CHORD_SECONDS = 0.035
FEATURES = 20
#: Largest timing deviation that the network answers, in milliseconds.
MAX_TIMING_MS = 50.0


def chord_index(onset_sec: np.ndarray) -> np.ndarray:
    """Index of each note's chord, int64, shape (n,), from sorted onsets in seconds."""
    if not len(onset_sec):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.cumsum(np.diff(onset_sec) > CHORD_SECONDS)])


def note_features(
    onset_sec: np.ndarray,
    duration_sec: np.ndarray,
    pitch: np.ndarray,
    beat: np.ndarray | None = None,
    bar: np.ndarray | None = None,
) -> np.ndarray:
    """Network inputs for a track, float32, shape (n, FEATURES).

    Onsets (sorted) and durations in seconds, MIDI pitch; `beat` and `bar` are the places of the onsets
    within the felt beat and the bar, in [0, 1), or None where the piece does not tell.
    """
    count = len(onset_sec)
    out = np.zeros((count, FEATURES), np.float32)
    if not count:
        return out
    pitch = pitch.astype(float)
    chord = chord_index(onset_sec)
    size = np.bincount(chord)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    at = np.add.reduceat(onset_sec, start) / size
    top, bottom = np.maximum.reduceat(pitch, start), np.minimum.reduceat(pitch, start)
    gap = _octaves(np.diff(at))
    edge = np.zeros(1)
    before, after = np.concatenate([edge, gap])[chord], np.concatenate([gap, edge])[chord]
    leap = np.diff(top, prepend=top[:1])[chord] / 12
    density = np.searchsorted(onset_sec, onset_sec + 1) - np.searchsorted(onset_sec, onset_sec - 1)
    columns = [
        np.ones(count),
        (pitch - 60) / 24,
        (pitch - _local_mean(pitch)) / 12,
        np.log2(size[chord]) / 2,
        pitch == top[chord],
        pitch == bottom[chord],
        (pitch - bottom[chord]) / 12,
        before,
        after,
        _octaves(duration_sec),
        np.log2(density) / 3 - 1,
        leap,
        np.append(leap[1:], 0),
    ]
    out[:, : len(columns)] = np.stack(columns, axis=1)
    if beat is not None:
        beat = np.round(beat * 12) / 12
        out[:, 13] = 1
        out[:, 14] = np.sin(2 * np.pi * beat)
        out[:, 15] = np.cos(2 * np.pi * beat)
        out[:, 16] = beat % 1 == 0
    if bar is not None:
        bar = np.round(bar * 48) / 48
        out[:, 17] = np.sin(2 * np.pi * bar)
        out[:, 18] = np.cos(2 * np.pi * bar)
        out[:, 19] = bar % 1 == 0
    return out


def _octaves(seconds: np.ndarray) -> np.ndarray:
    """Time as octaves around a quarter of a second, in halves, clipped to four either way; scaled by 1/4."""
    octaves = np.round(2 * np.log2(np.maximum(seconds, 1e-3) / 0.25)) / 2
    return np.clip(octaves, -4, 4) / 4


def _local_mean(values: np.ndarray, reach: int = 16) -> np.ndarray:
    """Mean of the values (n,) up to `reach` places to either side."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    low, high = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def split_windows(features: np.ndarray) -> np.ndarray:
    """Features (n, F) as windows (windows, WINDOW_NOTES, F), the last filled up with zeros."""
    return windows.split_windows(features, WINDOW_NOTES, MARGIN_NOTES)


def join_windows(answers: np.ndarray, count: int) -> np.ndarray:
    """Answers (windows, WINDOW_NOTES) as one row (n,): each note from the window where it lies deepest."""
    return windows.join_windows(answers, count, MARGIN_NOTES)
