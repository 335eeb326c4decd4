"""Chords and keys that people wrote, in a piece or beside it: what harmonize is held against.

Conventions
-----------
- Beside `tune.mid` lie `tune.lab` for its chords and `tune.key.lab` for its keys, or both as in POP909:
  `chord_midi.txt` and `key_audio.txt` in a folder that has the piece's name. Each line is `start end label`,
  seconds from the start of the music; `#` begins a comment. Chords are in Harte notation (`A:min7/b3`, `N`
  for no chord, `X` for unknown), keys `Gb:maj`, `E:minor` or `E minor`.
- Without such a file the chord symbols that the piece itself carries are its chords; each holds until the
  next one, the last to the end. Key signatures are not taken for keys: most files have one that nobody chose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.chords import Chord, chords_of_record, parse_chord, pitch_class
from segue.score import Score, ticks_from_seconds
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
        overlap = np.minimum(self.stop, ticks[1:, None]) - np.maximum(self.start, ticks[:-1, None])
        best = overlap.argmax(axis=1)
        return [self.values[b] if fill or overlap[i, b] > 0 else None for i, b in enumerate(best)]


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
    return next((p for p, counts in ((own, True), (shared, named_alike)) if counts and p.is_file()), None)


def _rows(path: Path) -> list[_Row]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StageError(f"{path.name} is no text in UTF-8") from error
    rows = []
    for number, line in enumerate(lines, 1):
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
