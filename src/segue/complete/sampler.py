"""Walking along a melody with the model: what comes next, and the choice of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segue.complete.encoding import (
    DURATIONS,
    GRID,
    PITCH_TOKENS,
    REST,
    UNITS_PER_QUARTER,
    Events,
    Setting,
    Tracker,
    duration_token,
    multi_hot,
)
from segue.runtime import Model

#: Network outputs are rounded to this many decimals, so that both backends choose alike.
_DECIMALS = 3
#: How many pitches are weighed for the note that leads to the goal.
_LEADS = 6
_LENGTHS = np.array(DURATIONS)
#: Whether a note from position p (of a quarter) for each duration ends on the grid; shape (12, durations).
_ENDS_ON_GRID = np.isin((np.arange(UNITS_PER_QUARTER)[:, None] + _LENGTHS) % UNITS_PER_QUARTER, GRID)


@dataclass(frozen=True)
class Taste:
    """How to choose: `temperature` 0 takes the most likely, `top_p` the share of probability that is in
    play.
    """

    temperature: float
    top_p: float
    #: Allowed pitch tokens, bool, shape (PITCH_TOKENS,).
    pitches: np.ndarray
    #: Longest rest in units; 0 allows none.
    longest_rest: int


class Walker:
    """Model and tracker in step along a melody: `follow` what is there, `look` at the next place, `add` to
    it.

    All events are tracked, but only the last `memory` before a place that is looked at run through the
    network.
    """

    def __init__(self, model: Model, setting: Setting, events: Events, memory: int) -> None:
        self._model = model
        self._memory = memory
        self._tracker = Tracker(setting)
        self._state = model.zero_state()
        self._events = [c.tolist() for c in (events.start, events.pitch, events.duration)]
        self._at = 0

    def follow(self, stop: int, end: int | None = None) -> None:
        """Follow the given events up to index `stop`, which is not before the last one.

        `end` is the unit at which the last of them ends as written, where its own length is only how it is
        played.
        """
        starts, pitches, durations = self._events
        first = max(stop - self._memory, 0)
        if first > self._at:
            self._state = self._model.zero_state()
        for i in range(self._at, stop):
            if i >= first:
                self._state = {"h": self._run(self._tracker.row(starts[i]))["h_next"]}
            last = end is not None and i == stop - 1
            self._tracker.push(
                starts[i], pitches[i], duration_token(end - starts[i]) if last else durations[i]
            )
        self._at = stop

    def _run(self, row: list[int]) -> dict[str, np.ndarray]:
        return self._model(x=multi_hot(row), **self._state)

    def end_likelihood(self, start: int) -> float:
        """How likely the last event ends a section, 0..1, when it ends at `start` (units); nothing is
        kept.
        """
        logit = float(np.round(self._run(self._tracker.row(start))["end"][0, 0], _DECIMALS))
        return 1.0 / (1.0 + math.exp(-logit))

    def reach(self, start: int, token: int, length: int, goal: tuple[int, int]) -> float:
        """Log-probability of the goal's pitch right after an event (units, pitch token); nothing is kept."""
        tracker = self._tracker.copy()
        tracker.push(start, token, duration_token(length))
        logits = np.round(self._run(tracker.row(goal[1]))["pitch"][0].astype(np.float64), _DECIMALS)
        return float(logits[goal[0]] - logits.max() - np.log(np.exp(logits - logits.max()).sum()))

    def look(self, start: int, goal: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """What the model expects at `start` (units): logits of pitch (P,) and of duration for each pitch (P,
        D).

        Call once for each place, then `add`. `goal`: see `Tracker.row`.
        """
        out = self._run(self._tracker.row(start, goal))
        self._state = {"h": out["h_next"]}
        return (
            np.round(out["pitch"][0].astype(np.float64), _DECIMALS),
            np.round(out["duration"].astype(np.float64), _DECIMALS),
        )

    def add(self, start: int, pitch: int, duration: int) -> None:
        """Follow an event (units, tokens)."""
        self._tracker.push(start, pitch, duration)


def pick(logits: np.ndarray, allowed: np.ndarray, taste: Taste, rng: np.random.Generator) -> int:
    """One index of `logits` (n,) among the `allowed` (bool, (n,), at least one)."""
    masked = np.where(allowed, logits, -np.inf)
    if taste.temperature == 0:
        return int(masked.argmax())
    p = np.exp((masked - masked.max()) / taste.temperature)
    order = np.argsort(-p, kind="stable")
    total = np.cumsum(p[order])
    # The smallest set of likeliest choices that holds `top_p` of the probability.
    count = int(np.searchsorted(total, taste.top_p * total[-1])) + 1
    count = min(count, int(allowed.sum()))
    return int(order[np.searchsorted(total[:count], rng.random() * total[count - 1], "right")])


def fitting_durations(start: int, stop: int) -> np.ndarray:
    """Durations that end on the grid and leave nothing or at least a triplet sixteenth before `stop`; bool
    (D,).
    """
    left = stop - start - _LENGTHS
    return _ENDS_ON_GRID[start % UNITS_PER_QUARTER] & (_LENGTHS >= 2) & (left >= 2) | (left == 0)


def walk(
    walker: Walker,
    start: int,
    stop: int,
    goal: tuple[int, int] | None,
    goal_from: int,
    taste: Taste,
    rng: np.random.Generator,
) -> list[tuple[int, int, int]]:
    """Events (start, pitch token, length in units) that fill [start, stop) exactly.

    From `goal_from` (units) on the model is told the `goal`, the first note after `stop`. The walker has
    followed everything before `start`.
    """
    made: list[tuple[int, int, int]] = []
    at = start
    while at < stop:
        pitch_logits, duration_logits = walker.look(at, goal if at >= goal_from else None)
        fits = fitting_durations(at, stop)
        rests = fits & (taste.longest_rest >= _LENGTHS)
        pitches = taste.pitches.copy()
        # A rest at the join would leave the end open, two in a row would add up to a hole.
        pitches[REST] = bool(rests.any()) and bool(made) and made[-1][1] != REST
        token = pick(pitch_logits, pitches, taste, rng)
        allowed = rests if token == REST else fits
        length = stop - at
        if allowed.any():
            length = DURATIONS[pick(duration_logits[token], allowed, taste, rng)]
        if goal is not None and at + length == stop == goal[1] and token != REST:
            token = _lead(walker, at, length, goal, pitch_logits, pitches, taste, rng)
        made.append((at, token, length))
        walker.add(at, token, duration_token(length))
        at += length
    return made


def _lead(
    walker: Walker,
    start: int,
    length: int,
    goal: tuple[int, int],
    logits: np.ndarray,
    allowed: np.ndarray,
    taste: Taste,
    rng: np.random.Generator,
) -> int:
    """The pitch of the last note before the goal: among the likeliest, one that the goal follows from
    well.
    """
    notes = allowed.copy()
    notes[REST] = False
    order = np.argsort(-np.where(notes, logits, -np.inf), kind="stable")[: min(_LEADS, int(notes.sum()))]
    total = np.full(len(logits), -np.inf)
    for token in order.tolist():
        total[token] = round(logits[token] + walker.reach(start, token, length, goal), _DECIMALS)
    return pick(total, np.isfinite(total), taste, rng)


def allowed_pitches(setting: Setting, lowest: int, highest: int) -> np.ndarray:
    """Pitch tokens of MIDI pitches lowest..highest and the rest, bool, shape (PITCH_TOKENS,).

    When the model's own range holds none of them, all are allowed.
    """
    pitches = np.array([setting.pitch(token) for token in range(PITCH_TOKENS - 1)])
    inside = (pitches >= lowest) & (pitches <= highest)
    if not inside.any():
        inside[:] = True
    return np.append(inside, True)
