"""What is kept of the original accompaniment: where a style is asked for in part, or is there already.

The *share* of the style, 0..1, is what is left of the original's place: the style vector goes that far from
the original's to the target's, and figures and lengths lose in probability with their distance from what the
original plays there, the more the smaller the share is. A piece that is in the style already keeps more of
its own, for what makes it this piece is not what the style has to change.
"""

from __future__ import annotations

import numpy as np

from segue.metrics.style import cosine
from segue.transfer.encoding import LENGTHS
from segue.transfer.grid import PITCHED_STEPS
from segue.transfer.patterns import pattern_distance

#: Nats that the pattern farthest from the source loses, and a length for each octave, as the share goes to 0.
_PULL, _LENGTH_PULL = 14.0, 4.0
#: Cosines of style vectors from which a piece is near a style, and at which it is in it. About 95 % of pieces
#: lie above the first with their own corpus and below it with any other, and half above the second.
_NEAR, _WITHIN = 0.8, 0.95
#: The part of the style that a piece within it keeps from the original.
_KEPT = 0.6


def nearness(own: np.ndarray, target: np.ndarray) -> float:
    """How far a piece is in a style already, 0..1, from the two style vectors, (STYLE_SIZE,) each."""
    like = cosine(own.astype(np.float64), target.astype(np.float64))
    return round(float(np.clip((like - _NEAR) / (_WITHIN - _NEAR), 0, 1)), 3)


def share_of_style(intensity: float, near: float) -> float:
    """The share of the style at an `intensity` of 0..1, for a piece with such a `nearness`."""
    return intensity * (1 - _KEPT * near)


def source_tilt(source: np.ndarray, patterns: np.ndarray, share: float) -> np.ndarray:
    """Nats that each pattern loses at each unit by its distance from the source's, float (units, patterns).

    `source` and `patterns` bool (units or patterns, steps * slots) of one hand.
    """
    distinct, inverse = np.unique(source, axis=0, return_inverse=True)
    return -_PULL * (1 - share) * pattern_distance(distinct, patterns, PITCHED_STEPS)[inverse.ravel()]


def length_tilt(source: np.ndarray, share: float) -> np.ndarray:
    """Nats that each length loses by its distance from the source's, float (units, CELLS, lengths).

    `source` (units, CELLS) as from `encoding.cell_lengths`; where the source strikes nothing, nothing is
    lost.
    """
    octaves = np.abs(np.log2(LENGTHS / LENGTHS[np.maximum(source, 0)][..., None]))
    return np.where(source[..., None] >= 0, -_LENGTH_PULL * (1 - share) * octaves, 0.0)
