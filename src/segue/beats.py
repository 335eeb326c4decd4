"""The felt beats of a piece, also where the music does not lie on the beats of its file.

A *beat grid* has `n + 1` ascending boundary ticks for `n` felt beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.score import Score, bar_starts, beat_starts

#: Mean resultant of onsets on the circle of sixteenths (or thirds of a beat) from which they are gathered.
GATHERED = 0.6
#: Largest distance of the grid from the sixteenths and from the thirds, in beats, that counts as agreement.
#: Onsets of swing lie early or late of the thirds of their own grid by up to that much.
_AGREES = {4: 0.04, 3: 0.08}
#: Beats of a bar where the meter tells no bars (1/4).
_USUAL_BEATS = 4
#: Distance from a beat, in beats, within which a note counts as being on it.
_NEAR = 0.08
#: Lengths in beats that part sixteenths, eighths, dotted eighths, quarters, halves and what is longer.
_LENGTHS = (0.375, 0.625, 0.875, 1.125, 2.375)
#: Onsets that a short piece is taken to have beside its own, which say nothing.
_SPARE_ONSETS = 8
#: What is said for a beat by the onsets on it and on the three sixteenths after it (rows): by how long their
#: longest note sounds, by how long it is to the next onset (columns of both: `_LENGTHS`), and by their share
#: of all sounding time. Weights of a choice among four (conditional logit) of `place_shares`, fitted by
#: `training.harmony.beats`.
_SOUNDING = np.array(
    [
        [3.4, 2.0, -0.1, 1.4, -3.1, -2.2],
        [-8.8, -4.3, 0.4, 0.6, 1.9, -0.4],
        [0.8, 0.8, -1.2, -0.4, 3.0, 2.9],
        [4.6, 1.5, 0.9, -1.6, -1.7, -0.3],
    ]
)
_UNTIL_NEXT = np.array(
    [
        [-1.2, 2.4, 7.4, -3.2, 0.7, -4.5],
        [-7.4, 0.6, -1.0, 1.2, -2.9, -1.2],
        [14.9, -3.1, -9.0, 3.9, -4.6, 3.9],
        [-6.3, 0.1, 2.7, -1.9, 6.9, 1.8],
    ]
)
_SHARE = np.array([[12.8], [-12.5], [-2.2], [1.9]])
#: Notes on the sixteenths of a file with bars are believed to be on its beats, too, unless others are
#: likelier by these log odds, which is so in no whole piece that was written on paper
#: (`training.harmony.beats`).
_CONTRADICTS = 8.0
#: What it takes to tell that: so many onsets, this share of them half a beat from the likelier beats, and at
#: most this share of bars that are alike. A skank or a stab on every off-beat tells of no other beat.
_TELLING_ONSETS, _TELLING_SHARE, _MOST_ALIKE = 100, 0.15, 0.5


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

    @property
    def bar_beats(self) -> np.ndarray:
        """The beats of each beat's bar, (beats,); four where bars of one beat tell nothing of the meter."""
        return np.where(self.count > 1, self.count, _USUAL_BEATS)

    @property
    def bar_begins(self) -> np.ndarray:
        """Whether a bar begins at each beat, bool, (beats,); every fourth one of several bars of one beat."""
        beat = np.arange(len(self))
        since = beat - np.maximum.accumulate(np.where(self.count > 1, beat, -1)) - 1
        return (self.number == 0) & ((self.count > 1) | (since % _USUAL_BEATS == 0))


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

    Recorded files often run over a grid that nobody played to. Where the onsets gather about sixteenths, or
    thirds of a beat, that are not the grid's, or where bars of one beat tell no beat from another, the beat
    is the one of these that suits the notes best: among sixteenths by the place and length of every onset,
    elsewhere by how long the notes on it sound. Where they gather about the grid's own sixteenths, another
    beat has to be much likelier.
    """
    beat = np.searchsorted(grid.ticks, notes["onset_tick"], "right") - 1
    inside = (beat >= 0) & (beat < len(grid))
    if not inside.any():
        return 0.0
    beat, notes = beat[inside], notes[inside]
    length = np.diff(grid.ticks)[beat]
    onset = beat + (notes["onset_tick"] - grid.ticks[beat]) / length
    duration = notes["duration_tick"] / length
    parts, offset = gathering(onset)
    if not parts or abs(offset) <= _AGREES[parts]:
        offset = 0.0
        if grid.count.max() > 1 and not (parts == 4 and contradiction(onset, duration) > _CONTRADICTS):
            return 0.0
    if parts == 4:
        scores = beat_scores(place_shares(onset - offset, duration))
    else:
        candidates = offset + np.arange(parts or 4) / (parts or 4)
        near = np.abs((onset[:, None] - candidates + 0.5) % 1 - 0.5) < _NEAR
        scores = (np.minimum(duration, 2)[:, None] * near).sum(axis=0)
    phase = offset + int(np.round(scores, 6).argmax()) / len(scores)
    return float((round(phase, 3) + 0.5) % 1 - 0.5)


def gathering(onset: np.ndarray) -> tuple[int, float]:
    """The parts of a beat, 4 or 3, that onsets in beats (n,) gather about, and where the first one lies.

    0 parts where they gather about neither.
    """
    for parts in (4, 3):
        mean = np.exp(2j * np.pi * parts * onset).mean()
        if abs(mean) > GATHERED:
            return parts, float(np.angle(mean)) / (2 * np.pi * parts)
    return 0, 0.0


def contradiction(onset: np.ndarray, duration: np.ndarray) -> float:
    """Log odds that the beat is another one of the sixteenths than the grid's; 0 where too little tells it.

    Of notes (n,) in beats.
    """
    cells = np.unique(np.round(onset * 4).astype(np.int64))
    if len(cells) < _TELLING_ONSETS or max(_share_alike(cells, beats * 4) for beats in (3, 4)) > _MOST_ALIKE:
        return 0.0
    shares = place_shares(onset, duration)
    scores = np.round(beat_scores(shares), 6)
    likeliest = int(scores.argmax())
    half_a_beat_on = np.mean((cells - likeliest) % 4 == 2)
    return float(scores[likeliest] - scores[0]) if half_a_beat_on >= _TELLING_SHARE else 0.0


def _share_alike(cells: np.ndarray, size: int) -> float:
    """The share of bars of `size` sixteenths that have the commonest rhythm; silent bars do not count."""
    bars, bar = np.unique(cells // size, return_inverse=True)
    rhythms = np.zeros((len(bars), size), bool)
    rhythms[bar, cells % size] = True
    return float(np.unique(rhythms, axis=0, return_counts=True)[1].max() / len(bars))


def beat_scores(shares: np.ndarray) -> np.ndarray:
    """Log odds, up to a constant, that each of four sixteenths is the beat, (4,), from `place_shares`."""
    return (shares * np.concatenate([_SOUNDING, _UNTIL_NEXT, _SHARE], axis=1)).sum(axis=(1, 2))


def place_shares(onset: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """What tells the beat among sixteenths, shape (4, 4, 13): for each that may be the beat, as it would be.

    Of notes (n,) in beats, `onset` near to whole sixteenths. Rows are the beat and the sixteenths after it,
    columns those of the three tables of weights above.
    """
    cell, which = np.unique(np.round(onset * 4).astype(np.int64), return_inverse=True)
    sounding = np.zeros(len(cell))
    np.maximum.at(sounding, which, duration)
    until_next = np.append(np.diff(cell) / 4, np.inf)
    columns = len(_LENGTHS) + 1
    by_length = [
        np.bincount(cell % 4 * columns + np.digitize(length, _LENGTHS), minlength=4 * columns)
        for length in (sounding, until_next)
    ]
    time = np.bincount(cell[which] % 4, np.minimum(duration, 2), 4)
    shares = [each.reshape(4, columns) / (len(cell) + _SPARE_ONSETS) for each in by_length]
    by_place = np.concatenate([*shares, time[:, None] / max(time.sum(), 1e-9)], axis=1)
    return np.stack([np.roll(by_place, -beat, axis=0) for beat in range(4)])


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
