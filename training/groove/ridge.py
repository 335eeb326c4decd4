"""The floor of the groove table: ridge regression from the hits of a window, one model a cell."""

from __future__ import annotations

import numpy as np

from segue.humanize.encoding import CLASS_COUNT, WINDOW_STEPS, tempo_features
from training.groove.data import Windows

#: Best of 10, 100, 1000 and 3000 by the timing MAE of the validation split.
PENALTY = 1000.0


def _design(windows: Windows) -> np.ndarray:
    """Hits of all cells, the two tempo features and a one: (windows, 291)."""
    tempo = tempo_features(windows.bpm).astype(np.float32)
    flat = windows.hits.reshape(len(windows), -1).astype(np.float32)
    return np.hstack([flat, tempo, np.ones((len(windows), 1), np.float32)])


def ridge_prediction(
    train: Windows, validation: Windows, penalty: float = PENALTY
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and velocities (windows, 32, 9) of `validation`; a cell learns where it is hit."""
    known, asked = _design(train), _design(validation)
    ridge = penalty * np.eye(known.shape[1])
    ridge[-1, -1] = 1e-3 * penalty  # The constant is hardly held back.
    cells = WINDOW_STEPS * CLASS_COUNT
    targets = np.stack([train.offset.reshape(-1, cells), train.velocity.reshape(-1, cells)], axis=2)
    hits = train.hits.reshape(-1, cells)
    answer = np.zeros((len(asked), cells, 2))
    for cell in range(cells):
        rows = hits[:, cell]
        x = known[rows]
        if len(x):
            answer[:, cell] = asked @ np.linalg.solve(x.T @ x + ridge, x.T @ targets[rows, cell])
    shape = validation.hits.shape
    return np.clip(answer[..., 0], -0.5, 0.5).reshape(shape), np.clip(answer[..., 1], 0, 1).reshape(shape)
