"""What the model is told of the place where the next event of a melody goes.

`Tracker` follows a melody event by event and tells, for the event that comes next, what a musician would
look at: the last events, the place in bar and phrase, the chord now and next, the range so far, what stood at
this place 1, 2, 4 and 8 bars ago and for how long the melody has agreed with it, what followed when the last
events came before (as they were, at any pitch as in a sequence, in any rhythm, and the rhythm alone). When a
gap is filled, the music after it is looked at in the same way: what stands 1, 2, 4 and 8 bars later, what
follows there on events like the last ones, and the pitch and distance of its first note.

The layout of rows stands in `segue.complete.features`.

The look-back features follow the idea of the Lookback RNN (Waite 2016), the match features that of match
models in text compression (Salomon and Motta 2010, chapter 5).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from segue.complete.book import Book
from segue.complete.encoding import (
    CENTRE,
    DURATIONS,
    METERS,
    NO_DURATION,
    NO_PITCH,
    PITCHES,
    REST,
    STYLES,
    UNITS_PER_QUARTER,
    Events,
    Setting,
)
from segue.complete.features import (
    CHORD_LEFT,
    CHORD_UNKNOWN,
    CHORDS_UNKNOWN,
    COUNT,
    LAGS,
    NO_GOAL_TIME,
    NO_INTERVAL,
    NO_MATCH,
    NO_NOTE,
    NOTHING_AHEAD,
    OFFSETS,
    READING,
    WIDEST,
    chord_category,
    remaining_token,
)

_OFFSETS = tuple(OFFSETS.values())
#: Indices from here on point into the music after a gap.
_AHEAD = 1 << 20


class Tracker:
    """Follows a melody; see the module. `push` adds an event, `row` describes the place of the next one."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._bar = setting.bar
        self._lags = [lag * setting.bar for lag in LAGS]
        meter = (4, 4) if setting.meter == (2, 2) else setting.meter
        self._meter = METERS.index(meter) if meter in METERS else len(METERS)
        style = STYLES.index(setting.style) if setting.style in STYLES else len(STYLES)
        self.fixed = (int(setting.minor), style)
        self._starts: list[int] = []
        self._pitches: list[int] = []
        self._durations: list[int] = []
        self._index: dict[int, int] = {}
        self._followers: dict[tuple[int, ...], int] = {}
        self._shapes: dict[tuple[int, ...], int] = {}
        self._tunes: dict[tuple[int, ...], int] = {}
        self._rhythms: dict[tuple[int, ...], int] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._agreed = [0] * len(LAGS)
        self._agreed_ahead = [0] * len(LAGS)
        self._match, self._match_length = -1, 0
        self._sequence, self._sequence_length = -1, 0
        self._tune, self._tune_length = -1, 0
        self._rhythm, self._rhythm_length = -1, 0
        self._notes: list[int] = []
        self._down = self._highest = self._lowest = NO_NOTE
        self._restart = setting.origin
        self._book: Book | None = None
        self._since = 0

    def copy(self) -> Tracker:
        """A tracker of its own with the same past."""
        twin = Tracker.__new__(Tracker)
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, (list, dict)) else value)
        return twin

    def look_ahead(self, book: Book | None, since: int = 0) -> None:
        """From now on the events of `book` from index `since` on are known; None: nothing that comes is."""
        if self._book is not None:
            self._match = -1 if self._match >= _AHEAD else self._match
            self._sequence = -1 if self._sequence >= _AHEAD else self._sequence
        self._book, self._since = book, since
        self._agreed_ahead = [0] * len(LAGS)
        if book is not None and len(self._pitches) > 1:
            self._look_up(len(self._pitches) - 1)

    def push(self, start: int, pitch: int, duration: int) -> None:
        """Add the event that begins at `start` (units): tokens of pitch and duration."""
        if not self._starts:
            self._restart = start
        n = len(self._starts)
        pitches, durations = self._pitches, self._durations
        index = self._index
        for k, lag in enumerate(self._lags):
            j = index.get(start - lag)
            same = j is not None and pitches[j] == pitch and durations[j] == duration
            self._agreed[k] = min(self._agreed[k] + 1, 17) if same else 0
        if self._book is not None:
            self._agree_ahead(start, pitch, duration)
        m = self._match
        if m >= 0 and self._event(m) == (pitch, duration):
            self._match, self._match_length = m + 1, self._match_length + 1
        else:
            self._match = -1
        self._follow_sequence(n, pitch, duration)
        self._starts.append(start)
        pitches.append(pitch)
        durations.append(duration)
        index[start] = n
        self._follow_rhythm(n, start, duration)
        if pitch == REST:
            if DURATIONS[duration] >= 2 * UNITS_PER_QUARTER:
                self._restart = start + DURATIONS[duration]
        else:
            self._follow_tune(pitch)
            if (start - self._setting.origin) % self._bar == 0:
                self._down = pitch
            if self._highest == NO_NOTE:
                self._highest = self._lowest = pitch
            elif pitch > self._highest:
                self._highest = pitch
            elif pitch < self._lowest:
                self._lowest = pitch
        if n:
            self._look_up(n)
            self._followers[pitches[n - 1], durations[n - 1], pitch, duration] = n + 1
            if n > 1 and REST not in (pitches[n - 2], pitches[n - 1], pitch):
                self._shapes[self._shape(n)] = n + 1

    def _shape(self, n: int) -> tuple[int, ...]:
        p, d = self._pitches, self._durations
        return p[n - 1] - p[n - 2], p[n] - p[n - 1], d[n - 1], d[n]

    def _look_up(self, n: int) -> None:
        """Where no match or sequence goes on, begin one anew: in the past, else in the music ahead."""
        p, d = self._pitches, self._durations
        if self._match < 0:
            context = (p[n - 1], d[n - 1], p[n], d[n])
            m = self._followers.get(context, -1)
            if not 0 <= m <= n and self._book is not None:
                m = self._book.follower(context, self._since)
                m = m + _AHEAD if m >= 0 else -1
            self._match, self._match_length = m, 2
        if self._sequence < 0 and n > 1 and REST not in (p[n - 2], p[n - 1], p[n]):
            shape = self._shape(n)
            m = self._shapes.get(shape, -1)
            if not 0 <= m <= n and self._book is not None:
                m = self._book.after_shape(shape, self._since)
                m = m + _AHEAD if m >= 0 else -1
            self._sequence, self._sequence_length = m, 2

    def _event(self, m: int) -> tuple[int, int] | None:
        """Pitch and duration tokens of an event of the past or of the music ahead, if it is known."""
        if m >= _AHEAD:
            book = self._book
            m -= _AHEAD
            return (book.pitches[m], book.durations[m]) if m < len(book.pitches) else None
        return (self._pitches[m], self._durations[m]) if m < len(self._pitches) else None

    def _agree_ahead(self, start: int, pitch: int, duration: int) -> None:
        book = self._book
        for k, lag in enumerate(self._lags):
            j = book.index.get(start + lag, -1)
            same = j >= self._since and book.pitches[j] == pitch and book.durations[j] == duration
            self._agreed_ahead[k] = min(self._agreed_ahead[k] + 1, 17) if same else 0

    def _follow_sequence(self, n: int, pitch: int, duration: int) -> None:
        """Keep the place that the last events repeat at another pitch; rests break it."""
        m = self._sequence
        if m < 0:
            return
        event, before = self._event(m), self._event(m - 1)
        last = self._pitches[n - 1]
        if (
            event is None
            or REST in (event[0], before[0], last, pitch)
            or event[0] - before[0] != pitch - last
            or event[1] != duration
        ):
            self._sequence = -1
        else:
            self._sequence, self._sequence_length = m + 1, self._sequence_length + 1

    def _follow_tune(self, pitch: int) -> None:
        """Keep the place that the last notes repeat in any rhythm."""
        notes = self._notes
        n = len(notes)
        if 0 <= self._tune < n and notes[self._tune] == pitch:
            self._tune, self._tune_length = self._tune + 1, self._tune_length + 1
        else:
            self._tune = -1
        notes.append(pitch)
        if n >= 2:
            context = (notes[n - 2], notes[n - 1], pitch)
            if self._tune < 0:
                self._tune, self._tune_length = self._tunes.get(context, -1), 3
            self._tunes[context] = n + 1

    def _follow_rhythm(self, n: int, start: int, duration: int) -> None:
        """Keep the place that the last durations repeat, and what followed a duration at this place."""
        d = self._durations
        if 0 <= self._rhythm < n and d[self._rhythm] == duration:
            self._rhythm, self._rhythm_length = self._rhythm + 1, self._rhythm_length + 1
        else:
            self._rhythm = -1
        if n >= 1:
            self._places[(start - self._setting.origin) % self._bar, d[n - 1]] = duration
        if n >= 2:
            context = (d[n - 2], d[n - 1], duration)
            if self._rhythm < 0:
                self._rhythm, self._rhythm_length = self._rhythms.get(context, -1), 3
            self._rhythms[context] = n + 1

    def _sequence_pitch(self) -> int:
        """The pitch token that the sequence asks for next, or `NO_PITCH`."""
        m = self._sequence
        if m < 0:
            return NO_PITCH
        event, before = self._event(m), self._event(m - 1)
        if event is None or before[0] == REST or self._pitches[-1] == REST:
            return NO_PITCH
        if event[0] == REST:
            return REST
        pitch = self._pitches[-1] + event[0] - before[0]
        return pitch if 0 <= pitch < PITCHES else NO_PITCH

    def row(self, start: int, goal: tuple[int, int] | None = None) -> list[int]:
        """One index a feature for the event that begins at `start` (units).

        `goal` is the pitch token and the start (units) of the first note after a gap.
        """
        pitches, durations = self._pitches, self._durations
        n = len(pitches)
        notes = self._notes
        k = len(notes)
        last, *earlier = [notes[-back] if k >= back else NO_NOTE for back in (1, 2, 3, 4)]
        row = [
            pitches[-1] if n else NO_PITCH,
            durations[-1] if n else NO_DURATION,
            last,
            *earlier[:2],
            _interval(earlier[0], last),
            _interval(earlier[1], earlier[0]),
            _interval(earlier[2], earlier[1]),
            self._down,
            self._highest,
            self._lowest,
        ]
        row += self._lag_columns(start)
        row += NOTHING_AHEAD if self._book is None else self._lead_columns(start)
        event = self._event(self._match) if self._match >= 0 else None
        if event is None:
            row += NO_MATCH
        else:
            row += (
                event[0],
                event[1],
                COUNT[min(self._match_length, 17)],
            )
        asked = self._sequence_pitch()
        row.append(asked)
        row.append(COUNT[min(self._sequence_length, 17)] if asked != NO_PITCH else 0)
        if 0 <= self._tune < k:
            row += (notes[self._tune], COUNT[min(self._tune_length, 17)])
        else:
            row += (NO_PITCH, 0)
        if 0 <= self._rhythm < n:
            row += (
                durations[self._rhythm],
                COUNT[min(self._rhythm_length, 17)],
            )
        else:
            row += (NO_DURATION, 0)
        bar, place = divmod(start - self._setting.origin, self._bar)
        row.append(self._places.get((place, durations[-1]), NO_DURATION) if n else NO_DURATION)
        row += self.place_columns(start)
        row.append(bar % 8)
        row.append(min(max((start - self._restart) // self._bar, 0), 8))
        row += self.fixed
        row += self._chord_columns(start, last)
        if goal is None:
            row += (NO_NOTE, NO_GOAL_TIME)
        else:
            row += (goal[0], remaining_token(max(goal[1] - start, 0)))
        return [value + offset for value, offset in zip(row, _OFFSETS, strict=True)]

    def place_columns(self, start: int) -> tuple[int, int]:
        """The place in the bar of `start` (units), the two columns `place` and `place_fine`."""
        place = (start - self._setting.origin) % self._bar
        return 16 * self._meter + min(place // 6, 15), place % 6

    def _lag_columns(self, start: int) -> list[int]:
        pitches, durations, starts = self._pitches, self._durations, self._starts
        row: list[int] = []
        there: list[int] = []
        for lag in self._lags:
            j = self._index.get(start - lag)
            if j is not None:
                row.append(pitches[j])
                there.append(durations[j])
                continue
            j = bisect_right(starts, start - lag) - 1
            row.append(pitches[j] if j >= 0 else NO_PITCH)
            there.append(NO_DURATION)
        row += there
        row += [COUNT[a] for a in self._agreed]
        return row

    def _lead_columns(self, start: int) -> list[int]:
        book, since = self._book, self._since
        row: list[int] = []
        there: list[int] = []
        for lag in self._lags:
            j = book.index.get(start + lag, -1)
            if j >= since:
                row.append(book.pitches[j])
                there.append(book.durations[j])
                continue
            j = bisect_right(book.starts, start + lag) - 1
            known = since <= j < len(book.starts) - 1
            row.append(book.pitches[j] if known else NO_PITCH)
            there.append(NO_DURATION)
        row += there
        row += [COUNT[a] for a in self._agreed_ahead]
        return row

    def _chord_columns(self, start: int, last: int) -> tuple[int, ...]:
        chords = self._setting.chords
        i = chords.at(start) if chords is not None else None
        if i is None:
            return CHORDS_UNKNOWN
        tonic = self._setting.tonic_pitch
        following = i + 1 < len(chords.start)
        left = bisect_left(CHORD_LEFT, chords.start[i + 1] - start) if following else len(CHORD_LEFT)
        over = (
            (last + tonic - CENTRE - chords.root[i]) % 12 if last != NO_NOTE and chords.root[i] >= 0 else 12
        )
        return (
            chord_category(chords.root[i], chords.quality[i], tonic),
            (
                chord_category(chords.root[i + 1], chords.quality[i + 1], tonic)
                if following
                else CHORD_UNKNOWN
            ),
            left,
            over,
        )


def _interval(first: int, second: int) -> int:
    """Category of the interval between two notes (pitch tokens)."""
    if NO_NOTE in (first, second):
        return NO_INTERVAL
    return min(max(second - first, -WIDEST), WIDEST) + WIDEST


def encode(events: Events, setting: Setting) -> np.ndarray:
    """Rows for every event and for what follows the last one; int16, shape (events + 1, features)."""
    tracker = Tracker(setting)
    rows = []
    end = setting.origin
    columns = (events.start, events.pitch, events.duration, events.length)
    for start, pitch, duration, length in zip(*(c.tolist() for c in columns), strict=True):
        rows.append(tracker.row(start))
        tracker.push(start, pitch, duration)
        end = start + length
    rows.append(tracker.row(end))
    return np.array(rows, np.int16)


def reading_rows(events: Events, setting: Setting, most: int) -> list[list[int]]:
    """Rows of the first `most` events of the music after a gap, as the network reads it (see `READING`)."""
    tracker = Tracker(setting)
    offsets = [OFFSETS[name] for name in READING]
    columns = (events.start[:most], events.pitch[:most], events.duration[:most])
    rows = []
    for start, pitch, duration in zip(*(c.tolist() for c in columns), strict=True):
        values = (pitch, duration, *tracker.place_columns(start), *tracker.fixed)
        rows.append([value + offset for value, offset in zip(values, offsets, strict=True)])
    return rows
