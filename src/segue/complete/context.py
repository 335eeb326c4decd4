"""What the model is told of the music around a place, and how predictable a melody is to it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from segue.complete.copies import FILE, CopyIndex
from segue.complete.encoding import (
    REST,
    SHORT_REST,
    Events,
    Setting,
    duration_token,
    events_from_notes,
)
from segue.complete.line import Line
from segue.complete.sampler import MEMORY, Walker
from segue.runtime import Model


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


def own_nats(model: Model, past: Events, setting: Setting) -> float | None:
    """How predictable a melody is itself: mean nats an event over its last `MEMORY`, None without any."""
    first = max(len(past) - MEMORY, 0)
    if first == len(past):
        return None
    walker = Walker(model, setting, past)
    walker.follow(first)
    columns = (past.start[first:], past.pitch[first:], past.duration[first:])
    events = zip(*(c.tolist() for c in columns), strict=True)
    return float(np.mean([walker.surprise(*event) for event in events]))


@lru_cache(maxsize=4)
def copy_index(model: Model) -> CopyIndex | None:
    """The index of the tunes that the model has learned from, None where it brings none."""
    return CopyIndex(model.extra(FILE)) if FILE in (model.card.get("extras") or ()) else None
