"""What the controls of the transfer stage name, counted in a part.

- density: notes a quarter;
- register: mean pitch (MIDI);
- syncopation: share of onsets (of any note) off the quarter with none on the next quarter;
- complexity: different pitch classes beside the chord's own, a bar.
"""

from __future__ import annotations

import numpy as np

from segue.chords import chord_index_at, chords_of_record, pitch_class_mask
from segue.score import TICKS_PER_QUARTER, bar_starts
from training.transfer.pieces import Piece


def figures(notes: np.ndarray, piece: Piece) -> dict[str, float]:
    """The four figures of a part (NOTE array, not empty) over the chords of its piece."""
    quarters = bar_starts(piece.score)[-1] / TICKS_PER_QUARTER
    onset = notes["onset_tick"].astype(np.int64)
    return {
        "density": len(notes) / quarters,
        "register": float(notes["pitch"].mean()),
        "syncopation": syncopation(onset),
        "complexity": colours(notes, piece),
    }


def syncopation(onset: np.ndarray) -> float:
    """Share of distinct onsets off the quarter that no onset on the next quarter follows."""
    distinct = np.unique(np.round(onset / 80).astype(np.int64))
    place, quarter = distinct % 12, distinct // 12
    struck = set(quarter[place == 0].tolist())
    off = np.array([p > 0 and q + 1 not in struck for p, q in zip(place, quarter, strict=True)])
    return float(off.mean())


def colours(notes: np.ndarray, piece: Piece) -> float:
    """Mean number of different pitch classes beside the chord's own, over the bars that sound."""
    starts, chords = chords_of_record(piece.record)
    index = chord_index_at(starts, notes["onset_tick"] + 120)
    own = np.stack([*(pitch_class_mask(c) for c in chords), np.ones(12, bool)])
    pitch_class = notes["pitch"] % 12
    foreign = ~own[index, pitch_class]
    bar = np.searchsorted(bar_starts(piece.score), notes["onset_tick"], "right")
    found = {(b, p) for b, p in zip(bar[foreign].tolist(), pitch_class[foreign].tolist(), strict=True)}
    return len(found) / len(np.unique(bar))
