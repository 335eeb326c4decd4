"""Writing with the model: what comes next, several continuations at a time, and the choice of each event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.complete.book import Book
from segue.complete.copies import STEPS, Guard
from segue.complete.encoding import (
    DURATIONS,
    GRID,
    PITCH_TOKENS,
    REST,
    UNITS_PER_QUARTER,
    Events,
    Setting,
    duration_token,
)
from segue.complete.features import COLUMN, NO_CHORD_ROW, multi_hot, pitch_logits
from segue.complete.loops import Loops
from segue.complete.tracker import Tracker, reading_rows
from segue.runtime import Model, log_softmax

#: Events before a place that the network hears; all of them are tracked.
MEMORY = 64
#: Events of the music after a gap that the network reads.
AHEAD_MEMORY = 96
#: Network outputs are rounded to this many decimals, so that both backends choose alike.
_DECIMALS = 3
#: Units up to which a note after the place still joins on to it: less than a half note.
_JOIN = 24
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
    #: By how much more than the music it has learned from the model follows the chords: what it expects with
    #: them is moved by so many times its distance from what it expects without (Ho and Salimans 2022).
    chord_weight: float = 0.0


@dataclass(frozen=True)
class Written:
    """Events (start in units, pitch token, length in units) that fill a place, and their mean surprise under
    the model, nats an event.
    """

    events: list[tuple[int, int, int]]
    nats: float


class Walker:
    """Model and tracker in step along a melody: `follow` what is there, `look` at the next place, `add` to
    it.

    All events are tracked, but only the last `memory` before a place that is looked at run through the
    network.
    """

    def __init__(self, model: Model, setting: Setting, events: Events, memory: int = MEMORY) -> None:
        self.model = model
        self.setting = setting
        self.tracker = Tracker(setting)
        self.state = model.zero_state()["h"]
        self.ahead = np.zeros(model.card["inputs"]["ahead"], np.float32)
        self._memory = memory
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
            self.state = self.model.zero_state()["h"]
        for i in range(self._at, stop):
            if i >= first:
                row = multi_hot([self.tracker.row(starts[i])])
                self.state = self.model(x=row, h=self.state, ahead=self.ahead)["h_next"]
            last = end is not None and i == stop - 1
            self.tracker.push(
                starts[i], pitches[i], duration_token(end - starts[i]) if last else durations[i]
            )
        self._at = stop

    def look_ahead(self, after: Events) -> None:
        """From now on the events after a gap are known."""
        self.tracker.look_ahead(Book(after))
        self.ahead = read_ahead(self.model, self.setting, after)

    def _run(self, row: list[int]) -> dict[str, np.ndarray]:
        return expect(self.model, [row], self.state, self.ahead)

    def end_likelihood(self, start: int) -> float:
        """How likely the last event ends a section, 0..1, when it ends at `start` (units); nothing is
        kept.
        """
        logit = float(rounded(self._run(self.tracker.row(start))["end"])[0, 0])
        return 1.0 / (1.0 + math.exp(-logit))

    def surprise(self, start: int, pitch: int, duration: int) -> float:
        """How unexpected an event at `start` (units; tokens) is, in nats; it is followed."""
        out = self._run(self.tracker.row(start))
        self.state = out["h_next"]
        self.tracker.push(start, pitch, duration)
        return _surprise(rounded(out["pitch"][0]), rounded(out["duration"][0]), pitch, duration)


def expect(
    model: Model, rows: Sequence[Sequence[int]], state: np.ndarray, ahead: np.ndarray
) -> dict[str, np.ndarray]:
    """The model's outputs for rows (n), with its states `h` (n, size) and `ahead` (n, size); `pitch` is
    complete.
    """
    out = model(x=multi_hot(rows), h=state, ahead=ahead)
    return {**out, "pitch": pitch_logits(out["pitch"], out["interval"], rows)}


def read_ahead(model: Model, setting: Setting, after: Events) -> np.ndarray:
    """The network's summary of the music after a gap, float32, shape (1, size): read backwards."""
    summary, idle = np.zeros(model.card["inputs"]["ahead"], np.float32), model.zero_state()["h"]
    for row in reversed(reading_rows(after, setting, AHEAD_MEMORY)):
        summary = model(x=multi_hot([row]), h=idle, ahead=summary)["ahead_next"]
    return summary


def rounded(output: np.ndarray) -> np.ndarray:
    """A network's output as decisions and records use it, float64, the same from both backends."""
    return np.round(output.astype(np.float64), _DECIMALS)


def _surprise(pitch_logits: np.ndarray, duration_logits: np.ndarray, pitch: int, duration: int) -> float:
    """Nats of an event (tokens) under logits of pitch (P,) and of duration for each pitch (P, D)."""
    return -float(log_softmax(pitch_logits)[pitch] + log_softmax(duration_logits[pitch])[duration])


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


class _Voice:
    """One of the continuations that are written together."""

    def __init__(
        self,
        tracker: Tracker,
        loops: Loops,
        start: int,
        notes: list[tuple[int, int]],
        rng: np.random.Generator,
    ) -> None:
        self.tracker = tracker
        self.loops = loops
        self.at = start
        self.rng = rng
        self.made: list[tuple[int, int, int]] = []
        self.nats = 0.0
        #: Onset and MIDI pitch of the notes so far.
        self.onsets = [onset for onset, _ in notes]
        self.pitches = [pitch for _, pitch in notes]

    def add(self, token: int, length: int, pitch: int | None) -> None:
        self.made.append((self.at, token, length))
        if pitch is not None:
            self.onsets.append(self.at)
            self.pitches.append(pitch)
        duration = duration_token(length)
        self.tracker.push(self.at, token, duration)
        self.loops.add(token, duration)
        self.at += length


@dataclass(frozen=True)
class Place:
    """A place to be filled: [start, stop) units, in `setting` after the events `past`.

    `goal` is the pitch token and start (units) of the note after it, known from `goal_from` on; `after` what
    comes from there on.
    """

    setting: Setting
    past: Events
    start: int
    stop: int
    goal: tuple[int, int] | None = None
    goal_from: int = 0
    after: Events | None = None


def write(
    model: Model, place: Place, taste: Taste, rngs: list[np.random.Generator], guard: Guard | None = None
) -> list[Written]:
    """Events that fill a place exactly, one continuation for each generator, all in one batch."""
    walker = Walker(model, place.setting, place.past)
    walker.follow(len(place.past))
    if place.after is not None:
        walker.look_ahead(place.after)
    notes = [
        (start, place.setting.pitch(token))
        for start, token in zip(place.past.start.tolist(), place.past.pitch.tolist(), strict=True)
        if token != REST
    ]
    loops = Loops(place.past)
    voices = [_Voice(walker.tracker.copy(), loops.copy(), place.start, notes, rng) for rng in rngs]
    count = len(voices)
    state, ahead = np.repeat(walker.state, count, 0), np.repeat(walker.ahead, count, 0)
    rows = [voice.tracker.row(voice.at, _goal(place, voice.at)) for voice in voices]
    weight = taste.chord_weight if place.setting.chords is not None else 0.0
    while any(voice.at < place.stop for voice in voices):
        out = _guided(model, rows, state, ahead, weight)
        state = out["h_next"]
        for i, voice in enumerate(voices):
            # A voice that has finished runs along unheard, so that the batch keeps its size.
            if voice.at < place.stop:
                own = {name: values[i] for name, values in out.items()}
                _choose(model, place, taste, voice, guard, own, ahead[i])
                rows[i] = voice.tracker.row(voice.at, _goal(place, voice.at))
    return [Written(voice.made, voice.nats / max(len(voice.made), 1)) for voice in voices]


def _guided(
    model: Model, rows: list[list[int]], state: np.ndarray, ahead: np.ndarray, weight: float
) -> dict[str, np.ndarray]:
    """The model's outputs for rows (see `expect`), and `guided`: the pitch's logits with the chords' weight.

    All are of one batch, twice as large where the chords weigh.
    """
    if not weight:
        out = expect(model, rows, state, ahead)
        return {**out, "guided": rounded(out["pitch"])}
    first, count = COLUMN["chord"], len(rows)
    blind = [[*row[:first], *NO_CHORD_ROW, *row[first + len(NO_CHORD_ROW) :]] for row in rows]
    both = expect(model, [*rows, *blind], np.tile(state, (2, 1)), np.tile(ahead, (2, 1)))
    out = {name: values[:count] for name, values in both.items()}
    known = rounded(out["pitch"])
    return {**out, "guided": rounded(known + weight * (known - rounded(both["pitch"][count:])))}


def _goal(place: Place, at: int) -> tuple[int, int] | None:
    return place.goal if at >= place.goal_from else None


def _choose(
    model: Model,
    place: Place,
    taste: Taste,
    voice: _Voice,
    guard: Guard | None,
    out: dict[str, np.ndarray],
    ahead: np.ndarray,
) -> None:
    """Choose the voice's next event and add it; `out` are the outputs for its row (see `_guided`)."""
    pitch_logits, duration_logits = out["guided"], rounded(out["duration"])
    at, stop, goal = voice.at, place.stop, place.goal
    fits = fitting_durations(at, stop)
    rests = fits & (taste.longest_rest >= _LENGTHS)
    allowed = taste.pitches.copy()
    # A rest at the join would leave the end open, two in a row would add up to a hole.
    allowed[REST] = bool(rests.any()) and bool(voice.made) and voice.made[-1][1] != REST
    allowed = _without(allowed, np.array(voice.loops.forbidden(), np.int64))
    allowed = _unforbidden(place.setting, voice, guard, allowed)
    token = pick(pitch_logits, allowed, taste, voice.rng)
    lengths = rests if token == REST else fits
    length = stop - at
    if lengths.any():
        length = DURATIONS[pick(duration_logits[token], lengths, taste, voice.rng)]
    last = goal is not None and at + length == stop and goal[1] - stop < _JOIN
    if last and token != REST:
        token = _lead(model, voice, length, goal, pitch_logits, allowed, out["h_next"], ahead, taste)
    voice.nats += _surprise(rounded(out["pitch"]), duration_logits, token, duration_token(length))
    voice.add(token, length, None if token == REST else place.setting.pitch(token))


def _unforbidden(setting: Setting, voice: _Voice, guard: Guard | None, allowed: np.ndarray) -> np.ndarray:
    """The allowed pitch tokens without the guard's; all of them where it would leave no note."""
    if guard is None:
        return allowed
    tokens = np.flatnonzero(allowed[:REST])
    pitches = tokens + setting.pitch(0)
    bad = guard.forbidden(voice.onsets[-STEPS:], voice.pitches[-STEPS:], voice.at, pitches)
    return _without(allowed, tokens[bad])


def _without(allowed: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The allowed pitch tokens without some; all of them where no note would be left."""
    kept = allowed.copy()
    kept[tokens] = False
    return kept if kept[:REST].any() else allowed


def _lead(
    model: Model,
    voice: _Voice,
    length: int,
    goal: tuple[int, int],
    logits: np.ndarray,
    allowed: np.ndarray,
    state: np.ndarray,
    ahead: np.ndarray,
    taste: Taste,
) -> int:
    """The pitch of the last note before the goal: among the likeliest, one that the goal follows from
    well.
    """
    notes = allowed.copy()
    notes[REST] = False
    order = np.argsort(-np.where(notes, logits, -np.inf), kind="stable")[: min(_LEADS, int(notes.sum()))]
    rows = []
    for token in order.tolist():
        tracker = voice.tracker.copy()
        tracker.push(voice.at, token, duration_token(length))
        rows.append(tracker.row(goal[1]))
    rows += rows[:1] * (_LEADS - len(rows))
    out = expect(model, rows, np.tile(state, (_LEADS, 1)), np.tile(ahead, (_LEADS, 1)))
    reach = log_softmax(rounded(out["pitch"]))[: len(order), goal[0]]
    total = np.full(len(logits), -np.inf)
    total[order] = np.round(logits[order] + reach, _DECIMALS)
    return pick(total, np.isfinite(total), taste, voice.rng)


def allowed_pitches(setting: Setting, lowest: int, highest: int) -> np.ndarray:
    """Pitch tokens of MIDI pitches lowest..highest and the rest, bool, shape (PITCH_TOKENS,).

    When the model's own range holds none of them, all are allowed.
    """
    pitches = np.array([setting.pitch(token) for token in range(PITCH_TOKENS - 1)])
    inside = (pitches >= lowest) & (pitches <= highest)
    if not inside.any():
        inside[:] = True
    return np.append(inside, True)
