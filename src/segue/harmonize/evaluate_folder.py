"""What the stage makes of pieces whose chords people wrote, beside that and beside what needs no model.

Conventions
-----------
- Beats are those that the stage hears in all notes of the piece; what a beat is labelled is what covers most
  of it. Beats that the reference says nothing of are not counted.
- A piece with a list of its beats beside it is heard on those (`references.on_its_beats`).
- The stage gets the notes without key signatures, texts and chord symbols: of the melody's track alone, and
  of all tracks where there is more than that. A track that the chords were read from is not among them. It
  does everything else as it always does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import (
    NO_CHORD,
    Chord,
    chord_of_majmin_class,
    chords_of_record,
    majmin_class,
)
from segue.complete.line import melody_track
from segue.harmonize import apply, floors, listen
from segue.harmonize.encoding import note_chroma
from segue.harmonize.references import Reference, Spans, find_reference, on_its_beats
from segue.ingest.chord_track import chords_of_tracks
from segue.ingest.chords import TRACK
from segue.ingest.key import Key, class_of_key, find_key
from segue.metrics import harmony as metrics
from segue.runtime import Model
from segue.score import Score, no_notes
from segue.stage import Record, Settings, StageError

MELODY, ALL, HUMAN = "melody alone", "all notes", "human chords"
#: What the stage is not asked for: only its chords are measured.
_CHORDS_ALONE = {"track": "never", "existing": "replace", "lead_sheet": False, "figures": False}


@dataclass(frozen=True)
class Answer:
    """What is said of a piece's beats: chords, log probabilities (beats, 25), its key and keys by beat.

    `heard` is true from the first to the last note that was heard.
    """

    chords: list[Chord] | None = None
    log_p: np.ndarray | None = None
    key: int | None = None
    keys: np.ndarray | None = None
    heard: np.ndarray | None = None


@dataclass(frozen=True)
class Truth:
    """What the reference says: majmin class (-1: not counted) and Harte label by beat; keys, -1 unknown."""

    chords: list[Chord]
    classes: np.ndarray
    labels: list[str]
    keys: np.ndarray

    @property
    def key(self) -> int:
        """The key that holds for most beats, -1 where none is known."""
        known = self.keys[self.keys >= 0]
        return int(np.bincount(known).argmax()) if len(known) else -1


@dataclass(frozen=True)
class Piece:
    """A measured piece: `melody` has onset and duration in beats and pitch, shape (3, notes)."""

    name: str
    grid: Grid
    melody: np.ndarray
    answers: dict[str, Answer]
    truth: Truth | None = None
    unread: tuple[str, ...] = ()
    on_its_beats: bool = False


def harmony_piece(
    name: str,
    path: Path,
    score: Score,
    record: Record,
    settings: Settings,
    models: Mapping[str, Model],
    seed: int,
) -> Piece:
    """What the stage makes of the piece at `path`, and what is known of it.

    Raises `StageError` where it cannot be measured, and why.
    """
    placed = on_its_beats(path, score)
    score = placed or score
    reference = find_reference(path, score, record)
    wanted = {**settings, **{k: v for k, v in _CHORDS_ALONE.items() if k in settings}}
    told = _chord_track(score, record)
    pitched = [i for i, t in enumerate(score.tracks) if len(t.notes) and not t.is_drum and i != told]
    whole, known = _heard(score, record, pitched)
    heard = listen(whole, known, models["harmony"])
    if heard is None:
        raise StageError("there are no pitched notes, so there is nothing to harmonize")
    grid, _ = heard
    lead, _ = melody_track(score, record, "auto")
    sets = {MELODY: [] if lead is None else [lead], ALL: pitched if pitched != [lead] else []}
    answers = {
        row: _answer(*_heard(score, record, tracks), grid, wanted, models, seed)
        for row, tracks in sets.items()
        if tracks
    }
    notes = no_notes() if lead is None else score.tracks[lead].notes
    truth = None if reference is None else _truth(reference, grid)
    if truth is not None:
        others = [score.tracks[i].notes for i in pitched if i != lead]
        answers |= _floors(notes, np.concatenate([no_notes(), *others]), grid, truth)
    melody = metrics.notes_by_beat(notes, grid.ticks)
    return Piece(
        name, grid, melody, answers, truth, reference.unread if reference else (), placed is not None
    )


def _chord_track(score: Score, record: Record) -> int | None:
    """The track whose notes are the piece's chord symbols, where the record says that there is one."""
    if record.get("chords_from") != TRACK:
        return None
    alone = (chords_of_tracks(replace(score, tracks=(track,)))[0] for track in score.tracks)
    return next((i for i, chords in enumerate(alone) if chords), None)


def _heard(score: Score, record: Record, tracks: Sequence[int]) -> tuple[Score, Record]:
    """The tracks without anything that tells of chords or key, and their record as ingest would write it."""
    kept = tuple(replace(score.tracks[i], texts=()) for i in tracks)
    bare = replace(score, tracks=kept, keys=(), texts=())
    entries = record.get("tracks", [])
    key = find_key(bare)
    return bare, {
        **{name: record[name] for name in ("id", "source") if name in record},
        "tracks": [entries[i] if i < len(entries) else {} for i in tracks],
        "key": None if key is None else {"tonic": key.tonic, "mode": key.mode, "name": key.name},
        "chords": [],
        "stages": {},
    }


def _answer(
    score: Score,
    record: Record,
    grid: Grid,
    settings: Settings,
    models: Mapping[str, Model],
    seed: int,
) -> Answer:
    """What the stage says of the beats of `grid` when it hears this score."""
    made = {**record, **apply(score, record, settings, models, seed).record}
    starts, chords = chords_of_record(made)
    stops = np.append(starts[1:], max(int(grid.ticks[-1]), int(starts[-1]) + 1)) if len(starts) else starts
    by_beat = Spans(starts.astype(float), stops.astype(float), tuple(chords)).at_beats(grid.ticks)
    heard = listen(score, record, models["harmony"])
    log_p = None
    if heard is not None:
        own, hearing = heard
        middle = (grid.ticks[:-1] + grid.ticks[1:]) // 2
        log_p = hearing.chord[np.clip(np.searchsorted(own.ticks, middle, "right") - 1, 0, len(own) - 1)]
    key = _class_of(made["key"])
    chords_by_beat = [c or NO_CHORD for c in by_beat]
    return Answer(chords_by_beat, log_p, key, _keys_by_beat(made, key, grid), _span(score, grid))


def _span(score: Score, grid: Grid) -> np.ndarray:
    notes = np.concatenate([track.notes for track in score.tracks if not track.is_drum])
    first = int(notes["onset_tick"].min())
    last = int((notes["onset_tick"].astype(np.int64) + notes["duration_tick"]).max())
    return (grid.ticks[1:] > first) & (grid.ticks[:-1] < last)


def _class_of(key: Mapping[str, Any]) -> int:
    return class_of_key(Key(key["tonic"], key["mode"]))


def _keys_by_beat(record: Record, key: int, grid: Grid) -> np.ndarray:
    """The local keys of the record by beat; its one key where it has no others."""
    entries = sorted(record.get("keys") or (), key=lambda entry: entry["tick"])
    if not entries:
        return np.full(len(grid), key)
    index = np.searchsorted([entry["tick"] for entry in entries], grid.ticks[:-1], "right") - 1
    return np.array([_class_of(entry) for entry in entries])[np.maximum(index, 0)]


def _truth(reference: Reference, grid: Grid) -> Truth:
    chords = reference.chords.at_beats(grid.ticks)
    if all(chord is None for chord in chords):
        raise StageError(f"none of its chords ({reference.source}) lies where the piece has notes")
    keys = np.full(len(grid), -1)
    if reference.keys is not None:
        keys = np.array(reference.keys.at_beats(grid.ticks, fill=True))
    return Truth(
        [c or NO_CHORD for c in chords],
        np.array([-1 if c is None else majmin_class(c) for c in chords]),
        ["X" if c is None else c.harte() for c in chords],
        keys,
    )


def _floors(melody: np.ndarray, others: np.ndarray, grid: Grid, truth: Truth) -> dict[str, Answer]:
    """What needs no model; the first two are told of the truth."""
    alone = note_chroma(melody, no_notes(), grid.ticks)
    everything = note_chroma(melody, others, grid.ticks)
    classes = {"floor: its commonest chord": np.full(len(grid), floors.most_frequent(truth.classes))}
    if (truth.keys >= 0).all():
        classes["floor: tonic, true key given"] = truth.keys
    if len(others):
        classes["floor: triad template, all notes"] = floors.triad_template(everything)
    rows = {
        name: Answer([chord_of_majmin_class(int(c)) for c in by_beat]) for name, by_beat in classes.items()
    }
    if truth.key >= 0:
        sets = {"melody": alone if len(melody) else None, "all notes": everything if len(others) else None}
        for name, chroma in sets.items():
            if chroma is not None:
                key = floors.key_by_profile(chroma.sum(axis=0))
                rows[f"floor: key profile, {name}"] = Answer(key=key, keys=np.full(len(grid), key))
    return rows
