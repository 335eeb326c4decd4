"""From what the model says of each beat to one chord a span: the best path over the whole piece.

Conventions
-----------
- `chord` are log probabilities of majmin classes, (beats, 25); `colour` of colours, (beats, colours); `key`
  of key classes, (beats, 24); `change` is the probability that a beat brings another chord, (beats,). All
  belong to the untransposed piece.
- A *cell* is a run of beats that shares one chord: a beat, half a bar or a bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import MAJMIN_CLASSES, NO_CHORD_CLASS, Chord, without_colour
from segue.harmonize.encoding import cut_windows, join_windows, rotate_classes, rotate_features
from segue.harmonize.vocabulary import COLOURS, chord_of, classes_of
from segue.runtime import Model, log_softmax

_FORBIDDEN = -1e9
#: Log probability of any other class where the chord is known.
_KNOWN = -50.0
#: Where the melody is alone, each of its notes on a beat could be a chord. There the progression counts so
#: many times as much as with an accompaniment, and a change within a bar costs so many nats beside, also
#: where an accompaniment is silent for a while. Chosen on validation songs (docs/harmonize.md).
_ALONE_WEIGHT = 2.0
_ALONE_WITHIN_BAR = 1.2


@dataclass(frozen=True)
class Hearing:
    """What the model says of every beat of a piece; see the module's conventions."""

    chord: np.ndarray
    colour: np.ndarray
    change: np.ndarray
    key: np.ndarray


def hear(model: Model, features: np.ndarray, scale: int) -> Hearing:
    """Run the model over a piece's features, heard as if pitch class `scale` were C."""
    windows = cut_windows(rotate_features(features, scale))
    outputs = [model(features=window[None]) for window in windows]
    joined = {
        name: join_windows(np.stack([o[name][0] for o in outputs]), len(features)) for name in outputs[0]
    }
    return hearing_of(joined, scale)


def hearing_of(outputs: Mapping[str, np.ndarray], scale: int) -> Hearing:
    """Logits by beat, of the piece rotated by `scale`, as probabilities of the piece itself.

    Rounded, so that the last digits of a backend cannot decide.
    """
    return Hearing(
        chord=np.round(rotate_classes(log_softmax(outputs["chord"]), scale), 2),
        colour=np.round(log_softmax(outputs["colour"]), 2),
        change=np.round(1 / (1 + np.exp(-outputs["change"][..., 0].astype(np.float64))), 2),
        key=np.round(rotate_classes(log_softmax(outputs["key"]), scale), 2),
    )


@dataclass(frozen=True)
class Progression:
    """How chords follow each other: `move` (25, 25), log probability of the next chord where it changes.

    `weight` is how much this and the change probability count against what is heard.
    """

    move: np.ndarray
    weight: float

    @classmethod
    def from_card(cls, entry: Mapping[str, Any]) -> Progression:
        """From a card's `progression`: `counts` [from mode][to mode][root up in semitones] and `weight`."""
        return cls(move_from_counts(np.array(entry["counts"], float)), float(entry["weight"]))


def move_from_counts(counts: np.ndarray) -> np.ndarray:
    """Log probabilities of moves, (25, 25), from counts (2, 2, 12) relative to the root; the diagonal is out.

    One move in fifty is taken to go to no chord, and from there any chord may follow.
    """
    share = (counts + 1) / (counts + 1).sum(axis=(1, 2), keepdims=True)
    move = np.full((MAJMIN_CLASSES, MAJMIN_CLASSES), 1 / 24)
    for i in range(NO_CHORD_CLASS):
        for j in range(NO_CHORD_CLASS):
            move[i, j] = 0.98 * share[i // 12, j // 12, (j - i) % 12]
    move[:, NO_CHORD_CLASS] = 0.02
    np.fill_diagonal(move, np.exp(_FORBIDDEN))
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(move), _FORBIDDEN)


def viterbi(
    emission: np.ndarray, change: np.ndarray, progression: Progression, cost: np.ndarray | float = 0.0
) -> np.ndarray:
    """The best path of classes, int64, shape (cells,), through log scores (cells, 25).

    `cost` (cells,) is what a change to the cell costs in nats beside what the progression says.
    """
    cells = len(emission)
    if cells == 0:
        return np.zeros(0, np.int64)
    move, leave, stay = _weighted(change, progression)
    leave = leave - cost
    # Staying is a move to the same class that does not pay for leaving.
    stay = stay - leave
    gain = emission + leave[:, None]
    move = np.ascontiguousarray(move.T)
    classes = np.arange(MAJMIN_CLASSES)
    back = np.empty((cells, MAJMIN_CLASSES), np.int64)
    reached = np.empty_like(move)
    score = emission[0]
    for t in range(1, cells):
        np.add(move, score, out=reached)
        reached.flat[:: MAJMIN_CLASSES + 1] = score + stay[t]
        origin = reached.argmax(axis=1)
        back[t] = origin
        score = reached[classes, origin] + gain[t]
    path = np.empty(cells, np.int64)
    path[-1] = int(score.argmax())
    for t in range(cells - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def posteriors(emission: np.ndarray, change: np.ndarray, progression: Progression) -> np.ndarray:
    """Probability of every class in every cell over all paths, shape (cells, 25): forward and backward.

    The likeliest class of each cell makes the most cells right (Rabiner 1989, section III B); the best path
    makes the likeliest piece.
    """
    move, leave, stay = _weighted(change, progression)
    # Where staying is no move, its own probability takes the place of the diagonal.
    move = np.exp(move)
    np.fill_diagonal(move, 0)
    leave, stay = np.exp(leave), np.exp(stay)
    heard = np.exp(emission - emission.max(axis=1, keepdims=True))
    forward, backward = np.empty_like(heard), np.ones_like(heard)
    forward[0] = heard[0] / heard[0].sum()
    for t in range(1, len(heard)):
        forward[t] = (leave[t] * (forward[t - 1] @ move) + stay[t] * forward[t - 1]) * heard[t]
        forward[t] /= forward[t].sum()
    for t in range(len(heard) - 2, -1, -1):
        after = backward[t + 1] * heard[t + 1]
        backward[t] = leave[t + 1] * (move @ after) + stay[t + 1] * after
        backward[t] /= backward[t].sum()
    both = forward * backward
    return both / both.sum(axis=1, keepdims=True)


def _weighted(change: np.ndarray, progression: Progression) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log scores of the moves (25, 25), and of leaving and keeping a class in every cell (cells,)."""
    change = np.clip(change, 0.01, 0.99)
    weight = progression.weight
    return weight * progression.move, weight * np.log(change), weight * np.log(1 - change)


def cells_of(grid: Grid, size: str) -> np.ndarray:
    """First beat of each cell, int64, ascending from 0. `size` is "auto", "beat", "half" or "bar".

    A bar with an odd number of beats has no halves, and a bar of two has beats for halves.
    """
    starts = np.ones(len(grid), bool)
    if size in ("bar", "half"):
        starts = grid.number == 0
        if size == "half":
            starts = starts | ((grid.count % 2 == 0) & (grid.number * 2 == grid.count))
        starts[0] = True
    return np.flatnonzero(starts)


def stretches(changes: np.ndarray, grid: Grid) -> np.ndarray:
    """First beat of each stretch of one chord within one bar, int64, ascending from 0.

    `changes` (beats - 1,) tells where the chord changes. Where the bars are unknown, they are counted from
    the chord on.
    """
    starts = np.append(True, changes)
    beat = np.arange(len(grid))
    since = beat - np.maximum.accumulate(np.where(starts, beat, 0))
    bars = np.where(grid.place[:, 2] > 0, grid.number == 0, since % grid.bar_beats == 0)
    return np.flatnonzero(starts | bars)


def find_classes(
    hearing: Hearing, grid: Grid, progression: Progression, size: str, fixed: np.ndarray, alone: np.ndarray
) -> np.ndarray:
    """The majmin class of every beat, int64, shape (beats,).

    `fixed` (beats,) names classes that are known already, -1 elsewhere. With size "beat" every beat takes
    the class that is likeliest there in all progressions of the piece; else the likeliest progression counts,
    which changes less within bars where the melody is `alone` (beats,), and more so if it is everywhere.
    """
    chord = hearing.chord.copy()
    known = np.flatnonzero(fixed >= 0)
    chord[known] = _KNOWN
    chord[known, fixed[known]] = 0
    if size == "beat":
        return np.round(posteriors(chord, hearing.change, progression), 6).argmax(axis=1)
    cells = cells_of(grid, size)
    downbeat, _, known = grid.place[cells].T
    cost = _ALONE_WITHIN_BAR * (alone[cells] & (known > 0) & (downbeat == 0))
    if alone.all():
        progression = replace(progression, weight=_ALONE_WEIGHT * progression.weight)
    path = viterbi(np.add.reduceat(chord, cells), hearing.change[cells], progression, cost)
    return np.repeat(path, np.diff(np.append(cells, len(grid))))


def find_colours(
    classes: np.ndarray, hearing: Hearing, grid: Grid, size: str, vocabulary: str
) -> list[Chord]:
    """The chord of every beat: each run of one class within a bar takes the colour that fits it best.

    `vocabulary` is "full", "triads" or "majmin"; colours that it has not count for what is left of them.
    """
    first = stretches((classes[1:] != classes[:-1]) | (size == "beat"), grid)
    colour = hearing.colour.copy()
    for own, left in enumerate(_left_of_colours(vocabulary)):
        if own != left:
            colour[:, left] = np.logaddexp(colour[:, left], colour[:, own])
            colour[:, own] = _FORBIDDEN
    colour[~_FITS[classes // 12]] = _FORBIDDEN
    best = np.add.reduceat(colour, first).round(6).argmax(axis=1)
    best = np.repeat(best, np.diff(np.append(first, len(classes))))
    return [chord_of(int(c), int(k)) for c, k in zip(classes, best, strict=True)]


def _left_of_colours(vocabulary: str) -> list[int]:
    """The colour that is left of each colour in a vocabulary."""
    colours = range(len(COLOURS))
    if vocabulary == "full":
        return list(colours)
    if vocabulary == "majmin":
        return [0 for _ in colours]
    # A colour that makes a minor third of a major triad is told on a minor one.
    return [classes_of(without_colour(chord_of(0, colour)))[1] for colour in colours]


#: Which colours make another chord on a major, a minor and no triad, bool, (3, colours).
_FITS = np.array(
    [
        [classes_of(chord_of(c, k)) in ((c, k), (NO_CHORD_CLASS, 0)) for k in range(len(COLOURS))]
        for c in (0, 12, 24)
    ]
)
