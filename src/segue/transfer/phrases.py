"""Writing an accompaniment phrase by phrase: several are drawn, and the one that fits best is kept.

A phrase is four bars. All its drafts are drawn at once, as rows of one call of the network. A draft is
judged by how near it brings the figures written so far to the profiles of the style, by how well its
pitches agree with the chords (and the source, where there is one), and by how likely the network thinks it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segue.chords import Chord
from segue.metrics.style import BINS_PER_BEAT, LARGEST_INTERVAL, SPAN_BEATS
from segue.runtime import Model, log_softmax
from segue.score import TICKS_PER_QUARTER
from segue.transfer.content import unit_chroma
from segue.transfer.encoding import CELLS, GRID_BITS, HAND_SLOTS, LENGTHS, STYLE_SIZE
from segue.transfer.grid import PITCHED_STEPS, STEP_TICKS, Grid
from segue.transfer.patterns import DECIMALS, draw, unpack_patterns
from segue.transfer.slots import HAND_SPLIT, Key, pitches_from_slots
from segue.transfer.style import Profiles

#: Drafts of a phrase, and bars in it.
DRAFTS = 40
_PHRASE_BARS = 4
#: What counts how much when drafts are compared: likeness to both profiles of the style, to the chords,
#: nats a unit, and how far the number of notes is from what is wanted (as a logarithm). Tuned on validation
#: pieces.
_FIT, _CONTENT, _LIKELY, _DENSITY = (1.2, 1.8), 1.0, 0.02, 0.5
#: Drafts are drawn this much more freely than the temperature says, since the best of them is kept.
_FREER = 1.2
#: Drafts differ in how they favour patterns with many notes: by up to this much in nats a note.
_SPREAD = 0.12
#: Each favours them further by so much for the part (as a logarithm) of the wanted notes that is missing, up
#: to a most; notes of a bar are taken as given, so that a beginning is not all of it.
_LEAN, _MOST_LEAN, _GIVEN_UNITS = 4.0, 1.5, 4
_ROWS = SPAN_BEATS * BINS_PER_BEAT
_INTERVALS = 2 * LARGEST_INTERVAL + 1


@dataclass(frozen=True)
class Plan:
    """What an accompaniment is written over.

    `features` (units, FEATURES) with the style in them; `silent` (units,) bool: nothing is played there;
    `step_chord` as from `encoding.chords_of_steps` for chords that begin at `starts`, each in its key of
    `keys`; `content` (units, 12): the pitch classes that the part should sound (see `content.content_of`);
    `tilt` by hand ("low", "high"): what is added to the logits of patterns, (units, patterns);
    `length_tilt`: and to those of lengths, (units, CELLS, lengths), None for nothing; `density`: how many
    notes a unit are wanted on the whole (see `wanted_density`), None: as it comes.
    """

    grid: Grid
    features: np.ndarray
    silent: np.ndarray
    step_chord: np.ndarray
    starts: np.ndarray
    chords: Sequence[Chord]
    keys: Sequence[Key]
    content: np.ndarray
    tilt: Mapping[str, np.ndarray]
    length_tilt: np.ndarray | None = None
    density: float | None = None


@dataclass(frozen=True)
class Written:
    """The part by unit: `onsets` (units, steps, slots) bool, `velocity` (units, CELLS) as deviations from the
    part's mean, `lengths` (units, CELLS) in sixteenths.
    """

    onsets: np.ndarray
    velocity: np.ndarray
    lengths: np.ndarray


def wanted_density(source: np.ndarray, grid: Grid, usual: Sequence[float]) -> float:
    """Notes a unit, over the bars in which the source plays: as many as the source has, within what is
    `usual` in the style (lowest and highest); without a source the middle of that.
    """
    low, high = usual
    if len(source) == 0:
        return float(np.sqrt(low * high))
    bar = grid.unit_bar[grid.step_unit[grid.nearest_step(source["onset_tick"])]]
    units = np.isin(grid.unit_bar, np.unique(bar)).sum()
    return float(np.clip(len(source) / units, low, high))


def chord_end_of(
    pitch: np.ndarray, chord: np.ndarray, starts: np.ndarray, chords: Sequence[Chord]
) -> np.ndarray:
    """The tick by which each note must end: its chord's end, or the next chord's where it belongs to that."""
    far = np.int64(2**31 - 1)
    chord_end = np.append(starts[1:], far)
    member = np.zeros((len(chords) + 1, 12), bool)
    for i, c in enumerate(chords):
        member[i, list(c.pitch_classes)] = True
    through = member[chord + 1, pitch % 12]
    return np.where(through, np.append(chord_end, far)[chord + 1], chord_end[chord])


def write_phrases(
    model: Model,
    plan: Plan,
    target: Profiles | None,
    temperature: float,
    strength: float,
    rng: np.random.Generator,
    drafts: int = DRAFTS,
) -> Written:
    """The accompaniment of a whole piece.

    Temperature 0 takes the most likely pattern everywhere, one draft a phrase. Strength 1 takes the network
    at its word; beyond, what sets the style apart is overdone: the network is asked a second time without the
    style, and logits are moved away from that answer (classifier-free guidance, Ho and Salimans 2022).
    `target` are the style's profiles; without them drafts are judged by the rest.
    """
    walker = _Walker(model, plan, temperature, strength, rng, 1 if temperature == 0 else drafts)
    judge = _Judge(plan, target)
    units = plan.grid.units
    onsets = np.zeros((units, PITCHED_STEPS, sum(HAND_SLOTS)), bool)
    velocity = np.zeros((units, CELLS))
    lengths = np.zeros((units, CELLS))
    phrase = plan.grid.unit_bar // _PHRASE_BARS
    edges = np.flatnonzero(np.diff(phrase, prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        struck, held, loud, likely = walker.draft(first, last, judge.notes, judge.units)
        best = judge.best(first, struck, held, likely)
        walker.keep(best)
        onsets[first:last], lengths[first:last], velocity[first:last] = struck[best], held[best], loud[best]
    return Written(onsets, velocity, lengths)


class _Walker:
    """The network on its way through a piece, some drafts side by side."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        temperature: float,
        strength: float,
        rng: np.random.Generator,
        drafts: int,
    ) -> None:
        self.model, self.plan, self.rng, self.drafts = model, plan, rng, drafts
        self.temperature, self.strength = temperature, strength
        self.freer = temperature * (_FREER if drafts > 1 else 1.0)
        books = model.card["patterns"]
        self.books = [
            unpack_patterns(books[hand], PITCHED_STEPS * slots).reshape(-1, PITCHED_STEPS, slots)
            for hand, slots in zip(("low", "high"), HAND_SLOTS, strict=True)
        ]
        self.notes = [book.sum(axis=(1, 2)) - book.sum(axis=(1, 2)).mean() for book in self.books]
        tables = model.extra("styles.npz")
        self.low_side, self.high_side = (tables[k].astype(np.float32) for k in ("low_side", "high_side"))
        rows = drafts if strength == 1 else 2 * drafts
        self.state = model.zero_state(rows)
        self.out: dict[str, np.ndarray] = {}
        self._step(np.zeros((drafts, GRID_BITS), np.float32), 0)

    def draft(
        self, first: int, last: int, notes: int, played: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Drafts of units `first` to `last`, after `notes` in `played` units: onsets, lengths in sixteenths
        and velocities by cell, each (drafts, units, ...), and the mean log probability of their patterns
        (drafts,).
        """
        units = last - first
        onsets = np.zeros((self.drafts, units, PITCHED_STEPS, sum(HAND_SLOTS)), bool)
        lengths = np.zeros((self.drafts, units, CELLS))
        velocity = np.zeros((self.drafts, units, CELLS))
        likely = np.zeros(self.drafts)
        spread = np.linspace(-_SPREAD, _SPREAD, self.drafts) if self.drafts > 1 else np.zeros(1)
        written = np.full(self.drafts, notes)
        for unit in range(first, last):
            i = unit - first
            if not self.plan.silent[unit]:
                played += 1
                lean = spread + self._lean(written, played)
                favoured = [lean[:, None] * notes for notes in self.notes]
                low, nats = self._choose(self.out["low"] + favoured[0] + self.plan.tilt["low"][unit])
                likely += nats
                after_low = (self.out["pair"] * self.low_side[low]) @ self.high_side
                high, nats = self._choose(
                    self.out["high"] + after_low + favoured[1] + self.plan.tilt["high"][unit]
                )
                likely += nats
                onsets[:, i] = np.concatenate([self.books[0][low], self.books[1][high]], axis=2)
                written = written + onsets[:, i].sum(axis=(1, 2))
            self._step(onsets[:, i].reshape(self.drafts, -1).astype(np.float32), unit + 1)
            lengths[:, i] = self._lengths(unit, onsets[:, i])
            velocity[:, i] = self.out["velocity"]
        return onsets, lengths, velocity, likely / max(units, 1)

    def _lean(self, written: np.ndarray, played: int) -> np.ndarray:
        """Nats a note by which each draft favours patterns with many notes, (drafts,), after so many notes
        `written` in so many units `played`.
        """
        if self.plan.density is None or self.drafts == 1:
            return np.zeros(self.drafts)
        wanted, given = self.plan.density * played, self.plan.density * _GIVEN_UNITS
        return np.clip(_LEAN * np.log((wanted + given) / (written + given)), -_MOST_LEAN, _MOST_LEAN)

    def keep(self, draft: int) -> None:
        """Go on from one draft alone."""
        rows = np.full(self.drafts, draft)
        self.out = {name: value[rows] for name, value in self.out.items()}
        if self.strength != 1:
            rows = np.concatenate([rows, rows + self.drafts])
        self.state = {name: value[rows] for name, value in self.state.items()}

    def _step(self, previous: np.ndarray, unit: int) -> None:
        # After the last unit one more step tells how that unit is played; its features do not matter.
        heard = self.plan.features[min(unit, len(self.plan.features) - 1)]
        features = np.broadcast_to(heard, (self.drafts, len(heard)))
        if self.strength != 1:
            plain = heard.copy()
            plain[:STYLE_SIZE] = 0
            features = np.concatenate([features, np.broadcast_to(plain, features.shape)])
            previous = np.concatenate([previous, previous])
        out = self.model(previous=previous, features=features, **self.state)
        self.state = {taken: out[given] for given, taken in self.model.card["state"].items()}
        n = self.drafts
        if self.strength != 1:
            # How long notes are held is not overdone: it would leave the usual lengths alone.
            for name in ("low", "high"):
                out[name] = out[name][n:] + self.strength * (out[name][:n] - out[name][n:])
        self.out = {name: out[name][:n] for name in ("low", "high", "pair", "lengths", "velocity")}

    def _lengths(self, unit: int, onsets: np.ndarray) -> np.ndarray:
        """Sixteenths that each cell of the unit is held in each draft, (drafts, CELLS), 1 where nothing is
        struck; `onsets` bool (drafts, steps, slots).
        """
        hands = onsets[:, :, :HAND_SPLIT].any(axis=2), onsets[:, :, HAND_SPLIT:].any(axis=2)
        struck = np.concatenate(hands, axis=1)
        logits = self.out["lengths"].reshape(self.drafts, CELLS, len(LENGTHS))
        if self.plan.length_tilt is not None:
            logits = logits + self.plan.length_tilt[unit]
        out = np.ones(struck.shape)
        out[struck] = LENGTHS[draw(logits[struck], self.temperature, self.rng)]
        return out

    def _choose(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A class for each row of logits, int64 (rows,), and its log probability."""
        chosen = draw(logits, self.freer, self.rng)
        if self.temperature == 0:
            return chosen, np.zeros(len(logits))
        return chosen, log_softmax(np.round(logits, DECIMALS))[np.arange(len(logits)), chosen]


class _Judge:
    """Compares drafts, and remembers the figures of what was kept."""

    def __init__(self, plan: Plan, target: Profiles | None) -> None:
        self.plan, self.target = plan, target
        self.table = plan.grid.table()
        self.has_chord = np.array([c.is_chord for c in plan.chords] + [False])
        sizes = (_ROWS * _INTERVALS, _ROWS * _ROWS)
        self.kept = [np.zeros(size) for size in sizes]
        self.notes = self.units = 0

    def best(self, first: int, onsets: np.ndarray, lengths: np.ndarray, likely: np.ndarray) -> int:
        """The draft to keep."""
        drafts = len(onsets)
        if drafts == 1:
            return 0
        draft, onset, end, pitch, place = self._sound(first, onsets, lengths)
        units = np.arange(first, first + onsets.shape[1])
        ticks = self.plan.grid.unit_tick[first : units[-1] + 2]
        sounding = unit_chroma(draft, onset, end, pitch, ticks, drafts)
        value = _LIKELY * likely + _CONTENT * _agreement(sounding, self.plan.content[units])
        notes = self.notes + np.bincount(draft, minlength=drafts)
        self.units += int((~self.plan.silent[units]).sum())
        if self.plan.density is not None and self.units:
            value -= _DENSITY * np.abs(np.log((notes + 1) / (self.plan.density * self.units + 1)))
        counts: tuple[np.ndarray, ...] = ()
        if self.target is not None:
            counts = (
                interval_counts(draft, onset, pitch, drafts),
                duration_counts(draft, place, end - onset, drafts),
            )
            for weight, kept, count, wanted in zip(_FIT, self.kept, counts, self.target, strict=True):
                value = value + weight * _cosines(kept + count, wanted.ravel())
        best = int(np.round(value, 6).argmax())
        self.kept = [kept + count[best] for kept, count in zip(self.kept, counts, strict=False)]
        self.notes = int(notes[best])
        return best

    def _sound(self, first: int, onsets: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
        """Notes of all drafts: draft, onset and end tick, pitch, ticks after the bar line."""
        plan, grid = self.plan, self.plan.grid
        table = self.table[first : first + onsets.shape[1]]
        draft, unit, place, slot = np.nonzero(onsets & (table >= 0)[None, :, :, None])
        step = table[unit, place]
        good = self.has_chord[plan.step_chord[step]]
        draft, unit, place, slot, step = (a[good] for a in (draft, unit, place, slot, step))
        chord = plan.step_chord[step]
        pitch = pitches_from_slots(slot, chord, plan.chords, plan.keys)
        onset = grid.step_tick[step]
        held = lengths[draft, unit, (slot >= HAND_SPLIT) * PITCHED_STEPS + place]
        end = np.minimum(
            onset + (STEP_TICKS * held).astype(np.int64), chord_end_of(pitch, chord, plan.starts, plan.chords)
        )
        bar = grid.unit_bar[unit + first]
        return draft, onset, np.maximum(end, onset + STEP_TICKS // 4), pitch, onset - grid.bar_tick[bar]


def interval_counts(draft: np.ndarray, onset: np.ndarray, pitch: np.ndarray, drafts: int) -> np.ndarray:
    """`metrics.style.interval_histogram` of every draft at once, (drafts, rows * intervals), from notes'
    drafts, onset ticks and pitches.
    """
    out = np.zeros(drafts * _ROWS * _INTERVALS)
    order = np.lexsort((pitch, onset, draft))
    draft, onset, pitch = draft[order], onset[order], pitch[order]
    for lag in range(1, len(onset)):
        row = (onset[lag:] - onset[:-lag]) * BINS_PER_BEAT // TICKS_PER_QUARTER
        near = (draft[lag:] == draft[:-lag]) & (row < _ROWS)
        if not near.any():
            break
        interval = pitch[lag:] - pitch[:-lag]
        near &= np.abs(interval) <= LARGEST_INTERVAL
        index = (draft[lag:] * _ROWS + row) * _INTERVALS + interval + LARGEST_INTERVAL
        out += np.bincount(index[near], minlength=len(out))
    return out.reshape(drafts, -1)


def duration_counts(draft: np.ndarray, place: np.ndarray, duration: np.ndarray, drafts: int) -> np.ndarray:
    """`metrics.style.duration_histogram` of every draft at once, (drafts, rows * rows), from ticks."""
    sixths = BINS_PER_BEAT / TICKS_PER_QUARTER
    row = np.round(place * sixths).astype(np.int64) % _ROWS
    length = np.clip(np.round(duration * sixths), 1, _ROWS).astype(np.int64) - 1
    index = (draft * _ROWS + row) * _ROWS + length
    return np.bincount(index, minlength=drafts * _ROWS * _ROWS).reshape(drafts, -1).astype(np.float64)


def _agreement(sounding: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Mean cosine over units with content between what sounds (drafts, units, 12) and what should."""
    asked = content.any(axis=1)
    if not asked.any():
        return np.zeros(len(sounding))
    size = np.linalg.norm(sounding, axis=2) * np.linalg.norm(content, axis=1)
    return ((sounding * content).sum(axis=2) / np.maximum(size, 1e-9))[:, asked].mean(axis=1)


def _cosines(counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Cosine of each row of counts (drafts, n) with `wanted` (n,)."""
    size = np.linalg.norm(counts, axis=1) * np.linalg.norm(wanted)
    return counts @ wanted / np.maximum(size, 1e-9)
