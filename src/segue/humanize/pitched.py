"""Pitched tracks: phrasing through the dynamics network, and the drummer's groove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.humanize.controls import Controls, accented, extra_moves
from segue.humanize.drums import Groove
from segue.humanize.ensemble import Ensemble
from segue.humanize.groove import human_residual
from segue.humanize.instruments import TIMING, VELOCITY, keeps, left_as_written
from segue.humanize.moves import move_notes
from segue.humanize.phrasing import chord_index, join_windows, split_windows
from segue.humanize.together import TOGETHER_MS, Pulse
from segue.humanize.variation import LAPLACE_STD, mix, sample_drift
from segue.runtime import Model
from segue.score import Score, Track, seconds_from_ticks, seconds_per_tick

if TYPE_CHECKING:
    from segue.humanize.feel.play import Reference

ANSWERS = ("velocity", "timing", "velocity_spread", "timing_spread")
#: Network answers are rounded to these before use, so that both backends decide alike.
VELOCITY_ROUNDING = 1 / 127
TIMING_ROUNDING_MS = 0.5
#: The share of the variance of a player's deviations in time that is his alone and not the pulse's; and, of
#: those in velocity, what the notes of a chord share, and what the next chord keeps of that. Measured on the
#: network's residuals over the validation pieces.
TIMING_OWN = 0.7
VELOCITY_COMMON, VELOCITY_KEPT = 0.5, 0.6
#: How far notes of a reference may lie from the pulse, in ms.
MAX_REFERENCE_MS = 80.0


@dataclass(frozen=True)
class Phrasing:
    """What the network expects of a track's notes, each (n,).

    `velocity` in MIDI units and `timing` in ms, both relative to the track's mean; spreads as standard
    deviations in the same units. `on_beats` says whether the piece's beats and bars were used.
    """

    velocity: np.ndarray
    timing: np.ndarray
    velocity_spread: np.ndarray
    timing_spread: np.ndarray
    on_beats: bool


def phrase(ensemble: Ensemble, index: int, model: Model) -> Phrasing:
    """The expected phrasing of track `index` of the ensemble."""
    inputs = ensemble.inputs(index)
    count, row = len(inputs.features), inputs.row[None]
    answers = [model(features=window[None], part=row) for window in split_windows(inputs.features)]
    windows = np.stack([np.concatenate([answer[name] for name in ANSWERS]).T for answer in answers])
    joined = np.empty((len(ANSWERS), count))
    joined[:, inputs.order] = join_windows(windows, count).T
    velocity, timing, velocity_spread, timing_spread = joined
    velocity = np.round(velocity / VELOCITY_ROUNDING)
    timing = np.round(timing / TIMING_ROUNDING_MS) * TIMING_ROUNDING_MS
    return Phrasing(
        velocity=velocity - velocity.mean(),
        timing=timing - timing.mean(),
        velocity_spread=velocity_spread * 127 * LAPLACE_STD,
        timing_spread=timing_spread * LAPLACE_STD,
        on_beats=inputs.on_beats,
    )


def play_pitched(
    score: Score,
    human: Sequence[bool],
    groove: Groove,
    follow: float,
    controls: Sequence[Controls],
    model: Model,
    rngs: Mapping[int, np.random.Generator],
    pulse_rng: np.random.Generator,
    reference: Reference | None = None,
) -> tuple[dict[int, Track], dict[str, Any]]:
    """The tracks that `rngs` names, phrased: new tracks by index, and a report.

    `groove` is what the drums do (see `segue.humanize.drums`), with the share `follow` of a drummer's
    deviations; `human` says of every track whether a human played it, `controls` holds its settings. A
    `reference` of other instruments than drums phrases in the network's place where it knows.
    """
    ensemble = Ensemble(score)
    pulse = Pulse(score, pulse_rng)
    changed: dict[int, Track] = {}
    without_beats: list[int] = []
    left_alone: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    for i, rng in rngs.items():
        track, own = score.tracks[i], controls[i]
        expected = phrase(ensemble, i, model)
        if reference:
            # Where there are drums to follow, timing comes from them.
            expected, found = reference.phrase(score, track, human[i], expected, not len(groove.place_tick))
            known = {name: known.get(name, 0) + count for name, count in found.items()}
        # A track that has less timing than the drums follows them so much less.
        share = min(own.timing_share / follow, 1) if follow else 0.0
        deviation = share * (groove.played if human[i] else groove.deviation)
        moves = pulse.moves(groove.place_tick, deviation, own.timing_share * own.variation)
        common = moves[np.searchsorted(pulse.ticks, track.notes["onset_tick"])]
        bound = MAX_REFERENCE_MS if reference else TOGETHER_MS / 2
        changed[i] = _play(score, track, expected, human[i], common, bound, own, rng)
        left_alone += [{"track": i, **entry} for entry in left_as_written(track, own)]
        if not expected.on_beats:
            without_beats.append(i)
    notes = sum(len(track.notes) for track in changed.values())
    return changed, {
        "notes": notes,
        "follows_drums": bool(len(groove.place_tick)),
        "tracks_phrased_without_beats": without_beats,
        "beats_moved": round(ensemble.felt.phase, 3),
        "left_as_written": left_alone,
        **({"reference": known} if reference else {}),
    }


def _play(
    score: Score,
    track: Track,
    expected: Phrasing,
    human: bool,
    common: np.ndarray,
    bound_ms: float,
    controls: Controls,
    rng: np.random.Generator,
) -> Track:
    """The track as expected; `common` (n,) are the ensemble's moves in ticks, its own stay in the bound."""
    onset = track.notes["onset_tick"].astype(np.int64)
    velocity = track.notes["velocity"].astype(np.float64)
    timing, loudness = expected.timing, expected.velocity
    if controls.variation > 0:
        chord = chord_index(seconds_from_ticks(score, onset))
        own = rng.standard_normal((2, len(onset)))
        swell = mix(VELOCITY_COMMON, sample_drift(chord, VELOCITY_KEPT, rng), own[1])
        timing = timing + controls.variation * np.sqrt(TIMING_OWN) * expected.timing_spread * own[0]
        loudness = loudness + controls.variation * expected.velocity_spread * swell
    share = np.where(keeps(track, TIMING, controls), 0.0, controls.timing_share)
    shift = np.clip(share * timing, -bound_ms, bound_ms) / 1000 / seconds_per_tick(score, onset)
    residual = human_residual(score, onset) if human else np.zeros(len(onset))
    shift += np.where(share > 0, common, 0) - np.minimum(share, 1) * residual
    struck = phrase_velocity(velocity, accented(loudness, controls.accent), controls.velocity_share, human)
    struck = np.where(keeps(track, VELOCITY, controls), track.notes["velocity"], struck)
    place = np.rint(onset - residual).astype(np.int64)
    duration = track.notes["duration_tick"]
    extra, longer = extra_moves(score, place, duration, controls.swing, controls.push)
    return move_notes(track, shift + extra, struck, longer)


def phrase_velocity(written: np.ndarray, expected: np.ndarray, share: float, replace: bool) -> np.ndarray:
    """Velocities (n,), int64: the written ones with `share` of the expected deviations (n,) from the mean.

    A track keeps its level. What it has of dynamics it keeps as well, and takes so much less of the
    network's: all where it is flat, none where it is as lively as the network would play it. With `replace`
    its own dynamics go.
    """
    if replace:
        struck = written + min(share, 1) * (written.mean() - written) + share * expected
    else:
        room = max(1 - written.std() / max(expected.std(), 1e-6), 0)
        struck = written + share * room * expected
    return np.clip(np.rint(struck), 1, 127).astype(np.int64)
