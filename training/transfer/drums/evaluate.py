"""Every validation figure of the drum model, beside its floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segue.metrics.style import (
    bar_prints,
    rhythm_groups,
    rhythm_similarity,
)
from segue.runtime import Model
from segue.score import Score
from segue.transfer import apply
from segue.transfer.grid import STEP_TICKS, beat_grid
from segue.transfer.kit import histograms, hit_grid, sixteenths
from training.transfer.drums.data import DrumPiece
from training.transfer.protocol import Measurement, Music, sample
from training.transfer.settings import stage_settings

MEASURES = ("drums", "velocity")
#: Styles that are judged by a classifier of the two.
PAIRS = (("rock", "jazz"),)
_BARS = 32
_BAR_TICKS = 3840
_RECORD = {"tracks": [{"role": "drums", "name": "Drums", "channel": 9, "program": 0, "notes": 0}]}

Transfer = Callable[[DrumPiece, str, int], DrumPiece]


def shorten(piece: DrumPiece, bars: int = _BARS) -> DrumPiece:
    """The first `bars` bars of a recording."""
    track = piece.score.tracks[0]
    notes = track.notes[track.notes["onset_tick"] < bars * _BAR_TICKS]
    return replace(piece, score=piece.score.with_track(0, track.with_notes(notes)))


def hit_bars(score: Score) -> np.ndarray:
    """Hits by bar, bool (bars, 16, 9); swung eighths are eighths, as swing belongs to the style."""
    grid = beat_grid(score)
    hits = sixteenths(hit_grid(score.tracks[0].notes, grid)[..., 0]) > 0
    return hits[: grid.bars * 4].reshape(grid.bars, 16, -1)


def prints(piece: DrumPiece) -> np.ndarray:
    """What is struck in each bar on the grid of sixteenths, uint64 (bars,), however loud and late."""
    bar, step, drum = np.nonzero(hit_bars(piece.score))
    bars = len(hit_bars(piece.score))
    return bar_prints(bar, step, drum, np.ones(len(bar), np.int64), bars, in_any_key=False)


def transferred(
    piece: DrumPiece, models: Mapping[str, Model], style: str, seed: int, /, **settings: object
) -> DrumPiece:
    """The recording after the stage."""
    result = apply(piece.score, _RECORD, stage_settings(drum_style=style, **settings), models, seed)
    return replace(piece, score=result.score, style=style)


@dataclass(frozen=True)
class DrumBars:
    """All bars with hits of some recordings: their groups as unit vectors (n, 48), and the recording and the
    place there (n,).
    """

    vectors: np.ndarray
    number: np.ndarray
    place: np.ndarray
    pieces: Sequence[DrumPiece]


def drum_bars(pieces: Sequence[DrumPiece]) -> DrumBars:
    """The bars of the recordings."""
    grids = [hit_bars(p.score) for p in pieces]
    number = np.concatenate([np.full(len(g), i) for i, g in enumerate(grids)])
    place = np.concatenate([np.arange(len(g)) for g in grids])
    vectors = _unit(np.concatenate(grids))
    filled = vectors.any(axis=1)
    return DrumBars(vectors[filled], number[filled], place[filled], pieces)


def _unit(grid: np.ndarray) -> np.ndarray:
    groups = rhythm_groups(grid)
    return groups / np.maximum(np.linalg.norm(groups, axis=1, keepdims=True), 1e-9)


def in_template(piece: DrumPiece, of: DrumBars, style: str, seed: int) -> DrumPiece:
    """The recording with each bar replaced by the bar that is most like it.

    Likeness is `rhythm_similarity`, the very measure of content. Of bars that are equally near the one that
    goes on from the bar before is taken, else the draw decides.
    """
    number, place = of.number, of.place
    rng = np.random.default_rng(seed)
    written = []
    last = -1
    for bar, wanted in enumerate(_unit(hit_bars(piece.score))):
        if not wanted.any():
            continue
        likeness = np.round(of.vectors @ wanted, 6)
        nearest = np.flatnonzero(likeness == likeness.max())
        on = last + 1
        goes_on = last >= 0 and on in nearest and number[on] == number[last] and place[on] == place[last] + 1
        last = on if goes_on else int(nearest[rng.integers(len(nearest))])
        notes = of.pieces[number[last]].notes
        start = place[last] * _BAR_TICKS
        onset = notes["onset_tick"].astype(np.int64) + STEP_TICKS // 2 - 1
        own = notes[(onset >= start) & (onset < start + _BAR_TICKS)].copy()
        own["onset_tick"] = np.maximum(own["onset_tick"].astype(np.int64) + bar * _BAR_TICKS - start, 0)
        written.append(own)
    track = piece.score.tracks[0]
    notes = np.concatenate([track.notes[:0], *written])
    notes = notes[np.argsort(notes["onset_tick"], kind="stable")]
    return replace(piece, score=piece.score.with_track(0, track.with_notes(notes)), style=style)


def measure_drums(
    pieces: Sequence[DrumPiece], styles: Sequence[str], transfer: Transfer, per_style: int
) -> Measurement:
    """Transfers of up to `per_style` validation recordings of each style (32 bars at most) to all styles that
    have validation recordings, in four.
    """
    held_out = {p.style for p in pieces if p.is_validation and p.in_four}
    styles = [style for style in styles if style in held_out]
    pieces = [p for p in pieces if p.style in styles and p.in_four]
    train = [p for p in pieces if not p.is_validation]
    held = [shorten(p) for p in pieces if p.is_validation]
    bars = {style: drum_bars([p for p in train if p.style == style]) for style in styles}
    music = Music(
        styles=styles,
        measures=MEASURES,
        headline=MEASURES,
        pairs=[pair for pair in PAIRS if set(pair) <= set(styles)],
        histograms=lambda piece: histograms(piece.notes, beat_grid(piece.score)),
        content=lambda piece: hit_bars(piece.score),
        similarity=rhythm_similarity,
        prints=prints,
        density=lambda piece: len(piece.notes) / (4 * len(hit_bars(piece.score))),
        bars=lambda piece: len(hit_bars(piece.score)),
        transfer=transfer,
        template=lambda piece, style, seed: in_template(piece, bars[style], style, seed),
    )
    return Measurement(train, held, sample(held, styles, per_style, np.random.default_rng(0)), music)


def evaluate(
    pieces: Sequence[DrumPiece],
    models: Mapping[str, Model],
    styles: Sequence[str],
    per_style: int = 12,
    **settings: object,
) -> tuple[dict, dict]:
    """Points by target style, and the classifier's figures, of the stage with these models and settings."""

    def transfer(piece: DrumPiece, style: str, seed: int) -> DrumPiece:
        return transferred(piece, models, style, seed, **settings)

    return measure_drums(pieces, styles, transfer, per_style).headlines()
