"""Complete: the melody is continued where it breaks off, and its gaps are filled.

`apply` finds the melody, decides where notes are missing (`plan`), lets the model write them (`sampler`) and
places them in the melody's track (`finish`). Notes that are there are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.complete.encoding import Events, events_from_notes
from segue.complete.finish import notes_from_events
from segue.complete.line import Line, melody_lines, melody_track
from segue.complete.plan import (
    MOST_HOLES,
    WRITE_MEMORY,
    Spot,
    end_likelihoods,
    gap_spots,
    is_finished,
    open_end,
)
from segue.complete.sampler import Taste, Walker, allowed_pitches, walk
from segue.runtime import Model
from segue.score import Score, Track, bar_starts, seconds_from_ticks
from segue.stage import Record, Settings, StageResult

VERSION = 1

#: Semitones that new notes may go beyond the melody's own range: a major third.
_BEYOND = 4

__all__ = ["VERSION", "apply"]


@dataclass(frozen=True)
class _Melody:
    """What is known of the melody: its track, lines with their events, and the range of new notes (MIDI)."""

    track: int
    lines: list[tuple[Line, Events]]
    lowest: int
    highest: int


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """Complete the melody of a piece. Settings: `settings.schema.yaml`; models: {"melody": ...}."""
    report: dict[str, Any] = {"mode": settings["mode"], "changed": {"notes": 0}, "added": [], "skipped": []}
    melody, reason = _melody(score, record, settings)
    if melody is None:
        report["skipped"].append({"reason": reason})
        return StageResult(score, report)
    report["track"] = melody.track
    model = models["melody"]
    rng = np.random.default_rng(seed)
    spots = _spots(score, melody, settings, model, report)
    added = [_write(melody, spot, settings, model, rng) for spot in spots]
    for spot, notes in zip(spots, added, strict=True):
        report["added"].append(_describe(spot, notes))
    new = np.concatenate(added) if added else np.zeros(0)
    if not len(new):
        return StageResult(score, report)
    report["changed"]["notes"] = len(new)
    track = score.tracks[melody.track]
    done = score.with_track(melody.track, track.with_notes(np.concatenate([track.notes, new])))
    return StageResult(done, report, _new_entries(done, record, melody.track))


def _melody(score: Score, record: Record, settings: Settings) -> tuple[_Melody | None, str]:
    """The melody, or None and why there is nothing to complete."""
    index, reason = melody_track(score, record, settings["track"])
    if index is None:
        return None, reason
    key = record.get("key")
    if not key:
        return None, "the key is unknown"
    track: Track = score.tracks[index]
    if len(track.notes) < 2:
        return None, f"the melody has {len(track.notes)} notes, and two are needed to hear what comes next"
    style = None if settings["style"] == "auto" else settings["style"]
    lines = melody_lines(score, track, key, style)
    if not lines:
        return None, "no stretch in one meter holds two notes of the melody"
    pitch = np.concatenate([line.pitch for line in lines])
    lowest = settings["lowest"] or max(int(pitch.min()) - _BEYOND, 0)
    highest = settings["highest"] or min(int(pitch.max()) + _BEYOND, 127)
    if lowest > highest:
        return None, f"the range from {lowest} to {highest} holds no note"
    events = [events_from_notes(line.onset, line.length, line.pitch, line.setting) for line in lines]
    return _Melody(index, list(zip(lines, events, strict=True)), lowest, highest), ""


def _spots(score: Score, melody: _Melody, settings: Settings, model: Model, report: dict) -> list[Spot]:
    """Where to write; what is left as it is, and why, is told in the report."""
    mode, skipped = settings["mode"], report["skipped"]
    spots: list[Spot] = []
    if mode != "continue":
        spots += _gaps(melody, settings, skipped)
    if mode != "infill":
        end = _open_end(score, melody, settings, skipped)
        spots += [end] if end else []
    return _unfinished(melody, spots, model, skipped) if mode == "auto" else spots


def _gaps(melody: _Melody, settings: Settings, skipped: list[dict[str, Any]]) -> list[Spot]:
    """The silences of the lengths that are to be filled."""
    found: list[Spot] = []
    for line, _ in melody.lines:
        fits, longer = gap_spots(line, settings["min_gap"], settings["max_gap"])
        found += fits
        reason = f"the gap is longer than max_gap ({settings['max_gap']:g} bars)"
        skipped += [{**_place(spot), "reason": reason} for spot in longer]
    if settings["mode"] == "infill" and not found and not skipped:
        skipped.append({"reason": f"no silence of {settings['min_gap']:g} bars in the melody"})
    return found


def _unfinished(
    melody: _Melody, spots: list[Spot], model: Model, skipped: list[dict[str, Any]]
) -> list[Spot]:
    """The spots before which the melody breaks off.

    Where long rests are frequent they are the music's manner (one voice of many), and none of them is a hole.
    """
    chosen: list[Spot] = []
    gaps = [spot for spot in spots if spot.is_gap]
    if len(gaps) > MOST_HOLES:
        spots = [spot for spot in spots if not spot.is_gap]
        reason = f"the melody has {len(gaps)} long rests, so many that they are meant"
        skipped.append({"reason": reason})
    for line, events in melody.lines:
        own = [spot for spot in spots if spot.line is line]
        likelihoods = end_likelihoods(model, line, events, [spot.after for spot in own])
        for spot, likelihood in zip(own, likelihoods, strict=True):
            if not is_finished(line, spot.after, likelihood):
                chosen.append(spot)
                continue
            where = _place(spot) if spot.is_gap else {"at_tick": int(line.tick(spot.start))}
            reason = f"{'the phrase before the rest' if spot.is_gap else 'the last phrase'} is finished"
            skipped.append({**where, "reason": reason, "end_likelihood": round(likelihood, 3)})
    return chosen


def _open_end(
    score: Score, melody: _Melody, settings: Settings, skipped: list[dict[str, Any]]
) -> Spot | None:
    """The place after the last note, unless too little is known there."""
    line, _ = melody.lines[-1]
    notes = score.tracks[melody.track].notes
    if line.stop_tick is not None and int(notes["onset_tick"].max()) >= line.stop_tick:
        reason = "the melody ends with a single note after a change of meter, too little to go on from"
        skipped.append({"reason": reason})
        return None
    auto = settings["mode"] == "auto"
    spot = open_end(line, settings["bars"], auto, melody.lowest, melody.highest)
    if spot is None:
        skipped.append({"reason": "the meter changes right after the last note"})
    return spot


def _write(
    melody: _Melody, spot: Spot, settings: Settings, model: Model, rng: np.random.Generator
) -> np.ndarray:
    """The new notes of one spot, NOTE array."""
    line = spot.line
    events = next(e for known, e in melody.lines if known is line)
    upto = int(np.searchsorted(events.start, line.onset[spot.after], "right"))
    walker = Walker(model, line.setting, events, WRITE_MEMORY)
    walker.follow(upto, spot.start)
    taste = Taste(
        settings["temperature"],
        settings["top_p"],
        allowed_pitches(line.setting, melody.lowest, melody.highest),
        longest_rest=line.setting.bar // 2,
    )
    stop = spot.stop if spot.is_gap else spot.goal[1]
    made = walk(walker, spot.start, stop, spot.goal, spot.goal_from, taste, rng)
    if not spot.is_gap:
        made.append((spot.goal[1], spot.goal[0], spot.stop - spot.goal[1]))
    after = int(line.onset_tick[spot.after + 1]) if spot.is_gap else None
    return notes_from_events(line, made, int(line.end_tick[spot.after]), after)


def _describe(spot: Spot, notes: np.ndarray) -> dict[str, Any]:
    return {"why": "gap" if spot.is_gap else "open end", **_place(spot), "notes": len(notes)}


def _place(spot: Spot) -> dict[str, int]:
    return {"from_tick": int(spot.line.tick(spot.start)), "to_tick": int(spot.line.tick(spot.stop))}


def _new_entries(score: Score, record: Record, index: int) -> dict[str, Any]:
    """The record's entries that new notes change."""
    tracks = [dict(entry) for entry in record.get("tracks", [])]
    if index < len(tracks):
        tracks[index]["notes"] = len(score.tracks[index].notes)
    end = max(score.last_tick, 1)
    return {
        "tracks": tracks,
        "bars": len(bar_starts(score)) - 1,
        "duration_s": round(float(seconds_from_ticks(score, [end])[0]), 3),
    }
