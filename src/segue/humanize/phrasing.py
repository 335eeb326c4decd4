"""Pitched notes as a sequence, as the dynamics network sees them.

Conventions
-----------
- Notes whose onsets follow each other by less than `CHORD_SECONDS` are one *chord*; its onset is the mean of
  theirs. The network has the notes by chord, then pitch.
- Velocities are in [0, 1] (MIDI velocity / 127); timing deviations are milliseconds, positive when late.
- Intervals and durations enter rounded to half octaves of time, and a chord's notes at their common onset, so
  that what is asked of the network (how a player bends them) cannot be read off its input.
- There are columns for each note (`NOTE_FEATURES`), and a row for the whole part (`PART_FEATURES`): what kind
  of playing it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue import windows

#: Notes in one window of the network, and how many at either end only give context where a neighbour exists.
WINDOW_NOTES = 256
MARGIN_NOTES = 32
CHORD_SECONDS = 0.035
#: Largest timing deviation that the network answers, in milliseconds.
MAX_TIMING_MS = 50.0

#: Columns of a note: of the part's own notes, the beat, the bar, and the other parts of the piece.
NOTE_OWN, NOTE_BEAT, NOTE_BAR, NOTE_OTHERS = slice(0, 46), slice(46, 52), slice(52, 56), slice(56, 67)
NOTE_FEATURES = 67
#: Columns of a part, likewise.
PART_BEAT, PART_OTHERS = slice(40, 50), slice(50, 56)
PART_FEATURES = 56

#: Bounds of the histograms: intervals and durations in octaves around a quarter second, twelfths of a beat.
_INTERVALS = np.array([-2, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 2])
_DURATIONS = np.array([-2.5, -1.5, -0.75, 0, 0.75, 1.5, 2.5])
_TWELFTHS = np.array([0.5, 2.5, 3.5, 5.5, 6.5, 8.5, 9.5])


@dataclass(frozen=True)
class Part:
    """The notes of one part, or of several, (n,) each: sorted onsets and durations in seconds, MIDI pitch."""

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray

    def __len__(self) -> int:
        return len(self.onset)

    @cached_property
    def ends(self) -> np.ndarray:
        """When notes end, in seconds, sorted, (n,)."""
        return np.sort(self.onset + self.duration)


@dataclass(frozen=True)
class BeatPlaces:
    """Where notes (n,) lie within the felt beat and within the bar (None: unknown), each in [0, 1).

    `beat_seconds` is how long a beat is.
    """

    beat: np.ndarray
    bar: np.ndarray | None
    beat_seconds: float

    def take(self, order: np.ndarray) -> BeatPlaces:
        """The same places in another order."""
        return BeatPlaces(self.beat[order], None if self.bar is None else self.bar[order], self.beat_seconds)


def chord_index(onset_sec: np.ndarray) -> np.ndarray:
    """Index of each note's chord, int64, shape (n,), from sorted onsets in seconds."""
    if not len(onset_sec):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.cumsum(np.diff(onset_sec) > CHORD_SECONDS)])


def network_order(part: Part) -> np.ndarray:
    """The indices that bring a part's notes into the order of the network, (n,)."""
    return np.lexsort((part.pitch, chord_index(part.onset)))


def part_features(part: Part, places: BeatPlaces | None, others: Part) -> tuple[np.ndarray, np.ndarray]:
    """Network inputs, float32: of the notes, (n, NOTE_FEATURES), in the network's order, and of the part.

    `part` has at least one note; `places` (None where the piece does not tell) are those of its notes, in
    the part's order; `others` are the notes of all other pitched parts of the piece.
    """
    order = network_order(part)
    playing = _Playing(part, order)
    notes = np.zeros((len(part), NOTE_FEATURES), np.float32)
    row = np.zeros(PART_FEATURES, np.float32)
    own, kinds = playing.columns()
    notes[:, NOTE_OWN] = np.stack(own, axis=1)
    row[: len(kinds)] = kinds
    if places:
        beats, kinds = _beat_columns(places.take(order))
        notes[:, NOTE_BEAT.start : NOTE_BEAT.start + len(beats)] = np.stack(beats, axis=1)
        row[PART_BEAT] = kinds
    if len(others):
        columns, kinds = playing.beside(others)
        notes[:, NOTE_OTHERS] = np.stack(columns, axis=1)
        row[PART_OTHERS] = kinds
    return notes, row


class _Playing:
    """A part's notes in the order of the network, each at the onset of its chord, and figures of them."""

    def __init__(self, part: Part, order: np.ndarray) -> None:
        self.pitch = part.pitch[order].astype(float)
        self.duration = part.duration[order]
        self.chord = chord_index(part.onset)
        self.size = np.bincount(self.chord)
        self.first = np.concatenate([[0], np.cumsum(self.size)[:-1]])
        self.at = np.add.reduceat(part.onset, self.first) / self.size
        self.onset = self.at[self.chord]
        self.begin, self.end = self.at[0], part.ends[-1]
        self.length = max(self.end - self.begin, 1.0)
        # Notes that have begun with a chord, less those that have ended by then.
        begun = np.cumsum(self.size)
        self.sounding = begun - np.searchsorted(part.ends, self.at + 1e-3, "right")

    def columns(self) -> tuple[list[np.ndarray], list[float]]:
        """The columns of the notes' own, (n,) each, and the part's."""
        chord, pitch, size = self.chord, self.pitch, self.size
        count = len(pitch)
        top, bottom = pitch[self.first + size - 1], pitch[self.first]
        gap = np.diff(self.at)
        interval = _octaves(gap)
        edge = np.zeros(2)
        spaced = np.concatenate([edge, interval, edge])
        chords = len(self.at)
        before2, before, after, after2 = (spaced[i : i + chords][chord] for i in range(4))
        leap = np.diff(top, prepend=top[:1]) / 12
        next_leap = np.append(leap[1:], 0)
        bass_leap = np.diff(bottom, prepend=bottom[:1]) / 12
        rank = (np.arange(count) - self.first[chord]) / np.maximum(size - 1, 1)[chord]
        duration = _octaves(self.duration)
        held = _octaves(0.25 * self.duration / np.maximum(np.append(gap, 1.0), 0.03)[chord])
        per_second = {reach: self._count_near(reach, reach) / (2 * reach) for reach in (1, 4, 12)}
        rate = count / self.length
        rush = np.log2((self._count_near(0, 4) + 0.8) / (self._count_near(4, 0) + 0.8)) / 2
        near_low, near_high = self._extremes(0.7, top, bottom)
        far_low, far_high = self._extremes(3.0, top, bottom)
        since, until = self._repetitions()
        around4, around12 = self._near_mean(pitch, 4), self._near_mean(pitch, 12)
        scatter = np.sqrt(np.maximum(self._near_mean(pitch**2, 4) - around4**2, 0))
        fraction = (self.at - self.begin) / self.length
        # By chord, then by note.
        of_chords = [
            np.log2(size) / 2,
            np.log2(per_second[1]) / 3 - 1,
            np.log2(per_second[4] + 0.1) / 3 - 0.5,
            np.log2(per_second[12] + 0.1) / 3 - 0.5,
            np.log2((per_second[4] + 0.1) / (rate + 0.1)),
            np.log2((per_second[12] + 0.1) / (rate + 0.1)),
            rush,
            leap,
            next_leap,
            bass_leap,
            self.sounding / 6,
            (around4 - 60) / 12,
            (around12 - 60) / 12,
            (around4 - pitch.mean()) / 6,
            (around12 - pitch.mean()) / 6,
            scatter / 12,
            self._near_mean(np.log2(size)[chord], 4),
            self._near_mean(duration, 4),
            fraction,
            np.minimum(self.at - self.begin, 20) / 20,
            np.minimum(self.end - self.at, 20) / 20,
            np.sin(np.pi * fraction),
        ]
        columns = [
            np.ones(count),
            (pitch - 60) / 24,
            (pitch - local_mean(pitch, 16)) / 12,
            pitch == top[chord],
            pitch == bottom[chord],
            (pitch - bottom[chord]) / 12,
            (top[chord] - pitch) / 12,
            rank,
            before,
            after,
            before2,
            after2,
            duration,
            held,
            (near_high[chord] - pitch) / 12,
            (pitch - near_low[chord]) / 12,
            (far_high[chord] - pitch) / 12,
            (pitch - far_low[chord]) / 12,
            pitch == near_high[chord],
            pitch == far_high[chord],
            pitch == near_low[chord],
            since,
            until,
            pitch == far_low[chord],
            *(values[chord] for values in of_chords),
        ]
        octaves = 4 * interval if chords > 1 else np.zeros(1)
        kinds = [
            pitch.mean() / 24 - 2.5,
            pitch.std() / 12,
            np.log2(rate) / 2 - 0.5,
            np.log2(size.mean()),
            np.mean(size == 1),
            duration.mean(),
            duration.std(),
            held.mean(),
            held.std(),
            np.log2(self.length / 240),
            self.sounding.mean() / 6,
            self.sounding.std() / 6,
            np.mean(pitch < 48),
            np.mean(pitch > 72),
            (pitch.max() - 60) / 24,
            (pitch.min() - 36) / 24,
            octaves.mean() / 2,
            octaves.std(),
            np.mean(leap[1:] == 0) if chords > 1 else 0.0,
            np.mean(since < 0),
            per_second[4].std() / max(rate, 0.1),
            around12.std() / 6,
            scatter.mean() / 12,
            *_shares(octaves, _INTERVALS),
            *_shares(4 * duration, _DURATIONS),
        ]
        return columns, kinds

    def beside(self, others: Part) -> tuple[list[np.ndarray], list[float]]:
        """The columns of what the other parts do meanwhile, (n,) each, and the part's."""
        at, near = self.at, self.at + CHORD_SECONDS
        begun = np.searchsorted(others.onset, near, "right")
        active = np.minimum(begun - np.searchsorted(others.ends, near, "right"), 3)
        together = begun > np.searchsorted(others.onset, at - CHORD_SECONDS, "left")
        last, following = np.maximum(begun - 1, 0), np.minimum(begun, len(others) - 1)
        since = np.where(begun > 0, np.clip(at - others.onset[last], 0, 8), 8)
        until = np.where(begun < len(others), np.clip(others.onset[following] - at, 0, 8), 8)
        above = np.where(active > 0, others.pitch[last].astype(float), np.nan)[self.chord] - self.pitch
        count = {r: _count_between(others.onset, at - r, at + r) for r in (1, 4)}
        rate = len(others) / self.length
        of_chords = [
            np.ones(len(at)),
            active / 2,
            together,
            np.log2(1 + _halved(since)) / 3,
            np.log2(1 + _halved(until)) / 3,
            np.log2(1 + count[1]) / 3,
            np.log2(1 + count[4]) / 4,
            at < others.onset[0] - 0.1,
            at > others.ends[-1],
            np.log2((count[4] / 8 + 0.1) / (rate + 0.1)),
        ]
        columns = [*(values[self.chord] for values in of_chords), np.clip(np.nan_to_num(above) / 12, -3, 3)]
        kinds = [
            1.0,
            np.mean(active > 0),
            together.mean(),
            (others.pitch.mean() - self.pitch.mean()) / 24,
            np.log2(rate + 0.1) / 2,
            min(max(others.onset[0] - self.begin, 0) / 20, 1),
        ]
        return columns, kinds

    def _count_near(self, before: float, after: float) -> np.ndarray:
        """Notes within so many seconds of each chord, (chords,)."""
        return _count_between(self.onset, self.at - before, self.at + after)

    def _near_mean(self, values: np.ndarray, reach: float) -> np.ndarray:
        """Mean of the notes' values (n,) within `reach` seconds of each chord, (chords,)."""
        total = np.concatenate([[0.0], np.cumsum(values)])
        low = np.searchsorted(self.onset, self.at - reach, "left")
        high = np.searchsorted(self.onset, self.at + reach, "right")
        return (total[high] - total[low]) / (high - low)

    def _extremes(self, reach: float, top: np.ndarray, bottom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest pitch within `reach` seconds of each chord, (chords,) each."""
        low = np.searchsorted(self.at, self.at - reach, "left")
        high = np.searchsorted(self.at, self.at + reach, "right")
        # Each stretch is covered by two, perhaps overlapping, whose length is a power of two.
        power = np.log2(high - low).astype(int)
        tables = [np.stack([-bottom, top])]
        for k in range(int(power.max(initial=0))):
            wide = tables[-1].copy()
            step = 1 << k
            wide[:, :-step] = np.maximum(wide[:, :-step], tables[-1][:, step:])
            tables.append(wide)
        table = np.stack(tables)
        lowest, highest = np.maximum(table[power, :, low], table[power, :, high - (1 << power)]).T
        return -lowest, highest

    def _repetitions(self) -> tuple[np.ndarray, np.ndarray]:
        """How long ago the pitch was struck and until when it is struck again, as `_octaves`, (n,) each."""
        order = np.lexsort((self.onset, self.pitch))
        between = np.diff(self.onset[order])
        between[np.diff(self.pitch[order]) != 0] = 8.0
        rounded = np.concatenate([[1.0], _octaves(between), [1.0]])
        since, until = np.empty((2, len(order)))
        since[order], until[order] = rounded[:-1], rounded[1:]
        return since, until


def _beat_columns(places: BeatPlaces) -> tuple[list[np.ndarray], list[float]]:
    """The columns of beat and, where it is known, bar, (n,) each, and the part's."""
    twelfth = np.round(places.beat * 12) % 12
    angle = 2 * np.pi * twelfth / 12
    one = np.ones(len(twelfth))
    tempo = np.log2(places.beat_seconds / 0.5)
    columns = [one, np.sin(angle), np.cos(angle), twelfth == 0, twelfth == 6, tempo * one]
    if places.bar is not None:
        bar = np.round(places.bar * 48) % 48
        columns += [one, np.sin(2 * np.pi * bar / 48), np.cos(2 * np.pi * bar / 48), bar == 0]
    return columns, [1.0, tempo, *_shares(twelfth, _TWELFTHS)]


def _shares(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Twice the share of the values between the bounds, below and above them, (bounds + 1,)."""
    return 2 * np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1) / len(values)


def _count_between(times: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.searchsorted(times, high, "right") - np.searchsorted(times, low, "left")


def _octaves(seconds: np.ndarray) -> np.ndarray:
    """Time as octaves around a quarter of a second, in halves, clipped to four either way; scaled by 1/4."""
    octaves = np.round(2 * np.log2(np.maximum(seconds, 1e-3) / 0.25)) / 2
    return np.clip(octaves, -4, 4) / 4


def _halved(seconds: np.ndarray) -> np.ndarray:
    """Times rounded to halves of a second."""
    return np.round(2 * seconds) / 2


def local_mean(values: np.ndarray, reach: int) -> np.ndarray:
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
