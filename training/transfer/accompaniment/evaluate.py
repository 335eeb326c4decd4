"""Every validation figure of the accompaniment model, beside its floors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from segue.metrics.style import (
    chroma_similarity,
    chroma_windows,
    duration_histogram,
    interval_histogram,
    velocity_histogram,
)
from segue.runtime import Model
from segue.score import Score, bar_starts, seconds_from_ticks
from segue.transfer import apply
from segue.transfer.encoding import STYLES
from training.transfer.pieces import Piece
from training.transfer.protocol import Histograms, Music, measure_transfers, sample
from training.transfer.settings import stage_settings

MEASURES = ("interval", "duration", "velocity")
#: Velocity is left out of the headline: only the pop data have any.
HEADLINE = ("interval", "duration")
_BARS = 48


def shorten(piece: Piece, bars: int = _BARS) -> Piece:
    """The first `bars` bars of a piece."""
    starts = bar_starts(piece.score)
    if len(starts) <= bars + 1:
        return piece
    end = int(starts[bars])
    tracks = tuple(t.with_notes(t.notes[t.notes["onset_tick"] < end]) for t in piece.score.tracks)
    meters = tuple(m for m in piece.score.meters if m.tick < end)
    chords = [c for c in piece.record["chords"] if c["tick"] < end]
    return replace(
        piece,
        score=replace(piece.score, tracks=tracks, meters=meters),
        record=piece.record | {"chords": chords},
    )


def histograms(notes: np.ndarray, score: Score) -> Histograms:
    """The three profiles of a part."""
    bars = bar_starts(score)
    onset = notes["onset_tick"].astype(np.int64)
    bar = np.clip(np.searchsorted(bars, onset, "right") - 1, 0, len(bars) - 1)
    place = (onset - bars[bar]) / 960
    return (
        interval_histogram(onset / 960, notes["pitch"].astype(np.int64)),
        duration_histogram(place, notes["duration_tick"] / 960),
        velocity_histogram(place, notes["velocity"]),
    )


def chroma_of(notes: np.ndarray, score: Score) -> np.ndarray:
    """Chroma windows of a part at the piece's tempo."""
    onset = seconds_from_ticks(score, notes["onset_tick"])
    end = seconds_from_ticks(score, notes["onset_tick"] + notes["duration_tick"])
    return chroma_windows(onset, end - onset, notes["pitch"].astype(np.int64), float(end.max(initial=0)))


def transferred(piece: Piece, model: Model, style: str, seed: int, **settings: object) -> Piece:
    """The piece after the stage, as a piece again (its accompaniment is what the stage wrote)."""
    result = apply(
        piece.score, piece.record, stage_settings(style=style, **settings), {"accompaniment": model}, seed
    )
    return replace(piece, score=result.score, record=piece.record | result.record, style=style)


def _first_of_each_style(pieces: Iterable[Piece], most: int = 120) -> list[Piece]:
    """At most `most` pieces of each style, in the order given."""
    counts: Counter[str] = Counter()
    chosen = []
    for piece in pieces:
        counts[piece.style] += 1
        if counts[piece.style] <= most:
            chosen.append(piece)
    return chosen


def evaluate(pieces: list[Piece], model: Model, per_style: int = 14, **settings: object) -> tuple[dict, dict]:
    """Points by target style, and the classifier's figures."""
    train = [shorten(p) for p in _first_of_each_style(p for p in pieces if not p.is_validation)]
    rng = np.random.default_rng(0)
    sources = [shorten(p) for p in sample([p for p in pieces if p.is_validation], STYLES, per_style, rng)]
    music = Music(
        styles=STYLES,
        measures=MEASURES,
        headline=HEADLINE,
        histograms=lambda piece: histograms(piece.accompaniment, piece.score),
        content=lambda piece: chroma_of(piece.accompaniment, piece.score),
        similarity=chroma_similarity,
        transfer=lambda piece, style, seed: transferred(piece, model, style, seed, **settings),
    )
    return measure_transfers(train, sources, music, rng)
