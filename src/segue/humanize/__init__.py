"""Humanize: give written notes a player's timing and dynamics.

Drums are played by the groove network (`drums`), pitched tracks are phrased by the dynamics network and
follow the drums (`pitched`), and `moves` applies what they say without breaking the music. `controls` holds
what the musician adds: swing, push, accents, and what a track has of its own. The package `feel` takes the
feel out of a performance (a file that `groove` or `blend` names) and plays it in the networks' place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.humanize.controls import Controls, class_push, kit_level, track_controls
from segue.humanize.drums import human_groove, play_drums
from segue.humanize.feel.file import feel_to_dict, read_feel
from segue.humanize.feel.play import Reference, reference_of
from segue.humanize.pitched import play_pitched
from segue.runtime import Model
from segue.score import Score, Track
from segue.stage import InputFile, Record, Settings, StageResult

VERSION = 3


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The score with human timing and velocities; pitches and the number of notes stay as they are."""
    result = _play(score, record, settings, models, seed)
    if settings["figures"]:
        from segue.humanize.pictures import groove_picture

        picture = groove_picture(score, result.score, record)
        result = replace(result, files={"humanize.svg": picture} if picture else {})
    return result


def read_file(file: InputFile) -> dict[str, Any]:
    """The feel in a file that `groove` or `blend` names, as it is saved. Raises `StageError`."""
    return feel_to_dict(read_feel(file))


@dataclass(frozen=True)
class _Plan:
    """Who plays how: indices of the drum and of the pitched tracks to play, and of every track of the score
    whether a human has played it and its controls.

    `human_drums` are the drum tracks that a human has played, `push` (10,) is that of the drum classes in ms;
    `style` is that of the drums, `level` how far they keep their written loudness, 0 to 1.
    """

    drums: list[int]
    pitched: list[int]
    human: list[bool]
    human_drums: list[Track]
    controls: list[Controls]
    push: np.ndarray
    reference: Reference | None
    style: str
    level: float

    @property
    def reason_for_nothing(self) -> str | None:
        """Why nothing will change, if so."""
        if not (self.drums or self.pitched):
            return "no track to humanize"
        if self.drums and self.push.any():
            return None
        return "amount is 0" if all(self.controls[i].is_neutral for i in self.drums + self.pitched) else None

    @property
    def reference_leads(self) -> bool:
        """Whether the pitched tracks follow the drums of the reference, as the piece has none."""
        drums = self.drums or self.human_drums
        return self.reference is not None and not self.reference.is_of_notes and not drums


def _play(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    human = [bool(entry.get("human_timing")) for entry in record.get("tracks", [])][: len(score.tracks)]
    human += [False] * (len(score.tracks) - len(human))
    skipped, drum_tracks, pitched_tracks = _choose_tracks(score, human, settings)
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
    if overrides:
        report["overrides"] = overrides
    human_drums = [t for t, h in zip(score.tracks, human, strict=True) if h and t.is_drum]
    push = class_push(settings)
    level = kit_level(score, settings["level"])
    plan = _Plan(
        drum_tracks, pitched_tracks, human, human_drums, controls, push, reference, settings["style"], level
    )
    if plan.reason_for_nothing:
        report["reason"] = plan.reason_for_nothing
        return StageResult(score, report)
    changed, told = _play_tracks(score, plan, models, seed)
    if plan.reference_leads:
        report["reference"]["leads_pitched"] = True
    result = replace(score, tracks=tuple(changed.get(i, t) for i, t in enumerate(score.tracks)))
    return StageResult(result, report | told | {"changed": _changes(score, result)})


def _play_tracks(
    score: Score, plan: _Plan, models: Mapping[str, Model], seed: int
) -> tuple[dict[int, Track], dict[str, Any]]:
    """The tracks that are played, by index, and what is to be reported of them."""
    # Each track has its own stream, so that leaving one out does not change another.
    drum_rng, *track_rngs, pulse_rng = np.random.default_rng(seed).spawn(2 + len(score.tracks))
    changed: dict[int, Track] = {}
    report: dict[str, Any] = {}
    reference = plan.reference
    # What the other tracks follow, and the share of a drummer's deviations that it holds.
    groove, follow = human_groove(score, plan.human_drums), 1.0
    if plan.drums:
        changed, groove, report["drums"] = play_drums(
            score,
            plan.drums,
            plan.human,
            plan.controls,
            plan.push,
            models["drums"],
            drum_rng,
            reference,
            plan.style,
            plan.level,
        )
        follow = max(plan.controls[i].timing_share for i in plan.drums)
    elif plan.reference_leads:
        groove = reference.groove(score, plan.pitched)
    phrasing = reference if reference and reference.is_of_notes else None
    if phrasing and not plan.human_drums:
        # All play the reference, and none needs to follow another.
        groove = human_groove(score, [])
    if plan.pitched:
        rngs = {i: track_rngs[i] for i in plan.pitched}
        phrased, report["pitched"] = play_pitched(
            score, plan.human, groove, follow, plan.controls, models["pitched"], rngs, pulse_rng, phrasing
        )
        report["pitched"]["follows_drums"] &= bool(plan.drums or plan.human_drums)
        changed |= phrased
    return changed, report


def _choose_tracks(
    score: Score, human: Sequence[bool], settings: Settings
) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """What is left out and why, the drum tracks and the pitched tracks to play."""
    skipped: list[dict[str, Any]] = []
    chosen: dict[bool, list[int]] = {True: [], False: []}
    for i, track in enumerate(score.tracks):
        if not len(track.notes):
            reason = "no notes"
        elif not settings["drums" if track.is_drum else "pitched"]:
            reason = "drums are switched off" if track.is_drum else "pitched tracks are switched off"
        elif human[i] and settings["keep_existing"] == "skip":
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
