"""Whether a chord goes with the notes that sound.

A melody note *counts* in a chord when a beat of it sounds there, or half a beat of a note that begins on a
beat or sounds before the chord. A chord is out of the question

- where a note that counts lies a minor ninth above one of its tones and is no chord tone itself, or is the
  root above a major seventh (the avoid notes of Nettles and Graf, "The Chord Scale Theory and Jazz Harmony",
  1997);
- where less than two thirds of the beats of notes that count are its tones, and less than of the chord
  before;
- where the consonance of all notes (PCS of Yeh et al. 2021, in [-1, 1]) falls by more than 0.2.

Notes that accompany the melody already stay as they are: above them a chord is only put where its bass is
their lowest and all that sounds fits it as well as before.
"""

from __future__ import annotations

import numpy as np

from segue.beats import Grid
from segue.chords import Chord, pitch_class_mask
from segue.metrics.harmony import consonance_with

_LEAST_TONES = 2 / 3
_MOST_FALL = 0.2
#: How far from a beat a note may begin to be on it, in beats.
_ON_BEAT = 0.125


class Melody:
    """The melody in beats, asked how a chord goes with it."""

    def __init__(self, melody: np.ndarray, grid: Grid) -> None:
        self._ticks, self._beats = grid.ticks, np.arange(len(grid.ticks))
        self._onset = self._at(melody["onset_tick"])
        self._end = self._at(melody["onset_tick"].astype(np.int64) + melody["duration_tick"])
        self._pitch_class = melody["pitch"].astype(np.int64) % 12
        self._on_beat = np.abs(self._onset - np.round(self._onset)) <= _ON_BEAT

    def _at(self, ticks: np.ndarray | list[int]) -> np.ndarray:
        return np.interp(ticks, self._ticks, self._beats)

    def gain(self, before: Chord, after: Chord, start: int, end: int) -> float | None:
        """How much more consonant the melody is with `after`; None where the module's rules forbid it."""
        first, last = self._at([start, end])
        sounds = np.minimum(self._end, last) - np.maximum(self._onset, first)
        here = sounds > 0
        if not here.any():
            return 0.0
        sounds, tone = sounds[here], self._pitch_class[here]
        early = self._onset[here] < first - _ON_BEAT
        counts = (sounds > 1 - _ON_BEAT) | ((sounds > 0.5 - _ON_BEAT) & (early | self._on_beat[here]))
        old, new = pitch_class_mask(before), pitch_class_mask(after)
        avoid = np.roll(new, 1) & ~new
        avoid[after.root] = new[(after.root - 1) % 12]
        if avoid[tone[counts]].any():
            return None
        weight = sounds[counts]
        if weight.sum() > 0:
            share, share_before = (weight @ mask[tone[counts]] / weight.sum() for mask in (new, old))
            if share < min(_LEAST_TONES, share_before) - 1e-9:
                return None
        gain = sounds @ (consonance_with(new) - consonance_with(old))[tone] / sounds.sum()
        # Rounded, so that the last digits cannot decide.
        gain = round(float(gain), 6)
        return None if gain < -_MOST_FALL else gain


class Accompaniment:
    """The notes that stay below the melody."""

    def __init__(self, notes: np.ndarray) -> None:
        self._onset = notes["onset_tick"].astype(np.int64)
        self._end = self._onset + notes["duration_tick"]
        self._pitch = notes["pitch"].astype(np.int64)

    def allows(self, before: Chord, after: Chord, start: int, end: int) -> bool:
        """Whether what sounds can be heard as `after` as well as it can as `before`."""
        sounds = np.minimum(self._end, end) - np.maximum(self._onset, start)
        here = sounds > 0
        if not here.any():
            return True
        sounds, pitch = sounds[here], self._pitch[here]
        old, new = (sounds @ pitch_class_mask(chord)[pitch % 12] for chord in (before, after))
        return bool(new >= old) and pitch.min() % 12 == after.bass
