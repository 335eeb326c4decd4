"""Piano performances as note sequences: POP909's piano tracks and 52 pieces of GiantMIDI-Piano.

Sources: Wang et al. 2020, POP909 (MIT); Kong et al. 2020, GiantMIDI-Piano (CC BY 4.0). POP909's piano tracks
have played velocities on quantised onsets, with beats and bars; GiantMIDI's have played onsets as well,
without beats. Velocity is learned from both, timing from GiantMIDI alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.humanize.phrasing import MAX_TIMING_MS, WINDOW_NOTES, chord_index, note_features
from segue.midi import read_midi
from segue.score import Score, seconds_from_ticks

#: Composers of GiantMIDI-Piano whose pieces validate.
VALIDATION_COMPOSERS = ("Haydn", "Schumann_Robert", "Scriabin", "Brahms")
#: Least share of common melodic six-grams at which two songs count as versions of one.
SAME_SONG = 0.3


@dataclass(frozen=True)
class Performance:
    """One piece: features (n, F), velocity (n,) in [0, 1], timing (n,) in ms with NaN where unknown."""

    name: str
    features: np.ndarray
    velocity: np.ndarray
    timing: np.ndarray


def load_pop909(folder: Path) -> tuple[list[Performance], list[Performance]]:
    """Training and validation songs; about a tenth validates, versions of one song stay together."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    scores = {name: read_midi((folder / name / f"{name}.mid").read_bytes())[0] for name in names}
    group = _song_groups(scores)
    parts: tuple[list[Performance], list[Performance]] = ([], [])
    for name in names:
        piece = _pop909_piece(name, scores[name], folder / name / "beat_midi.txt")
        validates = hashlib.sha256(group[name].encode()).digest()[0] < 26
        parts[validates].append(piece)
    return parts


def load_giantmidi(folder: Path, level: float) -> tuple[list[Performance], list[Performance]]:
    """Training and validation pieces, split by composer; velocities moved to the mean `level`."""
    pieces = []
    for path in sorted(folder.glob("*.mid")):
        score, _ = read_midi(path.read_bytes())
        notes = np.concatenate([track.notes for track in score.tracks])
        notes = notes[np.lexsort((notes["pitch"], notes["onset_tick"]))]
        onset, duration = _seconds(score, notes)
        velocity = notes["velocity"] / 127.0
        features = note_features(onset, duration, notes["pitch"])
        pieces.append(Performance(path.stem, features, velocity, timing_deviation(onset)))
    shift = level - np.mean(np.concatenate([p.velocity for p in pieces]))
    parts: tuple[list[Performance], list[Performance]] = ([], [])
    for p in pieces:
        shifted = Performance(p.name, p.features, p.velocity + shift, p.timing)
        parts[p.name.startswith(VALIDATION_COMPOSERS)].append(shifted)
    return parts


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


def windows(pieces: list[Performance], hop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (w, 128, F), velocities and timings (w, 128), NaN where there is no note or nothing known."""
    rows: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
    for piece in pieces:
        for start in range(0, max(len(piece.velocity) - WINDOW_NOTES // 2, 1), hop):
            stop = slice(start, start + WINDOW_NOTES)
            short = WINDOW_NOTES - len(piece.velocity[stop])
            rows[0].append(np.pad(piece.features[stop], ((0, short), (0, 0))))
            rows[1].append(np.pad(piece.velocity[stop], (0, short), constant_values=np.nan))
            rows[2].append(np.pad(piece.timing[stop], (0, short), constant_values=np.nan))
    features, velocity, timing = (np.stack(r).astype(np.float32) for r in rows)
    return features, velocity, timing


def _seconds(score: Score, notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    onset = seconds_from_ticks(score, notes["onset_tick"])
    end = seconds_from_ticks(score, notes["onset_tick"].astype(np.int64) + notes["duration_tick"])
    return onset, end - onset


def _pop909_piece(name: str, score: Score, beats_file: Path) -> Performance:
    notes = next(track.notes for track in score.tracks if track.name == "PIANO")
    onset, duration = _seconds(score, notes)
    table = np.loadtxt(beats_file, ndmin=2)
    beat = _phase(onset, table[:, 0])
    downbeats = table[table[:, 2] > 0, 0]
    bar = _phase(onset, downbeats) if len(downbeats) > 1 else None
    features = note_features(onset, duration, notes["pitch"], beat, bar)
    nothing = np.full(len(notes), np.nan)
    return Performance(name, features, notes["velocity"] / 127.0, nothing)


def _phase(onset: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Place of each onset between the marks (seconds) around it, in [0, 1); the ends go on evenly."""
    i = np.clip(np.searchsorted(marks, onset, "right") - 1, 0, len(marks) - 2)
    return (onset - marks[i]) / (marks[i + 1] - marks[i]) % 1


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
