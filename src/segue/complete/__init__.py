"""Complete: a melody is continued, its gaps are filled, and parts of it are written anew.

`apply` finds the melody (`line`), decides where notes are wanted (`spots`, with `plan` and `regions`), lets
the model write them in several variations (`draft`, `writing`, with `context`, `conditions` and `finish`),
ranks these (`rank`, with `checks`) and takes one. Notes outside of the places that the report names are never
changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.complete.conditions import find_chords, with_chords
from segue.complete.context import copy_index, own_nats, past_events
from segue.complete.copies import STEPS
from segue.complete.draft import Draft, Melody, start_drafts
from segue.complete.encoding import CENTRE
from segue.complete.line import melody_lines, melody_track
from segue.complete.rank import Habits, Voice, check, faults, habits, order, penalty
from segue.complete.regions import varied_spots
from segue.complete.spots import Plan, plan_spots
from segue.complete.writing import Sampling, write_spot
from segue.runtime import Model
from segue.score import Score, bar_starts, seconds_from_ticks
from segue.stage import Record, Settings, StageResult

VERSION = 3

#: Semitones that new notes may go beyond the melody's own range: a major third.
_BEYOND = 4
#: Rounds of draws until as many variations differ as are wanted, and what each adds to the temperature.
_ROUNDS = 8
_HEAT = 0.15

__all__ = ["VERSION", "apply"]


@dataclass(frozen=True)
class _Ranked:
    """A variation with its figures: surprise in nats an event, checks, faults and penalty."""

    draft: Draft
    nats: float
    figures: dict[str, Any]
    faults: list[str]
    penalty: float


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """Complete the melody of a piece. Settings: `settings.schema.yaml`.

    Models: {"melody": ..., "harmony": ...}; harmony is touched only where chords are to be heard.
    """
    report: dict[str, Any] = {"mode": settings["mode"], "changed": {"notes": 0}, "added": [], "skipped": []}
    melody, reason = _melody(score, record, settings)
    if melody is None:
        report["skipped"].append({"reason": reason})
        return StageResult(score, report)
    report["track"] = melody.index
    if shift := melody.lines[-1].shift:
        reason = "the melody stands beside the file's sixteenths, and so do the new notes"
        report["grid"] = {"moved_ticks": shift, "reason": reason}
    model = models["melody"]
    plan = plan_spots(score, melody, settings, model, report)
    if plan.is_empty:
        return StageResult(score, report)
    symbols, report["chords"] = find_chords(
        score, record, settings["chords"], models, melody.index, plan.spans(melody)
    )
    melody = replace(melody, lines=tuple(with_chords(line, symbols) for line in melody.lines))
    drafts = _variations(melody, plan, settings, model, seed, report)
    ranked = _rank(melody, plan, drafts, model, report)[: settings["variations"]]
    if not ranked:
        report["skipped"] += drafts[0].skipped if drafts else []
        return StageResult(score, report)
    return _result(score, record, melody, plan, settings, ranked, report)


def _melody(score: Score, record: Record, settings: Settings) -> tuple[Melody | None, str]:
    """The melody, or None and why there is nothing to complete."""
    index, reason = melody_track(score, record, settings["track"])
    if index is None:
        return None, reason
    key = record.get("key")
    if not key:
        return None, "the key is unknown"
    track = score.tracks[index]
    if len(track.notes) < 2:
        return None, "the melody has fewer than the two notes that are needed to hear what comes next"
    style = None if settings["style"] == "auto" else settings["style"]
    lines = melody_lines(score, track, key, style)
    if not lines:
        return None, "no stretch in one meter holds two notes of the melody"
    pitch = np.concatenate([line.pitch for line in lines])
    lowest = settings["lowest"] or max(int(pitch.min()) - _BEYOND, 0)
    highest = settings["highest"] or min(int(pitch.max()) + _BEYOND, 127)
    if lowest > highest:
        return None, f"the range from {lowest} to {highest} holds no note"
    middle = [line.setting.tonic_pitch for line in lines]
    if lowest > min(middle) + CENTRE or highest < max(middle) - CENTRE:
        return None, f"the range from {lowest} to {highest} is two octaves away from the melody"
    return Melody(index, track, tuple(lines), lowest, highest), ""


def _variations(
    melody: Melody, plan: Plan, settings: Settings, model: Model, seed: int, report: dict[str, Any]
) -> list[Draft]:
    """As many variations as are wanted, all different, in the order of their draws.

    Each draw has its own generator, so that it is the same however many there are. Draws that come out like
    others, or with a copy of a training tune, are replaced: as far as a few rounds of more draws allow, each
    a little more adventurous.
    """
    wanted = settings["variations"]
    # What varies a melody is to be as varied as chance makes it, not the best of many.
    tried = wanted if plan.share else max(wanted, settings["draws"])
    source = np.random.default_rng(seed)
    found: dict[bytes, Draft] = {}
    drawn, copies = 0, 0
    index, forbids = copy_index(model), settings["copy_limit"] > 0
    if index is None:
        report["copies"] = "the model brings no index of the tunes that it has learned from"
    for turn in range(_ROUNDS):
        heat = settings["temperature"] + (_HEAT * turn if settings["temperature"] else 0.0)
        choice = min(settings["top_p"] + _HEAT * turn, 1.0)
        sampling = Sampling(heat, choice, settings["chord_weight"], index, forbids)
        rngs = [source if k + drawn == 0 else source.spawn(1)[0] for k in range(tried - len(found))]
        for draft in _write(melody, plan, sampling, model, rngs, drawn + 1):
            drawn += 1
            if draft.longest_copy and forbids:
                copies += 1
                continue
            found.setdefault(draft.new.tobytes() + draft.stays.tobytes(), draft)
        tried = wanted
        if len(found) >= wanted or (found and not settings["temperature"] and not plan.share):
            break
    if copies:
        reason = (
            f"{copies} of {drawn} draws held {STEPS + 1} notes or more of a training tune and were left out"
        )
        report["skipped"].append({"reason": reason})
    if found and len(found) < wanted:
        reason = (
            f"of {drawn} draws only {len(found)} differ; a higher temperature or top_p makes more of them"
        )
        report["skipped"].append({"reason": reason})
    report["draws"] = drawn
    return list(found.values())


def _write(
    melody: Melody, plan: Plan, sampling: Sampling, model: Model, rngs: list[np.random.Generator], first: int
) -> list[Draft]:
    drafts = start_drafts(melody, rngs, plan.spots, first)
    for spot in plan.spots:
        write_spot(melody, drafts, spot, model, sampling)
    if plan.share:
        for draft in drafts:
            for spot in varied_spots(melody.lines, plan.share, draft.rng):
                write_spot(melody, [draft], spot, model, sampling)
    return drafts


def _rank(
    melody: Melody, plan: Plan, drafts: list[Draft], model: Model, report: dict[str, Any]
) -> list[_Ranked]:
    """The variations in which something was written, the best one first."""
    written = [draft for draft in drafts if draft.passages]
    own = _own_surprise(melody, plan, model) if len(written) > 1 else None
    if own is not None:
        report["own_nats"] = round(own, 3)
    usual = _habits(melody)
    ranked: list[_Ranked] = []
    for draft in written:
        figures = check(draft.passages, usual)
        failed = faults(figures, usual, len(draft.new))
        nats = draft.nats / max(draft.count, 1)
        ranked.append(_Ranked(draft, nats, figures, failed, penalty(nats, own, failed)))
    return [ranked[i] for i in order([r.penalty for r in ranked])]


def _own_surprise(melody: Melody, plan: Plan, model: Model) -> float | None:
    """How predictable the melody itself is, in its last line that is written in, in nats an event."""
    line = melody.lines[max((spot.line for spot in plan.spots), default=len(melody.lines) - 1)]
    return own_nats(model, past_events(line, line.written_end(len(line) - 1)), line.setting)


def _habits(melody: Melody) -> Habits:
    lines = melody.lines
    setting = lines[0].setting
    voices = [Voice(line.onset, line.length, line.pitch) for line in lines]
    bars = [(line.setting.bar, line.setting.origin) for line in lines]
    return habits(voices, setting.tonic_pitch % 12, setting.minor, bars)


def _result(
    score: Score,
    record: Record,
    melody: Melody,
    plan: Plan,
    settings: Settings,
    ranked: list[_Ranked],
    report: dict[str, Any],
) -> StageResult:
    """The piece with the variation that is taken, and the others beside it."""
    take = min(settings["take"], len(ranked))
    if take < settings["take"]:
        reason = f"take is {settings['take']}, more than the {len(ranked)} there are; the last one was taken"
        report["skipped"].append({"reason": reason})
    taken = ranked[take - 1].draft
    report["added"] = taken.told
    report["skipped"] += taken.skipped
    report["changed"] = {"notes": len(taken.new), "removed_notes": int((~taken.stays).sum())}
    report["variations"] = [_describe(entry, k, k == take) for k, entry in enumerate(ranked, start=1)]
    if plan.markers:
        report["markers"] = {"removed": len(plan.markers)}
    base = replace(score, texts=plan.texts(score))
    track = score.tracks[melody.index]
    scores = [base.with_track(melody.index, track.with_notes(entry.draft.notes(track))) for entry in ranked]
    done = scores[take - 1]
    several = settings["variations"] > 1
    alternatives = {f"complete-{k}": s for k, s in enumerate(scores, start=1)} if several else {}
    return StageResult(done, report, _new_entries(done, record, melody.index), alternatives=alternatives)


def _describe(entry: _Ranked, rank: int, taken: bool) -> dict[str, Any]:
    return {
        "rank": rank,
        "draw": entry.draft.number,
        "taken": taken,
        "notes": len(entry.draft.new),
        "nats": round(entry.nats, 3),
        "penalty": entry.penalty,
        "checks": entry.figures,
        "faults": entry.faults,
        "longest_match": entry.draft.longest_match,
        "longest_copy": entry.draft.longest_copy,
    }


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
