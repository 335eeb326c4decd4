"""Writing: the variations of a melody, each with all its spots, while they come into being."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segue.complete.context import after_events, past_events
from segue.complete.copies import STEPS, CopyIndex, Guard, longest_match, longest_run
from segue.complete.encoding import TICKS_PER_UNIT
from segue.complete.finish import clear_of, notes_from_events
from segue.complete.line import Line, top_voice, units_of
from segue.complete.plan import VARIED, Spot, closings
from segue.complete.rank import Passage, Voice
from segue.complete.sampler import Place, Taste, Written, allowed_pitches, write
from segue.runtime import Model
from segue.score import Track, no_notes

#: Times that a place is written until it holds no copy, and not again what stood there if that was to be
#: varied; each time a little more adventurous.
_ATTEMPTS = 5
_HEAT = 0.3
#: Bars before a closing note from which on the model knows it.
_GOAL_BARS = 2


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

    #: Which draw this is, counted from 1.
    number: int
    rng: np.random.Generator
    lines: list[Line]
    stays: np.ndarray
    added: list[np.ndarray] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    #: Unit up to which each line (by index) has been written.
    written_to: dict[int, int] = field(default_factory=dict)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    #: Notes of the longest stretch with new notes that is in a training tune, and of the longest of these
    #: that the rest of the melody does not have as well; 0: fewer than 8.
    longest_match: int = 0
    longest_copy: int = 0
    #: Sum of the surprise, in nats, of the events that the model chose, and their number.
    nats: float = 0.0
    count: int = 0

    def take(self, made: Written, notes: np.ndarray, copy: int) -> None:
        """Take new notes, with the longest copy that they are part of."""
        self.added.append(notes)
        self.nats += made.nats * len(made.events)
        self.count += len(made.events)
        self.longest_copy = max(self.longest_copy, copy)

    def notes(self, track: Track) -> np.ndarray:
        """The track's notes in this variation, unsorted."""
        return np.concatenate([track.notes[self.stays], *self.added])

    def others(self, track: Track, gone: np.ndarray) -> np.ndarray:
        """The notes of the track as it is by now, without those at the indices `gone`."""
        stays = self.stays.copy()
        stays[gone] = False
        return np.concatenate([track.notes[stays], *self.added])

    @property
    def new(self) -> np.ndarray:
        """All new notes."""
        return np.concatenate([no_notes(), *self.added])


def start_drafts(
    melody: Melody, rngs: Sequence[np.random.Generator], room: Sequence[Spot] = (), first: int = 1
) -> list[Draft]:
    """Drafts, numbered from `first` on, in which nothing has been written yet, and without the notes that the
    spots `room` replace.
    """
    stays = np.ones(len(melody.track.notes), bool)
    lines = list(melody.lines)
    for spot in room:
        lines[spot.line] = lines[spot.line].without(spot.start, spot.last)
        stays[_replaced(melody, spot)] = False
    return [Draft(number, rng, list(lines), stays.copy()) for number, rng in enumerate(rngs, start=first)]


def _replaced(melody: Melody, spot: Spot) -> np.ndarray:
    """Indices of the notes of the melody's track that the spot replaces."""
    top = top_voice(melody.track.notes)
    unit = units_of(melody.lines[spot.line], melody.track.notes[top])
    return top[(unit >= spot.start) & (unit < spot.last)]


@dataclass(frozen=True)
class Style:
    """How to write: temperature, share of the probability that is in play, the index of the training tunes
    (None: the model has none), and whether copies of these are forbidden.
    """

    temperature: float
    top_p: float
    index: CopyIndex | None
    forbids: bool


def split_by_room(melody: Melody, spots: Sequence[Spot]) -> tuple[list[Spot], list[dict[str, Any]]]:
    """The spots that have time for a note once all have made room, and what is wrong with the others."""
    lines = start_drafts(melody, [np.random.default_rng(0)], spots)[0].lines
    fits: list[Spot] = []
    wrong: list[dict[str, Any]] = []
    for spot in spots:
        if _extent(melody, lines[spot.line], spot):
            fits.append(spot)
        else:
            wrong.append(_too_short(melody.lines[spot.line], spot))
    return fits, wrong


def _too_short(line: Line, spot: Spot) -> dict[str, Any]:
    return {**_span(line, spot.start, spot.stop), "reason": "the note before sounds until its end"}


def write_spot(melody: Melody, drafts: Sequence[Draft], spot: Spot, model: Model, style: Style) -> None:
    """Write one spot in each draft: in one batch where they have been the same up to now."""
    groups: dict[tuple[int, Spot, tuple[int, int] | None], list[Draft]] = {}
    for draft in drafts:
        # A note that was tied over the bar line has made the spot before longer.
        own = replace(spot, start=max(spot.start, draft.written_to.get(spot.line, spot.start)))
        place = _extent(melody, draft.lines[spot.line], own)
        if place is None:
            draft.skipped.append(_too_short(melody.lines[spot.line], spot))
            continue
        closing = _closing(melody, draft, own, *place)
        groups.setdefault((id(draft.lines[spot.line]), own, closing), []).append(draft)
    for (_, own, closing), group in groups.items():
        _write_alike(melody, group, own, closing, model, style)


def _extent(melody: Melody, line: Line, spot: Spot) -> tuple[int, int] | None:
    """Units from and to which notes are written, None where there is no time for one."""
    whole = melody.lines[spot.line]
    start, stop = _begin(whole, line, spot), _end(whole, line, spot)
    return (start, stop) if stop - start >= 2 else None


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


def _write_alike(
    melody: Melody,
    drafts: list[Draft],
    spot: Spot,
    closing: tuple[int, int] | None,
    model: Model,
    style: Style,
) -> None:
    """Write one spot in drafts that share their line and the note that closes the melody, if one does."""
    whole, shared = melody.lines[spot.line], drafts[0].lines[spot.line]
    start, stop = _begin(whole, shared, spot), _end(whole, shared, spot)
    line = shared.without(spot.start, spot.last)
    place = _place(drafts[0].lines, line, spot, closing, start, stop)
    guard = Guard(style.index, line.onset, line.pitch) if style.index else None
    around = _ticks_around(line, start, stop)
    gone = _replaced(melody, spot)
    pitches = allowed_pitches(line.setting, melody.lowest, melody.highest)
    waiting = drafts
    for attempt in range(_ATTEMPTS):
        heat = max(style.temperature, _HEAT * attempt) if attempt else style.temperature
        taste = Taste(heat, style.top_p, pitches, longest_rest=line.setting.bar // 2)
        written = write(model, place, taste, [d.rng for d in waiting], guard if style.forbids else None)
        again: list[Draft] = []
        for draft, made in zip(waiting, written, strict=True):
            events = [*made.events, (closing[1], closing[0], stop - closing[1])] if closing else made.events
            notes = clear_of(notes_from_events(whole, events, *around), draft.others(melody.track, gone))
            grown = line.with_notes(notes) if len(notes) else line
            copy = _longest_copy(guard, grown, start, stop) if guard else 0
            unwanted = (copy and style.forbids) or (spot.why == VARIED and _same(whole, notes, spot))
            if unwanted and attempt < _ATTEMPTS - 1:
                again.append(draft)
                continue
            draft.take(made, notes, copy)
            if style.index:
                match = longest_match(style.index, *_window(grown, start, stop))
                draft.longest_match = max(draft.longest_match, match)
            draft.lines[spot.line] = grown
            draft.written_to[spot.line] = stop
            draft.passages.append(_passage(grown, start, stop, closing is not None))
            draft.told.append(_tell(whole, spot, start, stop, notes))
        waiting = again
        if not waiting:
            break
    for draft in drafts:
        draft.stays[gone] = False


def _same(whole: Line, notes: np.ndarray, spot: Spot) -> bool:
    """Whether the new notes are those that stood in the spot."""
    there = (whole.onset >= spot.start) & (whole.onset < spot.last)
    alike = np.array_equal(units_of(whole, notes), whole.onset[there])
    return alike and np.array_equal(notes["pitch"], whole.pitch[there])


def _place(
    lines: Sequence[Line], line: Line, spot: Spot, closing: tuple[int, int] | None, start: int, stop: int
) -> Place:
    """What the model is asked to fill: with what follows, or, a little before it, the note that closes."""
    past = past_events(line, start)
    if closing:
        known = closing[1] - _GOAL_BARS * line.setting.bar
        return Place(line.setting, past, start, closing[1], closing, known, None)
    goal = _follower(lines, line, spot.line, stop)
    return Place(line.setting, past, start, stop, goal, start, after_events(line, stop))


def _ticks_around(line: Line, start: int, stop: int) -> tuple[int, int | None]:
    """The tick at which the note before really ends, and that at which the one after begins."""
    before, after = line.note_before(start), line.note_before(stop) + 1
    return (
        int(line.end_tick[before]) if before >= 0 else 0,
        int(line.onset_tick[after]) if after < len(line) else None,
    )


def _window(line: Line, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Onsets (units) and pitches of the notes in [start, stop) units, and of those that share a gram."""
    around = slice(max(line.note_before(start) + 1 - STEPS, 0), line.note_before(stop) + 1 + STEPS)
    return line.onset[around], line.pitch[around]


def _longest_copy(guard: Guard, line: Line, start: int, stop: int) -> int:
    """Notes of the longest copy that the notes in [start, stop) units take part in; 0: none."""
    return longest_run(guard.copied(*_window(line, start, stop)))


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


def _follower(lines: Sequence[Line], line: Line, index: int, stop: int) -> tuple[int, int] | None:
    """Pitch token and start (units) of the first note at or after `stop` of line `index`, which is by now
    `line`, or of the lines after it.
    """
    after = line.note_before(stop) + 1
    if after < len(line):
        return line.setting.token(int(line.pitch[after])), int(line.onset[after])
    for later in lines[index + 1 :]:
        if later.own < len(later):
            unit = later.tick(int(later.onset[later.own])) - line.meter.tick
            return line.setting.token(int(later.pitch[later.own])), unit // TICKS_PER_UNIT
    return None


def _passage(line: Line, start: int, stop: int, closes: bool) -> Passage:
    bar = line.setting.bar
    first, last = line.note_before(start - bar) + 1, line.note_before(stop)
    new = slice(line.note_before(start) + 1, last + 1)
    around = slice(first, last + 2)
    voices = (Voice(line.onset[s], line.length[s], line.pitch[s]) for s in (new, around))
    return Passage(*voices, start, stop, bar, line.setting.origin, closes)


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
