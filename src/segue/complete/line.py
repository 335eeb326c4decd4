"""The melody line of a score: which track, its top voice, on the grid, within a stretch of one meter.

A `Line` is what the model gets to see; the notes of the score are never changed. Times are units (1/12 of a
quarter) from the start of the stretch, so that bars lie at multiples of the bar's length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.complete.encoding import (
    GRID,
    SHORT_REST,
    TICKS_PER_UNIT,
    UNITS_PER_QUARTER,
    Setting,
    first_bar,
    reference_tonic,
    snap,
)
from segue.score import Meter, Score, Track, meters_from_zero
from segue.stage import Record

#: Note values (units) that a released note may have been written as: a sixteenth to a double whole.
_WRITTEN = (2, 3, 4, 6, 8, 9, 12, 18, 24, 36, 48, 72, 96)
#: Overlap (units) up to which a note counts as played legato, not as a second voice.
_LEGATO = 1.5


@dataclass(frozen=True)
class Line:
    """A monophonic line in one meter, and how it is played.

    `onset` and `length` (sounding) int64 units from `start_tick`, distinct and rising; `pitch` MIDI numbers;
    `velocity`; `end_tick` where each note of the score really ends; all of shape (notes,).
    """

    setting: Setting
    meter: Meter
    start_tick: int
    stop_tick: int | None
    onset: np.ndarray
    length: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    end_tick: np.ndarray

    def __len__(self) -> int:
        return len(self.onset)

    def tick(self, unit: int) -> int:
        """Tick of the score at `unit`."""
        return self.start_tick + unit * TICKS_PER_UNIT

    @property
    def beat(self) -> int:
        """Length of a felt beat in units."""
        return max(self.meter.beat_ticks // TICKS_PER_UNIT, 1)

    def written_end(self, index: int) -> int:
        """Unit at which note `index` ends as it would be written: the first grid place that is no earlier."""
        start, sounding = int(self.onset[index]), float(self.end_tick[index] - self.onset_tick[index])
        sounding = max(sounding / TICKS_PER_UNIT - 1.0, 1.0)
        for value in _WRITTEN:
            if value >= sounding and (start + value) % UNITS_PER_QUARTER in GRID:
                return start + value
        return start + int(-(-sounding // self.setting.bar)) * self.setting.bar


def melody_track(score: Score, record: Record, wanted: str) -> tuple[int | None, str]:
    """Index of the melody's track, or None and the reason in one sentence.

    `wanted` is "auto" (the track with the role of melody that has the most notes), a track's name, or its
    number counted from 0.
    """
    if wanted != "auto":
        names = [t.name for t in score.tracks]
        index = names.index(wanted) if wanted in names else int(wanted) if wanted.isdigit() else -1
        if not 0 <= index < len(score.tracks):
            return None, f"there is no track {wanted!r}"
        if score.tracks[index].is_drum:
            return None, f"track {wanted!r} is percussion"
        return index, ""
    found = [
        (len(score.tracks[i].notes), -i)
        for i, entry in enumerate(record.get("tracks", []))
        if entry.get("role") == "melody" and i < len(score.tracks) and not score.tracks[i].is_drum
    ]
    if not found:
        return None, "no track has the role of melody"
    return -max(found)[1], ""


def top_voice(notes: np.ndarray) -> np.ndarray:
    """Indices of the notes of a track that make its top line, in order of onset; int64.

    Of notes that begin together (within a sixteenth triplet) the highest stays; a note that begins under a
    higher one that still sounds for more than half of it is accompaniment.
    """
    onset = notes["onset_tick"].tolist()
    stop = (notes["onset_tick"] + notes["duration_tick"]).tolist()
    pitch = notes["pitch"].tolist()
    kept: list[int] = []
    together = 2 * TICKS_PER_UNIT
    for i in range(len(onset)):
        if kept:
            last = kept[-1]
            if onset[i] - onset[last] < together:
                if pitch[i] > pitch[last]:
                    kept[-1] = i
                continue
            half = onset[i] + max((stop[i] - onset[i]) / 2, _LEGATO * TICKS_PER_UNIT)
            if pitch[last] > pitch[i] and stop[last] > half:
                continue
        kept.append(i)
    return np.array(kept, np.int64)


def melody_lines(score: Score, track: Track, key: dict, style: str | None) -> list[Line]:
    """The line of `track` in each stretch of one meter that holds at least two of its notes, in order.

    `key` is the record's {tonic, mode}. Onsets are moved to the nearest grid place; of notes that meet there
    the first stays.
    """
    notes = track.notes
    index = top_voice(notes)
    meters = meters_from_zero(score)
    lines = []
    for meter, following in zip(meters, [*meters[1:], None], strict=True):
        stop = None if following is None else following.tick
        # A note that anticipates its bar line by a hair belongs to the bar.
        early = notes["onset_tick"][index] + TICKS_PER_UNIT
        inside = early >= meter.tick if meter.tick else np.ones(len(index), bool)
        if stop is not None:
            inside &= early < stop
        chosen = index[inside]
        if len(chosen) < 2:
            continue
        units = snap((notes["onset_tick"][chosen] - meter.tick) / TICKS_PER_UNIT)
        first = np.concatenate([[True], np.diff(units) > 0])
        chosen, units = chosen[first], np.maximum(units[first], 0)
        if len(chosen) < 2:
            continue
        lines.append(_line(notes[chosen], units, meter, stop, key, style))
    return lines


def _line(
    notes: np.ndarray, units: np.ndarray, meter: Meter, stop: int | None, key: dict, style: str | None
) -> Line:
    bar = max(meter.bar_ticks // TICKS_PER_UNIT, 1)
    onset_tick = notes["onset_tick"].astype(np.int64)
    end_tick = onset_tick + notes["duration_tick"]
    length = np.maximum(np.round((end_tick - meter.tick) / TICKS_PER_UNIT).astype(np.int64) - units, 1)
    pitch = notes["pitch"].astype(np.int64)
    setting = Setting(
        reference_tonic(int(key["tonic"]), pitch),
        key["mode"] == "minor",
        (meter.numerator, meter.denominator),
        style,
        first_bar(int(units[0]), bar),
    )
    velocity = notes["velocity"].astype(np.int64)
    return Line(
        setting, meter, meter.tick, stop, units, length, pitch, velocity, onset_tick, end_tick
    )


def silences(line: Line, least: int) -> np.ndarray:
    """Indices of the notes that are followed by at least `least` units of silence within the line."""
    gap = line.onset[1:] - np.minimum(line.onset[:-1] + line.length[:-1], line.onset[1:])
    return np.flatnonzero(gap >= max(least, SHORT_REST))
