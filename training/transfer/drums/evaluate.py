"""Every validation figure of the drum model, beside its floors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segue.metrics.style import (
    bootstrap_interval,
    cosine,
    drum_histogram,
    rhythm_similarity,
    transfer_strength,
    velocity_histogram,
)
from segue.runtime import Model
from segue.score import Score
from segue.transfer import apply
from segue.transfer.grid import beat_grid
from segue.transfer.kit import CLASS_OF_PITCH, STYLES, hit_grid
from training.transfer.drums.data import DrumPiece
from training.transfer.points import Classifier, Points, profile
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
    learned = [(STYLES.index(p.style), histograms(p.notes)) for p in train]
    target = {
        style: tuple(sum(h[k] / max(h[k].sum(), 1) for s, h in learned if s == i) for k in range(2))
        for i, style in enumerate(STYLES)
    }
    classifier = Classifier(
        np.stack([profile(*h) for _, h in learned]), np.array([s for s, _ in learned]), len(STYLES)
    )
    rng = np.random.default_rng(0)
    flat: list[DrumPiece] = []
    for style in STYLES:
        own = [p for p in pieces if p.is_validation and p.style == style]
        flat += [shorten(own[i]) for i in sorted(rng.permutation(len(own))[:per_style])]
    by_style = {style: [p for p in flat if p.style == style] for style in STYLES}
    known = {id(p): (histograms(p.notes), hit_bars(p.score)) for p in flat}
    shares = classifier.probabilities(np.stack([profile(*known[id(p)][0]) for p in flat]))
    truth = np.array([STYLES.index(p.style) for p in flat])

    def fits(h: tuple[np.ndarray, np.ndarray], style: str) -> list[float]:
        return [cosine(a, b) for a, b in zip(h, target[style], strict=True)]

    points = Points(MEASURES)
    strengths: list[float] = []
    taken: dict[str, list[float]] = {style: [] for style in STYLES}
    for index, piece in enumerate(flat):
        own, bars = known[id(piece)]
        for style in STYLES:
            if style == piece.style:
                continue
            there = transferred(piece, model, style, index, **settings)
            heard = histograms(there.notes)
            points.add(style, "transfer", rhythm_similarity(bars, hit_bars(there.score)), fits(heard, style))
            points.add(style, "identity", 1.0, fits(own, style))
            for kind, pool in (("copy", by_style[style]), ("random", flat)):
                other = known[id(pool[int(rng.integers(len(pool)))])]
                points.add(style, kind, rhythm_similarity(bars, other[1]), fits(other[0], style))
            back = transferred(there, model, piece.style, index + 1000, **settings)
            p = classifier.probabilities(np.stack([profile(*heard), profile(*histograms(back.notes))]))
            source = STYLES.index(piece.style)
            strengths.append(transfer_strength(shares[index, source], p[0, source], p[1, source]))
            taken[style].append(float(p[0].argmax() == STYLES.index(style)))
    figures = {
        "classifier_accuracy": round(float((shares.argmax(axis=1) == truth).mean()), 3),
        "strength_S": round(float(np.mean(strengths)), 3),
        "strength_interval": [round(v, 3) for v in bootstrap_interval(np.array(strengths))],
        "taken_for_target": {style: round(float(np.mean(v)), 3) for style, v in taken.items()},
    }
    return points.summary(MEASURES), figures
