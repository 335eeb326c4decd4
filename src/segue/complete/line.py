"""The melody line of a score: which track, its top voice, on the grid, within a stretch of one meter.

A `Line` is what the model gets to see; the notes of the score are never changed. Times are units (1/12 of a
quarter) from the start of the stretch, so that bars lie at multiples of the bar's length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from segue.complete.encoding import (
    GRID,
    SHORT_REST,
    TICKS_PER_UNIT,
    UNITS_PER_QUARTER,
    Events,
    Setting,
    events_from_notes,
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
#: Parts of its written length that a note sounds, at the least.
_SHORTEST_TOUCH = 0.5
_FAR = 2**31 - 1
#: How closely onsets must gather around one place in a sixteenth (0 to 1), and how many it takes, to tell
#: that a melody stands beside the grid.
_GATHERED = 0.9
_LEAST_NOTES = 8
#: The columns of a `Line`, one entry a note.
_COLUMNS = ("onset", "length", "pitch", "velocity", "onset_tick", "end_tick")


@dataclass(frozen=True)
class Line:
    """A monophonic line in one meter, and how it is played.

    The stretch begins at `meter.tick` and ends at `stop_tick` (None: with the piece). Its own notes begin at
    index `own`; those before it are known from earlier stretches that go with this one (the same meter, or a
    pickup or odd bar written as a meter of its own), at negative units.

    `onset` and `length` (sounding) int64 units, onsets distinct and rising; `pitch` MIDI numbers; `velocity`;
    `onset_tick` and `end_tick` where each note of the score really begins and ends; all of shape (notes,).
    """

    setting: Setting
    meter: Meter
    stop_tick: int | None
    own: int
    onset: np.ndarray
    length: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    end_tick: np.ndarray
    #: Ticks by which the melody as a whole stands behind the file's grid (before it: negative).
    shift: int = 0

    def __len__(self) -> int:
        return len(self.onset)

    def tick(self, unit: int) -> int:
        """Tick of the score at `unit`."""
        return self.zero_tick + unit * TICKS_PER_UNIT

    @property
    def zero_tick(self) -> int:
        """Tick of unit 0: the start of the stretch, or of the melody's own bar where it stands beside it."""
        return self.meter.tick + self.shift

    @property
    def beat(self) -> int:
        """Length of a felt beat in units."""
        return max(self.meter.beat_ticks // TICKS_PER_UNIT, 1)

    @cached_property
    def events(self) -> Events:
        """The line as the model sees it."""
        return events_from_notes(self.onset, self.length, self.pitch, self.setting)

    def without(self, first: int, last: int) -> Line:
        """The line without the notes that begin in [first, last) units."""
        return self._of(np.flatnonzero((self.onset < first) | (self.onset >= last)))

    def with_notes(self, notes: np.ndarray) -> Line:
        """The line with the notes of a NOTE array, which begin on the grid where no other one does."""
        tick = notes["onset_tick"].astype(np.int64)
        end = tick + notes["duration_tick"]
        unit = units_of(self, notes)
        length = np.maximum(np.round((end - self.zero_tick) / TICKS_PER_UNIT).astype(np.int64) - unit, 1)
        fresh = (unit, length, notes["pitch"], notes["velocity"], tick, end)
        own = int(self.onset[self.own]) if self.own < len(self) else 0
        joined = {
            name: np.concatenate([getattr(self, name), values.astype(np.int64)])
            for name, values in zip(_COLUMNS, fresh, strict=True)
        }
        grown = replace(self, **joined, own=0)
        order = np.argsort(joined["onset"], kind="stable")
        order = order[np.append(True, np.diff(joined["onset"][order]) > 0)]
        return replace(grown._of(order), own=int(np.searchsorted(joined["onset"][order], own)))

    def _of(self, index: np.ndarray) -> Line:
        columns = {name: getattr(self, name)[index] for name in _COLUMNS}
        return replace(self, **columns, own=int((index < self.own).sum()))

    def note_before(self, unit: int) -> int:
        """Index of the last note that begins before `unit`, -1 where none does."""
        return int(np.searchsorted(self.onset, unit, "left")) - 1

    @cached_property
    def touch(self) -> float:
        """Share of the time up to the next note that the notes sound, 0.5..1; rests do not count."""
        gap = np.diff(self.onset_tick)
        sounding = (self.end_tick - self.onset_tick)[:-1]
        joined = (gap - sounding < SHORT_REST * TICKS_PER_UNIT) & (gap > 0)
        if not joined.any():
            return 1.0
        return float(np.clip(np.median(sounding[joined] / gap[joined]), _SHORTEST_TOUCH, 1.0))

    def written_end(self, index: int) -> int:
        """Unit at which note `index` ends as it would be written, detached or not: a place on the grid."""
        start = int(self.onset[index])
        played = (int(self.end_tick[index]) - self.tick(start)) / TICKS_PER_UNIT
        # A unit of overlap is touch, not length; and long notes are held, whatever the touch of the others.
        sounding = max(min(played / self.touch, played + SHORT_REST) - 1.0, 1.0)
        for value in _WRITTEN:
            if value >= sounding and (start + value) % UNITS_PER_QUARTER in GRID:
                return start + value
        return start + int(-(-sounding // self.setting.bar)) * self.setting.bar


def melody_track(score: Score, record: Record, wanted: str | int) -> tuple[int | None, str]:
    """Index of the melody's track, or None and the reason in one sentence.

    `wanted` is "auto" (the track with the role of melody that has the most notes), a track's name, or its
    number counted from 0.
    """
    if wanted != "auto":
        wanted = str(wanted)
        names = [t.name for t in score.tracks]
        index = names.index(wanted) if wanted in names else int(wanted) if wanted.isdigit() else -1
        if not 0 <= index < len(score.tracks):
            there = ", ".join(f"{i} {name!r}" for i, name in enumerate(names))
            return None, f"there is no track {wanted!r}; there are {there}"
        if score.tracks[index].is_drum:
            return None, f"track {wanted!r} is percussion"
        return index, ""
    found = [
        (len(score.tracks[i].notes), -i)
        for i, entry in enumerate(record.get("tracks", []))
        if entry.get("role") == "melody" and i < len(score.tracks) and not score.tracks[i].is_drum
    ]
    if not found:
        sounding = [track for track in score.tracks if len(track.notes)]
        if sounding and all(track.is_drum for track in sounding):
            return None, "there is no melody, for drums play alone"
        return None, "no track has the role of melody; name the one that holds it in the setting `track`"
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
    """The line of `track` in each stretch of one meter, in order; see `Line`.

    `key` is the record's {tonic, mode}. Onsets are moved to the nearest grid place; of notes that meet there
    the first stays. A stretch is left out when it has no note, or when only one note is known of it.
    """
    notes = track.notes[top_voice(track.notes)]
    stretches = _stretches(score)
    # A note that anticipates its bar line by a hair belongs to the bar.
    early = notes["onset_tick"] + TICKS_PER_UNIT
    lines = []
    for i, (meter, stop) in enumerate(stretches):
        since = i
        while since > 0 and _goes_with(*stretches[since - 1], meter):
            since -= 1
        first, last = np.searchsorted(early, [stretches[since][0].tick if since else 0, stop or _FAR])
        own = int(np.searchsorted(early, meter.tick)) if meter.tick else 0
        chosen = notes[first:last]
        if last <= own or len(chosen) < 2:
            continue
        shift = grid_shift(chosen["onset_tick"].astype(np.int64) - meter.tick)
        units = snap((chosen["onset_tick"] - meter.tick - shift) / TICKS_PER_UNIT)
        keep = np.concatenate([[True], np.diff(units) > 0])
        own = int(keep[: own - first].sum())
        if keep.sum() >= 2:
            lines.append(_line(chosen[keep], units[keep], own, meter, stop, key, style, shift))
    return lines


def grid_shift(ticks: np.ndarray) -> int:
    """Ticks by which onsets (ticks from a bar line) stand behind the sixteenths of the file, all alike.

    0 where they are on it, or are too few or too scattered to tell. Recordings that were given a tempo
    afterwards stand so, and their sixteenths would be taken for triplets.
    """
    step = 3 * TICKS_PER_UNIT
    mean = np.exp(2j * np.pi * ticks / step).mean()
    shift = round(float(np.angle(mean)) / (2 * np.pi) * step)
    tells = len(ticks) >= _LEAST_NOTES and abs(mean) >= _GATHERED and abs(shift) >= TICKS_PER_UNIT // 2
    return shift if tells else 0


def _stretches(score: Score) -> list[tuple[Meter, int | None]]:
    """The meters with the tick at which each ends. A meter of one beat says nothing: four are assumed."""
    meters = [m if m.numerator > 1 else replace(m, numerator=4) for m in meters_from_zero(score)]
    return list(zip(meters, [*(m.tick for m in meters[1:]), None], strict=True))


def _goes_with(meter: Meter, stop: int, later: Meter) -> bool:
    """Whether a stretch is of the same music as a later one: in the same meter, or one odd bar."""
    same = (meter.numerator, meter.denominator) == (later.numerator, later.denominator)
    return same or stop - meter.tick <= later.bar_ticks


def _line(
    notes: np.ndarray,
    units: np.ndarray,
    own: int,
    meter: Meter,
    stop: int | None,
    key: dict,
    style: str | None,
    shift: int,
) -> Line:
    bar = max(meter.bar_ticks // TICKS_PER_UNIT, 1)
    onset_tick = notes["onset_tick"].astype(np.int64)
    end_tick = onset_tick + notes["duration_tick"]
    length = np.round((end_tick - meter.tick - shift) / TICKS_PER_UNIT).astype(np.int64)
    length = np.maximum(length - units, 1)
    pitch = notes["pitch"].astype(np.int64)
    setting = Setting(
        reference_tonic(int(key["tonic"]), pitch),
        key["mode"] == "minor",
        (meter.numerator, meter.denominator),
        style,
        first_bar(int(units[0]), bar),
    )
    velocity = notes["velocity"].astype(np.int64)
    return Line(setting, meter, stop, own, units, length, pitch, velocity, onset_tick, end_tick, shift)


def units_of(line: Line, notes: np.ndarray) -> np.ndarray:
    """Where the notes of a NOTE array begin, in units of the line's stretch; int64, of the same shape."""
    return snap((notes["onset_tick"].astype(np.int64) - line.zero_tick) / TICKS_PER_UNIT)


def silences(line: Line, least: int) -> np.ndarray:
    """Indices of the notes that are followed by at least `least` units of silence and a note of the
    stretch.
    """
    gap = line.onset[1:] - np.minimum(line.onset[:-1] + line.length[:-1], line.onset[1:])
    found = np.flatnonzero(gap >= max(least, SHORT_REST))
    return found[found + 1 >= line.own]
