"""Melody metrics: likelihood, next-note accuracy, completion ranking and overlap of histograms.

Conventions
-----------
- Log-probabilities are natural; a *note's* cost is that of its pitch and its duration. Where a model also
spends
  probability on rests, `nats_per_note` counts it and divides by the number of notes alone.
- Ranks count from 1 (best). A tie with the truth counts half a place, so a constant score is chance.
- Histograms are non-negative arrays, shape (bins,), and are compared after each is brought to a sum of one.
- Onsets, durations and inter-onset intervals are in twelfths of a quarter, pitches MIDI numbers.

Metrics
-------
`nats_per_note`, `accuracy`: next-note negative log likelihood and top-1.
`ranks`, `hits_at`, `mean_average_precision`: completion ranking; with one right answer a query the average
precision is the reciprocal rank (Manning, Raghavan and Schütze 2008, chapter 8).
`overlap_area`: the area under the smaller of two distributions (Yang and Lerch 2020, "On the evaluation of
generative models in music", Neural Computing and Applications 32), taken here between the histograms of a
continuation and of the truth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: Upper bins of the inter-onset interval and duration histograms, in twelfths of a quarter.
_LONGEST = 96


def nats_per_note(log_probability: np.ndarray, is_note: np.ndarray) -> float:
    """Negative log likelihood in nats a note.

    `log_probability` of every event (pitch and duration together), float, shape (events,); `is_note` bool,
    same shape, False for rests. Raises ValueError without a note.
    """
    if not np.any(is_note):
        raise ValueError("there is no note to divide by")
    return float(-np.sum(log_probability) / np.sum(is_note))


def accuracy(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of rows that are equal in every column; integer arrays, shape (notes,) or (notes, columns)."""
    same = np.asarray(predicted) == np.asarray(truth)
    return float(same.reshape(len(same), -1).all(axis=1).mean())


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of the truth in each query, float, shape (queries,).

    `scores` (queries, candidates), higher is better; the truth is candidate 0. Ties count half a place.
    """
    scores = np.asarray(scores, float)
    truth = scores[:, :1]
    better = (scores[:, 1:] > truth).sum(axis=1)
    equal = (scores[:, 1:] == truth).sum(axis=1)
    return 1.0 + better + equal / 2


def hits_at(rank: np.ndarray, k: int) -> float:
    """Share of queries whose truth has a rank of at most `k`."""
    return float((np.asarray(rank) <= k).mean())


def mean_average_precision(rank: np.ndarray) -> float:
    """Mean reciprocal rank of the truth, which is MAP where each query has one right answer."""
    return float((1.0 / np.asarray(rank, float)).mean())


def histograms(onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray) -> dict[str, np.ndarray]:
    """Counts of a monophonic line: `pitch_class` (12 bins), `interval` (25: -12..12 semitones, wider ones at
    the ends), `ioi` and `duration` (97 bins: 0..96 twelfths of a quarter, longer ones in the last).
    """
    pitch = np.asarray(pitch, np.int64)
    interval = np.clip(np.diff(pitch), -12, 12) + 12
    ioi = np.clip(np.diff(np.asarray(onset, np.int64)), 0, _LONGEST)
    held = np.clip(np.asarray(duration, np.int64), 0, _LONGEST)
    return {
        "pitch_class": np.bincount(pitch % 12, minlength=12),
        "interval": np.bincount(interval, minlength=25),
        "ioi": np.bincount(ioi, minlength=_LONGEST + 1),
        "duration": np.bincount(held, minlength=_LONGEST + 1),
    }


def overlap_area(first: np.ndarray, second: np.ndarray) -> float:
    """Shared area of two histograms, 0..1; nan where either is empty."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.sum() == 0 or second.sum() == 0:
        return float("nan")
    return float(np.minimum(first / first.sum(), second / second.sum()).sum())


def overlap_areas(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`overlap_area` of each histogram of the same name."""
    return {name: overlap_area(first[name], second[name]) for name in first}
