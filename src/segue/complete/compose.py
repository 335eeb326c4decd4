"""What the model is asked for: continuations of a place, and how predictable a melody is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.complete.encoding import (
    REST,
    SHORT_REST,
    Events,
    Setting,
    duration_token,
    events_from_notes,
)
from segue.complete.line import Line
from segue.complete.sampler import Taste, Walker, walk
from segue.runtime import Model

#: Events that the model hears before it writes.
MEMORY = 64
#: Bars before the goal from which on the model knows it.
_GOAL_BARS = 2


@dataclass(frozen=True)
class Written:
    """Events (start in units, pitch token, length in units) and their mean surprise in nats an event."""

    events: list[tuple[int, int, int]]
    nll: float


class _Reader(Walker):
    """A walker that sums up the surprise of what is added."""

    def __init__(self, model: Model, setting: Setting, events: Events) -> None:
        super().__init__(model, setting, events, MEMORY)
        self.nats = 0.0

    def look(self, start: int, goal: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        self._seen = super().look(start, goal)
        return self._seen

    def add(self, start: int, pitch: int, duration: int) -> None:
        self.nats += _surprise(self._seen[0], pitch) + _surprise(self._seen[1][pitch], duration)
        super().add(start, pitch, duration)


def _surprise(logits: np.ndarray, index: int) -> float:
    return float(logits.max() + np.log(np.exp(logits - logits.max()).sum()) - logits[index])


def past_events(line: Line, start: int) -> Events:
    """The line's events before `start` (units); the last note, or a rest behind it, lasts until there."""
    count = line.note_before(start) + 1
    if not count:
        return events_from_notes(line.onset[:0], line.length[:0], line.pitch[:0], line.setting)
    end = min(line.written_end(count - 1), start)
    end = start if start - end < SHORT_REST else end
    length = line.length[:count].copy()
    begin = int(line.onset[count - 1])
    length[-1] = end - begin
    events = events_from_notes(line.onset[:count], length, line.pitch[:count], line.setting)
    if end == start:
        return events
    rest = (end, REST, duration_token(start - end), start - end, -1)
    columns = (events.start, events.pitch, events.duration, events.length, events.note)
    return Events(*(np.append(c, value) for c, value in zip(columns, rest, strict=True)))


def after_events(line: Line, stop: int) -> Events | None:
    """The events of the line from the first note at or after `stop` (units) on, None where there is none."""
    first = line.note_before(stop) + 1
    if first == len(line):
        return None
    return events_from_notes(line.onset[first:], line.length[first:], line.pitch[first:], line.setting)


def compose(
    model: Model,
    past: Events,
    setting: Setting,
    start: int,
    stop: int,
    goal: tuple[int, int] | None,
    after: Events | None,
    taste: Taste,
    rngs: list[np.random.Generator],
    guard: object | None,
) -> list[Written]:
    """Events that fill [start, stop) units exactly, one continuation of `past` for each generator.

    `goal` is the pitch token and start of the note that follows, `after` what comes from there on.
    """
    written = []
    for rng in rngs:
        reader = _Reader(model, setting, past)
        reader.follow(len(past))
        goal_from = goal[1] - _GOAL_BARS * setting.bar if goal else stop
        made = walk(reader, start, stop, goal, goal_from, taste, rng)
        written.append(Written(made, reader.nats / max(len(made), 1)))
    return written


def own_nats(model: Model, past: Events, setting: Setting) -> float | None:
    """How predictable a melody is itself: mean nats an event over its last `MEMORY`, None without any."""
    first = max(len(past) - MEMORY, 0)
    reader = _Reader(model, setting, past)
    reader.follow(first)
    for i in range(first, len(past)):
        reader.look(int(past.start[i]))
        reader.add(int(past.start[i]), int(past.pitch[i]), int(past.duration[i]))
    return reader.nats / (len(past) - first) if len(past) else None
