"""Playing with the feel of a reference: at each note its answer, or where it has none the model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.humanize.controls import Controls
from segue.humanize.drums import TIMING_OWN, VELOCITY_OWN, Groove
from segue.humanize.encoding import CLASS_COUNT, CLASS_OF_PITCH, STEP_TICKS
from segue.humanize.feel import PLACES_PER_QUARTER, SWUNG_OFFBEAT, Feel
from segue.humanize.feel.extract import Places, places_of
from segue.humanize.feel.file import feel_from_dict
from segue.humanize.groove import Performance, human_residual
from segue.humanize.swing import STRAIGHT
from segue.score import Score, Track, meters_from_zero, seconds_per_tick
from segue.stage import Settings

if TYPE_CHECKING:
    from segue.humanize.pitched import Phrasing

#: Where a note found its answer: at its place in the bar, in the beat, anywhere, or nowhere.
LEVELS = ("by_place_in_bar", "by_place_in_beat", "by_drum")
NOWHERE = len(LEVELS)
#: What may stand in the settings `groove` and `blend` instead of a feel.
NONE, MODEL = "none", "model"
#: In a feel that swings the off-beat eighth lies on the triplet; what is beyond that is timing.
SWUNG = SWUNG_OFFBEAT / PLACES_PER_QUARTER


@dataclass(frozen=True)
class Answer:
    """What a feel knows of notes, (n,) each: timing in ms, velocity in MIDI units, spreads; NaN: nothing.

    `level` is the index into `LEVELS` of where the timing was found, else `NOWHERE`. `velocity` is a drum's
    own strength; of a feel without drums it is the distance from the mean over all its notes.
    """

    timing: np.ndarray
    timing_spread: np.ndarray
    velocity: np.ndarray
    velocity_spread: np.ndarray
    level: np.ndarray


@dataclass(frozen=True)
class Reference:
    """The feels to play with and their shares, which sum to 1; None stands for what the model plays."""

    parts: tuple[tuple[Feel | None, float], ...]

    @property
    def feels(self) -> list[Feel]:
        """The feels among its parts."""
        return [feel for feel, _ in self.parts if feel]

    @property
    def is_of_notes(self) -> bool:
        """Whether it was played on other instruments than drums (or does not know which)."""
        return not any(feel.knows_drums for feel in self.feels)

    def describe(self, score: Score) -> dict[str, Any]:
        """Its parts, and where the meter of `score` is another, for the record."""
        parts = []
        for feel, share in self.parts:
            part: dict[str, Any] = {"name": feel.name if feel else MODEL, "share": round(share, 3)}
            if feel:
                part |= {"source": feel.source, "meter": feel.meter.name, "tempo_bpm": feel.bpm}
            parts.append(part)
        bars = {meter.bar_ticks for meter in meters_from_zero(score)}
        differ = any(bars != {feel.meter.bar_ticks} for feel in self.feels)
        note = {"other_meter": "where the meter is not the reference's, places are those of the beat"}
        return {"parts": parts} | (note if differ else {})

    def swung(self, controls: Controls) -> Controls:
        """The controls with the swing of its shuffled feels, where they set none themselves."""
        if controls.swing != STRAIGHT:
            return controls
        share = min(controls.timing_share, 1)
        swing = sum(weight * (SWUNG if feel and feel.swing else STRAIGHT) for feel, weight in self.parts)
        return replace(controls, swing=STRAIGHT + share * (swing - STRAIGHT))

    @property
    def shares(self) -> list[float]:
        """The shares of its parts."""
        return [share for _, share in self.parts]

    def play_drums(
        self,
        score: Score,
        meant: np.ndarray,
        notes: np.ndarray,
        expected: Performance,
        shift: np.ndarray,
    ) -> tuple[Performance, np.ndarray, dict[str, int]]:
        """Drum notes (n,) as the reference plays them: performance, moves in ticks, and a report.

        `meant` are the ticks where the notes are meant to begin; `expected` and `shift` are what the model
        says. Of several hits of a drum at one place the softer ones keep their share of the loudest's
        velocity.
        """
        where = places_of(score, meant)
        classes = CLASS_OF_PITCH[notes["pitch"]]
        tick_ms = seconds_per_tick(score, meant) * 1000
        share = _share_of_loudest(where, classes, notes["velocity"].astype(float))
        level_of_drum = _class_mean(expected.velocity, classes)
        model = np.stack([shift, expected.velocity, expected.offset_spread, expected.velocity_spread])

        def played(feel: Feel, found: Answer) -> list[np.ndarray]:
            return [
                found.timing / tick_ms,
                found.velocity * share if feel.knows_drums else found.velocity + level_of_drum,
                found.timing_spread / tick_ms / STEP_TICKS / TIMING_OWN,
                found.velocity_spread * share / VELOCITY_OWN,
            ]

        values, report = self._mixed(score, where, classes, model, played)
        shift, velocity, offset_spread, velocity_spread = values
        performance = replace(
            expected, velocity=velocity, offset_spread=offset_spread, velocity_spread=velocity_spread
        )
        return performance, shift, report

    def phrase(
        self, score: Score, track: Track, human: bool, expected: Phrasing, timing: bool
    ) -> tuple[Phrasing, dict[str, int]]:
        """A pitched track's notes as a reference of other instruments than drums plays them, and counts.

        `human` says whether they were played by a human. Without `timing` their timing is the model's.
        """
        onset = track.notes["onset_tick"].astype(np.int64)
        where = places_of(score, onset - human_residual(score, onset) if human else onset)
        names = ("timing", "velocity", "timing_spread", "velocity_spread")
        model = np.stack([getattr(expected, name) for name in names])

        def played(_: Feel, found: Answer) -> list[np.ndarray]:
            own = [getattr(found, name) for name in names]
            return own if timing else [model[0], own[1], model[2], own[3]]

        values, report = self._mixed(score, where, np.full(len(onset), -1), model, played)
        # Dynamics are around the track's own mean.
        values[1] -= values[1].mean()
        return replace(expected, **dict(zip(names, values, strict=True))), report

    def _mixed(
        self,
        score: Score,
        where: Places,
        classes: np.ndarray,
        model: np.ndarray,
        played: Callable[[Feel, Answer], Sequence[np.ndarray]],
    ) -> tuple[np.ndarray, dict[str, int]]:
        """The answers (4, n) of its parts, mixed by their shares, and how many notes its feels knew.

        `model` (4, n) are the model's answers, `played` makes such of what a feel knows; NaN: the model's.
        """
        answers, levels = [], []
        for feel, _ in self.parts:
            values = model
            if feel:
                found = answer(feel, score, where, classes)
                own = np.stack(played(feel, found))
                values = np.where(np.isfinite(own), own, model)
                levels.append(found.level)
            answers.append(values)
        return blended(np.stack(answers), self.shares), _found(np.min(levels, axis=0))

    def groove(self, score: Score, indices: Sequence[int]) -> Groove:
        """What tracks `indices` follow where there are no drums: the reference's timing at their notes."""
        onset = np.concatenate([score.tracks[i].notes["onset_tick"] for i in indices])
        ticks = np.unique(onset).astype(np.int64)
        where = places_of(score, ticks)
        no_drum = np.full(len(ticks), -1)
        timing = [
            answer(feel, score, where, no_drum).timing if feel else 0.0 * ticks for feel, _ in self.parts
        ]
        mixed = blended(np.nan_to_num(timing), self.shares)
        deviation = mixed / (seconds_per_tick(score, ticks) * 1000)
        return Groove(ticks, deviation, deviation)


def reference_of(settings: Settings) -> Reference | None:
    """What `groove` or `blend` name, where saved feels stand for files; None where they name nothing."""
    first, second, share = settings["blend"] or (settings["groove"], MODEL, 0.0)
    parts = [
        (None if saved in (NONE, MODEL) else feel_from_dict(saved), weight)
        for saved, weight in ((first, 1 - share), (second, share))
        if weight
    ]
    return Reference(tuple(parts)) if any(feel for feel, _ in parts) else None


def answer(feel: Feel, score: Score, where: Places, classes: np.ndarray) -> Answer:
    """What `feel` knows of notes of drum classes (n,), -1 for none, at their places in `score`.

    In a bar of another meter places are those of the beat, and where beats differ too (6/8 against 4/4) the
    drum's own mean is all that is left. A drum that the feel has not seen has the timing of all together.
    """
    timing, velocity = feel.timing_tables, feel.velocity_tables
    rows = _rows(feel, score, where)
    on_place = where.place >= 0
    drum = np.where(classes >= 0, classes, -1) if feel.knows_drums else np.full(len(classes), -1)
    drum = np.where(timing.hits[-1, drum] > 0, drum, -1)
    # A row that is but the next coarser one is no find of its own.
    seen = np.stack([timing.hits[row, drum] > 0 for row in rows])
    seen[:2] &= rows[:2] != rows[1:]
    loudness = velocity.mean[rows[0], drum] - (0 if feel.knows_drums else velocity.mean[-1, -1])
    has_velocity = on_place & ((drum >= 0) | (not feel.knows_drums))
    return Answer(
        np.where(on_place, timing.mean[rows[0], drum], np.nan),
        np.where(on_place, timing.spread[rows[0], drum], np.nan),
        np.where(has_velocity, loudness, np.nan),
        np.where(has_velocity, velocity.spread[rows[0], drum], np.nan),
        np.where(on_place, seen.argmax(0), NOWHERE),
    )


def _rows(feel: Feel, score: Score, where: Places) -> np.ndarray:
    """The rows of a feel's tables for notes, (3, n): by the place in the bar, in the beat, and anywhere.

    Where a note has no such place of the feel, its row is the next coarser one.
    """
    meters = meters_from_zero(score)
    bars, beats = (
        np.array([getattr(m, name) == getattr(feel.meter, name) for m in meters])[where.meter]
        for name in ("bar_ticks", "beat_ticks")
    )
    first_beat_row = feel.timing_tables.beat_row
    anywhere = np.full(len(where.place), len(feel.timing_tables.mean) - 1)
    on_beat = beats & (where.place >= 0)
    beat = np.where(on_beat, first_beat_row + where.place % feel.beat_places, anywhere)
    bar = np.where(on_beat & bars & (where.place < first_beat_row), where.place, beat)
    return np.stack([bar, beat, anywhere])


def blended(values: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The mean of answers (parts, ...) by their shares; of those that are known where some are NaN."""
    weight = np.reshape(shares, (-1,) + (1,) * (values.ndim - 1)) * np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (weight * np.nan_to_num(values)).sum(0) / weight.sum(0)


def _found(level: np.ndarray) -> dict[str, int]:
    """How many notes the reference knew, how many were left to the model, and where the former were found."""
    by = {name: int(np.count_nonzero(level == i)) for i, name in enumerate(LEVELS)}
    known = sum(by.values())
    return {"from_reference": known, "from_model": len(level) - known, **by}


def _share_of_loudest(where: Places, classes: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Each hit's velocity as a share of the loudest of its drum at its place, (n,)."""
    cell = np.stack([where.bar, where.place, classes])
    _, back = np.unique(cell, axis=1, return_inverse=True)
    loudest = np.zeros(len(velocity))
    np.maximum.at(loudest, back, velocity)
    return velocity / loudest[back]


def _class_mean(value: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The mean of `value` (n,) over each note's class, NaN for no class."""
    count = np.bincount(classes + 1, minlength=CLASS_COUNT + 1)
    with np.errstate(invalid="ignore"):
        return (np.bincount(classes + 1, value, minlength=CLASS_COUNT + 1) / count)[classes + 1]
