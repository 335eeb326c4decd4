"""Variation: deviations that drift from note to note as a player's do, instead of jittering."""

from __future__ import annotations

import numpy as np

#: Standard deviation of a Laplace distribution of scale 1, which is how the networks answer spreads.
LAPLACE_STD = np.sqrt(2)


def sample_drift(
    place: np.ndarray, kept: float, rng: np.random.Generator, series: np.ndarray | int = 0
) -> np.ndarray:
    """Deviations of mean 0 and variance 1, shape (n,): a first-order autoregression over places.

    `place` (n,) are integers in any order; `kept` is what remains of a deviation one place on. Notes of
    different `series` (n,) deviate independently, notes of one series and place together.
    """
    series = np.broadcast_to(series, len(place))
    order = np.lexsort((place, series))
    step, other = (np.diff(key[order], prepend=key[order][:1]) for key in (place, series))
    first = (step != 0) | (other != 0)
    first[:1] = True
    memory = np.where(other[first] == 0, float(kept) ** np.maximum(step[first], 0), 0.0)
    memory[:1] = 0.0
    values = rng.standard_normal(len(memory)) * np.sqrt(1 - memory**2)
    if kept > 0:
        before, chain = 0.0, []
        for m, fresh in zip(memory.tolist(), values.tolist(), strict=True):
            before = m * before + fresh
            chain.append(before)
        values = np.array(chain)
    result = np.empty(len(place))
    result[order] = values[np.cumsum(first) - 1]
    return result


def mix(share: float, common: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Two independent deviations of variance 1 as one of variance 1; `share` of the variance is `common`."""
    return np.sqrt(share) * common + np.sqrt(1 - share) * own
