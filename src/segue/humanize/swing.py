"""Swing: the first eighth of a pair is long, the second short, and what lies between stretches with them.

The ratio is the long eighth's share of the pair: 0.5 is straight, 2/3 the triplet feel, 0.75 a dotted
eighth and a sixteenth; `jazz` takes that of jazz soloists at the tempo (`jazz_swing`). Quarters are counted
from the bar line; in meters that are counted in eighths or shorter (6/8, 12/8, 7/8) nothing is swung, and
neither are quarters that the music divides by three.
"""

from __future__ import annotations

import numpy as np

from segue.humanize import jazz_swing
from segue.score import TICKS_PER_QUARTER, Score, bar_index, bpm_at, meter_index, meters_from_zero

STRAIGHT = 0.5
JAZZ = "jazz"
#: A ratio, or `JAZZ`.
Swing = float | str
#: A quarter counts as divided by three where its notes lie this much nearer to sixths of it than to eighths.
TRIPLET_RATIO = 0.6


def swing_moves(
    score: Score, onset: np.ndarray, duration: np.ndarray, swing: Swing
) -> tuple[np.ndarray, np.ndarray]:
    """Ticks by which notes move and become longer, float, (n,) each; onsets and durations in ticks, (n,)."""
    if swing == STRAIGHT or not len(onset):
        return np.zeros(len(onset)), np.zeros(len(onset))
    onset = np.asarray(onset, np.int64)
    end = onset + duration
    quarter, swings = _quarters(score, np.concatenate([onset, end]))
    swings &= ~np.isin(quarter, _divided_by_three(onset - quarter[: len(onset)], quarter[: len(onset)]))
    within = np.concatenate([onset, end]) - quarter
    ratio = jazz_ratio(score, quarter) if swing == JAZZ else np.full(len(quarter), swing)
    moves = np.where(swings, swung(within, ratio) - within, 0.0)
    shift, end_shift = np.split(moves, 2)
    return shift, end_shift - shift


def swung(within: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Where ticks within a quarter (n,) come to lie: the half at `ratio` (n,), the rest in proportion."""
    half = TICKS_PER_QUARTER / 2
    first = 2 * ratio * np.minimum(within, half)
    return first + 2 * (1 - ratio) * np.maximum(within - half, 0)


def jazz_ratio(score: Score, ticks: np.ndarray) -> np.ndarray:
    """The ratio of jazz soloists at the tempo of each tick, (n,)."""
    return np.interp(bpm_at(score, ticks), jazz_swing.TEMPO_BPM, jazz_swing.OFF_BEAT)


def _quarters(score: Score, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The start of the quarter in which each tick lies, and whether this quarter may swing, (n,) each."""
    bars, bar = bar_index(score, ticks)
    start = bars[bar] + (ticks - bars[bar]) // TICKS_PER_QUARTER * TICKS_PER_QUARTER
    in_quarters = np.array([m.denominator <= 4 for m in meters_from_zero(score)])[
        meter_index(score, bars[bar])
    ]
    return start, in_quarters & (start + TICKS_PER_QUARTER <= bars[bar + 1])


def _divided_by_three(within: np.ndarray, quarter: np.ndarray) -> np.ndarray:
    """The starts of the quarters that notes, `within` them by so many ticks, divide into triplets."""
    starts, back = np.unique(quarter, return_inverse=True)
    eighths, sixths = (
        np.bincount(back, np.abs(within - np.rint(within / unit) * unit))
        for unit in (TICKS_PER_QUARTER / 8, TICKS_PER_QUARTER / 6)
    )
    return starts[sixths < TRIPLET_RATIO * eighths]
