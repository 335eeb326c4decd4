"""The grid of the transfer stage: bars cut into units of a quarter or a felt beat, in any meter.

Conventions
-----------
- A *unit* never crosses a bar line; the last unit of a bar is short where the bar is no multiple of it.
- `pitched_grid` has units of a quarter with six steps: the four sixteenths, and the second and third eighth
  of a triplet. The notes of one unit lie either on its sixteenths or on its thirds.
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
#: Steps of a unit for drums.
UNIT_STEPS = 4
#: Steps of a unit for pitched parts: ticks within the quarter, and which of them are sixteenths and thirds.
PITCHED_STEPS = 6
PITCHED_TICKS = np.array([0, 3, 4, 6, 8, 9]) * (STEP_TICKS // 3)
_SIXTEENTHS, _THIRDS = np.array([0, 1, 3, 5]), np.array([0, 2, 4])
#: A unit is a triplet where its notes lie on average this many ticks beside the sixteenths, and less than
#: half as far beside the thirds.
_TRIPLET_TICKS = 40
_SHUFFLE_TICKS = np.array([0, 2, 4, 5]) * STEP_TICKS


@dataclass(frozen=True)
class Grid:
    """Positions of bars, units and steps; all ticks int64, absolute, phase included.

    `bar_tick` (bars + 1,); `unit_tick` (units + 1,); `unit_bar`, `unit_in_bar`, `bar_units` (units,): index
    of the unit's bar, its place in it, and how many units the bar has; `compound` (units,) bool; `step_tick`
    (steps,), `step_unit`, `step_in_unit` (steps,); `steps`: how many a whole unit has.
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
    steps: int

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.unit_bar)

    @property
    def bars(self) -> int:
        """Number of bars."""
        return len(self.bar_tick) - 1

    def nearest_step(self, ticks: np.ndarray) -> np.ndarray:
        """Index of the step nearest to each tick, the earlier one in a tie, (n,).

        On a grid with thirds the ticks of a unit together decide whether it is a triplet.
        """
        ticks = np.asarray(ticks, np.int64)
        if self.steps == UNIT_STEPS:
            return self._nearest(ticks, np.arange(len(self.step_tick)))
        straight = self._nearest(ticks, np.flatnonzero(np.isin(self.step_in_unit, _SIXTEENTHS)))
        thirds = self._nearest(ticks, np.flatnonzero(np.isin(self.step_in_unit, _THIRDS)))
        unit = self.step_unit[straight]
        beside, beside_thirds = (
            np.bincount(unit, np.abs(ticks - self.step_tick[step]), minlength=self.units)
            for step in (straight, thirds)
        )
        far = beside > _TRIPLET_TICKS * np.bincount(unit, minlength=self.units)
        return np.where((far & (beside_thirds < beside / 2))[unit], thirds, straight)

    def _nearest(self, ticks: np.ndarray, among: np.ndarray) -> np.ndarray:
        tick = self.step_tick[among]
        return among[np.searchsorted((tick[1:] + tick[:-1]) // 2, ticks, "left")]

    def table(self) -> np.ndarray:
        """Step index by unit and place in the unit, int64 (units, steps); -1 where a short unit has none."""
        table = np.full((self.units, self.steps), -1, np.int64)
        table[self.step_unit, self.step_in_unit] = np.arange(len(self.step_tick))
        return table


def in_pairs(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`unit_in_bar`, `bar_units` and `unit_bar`, with two successive bars of two units read as one of four.

    For models that were learned from bars of four units.
    """
    two = grid.bar_units == 2
    place = np.where(two, grid.unit_in_bar + 2 * (grid.unit_bar % 2), grid.unit_in_bar)
    return place, np.where(two, 4, grid.bar_units), np.where(two, grid.unit_bar // 2, grid.unit_bar)


def pitched_grid(score: Score, phase: int = 0) -> Grid:
    """Units of a quarter in every bar, with sixteenths and thirds."""
    return _build(score, phase, PITCHED_STEPS)


def beat_grid(score: Score, phase: int = 0) -> Grid:
    """Units of four sixteenths, in compound meters felt beats."""
    return _build(score, phase, UNIT_STEPS)


def _build(score: Score, phase: int, unit_steps: int) -> Grid:
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
        key = (length, compound)
        if key not in templates:
            templates[key] = _template(length, _ticks_of_unit(compound, unit_steps))
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
        steps=unit_steps,
    )


def _ticks_of_unit(compound: bool, unit_steps: int) -> tuple[np.ndarray, int]:
    """Ticks of the steps within a unit, and the unit's length."""
    if unit_steps == PITCHED_STEPS:
        return PITCHED_TICKS, TICKS_PER_QUARTER
    if compound:
        return _SHUFFLE_TICKS, 6 * STEP_TICKS
    return np.arange(UNIT_STEPS) * STEP_TICKS, TICKS_PER_QUARTER


def _template(length: int, unit: tuple[np.ndarray, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of one bar of `length` ticks: tick in the bar, unit in the bar, place in the unit."""
    within, unit_ticks = unit
    steps = (np.arange(0, length, unit_ticks)[:, None] + within).ravel()
    index = np.arange(len(steps))
    inside = steps < length
    return steps[inside], (index // len(within))[inside], (index % len(within))[inside]


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
