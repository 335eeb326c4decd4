"""A style as numbers: the vector that the accompaniment network is given, and the profiles of its figures.

The vector comes from a stretch of accompaniment: a network reads each unit with the one before, its answers
are averaged over the stretch and scaled to a fixed length. Loudness is not heard; printed music has none.
"""

from __future__ import annotations

import numpy as np

from segue.runtime import Model
from segue.transfer.encoding import CELLS, GRID_BITS, LENGTHS, STYLE_SIZE
from segue.transfer.grid import Grid, in_pairs

_PLACES = 6
ROWS = 2 * (GRID_BITS + CELLS) + _PLACES + 2
#: Two counts: time by interval and onset by duration (see `segue.metrics.style`).
Profiles = tuple[np.ndarray, np.ndarray]


def style_rows(onsets: np.ndarray, lengths: np.ndarray, grid: Grid) -> np.ndarray:
    """What the style encoder hears of a part, float32 (units, ROWS): each unit's onsets and note lengths,
    those of the unit before, and the place in the bar.

    `onsets` and `lengths` as from `encoding.onset_grid` and `encoding.cell_lengths`.
    """
    units = grid.units
    struck = lengths >= 0
    # An octave of length is a half; a sixteenth counts 0.5, so that it differs from no note.
    long = np.where(struck, np.log2(LENGTHS[np.maximum(lengths, 0)]) / 2 + 0.5, 0)
    own = np.concatenate([onsets.reshape(units, GRID_BITS), long], axis=1)
    before = np.concatenate([np.zeros_like(own[:1]), own[:-1]])
    place, size, _ = in_pairs(grid)
    where = np.zeros((units, _PLACES + 2))
    where[np.arange(units), np.minimum(place, _PLACES - 1)] = 1
    where[:, -2], where[:, -1] = grid.compound, size == 3
    return np.concatenate([own, before, where], axis=1).astype(np.float32)


def vector_of(model: Model, rows: np.ndarray) -> np.ndarray:
    """The style vector, float32 (STYLE_SIZE,), of a part's `style_rows`; rows without any onset do not count.

    Raises ValueError where nothing is played.
    """
    heard = rows[rows[:, :GRID_BITS].any(axis=1)]
    if len(heard) == 0:
        raise ValueError("there is nothing to learn a style from: no note lies over a chord")
    return scaled(model(rows=heard)["style"].astype(np.float64).mean(axis=0))


def scaled(vector: np.ndarray) -> np.ndarray:
    """A style vector of the length that all have, float32; mixtures are scaled again, too."""
    size = float(np.linalg.norm(vector))
    return (np.round(vector / max(size, 1e-9), 4) * np.sqrt(STYLE_SIZE)).astype(np.float32)
