"""What a drummer would do with the hits of a piece, through the groove network.

Bars are laid into slots of 16 steps from their downbeats (a bar of 3/4 or 6/8 leaves the end of its slot
empty, a bar longer than 4/4 goes on in the next). The network sees two consecutive slots at a time, and
beside them how often the piece hits each drum at each place of a slot. A hit's answer is the mean over the
windows that hold it. Hits keep their distance from the nearest step (triplets, swing, flams) and are moved
by the network's offset on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.humanize.encoding import (
    CLASS_COUNT,
    CLASS_OF_PITCH,
    SLOT_STEPS,
    STEP_TICKS,
    STYLES,
    WINDOW_STEPS,
    cells_from_hits,
    slot_pattern,
    window_features,
)
from segue.humanize.variation import LAPLACE_STD
from segue.runtime import Model
from segue.score import TICKS_PER_QUARTER, Score, bar_index, bar_starts, bpm_at

#: Network answers are rounded to these before use, so that both backends decide alike.
OFFSET_ROUNDING = 1 / 128
VELOCITY_ROUNDING = 1 / 127
#: The style that is read from the pattern.
AUTO = "auto"
#: A beat counts as played in triplets where its notes lie this much nearer to them than to sixteenths.
TRIPLET_RATIO = 0.6


@dataclass(frozen=True)
class Grid:
    """Where notes lie, (n,) int64 each: slot of the piece, step of the slot, and ticks off the step.

    A slot is a bar of up to 16 steps, or a part of a longer one.
    """

    slot: np.ndarray
    step: np.ndarray
    residual: np.ndarray

    def take(self, rows: np.ndarray) -> Grid:
        """Where those of the notes lie that `rows` (m,) names."""
        return Grid(self.slot[rows], self.step[rows], self.residual[rows])


@dataclass(frozen=True)
class Performance:
    """What the network expects at each drum note: arrays (n,), NaN where a note is of no drum class.

    `offset` in steps, `velocity` in MIDI units, spreads of either as standard deviations in the same units.
    `guess` is the probability of each of `STYLES` by the pattern, (10,), None where no note is of a class.
    """

    offset: np.ndarray
    velocity: np.ndarray
    offset_spread: np.ndarray
    velocity_spread: np.ndarray
    guess: np.ndarray | None = None


def grid_of(score: Score, onset: np.ndarray) -> Grid:
    """Slot, step and residual of each onset tick (n,); just before a bar line lies the next bar."""
    onset = np.asarray(onset, np.int64)
    bars = bar_starts(score, int(onset.max(initial=0)) + STEP_TICKS)
    steps = -(-np.diff(bars) // STEP_TICKS)
    bar = np.clip(np.searchsorted(bars, onset, "right") - 1, 0, len(steps) - 1)
    step = (onset - bars[bar] + STEP_TICKS // 2) // STEP_TICKS
    late = (step >= steps[bar]) & (bar + 1 < len(steps))
    bar, step = bar + late, np.where(late, 0, step)
    first_slot = np.concatenate([[0], np.cumsum(-(-steps // SLOT_STEPS))])
    residual = onset - (bars[bar] + step * STEP_TICKS)
    return Grid(first_slot[bar] + step // SLOT_STEPS, step % SLOT_STEPS, residual)


def human_residual(score: Score, onset: np.ndarray) -> np.ndarray:
    """Ticks (n,) by which a human's notes lie off their grid: sixteenths, or triplets."""
    straight = grid_of(score, onset).residual.astype(float)
    # From the bar line, as a bar need not begin on a quarter of the piece; just before one lies the next bar.
    bars, bar = bar_index(score, onset + STEP_TICKS // 2)
    within = onset - bars[bar]
    third = TICKS_PER_QUARTER / 3
    triplet = within - np.rint(within / third) * third
    beat = bars[bar] + (within + STEP_TICKS // 2) // TICKS_PER_QUARTER * TICKS_PER_QUARTER
    _, back = np.unique(beat, return_inverse=True)
    error = [np.bincount(back, np.abs(r))[back] for r in (straight, triplet)]
    return np.where(error[1] < TRIPLET_RATIO * error[0], triplet, straight)


def perform(
    score: Score,
    model: Model,
    onset: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    style: str = AUTO,
) -> Performance:
    """The expected performance of the drum notes (n,) of a piece, all drum tracks together.

    `style` is one of `STYLES`, or `AUTO`: then the network hears the style in the pattern itself.
    Of several hits in one cell the loudest is played as the network says, and the others keep their share of
    its velocity.
    """
    count = len(onset)
    answers = np.full((4, count), np.nan)
    classes = CLASS_OF_PITCH[pitch]
    known = np.flatnonzero(classes >= 0)
    if not len(known):
        return Performance(*answers)
    grid = grid_of(score, onset[known])
    used, row = np.unique(grid.slot, return_inverse=True)
    chosen, cell = cells_from_hits(
        row * SLOT_STEPS + grid.step, classes[known], velocity[known], len(used) * SLOT_STEPS
    )
    first = np.full(len(used), np.iinfo(np.int64).max)
    np.minimum.at(first, row, onset[known])
    bpm = bpm_at(score, first)
    hits = (chosen >= 0).reshape(len(used), SLOT_STEPS, CLASS_COUNT)
    condition = np.array([name == style for name in STYLES], np.float32)
    slots, guess = _play_slots(model, hits, used, bpm, condition)
    values = slots.reshape(4, -1)[:, cell]
    loudest = velocity[known][chosen.reshape(-1)[cell]]
    values[1:4:2] *= velocity[known] / loudest
    answers[:, known] = values
    offset, loudness, offset_spread, loudness_spread = answers
    return Performance(
        offset, loudness * 127, offset_spread * LAPLACE_STD, loudness_spread * 127 * LAPLACE_STD, guess
    )


def style_report(style: str, guess: np.ndarray | None) -> dict[str, Any]:
    """What the record says of the style: the one asked for or the likeliest, and how likely it is.

    `guess` is `Performance.guess`.
    """
    inferred = style == AUTO
    if guess is None:
        return {"name": None if inferred else style, "inferred": inferred, "probability": None}
    index = int(np.argmax(guess)) if inferred else STYLES.index(style)
    return {"name": STYLES[index], "inferred": inferred, "probability": round(float(guess[index]), 2)}


def _play_slots(
    model: Model, hits: np.ndarray, used: np.ndarray, bpm: np.ndarray, style: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Answers for the used slots and the probability of each style, (10,).

    The answers are (4, slots, 16, 9): offset, velocity, spread of offset, spread of velocity. `hits` is
    (slots, 16, 9), `used` the slots' places in the piece, `bpm` (slots,), `style` (10,) the condition. A
    window begins at every slot whose successor is used as well; a slot without neighbours is a window of its
    own, the second half empty.
    """
    count = len(used)
    follows = np.zeros(count, bool)
    follows[:-1] = np.diff(used) == 1
    alone = ~follows & ~np.concatenate([[False], follows[:-1]])
    starts = np.flatnonzero(follows | alone)
    windows = np.zeros((len(starts), WINDOW_STEPS, CLASS_COUNT), np.float32)
    windows[:, :SLOT_STEPS] = hits[starts]
    paired = follows[starts]
    windows[paired, SLOT_STEPS:] = hits[starts[paired] + 1]
    # Repeated bars are common in written drums, and equal windows of a piece have equal answers.
    tempo = np.round(bpm[starts], 3)
    keys = [(window.tobytes(), t) for window, t in zip(windows > 0, tempo.tolist(), strict=True)]
    distinct = {key: i for i, key in reversed(list(enumerate(keys)))}
    features = window_features(windows, tempo, slot_pattern(hits), style)
    answers = {key: _answer(model, features[i : i + 1]) for key, i in distinct.items()}
    played = {key: answer for key, (answer, _) in answers.items()}
    total = np.zeros((4, count, SLOT_STEPS, CLASS_COUNT))
    seen = np.zeros(count)
    for start, pair, key in zip(starts.tolist(), paired.tolist(), keys, strict=True):
        total[:, start] += played[key][:, :SLOT_STEPS]
        seen[start] += 1
        if pair:
            total[:, start + 1] += played[key][:, SLOT_STEPS:]
            seen[start + 1] += 1
    # The guess depends on the pattern of the piece and on the tempo, which may change: the first bars decide.
    return total / seen[:, None, None], answers[keys[0]][1]


def _answer(model: Model, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network plays in one window, rounded, (4, 32, 9), and its guess of the style, (10,)."""
    out = model(features=features)
    played = np.stack(
        [
            np.round(out["offset"][0] / OFFSET_ROUNDING) * OFFSET_ROUNDING,
            np.round(out["velocity"][0] / VELOCITY_ROUNDING) * VELOCITY_ROUNDING,
            out["offset_spread"][0],
            out["velocity_spread"][0],
        ]
    ).astype(np.float64)
    return played, np.asarray(out["style"][0], np.float64)
