"""Writing drums with the network: several draws of each bar, of which the best is kept.

A draw is worth the two cosines between the style's histograms and those of all that has been written so far
with the draw added, so that later bars make up for what earlier ones lack; the cosine between the source's
bar and the new one, where the source is followed; and less the further the number of hits is from what is
wished. Draws are led there: before each bar, what the style has and the written bars lack is favoured by how
much it would raise the cosines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from segue.metrics.style import SPAN_BEATS, VELOCITY_BINS
from segue.runtime import Model
from segue.transfer.drum_tilt import by_beat, hits_of, read_patterns, struck_once
from segue.transfer.grid import UNIT_STEPS, Grid, in_pairs
from segue.transfer.kit import (
    BEAT_STEPS,
    CELL_OF_STEP,
    CLASSES,
    DRUM_BINS,
    GRID_BITS,
    LIMB_OF_CLASS,
    LIMBS,
    LOUDNESS_CLASSES,
    PROFILE,
    on_beats,
    velocities,
)
from segue.transfer.patterns import draw

#: Draws of a bar.
DRAWS = 24
#: Worth of sounding like the source and of a density that is off by a factor of e, beside the sum of the two
#: cosines of fit.
_CONTENT, _DENSITY = 1.0, 1.0
#: Nats by which a hit, and a loudness, is favoured that the written bars lack, by the slope of the cosine.
_LACK, _LACK_LOUDNESS = 16.0, 8.0
#: Sixths of a beat: a late twelfth belongs to the next one.
_SIXTHS = BEAT_STEPS // 2
_PLACES = SPAN_BEATS * BEAT_STEPS


@dataclass(frozen=True)
class Task:
    """What is to be written.

    `features` (units, FEATURES); `profile` (PROFILE,) of the style; `codebook` bool (patterns, GRID_BITS);
    `tilt` (units, patterns) is added to the logits of the patterns, `loudness` (24, 8), place in sixths of a
    beat by class, to those of the loudness; `source` (units, 4, 3): the source's hits by sixteenth in three
    groups, `swung`: how what is written is read to be compared with it; `follow`: whether sounding like the
    source counts; `wished` (units,): hits; `silent` (units,) bool: nothing is played; `same_as` (units,): the
    earlier unit that is taken over, or -1; the grid.
    """

    features: np.ndarray
    profile: np.ndarray
    codebook: np.ndarray
    tilt: np.ndarray
    loudness: np.ndarray
    source: np.ndarray
    swung: bool
    follow: bool
    wished: np.ndarray
    silent: np.ndarray
    same_as: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class Drafts:
    """Draws of the units `begin` to `end`: patterns (draws, units), MIDI velocities and offsets (draws,
    units, 4, classes), and the networks' states before its end, (draws, hidden) each.
    """

    begin: int
    end: int
    codes: np.ndarray
    velocity: np.ndarray
    offset: np.ndarray
    states: tuple[np.ndarray, np.ndarray]


def write_drums(
    model: Model, task: Task, temperature: float, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits bool (units, 12, classes), MIDI velocities and offsets in steps (units, 4, classes).

    At temperature 0 the most likely patterns are taken, without search. Beyond strength 1 what sets the style
    apart is overdone: the network is asked a second time without the style, and logits are moved away from
    that answer (classifier-free guidance, Ho and Salimans 2022).
    """
    units = len(task.features)
    codes = np.zeros(units, np.int64)
    velocity = np.ones((units, UNIT_STEPS, len(CLASSES)), np.int64)
    offset = np.zeros((units, UNIT_STEPS, len(CLASSES)))
    hidden = next(iter(model.zero_state().values())).shape[-1]
    state = np.zeros((2, hidden), np.float32)
    player, judge = _Player(model, task, temperature, strength, rng), Judge(task)
    for begin, end in _bars(task.grid):
        given = (task.same_as[begin:end] >= 0) | task.silent[begin:end]
        draws = 1 if temperature == 0 or given.all() else DRAWS
        found = player.draw(begin, end, codes, state, draws, judge.lacks())
        found = _taken_over(found, task.same_as, velocity, offset)
        best = judge.keep(found)
        codes[begin:end] = found.codes[best]
        velocity[begin:end], offset[begin:end] = found.velocity[best], found.offset[best]
        state = np.stack([part[best] for part in found.states])
    hits = task.codebook[codes].reshape(units, BEAT_STEPS, len(CLASSES)).copy()
    hits[task.silent] = False
    # What comes just before a beat belongs to it, and so to its silence.
    hits[np.append(task.silent[1:], True), -1] = False
    return hits, velocity, offset


def _bars(grid: Grid) -> Iterator[tuple[int, int]]:
    """First unit of each bar and of the next one."""
    edges = np.searchsorted(grid.unit_bar, np.arange(grid.bars + 1)).tolist()
    return pairwise(edges)


def _taken_over(found: Drafts, same_as: np.ndarray, velocity: np.ndarray, offset: np.ndarray) -> Drafts:
    """The drafts with units that are taken over from an earlier bar played as they were."""
    taken = np.flatnonzero(same_as[found.begin : found.end] >= 0)
    if not len(taken):
        return found
    first = same_as[found.begin + taken]
    played = {name: getattr(found, name).copy() for name in ("velocity", "offset")}
    played["velocity"][:, taken], played["offset"][:, taken] = velocity[first], offset[first]
    return replace(found, **played)


class _Player:
    """The network with all that its draws go by."""

    def __init__(
        self, model: Model, task: Task, temperature: float, strength: float, rng: np.random.Generator
    ) -> None:
        self.model, self.task, self.rng = model, task, rng
        self.temperature, self.strength = temperature, strength
        self.book = task.codebook.astype(np.float32)
        self.sixth = _sixth_of_limb(task.codebook)
        self.beat = in_pairs(task.grid)[0] % SPAN_BEATS

    def draw(
        self,
        begin: int,
        end: int,
        before: np.ndarray,
        state: np.ndarray,
        draws: int,
        lacks: tuple[np.ndarray, np.ndarray],
    ) -> Drafts:
        """Draws of the units `begin` to `end`, after the patterns `before` and from the two states (2,
        hidden); `lacks`: see `Judge.lacks`.
        """
        task, book, beat = self.task, self.book, self.beat
        nets = 2 if self.strength != 1 else 1
        (given, taken), *_ = self.model.card["state"].items()
        style = np.zeros((nets, draws, PROFILE), np.float32)
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
            out = self.model(
                previous=np.tile(previous, (nets, 1)), style=style, features=heard, **{taken: states}
            )
            if unit > begin:
                play.append(out["performance"][:draws])
                loud.append(self._guided(out["loudness"], draws))
            if unit == end:
                break
            states = out[given]
            if task.silent[unit]:
                previous = np.zeros_like(previous)
                continue
            if task.same_as[unit] >= 0:
                codes[:, unit - begin] = before[task.same_as[unit]]
            else:
                logits = self._guided(out["pattern"], draws) + task.tilt[unit] + lacks[0][beat[unit]]
                codes[:, unit - begin] = draw(logits, self.temperature, self.rng)
            previous = book[codes[:, unit - begin]]
        played = np.stack(play, axis=1).reshape(draws, end - begin, 2, UNIT_STEPS, len(CLASSES))
        place = beat[begin:end, None, None] * _SIXTHS + self.sixth[codes]
        logits = np.stack(loud, axis=1).reshape(draws, end - begin, -1, LOUDNESS_CLASSES)
        logits = logits + (task.loudness + lacks[1])[place % len(task.loudness)].reshape(logits.shape)
        both = states.reshape(nets, draws, -1)
        return Drafts(
            begin,
            end,
            codes,
            velocities(played[:, :, 0], draw(logits, self.temperature, self.rng)),
            np.clip(np.round(played[:, :, 1].astype(np.float64), 2), -0.5, 0.5),
            (both[0], both[-1]),
        )

    def _guided(self, rows: np.ndarray, draws: int) -> np.ndarray:
        """Logits of the draws, moved away from those without the style where both were asked."""
        if self.strength == 1:
            return rows
        styled, plain = rows[:draws], rows[draws:]
        return plain + self.strength * (styled - plain)


def _sixth_of_limb(codebook: np.ndarray) -> np.ndarray:
    """The sixth of the beat in which each limb first strikes in each quarter of it, int64 (patterns, 4,
    LIMBS); where it rests, that of the quarter's first step.
    """
    hits = hits_of(codebook) > 0
    limbs = np.stack([hits[:, :, limb == LIMB_OF_CLASS].any(axis=2) for limb in range(LIMBS)], axis=2)
    parts = [np.flatnonzero(cell == CELL_OF_STEP) for cell in range(UNIT_STEPS)]
    return np.stack([(steps[limbs[:, steps].argmax(axis=1)] + 1) // 2 for steps in parts], axis=1)


class Judge:
    """Compares the drafts of a bar, and remembers the figures of what was kept."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.beat = in_pairs(task.grid)[0]
        self.hits = hits_of(task.codebook) > 0
        self.once = struck_once(task.codebook)
        self.read, _ = read_patterns(task.codebook, task.swung)
        target = np.square(task.profile.astype(np.float64))
        drums, loudness = on_beats(target[:DRUM_BINS]), target[DRUM_BINS:]
        self.target = [part / max(float(np.linalg.norm(part)), 1e-9) for part in (drums, loudness)]
        self.counts = [np.zeros_like(part) for part in self.target]
        self.written = self.wished = 0.0

    def lacks(self) -> tuple[np.ndarray, np.ndarray]:
        """Nats that patterns on each beat (4, patterns) and loudness classes at each place (24, 8) gain by
        what the style has and what was kept lacks: the slope of the two cosines.
        """
        slopes = []
        for wanted, counts in zip(self.target, self.counts, strict=True):
            unit = counts / max(float(np.linalg.norm(counts)), 1e-9)
            slopes.append(wanted - float(wanted @ unit) * unit)
        patterns = np.round(by_beat(slopes[0]) @ self.once.T, 4)
        return _LACK * patterns, _LACK_LOUDNESS * np.round(slopes[1], 4).reshape(-1, VELOCITY_BINS)

    def keep(self, found: Drafts) -> int:
        """The best of the drafts, which is counted from now on."""
        bar = slice(found.begin, found.end)
        hits = self.hits[found.codes] & ~self.task.silent[bar, None, None]
        added = self._histograms(found, hits)
        written = self.written + hits.sum(axis=(1, 2, 3))
        self.wished += float(self.task.wished[bar][~self.task.silent[bar]].sum())
        worth = -_DENSITY * np.abs(np.log((written + 1) / (self.wished + 1)))
        for wanted, counts, new in zip(self.target, self.counts, added, strict=True):
            worth = worth + _cosines(counts + new, wanted)
        if self.task.follow:
            worth = worth + _CONTENT * self._content(found)
        best = int(np.round(worth, 6).argmax())
        self.counts = [counts + new[best] for counts, new in zip(self.counts, added, strict=True)]
        self.written = float(written[best])
        return best

    def _histograms(self, found: Drafts, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts of every draft as `segue.metrics.style` has them: place by drum (draws, DRUM_BINS), what
        lies a twelfth beside a beat on it, and place by velocity (draws, 192).
        """
        draws = len(hits)
        number, unit, step, drum = np.nonzero(hits)
        place = self.beat[found.begin + unit] * BEAT_STEPS + step
        velocity = found.velocity[number, unit, CELL_OF_STEP[step], drum]
        sixth = (place + 1) // 2 % (_PLACES // 2)
        drums = (number * _PLACES + place % _PLACES) * len(CLASSES) + drum
        loud = (number * (_PLACES // 2) + sixth) * VELOCITY_BINS + velocity // 16
        sizes = (DRUM_BINS, PROFILE - DRUM_BINS)
        counts = [
            np.bincount(index, minlength=draws * size).reshape(draws, size).astype(np.float64)
            for index, size in zip((drums, loud), sizes, strict=True)
        ]
        return on_beats(counts[0]), counts[1]

    def _content(self, found: Drafts) -> np.ndarray:
        """Cosine between the source's bar and that of each draft, (draws,)."""
        bar = slice(found.begin, found.end)
        read = self.read[found.codes] * ~self.task.silent[bar, None, None]
        sounds = read[:, :, :UNIT_STEPS].copy()
        sounds[:, 1:, 0] += read[:, :-1, UNIT_STEPS]
        source = self.task.source[bar].ravel()
        return _cosines(sounds.reshape(len(sounds), -1), source / max(float(np.linalg.norm(source)), 1e-9))


def _cosines(rows: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Cosine of each row (n, size) with a unit vector (size,)."""
    return rows @ unit / np.maximum(np.linalg.norm(rows, axis=1), 1e-9)
