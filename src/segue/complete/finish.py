"""New events as notes of the score: placed, articulated and struck like the melody around them."""

from __future__ import annotations

import numpy as np

from segue.complete.encoding import REST, TICKS_PER_UNIT
from segue.complete.line import Line
from segue.score import NOTE

#: Notes of the melody, nearest to the new ones, that velocity is taken from.
_AROUND = 24


def velocities(line: Line, start: np.ndarray) -> np.ndarray:
    """Velocity of new notes at `start` (units), int64, shape (notes,).

    The mean of the melody's notes nearby that stand on a beat, or between beats, as the new note does.
    """
    near = np.argsort(np.abs(line.onset - start[0]), kind="stable")[:_AROUND]
    known, strong = line.velocity[near], line.onset[near] % line.beat == 0
    level = {flag: known[strong == flag] for flag in (False, True)}
    mean = {flag: values.mean() if len(values) >= 3 else known.mean() for flag, values in level.items()}
    return np.array([round(mean[bool(s % line.beat == 0)]) for s in start.tolist()], np.int64)


def notes_from_events(
    line: Line, events: list[tuple[int, int, int]], before_tick: int, after_tick: int | None
) -> np.ndarray:
    """NOTE array of the events that are notes (start in units, pitch token, length in units).

    `before_tick` is where the note before really ends and `after_tick` where the one after begins. A new note
    waits for the one before by a unit at the most: what lasts longer was meant to sound on.
    """
    notes = [e for e in events if e[1] != REST]
    out = np.zeros(len(notes), NOTE)
    if not notes:
        return out
    start, token, length = np.array(notes, np.int64).T
    onset = line.zero_tick + start * TICKS_PER_UNIT
    onset = np.maximum(onset, np.minimum(before_tick, onset + TICKS_PER_UNIT))
    written = line.zero_tick + (start + length) * TICKS_PER_UNIT
    duration = np.maximum(np.round((written - onset) * line.touch).astype(np.int64), 1)
    if after_tick is not None:
        duration = np.maximum(np.minimum(onset + duration, after_tick) - onset, 1)
    out["onset_tick"] = onset
    out["duration_tick"] = duration
    out["pitch"] = [line.setting.pitch(t) for t in token.tolist()]
    out["velocity"] = velocities(line, start)
    # Of two that would begin together (a note so short that waiting used it up) the later one stays.
    return out[np.append(np.diff(onset) > 0, True)]


def clear_of(notes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """New notes (NOTE array) that never sound together with one of the `others` at the same pitch.

    MIDI cannot tell two of these apart: a new note waits for the end of the other, and ends where it begins.
    One for which no time is left is dropped.
    """
    begin = others["onset_tick"].astype(np.int64)
    end = begin + others["duration_tick"]
    out = notes.copy()
    keep = np.ones(len(out), bool)
    for i, (onset, duration, pitch, _) in enumerate(notes.tolist()):
        stop = onset + duration
        near = (others["pitch"] == pitch) & (begin < stop) & (end > onset)
        if not near.any():
            continue
        while (over := near & (begin <= onset) & (end > onset)).any():
            onset = int(end[over].max())
        stop = min(stop, int(begin[near & (begin >= onset)].min(initial=stop)))
        keep[i] = stop > onset
        out["onset_tick"][i], out["duration_tick"][i] = onset, max(stop - onset, 1)
    return out[keep]
