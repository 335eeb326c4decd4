"""How sure a mean over pieces is. What is measured in one piece belongs together, so pieces are drawn."""

from __future__ import annotations

import numpy as np

DRAWS = 2000


def interval_of_mean(values: np.ndarray, piece: np.ndarray | None = None) -> tuple[float, float]:
    """95 % interval of the mean of `values` (n,) when pieces are drawn again with replacement.

    `piece` (n,) numbers the piece of each value from 0; each is a piece of its own if it is not given.
    """
    piece = np.arange(len(values)) if piece is None else piece
    return interval_of_ratio(np.bincount(piece, values), np.bincount(piece))


def interval_of_ratio(total: np.ndarray, count: np.ndarray, draws: int = DRAWS) -> tuple[float, float]:
    """The same of sum(total) / sum(count), one value a piece each, (pieces,)."""
    drawn = np.random.default_rng(0).integers(0, len(total), (draws, len(total)))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)
