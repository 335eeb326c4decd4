"""Windows for training: songs cut at random, heard with and without their tracks, in uncertain keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.harmonize.encoding import (
    FEATURES,
    PLACE,
    WINDOW,
    join_columns,
    rotate_features,
    scale_of,
)
from training.harmony.data import IGNORE, Song

#: What is heard of a song by its corpus (melody, tracks) and how often. The accompaniment of a lead sheet and
#: of a solo is made of its chord symbols.
_SHEET = ((True, None, 0.7), (True, "block", 0.15), (True, "upper", 0.1), (False, "block", 0.05))
_VOICES = ((True, None, 0.55), (True, "both", 0.25), (True, "bass", 0.1), (False, "both", 0.1))
_HEARD = {
    "pop909": (
        (True, None, 0.55),
        (True, "both", 0.20),
        (True, "piano", 0.07),
        (True, "bridge", 0.06),
        (False, "both", 0.08),
        (False, "piano", 0.04),
    ),
    "openewld": _SHEET,
    "weimar-jazz": _SHEET,
    "openhymnal": _VOICES,
    "jsb-chorales": _VOICES,
}
#: Share of a corpus in a pass, by its length; a solo says little about the chords under it.
_SHARE = {"weimar-jazz": 0.35}
MELODY_ALONE = (True, None)
ALL_TRACKS = (True, "both")

#: How often a window is heard in another scale than the best one, and those scales, the likeliest first.
_OTHER_SCALE = 0.3
_SCALES = np.array([7, 5, 2, 10, 9, 3, 4, 8, 1, 11, 6])
#: How often a song is cut short, and the fewest beats that are left.
_CUT, _SHORTEST = 0.25, 32
#: How often the place in the bar is unknown, and known only as strong and weak beats.
_NO_PLACE, _COARSE_PLACE = 0.15, 0.15


def song_features(song: Song, melody: bool, tracks: str | None) -> np.ndarray:
    """Features (beats, FEATURES) of a song as it is heard; tracks that it lacks are silent."""
    others = song.accompaniment.get(tracks) if tracks else None
    return join_columns(song.melody if melody else None, others, song.place)


def rotate_labels(labels: np.ndarray, down: int) -> np.ndarray:
    """Classes of chords or keys with roots moved `down` semitones down; no chord and IGNORE stay."""
    moved = labels // 12 * 12 + (labels % 12 - down) % 12
    return np.where((labels >= 0) & (labels < 24), moved, labels)


def epoch(
    songs: list[Song], size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Batches of one pass: features (size, WINDOW, FEATURES) and labels (size, WINDOW) by output name."""
    reach = np.cumsum([_SHARE.get(song.corpus, 1) * len(song) / WINDOW for song in songs])
    # Systematic sampling: a song that is a part of a window long is taken with as great a chance.
    order = np.searchsorted(reach, np.arange(int(reach[-1]) - 1) + rng.random())
    order = rng.permutation(order)
    for first in range(0, len(order) - size + 1, size):
        features = np.zeros((size, WINDOW, FEATURES), np.float32)
        labels = {n: np.full((size, WINDOW), IGNORE) for n in ("chord", "colour", "key", "change")}
        for row, i in enumerate(order[first : first + size]):
            _fill(songs[i], features[row], {n: v[row] for n, v in labels.items()}, rng)
        yield features, labels


def _fill(song: Song, features: np.ndarray, labels: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """One random window of a song, written in place."""
    ways = _HEARD[song.corpus]
    melody, tracks, _ = ways[rng.choice(len(ways), p=[way[2] for way in ways])]
    heard = song_features(song, melody or tracks not in song.accompaniment, tracks)
    scale = scale_of(heard)
    if rng.random() < _OTHER_SCALE:
        scale = int(scale + _SCALES[min(int(rng.exponential(3)), 10)]) % 12
    length = min(len(song), WINDOW)
    if rng.random() < _CUT:
        length = int(rng.integers(min(_SHORTEST, length), length + 1))
    low = int(rng.integers(0, len(song) - length + 1))
    high = low + length
    inside = slice(0, length)
    features[inside] = rotate_features(heard[low:high], scale)
    place = features[inside, PLACE]
    draw = rng.random()
    if draw < _NO_PLACE:
        place[:] = 0
    elif draw < _NO_PLACE + _COARSE_PLACE:
        place[:, 0] += place[:, 1]
        place[:, 1] = 0
    labels["chord"][inside] = rotate_labels(song.chord, scale)[low:high]
    labels["colour"][inside] = np.where(song.chord < 24, song.colour, IGNORE)[low:high]
    labels["key"][inside] = rotate_labels(song.key, scale)[low:high]
    labels["change"][inside] = chord_changes(song)[low:high]


def chord_changes(song: Song) -> np.ndarray:
    """1 where a beat brings another class than the beat before, else 0; IGNORE at the start, int64."""
    changes = np.full(len(song), IGNORE)
    changes[1:] = song.chord[1:] != song.chord[:-1]
    changes[1:][(song.chord[1:] < 0) | (song.chord[:-1] < 0)] = IGNORE
    return changes


def move_counts(songs: list[Song]) -> np.ndarray:
    """How often chords follow each other, (2, 2, 12): mode, next mode, root up in semitones."""
    counts = np.zeros((2, 2, 12))
    for song in songs:
        a, b = song.chord[:-1], song.chord[1:]
        moved = (a != b) & (a >= 0) & (b >= 0) & (a < 24) & (b < 24)
        a, b = a[moved], b[moved]
        np.add.at(counts, (a // 12, b // 12, (b - a) % 12), 1)
    return counts
