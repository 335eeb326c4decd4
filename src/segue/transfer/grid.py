"""The grid of the transfer stage: bars cut into units of four steps, in any meter.

Conventions
-----------
- A *step* is a sixteenth note. A *unit* is up to four steps and never crosses a bar line; the last unit of a
  bar is short where the bar's steps are no multiple of four.
- `beat_grid` is for drums: in compound meters (6/8, 9/8, 12/8) a unit is a felt beat and its four steps lie
  at the eighths and before the last one, which is how a drummer plays a four-step pattern with a shuffle.
- The *phase* of a piece is how far its notes lie behind the written grid as a whole, in ticks; steps are
  shifted by it, so that what is written sounds together with what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.score import TICKS_PER_QUARTER, Score, bar_starts, meters_from_zero

STEP_TICKS = TICKS_PER_QUARTER // 4
UNIT_STEPS = 4
_SHUFFLE_TICKS = np.array([0, 2, 4, 5]) * STEP_TICKS


@dataclass(frozen=True)
class Grid:
    """Positions of bars, units and steps; all ticks int64, absolute, phase included.

    `bar_tick` (bars + 1,); `unit_tick` (units + 1,); `unit_bar`, `unit_in_bar`, `bar_units` (units,): index
    of the unit's bar, its place in it, and how many units the bar has; `compound` (units,) bool; `step_tick`
    (steps,), `step_unit`, `step_in_unit` (steps,).
    """

    bar_tick: np.ndarray
    unit_tick: np.ndarray
    unit_bar: np.ndarray
    unit_in_bar: np.ndarray
    bar_units: np.ndarray
    compound: np.ndarray
    step_tick: np.ndarray
    step_unit: np.ndarray
    step_in_unit: np.ndarray

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.unit_bar)

    @property
    def bars(self) -> int:
        """Number of bars."""
        return len(self.bar_tick) - 1

    def nearest_step(self, ticks: np.ndarray) -> np.ndarray:
        """Index of the step nearest to each tick, the earlier one in a tie; same shape."""
        middle = (self.step_tick[1:] + self.step_tick[:-1]) // 2
        return np.searchsorted(middle, np.asarray(ticks, np.int64), "left")

    def table(self) -> np.ndarray:
        """Step index by unit and place in the unit, int64 (units, 4); -1 where a short unit has no step."""
        table = np.full((self.units, UNIT_STEPS), -1, np.int64)
        table[self.step_unit, self.step_in_unit] = np.arange(len(self.step_tick))
        return table


def in_pairs(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`unit_in_bar`, `bar_units` and `unit_bar`, with two successive bars of two units read as one of four.

    For styles that were learned from bars of four units alone.
    """
    two = grid.bar_units == 2
    place = np.where(two, grid.unit_in_bar + 2 * (grid.unit_bar % 2), grid.unit_in_bar)
    return place, np.where(two, 4, grid.bar_units), np.where(two, grid.unit_bar // 2, grid.unit_bar)


def sixteenth_grid(score: Score, phase: int = 0) -> Grid:
    """Units of four sixteenths in every bar."""
    return _build(score, phase, shuffle=False)


def beat_grid(score: Score, phase: int = 0) -> Grid:
    """Like `sixteenth_grid`, with felt beats as units in compound meters."""
    return _build(score, phase, shuffle=True)


def _build(score: Score, phase: int, shuffle: bool) -> Grid:
    bars = bar_starts(score)
    meters = meters_from_zero(score)
    meter_ticks = np.array([m.tick for m in meters])
    meter_of_bar = np.searchsorted(meter_ticks, bars[:-1], "right") - 1
    is_compound = np.array([m.beat_ticks % (3 * STEP_TICKS) == 0 and m.denominator >= 8 for m in meters])
    # Bars of one length and kind share their steps, so a long piece costs a few array operations.
    step_parts: list[np.ndarray] = []
    place_parts: list[np.ndarray] = []
    unit_parts: list[np.ndarray] = []
    counts = np.zeros(len(bars) - 1, np.int64)
    templates: dict[tuple[int, bool], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for i, length in enumerate(np.diff(bars).tolist()):
        compound = bool(is_compound[meter_of_bar[i]])
        key = (length, compound and shuffle)
        if key not in templates:
            templates[key] = _template(*key)
        steps, unit, place = templates[key]
        step_parts.append(steps + bars[i])
        unit_parts.append(unit)
        place_parts.append(place)
        counts[i] = unit[-1] + 1
    first_unit = np.concatenate([[0], np.cumsum(counts)])
    steps_per_bar = np.array([len(p) for p in step_parts])
    step_tick = np.concatenate(step_parts)
    step_unit = np.concatenate(unit_parts) + np.repeat(first_unit[:-1], steps_per_bar)
    step_in_unit = np.concatenate(place_parts)
    unit_bar = np.repeat(np.arange(len(counts)), counts)
    return Grid(
        bar_tick=bars + phase,
        unit_tick=np.concatenate([step_tick[step_in_unit == 0], bars[-1:]]) + phase,
        unit_bar=unit_bar,
        unit_in_bar=np.arange(len(unit_bar)) - first_unit[unit_bar],
        bar_units=counts[unit_bar],
        compound=is_compound[meter_of_bar][unit_bar],
        step_tick=step_tick + phase,
        step_unit=step_unit,
        step_in_unit=step_in_unit,
    )


def _template(length: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of one bar of `length` ticks: tick in the bar, unit in the bar, place in the unit."""
    if shuffle:
        beats = np.arange(0, length, 6 * STEP_TICKS)
        steps = (beats[:, None] + _SHUFFLE_TICKS).ravel()
        index = np.arange(len(steps))
        inside = steps < length
        return steps[inside], (index // UNIT_STEPS)[inside], (index % UNIT_STEPS)[inside]
    steps = np.arange(0, length, STEP_TICKS)
    index = np.arange(len(steps))
    return steps, index // UNIT_STEPS, index % UNIT_STEPS


def grid_phase(onset_tick: np.ndarray) -> int:
    """How many ticks the notes lie behind the sixteenth grid as a whole, in -120..120; 0 where they scatter.

    The circular mean of the onsets' places between two steps; a resultant under 0.4 counts as scatter, and a
    phase under 12 ticks as none.
    """
    if len(onset_tick) < 8:
        return 0
    angle = np.asarray(onset_tick, np.float64) * (2 * np.pi / STEP_TICKS)
    mean = np.exp(1j * angle).mean()
    if abs(mean) < 0.4:
        return 0
    phase = round(float(np.angle(mean)) * STEP_TICKS / (2 * np.pi))
    return phase if abs(phase) >= 12 else 0
