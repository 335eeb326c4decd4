"""The variations of a melody while they come into being, and how far the spots in them reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.complete.line import Line, top_voice, units_of
from segue.complete.plan import NO_CONTEXT, VARIED, Spot
from segue.complete.rank import Passage
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
        stays[replaced_notes(melody, spot)] = False
    return [Draft(number, rng, list(lines), stays.copy()) for number, rng in enumerate(rngs, start=first)]


def replaced_notes(melody: Melody, spot: Spot) -> np.ndarray:
    """Indices of the notes of the melody's track that the spot replaces."""
    top = top_voice(melody.track.notes)
    unit = units_of(melody.lines[spot.line], melody.track.notes[top])
    return top[(unit >= spot.start) & (unit < spot.last)]


def split_by_room(melody: Melody, spots: Sequence[Spot]) -> tuple[list[Spot], list[dict[str, Any]]]:
    """The spots that have time for a note once all have made room, and what is wrong with the others."""
    lines = start_drafts(melody, [np.random.default_rng(0)], spots)[0].lines
    fits: list[Spot] = []
    wrong: list[dict[str, Any]] = []
    for spot in spots:
        if not len(lines[spot.line]):
            wrong.append({**span(melody.lines[spot.line], spot.start, spot.stop), "reason": NO_CONTEXT})
        elif extent(melody, lines[spot.line], spot):
            fits.append(spot)
        else:
            wrong.append(too_short(melody.lines[spot.line], spot))
    return fits, wrong


def too_short(line: Line, spot: Spot) -> dict[str, Any]:
    """What the report says of a spot without time for a note."""
    return {**span(line, spot.start, spot.stop), "reason": "the note before sounds until its end"}


def extent(melody: Melody, line: Line, spot: Spot) -> tuple[int, int] | None:
    """Units from and to which notes are written, None where there is no time for one."""
    whole = melody.lines[spot.line]
    start, stop = _begin(whole, line, spot), _end(whole, line, spot)
    return (start, stop) if stop - start >= 2 else None


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


def span(line: Line, start: int, stop: int) -> dict[str, int]:
    """The ticks from and to which units of a line reach, for the report."""
    return {"from_tick": int(line.tick(start)), "to_tick": int(line.tick(stop))}
