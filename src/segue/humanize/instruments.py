"""What an instrument can do of a player's touch, by General MIDI program.

A key of an organ sounds as loud however it is struck, and a pad comes in so slowly that nobody hears when it
was struck. Such notes are left as they are written, unless `tracks` sets their velocity or timing. Programs
count from 0, as in the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.humanize.controls import Controls
from segue.score import PROGRAM_CHANGE, Track


@dataclass(frozen=True)
class Habit:
    """What a group of programs keeps as written, and why."""

    programs: tuple[int, ...]
    keeps: str
    reason: str


VELOCITY, TIMING = "velocity", "timing"
HABITS = (
    Habit((6,), VELOCITY, "a harpsichord plucks its strings equally hard"),
    Habit((10,), VELOCITY, "the comb of a music box is plucked equally hard"),
    Habit(tuple(range(16, 21)), VELOCITY, "an organ is as loud however its keys are struck"),
    Habit((21, 23), VELOCITY, "the bellows of an accordion make all its keys equally loud"),
    Habit((109,), VELOCITY, "a bagpipe has one loudness"),
    Habit((49, 50, 51, 52, 53, 54), TIMING, "slow strings and choirs come in too softly to be early or late"),
    Habit(tuple(range(88, 96)), TIMING, "pads come in too softly to be early or late"),
    Habit((119, *range(120, 128)), TIMING, "a sound effect has its place in the story"),
    Habit((119, *range(120, 128)), VELOCITY, "a sound effect has its own loudness"),
)


def keeps(track: Track, what: str, controls: Controls) -> np.ndarray:
    """Which notes keep their velocity or their timing as written, bool, (n,); none where a user set it."""
    programs = [program for habit in _habits(controls) if habit.keeps == what for program in habit.programs]
    return np.isin(note_programs(track), programs)


def left_as_written(track: Track, controls: Controls) -> list[dict[str, str]]:
    """What notes of the track keep as written, and why, for the record."""
    programs = set(note_programs(track).tolist())
    habits = [habit for habit in _habits(controls) if not programs.isdisjoint(habit.programs)]
    return [{"keeps": habit.keeps, "reason": habit.reason} for habit in habits]


def _habits(controls: Controls) -> list[Habit]:
    return [habit for habit in HABITS if habit.keeps not in controls.explicit]


def note_programs(track: Track) -> np.ndarray:
    """The program with which each note of the track sounds, (n,)."""
    changes = track.controls[track.controls["status"] == PROGRAM_CHANGE]
    programs = np.concatenate([[track.program], changes["data1"]])
    return programs[np.searchsorted(changes["tick"], track.notes["onset_tick"], "right")]
