"""Piano dynamics and timing: how near predicted velocities and deviations come to a player's.

Conventions
-----------
- One entry per note, all arrays of shape (n,). Velocities in MIDI units (1..127), full scale is 127; timing
  deviations in milliseconds, positive when late, NaN where the truth is not known.
- Shares count notes whose velocity differs by at most 10 % or 5 % of full scale.
- Centred velocities have the mean of their piece taken away, so that phrasing is judged without the level.
"""

from __future__ import annotations

import numpy as np

FULL_SCALE = 127.0


def velocity_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Every figure of the piano row from velocities (n,) in MIDI units."""
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    error = np.abs(true - predicted)
    return {
        "velocity_mae": float(error.mean()),
        "velocity_mse": float(np.square(error).mean()),
        "within_10_percent": float(np.mean(error <= 0.10 * FULL_SCALE)),
        "within_5_percent": float(np.mean(error <= 0.05 * FULL_SCALE)),
        "velocity_std_predicted": float(predicted.std()),
        "velocity_std_true": float(true.std()),
    }


def centred(velocity: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Velocities (n,) less the mean of their piece; `piece` (n,) holds the piece's index from 0 on."""
    piece = np.asarray(piece)
    count = np.maximum(np.bincount(piece), 1)
    return np.asarray(velocity, float) - (np.bincount(piece, velocity) / count)[piece]


def timing_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute error of timing deviations (n,), ms, and both spreads; NaN in `true` is left out."""
    known = np.isfinite(true)
    true, predicted = np.asarray(true, float)[known], np.asarray(predicted, float)[known]
    return {
        "timing_mae_ms": float(np.mean(np.abs(true - predicted))),
        "timing_std_predicted": float(predicted.std()),
        "timing_std_true": float(true.std()),
    }
