"""Comping: how a jazz pianist accompanies, by rule; there are no data to learn it from.

Conventions
-----------
- Triads are whole, sevenths are shells of root, third and seventh, larger chords have neither root nor
  fifth. Sevenths without their root sound as the triad of their third (Cmaj7 as Em), and under a bass that
  walks away from the root they are heard as that. No tones are added.
- A *figure* is where a bar is struck, in beats, with .5 for the second eighth, swung later on. A strike on
  the eighth before another chord belongs to that one (an anticipation).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np

from segue.chords import QUALITIES, Chord
from segue.harmonize.styles import Pulse
from segue.harmonize.voicing import Span

#: Range of the right hand that comps, E3 to G5, and its middle.
LOWEST, HIGHEST = 52, 79
_CENTRE = 62.0
_WIDEST = 14
#: Cost of a semitone of motion is 1.
_OFF_CENTRE, _NARROW, _RUB, _ABOVE_MELODY = 0.3, 1.5, 3.0, 1.5

#: Triads by intervals: what is left of a sixth chord without its fifth is one, of another root.
_TRIADS = {(0, 4, 7), (0, 3, 7), (0, 3, 6)}

Figure = tuple[float, ...]
#: Figures by beats of the bar, and how often they are played.
_FIGURES: dict[int, tuple[tuple[Figure, float], ...]] = {
    4: (
        ((0, 1.5), 4),  # the Charleston
        ((0.5, 2), 2),  # the Charleston, half a beat later
        ((1.5, 3.5), 3),  # behind two and four
        ((0, 2.5), 2),
        ((1, 2.5), 2),
        ((1, 3), 1.5),
        ((0,), 1),
        ((1.5,), 1),
        ((3.5,), 1.5),
        ((0, 1.5, 3.5), 1.5),
        ((0.5, 1.5, 3), 0.7),
        ((0, 1, 2.5, 3.5), 0.4),
    ),
    3: (
        ((0, 1.5), 3),
        ((1, 2), 2),
        ((1.5,), 2),
        ((0,), 1),
        ((0.5, 2), 1),
        ((0, 1.5, 2.5), 1),
    ),
    2: (((0, 1.5), 2), ((0.5,), 1), ((0,), 1), ((1,), 1)),
}
#: Chance that a bar takes over the figure of the bar before.
_AGAIN = 0.35
#: Longest that a strike is held, in beats.
_HELD = 4


def _voiced(intervals: Sequence[int]) -> set[int]:
    """The tones above the root that are played, of a chord's `intervals`."""
    tones = set(intervals)
    if len(tones) > 4:
        return tones - {0, 7}
    shell = tones - {7}
    above = {tuple(sorted((t - root) % 12 for t in shell)) for root in shell}
    return tones if len(tones) < 4 or above & _TRIADS else shell


@lru_cache(maxsize=1024)
def voicings_of(chord: Chord) -> np.ndarray:
    """Candidate voicings, int64 (candidates, voices), ascending."""
    tones = _voiced(QUALITIES[chord.quality].intervals)
    classes = {(chord.root + i) % 12 for i in tones}
    pitches = [p for p in range(LOWEST, HIGHEST + 1) if p % 12 in classes]
    found = [
        c
        for c in combinations(pitches, len(classes))
        if len({p % 12 for p in c}) == len(classes) and c[-1] - c[0] <= _WIDEST
    ]
    return np.array(found, np.int64)


def lead_hands(spans: Sequence[Span], melody: np.ndarray, centre: float = _CENTRE) -> list[np.ndarray]:
    """One voicing a span, ascending MIDI pitches: the cheapest path by motion, register, and how far the hand
    lies above the lowest note that the melody (a NOTE array) has there.
    """
    if not spans:
        return []
    candidates = [voicings_of(span.chord) for span in spans]
    costs = [_own_cost(span, rows, melody, centre) for span, rows in zip(spans, candidates, strict=True)]
    total, back = costs[0], []
    for i in range(1, len(spans)):
        voices = min(candidates[i - 1].shape[1], candidates[i].shape[1])
        a, b = candidates[i - 1][:, -voices:], candidates[i][:, -voices:]
        motion = np.abs(a[:, None] - b[None]).sum(axis=2) + total[:, None]
        back.append(motion.argmin(axis=0))
        total = motion.min(axis=0) + costs[i]
    chosen = [int(total.argmin())]
    for origin in reversed(back):
        chosen.append(int(origin[chosen[-1]]))
    return [rows[i] for rows, i in zip(candidates, reversed(chosen), strict=True)]


def _own_cost(span: Span, rows: np.ndarray, melody: np.ndarray, centre: float) -> np.ndarray:
    cost = _OFF_CENTRE * np.abs(rows.mean(axis=1) - centre) + _NARROW * (rows[:, -1] - rows[:, 0] < 6)
    # Root and seventh stand a seventh apart rather than a semitone.
    cost += _RUB * (np.diff(rows, axis=1) == 1).any(axis=1)
    end = melody["onset_tick"].astype(np.int64) + melody["duration_tick"]
    heard = melody["pitch"][(melody["onset_tick"] < span.end) & (end > span.start)]
    if len(heard):
        cost = cost + _ABOVE_MELODY * np.maximum(rows[:, -1] - (int(heard.min()) - 1), 0)
    return cost


def figures(
    beats: Sequence[int], density: float, syncopation: float, rng: np.random.Generator
) -> list[Figure]:
    """A figure for each bar of so many beats; the last one is a single strike.

    `density` and `syncopation` are -1..1.
    """
    draws = rng.random((len(beats), 2))
    found: list[Figure] = []
    for i, count in enumerate(beats):
        if i == len(beats) - 1:
            found.append((0.0,))
        elif i and beats[i - 1] == count and draws[i, 0] < _AGAIN:
            found.append(found[-1])
        else:
            known = _FIGURES.get(count) or ((tuple(map(float, range(0, count, 2))), 1.0),)
            weight = np.array(
                [
                    share
                    * np.exp(1.5 * density * (len(f) - 2) + 1.5 * syncopation * sum(b % 1 > 0 for b in f))
                    for f, share in known
                ]
            )
            found.append(
                known[int(np.searchsorted(np.cumsum(weight), draws[i, 1] * weight.sum(), "right"))][0]
            )
    return found


def strikes(
    spans: Sequence[Span], pulse: Pulse, chosen: Sequence[Figure]
) -> list[tuple[int, int, int, bool]]:
    """(onset tick, end tick, index of the span, off the beat) of every strike, in order, one a bar's figure.

    A chord that no figure strikes within its first beat, or before it, is struck where it begins, too. Every
    strike is held to the next one, as far as its chord and `_HELD` beats go.
    """
    start = np.array([s.start for s in spans])
    end = np.array([s.end for s in spans])
    length = np.diff(pulse.ticks)
    found: dict[int, tuple[int, bool]] = {}
    for first, figure in zip(np.flatnonzero(pulse.number == 0).tolist(), chosen, strict=True):
        for beat in figure:
            index = first + int(beat)
            if index >= len(pulse.number):
                continue
            size, off = int(length[index]), beat % 1 > 0
            onset = int(pulse.ticks[index]) + (size // 2 if off else 0)
            # The eighth before another chord is that chord's.
            span = int(np.searchsorted(start, onset + (size - size // 2 if off else 0), "right")) - 1
            if span >= 0 and end[span] > onset:
                found[onset] = (span, off)
    begun: dict[int, int] = {}
    for onset in sorted(found):
        begun.setdefault(found[onset][0], onset)
    beat_of = np.searchsorted(pulse.ticks, start, "right") - 1
    size = length[beat_of.clip(0, len(length) - 1)]
    for i, (onset, within) in enumerate(zip(start.tolist(), (start + size).tolist(), strict=True)):
        if begun.get(i, within) >= within:
            found.setdefault(onset, (i, False))
    onsets = sorted(found)
    held = (_HELD * size).astype(np.int64)
    return [
        (onset, min(onset + int(held[span]), int(end[span]), after), span, off)
        for onset, after in zip(onsets, [*onsets[1:], int(end[-1])], strict=True)
        for span, off in (found[onset],)
    ]
