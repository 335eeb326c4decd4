"""Simple musical checks of new notes, as pure functions on arrays; each is held against the melody itself.

Arrays are of one voice in order of onset: `onset` and `length` in any one unit of time, `pitch` MIDI numbers,
all of shape (notes,).
"""

from __future__ import annotations

import numpy as np

#: Semitones from which on an interval is a leap that wants an answer: a minor sixth.
LEAP = 8
#: Notes of the longest cell that a loop is looked for of.
CELL = 12


def outside_range(pitch: np.ndarray, lowest: int, highest: int) -> int:
    """How many notes lie below `lowest` or above `highest`."""
    return int(((pitch < lowest) | (pitch > highest)).sum())


def longest_repetition(pitch: np.ndarray) -> int:
    """The most notes of one pitch in a row."""
    return int(run_lengths(np.diff(pitch) == 0).max()) + 1 if len(pitch) else 0


def run_lengths(flags: np.ndarray) -> np.ndarray:
    """Lengths of the runs of True in `flags`, bool, shape (n,): before, between and after all that are False,
    so 0 where two of these meet; int64, at least one.
    """
    breaks = np.flatnonzero(np.concatenate([[True], ~flags, [True]]))
    return np.diff(breaks) - 1


def unresolved_leaps(pitch: np.ndarray) -> int:
    """How many leaps are not answered: the next other pitch does not turn back into the leap.

    After a leap melodies turn back far more often than not (Meyer 1973, "Explaining music"). A leap to the
    last note has no answer yet and does not count.
    """
    steps = np.diff(pitch.astype(np.int64))
    steps = steps[steps != 0]
    leaps = np.abs(steps[:-1]) >= LEAP
    return int((leaps & (np.sign(steps[1:]) == np.sign(steps[:-1]))).sum())


def ends_stable(pitch: int, tonic: int, minor: bool) -> bool:
    """Whether a pitch belongs to the tonic triad; `tonic` is a pitch class."""
    return (pitch - tonic) % 12 in ((0, 3, 7) if minor else (0, 4, 7))


def is_strong_place(place: int, bar: int, beat: int) -> bool:
    """Whether a place in the bar is its first beat, or the middle of a bar whose halves have whole beats."""
    return place == 0 or (2 * place == bar and place % beat == 0)


def longest_silence(onset: np.ndarray, length: np.ndarray, start: int, stop: int) -> int:
    """The longest time without a note in [start, stop), in the unit of the arrays."""
    sounding = np.maximum.accumulate(np.append(start, onset + length))
    return int((np.append(onset, stop) - sounding).max(initial=0))


def longest_bar_run(onset: np.ndarray, pitch: np.ndarray, bar: int, origin: int = 0) -> int:
    """The most equal bars in a row, the same pitches at the same places; 1 where none is like the one before.

    `origin` is the start of any bar. Bars without a note are equal to none.
    """
    if not len(onset):
        return 0
    number, place = np.divmod(onset - origin, bar)
    content: dict[int, list[tuple[int, int]]] = {}
    for n, p, value in zip(number.tolist(), place.tolist(), pitch.tolist(), strict=True):
        content.setdefault(n, []).append((p, value))
    longest = run = 1
    for n in range(int(number[0]) + 1, int(number[-1]) + 1):
        run = run + 1 if n in content and content[n] == content.get(n - 1) else 1
        longest = max(longest, run)
    return longest


def longest_loop(onset: np.ndarray, pitch: np.ndarray) -> int:
    """The most times in a row that a cell of 2 to `CELL` notes, not all of one pitch, is said: 1 means once.

    A cell is the same where its pitches and the times between its onsets are, wherever in the bar.
    """
    times = np.diff(onset)
    keys = pitch[:-1].astype(np.int64) * 4096 + np.minimum(times, 4095)
    most = 1
    for lag in range(2, min(CELL, len(keys) // 2) + 1):
        same = keys[lag:] == keys[:-lag]
        edges = np.flatnonzero(np.diff(same.astype(np.int8), prepend=0, append=0))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if len(set(pitch[start : start + lag].tolist())) > 1:
                most = max(most, 1 + (stop - start) // lag)
    return most
