"""A melody as the model sees it: events on a grid of twelfths of a quarter, relative to the key.

Conventions
-----------
- A *unit* is 1/12 of a quarter (80 ticks), so sixteenths (3) and triplet eighths (4) both lie on the grid.
- An *event* is a note or a rest: a pitch token and a duration token. Notes that are followed by less than
  `SHORT_REST` of silence count as lasting up to the next note.
- A pitch token is the distance to the tonic nearest to the melody's mean pitch, plus `CENTRE`; `REST` a rest.
  Pitches outside of the range are folded back by octaves.
- A duration token is the index of the nearest entry of `DURATIONS`.
- Chords (`Chords`) are reduced to root and one of `CHORD_QUALITIES`.

`segue.complete.tracker` turns what is known at a place into the network's input.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from segue.chords import QUALITIES, parse_chord
from segue.score import TICKS_PER_QUARTER

UNITS_PER_QUARTER = 12
TICKS_PER_UNIT = TICKS_PER_QUARTER // UNITS_PER_QUARTER
#: Silence of at least this many units is a rest of its own.
SHORT_REST = 6
DURATIONS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 24, 27, 30, 33, 36, 42, 48, 54, 60),
    *(72, 84, 96, 144, 192),
)
CENTRE = 24
PITCHES = 2 * CENTRE + 1
REST = PITCHES
#: Pitch tokens in all, and the index that stands for "nothing there".
PITCH_TOKENS = PITCHES + 1
NO_PITCH = PITCH_TOKENS
NO_DURATION = len(DURATIONS)
#: Positions within a quarter that a note can begin at: sixteenths and triplets (of eighths and sixteenths).
GRID = (0, 2, 3, 4, 6, 8, 9, 10)
METERS = ((4, 4), (2, 4), (3, 4), (6, 8), (9, 8), (12, 8), (3, 8), (6, 4))
#: folk: dance tunes; pop: sung pop melodies; song: lead sheets of songs; jazz: solos; lied: voice with piano.
STYLES = ("folk", "pop", "song", "jazz", "lied")
CHORD_QUALITIES = ("maj", "min", "dom", "dim", "aug", "sus", "other")

_BOUNDS = [(a + b) / 2 for a, b in pairwise(DURATIONS)]
_DURATION_TOKEN = [bisect_right(_BOUNDS, d) for d in range(DURATIONS[-1] + 1)]


def duration_token(units: int) -> int:
    """Index of the entry of `DURATIONS` nearest to `units`."""
    return _DURATION_TOKEN[min(units, DURATIONS[-1])]


def snap(units: np.ndarray) -> np.ndarray:
    """Positions (float units) moved to the nearest position of `GRID`; int64, same shape."""
    units = np.asarray(units, float)
    whole = np.floor(units / UNITS_PER_QUARTER)
    grid = np.array([*GRID, UNITS_PER_QUARTER])
    nearest = np.abs((units - whole * UNITS_PER_QUARTER)[..., None] - grid).argmin(-1)
    return (whole * UNITS_PER_QUARTER + grid[nearest]).astype(np.int64)


@lru_cache(maxsize=1024)
def _reduced(label: str) -> tuple[int, int] | None:
    """Root (-1 without a chord) and index of the quality of a chord symbol, None where it cannot be read."""
    chord = parse_chord(label)
    if chord is None:
        return None
    if chord.root is None:
        return -1, 0
    steps = set(QUALITIES[chord.quality].intervals)
    if 4 in steps:
        name = "aug" if 8 in steps and 7 not in steps else "dom" if 10 in steps else "maj"
    elif 3 in steps:
        name = "dim" if 6 in steps and 7 not in steps else "min"
    else:
        name = "sus" if 5 in steps or 2 in steps else "other"
    return chord.root, CHORD_QUALITIES.index(name)


@dataclass(frozen=True)
class Chords:
    """Chords under a melody: `start` (units, rising), `root` (pitch class 0..11, -1 for no chord) and
    `quality` (index into `CHORD_QUALITIES`), tuples of equal length; the last is known until `stop` (units).
    """

    start: tuple[int, ...]
    root: tuple[int, ...]
    quality: tuple[int, ...]
    stop: int

    def at(self, unit: int) -> int | None:
        """Number of the chord that holds at `unit`, None where none is known."""
        i = bisect_right(self.start, unit) - 1
        return i if i >= 0 and unit < self.stop else None

    @staticmethod
    def from_symbols(starts: Sequence[int], labels: Sequence[str], stop: int) -> Chords | None:
        """Chords from symbols and the units at which they begin (rising); what cannot be read is left out.

        Of chords that begin together the last one counts, and one that repeats the chord before it is none of
        its own. None where nothing can be read.
        """
        rows: list[tuple[int, int, int]] = []
        for start, label in zip(starts, labels, strict=True):
            reduced = _reduced(label.strip())
            if reduced is None:
                continue
            if rows and rows[-1][0] == start:
                rows.pop()
            if not rows or rows[-1][1:] != reduced:
                rows.append((int(start), *reduced))
        return Chords(*zip(*rows, strict=True), stop) if rows else None


@dataclass(frozen=True)
class Setting:
    """What holds for a whole melody: reference tonic (MIDI pitch), mode, meter, style, chords if known.

    `origin` is the unit at which the first full bar starts; bars are counted from it, backwards too.
    """

    tonic_pitch: int
    minor: bool
    meter: tuple[int, int]
    style: str | None
    origin: int = 0
    chords: Chords | None = None

    @property
    def bar(self) -> int:
        """Length of a bar in units."""
        return max(UNITS_PER_QUARTER * 4 * self.meter[0] // self.meter[1], 1)

    def token(self, pitch: int) -> int:
        """Pitch token of a MIDI pitch."""
        relative = pitch - self.tonic_pitch
        while relative > CENTRE:
            relative -= 12
        while relative < -CENTRE:
            relative += 12
        return relative + CENTRE

    def pitch(self, token: int) -> int:
        """MIDI pitch of a pitch token that is not a rest."""
        return token - CENTRE + self.tonic_pitch


def reference_tonic(tonic: int, pitches: np.ndarray) -> int:
    """The MIDI pitch of pitch class `tonic` that is nearest to the mean of `pitches`."""
    mean = float(np.mean(pitches))
    return int(tonic + 12 * np.floor((mean - tonic) / 12 + 0.5))


def first_bar(onset: int, bar: int, phase: int = 0) -> int:
    """Start of the first full bar of a melody that begins at `onset`, bars lying at `phase` modulo `bar`.

    A first note in the second half of a bar is a pickup to the next one.
    """
    start = (onset - phase) // bar * bar + phase
    return start if onset - start < bar / 2 else start + bar


@dataclass(frozen=True)
class Events:
    """Events in order: start (units), pitch token, duration token, true length (units); int64, shape (n,)."""

    start: np.ndarray
    pitch: np.ndarray
    duration: np.ndarray
    length: np.ndarray
    #: Index of the note that the event stands for, -1 for a rest.
    note: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def events_from_notes(onset: np.ndarray, length: np.ndarray, pitch: np.ndarray, setting: Setting) -> Events:
    """The events of a monophonic line: notes by onset (units, distinct), sounding length, MIDI pitch."""
    rows: list[tuple[int, int, int, int]] = []
    onsets, lengths, pitches = onset.tolist(), length.tolist(), pitch.tolist()
    for i, (start, sounding) in enumerate(zip(onsets, lengths, strict=True)):
        token = setting.token(pitches[i])
        if i + 1 == len(onsets):
            rows.append((start, token, max(sounding, 1), i))
            break
        gap = onsets[i + 1] - start
        if gap - sounding < SHORT_REST:
            rows.append((start, token, gap, i))
            continue
        # A released note ends with the nearest sixteenth, or part of a triplet where it began in one.
        step = 2 if start % 3 else 3
        held = max((2 * (start + sounding) + step) // (2 * step) * step - start, 2)
        if gap - held < SHORT_REST:
            rows.append((start, token, gap, i))
        else:
            rows.append((start, token, held, i))
            rows.append((start + held, REST, gap - held, -1))
    table = np.array(rows, np.int64).reshape(-1, 4)
    tokens = np.array([duration_token(d) for d in table[:, 2].tolist()], np.int64)
    return Events(table[:, 0], table[:, 1], tokens, table[:, 2], table[:, 3])
