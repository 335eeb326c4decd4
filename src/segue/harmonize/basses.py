"""The bass of chords, from the notes that are heard below the melody.

Conventions
-----------
- A *slot* is a quarter of a beat; the lowest note of a slot is the one that sounds in its middle, so that a
  bass that rings on a little into the next chord is none of it.
- A *stretch* is a run of beats with one chord within one bar; it has one bass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from segue.beats import Grid
from segue.chords import QUALITIES, Chord
from segue.harmonize.decode import stretches
from segue.harmonize.encoding import expand

_SLOTS = 4
#: The pitch of silence, above all others.
SILENT = 128
#: A tone that is not of the chord is its bass where it is the lowest in this share of at least so many beats.
_FOREIGN_SHARE = 0.75
_FOREIGN_BEATS = 2
#: Bars after a bar with the root below, over the same chord, that tell an alternating bass: in this many of
#: them at least, and in this share of them, the fifth is below.
_ALTERNATIONS = 4
_ALTERNATING = 0.67
_FIFTH = 7


def lowest_by_slot(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """MIDI pitch of the lowest sounding note, int64, shape (beats, slots); SILENT where there is none."""
    beats = np.arange(len(grid) + 1)
    end = notes["onset_tick"].astype(np.int64) + notes["duration_tick"]
    # The slots whose middles lie within the note.
    edges = [np.interp(tick, grid.ticks, beats) * _SLOTS - 0.5 for tick in (notes["onset_tick"], end)]
    first, stop = (np.clip(np.ceil(edge), 0, len(grid) * _SLOTS).astype(np.int64) for edge in edges)
    note, slot = expand(first, stop)
    lowest = np.full(len(grid) * _SLOTS, SILENT, np.int64)
    np.minimum.at(lowest, slot, notes["pitch"][note].astype(np.int64))
    return lowest.reshape(-1, _SLOTS)


def with_basses(
    chords: Sequence[Chord], grid: Grid, accompaniment: np.ndarray, melody: np.ndarray
) -> list[Chord]:
    """The chords of all beats over the bass that `accompaniment` plays below `melody` (NOTE arrays).

    A chord that begins on its root stays in root position, wherever the bass goes then: C - C/G - C is C.
    Else the lowest note that belongs to it is its bass, or a foreign one that is held. Root position also
    where nothing sounds below the melody, and in the bars of an alternating bass that have the fifth below.
    """
    low = lowest_by_slot(accompaniment, grid)
    low = np.where(low < lowest_by_slot(melody, grid), low, SILENT)
    first = stretches(np.array([a != b for a, b in pairwise(chords)], bool), grid)
    spans = list(zip(first.tolist(), np.append(first[1:], len(chords)).tolist(), strict=True))
    above = [_above_root(chords[a], low[a:b]) for a, b in spans]
    _even_out(above, [chords[a] for a, _ in spans])
    found: list[Chord] = []
    for (a, b), bass in zip(spans, above, strict=True):
        chord = chords[a]
        over = replace(chord, bass=(chord.root + bass) % 12) if chord.is_chord else chord
        found += [over] * (b - a)
    return found


def _above_root(chord: Chord, low: np.ndarray) -> int:
    """The bass of a stretch as semitones above the root, from its lowest pitches (beats, slots)."""
    sounding = low[low < SILENT]
    if not chord.is_chord or not len(sounding):
        return 0
    tones = QUALITIES[chord.quality].intervals
    begins = int(low[0].min())
    if begins < SILENT and begins % 12 == chord.root:
        return 0
    bass = int(sounding.min()) % 12
    held = (sounding % 12 == bass).mean() >= _FOREIGN_SHARE and len(low) >= _FOREIGN_BEATS
    above = (bass - chord.root) % 12
    if above in tones or held:
        return above
    own = sounding[np.isin((sounding - chord.root) % 12, tones)]
    return (int(own.min()) - chord.root) % 12 if len(own) else 0


def _even_out(above: list[int], chords: Sequence[Chord]) -> None:
    """Put fifths of an alternating bass back on the root, in place. One entry a stretch.

    A fifth alternates if the root is below the same chord before it, and comes back after it or came back
    before; where the accompaniment makes a habit of it, any fifth after the root does.
    """
    runs: list[list[int]] = []
    for i, chord in enumerate(chords):
        if i and chord.is_chord and chord == chords[i - 1]:
            runs[-1].append(i)
        else:
            runs.append([i])
    after_root = [above[b] for run in runs for a, b in pairwise(run) if above[a] == 0]
    fifths = after_root.count(_FIFTH)
    habit = fifths >= _ALTERNATIONS and fifths >= _ALTERNATING * len(after_root)
    for run in runs:
        basses = [above[i] for i in run]
        for place, i in enumerate(run):
            before = basses[:place]
            if basses[place] != _FIFTH or 0 not in before:
                continue
            if habit or 0 in basses[place + 1 :] or _FIFTH in before[: place - before[::-1].index(0)]:
                above[i] = 0
