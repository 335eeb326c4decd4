"""Who plays the re-played accompaniment: instruments, voices, channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from segue.score import DRUM_CHANNEL, make_notes, no_notes, notes_by_pitch, sort_notes


class Player(NamedTuple):
    """An instrument: name, General MIDI program, and its range in MIDI pitches."""

    name: str
    program: int
    lowest: int
    highest: int


#: Players of each style, from high to low; the melody keeps its own instrument.
ENSEMBLES: dict[str, tuple[Player, ...]] = {
    "pop": (Player("Piano", 0, 21, 108),),
    "lied": (Player("Piano", 0, 21, 108),),
    "chorale": (Player("Choir", 52, 36, 79),),
    "quartet": (
        Player("Violin II", 40, 55, 93),
        Player("Viola", 41, 48, 86),
        Player("Cello", 42, 36, 72),
    ),
}


def free_channels(taken: Iterable[int | None], count: int) -> list[int]:
    """Up to `count` channels that nobody uses, never the percussion channel; fewer where fewer are free."""
    used = {c for c in taken if c is not None} | {DRUM_CHANNEL}
    return [c for c in range(16) if c not in used][:count]


def deal(notes: np.ndarray, high_hand: np.ndarray, style: str) -> list[np.ndarray]:
    """The notes of each player of the style's ensemble, in its order.

    One player takes all. Of three, the top of the high hand goes to the first, the bottom of the low hand to
    the last, the rest to the middle one; each plays one note at a time, and the first of those that meet.
    """
    players = ENSEMBLES[style]
    if len(players) == 1:
        return [cut_repeats(_into_range(notes, players[0]))]
    onset, pitch = notes["onset_tick"].astype(np.int64), notes["pitch"].astype(np.int64)
    group = onset * 2 + high_hand
    # In each group (one onset of one hand) sort so that the outer voice comes first.
    outer = np.where(high_hand, -pitch, pitch)
    order = np.lexsort((outer, group))
    first = np.ones(len(order), bool)
    first[1:] = group[order][1:] != group[order][:-1]
    is_outer = np.zeros(len(order), bool)
    is_outer[order] = first
    player = np.where(is_outer, np.where(high_hand, 0, 2), 1)
    return [_one_at_a_time(_into_range(notes[player == i], p)) for i, p in enumerate(players)]


def _into_range(notes: np.ndarray, player: Player) -> np.ndarray:
    """Notes beyond the instrument's range, moved by octaves."""
    notes = notes.copy()
    pitch = notes["pitch"].astype(np.int64)
    pitch += 12 * np.maximum(0, -(-(player.lowest - pitch) // 12))
    pitch -= 12 * np.maximum(0, -(-(pitch - player.highest) // 12))
    notes["pitch"] = pitch
    return sort_notes(notes)


def _one_at_a_time(notes: np.ndarray) -> np.ndarray:
    """A line: one note at each onset, cut where the next one begins."""
    if len(notes) == 0:
        return notes
    first = np.ones(len(notes), bool)
    first[1:] = notes["onset_tick"][1:] != notes["onset_tick"][:-1]
    notes = notes[first].copy()
    gap = np.diff(notes["onset_tick"])
    notes["duration_tick"][:-1] = np.minimum(notes["duration_tick"][:-1], gap)
    return notes


def cut_repeats(notes: np.ndarray) -> np.ndarray:
    """Sorted notes without doubles, each ending at the latest where its pitch is struck again."""
    if len(notes) == 0:
        return notes
    notes = notes_by_pitch(notes)
    same = notes["pitch"][1:] == notes["pitch"][:-1]
    gap = np.diff(notes["onset_tick"].astype(np.int64))
    double = np.zeros(len(notes), bool)
    double[1:] = same & (gap == 0)
    cut = same & (gap > 0)
    notes["duration_tick"][:-1][cut] = np.minimum(notes["duration_tick"][:-1], gap)[cut]
    return sort_notes(notes[~double])


def join(parts: list[np.ndarray]) -> np.ndarray:
    """All parts in one, sorted."""
    if not parts:
        return no_notes()
    notes = np.concatenate(parts)
    return make_notes(notes["onset_tick"], notes["duration_tick"], notes["pitch"], notes["velocity"])
