"""A tune as the training data hold it: one voice in key and meter, on a grid of twelfths of a quarter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tune:
    """One monophonic melody.

    `onset` and `duration` are int64 in twelfths of a quarter, shape (notes,), `pitch` MIDI numbers. Time
    zero is the start of the first full bar: a pickup has negative onsets. `bar` is the length of a bar.
    """

    name: str
    corpus: str
    style: str
    meter: tuple[int, int]
    tonic: int
    mode: str
    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    #: Indices of notes that end a section (the last one always does).
    section_end: tuple[int, ...] = ()

    @property
    def bar(self) -> int:
        """Length of a bar in twelfths of a quarter."""
        return 48 * self.meter[0] // self.meter[1]
