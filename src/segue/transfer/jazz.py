"""Swing jazz: a band by tables and rules, as there are no recordings of such bands to learn from.

The bass walks by what bass players do (`segue.harmonize.walking`), eighths swing as jazz soloists swing at
the tempo (`segue.humanize.swing`), the piano comps by rule (`comping`); the drums are the drum style `swing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.beats import beat_grid
from segue.chords import Chord
from segue.harmonize.styles import notes_of, pulse_of
from segue.harmonize.voicing import Span
from segue.harmonize.walking import walk
from segue.humanize.swing import JAZZ, swing_moves
from segue.score import TICKS_PER_QUARTER, Score, make_notes, no_notes
from segue.transfer.comping import figures, lead_hands, strikes

#: How much softer than the piece's accompaniment the piano is, louder the bass, and how far velocities vary.
_PIANO_BEHIND, _BASS_AHEAD, _VARIATION = 6, 4, 5


@dataclass(frozen=True)
class Part:
    """What one player plays: name, General MIDI program, role in the record, and a NOTE array."""

    name: str
    program: int
    role: str
    notes: np.ndarray


def play_swing(
    score: Score,
    melody: np.ndarray,
    starts: np.ndarray,
    chords: Sequence[Chord],
    level: float,
    rng: np.random.Generator,
    *,
    density: float = 0.0,
    syncopation: float = 0.0,
    register: float = 0.0,
    intensity: float = 1.0,
) -> list[Part]:
    """Piano and bass for the chords (each from its tick in `starts` to the next), from high to low.

    `melody` is a NOTE array, `level` a mean MIDI velocity. The controls are -1..1: more strikes, more of them
    off the beat, a higher hand; `intensity` 0..1 is how far eighths swing.
    """
    seed = int(rng.integers(2**31))
    end = max(score.last_tick, int(starts[-1]) + TICKS_PER_QUARTER if len(starts) else 0)
    edges = [*np.asarray(starts, np.int64).tolist(), end]
    spans = [
        Span(chord, a, b)
        for chord, a, b in zip(chords, edges[:-1], edges[1:], strict=True)
        if chord.is_chord and b > a
    ]
    if not spans:
        return [Part("Piano", 0, "chords", no_notes()), Part("Bass", 32, "bass", no_notes())]
    pulse = pulse_of(score, beat_grid(score, end))
    bass = notes_of(walk(spans, pulse, seed), int(np.clip(level + _BASS_AHEAD, 30, 110)))
    hands = lead_hands(spans, melody, 62.0 + 5.0 * register)
    counts = pulse.count[pulse.number == 0].tolist()
    struck = strikes(spans, pulse, figures(counts, density, syncopation, rng))
    size = [len(hands[span]) for _, _, span, _ in struck]
    onset, ends, _, off = (np.repeat(np.array(c), size) for c in zip(*struck, strict=True))
    pitch = np.concatenate([hands[span] for _, _, span, _ in struck])
    accent = np.repeat(rng.integers(-_VARIATION, _VARIATION + 1, len(struck)), size)
    loud = np.clip(level - _PIANO_BEHIND + accent + 4 * off, 20, 110).round().astype(np.int64)
    piano = make_notes(onset, np.maximum(ends - onset - 20, 60), pitch, loud)
    return [
        Part("Piano", 0, "chords", swung(score, piano, intensity)),
        Part("Bass", 32, "bass", swung(score, bass, intensity)),
    ]


def swung(score: Score, notes: np.ndarray, intensity: float = 1.0) -> np.ndarray:
    """The notes with their eighths swung as jazz soloists do at the tempo, `intensity` (0..1) of the way."""
    moves, longer = swing_moves(score, notes["onset_tick"], notes["duration_tick"], JAZZ)
    onset = notes["onset_tick"] + np.round(intensity * moves).astype(np.int64)
    duration = np.maximum(notes["duration_tick"] + np.round(intensity * longer).astype(np.int64), 1)
    return make_notes(onset, duration, notes["pitch"], notes["velocity"])
