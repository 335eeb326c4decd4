"""What favours one pattern of drums before another: the style, the source and the controls, in nats.

The network says what a drummer of the style is likely to play next. What is added to its logits here moves
that towards what is telling of the style, towards what the source plays, and towards what the controls want.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segue.metrics.style import DRUM_GROUPS, VELOCITY_BINS
from segue.transfer.grid import UNIT_STEPS, Grid
from segue.transfer.kit import BEAT_STEPS, CLASSES, DRUM_BINS, SNARE, on_beats, sixteenths

#: Shares of hits this small everywhere tell nothing of a style (places by drum; places by velocity), and the
#: most nats that one hit tells.
_RARE, _RARE_LOUDNESS, _MOST_TELLING = 3e-4, 1e-3, 1.5
#: Cost of a hit that the reading by sixteenths loses, as a flam or a roll has them; one that answers no hit
#: of the source costs one half.
_LOST = 0.3
#: Nats a standard deviation over the patterns at either end of a control.
_CONTROL = 1.5


def hits_of(codebook: np.ndarray) -> np.ndarray:
    """Patterns bool (patterns, GRID_BITS) as hits 0 or 1, float64 (patterns, 12, classes)."""
    return codebook.reshape(-1, BEAT_STEPS, len(CLASSES)).astype(np.float64)


def struck_once(codebook: np.ndarray) -> np.ndarray:
    """The patterns with a drum that is struck on the beat and a twelfth later struck once, (patterns,
    GRID_BITS): for counts that read both as on the beat.
    """
    hits = hits_of(codebook)
    hits[:, 1] *= 1 - hits[:, 0]
    return hits.reshape(len(hits), -1)


def read_patterns(codebook: np.ndarray, swung: bool) -> tuple[np.ndarray, np.ndarray]:
    """How patterns sound by sixteenths: hits in the three groups, float64 (patterns, 5, 3), the last row
    being what belongs to the next beat; and how many hits that leaves out, (patterns,).
    """
    hits = hits_of(codebook)
    apart = np.stack([hits, np.zeros_like(hits)], axis=1).reshape(-1, *hits.shape[1:])
    read = sixteenths(apart, swung).reshape(len(hits), 2 * UNIT_STEPS, -1)[:, : UNIT_STEPS + 1]
    return read @ DRUM_GROUPS, hits.sum(axis=(1, 2)) - read.sum(axis=(1, 2))


def agreement(source: np.ndarray, codebook: np.ndarray, grid: Grid, swung: bool) -> np.ndarray:
    """How much each pattern at each unit adds to the cosine between the source's bar and the new one, where
    the two are alike so far and as full: float64 (units, patterns), rounded.

    `source` (units, 4, 3): hits by sixteenth in the three groups. With a for the source's unit, b for the
    pattern and A for the bar, the change of the cosine is (ab - bb / 2) / AA to the first order.
    """
    read, lost = read_patterns(codebook, swung)
    bar = np.bincount(grid.unit_bar, np.square(source).sum(axis=(1, 2)), minlength=grid.bars)
    onward = np.concatenate([source[1:, :1], np.zeros_like(source[:1, :1])])
    heard = np.concatenate([source, onward], axis=1).reshape(len(source), -1)
    flat = read.reshape(len(read), -1)
    gain = heard @ flat.T - 0.5 * np.square(flat).sum(axis=1) - _LOST * lost
    return np.round(gain / np.maximum(bar[grid.unit_bar], 1)[:, None], 4)


def telling(profile: np.ndarray, known: Sequence[np.ndarray], codebook: np.ndarray) -> np.ndarray:
    """How telling each pattern is of the style on each beat of a bar of four, (4, patterns): the sum over its
    hits of the log ratio of how often the style and how often all `known` styles strike this drum there.
    """
    shares = [on_beats(np.square(p[:DRUM_BINS].astype(np.float64))) for p in (profile, *known)]
    ratio = _log_ratio(shares[0], np.mean(shares[1:], axis=0), _RARE)
    return np.round(by_beat(ratio) @ struck_once(codebook).T, 4)


def by_beat(places: np.ndarray) -> np.ndarray:
    """Values of place by drum (DRUM_BINS,), in which a twelfth beside the beat has none of its own, as values
    of the steps of each beat's patterns, (4, GRID_BITS): such a step has that of its beat.
    """
    steps = places.reshape(4, BEAT_STEPS, len(CLASSES)).copy()
    steps[:, 1], steps[:, -1] = steps[:, 0], np.roll(steps[:, 0], -1, axis=0)
    return steps.reshape(4, -1)


def telling_loudness(profile: np.ndarray, known: Sequence[np.ndarray]) -> np.ndarray:
    """How telling each loudness is of the style at each place, (24, 8): the log ratio of its share of all
    hits in the style and in all `known` styles.
    """
    shares = [np.square(p[DRUM_BINS:].astype(np.float64)) for p in (profile, *known)]
    ratio = _log_ratio(shares[0], np.mean(shares[1:], axis=0), _RARE_LOUDNESS)
    return np.round(ratio, 4).reshape(-1, VELOCITY_BINS)


def _log_ratio(here: np.ndarray, anywhere: np.ndarray, rare: float) -> np.ndarray:
    return np.clip(np.log((here + rare) / (anywhere + rare)), -_MOST_TELLING, _MOST_TELLING)


def controls(codebook: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """What the controls (-1..1) add to the logit of each pattern, (patterns,): nats by standard deviations of
    hits, of hits finer than eighths and of different drums, and of kicks and snares off the beat less those
    on it. The latter two are counted beside the number of hits, so that they do not merely add notes.
    """
    hits = hits_of(codebook)
    count = hits.sum(axis=(1, 2))
    fine = np.delete(hits, [0, 6, 8], axis=1).sum(axis=(1, 2)) + hits.any(axis=1).sum(axis=1)
    strong = hits[:, :, : SNARE + 1].sum(axis=2)
    off = strong[:, 2:11].sum(axis=1) - strong[:, :2].sum(axis=1)
    slope = [float(np.cov(count, part)[0, 1] / count.var(ddof=1)) for part in (fine, off)]
    rows = [count, fine - slope[0] * count, off - slope[1] * count]
    wanted = [settings[name] for name in ("density", "complexity", "syncopation")]
    return _CONTROL * sum(w * (r - r.mean()) / r.std() for w, r in zip(wanted, rows, strict=True))
