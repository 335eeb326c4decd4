"""Drum tracks: the groove network's performance, blended with what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.humanize.controls import Controls, accented, extra_moves
from segue.humanize.encoding import CLASS_COUNT, CLASS_OF_PITCH, CLASSES, SLOT_STEPS, STEP_TICKS
from segue.humanize.groove import AUTO, Grid, Performance, grid_of, human_residual, perform, style_report
from segue.humanize.kit import keep_kit_together, main_hits, move_controls, runs, stroke_velocity
from segue.humanize.moves import move_notes
from segue.humanize.phrasing import local_mean
from segue.humanize.variation import mix, sample_drift
from segue.runtime import Model
from segue.score import (
    TICKS_PER_QUARTER,
    Score,
    Track,
    meter_index,
    meters_from_zero,
    seconds_from_ticks,
    sort_notes,
)

if TYPE_CHECKING:
    from segue.humanize.feel.play import Reference

KICK = CLASSES.index("kick")
#: How drummers deviate from what the network expects, measured on its residuals over the validation split.
#: Timing: a drift of the whole kit, its share of the variance and what a sixteenth leaves of it; the rest is
#: each hit's own. Velocity: little is common to a step, and what a voice does at a place in the bar partly
#: comes back.
TIMING_DRIFT, TIMING_KEPT = 0.45, 0.95
VELOCITY_COMMON, VELOCITY_KEPT = 0.11, 0.45
#: The spread within a take as a share of that over all takes: one drummer varies less than drummers differ.
TIMING_OWN, VELOCITY_OWN = 0.85, 0.71
#: No note is moved further than this from where it was written, in steps.
MAX_SHIFT_STEPS = 0.5
#: A note further off its step is written so, and one this near to its expected place belongs there.
OFF_GRID_TICKS, NEAR_TICKS = 60, 45
#: The depth of accents in compound meters as a share of the network's: it brings their spread to about four
#: fifths of drummers', as it is in 4/4.
COMPOUND_ACCENT = 0.75
#: In runs faster than this, in seconds a stroke, drummers are evener than the network thinks, which has heard
#: few: timing is then the mean over so many strokes to either side.
FAST_STROKE, EVEN_STROKES = 0.09, 2
#: The data set's kicks in runs faster than this are a beater that bounces, at a velocity of 22: no model for
#: a double bass drum, which keeps the level of the other kicks.
FAST_KICK = 0.15
#: A percussion note of no class moves with a hit at most this many steps away.
NEIGHBOUR_STEPS = 2


@dataclass(frozen=True)
class Groove:
    """What the other tracks follow: places in ticks and the drums' deviations from them in ticks, (n,) each.

    `played` is the stage's part of the deviations, without what is left of a human drummer's: human tracks
    have already played with that drummer, and follow the new part alone.
    """

    place_tick: np.ndarray
    deviation: np.ndarray
    played: np.ndarray


@dataclass(frozen=True)
class _Kit:
    """The hits of several drum tracks as those of one kit, (n,) each, track by track.

    `track` counts the tracks, `residual` are the ticks by which a human played a hit off its place. Ornaments
    are no hits of their own, they do what their main stroke does: `mains` (m,) are the indices of the main
    strokes, `main` is each hit's index into these.
    """

    notes: np.ndarray
    track: np.ndarray
    classes: np.ndarray
    grid: Grid
    residual: np.ndarray
    mains: np.ndarray
    main: np.ndarray

    @property
    def onset(self) -> np.ndarray:
        """Where hits begin, in ticks, int64, (n,)."""
        return self.notes["onset_tick"].astype(np.int64)

    @property
    def velocity(self) -> np.ndarray:
        """MIDI velocities, float, (n,)."""
        return self.notes["velocity"].astype(np.float64)

    @property
    def place_tick(self) -> np.ndarray:
        """Where hits are meant to begin, in ticks, int64, (n,)."""
        return np.rint(self.onset - self.residual).astype(np.int64)


def _kit_of(score: Score, tracks: Sequence[Track], human: Sequence[bool]) -> _Kit:
    """The kit that the tracks are parts of; `human` says of each whether a human has played it."""
    notes = np.concatenate([track.notes for track in tracks])
    track = np.repeat(np.arange(len(tracks)), [len(track.notes) for track in tracks])
    onset = notes["onset_tick"].astype(np.int64)
    classes = CLASS_OF_PITCH[notes["pitch"]]
    grid = grid_of(score, onset)
    voice = np.where(classes >= 0, classes, CLASS_COUNT + notes["pitch"])
    step = grid.slot * SLOT_STEPS + grid.step
    mains, main = np.unique(
        main_hits(onset, voice, notes["velocity"].astype(float), step), return_inverse=True
    )
    residual = np.where(np.asarray(human)[track], human_residual(score, onset), 0)
    return _Kit(notes, track, classes, grid, residual[mains][main], mains, main)


def play_drums(
    score: Score,
    indices: Sequence[int],
    human: Sequence[bool],
    controls: Sequence[Controls],
    class_push: np.ndarray,
    model: Model,
    rng: np.random.Generator,
    reference: Reference | None = None,
    style: str = AUTO,
    level: float = 0.0,
) -> tuple[dict[int, Track], Groove, dict[str, Any]]:
    """The drum tracks `indices` as one kit: new tracks by index, the groove that they make, and a report.

    `human` says of every track of the score whether a human has played it; such a track's own deviation from
    the grid is replaced, any other note keeps its distance from the grid. `controls` holds every track's
    settings, `class_push` (10,) the push of each drum class in ms, last that of no class. The groove is
    without swing and push. What a `reference` knows comes in the place of the network's answers. `style`
    says how the network plays, see `perform`; `level` is how far the kit keeps its written loudness, 0 to 1.
    """
    tracks, own = [score.tracks[i] for i in indices], [controls[i] for i in indices]
    kit = _kit_of(score, tracks, [human[i] for i in indices])
    expected, shift, report = _expected(score, kit, model, reference, style)
    expected, louder = at_level(expected, kit.velocity[kit.mains], level)
    report["louder_by"] = round(louder, 1) + 0.0  # No -0.0.
    shift, struck = _played(kit, expected, shift, own, rng)
    moves, longer = _with_extras(score, kit, shift, own, class_push)
    changed: dict[int, Track] = {}
    for number, (i, was) in enumerate(zip(indices, tracks, strict=True)):
        part = kit.track == number
        changed[i] = move_controls(was, move_notes(was, moves[part], struck[part], longer[part]))
    report |= {
        "notes": len(kit.notes),
        "beyond_classes": int(np.count_nonzero(kit.classes < 0)),
        "off_grid": int(np.count_nonzero(np.abs(kit.grid.residual) > STEP_TICKS // 8)),
        "other_meters": sorted({m.name for m in meters_from_zero(score) if m.bar_ticks != 3840}),
    }
    place, deviation = kit.place_tick, shift + kit.residual
    left = np.maximum(1 - np.array([c.timing_share for c in own])[kit.track], 0) * kit.residual
    order = np.argsort(place, kind="stable")
    order = order[leads(place[order], kit.notes["pitch"][order])]
    return changed, Groove(place[order], deviation[order], (deviation - left)[order]), report


def _expected(
    score: Score, kit: _Kit, model: Model, reference: Reference | None, style: str
) -> tuple[Performance, np.ndarray, dict[str, Any]]:
    """What is expected of the main strokes, by how many ticks they move (NaN: with others), and a report."""
    notes, residual, classes = (values[kit.mains] for values in (kit.notes, kit.residual, kit.classes))
    onset = kit.onset[kit.mains]
    expected = perform(score, model, onset, notes["pitch"], kit.velocity[kit.mains], style)
    expected = in_compound_meters(score, onset, expected)
    expected = in_fast_runs(score, onset, classes, expected)
    expected = replace(expected, velocity=stroke_velocity(notes["pitch"], expected.velocity))
    shift = expected_shift(expected.offset, kit.grid.residual[kit.mains] - residual)
    report: dict[str, Any] = {"style": style_report(style, expected.guess)}
    if reference:
        expected, shift, report["reference"] = reference.play_drums(
            score, onset - residual, notes, expected, shift
        )
    return expected, shift, report


def _played(
    kit: _Kit, expected: Performance, shift: np.ndarray, own: Sequence[Controls], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Ticks, float, by which hits move, and their velocities, int64, (n,) each, as the tracks' controls want.

    `expected` and `shift` are of the main strokes, see `_expected`.
    """
    variation, timing_share, velocity_share, accent = (
        np.array([getattr(c, name) for c in own])[kit.track]
        for name in ("variation", "timing_share", "velocity_share", "accent")
    )
    softer = kit.velocity / kit.velocity[kit.mains][kit.main]
    shift, loudness = shift[kit.main], expected.velocity[kit.main] * softer
    if variation.any():
        timing, dynamics = _sample(kit.grid.take(kit.mains), kit.classes[kit.mains], rng)
        shift = shift + variation * (expected.offset_spread * STEP_TICKS * timing)[kit.main]
        loudness = loudness + variation * (expected.velocity_spread * dynamics)[kit.main] * softer
    shift = timing_share * shift - np.minimum(timing_share, 1) * kit.residual
    limit = MAX_SHIFT_STEPS * STEP_TICKS
    shift = np.clip(follow_nearest(kit.onset, shift, NEIGHBOUR_STEPS * STEP_TICKS), -limit, limit)
    # A track without timing does not follow another track's hits either.
    shift = np.where(timing_share > 0, shift, 0.0)
    loudness = accented(loudness, accent)
    return shift, blend_velocity(kit.velocity, loudness, kit.classes, velocity_share)


def _with_extras(
    score: Score, kit: _Kit, shift: np.ndarray, own: Sequence[Controls], class_push: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ticks, float, by which hits move in all and become longer, (n,) each: `shift` with swing and push."""
    moves, longer = shift.copy(), np.zeros(len(shift))
    for number, controls in enumerate(own):
        part = kit.track == number
        push = controls.push + class_push[kit.classes[part]]
        duration = kit.notes["duration_tick"][part]
        extra, longer[part] = extra_moves(score, kit.place_tick[part], duration, controls.swing, push)
        moves[part] += extra
    leader = kit.mains[kit.main]
    ornament = (leader != np.arange(len(leader))) & (kit.track[leader] == kit.track)
    moves[ornament] = (np.rint(kit.onset + moves) - kit.onset)[leader[ornament]]
    if len(own) > 1:
        moves = keep_kit_together(kit.onset, moves)
    return moves, longer


def leads(place: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Which hits the other tracks follow, bool, (n,): the bass drum alone where it plays, else all."""
    kick = CLASS_OF_PITCH[pitch] == KICK
    return kick | ~np.isin(place, place[kick])


def at_level(expected: Performance, written: np.ndarray, level: float) -> tuple[Performance, float]:
    """What is expected, louder or softer as a whole, and by how much, in MIDI velocity.

    The mean expected velocity moves by the share `level` (0 to 1) of the way to that of the velocities that
    are `written` (n,) for the same hits.
    """
    known = np.isfinite(expected.velocity)
    if not known.any():
        return expected, 0.0
    louder = level * float(written[known].mean() - expected.velocity[known].mean())
    return replace(expected, velocity=expected.velocity + louder), louder


def in_compound_meters(score: Score, onset: np.ndarray, expected: Performance) -> Performance:
    """What is expected of notes at the ticks `onset` (n,), in 6/8, 9/8 and 12/8 more carefully.

    The network has heard no such meter. Drummers lead a click in quarters by a constant that it knows, and in
    6/8 they do not; and its accents come out deeper there than theirs (see docs/humanize.md).
    """
    meters = meters_from_zero(score)
    compound = np.array([m.beat_ticks * m.denominator != 4 * TICKS_PER_QUARTER for m in meters])
    mine = compound[meter_index(score, onset)] & np.isfinite(expected.offset)
    if not mine.any():
        return expected
    offset, velocity = expected.offset.copy(), expected.velocity.copy()
    offset[mine] -= offset[mine].mean()
    velocity[mine] += (COMPOUND_ACCENT - 1) * (velocity[mine] - velocity[mine].mean())
    return replace(expected, offset=offset, velocity=velocity)


def in_fast_runs(score: Score, onset: np.ndarray, classes: np.ndarray, expected: Performance) -> Performance:
    """What is expected of hits at the ticks `onset` (n,), made even in fast runs of a drum (blast beats)."""
    found = [run for run in runs(onset, classes) if classes[run[0]] >= 0]
    if not found:
        return expected
    offset, velocity = expected.offset.copy(), expected.velocity.copy()
    seconds = seconds_from_ticks(score, onset)
    kicks = []
    for run in found:
        stroke = (seconds[run[-1]] - seconds[run[0]]) / (len(run) - 1)
        if stroke < FAST_STROKE:
            offset[run] = local_mean(expected.offset[run], EVEN_STROKES)
        if stroke < FAST_KICK and classes[run[0]] == KICK:
            kicks.append(run)
    if kicks:
        velocity[np.concatenate(kicks)] = np.nan
        others = velocity[(classes == KICK) & np.isfinite(velocity)]
        # Where there are no others, the written velocity stays.
        velocity[np.concatenate(kicks)] = others.mean() if len(others) else np.nan
    return replace(expected, offset=offset, velocity=velocity)


def _sample(grid: Grid, classes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Deviations of timing and velocity, (n,) each, in units of the spread over all drummers."""
    place = grid.slot * SLOT_STEPS + grid.step
    timing = mix(
        TIMING_DRIFT, sample_drift(place, TIMING_KEPT, rng), sample_drift(place, 0, rng, series=classes)
    )
    voice_step = classes * SLOT_STEPS + grid.step
    dynamics = mix(
        VELOCITY_COMMON,
        sample_drift(place, 0, rng),
        sample_drift(grid.slot, VELOCITY_KEPT, rng, series=voice_step),
    )
    return TIMING_OWN * timing, VELOCITY_OWN * dynamics


def expected_shift(offset: np.ndarray, meant: np.ndarray) -> np.ndarray:
    """Ticks (n,) by which notes move from where they are meant, from offsets in steps.

    `meant` is how far from its step each note is meant to lie, in ticks. A note that is written off the grid
    (a triplet, swing, a thirty-second) already has a part of what the network expects: where it lies near the
    expected place it goes there, elsewhere the answer is NaN, and it moves with its neighbours.
    """
    shift = offset * STEP_TICKS
    rest = shift - meant
    return np.where(np.abs(meant) > OFF_GRID_TICKS, np.where(np.abs(rest) <= NEAR_TICKS, rest, np.nan), shift)


def blend_velocity(
    written: np.ndarray, expected: np.ndarray, voice: np.ndarray, share: np.ndarray | float
) -> np.ndarray:
    """Velocities (n,), int64: from written (share 0) to expected (1), beyond it with more contrast.

    `voice` (n,) is what plays each note; contrast is around each voice's mean. Where nothing is expected
    (NaN) the written velocity stays. `share` is one number or one a note, (n,).
    """
    result = written.copy()
    known = np.isfinite(expected)
    share = np.broadcast_to(share, len(written))
    for v in np.unique(voice[known]):
        mine = known & (voice == v)
        contrast = np.maximum(share[mine] - 1, 0) * (expected[mine] - expected[mine].mean())
        result[mine] += np.minimum(share[mine], 1) * (expected[mine] - written[mine]) + contrast
    return np.clip(np.rint(result), 1, 127).astype(np.int64)


def human_groove(score: Score, tracks: Sequence[Track]) -> Groove:
    """The groove of drum tracks that a human played: grid places and the deviations from them."""
    parts = [track.notes for track in tracks if len(track.notes)]
    if not parts:
        return Groove(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    notes = sort_notes(np.concatenate(parts))
    onset = notes["onset_tick"].astype(np.int64)
    residual = human_residual(score, onset)
    place = np.rint(onset - residual).astype(np.int64)
    leading = leads(place, notes["pitch"])
    return Groove(place[leading], residual[leading], residual[leading])


def follow_nearest(onset: np.ndarray, shift: np.ndarray, reach_ticks: float) -> np.ndarray:
    """`shift` (n,) with each NaN filled by the shift of the nearest note within `reach_ticks`, else by 0."""
    filled = shift.copy()
    missing, known = np.flatnonzero(np.isnan(shift)), np.flatnonzero(~np.isnan(shift))
    if not len(missing):
        return filled
    filled[missing] = 0.0
    if not len(known):
        return filled
    known = known[np.argsort(onset[known], kind="stable")]
    at = onset[known]
    right = np.clip(np.searchsorted(at, onset[missing]), 0, len(at) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(at[left] - onset[missing]) <= np.abs(at[right] - onset[missing]), left, right)
    near = np.abs(at[nearest] - onset[missing]) <= reach_ticks
    filled[missing[near]] = shift[known[nearest[near]]]
    return filled
