"""What harmonize listens to: the notes of a piece by their roles, its beats, what the model says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.beats import Grid, beat_grid, phase_of, shift_grid
from segue.harmonize.decode import Hearing, hear
from segue.harmonize.encoding import chroma_by_beat, encode, note_chroma, scale_of
from segue.runtime import Model
from segue.score import Score, no_notes
from segue.stage import Record

#: Bars of silence at the beginning that are left free for an introduction.
_INTRODUCTION_BARS = 2


@dataclass(frozen=True)
class Parts:
    """The notes that are heard: the melody, and everything else that has pitch (NOTE arrays)."""

    melody: np.ndarray
    accompaniment: np.ndarray

    def __bool__(self) -> bool:
        """Whether there is any note to hear."""
        return bool(len(self.melody) or len(self.accompaniment))

    @property
    def first_tick(self) -> int:
        """Where the first note begins."""
        return min(int(p["onset_tick"].min()) for p in (self.melody, self.accompaniment) if len(p))

    @property
    def last_tick(self) -> int:
        """Where the last note ends."""
        return max(int(ends_of(p).max()) for p in (self.melody, self.accompaniment) if len(p))

    def chroma(self, grid: Grid) -> np.ndarray:
        """How much each pitch class sounds in each beat, (beats, 12); see `note_chroma`."""
        return note_chroma(self.melody, self.accompaniment, grid.ticks)

    def alone(self, grid: Grid) -> np.ndarray:
        """Whether nothing but the melody sounds in a beat, nor for a bar or more about it, bool, (beats,)."""
        silent = chroma_by_beat(self.accompaniment, grid.ticks).sum(axis=1) == 0
        run = np.cumsum(np.append(True, silent[1:] != silent[:-1])) - 1
        return silent & (np.bincount(run)[run] >= grid.bar_beats)

    def first_beat(self, grid: Grid) -> int:
        """The first beat that may have a chord: that of the first note.

        Silence of at least two bars before it is an introduction, which has chords from its beginning.
        """
        return 0 if self.introduction_beats(grid) else self._silent_beats(grid)

    def introduction_beats(self, grid: Grid) -> int:
        """The beats of silence before the first note that are an introduction; 0 where there is none."""
        silent = self._silent_beats(grid)
        return silent if np.count_nonzero(grid.bar_begins[: silent + 1]) > _INTRODUCTION_BARS else 0

    def _silent_beats(self, grid: Grid) -> int:
        return max(int(np.searchsorted(grid.ticks, self.first_tick, "right")) - 1, 0)


def ends_of(notes: np.ndarray) -> np.ndarray:
    """The ticks at which notes end, int64, of the same shape."""
    return notes["onset_tick"].astype(np.int64) + notes["duration_tick"]


def parts_of(score: Score, record: Record) -> Parts:
    """The notes by the roles of the record; a track without a role counts by its channel."""
    roles = [entry.get("role") for entry in record.get("tracks", [])]
    roles += [None] * (len(score.tracks) - len(roles))
    melody, others = [no_notes()], [no_notes()]
    for track, role in zip(score.tracks, roles, strict=False):
        if not track.is_drum and role != "drums":
            (melody if role == "melody" else others).append(track.notes)
    return Parts(np.concatenate(melody), np.concatenate(others))


def beats_of(score: Score, parts: Parts, follow: bool) -> tuple[Grid, float]:
    """The beats that chords may change on, and by how many beats they were moved to `follow` the notes."""
    grid = beat_grid(score, parts.last_tick)
    phase = phase_of(np.concatenate([parts.melody, parts.accompaniment]), grid) if follow else 0.0
    if not phase:
        return grid, phase
    moved = shift_grid(grid, phase)
    n = max(int(np.searchsorted(moved.ticks, parts.last_tick, "left")), 1)
    return Grid(moved.ticks[: n + 1], moved.number[:n], moved.count[:n], moved.place[:n]), phase


def heard(model: Model, parts: Parts, grid: Grid) -> Hearing:
    """What the model says of every beat."""
    features = encode(parts.melody, parts.accompaniment, grid)
    lengths = np.diff(grid.ticks)
    if len(grid) > 1 and lengths[0] < lengths[1] and parts.first_beat(grid) > 0:
        # What a moved grid leaves before its first beat is no beat of the music: it counts as not there.
        features[0] = 0
    return hear(model, features, scale_of(features))


def listen(score: Score, record: Record, model: Model) -> tuple[Grid, Hearing] | None:
    """The beats that the stage hears a piece in, and what the model says of them before anything is decided.

    None for a piece without pitched notes.
    """
    parts = parts_of(score, record)
    if not parts:
        return None
    grid, _ = beats_of(score, parts, follow=True)
    return grid, heard(model, parts, grid)
