"""Style transfer: what is kept of the content, how well the style fits, and whether it is worth anything.

Conventions
-----------
- Notes are columns: `onset_*`, `duration_*`, `pitch` (MIDI), `velocity` (1..127), each of shape (n,), in
  seconds (`_s`) or beats (`_beat`, a quarter note); `position_beat` is the onset's distance from its bar
  line.
- Histograms are counts; similarities are cosines in 0..1, and 0 where one side is empty.
- A *point* is (content, fit), both the larger the better.

Metrics
-------
- `chroma_similarity`, `interval_histogram`, `duration_histogram`, `velocity_histogram`: content and style
  profiles after O. Cifka, U. Simsekli, G. Richard, "Groove2Groove: One-Shot Music Style Transfer with
  Supervision from Synthetic Data", IEEE/ACM TASLP 28, 2020.
- `transfer_strength`: S of G. Brunner, Y. Wang, R. Wattenhofer, S. Zhao, "Symbolic Music Genre Transfer with
  CycleGAN", ICTAI 2018.
- `rhythm_similarity`, `drum_histogram`: the same two ideas for drums, which have no chroma; ours.
- `bar_prints`: bars that are the same note for note, in whatever key; ours.
"""

from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 12
WINDOW_FRAMES = 24
HOP_FRAMES = 12
BINS_PER_BEAT = 6
SPAN_BEATS = 4
LARGEST_INTERVAL = 20
VELOCITY_BINS = 8
#: Places in a bar of four beats for drums: twelfths of a beat tell swung eighths from straight ones.
DRUM_BINS_PER_BEAT = 12

#: Kick; snare and toms; hats and cymbals, over the nine classes of `segue.transfer.kit`.
DRUM_GROUPS = np.eye(3)[[0, 1, 2, 2, 1, 1, 1, 2, 2]]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine between two arrays of one shape, read as vectors; 0 where one is all zero."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / size) if size > 0 else 0.0


def chroma_windows(
    onset_s: np.ndarray, duration_s: np.ndarray, pitch: np.ndarray, length_s: float
) -> np.ndarray:
    """Mean chroma of overlapping windows, float (windows, 12), velocity ignored.

    12 frames a second; a frame counts each note that sounds at its middle; windows of 24 frames, hop 12; a
    piece shorter than a window makes one.
    """
    frames = max(int(np.ceil(length_s * FRAMES_PER_SECOND)), 1)
    # A note covers the frames whose middle lies in [onset, end).
    first = np.clip(np.ceil(onset_s * FRAMES_PER_SECOND - 0.5), 0, frames).astype(np.int64)
    last = np.clip(np.ceil((onset_s + duration_s) * FRAMES_PER_SECOND - 0.5), 0, frames).astype(np.int64)
    change = np.zeros((frames + 1, 12))
    np.add.at(change, (first, pitch % 12), 1)
    np.add.at(change, (last, pitch % 12), -1)
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(np.cumsum(change, axis=0)[:frames], axis=0)])
    starts = np.arange(0, max(frames - WINDOW_FRAMES, 0) + 1, HOP_FRAMES)
    stops = np.minimum(starts + WINDOW_FRAMES, frames)
    return (total[stops] - total[starts]) / (stops - starts)[:, None]


def chroma_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Content kept: mean cosine of two `chroma_windows` (windows, 12), the longer one cut.

    Windows in which both are silent are left out; where one is silent the cosine is 0.
    """
    windows = min(len(a), len(b))
    a, b = a[:windows], b[:windows]
    heard = (a.sum(axis=1) > 0) | (b.sum(axis=1) > 0)
    if not heard.any():
        return 0.0
    size = np.linalg.norm(a[heard], axis=1) * np.linalg.norm(b[heard], axis=1)
    inner = (a[heard] * b[heard]).sum(axis=1)
    return float(np.where(size > 0, inner / np.where(size > 0, size, 1), 0).mean())


def interval_histogram(onset_beat: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Time by pitch interval, counts (24, 41), over all pairs of notes less than four beats apart.

    The later note of a pair is the one with the later onset, or of two together the higher; row: time between
    the onsets in sixths of a beat (floor); column: interval to the later note in semitones plus 20, pairs
    beyond 20 semitones left out.
    """
    order = np.lexsort((pitch, onset_beat))
    onset, height = np.asarray(onset_beat, float)[order], np.asarray(pitch, np.int64)[order]
    rows = SPAN_BEATS * BINS_PER_BEAT
    out = np.zeros((rows, 2 * LARGEST_INTERVAL + 1))
    for lag in range(1, len(onset)):
        # A thousandth of a bin keeps exact sixths, such as 1/3, in their own bin.
        row = np.floor((onset[lag:] - onset[:-lag]) * BINS_PER_BEAT + 1e-3).astype(np.int64)
        near = row < rows
        if not near.any():
            break
        interval = height[lag:] - height[:-lag]
        inside = near & (np.abs(interval) <= LARGEST_INTERVAL)
        np.add.at(out, (row[inside], interval[inside] + LARGEST_INTERVAL), 1)
    return out


def _place(position_beat: np.ndarray, bins_per_beat: int) -> np.ndarray:
    """Nearest bin of the place in a bar, modulo four beats."""
    return np.round(np.asarray(position_beat) * bins_per_beat).astype(np.int64) % (SPAN_BEATS * bins_per_beat)


def duration_histogram(position_beat: np.ndarray, duration_beat: np.ndarray) -> np.ndarray:
    """Onset by duration, counts (24, 24): place in the bar by length, both in sixths of a beat (nearest);
    lengths run from 1/6 to four beats, what is beyond goes to the ends.
    """
    length = np.clip(np.round(np.asarray(duration_beat) * BINS_PER_BEAT), 1, SPAN_BEATS * BINS_PER_BEAT)
    out = np.zeros((SPAN_BEATS * BINS_PER_BEAT,) * 2)
    np.add.at(out, (_place(position_beat, BINS_PER_BEAT), length.astype(np.int64) - 1), 1)
    return out


def velocity_histogram(position_beat: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Onset by velocity, counts (24, 8): place in the bar in sixths of a beat by velocity in steps of 16."""
    out = np.zeros((SPAN_BEATS * BINS_PER_BEAT, VELOCITY_BINS))
    np.add.at(out, (_place(position_beat, BINS_PER_BEAT), np.asarray(velocity, np.int64) // 16), 1)
    return out


def drum_histogram(position_beat: np.ndarray, drum: np.ndarray) -> np.ndarray:
    """Onset by drum, counts (48, 9): place in the bar in twelfths of a beat (nearest) by class 0..8."""
    out = np.zeros((SPAN_BEATS * DRUM_BINS_PER_BEAT, len(DRUM_GROUPS)))
    np.add.at(out, (_place(position_beat, DRUM_BINS_PER_BEAT), np.asarray(drum, np.int64)), 1)
    return out


def rhythm_groups(grid: np.ndarray) -> np.ndarray:
    """Hits of kick, snare and toms, hats and cymbals of each bar of a grid (bars, steps, 9): counts
    (bars, steps * 3).
    """
    return (grid.astype(float) @ DRUM_GROUPS).reshape(len(grid), -1)


def rhythm_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Content of drums kept: mean cosine by bar between two grids of hits, each (bars, steps, 9).

    Hits are counted in three groups (kick; snare and toms; hats and cymbals), so that a ride in place of a
    hat is no loss. Bars in which both are silent are left out; the longer grid is cut.
    """
    bars = min(len(a), len(b))
    x, y = (rhythm_groups(grid[:bars]) for grid in (a, b))
    heard = x.any(axis=1) | y.any(axis=1)
    values = [cosine(p, q) for p, q in zip(x[heard], y[heard], strict=True)]
    return float(np.mean(values)) if values else 0.0


def bar_prints(
    bar: np.ndarray,
    step: np.ndarray,
    pitch: np.ndarray,
    length: np.ndarray,
    bars: int,
    in_any_key: bool = True,
) -> np.ndarray:
    """A number for what begins in each bar, uint64 (bars,): 0 for nothing, the same for the same notes.

    `bar` (n,) is each note's bar, `step` its place there and `length` its duration, both whole steps of one
    grid. With `in_any_key` pitches count from the lowest of the bar, so a bar that is moved has the same
    number. A note that is doubled counts once.
    """
    out = np.zeros(bars, np.uint64)
    if len(bar) == 0:
        return out
    lowest = np.full(bars, 128 if in_any_key else 0)
    np.minimum.at(lowest, bar, pitch)
    rows = np.unique(np.stack([bar, step, pitch - lowest[bar], length], axis=1).astype(np.int64), axis=0)
    mixed = np.zeros(len(rows), np.uint64)
    for column in rows[:, 1:].T.astype(np.uint64):
        # The finalizer of SplitMix64 (Steele, Lea, Flood 2014), so that sums of notes do not collide.
        mixed = mixed * np.uint64(0x100000001B3) + column + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    np.add.at(out, rows[:, 0], mixed)
    return out


def transfer_strength(p_source: float, p_transferred: float, p_back: float) -> float:
    """S = ((P(x) - P(x̂)) + (P(x̃) - P(x̂))) / 2 of Brunner et al. (2018), -1..1.

    P is a classifier's probability of the source style for the source x, the transferred piece x̂, and the
    piece x̃ transferred back.
    """
    return 0.5 * ((p_source - p_transferred) + (p_back - p_transferred))


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """True when point `a` is at least as good as `b` in content and in fit, and better in one."""
    return a[0] >= b[0] and a[1] >= b[1] and a != b
