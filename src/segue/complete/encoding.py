"""A melody as the model sees it: events on a grid of twelfths of a quarter, relative to the key.

Conventions
-----------
- A *unit* is 1/12 of a quarter (80 ticks), so sixteenths (3) and triplet eighths (4) both lie on the grid.
- An *event* is a note or a rest: a pitch token and a duration token. Notes that are followed by less than
  `SHORT_REST` of silence count as lasting up to the next note.
- A pitch token is the distance to the tonic nearest to the melody's mean pitch, plus `CENTRE`; `REST` a rest.
  Pitches outside of the range are folded back by octaves.
- A duration token is the index of the nearest entry of `DURATIONS`.

`Tracker` follows a melody event by event and tells, for the event that comes next, what a musician would look
at: the last events, the place in bar and phrase, what stood at this place 1, 2, 4 and 8 bars ago and for how
long the melody has agreed with it, what followed when the last two events came before (at the same pitch, and
at any pitch, as in a sequence), and, when a gap is filled, the first note after it. Every feature is one of
a few categories; a row holds one index a feature into the concatenated categories (`WIDTH` in all), and
`multi_hot` turns it into the network's input.

The look-back features follow the idea of the Lookback RNN (Waite 2016), the match feature that of match
models in text compression (Salomon and Motta 2010, chapter 5).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

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
LAGS = (1, 2, 4, 8)
METERS = ((4, 4), (2, 4), (3, 4), (6, 8), (9, 8), (12, 8), (3, 8), (6, 4))
STYLES = ("folk", "pop", "jazz")
REMAINING = (*DURATIONS, 240, 288, 384)

_BOUNDS = [(a + b) / 2 for a, b in pairwise(DURATIONS)]
_REMAINING_BOUNDS = [(a + b) / 2 for a, b in pairwise(REMAINING)]
_DURATION_TOKEN = [bisect_right(_BOUNDS, d) for d in range(DURATIONS[-1] + 1)]
_REMAINING_TOKEN = [bisect_right(_REMAINING_BOUNDS, d) for d in range(REMAINING[-1] + 1)]
#: Bucket of a count of events: 0, 1, 2, 3-4, 5-8, 9-16, more.
_COUNT = [0, 1, 2, 3, 3, 4, 4, 4, 4, *[5] * 8, 6]
_COUNTS = 7

_FEATURES: dict[str, int] = {
    "event_pitch": PITCH_TOKENS + 1,
    "event_duration": len(DURATIONS) + 1,
    "note_pitch": PITCHES + 2,
    "note_before": PITCHES + 2,
    **{f"lag{lag}_pitch": PITCH_TOKENS + 1 for lag in LAGS},
    **{f"lag{lag}_duration": len(DURATIONS) + 1 for lag in LAGS},
    **{f"lag{lag}_agreed": _COUNTS for lag in LAGS},
    "match_pitch": PITCH_TOKENS + 1,
    "match_duration": len(DURATIONS) + 1,
    "match_length": _COUNTS,
    "sequence_pitch": PITCH_TOKENS + 1,
    "sequence_length": _COUNTS,
    "place": (len(METERS) + 1) * 16,
    "place_fine": 6,
    "bar": 8,
    "bars_since_rest": 9,
    "mode": 2,
    "style": len(STYLES) + 1,
    "goal_pitch": PITCHES + 2,
    "goal_time": len(REMAINING) + 1,
}
FEATURES = tuple(_FEATURES)
SIZES = tuple(_FEATURES.values())
OFFSETS = dict(zip(FEATURES, np.concatenate([[0], np.cumsum(SIZES)[:-1]]).tolist(), strict=True))
WIDTH = sum(SIZES)
COLUMN = {name: i for i, name in enumerate(FEATURES)}
NO_GOAL_PITCH = PITCHES + 1
NO_GOAL_TIME = len(REMAINING)


def duration_token(units: int) -> int:
    """Index of the entry of `DURATIONS` nearest to `units`."""
    return _DURATION_TOKEN[min(units, DURATIONS[-1])]


def remaining_token(units: int) -> int:
    """Index of the entry of `REMAINING` nearest to `units`."""
    return _REMAINING_TOKEN[min(units, REMAINING[-1])]


def snap(units: np.ndarray) -> np.ndarray:
    """Positions (float units) moved to the nearest position of `GRID`; int64, same shape."""
    units = np.asarray(units, float)
    whole = np.floor(units / UNITS_PER_QUARTER)
    grid = np.array([*GRID, UNITS_PER_QUARTER])
    nearest = np.abs((units - whole * UNITS_PER_QUARTER)[..., None] - grid).argmin(-1)
    return (whole * UNITS_PER_QUARTER + grid[nearest]).astype(np.int64)


@dataclass(frozen=True)
class Setting:
    """What holds for a whole melody: reference tonic (MIDI pitch), mode, meter, style.

    `origin` is the unit at which the first full bar starts; bars are counted from it, backwards too.
    """

    tonic_pitch: int
    minor: bool
    meter: tuple[int, int]
    style: str | None
    origin: int = 0

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


class Tracker:
    """Follows a melody; see the module. `push` adds an event, `row` describes the place of the next one."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._bar = setting.bar
        self._lags = [lag * setting.bar for lag in LAGS]
        meter = (4, 4) if setting.meter == (2, 2) else setting.meter
        self._meter = METERS.index(meter) if meter in METERS else len(METERS)
        self._fixed = (
            OFFSETS["mode"] + int(setting.minor),
            OFFSETS["style"] + (STYLES.index(setting.style) if setting.style in STYLES else len(STYLES)),
        )
        self._starts: list[int] = []
        self._pitches: list[int] = []
        self._durations: list[int] = []
        self._index: dict[int, int] = {}
        self._followers: dict[tuple[int, int, int, int], int] = {}
        self._agreed = [0] * len(LAGS)
        self._match = -1
        self._match_length = 0
        self._shapes: dict[tuple[int, int, int, int], int] = {}
        self._sequence = -1
        self._sequence_length = 0
        self._note = self._note_before = PITCHES + 1
        self._restart = setting.origin

    def copy(self) -> Tracker:
        """A tracker of its own with the same past."""
        twin = Tracker(self._setting)
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, (list, dict)) else value)
        return twin

    def push(self, start: int, pitch: int, duration: int) -> None:
        """Add the event that begins at `start` (units): tokens of pitch and duration."""
        if not self._starts:
            self._restart = start
        n = len(self._starts)
        for k, lag in enumerate(self._lags):
            j = self._index.get(start - lag)
            same = j is not None and self._pitches[j] == pitch and self._durations[j] == duration
            self._agreed[k] = min(self._agreed[k] + 1, 17) if same else 0
        m = self._match
        if m >= 0 and self._pitches[m] == pitch and self._durations[m] == duration:
            self._match, self._match_length = m + 1, self._match_length + 1
        else:
            self._match, self._match_length = -1, 0
        self._starts.append(start)
        self._pitches.append(pitch)
        self._durations.append(duration)
        self._index[start] = n
        if n:
            context = (self._pitches[n - 1], self._durations[n - 1], pitch, duration)
            if self._match < 0:
                self._match = self._followers.get(context, -1)
                self._match_length = 2 if self._match >= 0 else 0
            self._followers[context] = n + 1
            self._follow_sequence(n, pitch, duration)
        if pitch == REST:
            if DURATIONS[duration] >= 2 * UNITS_PER_QUARTER:
                self._restart = start + DURATIONS[duration]
        else:
            self._note_before, self._note = self._note, pitch

    def _follow_sequence(self, n: int, pitch: int, duration: int) -> None:
        """Keep the place that the last events repeat at another pitch; rests break it."""
        before = self._pitches[n - 1]
        m = self._sequence
        if before == REST or pitch == REST:
            self._sequence, self._sequence_length = -1, 0
            return
        goes_on = m > 0 and self._pitches[m] - self._pitches[m - 1] == pitch - before
        if (
            goes_on
            and self._durations[m] == duration
            and REST not in (self._pitches[m], self._pitches[m - 1])
        ):
            self._sequence, self._sequence_length = m + 1, self._sequence_length + 1
        else:
            self._sequence, self._sequence_length = -1, 0
        if n < 2 or self._pitches[n - 2] == REST:
            return
        shape = (before - self._pitches[n - 2], pitch - before, self._durations[n - 1], duration)
        if self._sequence < 0:
            self._sequence = self._shapes.get(shape, -1)
            self._sequence_length = 2 if self._sequence >= 0 else 0
        self._shapes[shape] = n + 1

    def _sequence_pitch(self, n: int) -> int:
        """The pitch token that the sequence asks for next, or `NO_PITCH`."""
        m = self._sequence
        if not 0 < m < n or self._pitches[m - 1] == REST or self._pitches[-1] == REST:
            return NO_PITCH
        if self._pitches[m] == REST:
            return REST
        pitch = self._pitches[-1] + self._pitches[m] - self._pitches[m - 1]
        return pitch if 0 <= pitch < PITCHES else NO_PITCH

    def row(self, start: int, goal: tuple[int, int] | None = None) -> list[int]:
        """One index a feature for the event that begins at `start` (units).

        `goal` is the pitch token and the start (units) of the first note after a gap.
        """
        pitches, durations, starts = self._pitches, self._durations, self._starts
        n = len(starts)
        row = [
            pitches[-1] if n else NO_PITCH,
            _O_DURATION + (durations[-1] if n else NO_DURATION),
            _O_NOTE + self._note,
            _O_BEFORE + self._note_before,
        ]
        there: list[int] = []
        for k, lag in enumerate(self._lags):
            j = self._index.get(start - lag)
            if j is not None:
                row.append(_O_LAG_PITCH[k] + pitches[j])
                there.append(_O_LAG_DURATION[k] + durations[j])
                continue
            j = bisect_right(starts, start - lag) - 1
            row.append(_O_LAG_PITCH[k] + (pitches[j] if j >= 0 else NO_PITCH))
            there.append(_O_LAG_DURATION[k] + NO_DURATION)
        row += there
        row += [o + _COUNT[a] for o, a in zip(_O_AGREED, self._agreed, strict=True)]
        m = self._match
        known = 0 <= m < n
        row.append(_O_MATCH_PITCH + (pitches[m] if known else NO_PITCH))
        row.append(_O_MATCH_DURATION + (durations[m] if known else NO_DURATION))
        row.append(_O_MATCH_LENGTH + (_COUNT[min(self._match_length, 17)] if known else 0))
        asked = self._sequence_pitch(n)
        row.append(_O_SEQUENCE_PITCH + asked)
        known = asked != NO_PITCH
        row.append(_O_SEQUENCE_LENGTH + (_COUNT[min(self._sequence_length, 17)] if known else 0))
        bar, place = divmod(start - self._setting.origin, self._bar)
        row.append(_O_PLACE + 16 * self._meter + min(place // 6, 15))
        row.append(_O_FINE + place % 6)
        row.append(_O_BAR + bar % 8)
        row.append(_O_SINCE + min(max((start - self._restart) // self._bar, 0), 8))
        row += self._fixed
        row += goal_columns(goal, start)
        return row


def goal_columns(goal: tuple[int, int] | None, start: int) -> tuple[int, int]:
    """The two goal features of a row that begins at `start`; see `Tracker.row`."""
    if goal is None:
        return _O_GOAL_PITCH + NO_GOAL_PITCH, _O_GOAL_TIME + NO_GOAL_TIME
    return _O_GOAL_PITCH + goal[0], _O_GOAL_TIME + remaining_token(max(goal[1] - start, 0))


_O_DURATION = OFFSETS["event_duration"]
_O_NOTE = OFFSETS["note_pitch"]
_O_BEFORE = OFFSETS["note_before"]
_O_LAG_PITCH = [OFFSETS[f"lag{lag}_pitch"] for lag in LAGS]
_O_LAG_DURATION = [OFFSETS[f"lag{lag}_duration"] for lag in LAGS]
_O_AGREED = [OFFSETS[f"lag{lag}_agreed"] for lag in LAGS]
_O_MATCH_PITCH = OFFSETS["match_pitch"]
_O_MATCH_DURATION = OFFSETS["match_duration"]
_O_MATCH_LENGTH = OFFSETS["match_length"]
_O_SEQUENCE_PITCH = OFFSETS["sequence_pitch"]
_O_SEQUENCE_LENGTH = OFFSETS["sequence_length"]
_O_PLACE = OFFSETS["place"]
_O_FINE = OFFSETS["place_fine"]
_O_BAR = OFFSETS["bar"]
_O_SINCE = OFFSETS["bars_since_rest"]
_O_GOAL_PITCH = OFFSETS["goal_pitch"]
_O_GOAL_TIME = OFFSETS["goal_time"]


def encode(events: Events, setting: Setting) -> np.ndarray:
    """Rows for every event and for what follows the last one; int16, shape (events + 1, features)."""
    tracker = Tracker(setting)
    rows = []
    start = 0
    columns = (events.start, events.pitch, events.duration, events.length)
    for start, pitch, duration, length in zip(*(c.tolist() for c in columns), strict=True):
        rows.append(tracker.row(start))
        tracker.push(start, pitch, duration)
        end = start + length
    rows.append(tracker.row(end if len(events) else setting.origin))
    return np.array(rows, np.int16)


def multi_hot(row: Sequence[int]) -> np.ndarray:
    """The network's input for one row, float32, shape (1, `WIDTH`)."""
    x = np.zeros((1, WIDTH), np.float32)
    x[0, row] = 1.0
    return x
