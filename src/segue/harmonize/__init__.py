"""Harmonize: find the chords of a piece, write them as chord symbols, and play them where nothing else does.

`encoding` turns notes into what the model hears, `decode` turns its answer into chords. `accompany` adds the
tracks that play them: `voicing` and `styles` one of chords, `topline` and `satb` four voices,
`walking` a bass.

`sheet`, `note_values` and `lead_sheet` write a lead sheet where one is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.beats import Grid, beat_grid, phase_of, shift_grid
from segue.chords import NO_CHORD, NO_CHORD_CLASS, Chord, nearest_majmin_class, parse_chord
from segue.harmonize.accompany import chord_tracks, record_entry
from segue.harmonize.decode import Hearing, Progression, find_classes, find_colours, hear
from segue.harmonize.encoding import encode, scale_of
from segue.harmonize.voicing import Span
from segue.ingest.chords import chord_markers
from segue.ingest.key import Key, key_of_signature
from segue.runtime import Model
from segue.score import DEFAULT_TEMPO_US, MARKER, Score, Tempo, Text, no_notes
from segue.stage import Record, Settings, StageResult

#: Complete hears chords through this stage: what changes here without another model raises its VERSION, too.
VERSION = 2


@dataclass(frozen=True)
class Symbol:
    """A chord from a tick on, as it is written."""

    tick: int
    chord: Chord
    label: str


@dataclass(frozen=True)
class _Parts:
    """The notes that are heard: the melody, and everything else that has pitch (NOTE arrays)."""

    melody: np.ndarray
    accompaniment: np.ndarray

    @property
    def first_tick(self) -> int:
        return min(int(p["onset_tick"].min()) for p in (self.melody, self.accompaniment) if len(p))

    @property
    def last_tick(self) -> int:
        parts = [p for p in (self.melody, self.accompaniment) if len(p)]
        return max(int((p["onset_tick"].astype(np.int64) + p["duration_tick"]).max()) for p in parts)


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The score with chord symbols and, where it is wanted, a chord track. Only a walking bass is drawn."""
    parts = _parts(score, record)
    if not len(parts.melody) and not len(parts.accompaniment):
        reason = "there are no pitched notes, so there is nothing to harmonize"
        return StageResult(
            score, {"found": {"chords": 0}, "changed": {"chords": 0, "notes": 0}, "reason": reason}
        )
    existing = _existing(score, record)
    kept = existing if settings["existing"] == "keep" else []
    grid, phase = _grid(score, parts, follow=not kept)
    report: dict[str, Any] = {
        "found": {
            "beats": len(grid),
            "melody_notes": len(parts.melody),
            "accompaniment_notes": len(parts.accompaniment),
            "existing_chords": len(existing),
        },
        "changed": {},
        "skipped": [],
    }
    if phase:
        reason = "the notes do not lie on the file's beats, so the chords follow the notes"
        report["grid"] = {"moved_beats": round(phase, 3), "reason": reason}
    changes: dict[str, Any] = {}
    found: list[Symbol] = []
    first = _first_beat(parts, grid)
    if kept and kept[0].tick <= grid.ticks[first]:
        reason = "the file has chord symbols from the start on; they were kept"
        report["skipped"].append({"chords": len(kept), "reason": reason})
    else:
        hearing = _heard(models["harmony"], parts, grid)
        key = changes["key"] = _key(hearing, score, record)
        size, sevenths = settings["grid"], settings["seventh_chords"]
        found = _find(hearing, grid, first, kept, models["harmony"], size, sevenths, key)
    symbols = [*found, *kept]
    harmonized = _with_symbols(score, found, [] if kept else existing)
    report["changed"] = {"chords": len(found), "removed_chords": 0 if kept else len(existing), "notes": 0}
    changes["chords"] = [{"tick": s.tick, "label": s.label} for s in symbols]
    reason = _no_track_reason(parts, symbols, settings["track"])
    if reason:
        report["skipped"].append({"track": "chords", "reason": reason})
    else:
        spans = _spans(symbols, int(grid.ticks[-1]))
        tracks, report["track"] = chord_tracks(score, spans, parts.melody, grid, settings, seed)
        harmonized = replace(harmonized, tracks=(*harmonized.tracks, *tracks))
        changes["tracks"] = [*record.get("tracks", []), *map(record_entry, tracks)]
        report["changed"]["notes"] = report["track"]["notes"]
    files: dict[str, bytes] = {}
    if settings["lead_sheet"]:
        key = changes.get("key", record.get("key"))
        files, report["lead_sheet"] = _lead_sheet(score, record, key, symbols, parts)
    return StageResult(harmonized, report, changes, files)


def hear_chords(score: Score, record: Record, model: Model) -> list[Symbol]:
    """The chords that are heard in a piece, whatever symbols it has: `grid: auto`, with sevenths."""
    heard = listen(score, record, model)
    if heard is None:
        return []
    grid, hearing = heard
    key = _key(hearing, score, record)
    return _find(hearing, grid, _first_beat(_parts(score, record), grid), [], model, "auto", True, key)


def listen(score: Score, record: Record, model: Model) -> tuple[Grid, Hearing] | None:
    """The beats that the stage hears a piece in, and what the model says of them before anything is decided.

    None for a piece without pitched notes.
    """
    parts = _parts(score, record)
    if not len(parts.melody) and not len(parts.accompaniment):
        return None
    grid, _ = _grid(score, parts, follow=True)
    return grid, _heard(model, parts, grid)


def _grid(score: Score, parts: _Parts, follow: bool) -> tuple[Grid, float]:
    """The beats that chords may change on, and by how many beats they were moved to `follow` the notes."""
    grid = beat_grid(score, parts.last_tick)
    phase = phase_of(np.concatenate([parts.melody, parts.accompaniment]), grid) if follow else 0.0
    return (shift_grid(grid, phase) if phase else grid), phase


def _heard(model: Model, parts: _Parts, grid: Grid) -> Hearing:
    features = encode(parts.melody, parts.accompaniment, grid)
    return hear(model, features, scale_of(features))


def _parts(score: Score, record: Record) -> _Parts:
    """The notes by the roles of the record; a track without a role counts by its channel."""
    roles = [entry.get("role") for entry in record.get("tracks", [])]
    roles += [None] * (len(score.tracks) - len(roles))
    melody, others = [no_notes()], [no_notes()]
    for track, role in zip(score.tracks, roles, strict=False):
        if not track.is_drum and role != "drums":
            (melody if role == "melody" else others).append(track.notes)
    return _Parts(np.concatenate(melody), np.concatenate(others))


def _existing(score: Score, record: Record) -> list[Symbol]:
    """The chord symbols among the markers, by tick. The record says which markers are; else they are read."""
    if "chords" in record:
        wanted = {(int(entry["tick"]), entry["label"]) for entry in record["chords"]}
        texts = [t for t in score.markers() if (t.tick, t.text.strip()) in wanted]
    else:
        texts = chord_markers(score)
    symbols = [Symbol(t.tick, c, t.text.strip()) for t in texts if (c := parse_chord(t.text)) is not None]
    return sorted(symbols, key=lambda s: s.tick)


def _key(hearing: Hearing, score: Score, record: Record) -> dict[str, Any]:
    """The key that the model hears, or the record's where a key signature of the file agrees with that."""
    given = record.get("key")
    written = {key_of_signature(signature) for signature in score.keys}
    if given and Key(given["tonic"], given["mode"]) in written:
        return dict(given)
    heard = int(hearing.key.argmax())
    key = Key(heard % 12, "minor" if heard >= 12 else "major")
    return {"tonic": key.tonic, "mode": key.mode, "name": key.name}


def _first_beat(parts: _Parts, grid: Grid) -> int:
    """The beat in which the first note begins: there is no chord before it."""
    return max(int(np.searchsorted(grid.ticks, parts.first_tick, "right")) - 1, 0)


def _find(
    hearing: Hearing,
    grid: Grid,
    first: int,
    kept: list[Symbol],
    model: Model,
    size: str,
    sevenths: bool,
    key: Mapping[str, Any],
) -> list[Symbol]:
    """New chord symbols, one where the chord changes, up to the first kept one."""
    fixed = np.full(len(grid), -1)
    fixed[:first] = NO_CHORD_CLASS
    for symbol, stop in zip(kept, _stops(kept, int(grid.ticks[-1])), strict=True):
        inside = (grid.ticks[:-1] >= symbol.tick) & (grid.ticks[:-1] < stop)
        fixed[inside] = nearest_majmin_class(symbol.chord)
    progression = Progression.from_card(model.card["progression"])
    classes = find_classes(hearing, grid, progression, size, fixed)
    chords = find_colours(classes, hearing, grid, size, sevenths)
    end = kept[0].tick if kept else grid.ticks[-1]
    symbols: list[Symbol] = []
    last = NO_CHORD
    for tick, chord in zip(grid.ticks[:-1].tolist(), chords, strict=True):
        if tick < end and chord != last:
            symbols.append(Symbol(tick, chord, chord.symbol(key)))
            last = chord
    return symbols


def _with_symbols(score: Score, found: list[Symbol], removed: list[Symbol]) -> Score:
    """The score with new markers, behind those that are there already, and without the removed ones."""
    gone = {(s.tick, s.label) for s in removed}
    texts = [t for t in score.texts if t.kind != MARKER or (t.tick, t.text.strip()) not in gone]
    texts += [Text(s.tick, MARKER, s.label) for s in found]
    return replace(score, texts=tuple(sorted(texts, key=lambda t: t.tick)))


def _no_track_reason(parts: _Parts, symbols: list[Symbol], track: str) -> str | None:
    """Why no chord track is added, or None when one is."""
    if track == "never":
        return "track is never"
    if not any(s.chord.is_chord for s in symbols):
        return "no chord was found to play"
    if track == "auto" and len(parts.accompaniment):
        return "the piece has an accompaniment; set track: always to add one"
    return None


def _spans(symbols: list[Symbol], end: int) -> list[Span]:
    """The chords with the ticks between which they sound; the last one sounds to `end`."""
    pairs = zip(symbols, _stops(symbols, end), strict=True)
    return [Span(s.chord, s.tick, stop) for s, stop in pairs if s.chord.is_chord and stop > s.tick]


def _lead_sheet(
    score: Score, record: Record, key: dict[str, Any] | None, symbols: list[Symbol], parts: _Parts
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the piece's lead sheet, and what the report says of it."""
    # Complete hears through this package, so what is made of complete's parts is not imported above.
    from segue.complete.line import melody_track
    from segue.harmonize.lead_sheet import lead_sheet, title_of
    from segue.harmonize.sheet import chords_text, make_sheet

    track, reason = melody_track(score, record, "auto")
    notes = no_notes() if track is None else score.tracks[track].notes
    last = max(int(p["onset_tick"].max()) for p in (parts.melody, parts.accompaniment) if len(p))
    sheet = make_sheet(score, notes, [(s.tick, s.chord) for s in symbols], last)
    key = key or {"tonic": 0, "mode": "major", "name": "C major"}
    tempo = score.tempos[0] if score.tempos else Tempo(0, DEFAULT_TEMPO_US)
    files = {
        "harmonize-sheet.musicxml": lead_sheet(sheet, key, title_of(record.get("id", "")), tempo).encode(),
        "harmonize-chords.txt": chords_text(sheet, key).encode(),
    }
    report: dict[str, Any] = {"bars": len(sheet.bars), "notes": len(sheet.notes), "chords": len(sheet.chords)}
    if reason:
        report["reason"] = f"the lead sheet has chords alone, for {reason}"
    return files, report


def _stops(symbols: list[Symbol], end: int) -> list[int]:
    """The tick up to which each symbol holds."""
    return [*(s.tick for s in symbols[1:]), end][: len(symbols)]
