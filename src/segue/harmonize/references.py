"""Chords and keys that people wrote, in a piece or beside it: what harmonize is held against.

Conventions
-----------
- Beside `tune.mid` lie `tune.lab` for its chords and `tune.key.lab` for its keys, or both as in POP909:
  `chord_midi.txt` and `key_audio.txt` in a folder that has the piece's name. Each line is `start end label`,
  seconds from the start of the music; `#` begins a comment. Chords are in Harte notation (`A:min7/b3`, `N`
  for no chord, `X` for unknown), keys `Gb:maj`, `E:minor` or `E minor`.
- `beat_midi.txt` of POP909 tells where the beats and bars are in a file that was not written to its own:
  seconds and two flags, the second one 1 where a bar begins.
- Without such a file the chord symbols that the piece itself carries are its chords; each holds until the
  next one, the last to the end. Key signatures are not taken for keys: most files have one that nobody chose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from segue.chords import Chord, chords_of_record, parse_chord, pitch_class
from segue.score import (
    TICKS_PER_QUARTER,
    Meter,
    Score,
    Tempo,
    Track,
    no_controls,
    seconds_from_ticks,
    sort_notes,
    ticks_from_seconds,
)
from segue.stage import Record, StageError

_KEY = re.compile(r"([A-G][#b]*)[:\s]*(maj|major|min|minor|m|)", re.IGNORECASE)
_UNKNOWN = "X"


@dataclass(frozen=True)
class Spans:
    """Labels between ticks: `start` and `stop` float64, shape (n,), and as many values."""

    start: np.ndarray
    stop: np.ndarray
    values: tuple

    def at_beats(self, ticks: np.ndarray, fill: bool = False) -> list:
        """The value that covers most of each beat; None where none does, or the nearest one with `fill`."""
        if not len(self.values):
            return [None] * (len(ticks) - 1)
        found = []
        for begin, end in pairwise(ticks.tolist()):
            overlap = np.minimum(self.stop, end) - np.maximum(self.start, begin)
            best = int(overlap.argmax())
            found.append(self.values[best] if fill or overlap[best] > 0 else None)
        return found


@dataclass(frozen=True)
class Reference:
    """Chords (None: unknown) and, where they are known, keys (classes 0..23) of a piece.

    `unread` are labels that are no chord; they count as unknown.
    """

    chords: Spans
    keys: Spans | None
    source: str
    unread: tuple[str, ...] = ()


def find_reference(path: Path, score: Score, record: Record) -> Reference | None:
    """What is known of the piece at `path`, None where nothing is.

    Raises `StageError` where a file of annotations cannot be read, or the chords are harmonize's own.
    """
    keys = _keys_beside(path, score)
    beside = _beside(path, ".lab", "chord_midi.txt")
    if beside:
        rows = [(row, _chord(row.label)) for row in _rows(beside)]
        unread = [row.label for row, chord in rows if chord is None and row.label != _UNKNOWN]
        chords = _spans(score, [row for row, _ in rows], [chord for _, chord in rows])
        return Reference(chords, keys, beside.name, tuple(dict.fromkeys(unread)))
    if not record.get("chords"):
        return None
    if "harmonize" in record.get("stages", {}):
        raise StageError("its chord symbols are harmonize's own; measure the file that went in")
    starts, found = chords_of_record(record)
    stops = np.append(starts[1:], max(score.last_tick, int(starts[-1]) + 1) if len(starts) else [])
    chords = Spans(starts.astype(float), stops.astype(float), tuple(found))
    return Reference(chords, keys, "chord symbols")


def on_its_beats(path: Path, score: Score) -> Score | None:
    """The notes of the piece at `path` on the beats that people heard; None where nothing tells them.

    Every beat is a quarter then, and the tempos keep each note at its second.
    """
    beside = _beside(path, "", "beat_midi.txt")
    if beside is None:
        return None
    # Some of POP909's lines run into the next one, so of the last flag only the first digit counts.
    rows = [line.split() for line in _lines(beside) if line.strip()]
    try:
        seconds = np.array([float(row[0]) for row in rows])
        downbeat = np.array([row[2].startswith("1") for row in rows])
    except (ValueError, IndexError) as error:
        raise StageError(f"{beside.name} is no list of beats: seconds and two flags in a line") from error
    if len(seconds) < 2 or seconds[0] < 0 or (np.diff(seconds) <= 0).any():
        raise StageError(f"the beats of {beside.name} do not follow each other")
    # Whole beats fill the time before the first one, so that second 0 stays tick 0.
    length = np.diff(seconds)
    before = round(float(seconds[0] / length[0])) or int(seconds[0] > 0)
    length = np.concatenate([np.full(before, seconds[0] / max(before, 1)), length])
    tempos = tuple(
        Tempo(i * TICKS_PER_QUARTER, max(round(float(each) * 1e6), 1)) for i, each in enumerate(length)
    )
    bare = Score(tempos=tempos, meters=_meters(before + np.flatnonzero(downbeat)))
    return replace(bare, tracks=tuple(_moved(track, score, bare) for track in score.tracks))


def _meters(bars: np.ndarray) -> tuple[Meter, ...]:
    """Meters of bars that begin at these beats, the first ones after a pickup; 1/4 where none does."""
    if not len(bars):
        return (Meter(0, 1, 4),)
    counts = np.append(np.diff(bars), 4)
    if len(bars) > 1:
        counts[-1] = counts[-2]
    first, full = int(bars[0]), int(counts[0])
    found = [(0, first % full)] if first % full else []
    found += [(first % full, full)] if first >= full else []
    found += zip(bars.tolist(), counts.tolist(), strict=True)
    kept = [pair for i, pair in enumerate(found) if not i or pair[1] != found[i - 1][1]]
    return tuple(Meter(beat * TICKS_PER_QUARTER, count, 4) for beat, count in kept)


def _moved(track: Track, was: Score, now: Score) -> Track:
    """The notes of the track at the same seconds of another score."""
    start = track.notes["onset_tick"].astype(np.int64)
    begin, end = (
        np.rint(ticks_from_seconds(now, seconds_from_ticks(was, ticks))).astype(np.int64)
        for ticks in (start, start + track.notes["duration_tick"])
    )
    notes = track.notes.copy()
    notes["onset_tick"], notes["duration_tick"] = begin, np.maximum(end - begin, 1)
    return replace(track, notes=sort_notes(notes), controls=no_controls(), texts=(), sysex=())


@dataclass(frozen=True)
class _Row:
    start_s: float
    end_s: float
    label: str


def _beside(path: Path, ending: str, in_folder: str) -> Path | None:
    """The file of annotations that belongs to the piece, the one with its own name first."""
    own = path.with_name(path.stem + ending)
    shared = path.with_name(in_folder)
    named_alike = Path(os.path.abspath(path)).parent.name == path.stem
    places = ((own, bool(ending)), (shared, named_alike))
    return next((place for place, counts in places if counts and place.is_file()), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StageError(f"{path.name} is no text in UTF-8") from error


def _rows(path: Path) -> list[_Row]:
    rows = []
    for number, line in enumerate(_lines(path), 1):
        # A sharp is no comment: one begins a line or follows a space.
        text = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not text:
            continue
        parts = text.split(None, 2)
        try:
            row = _Row(float(parts[0]), float(parts[1]), parts[2])
        except (ValueError, IndexError) as error:
            what = "write start, end (seconds) and label"
            raise StageError(f"{path.name}, line {number}: {text!r} cannot be read; {what}") from error
        if not 0 <= row.start_s <= row.end_s < np.inf:
            raise StageError(f"{path.name}, line {number}: {text!r} ends before it begins")
        rows.append(row)
    if not rows:
        raise StageError(f"{path.name} is empty")
    return rows


def _spans(score: Score, rows: Sequence[_Row], values: Sequence) -> Spans:
    start, stop = (
        ticks_from_seconds(score, np.array(times))
        for times in ([r.start_s for r in rows], [r.end_s for r in rows])
    )
    return Spans(start, stop, tuple(values))


def _chord(label: str) -> Chord | None:
    return None if label == _UNKNOWN else parse_chord(label)


def _keys_beside(path: Path, score: Score) -> Spans | None:
    beside = _beside(path, ".key.lab", "key_audio.txt")
    if beside is None:
        return None
    rows = _rows(beside)
    return _spans(score, rows, [_key_class(row.label, beside.name) for row in rows])


def _key_class(label: str, name: str) -> int:
    found = _KEY.fullmatch(label.strip())
    if not found:
        raise StageError(f"{name}: {label!r} is no key; write it as Gb:maj or E:minor")
    root = found[1][0].upper() + found[1][1:]
    # "Am" is A minor, "AM" is not.
    minor = found[2].lower().startswith("min") or found[2] == "m"
    return pitch_class(root) + (12 if minor else 0)
