"""How both transfer models are measured: every validation piece to every other style, beside the floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.style import cosine, transfer_strength
from training.transfer.points import Classifier, Points, profile

Histograms = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Music:
    """What the measurement has to know of a kind of pieces (anything with a `style`).

    `histograms` of a piece are one a name in `measures`: the first two are the classifier's, the mean of
    those in `headline` is the fit. `content` is what `similarity` compares, source first. `transfer` gives
    the piece in a style: (piece, style, seed).
    """

    styles: Sequence[str]
    measures: tuple[str, ...]
    headline: tuple[str, ...]
    histograms: Callable[[Any], Histograms]
    content: Callable[[Any], np.ndarray]
    similarity: Callable[[np.ndarray, np.ndarray], float]
    transfer: Callable[[Any, str, int], Any]


def sample(pieces: Sequence[Any], styles: Sequence[str], per_style: int, rng: np.random.Generator) -> list:
    """Up to `per_style` pieces of each style, drawn without replacement, in the order of `styles`."""
    chosen: list = []
    for style in styles:
        own = [p for p in pieces if p.style == style]
        chosen += [own[i] for i in sorted(rng.permutation(len(own))[:per_style])]
    return chosen


def measure_transfers(
    train: Sequence[Any], sources: Sequence[Any], music: Music, rng: np.random.Generator
) -> tuple[dict[str, dict], dict[str, Any]]:
    """Points by target style (see `Points.summary`), and the classifier's figures.

    Targets and classifier are learned from `train`; copies and random pieces are drawn from `sources`.
    """
    styles = music.styles
    learned = [(styles.index(p.style), music.histograms(p)) for p in train]
    target = {
        style: [
            sum(h[k] / max(h[k].sum(), 1) for s, h in learned if s == index)
            for k in range(len(music.measures))
        ]
        for index, style in enumerate(styles)
    }
    classifier = Classifier(
        np.stack([profile(*h[:2]) for _, h in learned]), np.array([s for s, _ in learned]), len(styles)
    )
    of_style = {style: [i for i, p in enumerate(sources) if p.style == style] for style in styles}
    known = [(music.histograms(p), music.content(p)) for p in sources]
    shares = classifier.probabilities(np.stack([profile(*h[:2]) for h, _ in known]))
    truth = np.array([styles.index(p.style) for p in sources])

    def fits(histograms: Histograms, style: str) -> list[float]:
        return [cosine(own, wanted) for own, wanted in zip(histograms, target[style], strict=True)]

    points = Points(music.measures)
    strengths: list[float] = []
    taken: dict[str, list[float]] = {style: [] for style in styles}
    for index, piece in enumerate(sources):
        own, content = known[index]
        source = truth[index]
        for style in styles:
            if style == piece.style:
                continue
            there = music.transfer(piece, style, index)
            heard = music.histograms(there)
            similarity = music.similarity(content, music.content(there))
            points.add(style, "transfer", similarity, fits(heard, style))
            points.add(style, "identity", 1.0, fits(own, style))
            for kind, pool in (("copy", of_style[style]), ("random", range(len(sources)))):
                other = known[pool[int(rng.integers(len(pool)))]]
                points.add(style, kind, music.similarity(content, other[1]), fits(other[0], style))
            back = music.transfer(there, piece.style, index + 1000)
            p = classifier.probabilities(np.stack([profile(*h[:2]) for h in (heard, music.histograms(back))]))
            strengths.append(transfer_strength(shares[index, source], p[0, source], p[1, source]))
            taken[style].append(float(p[0].argmax() == styles.index(style)))
    figures = {
        "classifier_accuracy": round(float((shares.argmax(axis=1) == truth).mean()), 3),
        "strength_S": round(float(np.mean(strengths)), 3),
        "strength_interval": [round(v, 3) for v in interval_of_mean(np.array(strengths))],
        "taken_for_target": {style: round(float(np.mean(v)), 3) for style, v in taken.items()},
    }
    return points.summary(music.headline), figures
