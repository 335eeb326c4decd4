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
from dataclasses import dataclass, replace
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
from segue.score import DEFAULT_TEMPO_US, Score, Tempo, Track, no_notes
from segue.stage import Record, Settings, StageResult

#: Complete hears chords through this stage: what changes here without another model raises its VERSION, too.
VERSION = 4

__all__ = ["VERSION", "apply", "hear_chords", "listen"]


@dataclass(frozen=True)
class _Heard:
    """A piece as the stage hears it, before anything is decided but its keys.

    `existing` are the chord symbols that the piece carries in `source`, `kept` those that stay, each for the
    beats in `holds`. `by_keys` is the hearing that tells the keys.
    """

    score: Score
    record: Record
    parts: Parts
    grid: Grid
    phase: float
    existing: list[Symbol]
    source: str | None
    kept: list[Symbol]
    holds: list[tuple[int, int]]
    extension: Extension | None
    hearing: Hearing
    by_keys: Hearing
    keys: list[Region]

    @property
    def fixed(self) -> np.ndarray:
        """The chord class of every beat that has one already (see `fixed_classes`)."""
        return fixed_classes(self.kept, self.holds, self.parts.first_beat(self.grid), self.grid)


@dataclass(frozen=True)
class _Harmony:
    """The chords of a piece: all its symbols, those that were `found`, those of the file that are `removed`.

    `introduction` are the beats of an introduction that has chords; `reharmonized` the substitutions, None
    where none are wanted.
    """

    symbols: list[Symbol]
    found: list[Symbol]
    removed: list[Symbol]
    introduction: int
    reharmonized: list[dict[str, Any]] | None


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
    piece = _hear(score, record, parts, settings, models["harmony"])
    harmony = _harmony(piece, settings, models["harmony"], seed)
    report = _told(piece, harmony)
    harmonized, report["key_signatures"] = with_signatures(
        with_symbols(score, harmony.symbols, harmony.removed),
        piece.keys,
        settings["key_signatures"],
        is_clear(piece.keys, piece.by_keys, piece.grid, parts.first_tick),
    )
    changes = _changes(piece, harmony)
    tracks, told = _accompaniment(piece, harmony, settings, seed)
    if isinstance(told, str):
        report["skipped"].append({"track": "chords", "reason": told})
    else:
        report["track"] = told
        harmonized = replace(harmonized, tracks=(*harmonized.tracks, *tracks))
        changes["tracks"] = [*record.get("tracks", []), *map(record_entry, tracks)]
        report["changed"]["notes"] = told["notes"]
    files: dict[str, bytes] = {}
    if settings["lead_sheet"]:
        files, report["lead_sheet"] = _lead_sheet(piece, harmony.symbols)
    if settings["figures"]:
        from segue.harmonize.pictures import harmony_picture

        picture = harmony_picture(harmonized, {**record, **changes})
        files |= {"harmonize.svg": picture} if picture else {}
    return StageResult(harmonized, report, changes, files)


def _hear(score: Score, record: Record, parts: Parts, settings: Settings, model: Model) -> _Heard:
    existing, source = symbols_of(score, record)
    kept = existing if settings["existing"] == "keep" else []
    grid, phase = beats_of(score, parts, follow=not kept)
    hearing = heard(model, parts, grid)
    extension = extension_of(record)
    held = holds(kept, grid, None if extension is None else extension.start)
    told, by_keys = parts, hearing
    if kept and not len(parts.accompaniment):
        # The symbols of a lead sheet tell its key as an accompaniment would.
        told = Parts(parts.melody, as_notes(kept, held, grid))
        by_keys = heard(model, told, grid)
    keys = find_keys(by_keys, told.chroma(grid), grid, score, record)
    return _Heard(
        score, record, parts, grid, phase, existing, source, kept, held, extension, hearing, by_keys, keys
    )


def _harmony(piece: _Heard, settings: Settings, model: Model, seed: int) -> _Harmony:
    parts, grid = piece.parts, piece.grid
    chords = _decode(piece.hearing, grid, piece.fixed, model, settings, parts)
    if settings["inversions"]:
        chords = with_basses(chords, grid, parts.accompaniment, parts.melody)
    symbols, found = merge(chords, grid, piece.kept, piece.holds, piece.keys)
    removed = [] if piece.kept else piece.existing
    introduction = parts.introduction_beats(grid)
    if not any(s.tick < int(grid.ticks[introduction]) for s in found):
        introduction = 0
    if settings["reharmonize"] <= 0:
        return _Harmony(symbols, found, removed, introduction, None)
    symbols, changed = substitute(symbols, piece.keys, parts, grid, settings, seed)
    before, now = set(piece.kept), set(symbols)
    return _Harmony(
        symbols,
        [s for s in symbols if s not in before],
        [*removed, *(s for s in piece.kept if s not in now)],
        introduction,
        changed,
    )


def _told(piece: _Heard, harmony: _Harmony) -> dict[str, Any]:
    """What the report says of the chords."""
    parts, grid = piece.parts, piece.grid
    report: dict[str, Any] = {
        "found": {
            "beats": len(grid),
            "melody_notes": len(parts.melody),
            "accompaniment_notes": len(parts.accompaniment),
            "existing_chords": len(piece.existing),
            "existing_from": piece.source,
            "keys": len(piece.keys),
        },
        "changed": {
            "chords": len(harmony.found),
            "removed_chords": len(harmony.removed),
            "notes": 0,
        },
        "skipped": [_kept(piece.kept, piece.fixed, grid)] if piece.kept else [],
    }
    if piece.phase:
        reason = "the notes do not lie on the file's beats, so the chords follow the notes"
        report["grid"] = {"moved_beats": round(piece.phase, 3), "reason": reason}
    if harmony.introduction:
        reason = "the notes begin late, so chords were found for an introduction, too"
        report["introduction"] = {"beats": harmony.introduction, "reason": reason}
    if harmony.reharmonized is not None:
        report["reharmonized"] = harmony.reharmonized
        report["skipped"] += _not_reharmonized(parts, harmony.reharmonized)
    if harmony.removed and piece.source not in (None, *REMOVABLE):
        reason = (
            f"the chords that were replaced stand in the file's {piece.source}, too, which were left alone"
        )
        report["skipped"].append({"removed_chords": len(harmony.removed), "reason": reason})
    return report


def _changes(piece: _Heard, harmony: _Harmony) -> dict[str, Any]:
    """The entries of the record."""
    key = main_key(piece.keys, piece.parts.first_tick, int(piece.grid.ticks[-1]))
    return {
        "key": key_entry(key),
        "keys": [region.entry for region in piece.keys],
        "chords": entries(harmony.symbols, piece.keys),
    }


def _accompaniment(
    piece: _Heard, harmony: _Harmony, settings: Settings, seed: int
) -> tuple[list[Track], dict[str, Any] | str]:
    """The tracks that play the chords and what the report says of them, or why there are none."""
    grid, parts, choice = piece.grid, piece.parts, settings["track"]
    end = None if piece.extension is None else unaccompanied(piece.extension, parts, grid)
    sounding = spans_of(harmony.symbols, int(grid.ticks[-1]))
    playing, taken_up = settings, {}
    if end is not None and choice == "auto":
        sounding = spans_within(sounding, end)
        playing, taken_up = _taken_up(piece.score, piece.record, settings, end)
    if reason := _no_track_reason(parts, sounding, choice, end is not None):
        return [], reason
    tracks, report = chord_tracks(piece.score, sounding, parts.melody, grid, playing, seed)
    return tracks, report | taken_up


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


def _lead_sheet(piece: _Heard, symbols: Sequence[Symbol]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the piece's lead sheet, and what the report says of it.

    Where the beat of the notes follows that of the file, on the sheet they are one.
    """
    # Complete hears through this package, so what is made of complete's parts is not imported above.
    from segue.complete.encoding import TICKS_PER_UNIT
    from segue.complete.line import melody_track
    from segue.harmonize.lead_sheet import lead_sheet, title_of
    from segue.harmonize.sheet import chords_text, make_sheet

    score, record, parts, keys = piece.score, piece.record, piece.parts, piece.keys
    late = round(piece.phase * float(np.median(np.diff(piece.grid.ticks))))
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
