"""What belongs to a hit of the drum kit and goes where it goes: ornaments, chokes, the hi-hat's pedal.

All positions are ticks of a score (960 a quarter). Pitches are those of General MIDI and Roland kits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segue.humanize.moves import keep_order
from segue.score import CONTROL_CHANGE, POLY_PRESSURE, Track, notes_by_pitch

#: Hits of one drum that follow each other within this belong together: flams, drags, rolls.
ORNAMENT_TICKS = 100
#: An ornament that lasts longer is a roll: the loudest hit of each sixteenth leads those around it.
ROLL_TICKS = 200
#: Four or more hits of a drum that follow each other within this are a run: a sixteenth and a little more.
RUN_TICKS, RUN_HITS = 280, 4
#: Everything that sounds on the hi-hat, and the controller that tells how far its pedal is down.
HI_HAT = (22, 26, 42, 44, 46)
FOOT_CONTROLLER = 4
#: Strokes that have a strength of their own within their drum's class: the side stick, which knows no
#: backbeat, and the edge of a Roland hi-hat. Constant and factor that make drummers' velocities out of those
#: that the network expects of the class, fitted by least squares on the train split.
STROKES = {37: (46.0, 0.25), 22: (21.0, 0.95)}


def stroke_velocity(pitch: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Velocities (n,) expected of strokes `pitch` (n,) from those expected of their classes, MIDI units."""
    result = velocity.copy()
    for stroke, (constant, factor) in STROKES.items():
        mine = pitch == stroke
        result[mine] = constant + factor * velocity[mine]
    return result


def main_hits(onset: np.ndarray, voice: np.ndarray, velocity: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Which hit leads each hit, int64, (n,): for most the hit itself, for an ornament its main stroke.

    `onset` in ticks, `voice` the drum of each hit, `step` a number for the sixteenth that it lies in, all
    (n,) in any order. The main stroke is the loudest, of equals the last.
    """
    count = len(onset)
    order = np.lexsort((onset, voice))
    near = (np.diff(voice[order]) == 0) & (np.diff(onset[order]) <= ORNAMENT_TICKS)
    if not near.any():
        return np.arange(count)
    group = np.empty(count, np.int64)
    group[order] = np.concatenate([[0], np.cumsum(~near)])
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, group, onset)
    np.maximum.at(last, group, onset)
    is_roll = (last - first > ROLL_TICKS)[group]
    _, part = np.unique(group * (step.max() + 1) + np.where(is_roll, step, 0), return_inverse=True)
    # The last assignment wins: the loudest, of equals the last.
    by_strength = np.lexsort((onset, velocity))
    leader = np.empty(count, np.int64)
    leader[part[by_strength]] = by_strength
    return leader[part]


def runs(onset: np.ndarray, voice: np.ndarray) -> list[np.ndarray]:
    """The indices, in time, of the hits of each run: at least four of one drum, a sixteenth or less apart.

    `onset` in ticks and `voice`, the drum of each hit, are (n,) in any order.
    """
    order = np.lexsort((onset, voice))
    apart = (np.diff(voice[order]) != 0) | (np.diff(onset[order]) > RUN_TICKS)
    return [part for part in np.split(order, np.flatnonzero(apart) + 1) if len(part) >= RUN_HITS]


def keep_kit_together(onset: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Ticks (n,) by which the hits of a kit that is split over tracks move, without changing places.

    `onset` (n,) int64 in any order; hits that begin at different ticks keep their order over all tracks, as
    they would in one: a pedal that closes an open hi-hat still comes after it.
    """
    order = np.argsort(onset, kind="stable")
    wanted = np.rint(onset + shift).astype(np.int64)
    moved = np.empty(len(onset), np.int64)
    moved[order] = keep_order(onset[order], wanted[order])
    return moved - onset


def move_controls(before: Track, after: Track) -> Track:
    """`after`, a drum track whose notes have moved, with what belongs to them moved along.

    Polyphonic aftertouch (a choked cymbal) keeps its distance from the last hit of its pitch, but stays
    before the next. The hi-hat's pedal, a stream of positions, is drawn out and pushed together as its hits
    are.
    """
    controls = before.controls
    choke = controls["status"] == POLY_PRESSURE
    pedal = (controls["status"] == CONTROL_CHANGE) & (controls["data1"] == FOOT_CONTROLLER)
    if not (choke.any() or pedal.any()):
        return after
    tick = controls["tick"].astype(np.int64)
    was, now = notes_by_pitch(before.notes), notes_by_pitch(after.notes)
    for pitch in np.unique(controls["data1"][choke]):
        mine = was["pitch"] == pitch
        chosen = choke & (controls["data1"] == pitch)
        tick[chosen] = _with_last(tick[chosen], was["onset_tick"][mine], now["onset_tick"][mine])
    hats = np.isin(was["pitch"], HI_HAT)
    if hats.any():
        tick[pedal] = _warped(tick[pedal], was["onset_tick"][hats], now["onset_tick"][hats])
    moved = controls.copy()
    moved["tick"] = np.maximum(tick, 0)
    return replace(after, controls=moved[np.argsort(moved["tick"], kind="stable")])


def _with_last(tick: np.ndarray, was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Ticks (m,) moved as the last of the hits (n,), sorted, that began at or before them."""
    own = np.searchsorted(was, tick, "right") - 1
    now = np.concatenate([now, [np.iinfo(np.int32).max]]).astype(np.int64)
    shift = np.where(own >= 0, now[own] - np.append(was, 0)[own], 0)
    # Before the next hit; and where that is too near, not before one's own.
    moved = np.minimum(tick + shift, now[own + 1] - 1)
    return np.where(own >= 0, np.maximum(moved, now[own]), np.maximum(moved, 0))


def _warped(tick: np.ndarray, was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Ticks (m,) moved as the hits (n,) around them, in proportion between two."""
    order = np.argsort(was, kind="stable")
    at, back = np.unique(was[order], return_inverse=True)
    to = np.full(len(at), np.iinfo(np.int32).max, np.int64)
    # Of hits that began together the first counts: a pedal position comes before what it opens.
    np.minimum.at(to, back, now[order].astype(np.int64))
    return np.rint(tick + np.interp(tick, at, to - at)).astype(np.int64)
