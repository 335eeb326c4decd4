"""What the stage makes of a folder's pieces in one style, beside what needs no model.

Conventions
-----------
- What is compared of a piece is its accompaniment: before, the notes of the tracks that are re-played; after,
  those of the tracks that are written and what is left. Of a piece without accompaniment, or without drums
  where the style is one of drums, there is no point to compare with.
- Content is kept where the output sounds like the source (`segue.metrics.style`), the fit is to the
  histograms that the style has: those of its training pieces, of a preset's files, or of the examples given.
- A piece without chord symbols is transferred over the chords that harmonize finds in it.
- Template and copy need music in the target style, which no model holds: they are made of the examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.chords import chords_of_record
from segue.harmonize import apply as harmonize
from segue.metrics.style import VELOCITY_BINS, drum_histogram
from segue.runtime import Model
from segue.score import Score, bar_starts, no_notes
from segue.stage import Record, Settings, StageError
from segue.transfer import apply
from segue.transfer.agreement import chord_agreement
from segue.transfer.drums import named_style
from segue.transfer.ensemble import cut_repeats, join
from segue.transfer.frame import on_its_beats
from segue.transfer.grid import beat_grid, grid_phase
from segue.transfer.instruments import program_range
from segue.transfer.kit import CLASS_OF_PITCH, histograms, hit_grid, sixteenths
from segue.transfer.profiles import part_chroma, part_histograms
from segue.transfer.target import NONE, target_of
from segue.transfer.template import BarLibrary, Part, choose_bars, play, silent_bars

#: What harmonize is not asked for: only its chords are wanted.
_CHORDS_ALONE = {"track": "never", "lead_sheet": False, "figures": False}


@dataclass(frozen=True)
class Side:
    """A part before or after: its notes, their histograms, and what is compared of the content."""

    notes: np.ndarray
    histograms: tuple[np.ndarray, ...]
    content: np.ndarray


@dataclass(frozen=True)
class StylePiece:
    """A measured piece. `before` is None for one that had nothing to be replaced.

    `beats` are those in which the chord is heard that is meant, and those that count, before and after; None
    for drums. `in_range` of the written notes are in their instruments' range. `part` is the accompaniment
    with its bars and chords, None for drums and without a source.
    """

    name: str
    score: Score
    before: Side | None
    after: Side
    in_range: int
    beats: tuple[tuple[int, int], tuple[int, int]] | None = None
    part: Part | None = None
    chords_found: bool = False


@dataclass(frozen=True)
class Example:
    """A piece in the target style: as it is compared, and with its bars and chords (None for drums)."""

    side: Side
    part: Part | None = None


@dataclass(frozen=True)
class Listener:
    """harmonize, which finds chords where a piece has none: settings, models by role, seed."""

    settings: Settings
    models: Mapping[str, Model]
    seed: int

    def with_chords(self, score: Score, record: Record) -> Record:
        """The record with the chords that are found, where it has none."""
        if record.get("chords"):
            return record
        wanted = {**self.settings, **{k: v for k, v in _CHORDS_ALONE.items() if k in self.settings}}
        return {**record, **harmonize(score, record, wanted, self.models, self.seed).record}


def style_histograms(settings: Settings, models: Mapping[str, Model]) -> tuple[np.ndarray, ...] | None:
    """The histograms of the style that the settings name, as `Side` has them; None where none are known."""
    if settings["drum_style"] != NONE:
        counts = np.square(named_style(models["drums"], settings["drum_style"]).astype(np.float64))
        drums = drum_histogram(np.zeros(0), np.zeros(0))
        return counts[: drums.size].reshape(drums.shape), counts[drums.size :].reshape(-1, VELOCITY_BINS)
    target = target_of(settings, models)
    return None if target is None else target.profiles


def pitched_piece(
    name: str,
    score: Score,
    record: Record,
    settings: Settings,
    models: Mapping[str, Model],
    listener: Listener,
    seed: int,
) -> StylePiece:
    """A piece in the style of the settings. Raises `StageError` where nothing is written."""
    has_chords = bool(record.get("chords"))
    score, record, _ = on_its_beats(score, listener.with_chords(score, record))
    result = apply(score, record, settings, models, seed)
    report = result.report.get("accompaniment", {})
    if not report.get("written"):
        raise StageError(_reason(result.report, report))
    source = join([score.tracks[entry["track"]].notes for entry in report["replaced"]])
    new = [result.score.tracks[entry["track"]] for entry in report["written"]]
    made, harmony = {**record, **result.record}, listener.models["harmony"]
    return StylePiece(
        name,
        score,
        pitched_side(source, score) if len(source) else None,
        pitched_side(join([t.notes for t in new]), score),
        sum(_in_range(t.notes, t.program) for t in new),
        (chord_agreement(score, record, harmony), chord_agreement(result.score, made, harmony)),
        part_of(source, score, record) if len(source) else None,
        chords_found=not has_chords,
    )


def drum_piece(
    name: str, score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StylePiece:
    """A piece with its drums in the style of the settings. Raises `StageError` where there are none."""
    result = apply(score, record, settings, models, seed)
    report = result.report.get("drums", {})
    if not report.get("replaced"):
        raise StageError(_reason(result.report, report))
    tracks = [entry["track"] for entry in report["replaced"]]
    sides = [drum_side([s.tracks[i].notes for i in tracks], score) for s in (score, result.score)]
    return StylePiece(name, score, *sides, len(sides[1].notes))


def pitched_example(score: Score, record: Record, listener: Listener) -> Example:
    """A piece in the target style: all that is pitched but its melody, or all of it where that is all."""
    score, record, _ = on_its_beats(score, listener.with_chords(score, record))
    pitched = [
        (track.notes, entry["role"])
        for track, entry in zip(score.tracks, record["tracks"], strict=True)
        if len(track.notes) and not track.is_drum and entry["role"] != "drums"
    ]
    notes = join([n for n, role in pitched if role != "melody"] or [n for n, _ in pitched])
    if not len(notes):
        raise StageError("it has no pitched notes, so it is no example")
    return Example(pitched_side(notes, score), part_of(notes, score, record))


def drum_example(score: Score, record: Record) -> Example:
    """The drums of a piece in the target style."""
    tracks = zip(score.tracks, record["tracks"], strict=True)
    side = drum_side([t.notes for t, entry in tracks if t.is_drum or entry["role"] == "drums"], score)
    if not len(side.notes):
        raise StageError("it has no drums, so it is no example")
    return Example(side)


def _reason(whole: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    skipped = [entry["reason"] for entry in whole.get("skipped", []) if "reason" in entry]
    return part.get("reason") or "; ".join(skipped) or "the stage wrote nothing"


def _in_range(notes: np.ndarray, program: int) -> int:
    low, high = program_range(program)
    return int(((notes["pitch"] >= low) & (notes["pitch"] <= high)).sum())


def part_of(notes: np.ndarray, score: Score, record: Record) -> Part:
    """Notes with the bars of the score and the chords of the record."""
    return Part(notes, bar_starts(score), *chords_of_record(record))


def pitched_side(notes: np.ndarray, score: Score) -> Side:
    """An accompaniment as it is compared."""
    return Side(notes, part_histograms(notes, score)[:2], part_chroma(notes, score))


def drum_side(parts: Sequence[np.ndarray], score: Score) -> Side:
    """Drum parts as they are compared: the notes of the kit."""
    notes = join([no_notes(), *parts])
    notes = notes[CLASS_OF_PITCH[notes["pitch"]] >= 0]
    grid = beat_grid(score, grid_phase(notes["onset_tick"]))
    hits = sixteenths(hit_grid(notes, grid)[..., 0]) > 0
    bars = np.zeros((grid.bars, int(grid.bar_units.max()), *hits.shape[1:]), bool)
    bars[grid.unit_bar, grid.unit_in_bar] = hits
    return Side(notes, histograms(notes, grid), bars.reshape(grid.bars, -1, hits.shape[-1]))


def template_side(piece: StylePiece, of: BarLibrary, seed: int) -> Side:
    """The piece's accompaniment made of bars of the library; bars without notes stay so."""
    chosen = choose_bars(piece.part, of, silent_bars(piece.part), np.random.default_rng(seed))
    return pitched_side(cut_repeats(play(piece.part, chosen, of)), piece.score)
