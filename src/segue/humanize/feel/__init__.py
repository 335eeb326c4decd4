"""The feel of a performance: how early or late, how hard, and how evenly it plays each place of the bar.

Conventions
-----------
- A *place* is a twelfth of a quarter, counted from the bar line: sixteenths and triplets both have places.
- A hit belongs to the place of the grid that it is played on (sixteenths or triplets, decided beat by beat).
- *Timing* is the distance from that place in milliseconds, positive when late. Milliseconds, because within
  one drummer and style a deviation carries over to another tempo better so than as a share of a step.
- Velocities are MIDI velocities; spreads are standard deviations of hits around the mean of their place.
- A feel of drums knows the nine classes of `segue.humanize.encoding`; one of other instruments, or of a
  recording whose drums cannot be told apart, has a single column and knows places alone.

A place that was hit seldom says little, so each mean leans on a coarser one as if that had been seen so
many times more (`TIMING_PRIORS`, `VELOCITY_PRIORS`): the drum at this place of the bar on the drum at this
place of the beat, that on the drum everywhere, that on all drums. The off-beat eighth counts as one place
where a performance plays it only swung, or only straight.

`extract` takes a feel out of MIDI, `audio` out of a recording, `file` reads and saves it, `play` plays with
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.humanize.encoding import CLASSES
from segue.score import TICKS_PER_QUARTER, Meter

#: Places of a quarter, and the ticks of one.
PLACES_PER_QUARTER = 12
PLACE_TICKS = TICKS_PER_QUARTER // PLACES_PER_QUARTER
#: Off-beat eighths within the beat, straight and swung.
STRAIGHT_OFFBEAT, SWUNG_OFFBEAT = 6, 8
#: For how many hits the coarser mean counts: under the drum, its place in the beat, its place in the bar.
#: Chosen on the validation takes, first half for the second.
TIMING_PRIORS = (4, 4, 8)
VELOCITY_PRIORS = (2, 2, 2)
#: The same for spreads, which need more hits.
SPREAD_PRIORS = (8, 8, 8)
#: Digits that a feel keeps, so that one that was saved and one that was not play alike.
TIMING_DIGITS, VELOCITY_DIGITS, BPM_DIGITS, SWING_DIGITS = 2, 1, 2, 3


@dataclass(frozen=True)
class Moments:
    """Hits of one quantity by place and class, (places, classes): mean and spread, NaN where unknown."""

    mean: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Feel:
    """What a performance does at each place of its bar.

    `count` (places, classes) are hits, int64; `timing` in ms and `velocity` in MIDI units have its shape,
    with one column where `knows_drums` is False. `bpm` is the performance's tempo in quarters, `swing` the
    long eighth's share of a pair where it swings, else None. `latency_ms` is what the whole performance was
    late by and was taken off `timing`, as that much tells of the recording and not of the player; mostly 0.
    """

    name: str
    source: str
    meter: Meter
    bpm: float
    swing: float | None
    latency_ms: float
    count: np.ndarray
    timing: Moments
    velocity: Moments

    @property
    def knows_drums(self) -> bool:
        """Whether it tells drums apart."""
        return self.count.shape[1] == len(CLASSES)

    @property
    def beat_places(self) -> int:
        """Places of one felt beat of its meter."""
        return beat_places(self.meter)

    @cached_property
    def timing_tables(self) -> Tables:
        """Timing in ms by place, with all fallbacks."""
        return smooth(self.count, self.timing, self.beat_places, TIMING_PRIORS)

    @cached_property
    def velocity_tables(self) -> Tables:
        """Velocity by place, with all fallbacks."""
        return smooth(self.count, self.velocity, self.beat_places, VELOCITY_PRIORS)


@dataclass(frozen=True)
class Tables:
    """A quantity smoothed at every place, one column a class and a last one for all classes together.

    The rows of `mean` and `spread`, (places + beat places + 1, columns), are the places of the bar, from
    `beat_row` on those of any beat, and last one for anywhere. NaN where the feel has not seen the class.
    `hits` are those seen at the row itself.
    """

    mean: np.ndarray
    spread: np.ndarray
    hits: np.ndarray
    beat_row: int


def bar_places(meter: Meter) -> int:
    """Places of one bar, rounded up."""
    return -(-meter.bar_ticks // PLACE_TICKS)


def beat_places(meter: Meter) -> int:
    """Places of one felt beat."""
    return max(meter.beat_ticks // PLACE_TICKS, 1)


def moments(place: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> Moments:
    """Mean and spread of `value` (n,) in each cell, from the cell of each hit (n,); NaN in empty cells."""
    cell = place * shape[1] + column
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, value, minlength=len(count)) / count
        variance = np.bincount(cell, (value - mean[cell]) ** 2, minlength=len(count)) / count
    return Moments(mean.reshape(shape), np.sqrt(variance).reshape(shape))


def smooth(count: np.ndarray, seen: Moments, beat_places: int, priors: tuple[int, int, int]) -> Tables:
    """The tables of one quantity from what was seen, (places, classes)."""
    known = np.isfinite(seen.mean) & (count > 0)
    sums = np.stack(
        [
            np.where(known, count, 0),
            np.where(known, count * seen.mean, 0),
            # Spreads are those around each cell's own mean, at every level.
            np.where(known, count * seen.spread**2, 0),
        ]
    )
    sums = np.concatenate([sums, sums.sum(2, keepdims=True)], axis=2)
    to_beat = np.arange(len(count)) % beat_places
    beat = np.zeros((3, beat_places, sums.shape[2]))
    np.add.at(beat, (slice(None), to_beat), sums)
    anywhere = sums.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        coarser = anywhere[1:, :, -1:] / anywhere[:1, :, -1:]
    rows = []
    for level, prior, spread in zip((anywhere, beat, sums), priors, SPREAD_PRIORS, strict=True):
        if level is sums:
            coarser = coarser[:, to_beat]
        weight = np.array([prior, spread])[:, None, None]
        coarser = (level[1:] + weight * coarser) / (level[:1] + weight)
        rows.append(coarser)
    mean, variance = np.concatenate(rows[::-1], axis=1)
    hits = np.concatenate([sums[0], beat[0], anywhere[0]])
    unseen = anywhere[0, 0] == 0
    mean[:, unseen] = variance[:, unseen] = np.nan
    tables = Tables(mean, np.sqrt(variance), hits, len(count))
    if beat_places == PLACES_PER_QUARTER:
        _share_offbeats(tables)
    return tables


def _share_offbeats(tables: Tables) -> None:
    """Let the off-beat eighth be one place, swung or straight, where only one of the two was played."""
    rows = np.arange(len(tables.mean) - 1)
    within = np.where(rows < tables.beat_row, rows, rows - tables.beat_row) % PLACES_PER_QUARTER
    straight, swung = (rows[within == offbeat] for offbeat in (STRAIGHT_OFFBEAT, SWUNG_OFFBEAT))
    if len(straight) != len(swung):
        return
    played = [tables.hits[part].any() for part in (straight, swung)]
    if played[0] != played[1]:
        source, target = (straight, swung) if played[0] else (swung, straight)
        for table in (tables.mean, tables.spread, tables.hits):
            table[target] = table[source]
