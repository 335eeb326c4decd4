"""The one line that a choir's soprano sings, from a melody as it is played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Distance from a beat, in beats, within which a note counts as struck on it.
_NEAR = 0.12
#: Shortest rest, in beats, that is sung as a rest.
_REST = 0.5


@dataclass(frozen=True)
class Line:
    """One voice: onset and end ticks and MIDI pitches, int64, shape (notes,); no two notes overlap."""

    onset: np.ndarray
    end: np.ndarray
    pitch: np.ndarray


def top_line(melody: np.ndarray, anchors: np.ndarray, beat: float, low: int, high: int) -> Line:
    """The melody's (a NOTE array's) highest line within `low`..`high` (MIDI pitches), sung legato.

    `anchors` are the ticks of beats and chords, ascending: what is played just beside one is sung on it.
    `beat` is the length of a beat in ticks. The line is moved by the octaves that bring most of it into the
    range, and single notes are moved where that does not suffice.
    """
    onset = melody["onset_tick"].astype(np.int64)
    end = _snap(onset + melody["duration_tick"], anchors, beat)
    onset = _snap(onset, anchors, beat)
    pitch = melody["pitch"].astype(np.int64)
    rows: list[tuple[int, int, int]] = []
    for i in np.lexsort((-pitch, onset)).tolist():
        start, stop, height = int(onset[i]), int(end[i]), int(pitch[i])
        # Lower notes that sound mostly below one that is held are no part of the line.
        if stop <= start or (rows and _hidden(rows[-1], start, stop, height)):
            continue
        rows.append((start, stop, height))
    if not rows:
        empty = np.zeros(0, np.int64)
        return Line(empty, empty, empty)
    onset, end, pitch = np.array(rows, np.int64).T
    following = np.append(onset[1:], end[-1])
    legato = (following <= end) | (following - end < _REST * beat)
    return Line(onset, np.where(legato, following, end), _fitted(pitch, end - onset, low, high))


def _hidden(held: tuple[int, int, int], start: int, stop: int, height: int) -> bool:
    under = min(held[1], stop) - start
    return held[0] == start or (height < held[2] and 2 * under > stop - start)


def _snap(ticks: np.ndarray, anchors: np.ndarray, beat: float) -> np.ndarray:
    """The ticks, those near an anchor moved onto it."""
    if not len(anchors):
        return ticks
    after = np.clip(np.searchsorted(anchors, ticks), 1, max(len(anchors) - 1, 1))
    after = np.minimum(after, len(anchors) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(ticks - anchors[before] <= anchors[after] - ticks, anchors[before], anchors[after])
    return np.where(np.abs(nearest - ticks) <= _NEAR * beat, nearest, ticks)


def _fitted(pitch: np.ndarray, length: np.ndarray, low: int, high: int) -> np.ndarray:
    """The pitches moved by octaves into `low`..`high`: all alike as far as that goes."""
    octaves = sorted(range(-10, 11), key=abs)
    inside = [(length * ((pitch + 12 * k >= low) & (pitch + 12 * k <= high))).sum() for k in octaves]
    pitch = pitch + 12 * octaves[int(np.argmax(inside))]
    pitch = np.where(pitch < low, pitch + -(-(low - pitch) // 12) * 12, pitch)
    return np.where(pitch > high, pitch - -(-(pitch - high) // 12) * 12, pitch)
