"""Writing: the variations of a melody, each with all its spots, while they come into being."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.complete.compose import after_events, compose, past_events
from segue.complete.encoding import TICKS_PER_UNIT
from segue.complete.finish import notes_from_events
from segue.complete.line import Line, top_voice, units_of
from segue.complete.plan import VARIED, Spot, last_note
from segue.complete.rank import Place, Voice
from segue.complete.sampler import Taste, allowed_pitches
from segue.runtime import Model
from segue.score import Track, no_notes


@dataclass(frozen=True)
class Melody:
    """What is known of the melody: its track, its lines, and the range of new notes (MIDI)."""

    index: int
    track: Track
    lines: tuple[Line, ...]
    lowest: int
    highest: int

    @property
    def end_tick(self) -> int:
        """Where the melody ends as written."""
        line = self.lines[-1]
        return line.tick(line.written_end(len(line) - 1))


@dataclass
class Draft:
    """One variation: the lines as they are by now, the notes of the track that stay, and what is new."""

    rng: np.random.Generator
    lines: list[Line]
    stays: np.ndarray
    added: list[np.ndarray] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    #: Which draw this is, counted from 1.
    number: int = 1
    #: Sum of the surprise, in nats, of the events that the model chose, and their number.
    nats: float = 0.0
    count: int = 0

    def notes(self, track: Track) -> np.ndarray:
        """The track's notes in this variation, unsorted."""
        return np.concatenate([track.notes[self.stays], *self.added])

    @property
    def new(self) -> np.ndarray:
        """All new notes."""
        return np.concatenate([no_notes(), *self.added])


def start_drafts(
    melody: Melody, rngs: Sequence[np.random.Generator], room: Sequence[Spot] = ()
) -> list[Draft]:
    """Drafts in which nothing has been written yet, and the notes of the spots `room` are gone."""
    stays = np.ones(len(melody.track.notes), bool)
    lines = list(melody.lines)
    for spot in room:
        lines[spot.line] = lines[spot.line].without(spot.start, spot.last)
        stays[_replaced(melody, spot)] = False
    return [Draft(rng, list(lines), stays.copy()) for rng in rngs]


def _replaced(melody: Melody, spot: Spot) -> np.ndarray:
    """Indices of the notes of the melody's track that the spot replaces."""
    top = top_voice(melody.track.notes)
    unit = units_of(melody.lines[spot.line], melody.track.notes[top])
    return top[(unit >= spot.start) & (unit < spot.last)]


@dataclass(frozen=True)
class Style:
    """How to write: temperature, share of the probability that is in play, and the guard against copies."""

    temperature: float
    top_p: float
    guard: Any | None


def split_by_room(melody: Melody, spots: Sequence[Spot]) -> tuple[list[Spot], list[dict[str, Any]]]:
    """The spots that have time for a note once all have made room, and what is wrong with the others."""
    lines = start_drafts(melody, [np.random.default_rng(0)], spots)[0].lines
    fits: list[Spot] = []
    wrong: list[dict[str, Any]] = []
    for spot in spots:
        line, whole = lines[spot.line], melody.lines[spot.line]
        if _end(whole, line, spot) - _begin(whole, line, spot) >= 2:
            fits.append(spot)
        else:
            wrong.append(_too_short(whole, spot))
    return fits, wrong


def _too_short(line: Line, spot: Spot) -> dict[str, Any]:
    return {**_span(line, spot.start, spot.stop), "reason": "the note before sounds until its end"}


def write_spot(melody: Melody, drafts: Sequence[Draft], spot: Spot, model: Model, style: Style) -> None:
    """Write one spot in each draft: in one batch where they have been the same up to now."""
    groups: dict[int, list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(id(draft.lines[spot.line]), []).append(draft)
    for group in groups.values():
        _write_alike(melody, group, spot, model, style)


def _write_alike(melody: Melody, drafts: list[Draft], spot: Spot, model: Model, style: Style) -> None:
    """Write one spot in drafts that share their line."""
    line, whole = drafts[0].lines[spot.line], melody.lines[spot.line]
    before = line.note_before(spot.start)
    start = _begin(whole, line, spot)
    stop = _end(whole, line, spot)
    if stop - start < 2:
        for draft in drafts:
            draft.skipped.append(_too_short(whole, spot))
        return
    line = line.without(spot.start, spot.last)
    if spot.why == VARIED:
        gone = _replaced(melody, spot)
        for draft in drafts:
            draft.stays[gone] = False
    follower = _follower(drafts[0].lines, spot, stop)
    closes = follower is None
    goal = last_note(line, start, stop, melody.lowest, melody.highest) if closes else follower
    taste = Taste(
        style.temperature,
        style.top_p,
        allowed_pitches(line.setting, melody.lowest, melody.highest),
        longest_rest=line.setting.bar // 2,
    )
    written = compose(
        model,
        past_events(line, start),
        line.setting,
        start,
        goal[1] if closes else stop,
        goal,
        None if closes else after_events(line, stop),
        taste,
        [draft.rng for draft in drafts],
        style.guard,
    )
    after = line.note_before(stop) + 1
    after_tick = int(line.onset_tick[after]) if after < len(line) else None
    before_tick = int(line.end_tick[before]) if before >= 0 else 0
    for draft, made in zip(drafts, written, strict=True):
        events = [*made.events, (goal[1], goal[0], stop - goal[1])] if closes else made.events
        notes = notes_from_events(whole, events, before_tick, after_tick)
        draft.nats += made.nll * len(made.events)
        draft.count += len(made.events)
        draft.added.append(notes)
        draft.lines[spot.line] = grown = line.with_notes(notes) if len(notes) else line
        draft.places.append(_place(grown, start, stop, closes))
        draft.told.append(_tell(whole, spot, start, stop, notes))


def _begin(whole: Line, line: Line, spot: Spot) -> int:
    """Where the new notes begin: with the spot, or where the note before ends as written."""
    before = line.note_before(spot.start)
    if before < 0:
        return spot.start
    end = line.written_end(before)
    # What was released late for a note that is gone now was written up to that note.
    gone = whole.note_before(spot.start) + 1
    if spot.last > spot.start and gone < len(whole) and whole.onset[gone] < spot.last:
        end = min(end, int(whole.onset[gone]))
    return max(end, spot.start)


def _end(whole: Line, line: Line, spot: Spot) -> int:
    """Where they end: with the spot; in a variation where the note ended that was tied over the bar line."""
    last = whole.note_before(spot.last)
    if spot.why != VARIED or last < 0 or whole.onset[last] < spot.start:
        return spot.stop
    after = line.note_before(spot.stop) + 1
    end = whole.written_end(last)
    return max(spot.stop, min(end, int(line.onset[after]) if after < len(line) else end))


def _follower(lines: Sequence[Line], spot: Spot, stop: int) -> tuple[int, int] | None:
    """Pitch token and start, in units of the spot's line, of the next note of the melody."""
    line = lines[spot.line]
    after = line.note_before(stop) + 1
    if after < len(line):
        return line.setting.token(int(line.pitch[after])), int(line.onset[after])
    for later in lines[spot.line + 1 :]:
        if later.own < len(later):
            unit = later.tick(int(later.onset[later.own])) - line.meter.tick
            return line.setting.token(int(later.pitch[later.own])), unit // TICKS_PER_UNIT
    return None


def _place(line: Line, start: int, stop: int, closes: bool) -> Place:
    bar = line.setting.bar
    first, last = line.note_before(start - bar) + 1, line.note_before(stop)
    new = slice(line.note_before(start) + 1, last + 1)
    around = slice(first, last + 2)
    voices = (Voice(line.onset[s], line.length[s], line.pitch[s]) for s in (new, around))
    return Place(*voices, start, stop, bar, line.setting.origin, closes)


def _tell(line: Line, spot: Spot, start: int, stop: int, notes: np.ndarray) -> dict[str, Any]:
    told: dict[str, Any] = {"why": spot.why, **_span(line, start, stop), "notes": len(notes)}
    if spot.last > spot.start:
        gone = line.onset_tick[(line.onset >= spot.start) & (line.onset < spot.last)]
        told["removed"] = len(gone)
        # A note that came a little early belongs to the place all the same.
        told["from_tick"] = min([told["from_tick"], *gone.tolist()])
    return told


def _span(line: Line, start: int, stop: int) -> dict[str, int]:
    return {"from_tick": int(line.tick(start)), "to_tick": int(line.tick(stop))}
