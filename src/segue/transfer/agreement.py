"""Whether a listener hears the chords that were meant."""

from __future__ import annotations

import numpy as np

from segue.chords import NO_CHORD_CLASS, Chord, chords_of_record, majmin_class, nearest_majmin_class
from segue.harmonize import hear_chords, listen
from segue.harmonize.references import Spans
from segue.runtime import Model
from segue.score import Score
from segue.stage import Record


def chord_agreement(score: Score, record: Record, model: Model) -> tuple[int, int]:
    """Beats in which the model `harmony` hears the chord of the record, and beats that count.

    It hears all tracks by the roles of the record, and nothing of the chord symbols. Compared are the 24
    major and minor triads; beats whose chord is neither, or no chord, do not count, and a heard chord counts
    as the nearest of the 24.
    """
    heard = listen(score, record, model)
    starts, chords = chords_of_record(record)
    if heard is None or not chords:
        return 0, 0
    ticks = heard[0].ticks
    meant = np.array([-1 if c is None else majmin_class(c) for c in _by_beat(starts, chords, ticks)])
    symbols = hear_chords(score, record, model)
    at, found = np.array([s.tick for s in symbols], np.int64), [s.chord for s in symbols]
    said = np.array([-1 if c is None else nearest_majmin_class(c) for c in _by_beat(at, found, ticks)])
    counted = (meant >= 0) & (meant != NO_CHORD_CLASS)
    return int((counted & (meant == said)).sum()), int(counted.sum())


def _by_beat(starts: np.ndarray, chords: list[Chord], ticks: np.ndarray) -> list[Chord | None]:
    """What covers most of each beat."""
    if not len(starts):
        return [None] * (len(ticks) - 1)
    stops = np.append(starts[1:], max(int(ticks[-1]), int(starts[-1]) + 1))
    return Spans(starts.astype(float), stops.astype(float), tuple(chords)).at_beats(ticks)
