"""Humanize: give written notes a player's timing and dynamics.

Drums are played by the groove network (`drums`), pitched tracks are phrased by the dynamics network and
follow the drums (`pitched`), and `moves` applies what they say without breaking the music. `controls` holds
what the musician adds: swing, push, accents, and what a track has of its own. `feel` and its companions
take the feel out of a performance (a file that `groove` or `blend` names) and play it in the networks' place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segue.humanize.controls import class_push, track_controls
from segue.humanize.drums import human_groove, play_drums
from segue.humanize.feel_file import feel_to_dict, read_feel
from segue.humanize.feel_play import reference_of
from segue.humanize.pitched import play_pitched
from segue.runtime import Model
from segue.score import Score, Track
from segue.stage import InputFile, Record, Settings, StageResult

VERSION = 2


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The score with human timing and velocities; pitches and the number of notes stay as they are."""
    result = _play(score, record, settings, models, seed)
    if settings["figures"]:
        from segue.humanize.pictures import groove_picture

        picture = groove_picture(score, result.score, record)
        result = replace(result, pictures={"humanize": picture} if picture else {})
    return result


def read_file(file: InputFile) -> dict[str, Any]:
    """The feel in a file that `groove` or `blend` names, as it is saved. Raises `StageError`."""
    return feel_to_dict(read_feel(file))


def _play(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    skipped, drum_tracks, pitched_tracks = _choose_tracks(score, record, settings)
    report: dict[str, Any] = {
        "found": {"drum_tracks": len(drum_tracks), "pitched_tracks": len(pitched_tracks)},
        "changed": {"tracks": 0, "notes": 0},
        "skipped": skipped,
    }
    controls, overrides = track_controls(score, record, settings)
    reference = reference_of(settings)
    if reference:
        controls = [reference.swung(c) for c in controls]
        report["reference"] = reference.describe(score)
    push = class_push(settings)
    if overrides:
        report["overrides"] = overrides
    played = drum_tracks + pitched_tracks
    if not played:
        report["reason"] = "amount is 0" if settings["amount"] == 0 else "no track to humanize"
        return StageResult(score, report)
    if all(controls[i].is_neutral for i in played) and not (drum_tracks and push.any()):
        report["reason"] = "amount is 0"
        return StageResult(score, report)
    # Each track has its own stream, so that leaving one out does not change another.
    drum_rng, *track_rngs, pulse_rng = np.random.default_rng(seed).spawn(2 + len(score.tracks))
    human = [bool(entry.get("human_timing")) for entry in record.get("tracks", [])]
    human += [False] * (len(score.tracks) - len(human))
    changed: dict[int, Track] = {}
    # What the other tracks follow, and the share of a drummer's deviations that it holds.
    human_drums = [t for t, h in zip(score.tracks, human, strict=False) if h and t.is_drum]
    groove, follow = human_groove(score, human_drums), 1.0
    if drum_tracks:
        changed, groove, report["drums"] = play_drums(
            score, drum_tracks, human, controls, push, models["drums"], drum_rng, reference, settings["style"]
        )
        follow = max(controls[i].timing_share for i in drum_tracks)
    elif reference and not reference.is_of_notes and not human_drums:
        groove = reference.groove(score, pitched_tracks)
        report["reference"]["leads_pitched"] = True
    phrasing = reference if reference and reference.is_of_notes else None
    if phrasing and not human_drums:
        # All play the reference, and none needs to follow another.
        groove = human_groove(score, [])
    if pitched_tracks:
        rngs = {i: track_rngs[i] for i in pitched_tracks}
        phrased, report["pitched"] = play_pitched(
            score, human, groove, follow, controls, models["pitched"], rngs, pulse_rng, phrasing
        )
        report["pitched"]["follows_drums"] &= bool(drum_tracks or human_drums)
        changed |= phrased
    result = replace(score, tracks=tuple(changed.get(i, t) for i, t in enumerate(score.tracks)))
    report["changed"] = _changes(score, result)
    return StageResult(result, report)


def _choose_tracks(
    score: Score, record: Record, settings: Settings
) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """What is left out and why, the drum tracks and the pitched tracks to play."""
    known = record.get("tracks", [])
    skipped: list[dict[str, Any]] = []
    chosen: dict[bool, list[int]] = {True: [], False: []}
    for i, track in enumerate(score.tracks):
        human = i < len(known) and bool(known[i].get("human_timing"))
        if not len(track.notes):
            reason = "no notes"
        elif not settings["drums" if track.is_drum else "pitched"]:
            reason = "drums are switched off" if track.is_drum else "pitched tracks are switched off"
        elif human and settings["keep_existing"] == "skip":
            reason = "already human"
        else:
            chosen[track.is_drum].append(i)
            continue
        skipped.append({"track": i, "reason": reason})
    return skipped, chosen[True], chosen[False]


def _changes(before: Score, after: Score) -> dict[str, Any]:
    """How many tracks and notes changed, and by how much on average."""
    pairs = [(a.notes, b.notes) for a, b in zip(before.tracks, after.tracks, strict=True) if a is not b]
    moved = [np.abs(np.sort(b["onset_tick"]) - np.sort(a["onset_tick"]).astype(float)) for a, b in pairs]
    notes = [int(np.count_nonzero(np.sort(a) != np.sort(b))) for a, b in pairs]
    mean = round(float(np.mean(np.concatenate(moved))), 1) if moved else 0.0
    return {"tracks": sum(n > 0 for n in notes), "notes": sum(notes), "mean_shift_ticks": mean}
