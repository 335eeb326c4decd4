"""How both transfer models are measured: validation pieces to every style, beside what needs no model.

Targets, templates and classifiers are learned from training pieces alone; sources, copies and random pieces
are validation pieces, so no classifier ever learned from a source. A style without validation pieces is a
target only, and its copies are training pieces.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from segue.metrics.bootstrap import DRAWS, interval_of_mean, interval_of_ratio
from segue.metrics.style import cosine, transfer_strength
from segue.transfer.plane import Plane, by_target
from training.transfer.points import Classifier, profile

Histograms = tuple[np.ndarray, ...]
#: Changes of density and opinion of a transfer to the own style that are let pass, as a share.
_SELF_CHANGE = 0.2


@dataclass(frozen=True)
class Music:
    """What the measurement has to know of a kind of pieces (anything with a `style`).

    `histograms` of a piece are one a name in `measures`: the first two are the classifier's, the mean of
    those in `headline` is the fit. `content` is what `similarity` compares, source first; `prints` (bars,)
    number what begins in each bar; `density` is notes a beat. `transfer` and `template` give a piece in a
    style: (piece, style, seed). `pairs` are the styles whose transfers one into the other are judged by a
    classifier of these two. `excerpt` is as much of a training piece as is played of a validation piece:
    targets and classifiers learn from that, for long pieces have fuller histograms than short ones.
    """

    styles: Sequence[str]
    measures: tuple[str, ...]
    headline: tuple[str, ...]
    pairs: Sequence[tuple[str, str]]
    histograms: Callable[[Any], Histograms]
    content: Callable[[Any], np.ndarray]
    similarity: Callable[[np.ndarray, np.ndarray], float]
    prints: Callable[[Any], np.ndarray]
    density: Callable[[Any], float]
    bars: Callable[[Any], int]
    transfer: Callable[[Any, str, int], Any]
    template: Callable[[Any, str, int], Any]
    excerpt: Callable[[Any], Any] = lambda piece: piece


@dataclass(frozen=True)
class Transferred:
    """A source by its number, its transfer to the style `target`, and that transferred back, with the
    seconds of process time of the first (`there`). `back` is None for a transfer to the own style.
    """

    source: int
    target: str
    there: Any
    back: Any | None
    seconds: float


def sample(pieces: Sequence[Any], styles: Sequence[str], per_style: int, rng: np.random.Generator) -> list:
    """Up to `per_style` pieces of each style, drawn without replacement, in the order of `styles`."""
    chosen: list = []
    for style in styles:
        own = [p for p in pieces if p.style == style]
        chosen += [own[i] for i in sorted(rng.permutation(len(own))[:per_style])]
    return chosen


def transfer_all(sources: Sequence[Any], music: Music) -> list[Transferred]:
    """Every source to every style, its own too."""
    made = []
    for index, piece in enumerate(sources):
        for style in music.styles:
            begin = time.process_time()
            there = music.transfer(piece, style, index)
            seconds = time.process_time() - begin
            own = style == piece.style
            back = None if own else music.transfer(there, piece.style, index + 1000)
            made.append(Transferred(index, style, there, back, seconds))
    return made


class Measurement:
    """Transfers of validation pieces and what they are held against.

    `train` are training pieces, `held` all validation pieces, `sources` some of these that are transferred.
    """

    def __init__(
        self, train: Sequence[Any], held: Sequence[Any], sources: Sequence[Any], music: Music
    ) -> None:
        self.music, self.held, self.sources = music, held, sources
        self.learned = [(p.style, music.histograms(music.excerpt(p))) for p in train]
        self.train = train
        self.made = transfer_all(sources, music)
        self.known = [music.histograms(p) for p in sources]

    @cached_property
    def targets(self) -> dict[str, list[np.ndarray]]:
        """By style the mean of the normalised histograms of its training pieces."""
        return {
            style: [
                np.mean([h[k] / max(h[k].sum(), 1) for s, h in self.learned if s == style], axis=0)
                for k in range(len(self.music.measures))
            ]
            for style in self.music.styles
        }

    def classifier(self, styles: Sequence[str]) -> tuple[Classifier, float]:
        """A classifier of these styles, and its accuracy on all validation pieces of them."""
        rows = [(styles.index(s), h) for s, h in self.learned if s in styles]
        made = Classifier(
            np.stack([profile(*h[:2]) for _, h in rows]), np.array([s for s, _ in rows]), len(styles)
        )
        held = [p for p in self.held if p.style in styles]
        shares = made.probabilities(np.stack([profile(*self.music.histograms(p)[:2]) for p in held]))
        right = shares.argmax(axis=1) == [styles.index(p.style) for p in held]
        return made, round(float(right.mean()), 3)

    def _opinions(self, classifier: Classifier, pieces: Sequence[Any]) -> np.ndarray:
        return classifier.probabilities(np.stack([profile(*self.music.histograms(p)[:2]) for p in pieces]))

    def plane(self, seed: int = 0) -> Plane:
        """The points of all transfers to other styles."""
        music, rng = self.music, np.random.default_rng(seed)
        content = [music.content(p) for p in self.sources]
        known = list(zip(content, self.known, strict=True))
        of_style = {s: self._copies(s, known) for s in music.styles}
        plane = Plane(music.measures, music.headline)
        for made in self.made:
            index, style, source = made.source, made.target, self.sources[made.source].style
            if style == source:
                continue
            wanted = self.targets[style]

            def add(
                kind: str, similarity: float, own: Histograms, at: Any = made, wanted: Any = wanted
            ) -> None:
                fits = [cosine(a, b) for a, b in zip(own, wanted, strict=True)]
                plane.add(self.sources[at.source].style, at.target, kind, at.source, similarity, fits)

            def like(other: np.ndarray, index: int = index) -> float:
                return music.similarity(content[index], other)

            add("transfer", like(music.content(made.there)), music.histograms(made.there))
            template = music.template(self.sources[index], style, index)
            add("template", like(music.content(template)), music.histograms(template))
            add("identity", 1.0, self.known[index])
            for kind, pool in (("copy", of_style[style]), ("random", known)):
                other, counts = pool[int(rng.integers(len(pool)))]
                add(kind, like(other), counts)
        return plane

    def _copies(self, style: str, known: Sequence[tuple[np.ndarray, Histograms]]) -> Sequence[Any]:
        """Content and histograms of the sources of a style, or of its training pieces where there is none."""
        own = [k for k, p in zip(known, self.sources, strict=True) if p.style == style]
        learned = (p for p in self.train if p.style == style)
        return own or [(self.music.content(p), self.music.histograms(p)) for p in learned]

    def all_styles(self) -> dict[str, Any]:
        """What a classifier of all styles says: its accuracy, S over all pairs, and how often it takes the
        transfer for the target.
        """
        styles = list(self.music.styles)
        classifier, accuracy = self.classifier(styles)
        before = self._opinions(classifier, self.sources)
        strengths, pieces = [], []
        taken: dict[str, list[bool]] = {style: [] for style in styles}
        for made in (m for m in self.made if m.back is not None):
            own = styles.index(self.sources[made.source].style)
            p = self._opinions(classifier, [made.there, made.back])
            strengths.append(transfer_strength(before[made.source, own], p[0, own], p[1, own]))
            pieces.append(made.source)
            taken[made.target].append(bool(p[0].argmax() == styles.index(made.target)))
        piece = np.unique(pieces, return_inverse=True)[1]
        return {
            "classifier_accuracy": accuracy,
            "strength_S": round(float(np.mean(strengths)), 3),
            "strength_interval": [round(v, 3) for v in interval_of_mean(np.array(strengths), piece)],
            "taken_for_target": {style: round(float(np.mean(v)), 3) for style, v in taken.items() if v},
        }

    def pair(self, first: str, second: str) -> dict[str, Any]:
        """S between two styles in percent, each way and their mean, by a classifier of these two."""
        styles = [first, second]
        classifier, accuracy = self.classifier(styles)
        out: dict[str, Any] = {"classifier_accuracy": accuracy}
        drawn, rng = [], np.random.default_rng(0)
        for source, target in ((first, second), (second, first)):
            own = styles.index(source)
            made = [m for m in self.made if m.target == target and self.sources[m.source].style == source]
            p = [
                self._opinions(classifier, pieces)[:, own]
                for pieces in (
                    [self.sources[m.source] for m in made],
                    [m.there for m in made],
                    [m.back for m in made],
                )
            ]
            values = np.array([100 * transfer_strength(*row) for row in zip(*p, strict=True)])
            drawn.append(values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1))
            out[f"{source} to {target}"] = {
                "pieces": len(values),
                "S": round(float(values.mean()), 1),
                "interval": [round(v, 1) for v in interval_of_mean(values)],
                "P": [round(float(part.mean()), 3) for part in p],
            }
        out["S"] = round(float(np.mean([out[f"{a} to {b}"]["S"] for a, b in (styles, styles[::-1])])), 1)
        low, high = np.percentile(np.mean(drawn, axis=0), (2.5, 97.5))
        out["interval"] = [round(float(low), 1), round(float(high), 1)]
        return out

    def copies(self) -> dict[str, Any]:
        """By style, the share of bars with notes that some training piece has note for note: of what is
        written in the style, and of validation pieces of the style itself.
        """
        prints = self.music.prints
        stock = np.unique(np.concatenate([prints(p) for p in self.train]))
        out = {}
        for style in self.music.styles:
            written = [prints(m.there) for m in self.made if m.target == style]
            own = [prints(p) for p in self.held if p.style == style]
            entry: dict[str, Any] = {}
            for name, pieces in (("written", written), ("held out", own)):
                filled = [p[p > 0] for p in pieces]
                filled = [p for p in filled if len(p)]
                if not filled:
                    continue
                copied = np.array([np.isin(p, stock).sum() for p in filled])
                count = np.array([len(p) for p in filled])
                entry[name] = round(float(copied.sum() / count.sum()), 4)
                entry[f"{name} interval"] = [round(v, 4) for v in interval_of_ratio(copied, count)]
            out[style] = entry
        return out

    def selves(self) -> dict[str, Any]:
        """By style, pieces of it transferred to it: the classifier's probability of the style before and
        after, the density before and after, and the shares of pieces in which each changes by 20 % at most.
        """
        styles = list(self.music.styles)
        classifier, _ = self.classifier(styles)
        out = {}
        for number, style in enumerate(styles):
            made = [m for m in self.made if m.target == style and self.sources[m.source].style == style]
            if not made:
                continue
            both = [[self.sources[m.source] for m in made], [m.there for m in made]]
            p = [self._opinions(classifier, pieces) for pieces in both]
            density = [np.array([self.music.density(x) for x in pieces]) for pieces in both]
            before, after = p[0][:, number], p[1][:, number]
            change = density[1] / density[0] - 1
            out[style] = {
                "pieces": len(made),
                "probability": [round(float(x.mean()), 3) for x in (before, after)],
                "probability_change": round(float(after.mean() / before.mean() - 1), 3),
                "opinion_kept": round(float((p[0].argmax(1) == p[1].argmax(1)).mean()), 3),
                "notes_a_beat": [round(float(x.mean()), 3) for x in density],
                "density_change": round(float(density[1].mean() / density[0].mean() - 1), 3),
                "density_change_interval": [
                    round(v - 1, 3) for v in interval_of_ratio(density[1], density[0])
                ],
                "density_within": round(float((np.abs(change) <= _SELF_CHANGE).mean()), 3),
            }
        return out

    def cost(self) -> dict[str, float]:
        """Process milliseconds for four bars, over all transfers of the sources: mean, median and largest."""
        bars = np.array([self.music.bars(self.sources[m.source]) for m in self.made])
        seconds = np.array([m.seconds for m in self.made])
        each = 4e3 * seconds / bars
        return {
            "mean": round(float(4e3 * seconds.sum() / bars.sum()), 2),
            "median": round(float(np.median(each)), 2),
            "largest": round(float(each.max()), 2),
        }

    def headlines(self) -> tuple[dict[str, dict], dict[str, Any]]:
        """Points by target style (see `Plane.summary`), and the figures of the classifier of all styles."""
        return self.plane().summary(by_target), self.all_styles()
