"""Who plays the re-played accompaniment: instruments, voices, channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from segue.score import DRUM_CHANNEL, make_notes, no_notes, notes_by_pitch, sort_notes

#: What it costs a line to break off a note for another one, in semitones of motion.
_INTERRUPTION = 4.0
#: Most players whose voices are led together: the ways to share notes grow fast.
_MOST_LINES = 5


class Player(NamedTuple):
    """An instrument: name, General MIDI program (from 0), range in MIDI pitches (an octave at least), and
    whether it plays one note at a time.
    """

    name: str
    program: int
    lowest: int
    highest: int
    line: bool = False


def free_channels(taken: Iterable[int | None], count: int) -> list[int]:
    """Up to `count` channels that nobody uses, never the percussion channel; fewer where fewer are free."""
    used = {c for c in taken if c is not None} | {DRUM_CHANNEL}
    return [c for c in range(16) if c not in used][:count]


def deal(notes: np.ndarray, high_hand: np.ndarray, players: Sequence[Player]) -> list[np.ndarray]:
    """The notes of each player, in the order of the players, who stand from high to low.

    One player takes all; of two, each a hand. Three to five that all play lines lead their voices. Of others
    the first has the top of the high hand, the last the bottom of the low hand, and those between the rest:
    of each onset the lower ones the lower player. `high_hand` (n,) bool.
    """
    last = len(players) - 1
    if last == 0:
        return [into_part(notes, players[0])]
    if 1 < last < _MOST_LINES and all(p.line for p in players):
        player = lead_lines(notes, players)
    elif last == 1:
        player = np.where(high_hand, 0, 1)
    else:
        outer = _is_outer(notes, high_hand)
        player = np.where(outer, np.where(high_hand, 0, last), -1)
        inner = np.flatnonzero(player < 0)
        # The lowest inner note of an onset goes to the lowest inner player, the next ones upwards.
        onset = notes["onset_tick"][inner]
        first = np.searchsorted(onset, onset, "left")
        rank = np.arange(len(inner)) - first
        player[inner] = np.maximum(last - 1 - rank, 1)
    return [into_part(notes[player == i], p) for i, p in enumerate(players)]


def lead_lines(notes: np.ndarray, players: Sequence[Player]) -> np.ndarray:
    """Who plays each note, (n,): an index of `players`, who stand from high to low, or -1 for nobody.

    At every onset the players keep their order and go to the nearest notes; with more players than notes
    those whose note still sounds rather rest, with fewer the outer notes are played first.
    """
    out = np.full(len(notes), -1)
    order = np.lexsort((-notes["pitch"].astype(np.int64), notes["onset_tick"]))
    onset = notes["onset_tick"].astype(np.int64)[order]
    edges = np.flatnonzero(np.diff(onset, prepend=-1, append=-1))
    pitch = [int(p) for p in notes["pitch"][order]]
    end = (onset + notes["duration_tick"][order]).tolist()
    at = [(p.lowest + p.highest) / 2 for p in players]
    busy = [-1] * len(players)
    count = len(players)
    for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rows = range(first, stop)
        if len(rows) > count:
            inner = combinations(range(first + 1, stop - 1), count - 2)
            choices = [((first, *some, stop - 1), tuple(range(count))) for some in inner]
        else:
            choices = [(tuple(rows), some) for some in combinations(range(count), len(rows))]
        tick = int(onset[first])

        def cost(choice: tuple[tuple[int, ...], tuple[int, ...]], tick: int = tick) -> float:
            return sum(
                abs(pitch[row] - at[who]) + _INTERRUPTION * (busy[who] > tick)
                for row, who in zip(*choice, strict=True)
            )

        for row, who in zip(*min(choices, key=cost), strict=True):
            out[order[row]], at[who], busy[who] = who, pitch[row], end[row]
    return out


def both_hands(high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The notes of both hands (NOTE arrays) sorted together, and True where one is the high hand's, (n,)."""
    notes = np.concatenate([high, low])
    high_hand = np.arange(len(notes)) < len(high)
    order = np.lexsort((notes["duration_tick"], notes["pitch"], notes["onset_tick"]))
    return notes[order], high_hand[order]


def _is_outer(notes: np.ndarray, high_hand: np.ndarray) -> np.ndarray:
    """True for the top of the high hand and the bottom of the low hand at each onset, (n,)."""
    onset, pitch = notes["onset_tick"].astype(np.int64), notes["pitch"].astype(np.int64)
    group = onset * 2 + high_hand
    # In each group (one onset of one hand) sort so that the outer voice comes first.
    order = np.lexsort((np.where(high_hand, -pitch, pitch), group))
    first = np.ones(len(order), bool)
    first[1:] = group[order][1:] != group[order][:-1]
    is_outer = np.zeros(len(order), bool)
    is_outer[order] = first
    return is_outer


def into_part(notes: np.ndarray, player: Player) -> np.ndarray:
    """The notes as this player can play them: within the range, a line as a line, nothing struck twice."""
    notes = into_range(notes, player.lowest, player.highest)
    return _one_at_a_time(notes) if player.line else cut_repeats(notes)


def into_range(notes: np.ndarray, lowest: int, highest: int) -> np.ndarray:
    """Notes beyond the range, moved by octaves; sorted."""
    notes = notes.copy()
    pitch = notes["pitch"].astype(np.int64)
    pitch += 12 * np.maximum(0, -(-(lowest - pitch) // 12))
    pitch -= 12 * np.maximum(0, -(-(pitch - highest) // 12))
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


def join(parts: Sequence[np.ndarray]) -> np.ndarray:
    """All parts in one, sorted."""
    if not parts:
        return no_notes()
    notes = np.concatenate(parts)
    return make_notes(notes["onset_tick"], notes["duration_tick"], notes["pitch"], notes["velocity"])
