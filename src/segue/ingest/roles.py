"""What each track does in the arrangement: drums, bass, melody, chords or other.

Convention: roles are those of `segue.stage.ROLES`, one a track, at most one melody a piece. Evidence,
strongest first: the percussion channel, words in the track's name, the General MIDI program, and what is
played (register, polyphony, activity). "Polyphony" is sounding time summed over notes divided by the time
in which anything sounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from segue.score import TICKS_PER_QUARTER, Score, Track

_DRUM_WORDS = re.compile(r"\b(drums?|drum ?kit|percussion|perc|schlagzeug|batterie|bater[ií]a)\b", re.I)
_BASS_WORDS = re.compile(r"\b(bass|bajo|basse|contrabass|contrabajo)\b", re.I)
_BASS_IS_NO_BASS = re.compile(r"\b(bass (drum|clarinet|flute|voice)|treble)\b", re.I)
_MELODY_WORDS = re.compile(
    r"\b(melody|melodie|vocals?|vox|voice|voix|singer|singing|sing|gesang|song|lead|solo|tune|theme|soprano|"
    r"canto|tenor|baritone|mezzo.?soprano|alto)\b",
    re.I,
)
_CHORD_WORDS = re.compile(
    r"\b(chords?|pads?|accomp\w*|comping|rhythm|piano|klavier|keys|keyboards?|organ|harp|strum\w*|begleitung)\b",
    re.I,
)
#: Onsets closer than this belong to one chord, since a hand does not strike as one.
_CHORD_SPREAD_TICKS = TICKS_PER_QUARTER // 16
#: Share of all onsets that two voices have in common when they move together.
_SAME_RHYTHM = 0.6
_BASS_PROGRAMS = range(32, 40)
_MELODY_PROGRAMS = (*range(52, 55), *range(64, 80), *range(80, 88), 22, 40, 56, 85)
_PAD_PROGRAMS = (*range(48, 52), *range(88, 96))


@dataclass(frozen=True)
class Playing:
    """What a track plays, in figures."""

    notes: int
    #: Mean pitch weighted by duration (MIDI pitch).
    register: float
    #: Mean number of notes sounding while any sounds.
    polyphony: float
    #: Mean number of notes struck together.
    chord_size: float
    #: Share of the piece's length in which the track sounds, 0..1.
    activity: float
    #: Share of intervals between successive notes that are a step or a repetition.
    steps: float
    #: Number of different pitches.
    pitches: int


def describe_playing(notes: np.ndarray, length_tick: int) -> Playing:
    """The figures of one track's NOTE array; `length_tick` is the length of the piece in ticks."""
    onset = notes["onset_tick"].astype(np.int64)
    duration = notes["duration_tick"].astype(np.int64)
    pitch = notes["pitch"].astype(float)
    end = np.maximum.accumulate(onset + duration)
    gaps = np.clip(onset[1:] - end[:-1], 0, None).sum()
    sounding = max(int(end[-1] - onset[0] - gaps), 1)
    chords = 1 + int((np.diff(onset) > _CHORD_SPREAD_TICKS).sum())
    return Playing(
        notes=len(notes),
        register=float(np.average(pitch, weights=duration)),
        polyphony=float(duration.sum() / sounding),
        chord_size=len(notes) / chords,
        activity=min(sounding / max(length_tick, 1), 1.0),
        steps=float((np.abs(np.diff(pitch)) <= 2).mean()) if len(notes) > 1 else 0.0,
        pitches=len(np.unique(notes["pitch"])),
    )


def find_roles(score: Score) -> list[str]:
    """The role of each track of the score, in its order."""
    roles = ["other"] * len(score.tracks)
    playing: dict[int, Playing] = {}
    for i, track in enumerate(score.tracks):
        if not len(track.notes):
            continue
        if track.is_drum or (_DRUM_WORDS.search(track.name) and track.program >= 112):
            roles[i] = "drums"
        else:
            playing[i] = describe_playing(track.notes, score.last_tick)
    for i, figures in playing.items():
        if _is_bass(score.tracks[i], figures, alone=len(playing) == 1):
            roles[i] = "bass"
    open_tracks = {i: figures for i, figures in playing.items() if roles[i] == "other"}
    if open_tracks:
        scores = {
            i: _melody_score(score.tracks[i], figures)
            for i, figures in open_tracks.items()
            if _may_be_melody(score.tracks[i], figures)
        }
        if scores:
            best = max(scores, key=lambda i: (scores[i], -i))
            roles[_top_voice(score, best, {i: playing[i].register for i in scores})] = "melody"
    for i, figures in open_tracks.items():
        if roles[i] == "other" and _is_chords(score.tracks[i], figures, alone=len(open_tracks) == 1):
            roles[i] = "chords"
    return roles


def _is_bass(track: Track, figures: Playing, alone: bool) -> bool:
    if figures.chord_size > 1.5:
        return False
    if track.program in _BASS_PROGRAMS:
        return True
    if _BASS_WORDS.search(track.name) and not _BASS_IS_NO_BASS.search(track.name):
        return figures.register < 60
    return not alone and figures.register < 45 and figures.polyphony < 1.3


def _may_be_melody(track: Track, figures: Playing) -> bool:
    """Whether a track is one voice, or says that it is the melody."""
    if _MELODY_WORDS.search(track.name):
        return figures.chord_size < 2.5
    return figures.chord_size < 1.5 and figures.polyphony < 1.7 and figures.notes >= 4


def _top_voice(score: Score, best: int, register: dict[int, float]) -> int:
    """The highest of the voices that move in the rhythm of `best`: in a hymn all voices sing alike."""
    rhythm = np.unique(score.tracks[best].notes["onset_tick"])
    top = best
    for i in register:
        other = np.unique(score.tracks[i].notes["onset_tick"])
        shared = len(np.intersect1d(rhythm, other, assume_unique=True))
        alike = shared >= _SAME_RHYTHM * (len(rhythm) + len(other) - shared)
        if alike and register[i] > register[top]:
            top = i
    return top


def _melody_score(track: Track, figures: Playing) -> float:
    """How much a track is like a melody; the highest in a piece is the melody.

    The weights of what is played began as a maximum-likelihood choice within each piece on 576 POP909 songs
    and 132 of OpenScore Lieder. With names, programs and words hidden, the melody is then found in 98.8 % of
    819 POP909 songs, the voice in 96 % of 109 Lieder, the first violin in each of 19 quartets and the soprano
    in 97 % of 95 hymns. Names and programs weigh more than any figure.
    """
    score = -2.6 * min(figures.chord_size - 1, 1.5)
    score -= 1.7 * min(max(figures.polyphony - 1, 0), 2)
    score += 1.9 * figures.activity + 1.2 * float(np.log2(figures.notes))
    score += 6.6 * figures.steps - 4.1 * min(figures.pitches / 12, 2)
    score += (figures.register - 60) / 12
    if _MELODY_WORDS.search(track.name):
        score += 6
    elif _CHORD_WORDS.search(track.name):
        score -= 2
    if track.program in _MELODY_PROGRAMS:
        score += 1.5
    elif track.program in _PAD_PROGRAMS:
        score -= 1.5
    if any(text.kind == 5 for text in track.texts):
        score += 6
    return score


def _is_chords(track: Track, figures: Playing, alone: bool) -> bool:
    """Struck or held harmony. A lone track of mixed texture holds its melody too: it stays "other"."""
    if alone:
        return figures.chord_size >= 2.5
    if _CHORD_WORDS.search(track.name):
        return True
    return figures.chord_size >= 1.7 or figures.polyphony >= 2
