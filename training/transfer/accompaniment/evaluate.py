"""Every validation figure of the accompaniment model, beside its floors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segue.metrics.style import (
    bootstrap_interval,
    chroma_similarity,
    chroma_windows,
    cosine,
    duration_histogram,
    interval_histogram,
    transfer_strength,
    velocity_histogram,
)
from segue.runtime import Model
from segue.score import Score, bar_starts, seconds_from_ticks
from segue.transfer import apply
from segue.transfer.encoding import STYLES
from training.transfer.pieces import Piece
from training.transfer.points import Classifier, Points, profile
from training.transfer.settings import stage_settings

MEASURES = ("interval", "duration", "velocity")
#: Velocity is left out of the headline: only the pop data have any.
HEADLINE = ("interval", "duration")
_BARS = 48

Histograms = tuple[np.ndarray, np.ndarray, np.ndarray]


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


def evaluate(pieces: list[Piece], model: Model, per_style: int = 14, **settings: object) -> tuple[dict, dict]:
    """Points by target style, and the classifier's figures."""
    train = [shorten(p) for p in pieces if not p.is_validation]
    counts = dict.fromkeys(STYLES, 0)
    learned: list[tuple[int, Histograms]] = []
    for piece in train:
        if counts[piece.style] < 120:
            counts[piece.style] += 1
            learned.append((STYLES.index(piece.style), histograms(piece.accompaniment, piece.score)))
    target = {
        style: tuple(
            sum(h[k] / max(h[k].sum(), 1) for s, h in learned if s == index) for k in range(len(MEASURES))
        )
        for index, style in enumerate(STYLES)
    }
    classes = np.array([s for s, _ in learned])
    classifier = Classifier(np.stack([profile(*h[:2]) for _, h in learned]), classes, len(STYLES))

    rng = np.random.default_rng(0)
    validation: dict[str, list[Piece]] = {}
    for style in STYLES:
        own = [p for p in pieces if p.is_validation and p.style == style]
        validation[style] = [shorten(own[i]) for i in sorted(rng.permutation(len(own))[:per_style])]
    flat = [p for group in validation.values() for p in group]
    known = {id(p): (histograms(p.accompaniment, p.score), chroma_of(p.accompaniment, p.score)) for p in flat}
    shares = classifier.probabilities(np.stack([profile(*known[id(p)][0][:2]) for p in flat]))
    truth = np.array([STYLES.index(p.style) for p in flat])

    def fits(h: Histograms, style: str) -> list[float]:
        return [cosine(h[k], target[style][k]) for k in range(len(MEASURES))]

    points = Points(MEASURES)
    strengths: list[float] = []
    taken = {style: [] for style in STYLES}
    for index, piece in enumerate(flat):
        own, chroma = known[id(piece)]
        for style in STYLES:
            if style == piece.style:
                continue
            there = transferred(piece, model, style, index, **settings)
            heard = histograms(there.accompaniment, there.score)
            points.add(
                style,
                "transfer",
                chroma_similarity(chroma, chroma_of(there.accompaniment, there.score)),
                fits(heard, style),
            )
            points.add(style, "identity", 1.0, fits(own, style))
            copy = validation[style][int(rng.integers(len(validation[style])))]
            points.add(
                style, "copy", chroma_similarity(chroma, known[id(copy)][1]), fits(known[id(copy)][0], style)
            )
            other = flat[int(rng.integers(len(flat)))]
            points.add(
                style,
                "random",
                chroma_similarity(chroma, known[id(other)][1]),
                fits(known[id(other)][0], style),
            )
            back = transferred(there, model, piece.style, index + 1000, **settings)
            p = classifier.probabilities(
                np.stack([profile(*heard[:2]), profile(*histograms(back.accompaniment, back.score)[:2])])
            )
            source = STYLES.index(piece.style)
            strengths.append(transfer_strength(shares[index, source], p[0, source], p[1, source]))
            taken[style].append(float(p[0].argmax() == STYLES.index(style)))
    figures = {
        "classifier_accuracy": round(float((shares.argmax(axis=1) == truth).mean()), 3),
        "strength_S": round(float(np.mean(strengths)), 3),
        "strength_interval": [round(v, 3) for v in bootstrap_interval(np.array(strengths))],
        "taken_for_target": {style: round(float(np.mean(v)), 3) for style, v in taken.items()},
    }
    return points.summary(HEADLINE), figures
