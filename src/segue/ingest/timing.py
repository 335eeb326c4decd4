"""Whether the timing of a track was played by a person or set on a grid.

Convention: the measure is the note onset median metric level (NOMML) of Lee, Ens, Adkins, Sarmento, Barthet
and Pasquier, "The GigaMIDI Dataset with Features for Expressive Music Performance Detection", Transactions
of the International Society for Music Information Retrieval 8(1), 2025.

Each onset gets the coarsest metric level on whose grid it lies exactly. There are 12 levels, 0 to 11. The
even levels 2 i, i in 0..5, are the duple grids of period 1/2**i quarter (a quarter down to a 128th note);
the odd levels 2 i + 1 are the triplet grids of period (2/3)/2**i quarter (a half-note triplet down to a
64th triplet). Duple grids are tried before triplet grids. An onset on none of them gets level 12. NOMML is
the median level over the notes of a track, rounded down. A track whose NOMML is 12 was not quantised: more
than half of its notes lie between all grid lines.
"""

from __future__ import annotations

import numpy as np

from segue.score import TICKS_PER_QUARTER

_LEVELS_A_KIND = 6
#: The level of an onset that lies on no grid, and the NOMML of a track played by a person.
NOT_QUANTISED = 2 * _LEVELS_A_KIND


def metric_levels(onset_tick: np.ndarray) -> np.ndarray:
    """Metric level 0..12 of each onset, int64, shape (n,); `onset_tick` in ticks, shape (n,)."""
    onset_tick = np.asarray(onset_tick, np.int64)
    levels = np.full(onset_tick.shape, NOT_QUANTISED, np.int64)
    # Finest first and duple last, so that the last grid written is the one that the measure asks for.
    for triplet in (1, 0):
        widest = 2 * TICKS_PER_QUARTER // 3 if triplet else TICKS_PER_QUARTER
        for i in reversed(range(_LEVELS_A_KIND)):
            levels[onset_tick % (widest >> i) == 0] = 2 * i + triplet
    return levels


def nomml(onset_tick: np.ndarray) -> int | None:
    """The note onset median metric level of a track, 0..12; None for a track without notes."""
    if len(onset_tick) == 0:
        return None
    return int(np.median(metric_levels(onset_tick)))


def is_human(level: int | None) -> bool:
    """Whether a track with this NOMML was played rather than set on a grid."""
    return level is not None and level >= NOT_QUANTISED
