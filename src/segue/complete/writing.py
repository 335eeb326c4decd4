"""Writing a spot: asking the model, in one batch for all drafts that are alike, and taking what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from segue.complete.context import after_events, past_events
from segue.complete.copies import STEPS, CopyIndex, Guard, longest_match, longest_run
from segue.complete.draft import Draft, Melody, extent, replaced_notes, span, too_short
from segue.complete.encoding import TICKS_PER_UNIT
from segue.complete.finish import clear_of, notes_from_events
from segue.complete.line import Line, units_of
from segue.complete.plan import VARIED, Spot, closings
from segue.complete.rank import Passage, Voice
from segue.complete.sampler import Place, Taste, Written, allowed_pitches, write
from segue.runtime import Model

#: Times that a place is written until it holds no copy, and not again what stood there if that was to be
#: varied; each time a little more adventurous.
_ATTEMPTS = 5
_HEAT, _MORE_HEAT, _MORE_CHOICE = 0.3, 0.1, 0.05
#: Bars before a closing note from which on the model knows it.
_GOAL_BARS = 2


@dataclass(frozen=True)
class Sampling:
    """How to write: temperature, share of the probability that is in play and weight of the chords (see
    `Taste`), the index of the training tunes (None: the model has none), and whether copies are forbidden.
    """

    temperature: float
    top_p: float
    chord_weight: float
    index: CopyIndex | None
    forbids: bool


def write_spot(melody: Melody, drafts: Sequence[Draft], spot: Spot, model: Model, sampling: Sampling) -> None:
    """Write one spot in each draft: in one batch where they have been the same up to now."""
    groups: dict[tuple[int, Spot, tuple[int, int] | None], list[Draft]] = {}
    for draft in drafts:
        # A note that was tied over the bar line has made the spot before longer.
        own = replace(spot, start=max(spot.start, draft.written_to.get(spot.line, spot.start)))
        place = extent(melody, draft.lines[spot.line], own)
        if place is None:
            draft.skipped.append(too_short(melody.lines[spot.line], spot))
            continue
        closing = _closing(melody, draft, own, *place)
        # Drafts share the very line, not an equal one, until something is written in it.
        groups.setdefault((id(draft.lines[spot.line]), own, closing), []).append(draft)
    for (_, own, closing), group in groups.items():
        _write_alike(_Job(melody, group[0].lines, own, closing, sampling.index), group, model, sampling)


def _closing(melody: Melody, draft: Draft, spot: Spot, start: int, stop: int) -> tuple[int, int] | None:
    """Pitch token and start of the last note where nothing follows: the usual one in the first draw, by
    chance another one in the others.
    """
    line = draft.lines[spot.line].without(spot.start, spot.last)
    if _follower(draft.lines, line, spot.line, stop) is not None:
        return None
    possible = closings(line, start, stop, melody.lowest, melody.highest)
    chosen = 0 if draft.number == 1 else max(int(draft.rng.integers(len(possible) + 1)) - 1, 0)
    return possible[chosen]


@dataclass(frozen=True)
class _Job:
    """One spot in drafts whose `lines` are the same; `closing` is the pitch token and start of the note that
    closes the melody there, None where other notes follow.
    """

    melody: Melody
    lines: Sequence[Line]
    spot: Spot
    closing: tuple[int, int] | None
    index: CopyIndex | None

    @cached_property
    def whole(self) -> Line:
        """The line as it was before anything was written."""
        return self.melody.lines[self.spot.line]

    @cached_property
    def line(self) -> Line:
        """The line as it is by now, without the notes that the spot replaces."""
        return self.lines[self.spot.line].without(self.spot.start, self.spot.last)

    @cached_property
    def extent(self) -> tuple[int, int]:
        """Units from and to which notes are written."""
        return extent(self.melody, self.line, self.spot) or (self.spot.start, self.spot.stop)

    @cached_property
    def guard(self) -> Guard | None:
        """What tells copies from what the melody has itself."""
        return Guard(self.index, self.line.onset, self.line.pitch) if self.index else None

    @cached_property
    def gone(self) -> np.ndarray:
        """Indices of the notes of the track that the spot replaces."""
        return replaced_notes(self.melody, self.spot)

    @cached_property
    def ticks_around(self) -> tuple[int, int | None]:
        """The tick at which the note before really ends, and that at which the one after begins."""
        line, (start, stop) = self.line, self.extent
        before, after = line.note_before(start), line.note_before(stop) + 1
        return (
            int(line.end_tick[before]) if before >= 0 else 0,
            int(line.onset_tick[after]) if after < len(line) else None,
        )

    def place(self) -> Place:
        """What the model is asked to fill, told what follows or, shortly before it, the note that closes."""
        line, (start, stop) = self.line, self.extent
        past = past_events(line, start)
        if self.closing:
            known = self.closing[1] - _GOAL_BARS * line.setting.bar
            return Place(line.setting, past, start, self.closing[1], self.closing, known, None)
        goal = _follower(self.lines, line, self.spot.line, stop)
        return Place(line.setting, past, start, stop, goal, start, after_events(line, stop))

    def notes(self, made: Written, draft: Draft) -> np.ndarray:
        """What was written, as notes of the draft's track (NOTE array)."""
        events = made.events
        if self.closing:
            token, start = self.closing
            events = [*events, (start, token, self.extent[1] - start)]
        notes = notes_from_events(self.whole, events, *self.ticks_around)
        return clear_of(notes, draft.others(self.melody.track, self.gone))

    def is_as_it_was(self, notes: np.ndarray) -> bool:
        """Whether the notes are those that stood in the spot."""
        whole, spot = self.whole, self.spot
        there = (whole.onset >= spot.start) & (whole.onset < spot.last)
        alike = np.array_equal(units_of(whole, notes), whole.onset[there])
        return alike and np.array_equal(notes["pitch"], whole.pitch[there])


def _write_alike(job: _Job, drafts: list[Draft], model: Model, sampling: Sampling) -> None:
    """Write the job's spot in each of its drafts, until what is written may stay."""
    setting, varied = job.line.setting, job.spot.why == VARIED
    place = job.place()
    guard = job.guard if sampling.forbids else None
    pitches = allowed_pitches(setting, job.melody.lowest, job.melody.highest)
    for attempt in range(_ATTEMPTS):
        heat = max(sampling.temperature + _MORE_HEAT * attempt, _HEAT * attempt)
        choice = min(sampling.top_p + _MORE_CHOICE * attempt, 1.0)
        taste = Taste(heat, choice, pitches, setting.bar // 2, sampling.chord_weight)
        again: list[Draft] = []
        written = write(model, place, taste, [draft.rng for draft in drafts], guard)
        for draft, made in zip(drafts, written, strict=True):
            notes = job.notes(made, draft)
            line = job.line.with_notes(notes) if len(notes) else job.line
            copy = longest_run(job.guard.copied(*_window(line, *job.extent))) if job.guard else 0
            copied = bool(copy) and sampling.forbids
            unwanted = copied or (varied and job.is_as_it_was(notes))
            if attempt < _ATTEMPTS - 1 and unwanted:
                again.append(draft)
            elif copied and varied:
                reason = "whatever was written repeated a training tune, so that the notes stay"
                draft.skipped.append({**span(job.whole, *job.extent), "reason": reason})
            else:
                _take(job, draft, made, notes, line, copy)
        drafts = again
        if not drafts:
            break


def _take(job: _Job, draft: Draft, made: Written, notes: np.ndarray, line: Line, copy: int) -> None:
    """Put new notes into a draft, of which `line` is the line with them, and `copy` the longest copy."""
    start, stop = job.extent
    draft.added.append(notes)
    draft.stays[job.gone] = False
    draft.lines[job.spot.line] = line
    draft.written_to[job.spot.line] = stop
    draft.nats += made.nats * len(made.events)
    draft.count += len(made.events)
    draft.longest_copy = max(draft.longest_copy, copy)
    if job.index:
        match = longest_match(job.index, *_window(line, start, stop))
        draft.longest_match = max(draft.longest_match, match)
    draft.passages.append(_passage(line, start, stop, job.closing is not None))
    draft.told.append(_tell(job.whole, job.spot, start, stop, notes))


def _window(line: Line, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Onsets (units) and pitches of the notes in [start, stop) units, and of those that share a gram."""
    around = slice(max(line.note_before(start) + 1 - STEPS, 0), line.note_before(stop) + 1 + STEPS)
    return line.onset[around], line.pitch[around]


def _follower(lines: Sequence[Line], line: Line, index: int, stop: int) -> tuple[int, int] | None:
    """Pitch token and start (units) of the first note at or after `stop` of line `index`, which is by now
    `line`, or of the lines after it.
    """
    after = line.note_before(stop) + 1
    if after < len(line):
        return line.setting.token(int(line.pitch[after])), int(line.onset[after])
    for later in lines[index + 1 :]:
        if later.own < len(later):
            unit = later.tick(int(later.onset[later.own])) - line.zero_tick
            return line.setting.token(int(later.pitch[later.own])), unit // TICKS_PER_UNIT
    return None


def _passage(line: Line, start: int, stop: int, closes: bool) -> Passage:
    bar, origin = line.setting.bar, line.setting.origin
    first, last = line.note_before(start) + 1, line.note_before(stop)
    # Whole bars, so that equal ones can be told.
    before = line.note_before(origin + ((start - origin) // bar - 2) * bar) + 1
    parts = (slice(first, last + 1), slice(max(first - 1, 0), last + 3), slice(before, last + 2))
    voices = (Voice(line.onset[s], line.length[s], line.pitch[s]) for s in parts)
    return Passage(*voices, start, stop, bar, line.beat, origin, closes)


def _tell(line: Line, spot: Spot, start: int, stop: int, notes: np.ndarray) -> dict[str, Any]:
    told: dict[str, Any] = {"why": spot.why, **span(line, start, stop), "notes": len(notes)}
    if spot.last > spot.start:
        gone = line.onset_tick[(line.onset >= spot.start) & (line.onset < spot.last)]
        told["removed"] = len(gone)
        # A note that came a little early belongs to the place all the same.
        told["from_tick"] = min([told["from_tick"], *gone.tolist()])
    return told
