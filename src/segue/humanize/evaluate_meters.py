"""How near the stage comes to drummers in each meter and on each grid.

As `segue.humanize.evaluate`, but in any meter, and each hit counts once. A performance is written down as
a musician would: on sixteenths of its bars, or where its hits keep to triplets or swung sixteenths, on these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.humanize.encoding import STEP_TICKS
from segue.humanize.evaluate import Take, hits_of, known_hits, read_score, replay
from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.groove import step_seconds
from segue.runtime import Model
from segue.score import TICKS_PER_QUARTER, Score, bar_index, meters_from_zero
from segue.stage import Settings

#: Grids beside sixteenths, by the distance of their lines in ticks.
TRIPLETS = {TICKS_PER_QUARTER // 3: "triplets", TICKS_PER_QUARTER // 6: "swung sixteenths"}
#: A performance keeps to one of them where its hits crowd around the lines so much more, and are enough.
CROWDING_MARGIN, FEWEST_HITS = 0.05, 100


@dataclass(frozen=True)
class MeterRow:
    """Figures of the takes of one meter and grid: mean errors in ms and in MIDI units, and counts."""

    files: int
    hits: int
    written_ms: float
    segue_ms: float
    interval_ms: tuple[float, float]
    written_velocity: float
    segue_velocity: float


def read_any_take(path: Path) -> tuple[str, Take]:
    """The performance in a file, of any meter, and the name of its row. Raises `StageError`."""
    score, content = read_score(path)
    notes = known_hits(score)
    place, grid = written_places(score, notes["onset_tick"].astype(np.int64))
    meters = {m.name for m in meters_from_zero(score)}
    meter = meters.pop() if len(meters) == 1 else "changing"
    name = f"{meter} {grid}" if grid else meter
    return name, Take(path, content, score, hits_of(score, notes, place))


def written_places(score: Score, onset: np.ndarray) -> tuple[np.ndarray, str]:
    """Ticks (n,) where hits at the ticks `onset` (n,) would be written, and the grid beside sixteenths.

    The grid is a value of `TRIPLETS`, or "".
    """
    bars, index = bar_index(score, onset + STEP_TICKS // 2)
    bar = bars[index]
    within = onset - bar
    straight = np.rint(within / STEP_TICKS) * STEP_TICKS
    crowding = {unit: _crowding(within, unit) for unit in (STEP_TICKS, *TRIPLETS)}
    unit = max(crowding, key=crowding.__getitem__)
    if crowding[unit] < crowding[STEP_TICKS] + CROWDING_MARGIN or len(onset) < FEWEST_HITS:
        return bar + straight, ""
    # Beat by beat, as even a shuffle has straight fills.
    other = np.rint(within / unit) * unit
    _, beat = np.unique(
        bar + (within + STEP_TICKS // 4) // TICKS_PER_QUARTER * TICKS_PER_QUARTER, return_inverse=True
    )
    errors = [np.bincount(beat, np.abs(within - p) / u) for p, u in ((straight, STEP_TICKS), (other, unit))]
    return bar + np.where((errors[1] <= errors[0])[beat], other, straight), TRIPLETS[unit]


def _crowding(ticks: np.ndarray, unit: int) -> float:
    """How much ticks (n,) crowd around one place between the lines of a grid: 1 all at one, 0 not at all."""
    return float(np.abs(np.exp(2j * np.pi * ticks / unit).mean()))


def meter_rows(
    takes: Iterable[tuple[str, Take]], settings: Settings, models: Mapping[str, Model], seed: int
) -> dict[str, MeterRow]:
    """The figures of at least one take, by the names of their rows; most hits first."""
    takes = list(takes)
    median = round(float(np.median(np.concatenate([take.hits.velocity for _, take in takes]))) * 127)
    parts: dict[str, list[np.ndarray]] = {}
    for name, take in takes:
        offset, velocity = replay(take, median, settings, models, seed)
        ms = 1000 * step_seconds(take.hits.bpm)
        errors = (
            np.abs(take.hits.offset) * ms,
            np.abs(take.hits.offset - offset) * ms,
            np.abs(take.hits.velocity * 127 - median),
            np.abs(take.hits.velocity - velocity) * 127,
        )
        parts.setdefault(name, []).append(np.stack(errors))
    return {
        name: _row(found) for name, found in sorted(parts.items(), key=lambda p: -sum(map(np.size, p[1])))
    }


def _row(errors: list[np.ndarray]) -> MeterRow:
    whole = np.concatenate(errors, axis=1)
    piece = np.repeat(np.arange(len(errors)), [part.shape[1] for part in errors])
    written, played, written_velocity, velocity = whole.mean(1).tolist()
    interval = interval_of_mean(whole[1], piece)
    return MeterRow(len(errors), whole.shape[1], written, played, interval, written_velocity, velocity)


def meter_text(rows: Mapping[str, MeterRow]) -> str:
    """The rows for a terminal."""
    names = ("files", "hits", "quantised ms", "segue ms", "95 %", "median velocity", "segue velocity")
    lines = [f"{'MAE':24}" + "".join(f"{name:>17}" for name in names)]
    for name, row in rows.items():
        low, high = row.interval_ms
        interval = f"{low:.2f} to {high:.2f}" if row.files > 1 else "-"
        ms = f"{row.written_ms:.2f}", f"{row.segue_ms:.2f}", interval
        cells = (
            str(row.files),
            f"{row.hits:,}",
            *ms,
            f"{row.written_velocity:.1f}",
            f"{row.segue_velocity:.1f}",
        )
        lines.append(f"{name:24}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)
