"""Every validation figure of the drum model, beside its floors and the nearest-neighbour template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.style import cosine, dominates, rhythm_similarity, transfer_strength
from segue.runtime import Model
from segue.score import Score, make_notes
from segue.transfer import apply
from segue.transfer.grid import beat_grid
from segue.transfer.kit import STYLES, hit_grid, histograms, profile_of, sixteenths
from training.transfer.drums.data import DrumPiece
from training.transfer.points import Classifier
from training.transfer.settings import stage_settings

KINDS = ("transfer", "identity", "copy", "random", "template")
#: The pair of styles that the issue names.
PAIR = ("rock", "jazz")
_BAR = 3840
_BARS = 32
_RECORD = {"tracks": [{"role": "drums", "name": "Drums", "channel": 9, "program": 0, "notes": 0}]}


@dataclass(frozen=True)
class Heard:
    """A recording as it is compared: hits by bar (bars, 16, 9) and the two histograms."""

    content: np.ndarray
    counts: tuple[np.ndarray, np.ndarray]

    @property
    def profile(self) -> np.ndarray:
        """What the classifier is told."""
        return profile_of(self.counts)


def shorten(piece: DrumPiece) -> DrumPiece:
    """The first `_BARS` bars of a recording in four."""
    track = piece.score.tracks[0]
    notes = track.notes[track.notes["onset_tick"] < _BARS * _BAR]
    return replace(piece, score=piece.score.with_track(0, track.with_notes(notes)))


def hear(score: Score) -> Heard:
    """Hits in sixteenths, swung or straight alike, and histograms of a score with one track, in four."""
    notes, grid = score.tracks[0].notes, beat_grid(score)
    hits = sixteenths(hit_grid(notes, grid)[..., 0]) > 0
    return Heard(hits.reshape(grid.bars, 16, -1), histograms(notes, grid))


def transferred(piece: DrumPiece, model: Model, style: str, seed: int, **settings: object) -> DrumPiece:
    """The recording after the stage."""
    result = apply(piece.score, _RECORD, stage_settings(drum_style=style, **settings), {"drums": model}, seed)
    return replace(piece, score=result.score, style=style)


class Template:
    """The baseline: each bar of the source is replaced by the training bar of the target style that has the nearest
    rhythm, note for note.
    """

    def __init__(self, train: Sequence[DrumPiece]) -> None:
        self.bars: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
        for style in {p.style for p in train}:
            rhythms, notes = [], []
            for piece in (p for p in train if p.style == style):
                rhythms.append(_grouped(hear(piece.score).content))
                bar = (piece.notes["onset_tick"].astype(np.int64) + 40) // _BAR
                notes += [piece.notes[bar == b] for b in range(len(rhythms[-1]))]
                for b, own in enumerate(notes[-len(rhythms[-1]) :]):
                    own["onset_tick"] -= np.minimum(b * _BAR, own["onset_tick"])
            self.bars[style] = np.concatenate(rhythms), notes

    def transferred(self, piece: DrumPiece, style: str) -> DrumPiece:
        """The recording with its bars replaced."""
        rhythms, notes = self.bars[style]
        wanted = _grouped(hear(piece.score).content)
        best = (wanted @ rhythms.T).argmax(axis=1)
        parts = [(notes[b], i) for i, b in enumerate(best) if wanted[i].any()]
        columns = [np.concatenate([n[name] for n, _ in parts]).astype(np.int64) for name in notes[0].dtype.names]
        column = dict(zip(notes[0].dtype.names, columns, strict=True))
        onset = column["onset_tick"] + np.repeat([i * _BAR for _, i in parts], [len(n) for n, _ in parts])
        played = make_notes(onset, column["duration_tick"], column["pitch"], column["velocity"])
        return replace(piece, score=piece.score.with_track(0, piece.score.tracks[0].with_notes(played)), style=style)


def _grouped(content: np.ndarray) -> np.ndarray:
    """Unit vectors of hits in three groups, (bars, 48), as `rhythm_similarity` compares them."""
    groups = np.eye(3)[[0, 1, 2, 2, 1, 1, 1, 2, 2]]
    flat = (content.astype(float) @ groups).reshape(len(content), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def evaluate(
    pieces: list[DrumPiece],
    model: Model,
    per_style: int = 12,
    targets: Sequence[str] = STYLES,
    kinds: Sequence[str] = KINDS,
    **settings: object,
) -> dict[str, dict]:
    """Points by target style: for each kind [(content, drums cosine, velocity cosine)], with means and intervals.

    Sources are up to `per_style` validation recordings of each style. `copy` takes a validation recording of the
    target style where there is one, else a training recording.
    """
    rng = np.random.default_rng(0)
    train = [shorten(p) for p in pieces if not p.is_validation and p.in_four]
    sources = _sources(pieces, per_style, rng)
    learned = {p.name: hear(p.score) for p in train}
    heard = [hear(p.score) for p in sources]
    template = Template([p for p in pieces if not p.is_validation and p.in_four]) if "template" in kinds else None
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for style in targets:
        own = [learned[p.name].counts for p in train if p.style == style]
        target = [np.mean([c[k] / max(c[k].sum(), 1) for c in own], axis=0) for k in range(2)]
        pool = [h for h, p in zip(heard, sources, strict=True) if p.style == style]
        pool = pool or [learned[p.name] for p in train if p.style == style]
        for index, (piece, source) in enumerate(zip(sources, heard, strict=True)):
            if piece.style == style:
                continue
            other = {"copy": pool[int(rng.integers(len(pool)))], "random": heard[int(rng.integers(len(heard)))]}
            for kind in kinds:
                if kind == "transfer":
                    there = hear(transferred(piece, model, style, index, **settings).score)
                elif kind == "template":
                    there = hear(template.transferred(piece, style).score)
                else:
                    there = other.get(kind, source)
                fits = [cosine(c, t) for c, t in zip(there.counts, target, strict=True)]
                content = rhythm_similarity(source.content, there.content)
                rows.setdefault((style, kind), []).append([content, *fits])
    return {style: _summary({k: np.array(rows[style, k]) for k in kinds}) for style in targets}


def _sources(pieces: Sequence[DrumPiece], per_style: int, rng: np.random.Generator) -> list[DrumPiece]:
    chosen: list[DrumPiece] = []
    for style in STYLES:
        own = [p for p in pieces if p.style == style and p.is_validation and p.in_four]
        chosen += [own[i] for i in sorted(rng.permutation(len(own))[:per_style])]
    return [shorten(p) for p in chosen]


def _summary(rows: dict[str, np.ndarray]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for kind, array in rows.items():
        fit = array[:, 1:].mean(axis=1)
        entry[kind] = {
            "content": round(float(array[:, 0].mean()), 3),
            "content_interval": [round(v, 3) for v in interval_of_mean(array[:, 0])],
            "fit": round(float(fit.mean()), 3),
            "fit_interval": [round(v, 3) for v in interval_of_mean(fit)],
            "drums": round(float(array[:, 1].mean()), 3),
            "velocity": round(float(array[:, 2].mean()), 3),
        }
    entry["pieces"] = len(rows["transfer"])
    point = {kind: (entry[kind]["content"], entry[kind]["fit"]) for kind in rows}
    entry["dominated_by"] = [k for k in rows if k != "transfer" and dominates(point[k], point["transfer"])]
    if "template" in rows:
        gain = (rows["transfer"][:, 1:] - rows["template"][:, 1:]).mean(axis=1)
        entry["fit_over_template"] = [round(float(gain.mean()), 3), *(round(v, 3) for v in interval_of_mean(gain))]
        lost = rows["transfer"][:, 0] - rows["template"][:, 0]
        entry["content_over_template"] = [round(float(lost.mean()), 3), *(round(v, 3) for v in interval_of_mean(lost))]
    return entry


def strength(
    pieces: list[DrumPiece], model: Model, styles: Sequence[str], per_style: int = 12, **settings: object
) -> dict[str, Any]:
    """S of Brunner et al. (2018) among `styles`, by a classifier of them that is trained on training recordings,
    with its accuracy on the validation recordings; 95 % interval over pieces.
    """
    train = [shorten(p) for p in pieces if not p.is_validation and p.in_four and p.style in styles]
    sources = [p for p in _sources(pieces, per_style, np.random.default_rng(0)) if p.style in styles]
    known = np.stack([hear(p.score).profile for p in train])
    classifier = Classifier(known, np.array([styles.index(p.style) for p in train]), len(styles))
    truth = np.array([styles.index(p.style) for p in sources])
    own = classifier.probabilities(np.stack([hear(p.score).profile for p in sources]))
    values: dict[tuple[str, str], list[float]] = {}
    taken: dict[tuple[str, str], list[float]] = {}
    for index, piece in enumerate(sources):
        for style in styles:
            if style == piece.style:
                continue
            there = transferred(piece, model, style, index, **settings)
            back = transferred(there, model, piece.style, index + 1000, **settings)
            p = classifier.probabilities(np.stack([hear(x.score).profile for x in (there, back)]))
            source = truth[index]
            value = transfer_strength(own[index, source], p[0, source], p[1, source])
            values.setdefault((piece.style, style), []).append(float(value))
            taken.setdefault((piece.style, style), []).append(float(p[0].argmax() == styles.index(style)))
    flat = np.concatenate([np.array(v) for v in values.values()])
    balanced = [float((own[truth == s].argmax(axis=1) == s).mean()) for s in np.unique(truth)]
    return {
        "styles": list(styles),
        "training_recordings": len(train),
        "classifier_accuracy": round(float((own.argmax(axis=1) == truth).mean()), 3),
        "classifier_accuracy_by_style": [round(v, 3) for v in balanced],
        "S": round(float(flat.mean()), 3),
        "S_interval": [round(v, 3) for v in interval_of_mean(flat)],
        "S_by_pair": {f"{a} to {b}": round(float(np.mean(values[a, b])), 3) for a, b in permutations(styles, 2) if (a, b) in values},
        "taken_for_target": {f"{a} to {b}": round(float(np.mean(v)), 3) for (a, b), v in taken.items()},
    }
