"""Hymns and chorales: songs whose chords nobody wrote down, derived from their four voices by a rule.

The rule, beat by beat: every pitch class weighs the time that it sounds in the beat, twice that in a voice
that begins or goes on where the beat begins. The chord is the one of twelve roots and `QUALITIES` with the
greatest score: the weight of its tones, less the weight of all others, less `MISSING` of a beat for each tone
that is not there (a fifth that is missing costs nothing), less what `SEVENTH` takes from a chord of four
tones (most where the seventh is as often a passing note), plus `ROOT_BELOW` where its root is the lowest note
at the beginning. A beat in which the chord's tones do not
weigh twice as much as the others is given to the chord before. The lowest note at the beat's beginning is
the bass where it is a tone of the chord.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segue.beats import Grid, beat_grid
from segue.chords import Chord, pitch_class_mask
from segue.harmonize.encoding import accompaniment_columns, chroma_by_beat, melody_columns
from segue.ingest.abc import read_abc
from segue.ingest.key import class_of_key, key_of_signature
from segue.score import TICKS_PER_QUARTER, Meter, Score, Track, make_notes
from training.harmony.data import IGNORE, Song, chord_labels, melodic_grams, notes_by_beat

#: What is looked for, the commoner before the rarer: the first of equals counts.
QUALITIES = ("maj", "min", "7", "dim", "min7", "hdim7", "maj7", "dim7", "aug")
MISSING, ROOT_BELOW = 0.75, 0.5
SEVENTH = {"7": 0.25, "hdim7": 0.25, "dim7": 0.25, "min7": 0.75, "maj7": 1.0}

_CHORDS = [Chord(root, quality) for quality in QUALITIES for root in range(12)]
_MASKS = np.stack([pitch_class_mask(chord) for chord in _CHORDS])
#: Tones that must be there: all but the perfect fifth.
_NEEDED = np.stack(
    [
        mask & (np.arange(12) != ((chord.root + 7) % 12 if mask[(chord.root + 7) % 12] else -1))
        for chord, mask in zip(_CHORDS, _MASKS, strict=True)
    ]
)
_COLOUR_COST = np.array([SEVENTH.get(chord.quality, 0) for chord in _CHORDS])


def chords_by_rule(notes: np.ndarray, grid: Grid) -> list[Chord | None]:
    """The chord of every beat by the module's rule; None before the first one that is clear."""
    length = np.diff(grid.ticks)[:, None]
    weight = chroma_by_beat(notes, grid.ticks) / length
    # What sounds where the beat begins: the first sixteenth of a quarter.
    starts = np.stack([grid.ticks[:-1], grid.ticks[:-1] + 1], axis=1).ravel()
    begun = chroma_by_beat(notes, starts)[::2] > 0
    weight = weight * np.where(begun, 2, 1)
    lowest = _lowest(notes, grid.ticks[:-1])
    inside = weight @ _MASKS.T
    outside = weight.sum(axis=1, keepdims=True) - inside
    missing = (weight <= 0).astype(float) @ _NEEDED.T
    roots = np.array([chord.root for chord in _CHORDS])
    score = inside - outside - MISSING * missing - _COLOUR_COST
    score += ROOT_BELOW * (roots == lowest[:, None])
    best = np.round(score, 6).argmax(axis=1)
    chords: list[Chord | None] = []
    for beat, index in enumerate(best.tolist()):
        if inside[beat, index] >= 2 * outside[beat, index] and inside[beat, index] > 0:
            chord = _CHORDS[index]
            bass = int(lowest[beat])
            chords.append(Chord(chord.root, chord.quality, bass) if bass in chord.pitch_classes else chord)
        else:
            chords.append(chords[-1] if chords else None)
    return chords


def _lowest(notes: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Pitch class of the lowest note that sounds at each tick, -1 where none does."""
    onset = notes["onset_tick"].astype(np.int64)
    sounds = (onset <= ticks[:, None]) & (onset + notes["duration_tick"] > ticks[:, None])
    pitch = np.where(sounds, notes["pitch"].astype(np.int64), 128).min(axis=1)
    return np.where(pitch < 128, pitch % 12, -1)


def _song(name: str, title: str, score: Score) -> Song | None:
    """The song of a score with a track a voice, its key unknown; None with fewer than three voices, or where
    no chord is.
    """
    voices = [track.notes for track in score.tracks if len(track.notes)]
    if len(voices) < 3:
        return None
    notes = np.concatenate(voices)
    grid = beat_grid(score, int((notes["onset_tick"].astype(np.int64) + notes["duration_tick"]).max()))
    chords = chords_by_rule(notes, grid)
    if not any(chords):
        return None
    return Song(
        name=name,
        group=f"tune-{zlib.crc32(title.encode())}",
        place=grid.place,
        melody=melody_columns(voices[0], grid.ticks),
        accompaniment={
            "both": accompaniment_columns(np.concatenate(voices[1:]), grid.ticks),
            "bass": accompaniment_columns(voices[-1], grid.ticks),
        },
        **chord_labels([None if c is None else c.harte() for c in chords]),
        key=np.full(len(grid), IGNORE),
        notes=notes_by_beat(voices[0], grid.ticks),
        grams=melodic_grams(voices[0]),
    )


def read_chorales(folder: Path) -> list[Song]:
    """The chorales of a folder: frames of a sixteenth, bars of four quarters, keys unknown."""
    scores = chorale_scores(folder)
    return [s for name, score in scores if (s := _song(f"jsb-chorales/{name}", name, score))]


def chorale_scores(folder: Path) -> Iterator[tuple[str, Score]]:
    """The chorales with a track a voice, the soprano first; equal frames are one note."""
    chorales = json.loads((folder / "jsb16th.json").read_text())
    step = TICKS_PER_QUARTER // 4
    for split in ("train", "valid"):
        for i, frames in enumerate(chorales[split]):
            tracks = []
            for voice in range(4):
                pitch = np.array([frame[voice] for frame in frames])
                start = np.flatnonzero(np.diff(pitch, prepend=-2))
                length = np.diff(np.append(start, len(pitch)))
                sung = pitch[start] > 0
                notes = make_notes(start[sung] * step, length[sung] * step, pitch[start][sung], 80)
                tracks.append(Track(f"Voice {voice + 1}", voice, 0, notes))
            yield f"{split}/{i}", Score(tuple(tracks), meters=(Meter(0, 4, 4),))


def hymn_scores(folder: Path) -> Iterator[tuple[str, Score]]:
    """The hymns with a track a voice, the first voice first."""
    for path in sorted(folder.glob("*.abc")):
        score, _ = read_abc(path.read_bytes())
        tracks = tuple(t for t in score.tracks if len(t.notes) and not t.is_drum)
        if tracks:
            yield path.stem, Score(tracks, score.tempos, score.meters, score.keys)


def read_hymns(folder: Path) -> list[Song]:
    """The hymns of a folder that have more than one voice.

    Their signatures do not tell minor from major: a key is known where the last chord stands on its tonic.
    """
    songs = []
    for name, score in hymn_scores(folder):
        song = _song(f"openhymnal/{name}", name.split("-")[-1].lower(), score)
        if song is None:
            continue
        if len({key.sharps for key in score.keys}) == 1:
            major = key_of_signature(replace(score.keys[0], is_minor=False))
            last = song.chord[-1] % 12
            known = {class_of_key(k) % 12: class_of_key(k) for k in (major, major.relative)}
            song.key[:] = known.get(int(last), IGNORE)
        songs.append(song)
    return songs
