"""The felt beats of a piece, also where the music does not lie on the beats of its file.

A *beat grid* has `n + 1` ascending boundary ticks for `n` felt beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.score import Score, bar_starts, beat_starts

#: Mean resultant of onsets on the circle of sixteenths from which they count as gathered.
GATHERED = 0.6
#: Largest distance of the grid from the sixteenths, in beats, that counts as agreement.
_AGREES = 0.04
#: Distance from a beat, in beats, within which a note counts as being on it.
_NEAR = 0.08


@dataclass(frozen=True)
class Grid:
    """The felt beats of a piece. All arrays but `ticks` have shape (beats,) or (beats, 3).

    `ticks` are the (beats + 1,) boundaries; `number` is the beat's number in its bar, `count` the beats of
    that bar; `place` says of each beat whether it is the downbeat, the middle of the bar, and whether the bar
    is known at all.
    """

    ticks: np.ndarray
    number: np.ndarray
    count: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.ticks) - 1


def beat_grid(score: Score, until_tick: int | None = None) -> Grid:
    """The felt beats of the score, with their place in the bar as far as the meter tells it.

    The last beat is the one that `until_tick` (the end of the notes) reaches; without it the last bar's last.
    """
    ticks = beat_starts(score, until_tick)
    bars = bar_starts(score, until_tick)
    beats = ticks[:-1]
    bar = np.searchsorted(bars, beats, "right") - 1
    first = np.searchsorted(beats, bars[:-1], "left")
    number = np.arange(len(beats)) - first[bar]
    count = np.diff(np.append(first, len(beats)))[bar]
    n = len(beats) if until_tick is None else max(int(np.searchsorted(beats, until_tick, "left")), 1)
    return Grid(ticks[: n + 1], number[:n], count[:n], place_in_bar(number, count)[:n])


def phase_of(notes: np.ndarray, grid: Grid) -> float:
    """How far the music's beat lies from the grid's, in beats, in [-0.5, 0.5); 0 where they agree.

    Recorded files often run over a grid that nobody played to. Where the onsets gather about sixteenths that
    are not the grid's, or where bars of one beat tell no beat from another, the beat is the sixteenth from
    which notes sound longest.
    """
    ticks = grid.ticks
    beat = np.searchsorted(ticks, notes["onset_tick"], "right") - 1
    inside = (beat >= 0) & (beat < len(grid))
    if not inside.any():
        return 0.0
    beat, notes = beat[inside], notes[inside]
    length = np.diff(ticks)[beat]
    onset = (notes["onset_tick"] - ticks[beat]) / length
    duration = np.minimum(notes["duration_tick"] / length, 2)
    mean = np.exp(8j * np.pi * onset).mean()
    sixteenth = float(np.angle(mean)) / (8 * np.pi)
    apart = abs(mean) > GATHERED and abs(sixteenth) > _AGREES
    if not apart and grid.count.max() > 1:
        return 0.0
    if not apart:
        sixteenth = 0.0
    candidates = sixteenth + np.arange(4) / 4
    near = np.abs((onset[:, None] - candidates + 0.5) % 1 - 0.5) < _NEAR
    phase = candidates[int(np.round((duration[:, None] * near).sum(axis=0), 6).argmax())]
    return float((round(phase, 3) + 0.5) % 1 - 0.5)


def shift_grid(grid: Grid, phase: float) -> Grid:
    """The grid moved by `phase` beats; its first beat is cut short at tick 0, and the bars are unknown."""
    ticks = grid.ticks.astype(np.float64)
    last = ticks[-1] - ticks[-2]
    # One beat more at each end, so that everything stays covered.
    ticks = np.concatenate([[ticks[0] - (ticks[1] - ticks[0])], ticks, [ticks[-1] + last]])
    moved = np.round(ticks[:-1] + phase * np.diff(ticks)).astype(np.int64)
    if phase <= 0:
        moved = np.append(moved[1:], round(float(ticks[-1] + phase * last)))
    moved[0] = max(moved[0], 0)
    if moved[1] <= moved[0]:
        moved = moved[1:]
    n = len(moved) - 1
    index = np.minimum(np.arange(n), len(grid) - 1)
    return Grid(moved, grid.number[index], grid.count[index], np.zeros((n, 3), np.float32))


def place_in_bar(number: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The places of a grid, float32, shape (beats, 3), from the beat's number in its bar and the bar's beats.

    A bar of one beat tells nothing about the meter, so its place counts as unknown.
    """
    known = count > 1
    downbeat = known & (number == 0)
    middle = known & (count % 2 == 0) & (count > 2) & (number * 2 == count)
    return np.stack([downbeat, middle, known], axis=1).astype(np.float32)
