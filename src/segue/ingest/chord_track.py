"""Tracks that write a piece's chords as notes: called chords or guide, and block chords throughout."""

from __future__ import annotations

import re

import numpy as np

from segue.chords import QUALITIES, Chord, quality_of
from segue.score import TICKS_PER_QUARTER, Score, Track, beat_starts

_NAMES = re.compile(
    r"\b(chords?|chord ?track|guide|changes|harmony|akkorde?|accords?|acordes?|accordi)\b", re.I
)
#: Notes struck within a sixteenth are one block.
_SPREAD = TICKS_PER_QUARTER // 4
#: Share of the blocks that have to be chords, and that may sound into the next one.
_CHORDS = 0.9
_FEWEST = 2
#: A block this near to a beat, in beats, is on it.
_ON_BEAT = 0.125
#: Of chords with the same tones the first that can be is taken: triads and sevenths before sixths and ninths.
_ORDER = {name: i for i, name in enumerate(QUALITIES)}


def chords_of_tracks(score: Score) -> tuple[list[tuple[int, str]], list[str]]:
    """The chords (tick, label) that a chord track plays, and warnings; both empty where no track is one."""
    for track in score.tracks:
        if not track.is_drum and _NAMES.search(track.name) and len(track.notes):
            found = chords_of_blocks(score, track)
            if found is not None:
                return found
    return [], []


def chords_of_blocks(score: Score, track: Track) -> tuple[list[tuple[int, str]], list[str]] | None:
    """The chords of a track of blocks, one where the chord changes; None where it plays something else."""
    onset = track.notes["onset_tick"].astype(np.int64)
    end = onset + track.notes["duration_tick"]
    pitch = track.notes["pitch"].astype(int)
    blocks = np.split(np.arange(len(onset)), np.flatnonzero(np.diff(onset) > _SPREAD) + 1)
    starts = np.array([onset[block[0]] for block in blocks])
    following = np.append(starts[1:], end.max() + _SPREAD)
    chords = [chord_of_pitches(pitch[block]) for block in blocks]
    held_over = [end[b].max() > stop + _SPREAD for b, stop in zip(blocks, following, strict=True)]
    known = sum(chord is not None for chord in chords)
    if known < max(_FEWEST, _CHORDS * len(blocks)) or sum(held_over) > (1 - _CHORDS) * len(blocks):
        return None
    beats = beat_starts(score)
    symbols: list[tuple[int, str]] = []
    last: Chord | None = None
    for start, chord in zip(starts.tolist(), chords, strict=True):
        if chord is not None and chord != last:
            symbols.append((_on_beat(start, beats), chord.symbol()))
            last = chord
    left = len(blocks) - known
    if not left:
        return symbols, []
    return symbols, [f"{left} blocks of the chord track are no known chords; the chord before goes on there"]


def chord_of_pitches(pitches: np.ndarray) -> Chord | None:
    """The chord with exactly these tones, with the lowest as its bass; None where there is none.

    Where several chords have them (C6 and Am7, suspended, diminished and augmented ones), the one that stands
    on the bass is meant. A bass may also be foreign to the chord above it.
    """
    bass = int(pitches.min()) % 12
    tones = {int(p) % 12 for p in pitches}
    for heard in (tones, tones - {bass}):
        found = [
            Chord(root, name, bass)
            for root in sorted(heard)
            if (name := quality_of([(tone - root) % 12 for tone in sorted(heard)])) is not None
        ]
        if found:
            return min(found, key=lambda chord: (chord.root != bass, _ORDER[chord.quality]))
    return None


def _on_beat(tick: int, beats: np.ndarray) -> int:
    """The beat that a tick is on, or the tick."""
    i = int(np.clip(np.searchsorted(beats, tick, "right") - 1, 0, len(beats) - 2))
    near = int(beats[i] if tick - beats[i] <= beats[i + 1] - tick else beats[i + 1])
    return near if abs(tick - near) <= _ON_BEAT * (beats[i + 1] - beats[i]) else tick
