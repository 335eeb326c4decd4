"""Drum groove: how near predicted timing and velocity come to a drummer's.

Conventions
-----------
- One entry per hit, all arrays of shape (n,): `offset` in sixteenths, [-0.5, 0.5), positive when late;
  `velocity` in [0, 1]; `step` the sixteenth within the bar or the window (only its remainder by 4 counts);
  `bpm` the tempo at the hit in quarters a minute.
- Timing MAE in milliseconds at the file's tempo, timing MSE in sixteenths squared, velocity MAE in MIDI
  units.
- KL: hits grouped by step mod 4, a Gaussian fitted to the true and to the predicted values of each group
  (maximum likelihood: mean and population standard deviation), KL(true || predicted) in nats, mean over the
  four groups. It falls to nothing for a prediction that is noise of the right spread, so it never stands
  alone.

Source: Gillick, Roberts, Engel, Eck and Bamman, "Learning to Groove with Inverse Sequence Transformations",
ICML 2019.
"""

from __future__ import annotations

import numpy as np

GROUPS = 4


def step_seconds(bpm: np.ndarray | float) -> np.ndarray:
    """Length of a sixteenth in seconds at `bpm` quarters a minute; same shape."""
    return 15.0 / np.asarray(bpm, float)


def timing_mae_ms(true: np.ndarray, predicted: np.ndarray, bpm: np.ndarray | float) -> float:
    """Mean absolute difference of offsets (n,) in milliseconds."""
    return float(np.mean(np.abs(np.asarray(true) - predicted) * step_seconds(bpm)) * 1000)


def timing_mse(true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean squared difference of offsets (n,), in sixteenths squared."""
    return float(np.mean(np.square(np.asarray(true, float) - predicted)))


def velocity_mae(true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute difference of velocities (n,) given in [0, 1], in MIDI units (1..127)."""
    return float(np.mean(np.abs(np.asarray(true, float) - predicted)) * 127)


def gaussian_kl(true_mean: float, true_spread: float, mean: float, spread: float) -> float:
    """KL divergence in nats of the Gaussian (mean, spread) from the true one: KL(true || predicted).

    Infinite where one of the two is a point and the other is not the same point.
    """
    if min(true_spread, spread) <= 0:
        return 0.0 if (true_mean, true_spread) == (mean, spread) else float("inf")
    ratio = (true_spread**2 + (true_mean - mean) ** 2) / (2 * spread**2)
    return float(np.log(spread / true_spread) + ratio - 0.5)


def _gaussian(values: np.ndarray) -> tuple[float, float]:
    """Mean and spread of values (n,), n > 0; a point where all are equal, which rounding would spread."""
    return (float(values[0]), 0.0) if np.ptp(values) == 0 else (float(values.mean()), float(values.std()))


def grouped_kl(true: np.ndarray, predicted: np.ndarray, step: np.ndarray) -> float:
    """Mean of KL(true || predicted) over the groups of `step` mod 4, Gaussians; empty groups are left out."""
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    group = np.asarray(step) % GROUPS
    values = [
        gaussian_kl(*_gaussian(t), *_gaussian(p))
        for t, p in ((true[group == g], predicted[group == g]) for g in range(GROUPS))
        if len(t)
    ]
    return float(np.mean(values)) if values else float("nan")


def groove_scores(
    true_offset: np.ndarray,
    offset: np.ndarray,
    true_velocity: np.ndarray,
    velocity: np.ndarray,
    step: np.ndarray,
    bpm: np.ndarray,
) -> dict[str, float]:
    """Every column of the groove table, one entry per hit in each array (n,)."""
    return {
        "timing_mae_ms": timing_mae_ms(true_offset, offset, bpm),
        "timing_mse": timing_mse(true_offset, offset),
        "timing_kl": grouped_kl(true_offset, offset, step),
        "velocity_kl": grouped_kl(true_velocity, velocity, step),
        "velocity_mae": velocity_mae(true_velocity, velocity),
        "timing_std_predicted": float(np.std(offset)),
        "timing_std_true": float(np.std(true_offset)),
        "velocity_std_predicted": float(np.std(velocity) * 127),
        "velocity_std_true": float(np.std(true_velocity) * 127),
    }
