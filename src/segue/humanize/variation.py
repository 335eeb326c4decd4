"""Variation: deviations that drift from note to note as a player's do, instead of jittering."""

from __future__ import annotations

import numpy as np


def sample_deviation(
    step: np.ndarray, voice: np.ndarray, shared: float, kept: float, rng: np.random.Generator
) -> np.ndarray:
    """Deviations of spread 1, shape (n,), that drift from hit to hit as a player's do.

    `step` (n,) is the place of each hit in steps from the start, `voice` (n,) what plays it. A share
    `shared` of the variance is common to all voices, the rest is each voice's own; each follows a
    first-order autoregression that keeps `kept` of itself from one step to the next. Hits of one voice and
    step deviate together.
    """
    noise = np.zeros(len(step))
    noise += np.sqrt(shared) * _drift(step, kept, rng)
    for v in np.unique(voice):
        mine = voice == v
        noise[mine] += np.sqrt(1 - shared) * _drift(step[mine], kept, rng)
    return noise


def _drift(step: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """A stationary first-order autoregression of variance 1 at the given steps (n,), any order."""
    places, back = np.unique(step, return_inverse=True)
    fresh = rng.standard_normal(len(places))
    memory = kept ** np.diff(places, prepend=places[:1])
    value, values = 0.0, np.empty(len(places))
    for i, (m, f) in enumerate(zip(memory.tolist(), fresh.tolist(), strict=True)):
        value = f if i == 0 else m * value + (1 - m * m) ** 0.5 * f
        values[i] = value
    return values[back]
