"""Every validation figure of the drum model, beside its floors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segue.metrics.style import (
    drum_histogram,
    rhythm_similarity,
    velocity_histogram,
)
from segue.runtime import Model
from segue.score import Score
from segue.transfer import apply
from segue.transfer.grid import beat_grid
from segue.transfer.kit import CLASS_OF_PITCH, STYLES, hit_grid
from training.transfer.drums.data import DrumPiece
from training.transfer.protocol import Music, measure_transfers, sample
from training.transfer.settings import stage_settings

MEASURES = ("drums", "velocity")
_BARS = 32
_RECORD = {"tracks": [{"role": "drums", "name": "Drums", "channel": 9, "program": 0, "notes": 0}]}


def shorten(piece: DrumPiece, bars: int = _BARS) -> DrumPiece:
    """The first `bars` bars of a recording."""
    track = piece.score.tracks[0]
    notes = track.notes[track.notes["onset_tick"] < bars * 3840]
    return replace(piece, score=piece.score.with_track(0, track.with_notes(notes)))


def histograms(notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onset by drum and onset by velocity, in bars of 4/4 that begin at 0."""
    place = (notes["onset_tick"] % 3840) / 960
    return drum_histogram(place, CLASS_OF_PITCH[notes["pitch"]]), velocity_histogram(place, notes["velocity"])


def hit_bars(score: Score) -> np.ndarray:
    """Hits by bar, bool (bars, 16, 9)."""
    grid = beat_grid(score)
    hits = hit_grid(score.tracks[0].notes, grid)[..., 0] > 0
    return hits[: grid.bars * 4].reshape(grid.bars, 16, -1)


def transferred(piece: DrumPiece, model: Model, style: str, seed: int, **settings: object) -> DrumPiece:
    """The recording after the stage."""
    result = apply(piece.score, _RECORD, stage_settings(drum_style=style, **settings), {"drums": model}, seed)
    return replace(piece, score=result.score, style=style)


def evaluate(
    pieces: list[DrumPiece], model: Model, per_style: int = 12, **settings: object
) -> tuple[dict, dict]:
    """Points by target style, and the classifier's figures."""
    train = [shorten(p) for p in pieces if not p.is_validation]
    rng = np.random.default_rng(0)
    sources = [shorten(p) for p in sample([p for p in pieces if p.is_validation], STYLES, per_style, rng)]
    music = Music(
        styles=STYLES,
        measures=MEASURES,
        headline=MEASURES,
        histograms=lambda piece: histograms(piece.notes),
        content=lambda piece: hit_bars(piece.score),
        similarity=rhythm_similarity,
        transfer=lambda piece, style, seed: transferred(piece, model, style, seed, **settings),
    )
    return measure_transfers(train, sources, music, rng)
