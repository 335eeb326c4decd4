"""What chords and keys are without a model: what any figure of harmonize is held against.

Conventions
-----------
- *chroma* is `encoding.note_chroma`: how much each pitch class sounds in each beat, (beats, 12).
- Classes are majmin classes (`segue.chords`); keys are 0..11 major, 12..23 minor.
"""

from __future__ import annotations

import numpy as np

from segue.chords import NO_CHORD_CLASS
from segue.ingest.key import KEY_PROFILES

#: What a pitch class outside the triad costs, of what one inside it is worth.
_FOREIGN = 0.5


def triad_template(chroma: np.ndarray) -> np.ndarray:
    """The triad whose tones outweigh the other notes most, class by beat; no chord where nothing sounds."""
    templates = np.zeros((24, 12))
    for c in range(24):
        templates[c, [c % 12, (c + (3 if c >= 12 else 4)) % 12, (c + 7) % 12]] = 1
    score = chroma @ templates.T - _FOREIGN * (chroma @ (1 - templates).T)
    # Rounded, so that a tie is one on every machine.
    best = np.round(score, 9).argmax(axis=1)
    return np.where(chroma.sum(axis=1) > 0, best, NO_CHORD_CLASS)


def most_frequent(reference: np.ndarray) -> int:
    """The class that a piece's reference names most often: the best that any single chord can do.

    -1 is not counted; no chord where nothing is.
    """
    known = reference[reference >= 0]
    return int(np.bincount(known).argmax()) if len(known) else NO_CHORD_CLASS


def key_by_profile(chroma: np.ndarray) -> int:
    """The key whose profile of `segue.ingest.key` lies nearest to a piece's chroma (12,)."""
    return int(np.linalg.norm(KEY_PROFILES - chroma / max(chroma.sum(), 1e-9), axis=1).argmin())
