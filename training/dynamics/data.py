"""Piano performances as note sequences: POP909's piano tracks and 52 pieces of GiantMIDI-Piano.

Sources: Wang et al. 2020, POP909 (MIT); Kong et al. 2020, GiantMIDI-Piano (CC BY 4.0). POP909's piano tracks
have played velocities on quantised onsets, with beats and bars; GiantMIDI's have played onsets as well,
without beats. Velocity is learned from both, timing from GiantMIDI alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segue.humanize.ensemble import Ensemble, PartInputs
from segue.humanize.felt_beats import place_between
from segue.humanize.phrasing import MAX_TIMING_MS, WINDOW_NOTES, BeatPlaces, chord_index
from segue.midi import read_midi
from segue.score import Score, Track, seconds_from_ticks, sort_notes

#: Composers of GiantMIDI-Piano whose pieces validate.
VALIDATION_COMPOSERS = ("Haydn", "Schumann_Robert", "Scriabin", "Brahms")
#: Least share of common melodic six-grams at which two songs count as versions of one.
SAME_SONG = 0.3


@dataclass(frozen=True)
class Performance:
    """One piece as the network sees it, with what its player did.

    `features` (n, NOTE_FEATURES) and `row` (PART_FEATURES,), velocity (n,) in [0, 1], timing (n,) in ms with
    NaN where unknown; notes in the network's order. `on_beats` says whether beats are among the features.
    """

    name: str
    features: np.ndarray
    row: np.ndarray
    velocity: np.ndarray
    timing: np.ndarray
    on_beats: bool


@dataclass(frozen=True)
class Songs:
    """Pieces to train on, and to validate on."""

    train: list[Performance]
    validation: list[Performance]


def load_pop909(folder: Path) -> dict[str, Songs]:
    """Songs; about a tenth validates, versions of one song stay together.

    As `stage`, with the beats that the stage finds in the file; as `annotated`, with the beats and bars that
    belong to the data set.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    scores = {name: read_midi((folder / name / f"{name}.mid").read_bytes())[0] for name in names}
    group = _song_groups(scores)
    songs = {"stage": Songs([], []), "annotated": Songs([], [])}
    for name in names:
        validates = hashlib.sha256(group[name].encode()).digest()[0] < 26
        pieces = _pop909_pieces(name, scores[name], folder / name / "beat_midi.txt")
        for key, piece in zip(songs, pieces, strict=True):
            (songs[key].validation if validates else songs[key].train).append(piece)
    return songs


def load_giantmidi(folder: Path, level: float) -> Songs:
    """Pieces, split by composer; velocities moved so that those to train on have the mean `level`."""
    songs = Songs([], [])
    for path in sorted(folder.glob("*.mid")):
        score, _ = read_midi(path.read_bytes())
        notes = sort_notes(np.concatenate([track.notes for track in score.tracks]))
        score = replace(score, tracks=(Track(notes=notes),))
        inputs = Ensemble(score).inputs(0)
        timing = timing_deviation(seconds_from_ticks(score, notes["onset_tick"]))
        piece = _performance(path.stem, inputs, notes["velocity"], timing)
        validates = path.stem.startswith(VALIDATION_COMPOSERS)
        (songs.validation if validates else songs.train).append(piece)
    shift = level - np.mean(np.concatenate([p.velocity for p in songs.train]))
    return Songs(
        *(
            [replace(p, velocity=p.velocity + shift) for p in pieces]
            for pieces in (songs.train, songs.validation)
        )
    )


def _performance(name: str, inputs: PartInputs, velocity: np.ndarray, timing: np.ndarray) -> Performance:
    """The piece, from what its player did in the order of the track: MIDI velocity and ms, (n,) each."""
    order = inputs.order
    features, row = inputs.features, inputs.row
    return Performance(name, features, row, velocity[order] / 127.0, timing[order], inputs.on_beats)


def timing_deviation(onset_sec: np.ndarray) -> np.ndarray:
    """What can be told of a player's timing without a score, ms, shape (n,), NaN where nothing can.

    Within a chord of two or more notes: each note's distance from the mean onset. Between chords: where the
    intervals before and after are within a third of each other (an even run), two thirds of the chord's
    distance from the middle of its neighbours, the best estimate of an independent deviation from an even
    pulse.
    """
    chord = chord_index(onset_sec)
    size = np.bincount(chord)
    at = np.bincount(chord, onset_sec) / size
    spread = (onset_sec - at[chord]) * 1000
    run = np.full(len(at), np.nan)
    if len(at) > 2:
        before, after = np.diff(at)[:-1], np.diff(at)[1:]
        even = (np.abs(np.log(before / after)) < np.log(4 / 3)) & (np.maximum(before, after) < 0.6)
        run[1:-1] = np.where(even, (before - after) / 2 * (2 / 3) * 1000, np.nan)
    known = (size[chord] > 1) | np.isfinite(run[chord])
    deviation = spread + np.nan_to_num(run[chord])
    return np.where(known, np.clip(deviation, -MAX_TIMING_MS, MAX_TIMING_MS), np.nan)


def windows(pieces: list[Performance], hop: int, first: int = 0) -> tuple[np.ndarray, ...]:
    """Windows every `hop` notes, from note `first` on.

    Features (w, 256, F), rows (w, P), velocities and timings (w, 256), NaN: no note, or nothing known.
    """
    parts: tuple[list[np.ndarray], ...] = ([], [], [], [])
    for piece in pieces:
        for start in range(first, max(len(piece.velocity) - WINDOW_NOTES // 2, first + 1), hop):
            stop = slice(start, start + WINDOW_NOTES)
            short = WINDOW_NOTES - len(piece.velocity[stop])
            parts[0].append(np.pad(piece.features[stop], ((0, short), (0, 0))))
            parts[1].append(piece.row)
            parts[2].append(np.pad(piece.velocity[stop], (0, short), constant_values=np.nan))
            parts[3].append(np.pad(piece.timing[stop], (0, short), constant_values=np.nan))
    return tuple(np.stack(p).astype(np.float32) for p in parts)


def _pop909_pieces(name: str, score: Score, beats_file: Path) -> tuple[Performance, Performance]:
    """The song's piano as the stage has it, and with the annotated beats and bars."""
    index = next(i for i, track in enumerate(score.tracks) if track.name == "PIANO")
    ensemble = Ensemble(score)
    onset = ensemble.parts[index].onset
    table = np.loadtxt(beats_file, ndmin=2)
    beats, downbeats = table[:, 0], table[table[:, 2] > 0, 0]
    bar = place_between(onset, downbeats) if len(downbeats) > 1 else None
    places = BeatPlaces(place_between(onset, beats), bar, float(np.median(np.diff(beats))))
    velocity, unknown = score.tracks[index].notes["velocity"], np.full(len(onset), np.nan)
    stage, annotated = ensemble.inputs(index), ensemble.inputs(index, places)
    return _performance(name, stage, velocity, unknown), _performance(name, annotated, velocity, unknown)


def _song_groups(scores: dict[str, Score]) -> dict[str, str]:
    """The first name of each song's group; songs that share melodic six-grams are versions of one."""
    grams: dict[str, set[bytes]] = {}
    holders: dict[bytes, list[str]] = defaultdict(list)
    for name, score in scores.items():
        pitch = next(track.notes["pitch"] for track in score.tracks if track.name == "MELODY")
        interval = np.diff(pitch.astype(np.int8))
        grams[name] = {interval[i : i + 6].tobytes() for i in range(len(interval) - 5)}
        for gram in grams[name]:
            holders[gram].append(name)
    common: dict[tuple[str, str], int] = defaultdict(int)
    for names in holders.values():
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                common[a, b] += 1
    group = {name: name for name in scores}
    for (a, b), count in sorted(common.items()):
        if count >= SAME_SONG * min(len(grams[a]), len(grams[b])):
            old, new = group[b], group[a]
            group = {name: new if g == old else g for name, g in group.items()}
    return group
