"""How near the stage's chords come to the chords that people wrote, on a folder of pieces, beside floors.

Conventions
-----------
- Beats are those that the stage hears in all notes of the piece; what a beat is labelled is what covers most
  of it. Beats that the reference says nothing of are not counted.
- The stage gets the notes without key signatures, texts and chord symbols: of the melody's track alone, and
  of all tracks where there is more than that. It does everything else as it always does.
- *24 + N*: what is predicted is reduced to the nearest of 24 triads and no chord, the reference as
  `mir_eval.chord.majmin` has it. The other chord columns compare what is written (`segue.metrics.harmony`).
- A piece's key is the one that holds for most of its beats; local keys are compared by the beat.
- Intervals are 95 % bootstrap intervals over pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
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
    nearest_majmin_class,
)
from segue.complete.line import melody_track
from segue.harmonize import apply, floors, listen
from segue.harmonize.references import Reference, Spans, find_reference
from segue.ingest.key import find_key
from segue.metrics import harmony as metrics
from segue.metrics.bootstrap import interval_of_ratio
from segue.runtime import Model
from segue.score import Score, no_notes
from segue.stage import Record, Settings, StageError

MELODY, ALL, HUMAN = "melody alone", "all notes", "human chords"
#: What the stage is not asked for: only its chords are measured.
_CHORDS_ALONE = {"track": "never", "existing": "replace", "lead_sheet": False, "figures": False}


@dataclass(frozen=True)
class Answer:
    """What is said of a piece's beats: chords, log probabilities (beats, 25), its key and keys by beat."""

    chords: list[Chord] | None = None
    log_p: np.ndarray | None = None
    key: int | None = None
    keys: np.ndarray | None = None


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


@dataclass(frozen=True)
class HarmonyTable:
    """Rows by part of the table and name, and what is to be said of them."""

    parts: dict[str, dict[str, dict[str, Any]]]
    notes: list[str] = field(default_factory=list)


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
    reference = find_reference(path, score, record)
    wanted = {**settings, **{k: v for k, v in _CHORDS_ALONE.items() if k in settings}}
    pitched = [i for i, t in enumerate(score.tracks) if len(t.notes) and not t.is_drum]
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
    return Piece(name, grid, melody, answers, truth, reference.unread if reference else ())


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
    return Answer([c or NO_CHORD for c in by_beat], log_p, key, _keys_by_beat(made, key, grid))


def _class_of(key: Mapping[str, Any]) -> int:
    return int(key["tonic"]) + (12 if key["mode"] == "minor" else 0)


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
    alone = floors.note_chroma(melody, no_notes(), grid.ticks)
    everything = floors.note_chroma(melody, others, grid.ticks)
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


def harmony_table(pieces: Sequence[Piece]) -> HarmonyTable:
    """The table over at least one piece: those with a reference, and the others by themselves."""
    known = [piece for piece in pieces if piece.truth is not None]
    others = [piece for piece in pieces if piece.truth is None]
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    notes = []
    if known:
        order = dict.fromkeys(name for piece in known for name in piece.answers)
        ranked = sorted(order, key=lambda name: (name.startswith("floor"), name != MELODY))
        parts["chords"] = {name: chord_figures(known, name) for name in ranked}
        parts["chords"][HUMAN] = _human_changes(known)
        parts["chords and melody"] = _quality_rows(known, [MELODY, ALL, HUMAN])
        keys = sum(piece.truth.key >= 0 for piece in known)
        notes.append(f"{_count(known)} with chords of their own, {keys} of them with keys")
    if others:
        heading = "chords and melody" if not known else "without a reference"
        parts[heading] = _quality_rows(others, [MELODY, ALL])
        notes.append(f"{_count(others)} without chords of their own, so nothing says what is right")
    unread = dict.fromkeys(label for piece in known for label in piece.unread)
    if unread:
        notes.append(f"labels that are no chord and not counted: {', '.join(unread)}")
    return HarmonyTable(parts, notes)


def _count(pieces: Sequence[Piece]) -> str:
    return f"{len(pieces)} piece" + "s" * (len(pieces) != 1)


def chord_figures(pieces: Sequence[Piece], name: str) -> dict[str, Any]:
    """The figures of one row over the pieces that have it, shares in 0..1; what is unknown is left out."""
    found = [(p, p.truth, p.answers[name]) for p in pieces if p.truth and name in p.answers]
    figures: dict[str, Any] = {"pieces": len(found)}
    spoken = [(p, t, a) for p, t, a in found if a.chords is not None]
    if spoken:
        truth = [t.classes for _, t, _ in spoken]
        guess = [np.array([nearest_majmin_class(c) for c in a.chords]) for _, _, a in spoken]
        right = np.array([((t == g) & (t >= 0)).sum() for t, g in zip(truth, guess, strict=True)])
        counted = np.array([(t >= 0).sum() for t in truth])
        figures |= {"beats": int(counted.sum()), "changes": _changes([(p, a.chords) for p, _, a in spoken])}
        if counted.any():
            figures |= {"accuracy": right.sum() / counted.sum(), "interval": _interval(right, counted)}
        labels = [label for _, t, _ in spoken for label in t.labels]
        written = [chord.harte() for _, _, a in spoken for chord in a.chords]
        for reduction in ("sevenths", "majmin_inv", "sevenths_inv"):
            figures[reduction] = metrics.reduced_accuracy(labels, written, reduction)[0]
    heard = [(t.classes, a.log_p) for _, t, a in found if a.log_p is not None]
    if heard:
        classes, log_p = (np.concatenate(both) for both in zip(*heard, strict=True))
        figures["nll"] = metrics.negative_log_likelihood(classes, log_p)
    keyed = [(t, a) for _, t, a in found if t.key >= 0 and a.key is not None]
    if keyed:
        keys = metrics.key_scores([t.key for t, _ in keyed], [a.key for _, a in keyed])
        figures["key_weighted"], figures["key"] = keys
        truth, guess = (np.concatenate(x) for x in ([t.keys for t, _ in keyed], [a.keys for _, a in keyed]))
        figures["local_key"] = metrics.key_scores(truth, guess)[1]
    return {k: v for k, v in figures.items() if not isinstance(v, float) or np.isfinite(v)}


def _interval(right: np.ndarray, counted: np.ndarray) -> tuple[float, float]:
    """Pieces without a counted beat say nothing, and a draw of them alone would be no number."""
    return interval_of_ratio(right[counted > 0], counted[counted > 0])


def _changes(spoken: Sequence[tuple[Piece, list[Chord]]]) -> float:
    """Changes of chord a bar; bars of one beat tell nothing of the meter and count as quarters of one."""
    changes = sum(sum(a != b for a, b in pairwise(chords)) for _, chords in spoken)
    beats = [np.where(piece.grid.count > 1, piece.grid.count, 4) for piece, _ in spoken]
    return changes / max(float(sum((1 / count).sum() for count in beats)), 1e-9)


def _human_changes(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {"pieces": len(pieces), "changes": _changes([(p, p.truth.chords) for p in pieces if p.truth])}


def _quality_rows(pieces: Sequence[Piece], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = {}
    for name in names:
        of = [(p, _chords_of(p, name)) for p in pieces]
        found = [metrics.quality(*p.melody, chords) for p, chords in of if chords is not None]
        if found:
            mean = metrics.mean_quality(found)
            rows[name] = {"pieces": len(found), **{k: v for k, v in mean.items() if np.isfinite(v)}}
    return rows


def _chords_of(piece: Piece, name: str) -> list[Chord] | None:
    if name == HUMAN:
        return piece.truth.chords if piece.truth else None
    return piece.answers[name].chords if name in piece.answers else None


def _percent(value: float) -> str:
    return format(100 * value, ".2f")


def _range(value: tuple[float, float]) -> str:
    return f"{_percent(value[0])} to {_percent(value[1])}"


def _three(value: float) -> str:
    return format(value, ".3f")


def _whole(value: float) -> str:
    return format(value, ",")


_Columns = dict[str, tuple[str, Callable[[Any], str]]]
_CHORD_COLUMNS: _Columns = {
    "pieces": ("pieces", _whole),
    "beats": ("beats", _whole),
    "24+N %": ("accuracy", _percent),
    "95 % interval": ("interval", _range),
    "7ths %": ("sevenths", _percent),
    "24+N inv": ("majmin_inv", _percent),
    "7ths inv": ("sevenths_inv", _percent),
    "NLL": ("nll", _three),
    "key %": ("key", _percent),
    "weighted": ("key_weighted", _percent),
    "local %": ("local_key", _percent),
    "changes": ("changes", lambda value: format(value, ".2f")),
}
_QUALITY_COLUMNS: _Columns = {
    "pieces": ("pieces", _whole),
    **{name: (name, _three) for name in ("CHE", "CC", "CTD", "CTnCTR", "PCS", "MCTD")},
}


def table_text(table: HarmonyTable) -> str:
    """The table for a terminal: one block a part, one row an approach."""
    blocks = []
    for part, rows in table.parts.items():
        columns = _CHORD_COLUMNS if part == "chords" else _QUALITY_COLUMNS
        cells = [
            [name, *(show(row[key]) if key in row else "-" for key, show in columns.values())]
            for name, row in rows.items()
        ]
        heads = [part, *columns]
        widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
        widths[0] += 2
        lines = [f"{part:{widths[0]}}" + _line(heads[1:], widths[1:])]
        lines += ["  " + f"{row[0]:{widths[0] - 2}}" + _line(row[1:], widths[1:]) for row in cells]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, "\n".join(table.notes)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
