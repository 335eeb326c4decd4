"""What a lead sheet holds: bars, the melody as it would be written, chords; and the chords as plain text.

Times are *units* of 1/12 quarter from the start of the piece, as in `segue.complete.encoding`: a melody is
brought onto sixteenths and triplets as the complete stage reads it, bar by bar.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from segue.chords import NO_CHORD, Chord
from segue.complete.encoding import TICKS_PER_UNIT, UNITS_PER_QUARTER, Setting, events_from_notes, snap
from segue.complete.line import grid_shift, top_voice
from segue.score import Meter, Score, bar_index, bar_starts, meter_at, meter_index, meters_from_zero

_SIXTEENTH = UNITS_PER_QUARTER // 4
_BARS_A_LINE = 4


@dataclass(frozen=True)
class Bar:
    """A bar from `start` to `stop` (units) in the meter that is written for it."""

    start: int
    stop: int
    meter: Meter

    @property
    def is_odd(self) -> bool:
        """Whether the bar is not as long as its meter says, as a pickup."""
        return self.stop - self.start != _units(self.meter.bar_ticks)


@dataclass(frozen=True)
class Sheet:
    """A lead sheet before it is written down.

    `notes` (start, stop, MIDI pitch) in order, without overlap; `chords` (unit, chord) in order; the bars
    follow each other without gap and hold everything.
    """

    bars: tuple[Bar, ...]
    notes: tuple[tuple[int, int, int], ...]
    chords: tuple[tuple[int, Chord], ...]

    def chords_between(self, start: int, stop: int) -> tuple[tuple[int, Chord], ...]:
        """The chords that begin at `start` or later and before `stop` (units)."""
        first, last = (bisect_left(self.chords, unit, key=lambda c: c[0]) for unit in (start, stop))
        return self.chords[first:last]


def _units(ticks: int) -> int:
    return round(ticks / TICKS_PER_UNIT)


def make_sheet(score: Score, notes: np.ndarray, chords: Sequence[tuple[int, Chord]], last_tick: int) -> Sheet:
    """The sheet of the top line of `notes` (a NOTE array) and of `chords` (tick, chord) in order.

    It goes on to the bar that holds `last_tick`. Chords are moved to the nearest sixteenth; of those that
    meet there the last one counts.
    """
    melody = _melody(score, notes)
    places = _chord_units(score, [tick for tick, _ in chords])
    named = tuple(dict(zip(places, (chord for _, chord in chords), strict=True)).items())
    stop = max(
        [_units(last_tick) + 1, *(stop for _, stop, _ in melody[-1:]), *(unit + 1 for unit, _ in named)]
    )
    bars = [bar for bar in _bars(score, stop * TICKS_PER_UNIT) if bar.start < stop]
    bars[0] = _pickup(bars[0], [start for start, _, _ in melody[:1]], [unit for unit, _ in named[:1]])
    # The chord of the beat that a pickup begins in begins with it.
    named = tuple({max(unit, bars[0].start): chord for unit, chord in named}.items())
    return Sheet(tuple(bars), melody, named)


def _melody(score: Score, notes: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """The top line as it would be written: (start, stop, pitch)."""
    if not len(notes):
        return ()
    top = notes[top_voice(notes)]
    onset = top["onset_tick"].astype(np.int64)
    shift = _shifts(score, onset)
    start = _placed(score, np.maximum(onset - shift, 0))
    # Of notes that meet at one place the first stays.
    keep = np.append(True, start[1:] > np.maximum.accumulate(start)[:-1])
    stop = np.round((onset + top["duration_tick"] - shift) / TICKS_PER_UNIT).astype(np.int64)[keep]
    start, pitch = start[keep], top["pitch"].astype(np.int64)[keep]
    # Only the lengths of the events are used: which key they are told in does not matter.
    events = events_from_notes(start, np.maximum(stop - start, 1), pitch, Setting(60, False, (4, 4), None))
    sounds = events.note >= 0
    stops = (events.start + events.length)[sounds]
    stops[-1] = max(*snap(np.array([stop[-1], start[-1] + _SIXTEENTH])).tolist(), int(start[-1]) + 1)
    return tuple(zip(start.tolist(), stops.tolist(), pitch.tolist(), strict=True))


def _shifts(score: Score, onset: np.ndarray) -> np.ndarray:
    """How far each note's stretch of one meter stands behind the file's grid, ticks, of the same shape."""
    meters, index = meters_from_zero(score), meter_index(score, onset)
    shift = np.zeros(len(onset), np.int64)
    for i in np.unique(index):
        shift[index == i] = grid_shift(onset[index == i] - meters[i].tick)
    return shift


def _placed(score: Score, ticks: np.ndarray) -> np.ndarray:
    """Units of the places on the grid that are nearest to `ticks`, counted from their bar's line."""
    bars, index = bar_index(score, ticks)
    edges = np.round(bars / TICKS_PER_UNIT).astype(np.int64)
    inside = snap((ticks - bars[index]) / TICKS_PER_UNIT)
    return np.minimum(edges[index] + inside, edges[index + 1])


def _chord_units(score: Score, ticks: Sequence[int]) -> list[int]:
    """Units of the sixteenths, counted from their bar's line, that are nearest to `ticks`."""
    bars, index = bar_index(score, np.maximum(np.array(ticks, np.int64), 0))
    edges = np.round(bars / TICKS_PER_UNIT).astype(np.int64)
    step = _SIXTEENTH * TICKS_PER_UNIT
    inside = np.floor((np.maximum(ticks, 0) - bars[index]) / step + 0.5).astype(np.int64) * _SIXTEENTH
    return np.minimum(edges[index] + inside, edges[index + 1]).tolist()


def _bars(score: Score, until_tick: int) -> list[Bar]:
    """The bars up to `until_tick`. A single short bar before a longer meter is a pickup to that."""
    lines = bar_starts(score, until_tick).tolist()
    bars = [
        Bar(_units(start), _units(stop), meter_at(score, start))
        for start, stop in pairwise(lines)
        if _units(stop) > _units(start)
    ]
    if len(bars) > 1 and bars[1].meter != bars[0].meter:
        following = bars[1].meter
        if bars[0].stop - bars[0].start < _units(following.bar_ticks):
            bars[0] = replace(bars[0], meter=following)
    return bars


def _pickup(bar: Bar, note: list[int], chord: list[int]) -> Bar:
    """The first bar; where nothing but the end of it sounds, only that end.

    `note` and `chord` hold the unit of the first of each, or nothing. A chord that begins in the first note's
    beat counts as beginning with the note.
    """
    first = min(note + chord, default=bar.start)
    if note and note[0] - _units(bar.meter.beat_ticks) < first:
        first = note[0]
    if bar.is_odd or not (bar.start + bar.stop) / 2 <= first < bar.stop:
        return bar
    unit = max(_units(4 * UNITS_PER_QUARTER * TICKS_PER_UNIT // bar.meter.denominator), 1)
    return replace(bar, start=bar.stop - -(-(bar.stop - first) // unit) * unit)


def chords_text(sheet: Sheet, keys: Sequence[Mapping[str, Any]]) -> str:
    """The chords bar by bar, four bars a line: `| C | G/B | Am F |`. `keys` are those of the bars.

    The first line tells key and meter; another key or meter is told where it begins. A bar without a new
    chord names the one that still holds; a pickup has a line of its own, or none where it has no chord.
    """
    lines = [f"Key: {keys[0]['name']}  Meter: {sheet.bars[0].meter.name}"]
    row: list[str] = []

    def end_row() -> None:
        if row:
            lines.append(f"| {' | '.join(row)} |")
            row.clear()

    meter, name, held = sheet.bars[0].meter, keys[0]["name"], NO_CHORD
    for number, (bar, key) in enumerate(zip(sheet.bars, keys, strict=True)):
        changes = [f"Key: {key['name']}"] * (key["name"] != name)
        changes += [f"Meter: {bar.meter.name}"] * (bar.meter.name != meter.name)
        if changes:
            end_row()
            meter, name = bar.meter, key["name"]
            lines.append("  ".join(changes))
        new = sheet.chords_between(bar.start, bar.stop)
        # Before the first chord of the piece there is none to name, unless the bar would stay empty.
        over = [held] if not new or (new[0][0] > bar.start and held.is_chord) else []
        sounding = [chord for chord, _ in groupby(over + [chord for _, chord in new])]
        held = sounding[-1]
        pickup = number == 0 and bar.is_odd
        if new or not pickup:
            row.append(" ".join(chord.symbol(key) for chord in sounding))
        if pickup or len(row) == _BARS_A_LINE:
            end_row()
    end_row()
    return "\n".join(lines) + "\n"
