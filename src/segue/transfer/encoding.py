"""What the accompaniment network hears and says, as arrays.

One row a unit (four sixteenths, see `segue.transfer.grid`). The network is given the style, the place in the
bar, the chord, the melody and how the source's bar compares with the rest of its piece (`FEATURES`), and the
onsets of the unit before; it names a pattern for each hand and tells velocity and duration of the unit
before.

Comparisons are within the piece (a bar busier than this piece's other bars, not busier than other pieces),
because these keep the shape of a piece and tell nothing of its style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.chords import QUALITIES, Chord, chord_index_at
from segue.transfer.grid import STEP_TICKS, UNIT_STEPS, Grid, in_pairs
from segue.transfer.slots import HAND_SPLIT, SLOTS, slots_from_pitches

STYLES = ("pop", "lied", "chorale", "quartet")
#: Styles whose data know no bars of two quarters.
_NEVER_IN_TWO = ("pop",)
HANDS = 2
HAND_SLOTS = (HAND_SPLIT, SLOTS - HAND_SPLIT)
GRID_BITS = UNIT_STEPS * SLOTS
#: Hands times steps: how loud and how long is told for each.
CELLS = HANDS * UNIT_STEPS
#: The lengths that a note can have, in sixteenths.
LENGTHS = np.array([1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32])

_POSITION = 6
_SOURCE = 4
FEATURES = len(STYLES) + _POSITION + 4 + 2 + 4 + 12 + 2 + 2 + 12 + UNIT_STEPS + 2 + _SOURCE + 2

#: Velocities are deviations from the piece's mean over this.
VELOCITY_SCALE = 32.0
#: A chord written this many ticks after a step still counts for it: played chords come a little late.
_CHORD_TOLERANCE = STEP_TICKS // 2


@dataclass(frozen=True)
class UnitNotes:
    """Notes of a part on the grid: step index, slot (-1 without a chord) and the NOTE array, each (n,)."""

    step: np.ndarray
    slot: np.ndarray
    notes: np.ndarray


def chords_of_steps(grid: Grid, starts: np.ndarray) -> np.ndarray:
    """Index of the chord at each step, int64 (steps,); -1 before the first chord."""
    return chord_index_at(starts, grid.step_tick + _CHORD_TOLERANCE)


def place_notes(notes: np.ndarray, grid: Grid, step_chord: np.ndarray, chords: Sequence[Chord]) -> UnitNotes:
    """The notes on the grid, with their slots over the chord that sounds at their step."""
    step = grid.nearest_step(notes["onset_tick"])
    return UnitNotes(step, slots_from_pitches(notes["pitch"], step_chord[step], chords), notes)


def onset_grid(placed: UnitNotes, grid: Grid) -> np.ndarray:
    """Onsets by unit, step and slot, bool (units, 4, SLOTS)."""
    onsets = np.zeros((grid.units, UNIT_STEPS, SLOTS), bool)
    known = placed.slot >= 0
    step = placed.step[known]
    onsets[grid.step_unit[step], grid.step_in_unit[step], placed.slot[known]] = True
    return onsets


def hand_patterns(onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low-hand and high-hand patterns, bool (units, 4 * slots of the hand), of an onset grid."""
    units = len(onsets)
    return onsets[:, :, :HAND_SPLIT].reshape(units, -1), onsets[:, :, HAND_SPLIT:].reshape(units, -1)


def join_hands(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Inverse of `hand_patterns`: onset grid (units, 4, SLOTS)."""
    units = len(low)
    return np.concatenate([low.reshape(units, UNIT_STEPS, -1), high.reshape(units, UNIT_STEPS, -1)], axis=2)


def cell_velocities(placed: UnitNotes, grid: Grid) -> np.ndarray:
    """Mean velocity by unit, hand and step, float32 (units, CELLS): deviation from the mean of the part, in
    the scale of this module; NaN where nothing is struck.
    """
    cell, notes = _cells(placed, grid)
    size = grid.units * CELLS
    count = np.bincount(cell, minlength=size).astype(np.float64)
    filled = count > 0
    velocity = notes["velocity"].astype(np.float64)
    out = np.full(size, np.nan)
    if len(notes):
        total = np.bincount(cell, velocity - velocity.mean(), minlength=size)
        out[filled] = total[filled] / count[filled] / VELOCITY_SCALE
    return out.reshape(grid.units, CELLS).astype(np.float32)


def cell_lengths(placed: UnitNotes, grid: Grid) -> np.ndarray:
    """Index into `LENGTHS` by unit, hand and step, int64 (units, CELLS), -1 where nothing is struck: that of
    the outermost note, the nearest by ratio.
    """
    cell, notes = _cells(placed, grid)
    # The outermost note is written last, so it counts.
    outer = np.argsort(np.abs(placed.slot[placed.slot >= 0] - HAND_SPLIT + 0.5), kind="stable")
    ratio = np.log2(np.maximum(notes["duration_tick"], 1)[:, None] / STEP_TICKS / LENGTHS)
    out = np.full(grid.units * CELLS, -1)
    out[cell[outer]] = np.abs(ratio).argmin(axis=1)[outer]
    return out.reshape(grid.units, CELLS)


def _cells(placed: UnitNotes, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Flat index over (units, CELLS) of each note with a slot, and those notes."""
    known = placed.slot >= 0
    step = placed.step[known]
    hand = (placed.slot[known] >= HAND_SPLIT).astype(np.int64)
    return grid.step_unit[step] * CELLS + hand * UNIT_STEPS + grid.step_in_unit[step], placed.notes[known]


def _compare(values: np.ndarray, sounding: np.ndarray, floor: float) -> np.ndarray:
    """Standard scores of bars within their piece, halved and clipped to -1.25..1.25; 0 for silent bars."""
    out = np.zeros(len(values))
    if sounding.any():
        part = values[sounding]
        out[sounding] = np.clip((part - part.mean()) / max(part.std(), floor), -2.5, 2.5) / 2
    return out


def source_features(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """How each bar of the source compares with its piece, by unit, float32 (units, 6).

    Density, polyphony, register, loudness; a bar without notes; and whether there is a source at all.
    """
    out = np.zeros((grid.units, _SOURCE + 2), np.float32)
    if len(notes) == 0:
        return out
    step = grid.nearest_step(notes["onset_tick"])
    bar = grid.unit_bar[grid.step_unit[step]]
    count = np.bincount(bar, minlength=grid.bars).astype(np.float64)
    struck = np.bincount(grid.unit_bar[grid.step_unit[np.unique(step)]], minlength=grid.bars)
    steps = np.bincount(grid.unit_bar[grid.step_unit], minlength=grid.bars)
    sounding = count > 0
    held = np.maximum(count, 1)
    values = [
        _compare(struck / np.maximum(steps, 1), sounding, 0.04),
        _compare(count / np.maximum(struck, 1), sounding, 0.3),
        _compare(np.bincount(bar, notes["pitch"], minlength=grid.bars) / held, sounding, 2.0),
        _compare(np.bincount(bar, notes["velocity"], minlength=grid.bars) / held, sounding, 3.0),
        ~sounding,
        np.ones(grid.bars),
    ]
    return np.stack(values, axis=1)[grid.unit_bar].astype(np.float32)


def unit_features(
    grid: Grid,
    step_chord: np.ndarray,
    chords: Sequence[Chord],
    melody: np.ndarray,
    source: np.ndarray,
    style: str,
) -> np.ndarray:
    """The network's features, float32 (units, FEATURES).

    `step_chord` as from `chords_of_steps`; `melody` the melody's NOTE array; `source` as from
    `source_features`.
    """
    units = grid.units
    rows = np.arange(units)
    style_part = np.zeros((units, len(STYLES)), np.float32)
    style_part[:, STYLES.index(style)] = 1
    place, size, bar = (grid.unit_in_bar, grid.bar_units, grid.unit_bar)
    if style in _NEVER_IN_TWO:
        place, size, bar = in_pairs(grid)
    position = np.zeros((units, _POSITION), np.float32)
    position[rows, np.minimum(place, _POSITION - 1)] = 1
    length = np.zeros((units, 4), np.float32)
    length[rows, np.clip(size - 2, 0, 3)] = 1
    table = grid.table()
    flags = np.stack([grid.compound, table[:, -1] < 0], axis=1)
    phrase = np.zeros((units, 4), np.float32)
    phrase[rows, bar % 4] = 1
    parts = [style_part, position, length, flags, phrase]
    parts.append(_chord_features(step_chord[table[:, 0]], chords))
    parts.append(_melody_features(melody, grid))
    parts.append(source)
    out = np.concatenate(parts, axis=1).astype(np.float32)
    assert out.shape == (units, FEATURES)
    return out


def _chord_features(unit_chord: np.ndarray, chords: Sequence[Chord]) -> np.ndarray:
    """Root (12), minor third, no chord, new, about to change, motion of the root (12)."""
    units = len(unit_chord)
    rows = np.arange(units)
    # The last entry stands for "no chord", which index -1 finds.
    root_of = np.array([-1 if c.root is None else c.root for c in chords] + [-1])
    minor_of = np.array(
        [c.root is not None and 3 in QUALITIES[c.quality].intervals[:3] for c in chords] + [False]
    )
    root, minor = root_of[unit_chord], minor_of[unit_chord]
    known = root >= 0
    out = np.zeros((units, 28), np.float32)
    out[rows[known], root[known]] = 1
    out[:, 12] = minor
    out[:, 13] = ~known
    changed = np.ones(units, bool)
    changed[1:] = (root[1:] != root[:-1]) | (minor[1:] != minor[:-1])
    out[:, 14] = changed
    out[:-1, 15] = changed[1:]
    both = known[1:] & known[:-1]
    motion = (root[1:] - root[:-1]) % 12
    out[rows[1:][both], 16 + motion[both]] = 1
    return out


def _melody_features(melody: np.ndarray, grid: Grid) -> np.ndarray:
    """Onsets of the melody at the four steps, whether it sounds, and its height around middle C."""
    out = np.zeros((grid.units, UNIT_STEPS + 2), np.float32)
    if len(melody) == 0:
        return out
    step = grid.nearest_step(melody["onset_tick"])
    out[grid.step_unit[step], grid.step_in_unit[step]] = 1
    # The note that began last before the unit's end; it sounds unless it ended before the unit.
    last = np.searchsorted(melody["onset_tick"], grid.unit_tick[1:] - STEP_TICKS // 2, "left") - 1
    begun = last >= 0
    end = melody["onset_tick"][last] + melody["duration_tick"][last]
    sounds = begun & (end > grid.unit_tick[:-1] + STEP_TICKS // 4)
    out[:, UNIT_STEPS] = sounds
    out[:, UNIT_STEPS + 1] = np.where(sounds, (melody["pitch"][last].astype(np.float32) - 67) / 24, 0)
    return out
