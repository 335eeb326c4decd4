"""From chosen patterns to notes: pitches over the chords, lengths, velocities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.chords import Chord
from segue.score import make_notes
from segue.transfer.encoding import VELOCITY_SCALE
from segue.transfer.grid import PITCHED_STEPS, STEP_TICKS, Grid
from segue.transfer.phrases import Written, chord_end_of
from segue.transfer.slots import HAND_SPLIT, Key, pitches_from_slots

_SHORTEST = STEP_TICKS // 4


@dataclass(frozen=True)
class Content:
    """What stays of a piece beside its melody: chords with their ticks and keys, and where they hold.

    `starts`, `chords` and `keys` are one a chord; `step_chord` (steps,) is the index of the chord at each
    step of the grid, `has_chord` (steps,) whether there is one.
    """

    starts: np.ndarray
    chords: Sequence[Chord]
    keys: Sequence[Key]
    step_chord: np.ndarray
    has_chord: np.ndarray


def sound(
    written: Written, grid: Grid, content: Content, level: float, replay_bar: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """NOTE array of what is written in the bars to re-play, and True where a note is the high hand's, both
    (n,). `level` is the mean velocity.
    """
    table = grid.table()
    unit, place, slot = np.nonzero(written.onsets & (table >= 0)[:, :, None])
    step = table[unit, place]
    good = content.has_chord[step] & replay_bar[grid.unit_bar[unit]]
    unit, place, slot, step = unit[good], place[good], slot[good], step[good]
    chord = content.step_chord[step]
    pitch = pitches_from_slots(slot, chord, content.chords, content.keys)
    high_hand = slot >= HAND_SPLIT
    pitch = _with_basses(pitch, chord, step, high_hand, content.chords)
    cell = (unit, high_hand * PITCHED_STEPS + place)
    # The network knows deviations from the mean of pop alone; of other styles the mean is elsewhere.
    louder = np.round(written.velocity[cell].astype(np.float64), 3)
    louder -= louder.mean() if len(louder) else 0.0
    velocity = np.clip(np.round(level + VELOCITY_SCALE * louder), 20, 118)
    # A piece that lies before its grid as a whole cannot begin before its file.
    onset = np.maximum(grid.step_tick[step], 0)
    end = onset + (STEP_TICKS * written.lengths[cell]).astype(np.int64)
    end = np.minimum(end, chord_end_of(pitch, chord, content.starts, content.chords))
    end = np.minimum(end, _run_end(grid, replay_bar)[grid.unit_bar[unit]])
    duration = np.maximum(end - onset, _SHORTEST)
    notes = make_notes(onset, duration, pitch, velocity)
    return notes, high_hand[np.lexsort((duration, pitch, onset))]


def _with_basses(
    pitch: np.ndarray, chord: np.ndarray, step: np.ndarray, high_hand: np.ndarray, chords: Sequence[Chord]
) -> np.ndarray:
    """The pitches with the bass of inverted chords where the low hand first plays over them, (n,)."""
    inverted = np.array([c.is_chord and c.bass != c.root for c in chords] + [False])
    low = np.flatnonzero(~high_hand & inverted[chord])
    if not len(low):
        return pitch
    # The lowest note of the first step of each chord.
    order = low[np.lexsort((pitch[low], step[low], chord[low]))]
    first = order[np.unique(chord[order], return_index=True)[1]]
    bass = np.array([0 if c.bass is None else c.bass for c in chords])[chord[first]]
    out = pitch.copy()
    out[first] += (bass - pitch[first] + 6) % 12 - 6
    return out


def _run_end(grid: Grid, replay_bar: np.ndarray) -> np.ndarray:
    """For each bar, the tick where the run of re-played bars that it belongs to ends."""
    end = grid.bar_tick[1:].copy()
    for bar in range(grid.bars - 2, -1, -1):
        if replay_bar[bar + 1]:
            end[bar] = end[bar + 1]
    return end
