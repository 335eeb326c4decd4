"""Writing drums with the network: several draws of each phrase, of which the one that fits best is kept.

Fit is the cosine between the style's two histograms and those of all that has been written so far with the
draw added, so that later phrases make up for what earlier ones lack, and where the skeleton is followed also
how much
the phrase sounds like the source's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.metrics.style import SPAN_BEATS, VELOCITY_BINS
from segue.runtime import Model
from segue.transfer.grid import UNIT_STEPS, Grid, in_pairs
from segue.transfer.kit import (
    BEAT_STEPS,
    CELL_OF_STEP,
    CLASSES,
    DRUM_BINS,
    GRID_BITS,
    LOUDNESS_CLASSES,
    on_beats,
    velocities,
)
from segue.transfer.patterns import draw

#: Draws of a phrase, and its bars.
DRAWS, PHRASE_BARS = 8, 4
#: Worth of sounding like the source, beside the sum of the two cosines of fit.
_CONTENT = 0.5


@dataclass(frozen=True)
class Task:
    """What is to be written.

    `features` (units, FEATURES); `profile` (PROFILE,) of the style; `codebook` bool (patterns, GRID_BITS);
    `tilt` (units, patterns) is added to the logits; `likeness` (units, patterns) to the source, 0..1;
    `silent` (units,)
    bool: nothing is played; `same_as` (units,): the earlier unit that is taken over, or -1; the grid.
    """

    features: np.ndarray
    profile: np.ndarray
    codebook: np.ndarray
    tilt: np.ndarray
    likeness: np.ndarray
    silent: np.ndarray
    same_as: np.ndarray
    grid: Grid


@dataclass
class _Written:
    """Draws of a stretch of units: patterns (draws, units), MIDI velocities and offsets (draws, units, 4,
    classes), and the networks' states before its end, (draws, hidden) each, with the last pattern of each
    draw.
    """

    codes: np.ndarray
    velocity: np.ndarray
    offset: np.ndarray
    states: tuple[np.ndarray, np.ndarray]


def write_drums(
    model: Model, task: Task, temperature: float, strength: float, follow: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits bool (units, 12, classes), MIDI velocities and offsets in steps (units, 4, classes).

    At temperature 0 the most likely patterns are taken, without search. Beyond strength 1 what sets the style
    apart is overdone: the network is asked a second time without the style, and logits are moved away from
    that answer (classifier-free guidance, Ho and Salimans 2022). With `follow`, sounding like the source
    counts.
    """
    units = len(task.features)
    draws = DRAWS if temperature > 0 else 1
    codes = np.zeros(units, np.int64)
    velocity = np.ones((units, UNIT_STEPS, len(CLASSES)), np.int64)
    offset = np.zeros((units, UNIT_STEPS, len(CLASSES)))
    hidden = next(iter(model.zero_state().values())).shape[-1]
    state = np.zeros((2, hidden), np.float32)
    target = np.square(task.profile.astype(np.float64))
    target[:DRUM_BINS] = on_beats(target[:DRUM_BINS])
    counts = np.zeros_like(target)
    phrase = task.grid.unit_bar // PHRASE_BARS
    for begin, end in _stretches(phrase):
        found = _draw_stretch(model, task, begin, end, codes, state, draws, temperature, strength, rng)
        own = task.same_as[begin:end] < 0
        # What is taken over is played as it was.
        for unit in np.flatnonzero(~own).tolist():
            first = int(task.same_as[begin + unit])
            inside = first >= begin
            for name, done in (("velocity", velocity), ("offset", offset)):
                rows = getattr(found, name)
                rows[:, unit] = rows[:, first - begin] if inside else done[first]
        added = np.stack([_histograms(task, begin, end, found, k) for k in range(draws)])
        best = int(np.argmax(np.round(_worth(task, begin, end, found, counts + added, target, follow), 6)))
        codes[begin:end] = found.codes[best]
        velocity[begin:end], offset[begin:end] = found.velocity[best], found.offset[best]
        counts += added[best]
        state = np.stack([part[best] for part in found.states])
    hits = task.codebook[codes].reshape(units, BEAT_STEPS, len(CLASSES)).copy()
    hits[task.silent] = False
    # What comes just before a beat belongs to it, and so to its silence.
    hits[np.append(task.silent[1:], True), -1] = False
    return hits, velocity, offset


def _stretches(phrase: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(phrase)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(phrase)], strict=True)) if len(phrase) else []


def _draw_stretch(
    model: Model,
    task: Task,
    begin: int,
    end: int,
    before: np.ndarray,
    state: np.ndarray,
    draws: int,
    temperature: float,
    strength: float,
    rng: np.random.Generator,
) -> _Written:
    """Draws of the units `begin` to `end`, from the patterns `before` and the two states (2, hidden)."""
    guided = strength != 1
    nets = 2 if guided else 1
    (given, taken), *_ = model.card["state"].items()
    book = task.codebook.astype(np.float32)
    style = np.zeros((nets, draws, len(task.profile)), np.float32)
    style[0] = task.profile
    style = style.reshape(nets * draws, -1)
    states = np.repeat(state[:nets], draws, axis=0)
    previous = np.zeros((draws, GRID_BITS), np.float32)
    if begin and not task.silent[begin - 1]:
        previous[:] = book[before[begin - 1]]
    codes = np.zeros((draws, end - begin), np.int64)
    play, loud = [], []
    for unit in range(begin, end + 1):
        # One step more tells how the last unit is played; its features do not matter.
        heard = np.repeat(task.features[[min(unit, len(task.features) - 1)]], nets * draws, axis=0)
        out = model(previous=np.tile(previous, (nets, 1)), style=style, features=heard, **{taken: states})
        if unit > begin:
            play.append(out["performance"][:draws])
            loud.append(_guided(out["loudness"], draws, strength, guided))
        if unit == end:
            break
        states = out[given]
        if task.silent[unit]:
            previous = np.zeros_like(previous)
            continue
        first = int(task.same_as[unit])
        if first >= 0:
            codes[:, unit - begin] = codes[:, first - begin] if first >= begin else before[first]
        else:
            logits = _guided(out["pattern"], draws, strength, guided) + task.tilt[unit]
            codes[:, unit - begin] = draw(logits, temperature, rng)
        previous = book[codes[:, unit - begin]]
    played = np.stack(play, axis=1).reshape(draws, end - begin, 2, UNIT_STEPS, len(CLASSES))
    logits = np.stack(loud, axis=1).reshape(draws, end - begin, -1, LOUDNESS_CLASSES)
    both = states.reshape(nets, draws, -1)
    return _Written(
        codes,
        velocities(played[:, :, 0], draw(logits, temperature, rng)),
        np.clip(np.round(played[:, :, 1].astype(np.float64), 2), -0.5, 0.5),
        (both[0], both[-1]),
    )


def _guided(rows: np.ndarray, draws: int, strength: float, guided: bool) -> np.ndarray:
    """Logits of the draws, moved away from those without the style where both were asked."""
    if not guided:
        return rows
    styled, plain = rows[:draws], rows[draws:]
    return plain + strength * (styled - plain)


def _histograms(task: Task, begin: int, end: int, found: _Written, k: int) -> np.ndarray:
    """Counts (PROFILE,) of one draw: place by drum and place by velocity, as `segue.metrics.style` counts
    them.
    """
    hits = task.codebook[found.codes[k]].reshape(end - begin, BEAT_STEPS, len(CLASSES))
    unit, step, drum = np.nonzero(hits & ~task.silent[begin:end, None, None])
    beat = in_pairs(task.grid)[0][begin:end][unit]
    place = (beat * BEAT_STEPS + step) % (SPAN_BEATS * BEAT_STEPS)
    velocity = found.velocity[k][unit, CELL_OF_STEP[step], drum]
    # Sixths of a beat: a late twelfth belongs to the next one.
    sixth = (place + 1) // 2 % (SPAN_BEATS * BEAT_STEPS // 2)
    drums = np.bincount(place * len(CLASSES) + drum, minlength=DRUM_BINS)
    loud = np.bincount(sixth * VELOCITY_BINS + velocity // 16, minlength=len(task.profile) - DRUM_BINS)
    return np.concatenate([on_beats(drums), loud]).astype(np.float64)


def _worth(
    task: Task, begin: int, end: int, found: _Written, counts: np.ndarray, target: np.ndarray, follow: bool
) -> np.ndarray:
    """How good each draw is, (draws,): `counts` (draws, PROFILE) with the draw added."""
    total = np.zeros(len(counts))
    for part in (slice(0, DRUM_BINS), slice(DRUM_BINS, None)):
        size = np.linalg.norm(counts[:, part], axis=1) * np.linalg.norm(target[part])
        total += counts[:, part] @ target[part] / np.maximum(size, 1e-9)
    if follow:
        rows = np.arange(begin, end)
        total += _CONTENT * task.likeness[rows, found.codes].mean(axis=1)
    return total
