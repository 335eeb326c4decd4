"""Moving notes in time without breaking the music: order, overlaps and controllers are respected.

All positions are ticks of a score (960 a quarter).
"""

from __future__ import annotations

import numpy as np

from segue.score import CONTROL_CHANGE, PITCH_BEND, PROGRAM_CHANGE, Track, sort_notes


def move_notes(
    track: Track, shift: np.ndarray, velocity: np.ndarray, longer: np.ndarray | float = 0.0
) -> Track:
    """The track with its notes moved by `shift` ticks (n,), float, and struck with `velocity` (n,), integers.

    Pitches and count stay. Notes that begin at different ticks keep their order; notes that begin together
    may spread. Nothing moves before tick 0, nor back across a program change or a bend that was meant for it.
    Durations grow by `longer` ticks (n,), but a note does not newly run into the next of its pitch.
    """
    notes = track.notes
    if not len(notes):
        return track
    wanted = np.rint(notes["onset_tick"] + shift).astype(np.int64)
    wanted = np.maximum(wanted, _setup_ticks(track))
    moved = notes.copy()
    moved["onset_tick"] = keep_order(notes["onset_tick"].astype(np.int64), wanted)
    moved["velocity"] = np.clip(velocity, 1, 127)
    duration = np.maximum(np.rint(notes["duration_tick"] + longer).astype(np.int64), 1)
    moved["duration_tick"] = _durations(notes, moved["onset_tick"].astype(np.int64), duration)
    return track.with_notes(sort_notes(moved))


def keep_order(onset: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The nearest integer ticks to `wanted` that keep the order of `onset` (sorted); both int64, shape (n,).

    Later onsets stay at least one tick later; equal onsets may come in any order. Two notes that would swap
    meet half-way: the result is the mean of pushing the later one on and of pulling the earlier one back.
    """
    if not len(onset):
        return wanted
    group = np.concatenate([[0], np.cumsum(np.diff(onset) > 0)])
    wanted = np.maximum(wanted, group)  # Tick 0 for the first onset, 1 for the second, ...
    order = np.lexsort((wanted, group))
    group, level = group[order], wanted[order] - group[order]
    pushed = np.maximum.accumulate(level)
    pulled = np.minimum.accumulate(level[::-1])[::-1]
    result = np.empty_like(wanted)
    result[order] = (pushed + pulled) // 2 + group
    return result


def _setup_ticks(track: Track) -> np.ndarray:
    """Tick before which each note must not begin: the last program, bank or bend change at or before it."""
    controls = track.controls
    bank = (controls["status"] == CONTROL_CHANGE) & np.isin(controls["data1"], (0, 32))
    setup = np.sort(controls["tick"][np.isin(controls["status"], (PROGRAM_CHANGE, PITCH_BEND)) | bank])
    if not len(setup):
        return np.zeros(len(track.notes), np.int64)
    last = np.searchsorted(setup, track.notes["onset_tick"], "right") - 1
    return np.where(last >= 0, setup[np.maximum(last, 0)], 0)


def _durations(notes: np.ndarray, onset: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """The wanted durations at the new onsets, but not into the next note of the pitch, nor past its end."""
    order = np.lexsort((np.arange(len(notes)), onset, notes["pitch"]))
    start, pitch = onset[order], notes["pitch"][order]
    was_start = notes["onset_tick"][order].astype(np.int64)
    was_end = was_start + notes["duration_tick"][order]
    end = start + duration[order]
    # The first note of the same pitch that began when this one had ended.
    key = pitch.astype(np.int64) << 33
    following = np.searchsorted(key + was_start, key + was_end)
    free = following < len(start)
    free[free] = pitch[following[free]] == pitch[free]
    end[free] = np.minimum(end[free], start[following[free]])
    if len(start) > 1:
        # Overlapping notes of one pitch are released in the order in which they began, if they were before:
        # a file cannot tell any other order.
        nested = (pitch[:-1] == pitch[1:]) & (was_end[:-1] > was_start[1:]) & (was_end[:-1] <= was_end[1:])
        for i in np.flatnonzero(nested)[::-1]:
            end[i] = min(end[i], end[i + 1])
    durations = np.empty(len(notes), np.int64)
    durations[order] = np.maximum(end - start, 1)
    return durations
