"""Guards against copying: an index of all runs of 8 notes in the training tunes, and what it forbids.

Conventions
-----------
- A *gram* is a run of 8 consecutive notes of a line, as its 7 pitch intervals and the 7 times between its
  onsets in units (1/12 quarter). Transposing a copy does not hide it; how long notes sound does not count.
- A gram is known by a 64-bit hash: each step (interval, time) is mixed with the finaliser of SplitMix64
  (Steele, Lea and Flood 2014), the steps are joined as a polynomial, and the sum is mixed again; all in
  unsigned integers that wrap, so it is the same on every machine. The index keeps the upper `bits` bits of
  each hash, sorted, as differences in a Golomb-Rice code (Rice 1979).
- No copy is missed. A gram that is in no training tune is taken for one with probability `size` / 2**`bits`.
- What the context itself contains, at any pitch, is no copy.
"""

from __future__ import annotations

import numpy as np

from segue.complete.checks import run_lengths

#: The file of a model's folder that holds the index.
FILE = "copies.npz"
#: Notes in a gram, and steps between them.
NOTES = 8
STEPS = NOTES - 1
#: Bits of each difference that are stored as they are; the rest is in unary.
LOW_BITS = 10
#: Times between onsets from here on are one: eight bars and more of 4/4.
_LONGEST = 383
_FACTOR = 0x9E3779B97F4A7C15
_POWERS = np.array([pow(_FACTOR, STEPS - 1 - j, 2**64) for j in range(STEPS)], np.uint64)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 on uint64 values, any shape."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _steps(interval: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Mixed steps, uint64, from intervals (semitones) and times between onsets (units), int64, any shape."""
    return _mix(((interval + 128) * (_LONGEST + 1) + np.minimum(time, _LONGEST) + 1).astype(np.uint64))


def grams(onset: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Hashes of all grams of a line, uint64, shape (max(notes - 7, 0),).

    `onset` (units, rising) and `pitch` (MIDI) are int64, shape (notes,).
    """
    if len(onset) < NOTES:
        return np.zeros(0, np.uint64)
    steps = _steps(np.diff(pitch), np.diff(onset))
    windows = np.lib.stride_tricks.sliding_window_view(steps, STEPS)
    return _mix((windows * _POWERS).sum(-1, dtype=np.uint64))


def pack(hashes: np.ndarray, bits: int) -> dict[str, np.ndarray]:
    """The arrays of an index of these hashes (uint64, shape (n,)), as `CopyIndex` reads them."""
    values = np.unique(hashes >> np.uint64(64 - bits)).astype(np.int64)
    steps = np.diff(values, prepend=0)
    low = (steps[:, None] >> np.arange(LOW_BITS)) & 1
    # In unary a number is that many zeros and a one.
    high = np.zeros(int((steps >> LOW_BITS).sum()) + len(steps), np.uint8)
    high[np.cumsum((steps >> LOW_BITS) + 1) - 1] = 1
    return {
        "size": np.array(len(values), np.int64),
        "bits": np.array(bits, np.int64),
        "low": np.packbits(low.astype(np.uint8).ravel()),
        "high": np.packbits(high),
    }


class CopyIndex:
    """The grams of the training tunes, from the arrays of `copies.npz` (`pack` makes them)."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.size = int(arrays["size"])
        self.bits = int(arrays["bits"])
        low = np.unpackbits(arrays["low"], count=self.size * LOW_BITS).reshape(self.size, LOW_BITS)
        high = np.diff(np.flatnonzero(np.unpackbits(arrays["high"]))[: self.size], prepend=-1) - 1
        steps = (high.astype(np.int64) << LOW_BITS) + low @ (1 << np.arange(LOW_BITS))
        # One more at the end, that no gram has, so that every search finds a place.
        self._values = np.append(np.cumsum(steps), 2**self.bits).astype(np.uint64)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which grams (uint64 hashes, shape (n,)) are in the index; bool, shape (n,)."""
        wanted = hashes >> np.uint64(64 - self.bits)
        return self._values[np.searchsorted(self._values, wanted)] == wanted


def longest_match(index: CopyIndex, onset: np.ndarray, pitch: np.ndarray) -> int:
    """Notes of the longest run of a line all of whose grams are in the index; 0 means fewer than 8.

    An upper bound of the longest copy: a run may join pieces of two tunes that overlap.
    """
    return longest_run(index.contains(grams(onset, pitch)))


def longest_run(found: np.ndarray) -> int:
    """Notes of the longest run in which every gram is `found`, bool, shape (grams,); 0 where none is."""
    longest = int(run_lengths(found).max())
    return longest + STEPS if longest else 0


class Guard:
    """Forbids grams of training tunes in what is written into a context, unless the context has them itself.

    The context is every note that is given, before and after what is written: `onset` (units, rising) and
    `pitch` (MIDI), int64, shape (notes,).
    """

    def __init__(self, index: CopyIndex, onset: np.ndarray, pitch: np.ndarray) -> None:
        self._index = index
        self._own = set(grams(onset, pitch).tolist())

    def _copies(self, hashes: np.ndarray) -> np.ndarray:
        copies = self._index.contains(hashes)
        for i in np.flatnonzero(copies):  # Few, so that a set is faster than `np.isin`.
            copies[i] = int(hashes[i]) not in self._own
        return copies

    def forbidden(
        self, onsets: np.ndarray, pitches: np.ndarray, start: int, candidates: np.ndarray
    ) -> np.ndarray:
        """Which `candidates` (MIDI pitches, int64, shape (n,)) at `start` would complete a copy; bool, (n,).

        `onsets` and `pitches` are the notes before, given and written, of which the last 7 count.
        """
        if len(onsets) < STEPS:
            return np.zeros(len(candidates), bool)
        onset, pitch = np.asarray(onsets[-STEPS:]), np.asarray(pitches[-STEPS:])
        # The steps between the notes and those to the candidates in one go: the calls are what takes time.
        interval = np.concatenate([pitch[1:] - pitch[:-1], candidates - pitch[-1]])
        time = np.full(len(interval), start - onset[-1])
        time[: STEPS - 1] = onset[1:] - onset[:-1]
        steps = _steps(interval, time)
        return self._copies(_mix(np.dot(steps[: STEPS - 1], _POWERS[:-1]) + steps[STEPS - 1 :]))

    def copied(self, onset: np.ndarray, pitch: np.ndarray) -> np.ndarray:
        """Which grams of a line are forbidden copies, bool, shape (max(notes - 7, 0),)."""
        return self._copies(grams(onset, pitch))
