"""A tune as the training data hold it: one voice in key and meter, on a grid of twelfths of a quarter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from segue.chords import parse_chord
from segue.ingest.key import KEY_PROFILES


@dataclass(frozen=True)
class Tune:
    """One monophonic melody.

    `onset` and `duration` are int64 in twelfths of a quarter, shape (notes,), `pitch` MIDI numbers. Time
    zero is the start of a bar, of the first full one where the melody begins at once: a pickup has negative
    onsets. `bar` is the length of a bar.
    """

    name: str
    corpus: str
    #: folk (tunebooks), pop (POP909), song (OpenEWLD), jazz (Weimar solos) or lied (OpenScore Lieder).
    style: str
    meter: tuple[int, int]
    tonic: int
    mode: str
    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    #: Indices of notes that end a section; the last one does, unless the tune was cut there.
    section_end: tuple[int, ...] = ()
    #: Where each chord begins (it holds to the next) and its symbol, in the key of the notes; () where the
    #: source has none.
    chords: tuple[tuple[int, str], ...] = ()

    @property
    def bar(self) -> int:
        """Length of a bar in twelfths of a quarter."""
        return 48 * self.meter[0] // self.meter[1]


def chord_changes(chords: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Chords for a `Tune` from places and labels in order: known ones, where they change, in one spelling.

    Of several in one place the last counts. A label is cut from its end until it can be read.
    """
    found: dict[int, str] = {}
    for place, label in chords:
        chord = None
        while label and chord is None:
            chord, label = parse_chord(label), label[:-1]
        if chord is not None:
            found[place] = chord.symbol()
    kept: list[tuple[int, str]] = []
    for place, label in sorted(found.items()):
        if not kept or kept[-1][1] != label:
            kept.append((place, label))
    return tuple(kept)


def nearest_key(profile: np.ndarray, keys: Iterable[int] = range(24)) -> tuple[int, str]:
    """Tonic and mode of the key whose profile is nearest to sounding times by pitch class, shape (12,).

    `keys` limits the choice: 0..11 major, 12..23 minor. The profiles are those of `segue.ingest.key`.
    """
    keys = list(keys)
    distance = np.linalg.norm(KEY_PROFILES[keys] - profile / max(profile.sum(), 1e-9), axis=1)
    best = keys[int(distance.argmin())]
    return best % 12, "major" if best < 12 else "minor"


def without_long_silence(tune: Tune) -> Tune:
    """The tune with each silence of more than two bars cut by whole bars to one to two bars.

    Interludes of a piano and choruses of other soloists say nothing about the melody. What chords stood in
    the bars that go, goes too; a note before the cut keeps its chord.
    """
    bar = tune.bar
    stop = tune.onset + tune.duration
    silence = tune.onset[1:] - stop[:-1]
    cut = np.where(silence > 2 * bar, silence // bar - 1, 0) * bar
    if not cut.any():
        return tune
    onset = tune.onset - np.concatenate([[0], np.cumsum(cut)])
    gone = [(int(tune.onset[i + 1] - cut[i]), int(tune.onset[i + 1])) for i in np.flatnonzero(cut)]
    chords = []
    for place, label in tune.chords:
        before = sum(min(max(place - start, 0), end - start) for start, end in gone)
        chords.append((place - before, label))
    return replace(tune, onset=onset, chords=chord_changes(chords))
