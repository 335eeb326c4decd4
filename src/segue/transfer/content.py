"""The harmony of a unit (a quarter, see `grid`): what sounds there, what should, and what makes it clear.

A *clear* unit is one in which the triad that is meant is nearer to what sounds, melody included, than any
other of the 24 major and minor triads. So the chord's root and third count most, and a pattern is clear under
one melody and not under another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segue.chords import TRIAD_MASKS, Chord, nearest_majmin_class, pitch_class_mask
from segue.score import TICKS_PER_QUARTER
from segue.transfer.grid import PITCHED_STEPS, PITCHED_TICKS, Grid
from segue.transfer.slots import DEGREES, Key, intervals_of

_TRIADS = TRIAD_MASKS / np.sqrt(3)
#: Nats by which a pattern is favoured for each unit of clearness, and the clearness below which nothing more
#: is lost, and above which nothing more is gained: a chord that is clear leaves room for passing notes.
#: Tuned on validation pieces.
_NATS, _UNCLEAR, _ENOUGH = 8.0, -0.4, 0.2


def unit_chroma(
    part: np.ndarray, onset: np.ndarray, end: np.ndarray, pitch: np.ndarray, ticks: np.ndarray, parts: int
) -> np.ndarray:
    """Ticks that each pitch class sounds in each unit, (parts, units, 12); the units' edges are `ticks`.

    `part` is the number of the part that each note (onset and end tick, pitch) belongs to.
    """
    units = len(ticks) - 1
    out = np.zeros(parts * units * 12)
    unit = np.clip(np.searchsorted(ticks, onset, "right") - 1, 0, units - 1)
    while len(unit):
        sounds = np.minimum(end, ticks[unit + 1]) - np.maximum(onset, ticks[unit])
        index = (part * units + unit) * 12 + pitch % 12
        out += np.bincount(index, np.maximum(sounds, 0), minlength=len(out))
        more = (unit + 1 < units) & (end > ticks[unit + 1])
        part, onset, end, pitch, unit = (a[more] for a in (part, onset, end, pitch, unit))
        unit = unit + 1
    return out.reshape(parts, units, 12)


def notes_chroma(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """Ticks that each pitch class of a NOTE array sounds in each unit, (units, 12)."""
    onset = notes["onset_tick"].astype(np.int64)
    part, pitch = np.zeros(len(notes), np.int64), notes["pitch"].astype(np.int64)
    return unit_chroma(part, onset, onset + notes["duration_tick"], pitch, grid.unit_tick, 1)[0]


def content_of(grid: Grid, step_chord: np.ndarray, chords: Sequence[Chord], source: np.ndarray) -> np.ndarray:
    """The pitch classes that should sound in each unit, (units, 12): those of the chord, and as much again
    those of the source's notes (a NOTE array, may be empty).
    """
    chroma = np.stack([*map(pitch_class_mask, chords), np.zeros(12)])
    out = np.zeros((grid.units, 12))
    np.add.at(out, grid.step_unit, chroma[step_chord])
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    own = notes_chroma(source, grid)
    return out + own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)


def clearness(sounding: np.ndarray, triad: int) -> np.ndarray:
    """How much nearer what sounds (..., 12) is to the triad of that class (see `segue.chords`) than to the
    nearest other one, by cosine: (...), -1..1; 0 where nothing sounds.
    """
    size = np.linalg.norm(sounding, axis=-1, keepdims=True)
    near = sounding @ _TRIADS.T / np.maximum(size, 1e-9)
    meant = near[..., triad].copy()
    near[..., triad] = -1
    return np.where(size[..., 0] > 0, meant - near.max(axis=-1), 0)


def clarity_tilt(
    patterns: np.ndarray,
    unit_chord: np.ndarray,
    chords: Sequence[Chord],
    keys: Sequence[Key],
    melody: np.ndarray,
) -> np.ndarray:
    """Nats by which each pattern of a hand is favoured for making its chord clear, float (units, patterns).

    `patterns` bool (patterns, steps * slots), each onset taken to sound to the end of its unit; `unit_chord`
    (units,) the index of each unit's chord, -1 for none; `melody` (units, 12) the ticks that its pitch
    classes sound. Silence is neither clear nor unclear.
    """
    held = TICKS_PER_QUARTER - PITCHED_TICKS
    struck = patterns.reshape(len(patterns), PITCHED_STEPS, -1, DEGREES).sum(axis=2)
    degrees = np.einsum("psd,s->pd", struck.astype(np.float64), held)
    silent = ~patterns.any(axis=1)
    out = np.zeros((len(unit_chord), len(patterns)))
    for index in np.unique(unit_chord).tolist():
        if index < 0 or not chords[index].is_chord:
            continue
        chord = chords[index]
        classes = (chord.root + np.array(intervals_of(chord, *keys[index]))) % 12
        chroma = np.zeros((len(patterns), 12))
        np.add.at(chroma, (slice(None), classes), degrees)
        units = np.flatnonzero(unit_chord == index)
        lines, place = np.unique(melody[units], axis=0, return_inverse=True)
        clear = clearness(chroma + lines[:, None], nearest_majmin_class(chord))
        out[units] = clear[place.ravel()]
    out[:, silent] = 0
    return _NATS * np.clip(out, _UNCLEAR, _ENOUGH)
