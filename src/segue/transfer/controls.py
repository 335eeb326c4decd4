"""What a musician turns: density, register, syncopation and complexity.

Each control tilts the choice of patterns: the log probability of every pattern is raised by the control times
how much the pattern has of the property, in standard deviations over the vocabulary. The expected amount of
the property rises with the tilt whatever the network thinks (an exponential family is monotone in its
parameter), so that a control moves what it says. Syncopation and complexity are taken beside density: what
more notes alone would bring of them is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segue.transfer.encoding import SOURCE
from segue.transfer.grid import PITCHED_STEPS
from segue.transfer.slots import DEGREES

CONTROLS = ("density", "register", "syncopation", "complexity")
#: Nats by which a control at its end moves a pattern one standard deviation beyond the mean.
_NATS = {"density": 0.8, "register": 1.1, "syncopation": 1.5, "complexity": 1.0}
_MOST_SIGMAS = 3.0
_TRIAD = (0, 2, 4)


def is_neutral(settings: Mapping[str, Any]) -> bool:
    """Whether all controls are at 0."""
    return not any(settings[name] for name in CONTROLS)


def control_tilt(patterns: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Nats by which the controls in `settings` raise each pattern, float (patterns,).

    `patterns` bool (patterns, steps * slots) of one hand.
    """
    values = pattern_properties(patterns)
    return sum(settings[name] * _NATS[name] * values[name] for name in CONTROLS)


def moved_features(compared: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """`encoding.source_features` (units, 7) as if the source were as the controls want it."""
    moved = compared.copy()
    for name in set(CONTROLS) & set(SOURCE):
        moved[:, SOURCE.index(name)] += settings[name]
    return moved


def pattern_properties(patterns: np.ndarray) -> dict[str, np.ndarray]:
    """How much each pattern has of what the controls name, standard scores (patterns,); see the module."""
    grid = patterns.reshape(len(patterns), PITCHED_STEPS, -1)
    struck = grid.any(axis=2)
    sounds = struck.any(axis=1)
    notes = grid.sum(axis=(1, 2)).astype(float)
    density = _standard(struck.sum(axis=1) + 0.5 * notes, sounds)
    # A thin accompaniment is not a silent one: silence counts as the thinnest pattern.
    density[~sounds] = density[sounds].min() if sounds.any() else 0.0
    raw = {
        "density": density,
        "register": _standard(_height(grid), sounds),
        "syncopation": _beside(_syncopation(struck), density, sounds),
        "complexity": _beside(_colour(grid), density, sounds),
    }
    return {name: np.clip(value, -_MOST_SIGMAS, _MOST_SIGMAS) for name, value in raw.items()}


def _height(grid: np.ndarray) -> np.ndarray:
    """Mean octave of the notes, (patterns,); 0 for silence."""
    notes = grid.sum(axis=1)
    return notes @ (np.arange(grid.shape[2]) / DEGREES) / np.maximum(notes.sum(axis=1), 1)


def _syncopation(struck: np.ndarray) -> np.ndarray:
    """Onsets that are followed by silence on the next stronger place, and a beat left out, (patterns,).

    After the rule of Longuet-Higgins and Lee (1984); what follows the unit is not known and counts half.
    """
    beat, second, third_two, half, third_three, fourth = struck.T.astype(float)
    away = (1 - beat) * struck[:, 1:].any(axis=1)
    straight = second * (1 - half) + 0.5 * half * (1 - fourth) + 0.5 * fourth
    return away + straight + third_two * (1 - third_three) + 0.5 * third_three


def _colour(grid: np.ndarray) -> np.ndarray:
    """Different degrees, and notes beside the triad counted twice, (patterns,)."""
    degrees = np.zeros((len(grid), DEGREES), bool)
    for slot in range(grid.shape[2]):
        degrees[:, slot % DEGREES] |= grid[:, :, slot].any(axis=1)
    colours = np.delete(degrees, _TRIAD, axis=1).sum(axis=1)
    return degrees.sum(axis=1) + colours.astype(float)


def _standard(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Standard scores over the patterns that count; 0 for the others."""
    part = values[counted]
    if len(part) < 2:
        return np.zeros(len(values))
    return np.where(counted, (values - part.mean()) / max(float(part.std()), 1e-6), 0.0)


def _beside(values: np.ndarray, density: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Standard scores of what a line over density does not explain."""
    values = _standard(values, counted)
    centred = np.where(counted, density - density[counted].mean() if counted.any() else 0.0, 0.0)
    slope = float(values @ centred) / max(float(centred @ centred), 1e-9)
    return _standard(values - slope * centred, counted)
