"""What the accompaniment network hears and says, as arrays.

One row a unit (a quarter, see `segue.transfer.grid`). The network is given the style as a vector (see
`segue.transfer.style`), the place in bar, phrase and piece, the chord with its bass and key, the melody and
how the source's bar compares with the rest of its piece (`FEATURES`), and the onsets of the unit before; it
names a pattern for each hand and tells velocity and duration of the unit before.

Comparisons are within the piece (a bar busier than this piece's other bars, not busier than other pieces),
because these keep the shape of a piece and tell nothing of its style. A control of the stage moves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.chords import QUALITIES, Chord, chord_index_at
from segue.transfer.grid import PITCHED_STEPS, STEP_TICKS, Grid, in_pairs
from segue.transfer.slots import HAND_SPLIT, SLOTS, Key, slots_from_pitches

#: Floats that name a style.
STYLE_SIZE = 24
HANDS = 2
HAND_SLOTS = (HAND_SPLIT, SLOTS - HAND_SPLIT)
GRID_BITS = PITCHED_STEPS * SLOTS
#: Hands times steps: how loud and how long is told for each.
CELLS = HANDS * PITCHED_STEPS
#: The lengths that a note can have, in sixteenths: what is written, and between them what is played.
LENGTHS = np.array(
    [
        *(1 / 2, 2 / 3, 1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 10 / 3, 11 / 3, 4, 13 / 3, 14 / 3, 5, 16 / 3),
        *(6, 20 / 3, 22 / 3, 8, 26 / 3, 28 / 3, 10, 32 / 3, 12, 40 / 3, 14, 16, 20, 24, 32),
    ]
)

#: Columns of `source_features` that are comparisons, which the stage's controls move.
SOURCE = ("density", "polyphony", "register", "loudness", "syncopation")
_POSITION = 6
_PLACE = _POSITION + 4 + 2 + 4 + 3
_CHORD = 12 + 12 + 2 + 6 + 4 + 3 + 12 + 12
_MELODY = PITCHED_STEPS + 2
#: Where the parts of a feature row begin: style, place, chord, melody, source.
CHORD_AT = STYLE_SIZE + _PLACE
MELODY_AT = CHORD_AT + _CHORD
SOURCE_AT = MELODY_AT + _MELODY
FEATURES = SOURCE_AT + len(SOURCE) + 2

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
    """Onsets by unit, step and slot, bool (units, 6, SLOTS)."""
    onsets = np.zeros((grid.units, PITCHED_STEPS, SLOTS), bool)
    known = placed.slot >= 0
    step = placed.step[known]
    onsets[grid.step_unit[step], grid.step_in_unit[step], placed.slot[known]] = True
    return onsets


def hand_patterns(onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low-hand and high-hand patterns, bool (units, 6 * slots of the hand), of an onset grid."""
    units = len(onsets)
    return onsets[:, :, :HAND_SPLIT].reshape(units, -1), onsets[:, :, HAND_SPLIT:].reshape(units, -1)


def join_hands(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Inverse of `hand_patterns`: onset grid (units, 6, SLOTS)."""
    units = len(low)
    return np.concatenate(
        [low.reshape(units, PITCHED_STEPS, -1), high.reshape(units, PITCHED_STEPS, -1)], axis=2
    )


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
    return grid.step_unit[step] * CELLS + hand * PITCHED_STEPS + grid.step_in_unit[step], placed.notes[known]


def _compare(values: np.ndarray, sounding: np.ndarray, floor: float) -> np.ndarray:
    """Standard scores of bars within their piece, halved and clipped to -1.25..1.25; 0 for silent bars."""
    out = np.zeros(len(values))
    if sounding.any():
        part = values[sounding]
        out[sounding] = np.clip((part - part.mean()) / max(part.std(), floor), -2.5, 2.5) / 2
    return out


def source_features(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """How each bar of the source compares with its piece, by unit, float32 (units, 7).

    The columns of `SOURCE`; a bar without notes; and whether there is a source at all.
    """
    out = np.zeros((grid.units, len(SOURCE) + 2), np.float32)
    if len(notes) == 0:
        return out
    step = grid.nearest_step(notes["onset_tick"])
    bar = grid.unit_bar[grid.step_unit[step]]
    count = np.bincount(bar, minlength=grid.bars).astype(np.float64)
    struck_step = np.unique(step)
    struck_bar = grid.unit_bar[grid.step_unit[struck_step]]
    struck = np.bincount(struck_bar, minlength=grid.bars)
    off_beat = np.bincount(struck_bar, grid.step_in_unit[struck_step] > 0, minlength=grid.bars)
    units = np.bincount(grid.unit_bar, minlength=grid.bars)
    sounding = count > 0
    held = np.maximum(count, 1)
    values = [
        _compare(struck / units, sounding, 0.16),
        _compare(count / np.maximum(struck, 1), sounding, 0.3),
        _compare(np.bincount(bar, notes["pitch"], minlength=grid.bars) / held, sounding, 2.0),
        _compare(np.bincount(bar, notes["velocity"], minlength=grid.bars) / held, sounding, 3.0),
        _compare(off_beat / np.maximum(struck, 1), sounding, 0.1),
        ~sounding,
        np.ones(grid.bars),
    ]
    return np.stack(values, axis=1)[grid.unit_bar].astype(np.float32)


def keys_of_chords(starts: np.ndarray, keys: Sequence[Mapping[str, Any]]) -> list[Key]:
    """The key in which each chord begins, from a record's `keys`; the first holds from the beginning."""
    if not keys:
        return [(None, False)] * len(starts)
    ticks = np.array([int(k["tick"]) for k in keys])
    index = np.maximum(chord_index_at(ticks, starts), 0)
    return [(int(keys[i]["tonic"]), keys[i]["mode"] == "minor") for i in index.tolist()]


def unit_features(
    grid: Grid,
    step_chord: np.ndarray,
    chords: Sequence[Chord],
    keys: Sequence[Key],
    melody: np.ndarray,
    source: np.ndarray,
    style: np.ndarray,
) -> np.ndarray:
    """The network's features, float32 (units, FEATURES).

    `step_chord` as from `chords_of_steps`; `keys` one a chord, as from `keys_of_chords`; `melody` the
    melody's NOTE array; `source` as from `source_features`; `style` (STYLE_SIZE,), or one row a unit.
    """
    units = grid.units
    parts = [np.broadcast_to(style, (units, STYLE_SIZE)), _place_features(grid)]
    parts.append(_chord_features(step_chord[grid.table()[:, 0]], chords, keys))
    parts.append(_melody_features(melody, grid))
    parts.append(source)
    out = np.concatenate(parts, axis=1).astype(np.float32)
    assert out.shape == (units, FEATURES)
    return out


def _place_features(grid: Grid) -> np.ndarray:
    """Place in the bar (6), size of the bar (4), compound, short unit, place in the phrase (4), first bar,
    last bar, last four bars.
    """
    units = grid.units
    rows = np.arange(units)
    place, size, bar = in_pairs(grid)
    out = np.zeros((units, _PLACE), np.float32)
    out[rows, np.minimum(place, _POSITION - 1)] = 1
    out[rows, _POSITION + np.clip(size - 2, 0, 3)] = 1
    out[:, _POSITION + 4] = grid.compound
    out[:, _POSITION + 5] = grid.table()[:, -1] < 0
    out[rows, _POSITION + 6 + bar % 4] = 1
    left = grid.bars - 1 - grid.unit_bar
    out[:, -3], out[:, -2], out[:, -1] = grid.unit_bar == 0, left == 0, left < 4
    return out


def _chord_features(unit_chord: np.ndarray, chords: Sequence[Chord], keys: Sequence[Key]) -> np.ndarray:
    """Root (12), root above the tonic (12), key known, minor key, quality (6), bass (4), no chord, new, about
    to change, motion from the chord before (12), motion to the next one (12).
    """
    units = len(unit_chord)
    rows = np.arange(units)
    # The last entry stands for "no chord", which index -1 finds.
    root_of = np.array([-1 if c.root is None else c.root for c in chords] + [-1])
    tonic_of = np.array([-1 if k[0] is None else k[0] for k in keys] + [-1])
    minor_of = np.array([k[1] for k in keys] + [False])
    quality_of = np.array([_quality(c) for c in chords] + [[False] * 6])
    bass_of = np.array([_bass(c) for c in chords] + [0])
    root, tonic = root_of[unit_chord], tonic_of[unit_chord]
    known = root >= 0
    out = np.zeros((units, _CHORD), np.float32)
    out[rows[known], root[known]] = 1
    keyed = known & (tonic >= 0)
    out[rows[keyed], 12 + (root - tonic)[keyed] % 12] = 1
    out[:, 24] = keyed
    out[:, 25] = keyed & minor_of[unit_chord]
    out[:, 26:32] = quality_of[unit_chord]
    out[rows[known], 32 + bass_of[unit_chord][known]] = 1
    out[:, 36] = ~known
    changed = np.ones(units, bool)
    changed[1:] = unit_chord[1:] != unit_chord[:-1]
    out[:, 37] = changed
    out[:-1, 38] = changed[1:]
    both = known[1:] & known[:-1]
    motion = (root[1:] - root[:-1])[both] % 12
    out[rows[1:][both], 39 + motion] = 1
    out[rows[:-1][both], 51 + motion] = 1
    return out


def _quality(chord: Chord) -> list[bool]:
    """Minor third, diminished fifth, augmented fifth, minor seventh, major seventh, no third."""
    if chord.root is None:
        return [False] * 6
    tones = QUALITIES[chord.quality].intervals
    minor = 3 in tones and 4 not in tones
    return [
        minor,
        6 in tones and 7 not in tones,
        8 in tones and 7 not in tones,
        10 in tones or tones[:4] == (0, 3, 6, 9),
        11 in tones,
        3 not in tones and 4 not in tones,
    ]


def _bass(chord: Chord) -> int:
    """0: the root is the bass, 1: the third, 2: the fifth, 3: anything else."""
    above = 0 if chord.root is None else (chord.bass - chord.root) % 12
    return {0: 0, 3: 1, 4: 1, 6: 2, 7: 2, 8: 2}.get(above, 3)


def _melody_features(melody: np.ndarray, grid: Grid) -> np.ndarray:
    """Onsets of the melody at the six steps, whether it sounds, and its height around middle C."""
    out = np.zeros((grid.units, _MELODY), np.float32)
    if len(melody) == 0:
        return out
    step = grid.nearest_step(melody["onset_tick"])
    out[grid.step_unit[step], grid.step_in_unit[step]] = 1
    # The note that began last before the unit's end; it sounds unless it ended before the unit.
    last = np.searchsorted(melody["onset_tick"], grid.unit_tick[1:] - STEP_TICKS // 2, "left") - 1
    begun = last >= 0
    end = melody["onset_tick"][last] + melody["duration_tick"][last]
    sounds = begun & (end > grid.unit_tick[:-1] + STEP_TICKS // 4)
    out[:, -2] = sounds
    out[:, -1] = np.where(sounds, (melody["pitch"][last].astype(np.float32) - 67) / 24, 0)
    return out
