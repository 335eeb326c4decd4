"""Jazz solos with the chords that the rhythm section plays, as songs: lead sheets whose melody is a solo."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from segue.beats import place_in_bar
from segue.chords import NO_CHORD, chord_index_at, parse_chord
from segue.harmonize.encoding import melody_columns
from segue.score import make_notes
from training.harmony.data import Song, block_chords, chord_labels, melodic_grams, notes_by_beat
from training.melody.tune import Tune
from training.melody.weimar import read_weimar, title

_BEAT = 12


def read_solos(folder: Path) -> list[Song]:
    """The solos of the Weimar Jazz Database that have chords and bars; all over one piece are one group."""
    tunes, _ = read_weimar(folder)
    return [_song(tune) for tune in tunes if tune.chords]


def _song(tune: Tune) -> Song:
    first = min(int(tune.onset[0]), tune.chords[0][0]) // tune.bar * tune.bar
    stop = int((tune.onset + tune.duration).max())
    boundaries = np.arange(0, stop - first + _BEAT, _BEAT)
    notes = make_notes(tune.onset - first, tune.duration, tune.pitch, 80)
    per_bar = tune.bar // _BEAT
    beats = np.arange(len(boundaries) - 1)
    starts = np.array([place - first for place, _ in tune.chords])
    chords = [parse_chord(label) for _, label in tune.chords]
    index = chord_index_at(starts, boundaries[:-1])
    by_beat = [None if i < 0 else chords[i] for i in index]
    return Song(
        name=tune.name,
        group=f"title-{zlib.crc32(title(tune).encode())}",
        place=place_in_bar(beats % per_bar, np.full(len(beats), per_bar)),
        melody=melody_columns(notes, boundaries),
        accompaniment=block_chords([c or NO_CHORD for c in by_beat]),
        **chord_labels([None if c is None else c.harte() for c in by_beat]),
        key=np.full(len(beats), tune.tonic + (12 if tune.mode == "minor" else 0)),
        notes=notes_by_beat(notes, boundaries),
        grams=melodic_grams(notes),
    )
