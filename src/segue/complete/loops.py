"""What keeps new notes from saying one thing over and over.

A *cell* is a run of up to `LONGEST_CELL` events that comes again right after itself, in the same pitches and
durations. Networks that look back get caught in cells far more often than people do (Holtzman et al. 2020
show the same of text). So a cell may have three turns, one note five, or as many as the melody itself has
somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segue.complete.checks import run_lengths
from segue.complete.encoding import REST, Events

LONGEST_CELL = 24
#: Events that may repeat the cell before them: two more turns, and no fewer than this many.
SHORT_RUN = 4
_CELLS = np.arange(1, LONGEST_CELL + 1)


class Loops:
    """Follows the events of a melody, and knows which pitch would carry a loop on.

    `run[k]` is how many of the last events each equal the one k + 1 events before.
    """

    def __init__(self, past: Events) -> None:
        pairs = np.stack([past.pitch, past.duration], 1)
        self._events: list[tuple[int, int]] = [(p, d) for p, d in pairs.tolist()]
        self._run = np.zeros(LONGEST_CELL, np.int64)
        self._most = np.maximum(2 * _CELLS, SHORT_RUN)
        for k, cell in enumerate(_CELLS[: max(len(pairs) - 1, 0)].tolist()):
            equal = (pairs[cell:] == pairs[:-cell]).all(1)
            runs = run_lengths(equal)
            self._run[k] = runs[-1]
            self._most[k] = max(self._most[k], runs.max())

    def copy(self) -> Loops:
        """One with the same past that goes on by itself."""
        twin = Loops.__new__(Loops)
        twin._events, twin._run, twin._most = self._events.copy(), self._run, self._most
        return twin

    def add(self, pitch: int, duration: int) -> None:
        """Follow an event (tokens)."""
        recent = self._events[-LONGEST_CELL:][::-1]
        same = np.zeros(LONGEST_CELL, bool)
        same[: len(recent)] = [event == (pitch, duration) for event in recent]
        self._run = np.where(same, self._run + 1, 0)
        self._events.append((pitch, duration))

    def forbidden(self) -> Sequence[int]:
        """Pitch tokens of notes that would carry on a loop that has had its turns."""
        full = np.flatnonzero(self._run >= self._most) + 1
        return sorted({self._events[-cell][0] for cell in full.tolist()} - {REST})
