"""What a part of a score looks like to the measures of `segue.metrics.style`."""

from __future__ import annotations

import numpy as np

from segue.metrics.style import (
    bar_prints,
    chroma_windows,
    duration_histogram,
    interval_histogram,
    velocity_histogram,
)
from segue.score import TICKS_PER_QUARTER, Score, bar_starts, seconds_from_ticks
from segue.transfer.grid import STEP_TICKS

#: Names of the histograms of `part_histograms`, in their order.
HISTOGRAMS = ("interval", "duration", "velocity")


def part_histograms(notes: np.ndarray, score: Score) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval (24, 41), duration (24, 24) and velocity (24, 8) histograms of a NOTE array, counts."""
    onset = notes["onset_tick"].astype(np.int64)
    bars, bar = _bars(notes, score)
    place = np.maximum(onset - bars[bar], 0) / TICKS_PER_QUARTER
    return (
        interval_histogram(onset / TICKS_PER_QUARTER, notes["pitch"].astype(np.int64)),
        duration_histogram(place, notes["duration_tick"] / TICKS_PER_QUARTER),
        velocity_histogram(place, notes["velocity"]),
    )


def part_chroma(notes: np.ndarray, score: Score) -> np.ndarray:
    """Chroma windows (windows, 12) of a NOTE array at the piece's tempo."""
    onset = seconds_from_ticks(score, notes["onset_tick"])
    end = seconds_from_ticks(score, notes["onset_tick"] + notes["duration_tick"])
    return chroma_windows(onset, end - onset, notes["pitch"].astype(np.int64), float(end.max(initial=0)))


def part_prints(notes: np.ndarray, score: Score) -> np.ndarray:
    """What begins in each bar on the grid of sixteenths, uint64 (bars,): see `bar_prints`."""
    bars, bar = _bars(notes, score)
    step = np.round((notes["onset_tick"] - bars[bar]) / STEP_TICKS).astype(np.int64)
    length = np.maximum(np.round(notes["duration_tick"] / STEP_TICKS), 1).astype(np.int64)
    return bar_prints(bar, step, notes["pitch"].astype(np.int64), length, len(bars) - 1)


def notes_a_beat(notes: np.ndarray, score: Score) -> float:
    """Notes for each quarter of the whole score."""
    return len(notes) * TICKS_PER_QUARTER / max(int(bar_starts(score)[-1]), 1)


def _bars(notes: np.ndarray, score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Ticks of all bar lines (bars + 1,), and the bar of each note (n,).

    A note less than half a sixteenth before a bar line belongs to the bar that begins there.
    """
    bars = bar_starts(score)
    onset = notes["onset_tick"].astype(np.int64)
    bar = np.searchsorted(bars, onset + STEP_TICKS // 2 - 1, "right") - 1
    return bars, np.clip(bar, 0, len(bars) - 2)
