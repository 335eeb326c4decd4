"""Four voices under a melody: soprano, alto, tenor and bass, led by the rules of four-part writing.

Conventions
-----------
- The soprano is the melody's top line, moved by octaves where it does not fit the soprano's range. The other
  three are found by dynamic programming over all placements of the chord's tones in their ranges.
- An *event* is a stretch in which the three lower voices hold: it begins with each chord, and on each beat on
  which the melody strikes. Melody notes between beats pass over held voices, unless they are leapt to from
  so far away that no voice could stay below both.
- Hard rules, broken only where no placement keeps them: no voice crosses another, at most an octave between
  neighbouring upper voices, no consecutive unisons, fifths or octaves between any two voices (by contrary
  motion neither), no direct fifth or octave between the outer voices when the soprano leaps.
- Preferred: little motion and common tones, complete chords, no doubled leading tones and sevenths, leading
  tones up, sevenths down a step. A chord whose bass is given (`C/G`) keeps it; else it may be inverted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from segue.chords import QUALITIES, Chord
from segue.harmonize.topline import Line
from segue.harmonize.voicing import Span
from segue.score import make_notes

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
#: Lowest and highest MIDI pitch of each voice, both included: C4-A5, F3-D5, C3-A4, E2-D4.
RANGES = ((60, 81), (53, 74), (48, 69), (40, 62))
_MIDDLE = np.array([64, 57, 50])
#: Cost of a broken hard rule; a whole piece of soft costs stays below one.
_HARD = 1e6
#: Cost of parallels from beat to beat that the melody passes over in between.
_MASKED = 300.0
#: Placements kept for each event; the second number where the first leaves a hard rule broken.
_KEPT = (48, 160)
#: What it costs to leave out the root, third, fifth, seventh and any farther tone.
_MISSING = (8.0, 12.0, 1.0, 5.0, 1.0)
#: What it costs to sing one of them twice.
_DOUBLED = (0.0, 1.5, 0.5, 8.0, 3.0)
#: What it costs to put one of them into the bass where no bass is given.
_INVERTED = (0.0, 2.0, 8.0, 4.0, 30.0)

#: What it costs to begin or to end with an inverted chord.
_UNSTABLE = np.float32(6)
#: Steps whose costs are worked out together.
_AT_ONCE = 128
#: Leaps of the soprano, in semitones, that the other voices follow between beats, too.
_WIDE_LEAP = 10


@dataclass(frozen=True)
class Event:
    """A stretch with one chord, and the soprano's first, last, lowest and highest pitch in it.

    `soprano` is None where the melody rests. `struck`: the lower voices sound anew.
    """

    chord: Chord
    start: int
    end: int
    soprano: tuple[int, int, int, int] | None
    struck: bool


def events_of(spans: Sequence[Span], line: Line, beats: np.ndarray, bars: np.ndarray) -> list[Event]:
    """The events of the chords under a soprano line; `beats` and `bars` are ticks, ascending."""
    if not spans:
        return []
    last = spans[-1].end
    onsets, ends = line.onset, line.end
    rests = np.append(onsets[1:], last) > ends
    enters = np.append(True, rests[:-1]) if len(onsets) else np.zeros(0, bool)
    leaps = np.abs(np.diff(line.pitch, prepend=line.pitch[:1])) >= _WIDE_LEAP
    strikes = onsets[np.isin(onsets, beats) | enters | leaps]
    silent = bars[np.searchsorted(onsets, bars, "right") != np.searchsorted(ends, bars, "right") + 1]
    struck = set(np.union1d(strikes, silent).tolist())
    inner = np.union1d(np.union1d(strikes, silent), ends[rests])
    events = []
    for span in spans:
        low, high = np.searchsorted(inner, [span.start + 1, span.end])
        for start, end in pairwise([span.start, *inner[low:high].tolist(), span.end]):
            first = int(np.searchsorted(ends, start, "right"))
            stop = int(np.searchsorted(onsets, end, "left"))
            pitches = line.pitch[first:stop]
            heard = len(pitches) and onsets[first] <= start
            soprano = (
                (int(pitches[0]), int(pitches[-1]), int(pitches.min()), int(pitches.max())) if heard else None
            )
            new = not events or events[-1].end != start or start in struck
            events.append(Event(span.chord, start, end, soprano, new))
    return events


@dataclass(frozen=True)
class Placing:
    """The lower voices of each event, int64, shape (events, 3), and how many hard rules had to be broken."""

    voices: np.ndarray
    broken: int


def place_voices(events: Sequence[Event]) -> Placing:
    """Alto, tenor and bass of each event: the cheapest way through their placements."""
    if not events:
        return Placing(np.zeros((0, 3), np.int64), 0)
    leading = [_leading_tone(a.chord, b.chord) for a, b in pairwise(events)] + [-1]
    for kept in _KEPT:
        voices, own = _candidates(events, leading, kept)
        for edge in (0, -1):
            own[edge] += _UNSTABLE * (voices[edge, :, 2] % 12 != events[edge].chord.bass)
        path, cost = _cheapest(own, _all_steps(events, leading, voices))
        if cost < _HARD:
            break
    return Placing(voices[np.arange(len(events)), path].astype(np.int64), int(cost // _HARD))


def parts_of(events: Sequence[Event], placing: Placing, line: Line, velocity: int) -> list[np.ndarray]:
    """The NOTE arrays of soprano, alto, tenor and bass. What keeps its pitch is struck again only where
    the melody is.
    """
    if not events:
        return [make_notes([], [], [], velocity)] * len(VOICES)
    parts = [_soprano(events, line, velocity)]
    start = np.array([e.start for e in events])
    end = np.array([e.end for e in events])
    struck = np.array([e.struck for e in events])
    for pitch in placing.voices.T:
        new = np.flatnonzero(struck | (np.diff(pitch, prepend=-1) != 0))
        until = end[np.append(new[1:] - 1, len(events) - 1)]
        parts.append(make_notes(start[new], until - start[new], pitch[new], velocity))
    return parts


def _soprano(events: Sequence[Event], line: Line, velocity: int) -> np.ndarray:
    """The line as far as there are chords."""
    rows = []
    stretch = [events[0].start, events[0].end]
    for event in [*events[1:], None]:
        if event is not None and event.start == stretch[1]:
            stretch[1] = event.end
            continue
        onset, end = np.maximum(line.onset, stretch[0]), np.minimum(line.end, stretch[1])
        inside = end > onset
        rows.append(np.stack([onset, end - onset, line.pitch])[:, inside])
        if event is not None:
            stretch = [event.start, event.end]
    onset, duration, pitch = np.concatenate(rows, axis=1)
    return make_notes(onset, duration, pitch, velocity)


def _leading_tone(chord: Chord, after: Chord) -> int:
    """The pitch class a semitone below the next root that the chord has as its third or root; -1: none."""
    intervals = QUALITIES[chord.quality].intervals
    tone = (after.root - 1) % 12
    wanted = [chord.root] if chord.quality in ("dim", "hdim7", "dim7") else []
    wanted += [(chord.root + 4) % 12] if 4 in intervals else []
    return tone if tone in wanted and after.root != chord.root else -1


def _degrees(chord: Chord) -> np.ndarray:
    """The place of each pitch class in the chord, int8, shape (12,): 0 root, 1 third (or what is suspended
    instead), 2 fifth, 3 seventh, 4 any farther tone; -1: foreign.
    """
    degrees = np.full(12, -1, np.int8)
    for i, interval in reversed(list(enumerate(QUALITIES[chord.quality].intervals))):
        # Sixths and added ninths are no sevenths: they may go where they like.
        place = 4 if i == 3 and interval not in (10, 11) and chord.quality != "dim7" else min(i, 4)
        degrees[(chord.root + interval) % 12] = place
    if len(QUALITIES[chord.quality].intervals) == 2:
        degrees[(chord.root + 7) % 12] = 2
    return degrees


@lru_cache(maxsize=1024)
def _lower(chord: Chord) -> tuple[np.ndarray, np.ndarray]:
    """All placements of the lower voices, int8, shape (placements, 3), and what each costs by itself."""
    degrees = _degrees(chord)
    given = chord.bass != chord.root
    upper = [[p for p in range(low, high + 1) if degrees[p % 12] >= 0] for low, high in RANGES[1:3]]
    low, high = RANGES[3]
    bass = [p for p in range(low, high + 1) if (p % 12 == chord.bass if given else degrees[p % 12] >= 0)]
    a, t, b = (x.ravel() for x in np.meshgrid(*upper, bass, indexing="ij"))
    fits = (b <= t) & (t <= a) & (a - t <= 12)
    a, t, b = a[fits], t[fits], b[fits]
    voices = np.stack([a, t, b], axis=1)
    cost = 0.08 * np.abs(voices - _MIDDLE).sum(axis=1) + 1.5 * (a == t) + 2.0 * (t == b)
    cost += 0.5 * np.maximum(t - b - 12, 0)
    if not given:
        cost += np.array(_INVERTED)[degrees[b % 12]]
    return voices.astype(np.int8), cost


@lru_cache(maxsize=4096)
def _placements(
    chord: Chord, soprano: tuple[int, int, int, int] | None, leading: int, kept: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `kept` cheapest placements under a soprano, int8, (kept, 3), and their costs, float32, (kept,).

    `leading` is the pitch class of the leading tone, or -1. Where there are fewer, the last one is repeated
    at an infinite cost.
    """
    voices, cost = _lower(chord)
    cost = cost.copy()
    degrees = _degrees(chord)
    sung = voices.astype(np.int64)
    if soprano is not None:
        first, _, low, high = soprano
        # Every chord has tones at or below the lowest soprano for the alto, so something always fits.
        fits = voices[:, 0] <= low
        voices, cost, sung = voices[fits], cost[fits], sung[fits]
        cost += _HARD * (high - sung[:, 0] > 12) + 1.0 * (sung[:, 0] == first)
        sung = np.concatenate([np.full((len(sung), 1), first), sung], axis=1)
    place = degrees[sung % 12]
    for degree in np.unique(degrees[degrees >= 0]).tolist():
        count = (place == degree).sum(axis=1)
        cost += _MISSING[degree] * (count == 0) + _DOUBLED[degree] * np.maximum(count - 1, 0)
        cost += 1.0 * np.maximum(count - 2, 0)
    if leading >= 0:
        cost += 8.0 * ((sung % 12 == leading).sum(axis=1) > 1)
    best = np.argsort(np.round(cost, 6), kind="stable")[:kept]
    pad = kept - len(best)
    costs = np.concatenate([cost[best], np.full(pad, np.inf)]).astype(np.float32)
    return voices[np.append(best, np.repeat(best[-1:], pad))], costs


def _candidates(events: Sequence[Event], leading: Sequence[int], kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Placements, int8, (events, kept, 3), and their own costs, float32, (events, kept)."""
    found = [_placements(e.chord, e.soprano, tone, kept) for e, tone in zip(events, leading, strict=True)]
    return np.stack([v for v, _ in found]), np.stack([c for _, c in found])


def _motion_costs() -> np.ndarray:
    """What a move of -64..63 semitones costs an inner voice and the bass, float32, shape (2, 128)."""
    size = np.abs(np.arange(-64, 64))
    inner = size + np.maximum(size - 4, 0) + 4 * (size > 7)
    bass = 0.4 * size + 4 * ((size > 7) & (size != 12)) + 20 * (size > 12) + 2 * (size == 6)
    return np.stack([inner, bass]).astype(np.float32)


_MOTION = _motion_costs()


def _perfect(interval: np.ndarray) -> np.ndarray:
    """1 for unisons and octaves, 2 for fifths, 0 for anything else, int8."""
    size = interval % 12
    return (size == 0).astype(np.int8) + 2 * (size == 7).astype(np.int8)


def _all_steps(events: Sequence[Event], leading: Sequence[int], voices: np.ndarray) -> Iterator[np.ndarray]:
    """The cost of each step, (kept, kept), one after the other: all of a long piece would fill the memory."""
    for first in range(0, len(events) - 1, _AT_ONCE):
        part = slice(first, first + _AT_ONCE + 1)
        yield from _steps(events[part], leading[part], voices[part])


def _steps(events: Sequence[Event], leading: Sequence[int], voices: np.ndarray) -> np.ndarray:
    """The cost of going from each placement to each of the next event, float32, (events - 1, kept, kept)."""
    before, after = voices[:-1, :, None], voices[1:, None, :]
    move = [after[..., i] - before[..., i] for i in range(3)]
    moved = [m != 0 for m in move]
    cost = _MOTION[0][move[0].astype(np.intp) + 64]
    cost += _MOTION[0][move[1].astype(np.intp) + 64]
    cost += _MOTION[1][move[2].astype(np.intp) + 64]
    # A voice goes beyond the place that its neighbour has just left.
    for upper, lower in ((0, 1), (1, 2)):
        overlap = (after[..., lower] > before[..., upper]) | (after[..., upper] < before[..., lower])
        cost += 1.5 * overlap
    for i, j in combinations(range(3), 2):
        left = _perfect(voices[:-1, :, i] - voices[:-1, :, j])[:, :, None]
        reached = _perfect(voices[1:, :, i] - voices[1:, :, j])[:, None, :]
        cost += np.float32(_HARD) * ((left == reached) & (reached > 0) & moved[i] & moved[j])
        cost += np.float32(1.5) * ((reached > 0) & (np.sign(move[i]) * np.sign(move[j]) > 0))
    _add_soprano(cost, events, voices, move, moved)
    _add_tendencies(cost, events, leading, voices, move)
    return cost


def _add_soprano(
    cost: np.ndarray,
    events: Sequence[Event],
    voices: np.ndarray,
    move: list[np.ndarray],
    moved: list[np.ndarray],
) -> None:
    """Add to `cost` what the lower voices' steps cost against the soprano's."""
    sung = [(e.soprano or (0, 0, 0, 0)) for e in events]
    both = np.array([a.soprano is not None and b.soprano is not None for a, b in pairwise(events)], bool)
    left_pitch = np.array([s[1] for s in sung[:-1]], np.int64)
    first_pitch = np.array([s[0] for s in sung[:-1]], np.int64)
    next_pitch = np.array([s[0] for s in sung[1:]], np.int64)
    strides = np.where(both, next_pitch - first_pitch, 0)[:, None, None]
    step = np.where(both, next_pitch - left_pitch, 0)
    sign = np.sign(step).astype(np.int8)[:, None, None]
    leaps = (np.abs(step) > 2)[:, None, None]
    for i in range(3):
        left = _perfect(left_pitch[:, None] - voices[:-1, :, i])[:, :, None]
        reached = _perfect(next_pitch[:, None] - voices[1:, :, i])[:, None, :]
        same = (left == reached) & (reached > 0) & moved[i] & (sign != 0)
        cost += np.float32(_HARD) * same
        # Notes that pass between two beats do not hide what the beats do.
        begun = _perfect(first_pitch[:, None] - voices[:-1, :, i])[:, :, None]
        masked = (begun == reached) & (reached > 0) & moved[i] & (strides != 0)
        cost += np.float32(_MASKED) * masked
        direct = (reached > 0) & (np.sign(move[i]) * sign > 0)
        cost += np.float32(1.0) * direct
        if i == 2:
            cost += np.float32(_HARD) * (direct & leaps & ~same)
    over = (voices[1:, :, 0] > left_pitch[:, None]) & both[:, None]
    cost += np.float32(1.5) * over[:, None, :]


def _add_tendencies(
    cost: np.ndarray,
    events: Sequence[Event],
    leading: Sequence[int],
    voices: np.ndarray,
    move: list[np.ndarray],
) -> None:
    """Add to `cost` what it costs when a leading tone does not rise or a seventh does not stay or fall."""
    changes = np.array([a.chord != b.chord for a, b in pairwise(events)], bool)
    tone = np.array(leading[:-1], np.int64)[:, None]
    degrees = np.stack([_degrees(e.chord) for e in events[:-1]]) if len(events) > 1 else np.zeros((0, 12))
    rows = np.arange(len(changes))[:, None]
    for i, price in enumerate((3.0, 3.0, 8.0)):
        classes = voices[:-1, :, i].astype(np.int64) % 12
        rising = (classes == tone) & (tone >= 0)
        cost += np.float32(price) * (rising[:, :, None] & (move[i] != 1))
        seventh = (degrees[rows, classes] == 3) & changes[:, None]
        cost += np.float32(5.0) * (seventh[:, :, None] & ((move[i] > 0) | (move[i] < -2)))


def _cheapest(own: np.ndarray, steps: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """The cheapest path, int64, (events,), and its cost; `own` (events, kept), `steps` (kept, kept) each."""
    total = own[0].astype(np.float64)
    back = []
    for step, cost in zip(steps, own[1:], strict=True):
        ways = step + total[:, None]
        origin = ways.argmin(axis=0)
        back.append(origin.astype(np.int16))
        total = ways[origin, np.arange(len(origin))] + cost
    path = [int(total.argmin())]
    for origin in reversed(back):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1]), float(total.min())
