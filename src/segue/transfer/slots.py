"""Pitches as slots: scale degrees above the root of the chord that sounds, and back.

A slot is `7 * octave + degree`, octave 0..3, degree 0..6 (root, second, third, ... seventh). The root of
octave 0 is the one within MIDI 30..41. Third, fifth and, where the chord has one, seventh are always those of
the chord; the other degrees are taken from the key. So a pattern of slots played over another chord is
right in that chord by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from segue.chords import QUALITIES, Chord

OCTAVES = 4
DEGREES = 7
SLOTS = OCTAVES * DEGREES
#: Slots below this one are the low hand (bass), the others the high hand.
HAND_SPLIT = 14

_DEFAULT_DEGREE = (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
_MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)


def base_pitch(root: np.ndarray | int) -> np.ndarray | int:
    """MIDI pitch of slot 0 for a root pitch class: within 30..41."""
    return 36 + (root + 6) % 12 - 6


def _third_and_fifth(intervals: Sequence[int]) -> tuple[int, int]:
    third = next((i for i in (4, 3, 5, 2) if i in intervals), 4)
    if 3 in intervals and 4 in intervals:
        third = 4
    return third, next((i for i in (7, 6, 8) if i in intervals), 7)


def _seventh(intervals: Sequence[int]) -> int | None:
    if intervals[:4] == (0, 3, 6, 9):
        return 9
    return next((i for i in (10, 11) if i in intervals), None)


@lru_cache(maxsize=64)
def degrees_of(quality: str) -> tuple[int, ...]:
    """Degree of each interval 0..11 above the root, for a chord quality of `segue.chords`."""
    intervals = QUALITIES[quality].intervals
    degree = list(_DEFAULT_DEGREE)
    third, fifth = _third_and_fifth(intervals)
    degree[third], degree[fifth] = 2, 4
    if (seventh := _seventh(intervals)) is not None:
        degree[seventh] = 6
    return tuple(degree)


@lru_cache(maxsize=1024)
def intervals_of(chord: Chord, tonic: int | None, minor: bool) -> tuple[int, ...]:
    """Interval above the root for each degree 0..6, in this chord and key (`tonic` None: no key known)."""
    intervals = QUALITIES[chord.quality].intervals
    third, fifth = _third_and_fifth(intervals)
    seventh = _seventh(intervals)
    scale = () if tonic is None else [(tonic + s) % 12 for s in (_MINOR_SCALE if minor else _MAJOR_SCALE)]

    def from_key(first: int, second: int) -> int:
        if first in intervals or second in intervals:
            return first if first in intervals else second
        return (
            second
            if (chord.root + second) % 12 in scale and (chord.root + first) % 12 not in scale
            else first
        )

    return (
        0,
        from_key(2, 1),
        third,
        from_key(5, 6),
        fifth,
        from_key(9, 8),
        from_key(10, 11) if seventh is None else seventh,
    )


def slots_from_pitches(pitch: np.ndarray, chord_index: np.ndarray, chords: Sequence[Chord]) -> np.ndarray:
    """Slot of each note, int64 (n,): MIDI pitches, the index of the chord under each, and the chords.

    Pitches beyond the four octaves are folded into them; -1 where there is no chord.
    """
    slots = np.full(len(pitch), -1, np.int64)
    if not chords:
        return slots
    root = np.array([-1 if c.root is None else c.root for c in chords])
    degree = np.array([(0,) * 12 if c.root is None else degrees_of(c.quality) for c in chords])
    known = (chord_index >= 0) & (root[chord_index] >= 0)
    index = chord_index[known]
    above = pitch[known].astype(np.int64) - base_pitch(root[index])
    octave = np.clip(above // 12, 0, OCTAVES - 1)
    slots[known] = octave * DEGREES + degree[index, above % 12]
    return slots


Key = tuple[int | None, bool]


def pitches_from_slots(
    slot: np.ndarray, chord_index: np.ndarray, chords: Sequence[Chord], keys: Sequence[Key]
) -> np.ndarray:
    """MIDI pitch of each slot over its chord, int64 (n,); every chord index must name a real chord.

    `keys` has tonic (None: not known) and whether it is minor, one a chord.
    """
    used = np.unique(chord_index)
    base = np.zeros(len(chords), np.int64)
    steps = np.zeros((len(chords), DEGREES), np.int64)
    for i in used.tolist():
        base[i] = base_pitch(chords[i].root)
        steps[i] = intervals_of(chords[i], *keys[i])
    return base[chord_index] + 12 * (slot // DEGREES) + steps[chord_index, slot % DEGREES]
