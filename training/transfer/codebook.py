"""Medoids: the patterns that stand for all others with the least distance."""

from __future__ import annotations

import numpy as np

from segue.transfer.patterns import pattern_distance


def choose_patterns(
    patterns: np.ndarray, weight: np.ndarray, size: int, candidates: int = 3000, steps: int = 4
) -> np.ndarray:
    """A codebook, bool (size, bits), of patterns that really occur; the empty one comes first.

    Greedy facility location over the `candidates` patterns of the greatest total weight: each choice takes
    away the most of the remaining weighted distance (Nemhauser et al. 1978: within 63 % of the optimum).
    """
    packed, inverse = np.unique(np.packbits(patterns, axis=1), axis=0, return_inverse=True)
    total = np.bincount(inverse.ravel(), weight)
    rows = np.unpackbits(packed, axis=1)[:, : patterns.shape[1]].astype(bool)
    total[~rows.any(axis=1)] = 0
    order = np.argsort(-total, kind="stable")[:candidates]
    rows, total = rows[order], total[order]
    distance = pattern_distance(rows, rows, steps)
    nearest = np.ones(len(rows), np.float32)
    chosen: list[int] = []
    for _ in range(size - 1):
        gain = (np.maximum(nearest[:, None] - distance, 0) * total[:, None]).sum(axis=0)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, distance[:, best])
    return np.concatenate([np.zeros((1, patterns.shape[1]), bool), rows[chosen]])
