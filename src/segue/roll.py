"""Piano rolls in systems, for the pictures of stages.

Conventions
-----------
- A *system* is a row of a picture: eight bars, more of short ones (up to `LEAST_QUARTERS`), fewer of long
  ones (`MOST_QUARTERS` at the most). One scale holds for a whole picture, so that equal lengths look equal.
- Positions are pixels from the upper left corner of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segue import svg
from segue.score import TICKS_PER_QUARTER

WIDTH, LEFT, RIGHT = 1200, 46, 20
BARS, LEAST_QUARTERS, MOST_QUARTERS = 8, 24, 36
#: Room below a roll for the numbers of its bars.
NUMBERS = 15
#: Height of a semitone in pixels.
THICKEST, THINNEST = 4.0, 1.5
#: Width of letters as a share of the size of the type, on the safe side of common sans-serif faces.
_WIDE, _NARROW, _CAPITAL, _USUAL = 0.9, 0.36, 0.74, 0.6


def text_width(text: str, size: float) -> float:
    """How wide a text is at most, in pixels."""

    def share(letter: str) -> float:
        if letter in "mMWw%@":
            return _WIDE
        if letter in "ijlIt.,/|() ":
            return _NARROW
        return _CAPITAL if letter.isupper() else _USUAL

    return size * sum(map(share, text))


def systems_of(bars: np.ndarray) -> Iterator[np.ndarray]:
    """The bar lines of each system, its end among them; `bars` are ticks, the last one ends the last bar."""
    first = 0
    while first < len(bars) - 1:
        last = first + 1
        while last < len(bars) - 1:
            length = (bars[last] - bars[first]) / TICKS_PER_QUARTER
            longer = (bars[last + 1] - bars[first]) / TICKS_PER_QUARTER
            if longer > MOST_QUARTERS or (last - first >= BARS and length >= LEAST_QUARTERS):
                break
            last += 1
        yield bars[first : last + 1]
        first = last


def scale_of(systems: list[np.ndarray]) -> float:
    """Pixels a tick, so that the longest system fills the picture."""
    return (WIDTH - LEFT - RIGHT) / max(int(s[-1] - s[0]) for s in systems)


def thickness_of(low: int, high: int, height: float) -> float:
    """Pixels a semitone for pitches low..high in a roll of at most `height`."""
    return min(max(height / (high - low + 1), THINNEST), THICKEST)


@dataclass(frozen=True)
class Roll:
    """A piano roll: its bar lines in ticks, the number of its first bar, its top, and its scales.

    `low` and `high` are the pitches of its lowest and highest row, `scale` pixels a tick, `thickness` pixels
    a semitone.
    """

    bars: np.ndarray
    first_bar: int
    top: float
    scale: float
    low: int
    high: int
    thickness: float

    @property
    def floor(self) -> float:
        """Bottom of the roll."""
        return self.top + self.thickness * (self.high - self.low + 1)

    def x(self, tick: float) -> float:
        """Where a tick lies; what is beyond the system lies at its end."""
        clipped = min(max(tick, float(self.bars[0])), float(self.bars[-1]))
        return LEFT + self.scale * (clipped - float(self.bars[0]))

    def y(self, pitch: np.ndarray | float) -> np.ndarray | float:
        """Middle of a pitch's row."""
        return self.top + (self.high - pitch + 0.5) * self.thickness

    def lines(self) -> list[str]:
        """Lines at every C and at every bar, with their names and numbers."""
        elements = []
        for pitch in range(-(-self.low // 12) * 12, self.high + 1, 12):
            y = self.y(pitch)
            elements.append(svg.line(LEFT, y, self.x(self.bars[-1]), y, "grid"))
            elements.append(svg.text(LEFT - 6, y + 3, f"C{pitch // 12 - 1}", "muted", 9, "end"))
        free = 0.0
        for i, tick in enumerate(self.bars.tolist()):
            x = self.x(tick)
            elements.append(svg.line(x, self.top, x, self.floor, "axis"))
            number = str(self.first_bar + i)
            if i < len(self.bars) - 1 and x >= free:
                elements.append(svg.text(x, self.floor + 11, number, "muted", 10))
                free = x + text_width(number, 10) + 3
        return elements

    def notes(self, notes: np.ndarray, colour: str) -> str:
        """The notes (a NOTE array) as bars of a colour of `svg`."""
        start = notes["onset_tick"].astype(np.int64)
        stop = start + notes["duration_tick"]
        inside = (start < self.bars[-1]) & (stop > self.bars[0])
        begin, end = (
            LEFT + self.scale * (np.clip(t[inside], self.bars[0], self.bars[-1]) - self.bars[0])
            for t in (start, stop)
        )
        y = self.y(notes["pitch"][inside].astype(float))
        # Never thinner than can be seen; a little short of its end, so that repeated notes stay apart.
        return svg.bars(begin, y, np.maximum(end - begin - 1, 1.5), colour, max(self.thickness - 0.5, 1.5))
