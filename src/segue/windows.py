"""A long row of features through a network of fixed length: overlapping windows, and back to one row.

Neighbouring windows overlap by twice the margin; every item is answered by the window in which it lies at
least the margin away from the edge, save at the two ends of the row.
"""

from __future__ import annotations

import numpy as np


def split_windows(features: np.ndarray, length: int, margin: int) -> np.ndarray:
    """Features (n, F) as float32 windows (windows, length, F); zeros beyond the end of the row."""
    starts = _window_starts(len(features), length, margin)
    padded = np.zeros((starts[-1] + length, features.shape[1]), np.float32)
    padded[: len(features)] = features
    return np.stack([padded[start : start + length] for start in starts])


def join_windows(answers: np.ndarray, count: int, margin: int) -> np.ndarray:
    """Answers (windows, length, ...) to the windows of a row of `count` items, as one row (count, ...)."""
    length = answers.shape[1]
    starts = _window_starts(count, length, margin)
    item = np.arange(count)
    window = np.clip((item - margin) // (length - 2 * margin), 0, len(starts) - 1)
    return answers[window, item - starts[window]]


def _window_starts(count: int, length: int, margin: int) -> np.ndarray:
    """First item of each window."""
    hop = length - 2 * margin
    windows = max(-(-(count - 2 * margin) // hop), 1)
    return np.arange(windows) * hop
