"""The best path through states of which a piece seldom changes."""

from __future__ import annotations

import numpy as np


def steadiest_path(worth: np.ndarray, change: float) -> tuple[np.ndarray, float]:
    """The state at each step, int64 (steps,), and what the path is worth: the most that can be had of `worth`
    (steps, states) where every change of the state costs `change` (Viterbi).
    """
    steps, states = worth.shape
    best = np.zeros((steps, states), np.int64)
    total = np.zeros(states)
    for step, row in enumerate(worth):
        top = int(total.argmax())
        leave = total[top] - change
        best[step] = np.where(total >= leave, np.arange(states), top)
        total = np.maximum(total, leave) + row
    path = np.zeros(steps, np.int64)
    state = int(total.argmax())
    for step in range(steps - 1, -1, -1):
        path[step] = state
        state = int(best[step, state])
    return path, float(total.max())
