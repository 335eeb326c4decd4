"""Harmonize: find the chords and keys of a piece, write them, and play the chords where nothing else does.

`listening` gathers what is heard, `encoding` turns it into what the model hears, `decode` turns its answer
into chords, for which `basses` finds the bass, and `keys` into keys. `symbols` are the chords that a file
carries and those that are written, `reharmonize` puts others in their place as far as `consonance` lets it,
`roman` numbers them in their key. `accompany` adds the tracks that play them: `voicing` and `styles` one of
chords, `topline` and `satb` four voices, `walking` a bass; where complete has added an end (`extension`),
they go on to it.

`sheet`, `note_values` and `lead_sheet` write a lead sheet where one is wanted, `pictures` draws the piece.
`references`, `evaluate_folder`, `evaluate_table` and `floors` measure the stage on a folder of pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import Chord
from segue.harmonize.accompany import chord_tracks, record_entry
from segue.harmonize.basses import with_basses
from segue.harmonize.decode import Hearing, Progression, find_classes, find_colours
from segue.harmonize.extension import Extension, accompanist, extension_of, spans_within, unaccompanied
from segue.harmonize.keys import (
    Region,
    find_keys,
    is_clear,
    key_at,
    key_entry,
    main_key,
    with_signatures,
)
from segue.harmonize.listening import Parts, beats_of, heard, listen, parts_of
from segue.harmonize.reharmonize import substitute
from segue.harmonize.symbols import (
    REMOVABLE,
    Symbol,
    as_notes,
    entries,
    fixed_classes,
    holds,
    merge,
    spans_of,
    symbols_of,
    with_symbols,
)
from segue.harmonize.voicing import Span
from segue.runtime import Model
from segue.score import DEFAULT_TEMPO_US, Score, Tempo, no_notes
from segue.stage import Record, Settings, StageResult

#: Complete hears chords through this stage: what changes here without another model raises its VERSION, too.
VERSION = 4

__all__ = ["VERSION", "apply", "hear_chords", "listen"]


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The score with chord symbols, key signatures and, where it is wanted, a chord track.

    Only substitutions and a walking bass are drawn.
    """
    parts = parts_of(score, record)
    if not parts:
        reason = "there are no pitched notes, so there is nothing to harmonize"
        return StageResult(
            score, {"found": {"chords": 0}, "changed": {"chords": 0, "notes": 0}, "reason": reason}
        )
    existing, source = symbols_of(score, record)
    kept = existing if settings["existing"] == "keep" else []
    removed = [] if kept else existing
    grid, phase = beats_of(score, parts, follow=not kept)
    hearing = heard(models["harmony"], parts, grid)
    extension = extension_of(record)
    spans = holds(kept, grid, None if extension is None else extension.start)
    told, hearing_told = parts, hearing
    if kept and not len(parts.accompaniment):
        # The symbols of a lead sheet tell its key as an accompaniment would.
        told = Parts(parts.melody, as_notes(kept, spans, grid))
        hearing_told = heard(models["harmony"], told, grid)
    keys = find_keys(hearing_told, told.chroma(grid), grid, score, record)
    key = key_entry(main_key(keys, parts.first_tick, int(grid.ticks[-1])))
    report: dict[str, Any] = {
        "found": {
            "beats": len(grid),
            "melody_notes": len(parts.melody),
            "accompaniment_notes": len(parts.accompaniment),
            "existing_chords": len(existing),
            "existing_from": source,
            "keys": len(keys),
        },
        "changed": {},
        "skipped": [],
    }
    if phase:
        reason = "the notes do not lie on the file's beats, so the chords follow the notes"
        report["grid"] = {"moved_beats": round(phase, 3), "reason": reason}
    fixed = fixed_classes(kept, spans, parts.first_beat(grid), grid)
    if kept:
        report["skipped"].append(_kept(kept, fixed, grid))
    chords = _decode(hearing, grid, fixed, models["harmony"], settings, parts)
    if settings["inversions"]:
        chords = with_basses(chords, grid, parts.accompaniment, parts.melody)
    symbols, found = merge(chords, grid, kept, spans, keys)
    introduction = parts.introduction_beats(grid)
    if introduction and any(s.tick < int(grid.ticks[introduction]) for s in found):
        reason = "the notes begin late, so chords were found for an introduction, too"
        report["introduction"] = {"beats": introduction, "reason": reason}
    if settings["reharmonize"] > 0:
        symbols, report["reharmonized"] = substitute(symbols, keys, parts, grid, settings, seed)
        report["skipped"] += _not_reharmonized(parts, report["reharmonized"])
        before, now = set(kept), set(symbols)
        found = [s for s in symbols if s not in before]
        removed = [*removed, *(s for s in kept if s not in now)]
    if removed and source not in (None, *REMOVABLE):
        reason = f"the chords that were replaced stand in the file's {source}, too, which were left alone"
        report["skipped"].append({"removed_chords": len(removed), "reason": reason})
    harmonized = with_symbols(score, symbols, removed)
    harmonized, report["key_signatures"] = with_signatures(
        harmonized, keys, settings["key_signatures"], is_clear(keys, hearing_told, grid, parts.first_tick)
    )
    report["changed"] = {"chords": len(found), "removed_chords": len(removed), "notes": 0}
    changes: dict[str, Any] = {
        "key": key,
        "keys": [region.entry for region in keys],
        "chords": entries(symbols, keys),
    }
    end = None if extension is None else unaccompanied(extension, parts, grid)
    sounding = spans_of(symbols, int(grid.ticks[-1]))
    playing, taken_up = settings, {}
    if end is not None and settings["track"] == "auto":
        sounding = spans_within(sounding, end)
        playing, taken_up = _taken_up(score, record, settings, end)
    reason = _no_track_reason(parts, sounding, settings["track"], end is not None)
    if reason:
        report["skipped"].append({"track": "chords", "reason": reason})
    else:
        tracks, report["track"] = chord_tracks(score, sounding, parts.melody, grid, playing, seed)
        report["track"] |= taken_up
        harmonized = replace(harmonized, tracks=(*harmonized.tracks, *tracks))
        changes["tracks"] = [*record.get("tracks", []), *map(record_entry, tracks)]
        report["changed"]["notes"] = report["track"]["notes"]
    files: dict[str, bytes] = {}
    if settings["lead_sheet"]:
        files, report["lead_sheet"] = _lead_sheet(
            score, record, keys, symbols, parts, round(phase * float(np.median(np.diff(grid.ticks))))
        )
    if settings["figures"]:
        from segue.harmonize.pictures import harmony_picture

        picture = harmony_picture(harmonized, {**record, **changes})
        files |= {"harmonize.svg": picture} if picture else {}
    return StageResult(harmonized, report, changes, files)


def hear_chords(score: Score, record: Record, model: Model) -> list[Symbol]:
    """The chords that are heard in a piece, whatever symbols it has, with the settings of `_HEARD`."""
    heard_beats = listen(score, record, model)
    if heard_beats is None:
        return []
    grid, hearing = heard_beats
    parts = parts_of(score, record)
    fixed = fixed_classes([], [], parts.first_beat(grid), grid)
    chords = _decode(hearing, grid, fixed, model, _HEARD, parts)
    keys = find_keys(hearing, parts.chroma(grid), grid, score, record)
    return merge(chords, grid, [], [], keys)[1]


#: Settings with which other stages hear chords.
_HEARD: Settings = {"grid": "auto", "vocabulary": "full"}


def _decode(
    hearing: Hearing, grid: Grid, fixed: np.ndarray, model: Model, settings: Settings, parts: Parts
) -> list[Chord]:
    """The chord of every beat by the settings `grid` and `vocabulary`."""
    progression = Progression.from_card(model.card["progression"])
    classes = find_classes(hearing, grid, progression, settings["grid"], fixed, parts.alone(grid))
    return find_colours(classes, hearing, grid, settings["grid"], settings["vocabulary"])


def _kept(kept: Sequence[Symbol], fixed: np.ndarray, grid: Grid) -> dict[str, Any]:
    """What the report says of the chord symbols of the file, and where they leave chords to find."""
    free = np.append(fixed < 0, False)
    first = np.flatnonzero(free & ~np.append(False, free[:-1]))
    stop = np.flatnonzero(~free & np.append(False, free[:-1]))
    places = [
        {"from_tick": int(grid.ticks[a]), "to_tick": int(grid.ticks[b])}
        for a, b in zip(first, stop, strict=True)
    ]
    reason = "the file's chord symbols were kept"
    if places:
        reason += "; chords were found where it has none"
    return {"chords": len(kept), "places_without": places, "reason": reason}


def _not_reharmonized(parts: Parts, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the report says where substitutions are wanted and something speaks against them."""
    if len(parts.accompaniment):
        reason = "the piece has an accompaniment, so another chord stands only where its notes play it"
        return [{"reharmonize": len(changes), "reason": reason}]
    if not changes:
        return [{"reharmonize": 0, "reason": "no other chord leads on and suits the melody"}]
    return []


def _taken_up(
    score: Score, record: Record, settings: Settings, end: Extension
) -> tuple[Settings, dict[str, Any]]:
    """The settings with the sound of the accompaniment that an extension goes on from, and what is said."""
    track = accompanist(score, record)
    sound = {} if track is None else {"program": track.program}
    name = "none of its tracks" if track is None else f"the track {track.name!r}"
    reason = (
        "the accompaniment ends where complete has continued the melody, so chords go on from there, "
        f"in the sound of {name}"
    )
    return {**settings, **sound}, {"extension": {"from_tick": end.start, "reason": reason}}


def _no_track_reason(parts: Parts, sounding: Sequence[Span], track: str, ends_early: bool) -> str | None:
    """Why no chord track is added, or None when one is. `ends_early`: the accompaniment is not to the end."""
    if track == "never":
        return "track is never"
    if not sounding:
        return "no chord was found to play"
    if track == "auto" and len(parts.accompaniment) and not ends_early:
        return "the piece has an accompaniment; set track: always to add one"
    return None


def _lead_sheet(
    score: Score, record: Record, keys: Sequence[Region], symbols: Sequence[Symbol], parts: Parts, late: int
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the piece's lead sheet, and what the report says of it.

    `late` is by how many ticks the beat of the notes follows that of the file; on the sheet they are one.
    """
    # Complete hears through this package, so what is made of complete's parts is not imported above.
    from segue.complete.encoding import TICKS_PER_UNIT
    from segue.complete.line import melody_track
    from segue.harmonize.lead_sheet import lead_sheet, title_of
    from segue.harmonize.sheet import chords_text, make_sheet

    track, reason = melody_track(score, record, "auto")
    notes = no_notes() if track is None else score.tracks[track].notes.copy()
    notes["onset_tick"] = np.maximum(notes["onset_tick"] - late, 0)
    chords = [(max(s.tick - late, 0), s.chord) for s in symbols]
    last = max(int(p["onset_tick"].max()) for p in (parts.melody, parts.accompaniment) if len(p))
    sheet = make_sheet(score, notes, chords, max(last - late, 0))
    # The key in which most of a bar lies.
    middles = [(bar.start + bar.stop) // 2 * TICKS_PER_UNIT for bar in sheet.bars]
    in_keys = [key_entry(key_at(keys, tick)) for tick in middles]
    tempo = score.tempos[0] if score.tempos else Tempo(0, DEFAULT_TEMPO_US)
    files = {
        "harmonize-sheet.musicxml": lead_sheet(
            sheet, in_keys, title_of(record.get("id", "")), tempo
        ).encode(),
        "harmonize-chords.txt": chords_text(sheet, in_keys).encode(),
    }
    report: dict[str, Any] = {"bars": len(sheet.bars), "notes": len(sheet.notes), "chords": len(sheet.chords)}
    if reason:
        report["reason"] = f"the lead sheet has chords alone, for {reason}"
    return files, report
