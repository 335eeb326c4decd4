"""Pitched tracks: phrasing through the dynamics network, and the drummer's groove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.humanize.controls import Controls, accented, extra_moves
from segue.humanize.drums import Groove, human_residual
from segue.humanize.moves import move_notes
from segue.humanize.phrasing import chord_index, join_windows, note_features, split_windows
from segue.humanize.variation import mix, sample_drift
from segue.runtime import Model
from segue.score import Score, Track, bar_starts, beat_starts, seconds_from_ticks, seconds_per_tick

if TYPE_CHECKING:
    from segue.humanize.feel_play import Reference

#: Network answers are rounded to these before use, so that both backends decide alike.
VELOCITY_ROUNDING = 1 / 127
TIMING_ROUNDING_MS = 0.5
LAPLACE_STD = np.sqrt(2)
#: How near to a twelfth or a sixteenth of a beat onsets must lie, in beats, for the piece's beats to be
#: believed, ...
GRID_TOLERANCE = 0.03
#: ... the share of notes that must do so, and the share that must begin on a beat.
GRID_SHARE, BEAT_SHARE = 0.8, 0.15
#: How much of the drummer's deviation the others share, and how far from a hit they still do, in ticks.
FOLLOW, FOLLOW_TICKS = 0.8, 480
#: What the notes of a chord share of a player's deviation from the expected, as a share of its variance, and
#: what the next chord keeps of that; measured on the network's residuals over the validation pieces.
TIMING_COMMON, TIMING_KEPT = 0.3, 0.5
VELOCITY_COMMON, VELOCITY_KEPT = 0.5, 0.8
#: No note is moved further than this, in ms.
MAX_SHIFT_MS = 80.0


@dataclass(frozen=True)
class Phrasing:
    """What the network expects of a track's notes, each (n,).

    `velocity` relative to the track's mean, MIDI units; `timing` in ms; spreads as standard deviations in
    the same units. `on_beats` says whether the piece's beats and bars were used.
    """

    velocity: np.ndarray
    timing: np.ndarray
    velocity_spread: np.ndarray
    timing_spread: np.ndarray
    on_beats: bool


def metric_places(score: Score, onset: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Places within beat and bar, in [0, 1), (n,) each; None where the notes do not keep to the beats."""
    last = int(onset.max(initial=0))
    beat = _place(onset, beat_starts(score, last))
    twelfth = np.abs(beat * 12 - np.round(beat * 12)) / 12
    sixteenth = np.abs(beat * 16 - np.round(beat * 16)) / 16
    on_grid = np.mean(np.minimum(twelfth, sixteenth) < GRID_TOLERANCE / 2)
    on_beat = np.mean(np.minimum(beat, 1 - beat) < GRID_TOLERANCE)
    if on_grid < GRID_SHARE or on_beat < BEAT_SHARE:
        return None
    return beat, _place(onset, bar_starts(score, last))


def _place(onset: np.ndarray, marks: np.ndarray) -> np.ndarray:
    i = np.clip(np.searchsorted(marks, onset, "right") - 1, 0, len(marks) - 2)
    return (onset - marks[i]) / (marks[i + 1] - marks[i])


def phrase(score: Score, track: Track, model: Model) -> Phrasing:
    """The expected phrasing of a track with at least one note."""
    notes = track.notes
    onset = notes["onset_tick"].astype(np.int64)
    start = seconds_from_ticks(score, onset)
    length = seconds_from_ticks(score, onset + notes["duration_tick"]) - start
    places = metric_places(score, onset)
    beat, bar = places if places else (None, None)
    windows = split_windows(note_features(start, length, notes["pitch"], beat, bar))
    answers = [model(features=window[None]) for window in windows]
    joined = {
        name: join_windows(np.stack([a[name][0] for a in answers]), len(notes)).astype(np.float64)
        for name in ("velocity", "timing", "velocity_spread", "timing_spread")
    }
    velocity = np.round(joined["velocity"] / VELOCITY_ROUNDING)
    return Phrasing(
        velocity=velocity - velocity.mean(),
        timing=np.round(joined["timing"] / TIMING_ROUNDING_MS) * TIMING_ROUNDING_MS,
        velocity_spread=joined["velocity_spread"] * 127 * LAPLACE_STD,
        timing_spread=joined["timing_spread"] * LAPLACE_STD,
        on_beats=places is not None,
    )


def groove_curve(onset: np.ndarray, shift: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The drummer's deviation in ticks at the ticks `at` (m,), from drum onsets and their shifts, (n,) each.

    Hits within a sixteenth of a place count, those of one onset by their mean; between places with hits the
    deviation is interpolated, and beyond `FOLLOW_TICKS` from any hit it is nothing.
    """
    if not len(onset):
        return np.zeros(len(at))
    places, back = np.unique(onset, return_inverse=True)
    mean = np.bincount(back, shift) / np.bincount(back)
    curve = np.interp(at, places, mean)
    right = np.clip(np.searchsorted(places, at), 0, len(places) - 1)
    left = np.maximum(right - 1, 0)
    distance = np.minimum(np.abs(places[left] - at), np.abs(places[right] - at))
    return FOLLOW * curve * np.clip(1 - distance / FOLLOW_TICKS, 0, 1)


def play_pitched(
    score: Score,
    human: Sequence[bool],
    groove: Groove,
    follow: float,
    controls: Sequence[Controls],
    model: Model,
    rngs: Mapping[int, np.random.Generator],
    reference: Reference | None = None,
) -> tuple[dict[int, Track], dict[str, Any]]:
    """The tracks that `rngs` names, phrased: new tracks by index, and a report.

    `groove` is what the drums do (see `segue.humanize.drums`), with the share `follow` of a drummer's
    deviations; `human` says of every track whether a human played it, `controls` holds its settings. A
    `reference` of other instruments than drums phrases in the network's place where it knows.
    """
    changed: dict[int, Track] = {}
    without_beats: list[int] = []
    known: dict[str, int] = {}
    for i, rng in rngs.items():
        track = score.tracks[i]
        expected = phrase(score, track, model)
        if reference:
            # Where there are drums to follow, timing comes from them.
            expected, found = reference.phrase(score, track, human[i], expected, not len(groove.place_tick))
            known = {name: known.get(name, 0) + count for name, count in found.items()}
        # A track that has less timing than the drums follows them so much less.
        share = min(controls[i].timing_share / follow, 1) if follow else 0.0
        deviation = share * (groove.played if human[i] else groove.deviation)
        lead = groove_curve(groove.place_tick, deviation, track.notes["onset_tick"].astype(np.int64))
        changed[i] = _play(score, track, expected, human[i], lead, controls[i], rng)
        if not expected.on_beats:
            without_beats.append(i)
    notes = sum(len(track.notes) for track in changed.values())
    return changed, {
        "notes": notes,
        "follows_drums": bool(len(groove.place_tick)),
        "tracks_phrased_without_beats": without_beats,
        **({"reference": known} if reference else {}),
    }


def _play(
    score: Score,
    track: Track,
    expected: Phrasing,
    human: bool,
    lead: np.ndarray,
    controls: Controls,
    rng: np.random.Generator,
) -> Track:
    onset = track.notes["onset_tick"].astype(np.int64)
    velocity = track.notes["velocity"].astype(np.float64)
    timing, loudness = expected.timing, expected.velocity
    if controls.variation > 0:
        seconds = seconds_from_ticks(score, onset)
        chord = chord_index(seconds)
        voice = np.arange(len(onset)) - np.searchsorted(chord, chord)
        own = [sample_drift(chord, 0, rng, series=voice) for _ in range(2)]
        drift = mix(TIMING_COMMON, sample_drift(chord, TIMING_KEPT, rng), own[0])
        swell = mix(VELOCITY_COMMON, sample_drift(chord, VELOCITY_KEPT, rng), own[1])
        timing = timing + controls.variation * expected.timing_spread * drift
        loudness = loudness + controls.variation * expected.velocity_spread * swell
    share = controls.timing_share
    shift = share * timing / 1000 / seconds_per_tick(score, onset)
    residual = human_residual(score, onset) if human else np.zeros(len(onset))
    shift -= min(share, 1) * residual
    shift += lead
    limit = MAX_SHIFT_MS / 1000 / seconds_per_tick(score, onset)
    struck = phrase_velocity(velocity, accented(loudness, controls.accent), controls.velocity_share, human)
    place = np.rint(onset - residual).astype(np.int64)
    duration = track.notes["duration_tick"]
    extra, longer = extra_moves(score, place, duration, controls.swing, controls.push)
    return move_notes(track, np.clip(shift, -limit, limit) + extra, struck, longer)


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
