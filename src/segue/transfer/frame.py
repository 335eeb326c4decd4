"""The beats and bars of the music, where those of its file are not: recordings over a grid nobody played to.

A file whose beats lie elsewhere is moved by a constant, so that the music's beats come on the file's. A file
in 1/4 counts beats and tells no bars; they are found by the chords, as chords mostly change on bar lines and
the longer ones begin there. All other meters are believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segue.beats import beat_grid, phase_of
from segue.chords import Chord, chords_of_record
from segue.score import TICKS_PER_QUARTER, Meter, Score, meters_from_zero
from segue.stage import Record
from segue.transfer.ensemble import join
from segue.transfer.paths import steadiest_path

#: How far beside the beat a chord that changes on it may begin, in beats.
_ON_BEAT = 1 / 16
#: A chord speaks for a bar line by its length in beats, up to the longest; a bar cut short has to gain this.
_LONGEST, _CUT = 8.0, 12.0
#: Beats of a bar that are tried.
_BARS = (4, 3)


def late_beat(score: Score, notes: np.ndarray, starts: np.ndarray) -> int:
    """How many ticks after the file's beats the beats of `notes` (a NOTE array) come; 0 where they agree, and
    where chords, which begin at `starts` (chords, may be none), mostly change on other beats.
    """
    grid = beat_grid(score, max(score.last_tick, 1))
    length = int(np.median(np.diff(grid.ticks)))
    late = round(phase_of(notes, grid) * length)
    beside = (starts - late + length // 2) % length - length // 2
    return 0 if len(starts) and np.mean(np.abs(beside) <= _ON_BEAT * length) <= 0.5 else late


def later(notes: np.ndarray, ticks: int) -> np.ndarray:
    """The notes (a NOTE array) so many ticks later; none before tick 0."""
    notes = notes.copy()
    notes["onset_tick"] = np.maximum(notes["onset_tick"].astype(np.int64) + ticks, 0)
    return notes


def on_its_beats(score: Score, record: Record) -> tuple[Score, Record, int]:
    """The piece with the beats of its music on those of the file, and its bars, as far as its chords tell
    them: score and record, all notes, chords and keys moved, and how many ticks they came late.
    """
    starts, chords = chords_of_record(record)
    notes = join([t.notes for t in score.tracks if not t.is_drum])
    late = late_beat(score, notes, starts)
    if late:
        score = replace(score, tracks=tuple(t.with_notes(later(t.notes, -late)) for t in score.tracks))
        moved = {name: _sooner(record[name], late) for name in ("chords", "keys") if record.get(name)}
        record = {**record, **moved}
    return with_bars(score, np.maximum(starts - late, 0), chords), record, late


def _sooner(entries: Sequence[Mapping[str, Any]], ticks: int) -> list[dict[str, Any]]:
    """Entries of a record so many ticks sooner; none before tick 0."""
    return [{**entry, "tick": max(entry["tick"] - ticks, 0)} for entry in entries]


def with_bars(score: Score, starts: np.ndarray, chords: Sequence[Chord]) -> Score:
    """The score with the bars that its chords, which begin at `starts` (chords,), tell, if it is in 1/4."""
    written = meters_from_zero(score)
    if not chords or any((m.numerator, m.denominator) != (1, 4) for m in written):
        return score
    sounds = np.array([c.is_chord for c in chords], bool)
    beat = np.round(starts / TICKS_PER_QUARTER).astype(np.int64)
    length = np.diff(np.append(starts, max(score.last_tick, int(starts.max(initial=0))))) / TICKS_PER_QUARTER
    beat, weight = beat[sounds], np.clip(length, 0, _LONGEST)[sounds]
    size, places = max(((n, *_bar_places(beat, weight, n)) for n in _BARS), key=lambda found: found[2])[:2]
    meters = [Meter(0, int(places[0]), 4)] if len(places) and places[0] else []
    for i, place in enumerate(places.tolist()):
        if i == 0 or place != places[i - 1]:
            first = int(beat[i] + (place - beat[i]) % size) if i else place
            meters.append(Meter(first * TICKS_PER_QUARTER, size, 4))
    return replace(score, meters=tuple(meters or [Meter(0, size, 4)]))


def _bar_places(beat: np.ndarray, weight: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """On which beat of `size`, counted from the file's first, bars begin at each chord, int64 (chords,), and
    how much speaks for it: the best path over the chords, which pays for every cut.
    """
    said = np.zeros((len(beat), size))
    said[np.arange(len(beat)), beat % size] = weight
    return steadiest_path(said, _CUT)
