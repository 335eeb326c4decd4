"""Comping: how a jazz pianist accompanies, by rule; there are no data to learn it from.

Conventions
-----------
- Voicings of four tones and more have no root, which is the bass's; triads are whole. No tones are added, so
  that the chord that is written is the one that is heard.
- A *figure* is the strikes of a bar: (beat, length in beats) with .5 for the second eighth, swung later on. A
  strike on the eighth before another chord belongs to that one (an anticipation).
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
_OFF_CENTRE, _NARROW, _ABOVE_MELODY = 0.3, 1.5, 1.5

Figure = tuple[tuple[float, float], ...]
#: Figures by beats of the bar, and how often they are played.
_FIGURES: dict[int, tuple[tuple[Figure, float], ...]] = {
    4: (
        (((0, 1.0), (1.5, 1.0)), 4),  # the Charleston
        (((0.5, 1.0), (2, 1.0)), 2),  # the Charleston, half a beat later
        (((1.5, 1.0), (3.5, 1.0)), 3),  # behind two and four
        (((0, 1.0), (2.5, 1.0)), 2),
        (((1, 1.0), (2.5, 1.0)), 2),
        (((1, 1.0), (3, 1.0)), 1.5),
        (((0, 2.0),), 1),
        (((1.5, 1.5),), 1),
        (((3.5, 1.0),), 1.5),
        (((0, 1.0), (1.5, 1.0), (3.5, 1.0)), 1.5),
        (((0.5, 1.0), (1.5, 1.0), (3, 1.0)), 0.7),
        (((0, 1.0), (1, 1.0), (2.5, 1.0), (3.5, 1.0)), 0.4),
    ),
    3: (
        (((0, 1.0), (1.5, 1.0)), 3),
        (((1, 1.0), (2, 1.0)), 2),
        (((1.5, 1.0),), 2),
        (((0, 1.5),), 1),
        (((0.5, 1.0), (2, 1.0)), 1),
        (((0, 1.0), (1.5, 1.0), (2.5, 1.0)), 1),
    ),
    2: ((((0, 1.0), (1.5, 1.0)), 2), (((0.5, 1.0),), 1), (((0, 1.0),), 1), (((1, 1.0),), 1)),
}
#: Chance that a bar takes over the figure of the bar before.
_AGAIN = 0.35


@lru_cache(maxsize=1024)
def voicings_of(chord: Chord) -> np.ndarray:
    """Candidate voicings, int64 (candidates, voices), ascending."""
    tones = set(QUALITIES[chord.quality].intervals)
    if len(tones) > 3:
        tones -= {0}
    if len(tones) > 4:
        # The fifth is the next to go.
        tones -= {7}
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
    end = melody["onset_tick"].astype(np.int64) + melody["duration_tick"]
    heard = melody["pitch"][(melody["onset_tick"] < span.end) & (end > span.start)]
    if len(heard):
        cost = cost + _ABOVE_MELODY * np.maximum(rows[:, -1] - (int(heard.min()) - 1), 0)
    return cost


def figures(
    beats: Sequence[int], density: float, syncopation: float, rng: np.random.Generator
) -> list[Figure]:
    """A figure for each bar of so many beats; the last one is held. `density` and `syncopation` are -1..1."""
    draws = rng.random((len(beats), 2))
    found: list[Figure] = []
    for i, count in enumerate(beats):
        if i == len(beats) - 1:
            found.append(((0.0, float(count)),))
        elif i and beats[i - 1] == count and draws[i, 0] < _AGAIN:
            found.append(found[-1])
        else:
            known = _FIGURES.get(count) or ((tuple((float(b), 1.0) for b in range(0, count, 2)), 1.0),)
            weight = np.array(
                [
                    share
                    * np.exp(1.5 * density * (len(f) - 2) + 1.5 * syncopation * sum(b % 1 > 0 for b, _ in f))
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

    A chord that no figure strikes is struck where it begins.
    """
    bar_first = np.flatnonzero(pulse.number == 0)
    start = np.array([s.start for s in spans])
    end = np.array([s.end for s in spans])
    found: dict[int, tuple[int, int, bool]] = {}
    for first, figure in zip(bar_first.tolist(), chosen, strict=True):
        for beat, length in figure:
            index = first + int(beat)
            if index >= len(pulse.number):
                continue
            begin, size = int(pulse.ticks[index]), int(pulse.ticks[index + 1] - pulse.ticks[index])
            off = beat % 1 > 0
            onset = begin + (size // 2 if off else 0)
            # The eighth before another chord is that chord's.
            span = int(np.searchsorted(start, onset + (size - size // 2 if off else 0), "right")) - 1
            if span < 0 or end[span] <= onset:
                continue
            found[onset] = (min(onset + round(length * size), int(end[span])), span, off)
    struck = {span for _, span, _ in found.values()}
    for i in sorted(set(range(len(spans))) - struck):
        index = min(max(int(np.searchsorted(pulse.ticks, start[i], "right")) - 1, 0), len(pulse.number) - 1)
        size = int(pulse.ticks[index + 1] - pulse.ticks[index])
        found[int(start[i])] = (min(int(start[i]) + size, int(end[i])), i, False)
    rows = [(onset, *found[onset]) for onset in sorted(found)]
    # Nothing sounds on into the next strike.
    nexts = [*(row[0] for row in rows[1:]), rows[-1][1] if rows else 0]
    return [(a, min(b, n), span, off) for (a, b, span, off), n in zip(rows, nexts, strict=True)]
