"""Voicings of chords with the least motion, below the melody.

Conventions
-----------
- A *span* is a chord with the ticks from which and up to which it sounds.
- A *voicing* is MIDI pitches, ascending: the chord's bass between C3 and B3 and up to three upper voices up
  to C5 (48..72). C4 is 60.
- Voice leading is the cheapest path through the candidate voicings of all spans. The cost of a step is the
  motion of the upper voices in semitones; the cost of a voicing counts a register away from the middle,
  voices at or above the melody, and semitone clashes with melody notes that are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from segue.chords import QUALITIES, Chord

LOWEST, HIGHEST = 48, 72
_LOWEST_UPPER = 52
#: Cost of a semitone of motion is 1; these are in the same unit.
_ABOVE_MELODY = 3.0
_CLASH = 6.0
_OFF_CENTRE = 0.25
_CENTRE = 62.0
_NARROW = 2.0
_WIDE = 1.0
#: Widest comfortable distance between the outer upper voices, semitones.
_SPAN = 12


@dataclass(frozen=True)
class Span:
    """A chord that sounds from `start` to `end` (ticks)."""

    chord: Chord
    start: int
    end: int


def _upper_classes(chord: Chord) -> tuple[int, ...]:
    """Pitch classes of the upper voices, above the root: three of them, the third and the colour first."""
    intervals = QUALITIES[chord.quality].intervals
    root = chord.root
    if len(intervals) <= 3:
        chosen = intervals
    else:
        # The bass has the root; the fifth is the first to go.
        chosen = (intervals[1], *intervals[3:], intervals[2])[:3]
        if chord.bass != root:
            chosen = (0, intervals[1], intervals[3])
    return tuple(sorted({(root + i) % 12 for i in chosen}))


@lru_cache(maxsize=1024)
def voicings_of(chord: Chord) -> np.ndarray:
    """Candidate voicings, int64, shape (candidates, voices), bass first, each ascending."""
    bass = LOWEST + (chord.bass - LOWEST) % 12
    classes = _upper_classes(chord)
    pitches = [p for p in range(_LOWEST_UPPER, HIGHEST + 1) if p % 12 in classes and p > bass]
    found = [
        (bass, *upper)
        for upper in combinations(pitches, len(classes))
        if len({p % 12 for p in upper}) == len(classes) and upper[-1] - upper[0] <= _SPAN
    ]
    return np.array(found, np.int64)


def lead_voices(spans: list[Span], melody: np.ndarray) -> list[np.ndarray]:
    """One voicing a span, ascending MIDI pitches, for the least motion under the melody (a NOTE array)."""
    if not spans:
        return []
    candidates = [voicings_of(span.chord) for span in spans]
    costs = _own_costs(spans, candidates, melody)
    total = costs[0]
    back: list[np.ndarray] = []
    for i in range(1, len(spans)):
        motion = _motion(spans[i - 1].chord, spans[i].chord) + total[:, None]
        origin = motion.argmin(axis=0)
        back.append(origin)
        total = motion[origin, np.arange(len(origin))] + costs[i]
    index = int(total.argmin())
    chosen = [index]
    for origin in reversed(back):
        index = int(origin[index])
        chosen.append(index)
    return [c[i] for c, i in zip(candidates, reversed(chosen), strict=True)]


@lru_cache(maxsize=1024)
def _motion(before: Chord, after: Chord) -> np.ndarray:
    """Semitones that the upper voices move, (candidates before, candidates after); extra voices are free."""
    first, second = voicings_of(before), voicings_of(after)
    voices = min(first.shape[1], second.shape[1]) - 1
    a, b = first[:, -voices:], second[:, -voices:]
    return np.abs(a[:, None] - b[None]).sum(axis=2).astype(np.float32)


def _own_costs(spans: list[Span], candidates: list[np.ndarray], melody: np.ndarray) -> list[np.ndarray]:
    """What each candidate costs by itself, float64, one array a span."""
    onset = melody["onset_tick"].astype(np.int64)
    end = onset + melody["duration_tick"]
    order = np.argsort(onset, kind="stable")
    onset, end, pitch = onset[order], end[order], melody["pitch"][order].astype(np.int64)
    longest = int((end - onset).max()) if len(onset) else 0
    low = np.searchsorted(onset, [span.start - longest for span in spans])
    high = np.searchsorted(onset, [span.end for span in spans])
    costs = []
    for span, voicings, first, last in zip(spans, candidates, low.tolist(), high.tolist(), strict=True):
        cost, clash = _static_costs(span.chord)
        held = np.minimum(end[first:last], span.end) - np.maximum(onset[first:last], span.start)
        sounding = held > 0
        if sounding.any():
            heard = pitch[first:last][sounding]
            over = np.maximum(voicings[:, -1] - (heard.min() - 1), 0)
            share = held[sounding] / (span.end - span.start)
            cost = cost + _ABOVE_MELODY * over + _CLASH * (clash[:, heard] @ share)
        costs.append(cost)
    return costs


@lru_cache(maxsize=1024)
def _static_costs(chord: Chord) -> tuple[np.ndarray, np.ndarray]:
    """Cost of each candidate whatever the melody, (candidates,), and whether it clashes with a melody pitch,
    (candidates, 128): an upper voice a semitone away, within the octave.
    """
    voicings = voicings_of(chord)
    upper = voicings[:, 1:]
    cost = _OFF_CENTRE * np.abs(upper.mean(axis=1) - _CENTRE)
    cost += _NARROW * (upper[:, -1] - upper[:, 0] < 5)
    cost += _WIDE * (upper[:, 0] - voicings[:, 0] < 3)
    clash = (np.abs(upper[:, :, None] - np.arange(128)) == 1).any(axis=1)
    return cost, clash.astype(float)
