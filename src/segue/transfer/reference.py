"""Pieces whose style is taken over: a file that `reference` names, or those that a preset is made of.

What is kept of a file is small and plain JSON: the notes of its accompaniment on a grid of twenty-fourths of
a quarter, chords, meters and instruments. The style network hears it when the stage runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from segue.chords import TRIAD_MASKS, Chord, chord_of_majmin_class, chords_of_record
from segue.ingest.chords import carried_chords
from segue.ingest.roles import find_roles
from segue.midi import MidiError, read_midi
from segue.score import (
    TICKS_PER_QUARTER,
    Meter,
    Score,
    Track,
    bar_starts,
    make_notes,
    meters_from_zero,
)
from segue.stage import InputFile, Record, StageError
from segue.transfer.ensemble import Player, join
from segue.transfer.frame import on_its_beats, with_bars
from segue.transfer.instruments import program_range
from segue.transfer.kit import CLASS_OF_PITCH
from segue.transfer.paths import steadiest_path
from segue.transfer.score_parts import choose_tracks

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".smf", ".rmi")
#: Most bars that are kept, and fewest that tell a style.
MOST_BARS, LEAST_BARS = 48, 4
#: Fewest notes of an accompaniment.
_LEAST_NOTES = 24
#: Ticks of the grid that notes are kept on.
_KEPT_TICKS = TICKS_PER_QUARTER // 24
#: Players with less than this share of the notes and of the sound are left out; so many play at most.
_LEAST_SHARE, _MOST_PLAYERS = 0.08, 4
#: A player whose notes overlap less than this plays lines.
_LINE_OVERLAP = 0.05
#: What a change of the chord costs, and how much the lowest note counts for the root, in beats.
_CHANGE, _BASS = 0.35, 0.25


@dataclass(frozen=True)
class Example:
    """The accompaniment of a piece: NOTE array, chords with their ticks, meters, and who plays."""

    name: str
    notes: np.ndarray
    starts: np.ndarray
    chords: list[Chord]
    meters: tuple[Meter, ...]
    players: tuple[Player, ...]
    #: The hits of its drum kit, NOTE array; empty where it has none.
    drums: np.ndarray

    @property
    def score(self) -> Score:
        """A score of the accompaniment alone."""
        return Score(tracks=(Track(notes=self.notes),), meters=self.meters)


def read_example(file: InputFile) -> Example:
    """The example in a MIDI file. Raises `StageError` saying what it lacks."""
    path = PurePath(file.path)
    if path.suffix.lower() not in MIDI_SUFFIXES:
        raise StageError(f"a style is taken from MIDI ({' '.join(MIDI_SUFFIXES)}); name a file of that kind")
    try:
        score, _ = read_midi(file.data)
    except MidiError as error:
        raise StageError(f"it is no MIDI file that can be read: {error}") from error
    chords = [{"tick": tick, "label": label} for tick, label in carried_chords(score).chords]
    record = {"tracks": [{"role": r} for r in find_roles(score)], "chords": chords}
    score, record, _ = on_its_beats(score, record)
    if not record["chords"]:
        score = with_bars(score, *chords_of_notes(join([t.notes for t in score.tracks if not t.is_drum])))
    return example_of(score, record, path.stem)


def example_of(score: Score, record: Record, name: str) -> Example:
    """The example that a piece gives: what would be re-played of it, `MOST_BARS` at most.

    A piece without a melody, or of one pitched track, gives all that is pitched. Raises `StageError` where
    there is too little.
    """
    pitched = [
        track
        for track, entry in zip(score.tracks, record["tracks"], strict=True)
        if len(track.notes) and not track.is_drum and entry["role"] != "drums"
    ]
    replaced = choose_tracks(score, record["tracks"], bass=True).replaced
    others = [score.tracks[i] for i in replaced] or pitched
    every = join([track.notes for track in pitched])
    first = int(min((t.notes["onset_tick"].min() for t in others), default=0))
    bars = bar_starts(score)
    begin = int(bars[np.searchsorted(bars, first, "right") - 1])
    end = int(bars[min(np.searchsorted(bars, begin) + MOST_BARS, len(bars) - 1)])
    parts = [_between(track.notes, begin, end) for track in others]
    notes = _on_grid(join(parts))
    sounding = len(np.unique(np.searchsorted(bars, notes["onset_tick"] + begin, "right")))
    if len(notes) < _LEAST_NOTES or sounding < LEAST_BARS:
        raise StageError(
            f"it has {len(notes)} notes of accompaniment in {sounding} bars, and a style is heard from "
            f"{_LEAST_NOTES} notes in {LEAST_BARS} bars on; take a longer piece with chords and bass"
        )
    starts, chords = chords_of_record(record)
    if not any(chord.is_chord for chord in chords):
        starts, chords = chords_of_notes(_between(every, begin, end))
        starts = starts + begin
    inside = [
        i
        for i, s in enumerate(starts.tolist())
        if s < end and (i + 1 == len(starts) or starts[i + 1] > begin)
    ]
    return Example(
        name,
        notes,
        np.maximum(starts[inside] - begin, 0),
        [chords[i] for i in inside],
        tuple(
            Meter(max(m.tick - begin, 0), m.numerator, m.denominator) for m in _meters_in(score, begin, end)
        ),
        players_of(others, parts),
        _on_grid(_between(_hits(score, record), begin, end)),
    )


def _hits(score: Score, record: Record) -> np.ndarray:
    """The hits of the drum kit, NOTE array."""
    drums = join(
        [
            track.notes
            for track, entry in zip(score.tracks, record["tracks"], strict=True)
            if track.is_drum or entry["role"] == "drums"
        ]
    )
    return drums[CLASS_OF_PITCH[drums["pitch"]] >= 0]


def _meters_in(score: Score, begin: int, end: int) -> list[Meter]:
    meters = meters_from_zero(score)
    stops = [*(m.tick for m in meters[1:]), end]
    return [m for m, stop in zip(meters, stops, strict=True) if m.tick < end and stop > begin]


def _between(notes: np.ndarray, begin: int, end: int) -> np.ndarray:
    """The notes that begin in [begin, end), counted from `begin`."""
    notes = notes[(notes["onset_tick"] >= begin) & (notes["onset_tick"] < end)].copy()
    notes["onset_tick"] -= begin
    return notes


def _on_grid(notes: np.ndarray) -> np.ndarray:
    onset, duration = (np.rint(notes[c] / _KEPT_TICKS) * _KEPT_TICKS for c in ("onset_tick", "duration_tick"))
    return make_notes(onset, np.maximum(duration, _KEPT_TICKS), notes["pitch"], notes["velocity"])


def players_of(tracks: Sequence[Track], parts: Sequence[np.ndarray]) -> tuple[Player, ...]:
    """Who plays `parts`, from high to low: a player a track, those with a share of the notes
    or of the sound.

    A range is that of the notes, a third wider, an octave and a half at least, and within the instrument's.
    """
    # A bass has few notes and long ones.
    counts = np.array([[len(part), part["duration_tick"].sum(dtype=np.int64)] for part in parts], float)
    share = (counts / np.maximum(counts.sum(axis=0), 1)).max(axis=1)
    chosen = np.argsort(-share, kind="stable")[:_MOST_PLAYERS].tolist()
    chosen = [i for i in chosen if share[i] >= _LEAST_SHARE] or chosen[:1]
    chosen.sort(key=lambda i: (-float(parts[i]["pitch"].mean()), i))
    return tuple(_player(tracks[i], parts[i]) for i in chosen)


def _player(track: Track, notes: np.ndarray) -> Player:
    low, high = program_range(track.program)
    lowest, highest = int(notes["pitch"].min()) - 4, int(notes["pitch"].max()) + 4
    wider = max(18 - (highest - lowest), 0)
    lowest, highest = max(lowest - wider // 2, low), min(highest + (wider + 1) // 2, high)
    if highest - lowest < 12:
        lowest, highest = low, high
    end = notes["onset_tick"][:-1] + notes["duration_tick"][:-1]
    line = len(notes) > 1 and np.mean(end > notes["onset_tick"][1:] + _KEPT_TICKS) < _LINE_OVERLAP
    return Player(track.name.strip() or "Player", track.program, lowest, highest, bool(line))


def example_to_dict(example: Example) -> dict[str, Any]:
    """The example as plain JSON."""
    return {
        "segue_example": example.name,
        "notes": _numbers(example.notes),
        "drums": _numbers(example.drums),
        "chords": [[int(s), c.symbol()] for s, c in zip(example.starts, example.chords, strict=True)],
        "meters": [[m.tick, m.numerator, m.denominator] for m in example.meters],
        "players": [list(p) for p in example.players],
    }


def _numbers(notes: np.ndarray) -> list[int]:
    """Onset, duration, pitch and velocity of one note after the other, times on the kept grid."""
    columns = ("onset_tick", "duration_tick", "pitch", "velocity")
    rows = np.stack([notes[c].astype(np.int64) for c in columns], axis=1)
    rows[:, :2] //= _KEPT_TICKS
    return rows.ravel().tolist()


def _notes(numbers: Sequence[int]) -> np.ndarray:
    """The inverse of `_numbers`."""
    rows = np.array(numbers, np.int64).reshape(-1, 4)
    return make_notes(rows[:, 0] * _KEPT_TICKS, rows[:, 1] * _KEPT_TICKS, rows[:, 2], rows[:, 3])


def example_from_dict(saved: Mapping[str, Any]) -> Example:
    """The inverse of `example_to_dict`."""
    chords = [{"tick": tick, "label": label} for tick, label in saved["chords"]]
    starts, known = chords_of_record({"chords": chords})
    return Example(
        saved["segue_example"],
        _notes(saved["notes"]),
        starts,
        known,
        tuple(Meter(*m) for m in saved["meters"]),
        tuple(Player(*p) for p in saved["players"]),
        _notes(saved["drums"]),
    )


def chords_of_notes(notes: np.ndarray) -> tuple[np.ndarray, list[Chord]]:
    """Triads by quarter, for files that carry no chords: their ticks (n,) and the chords.

    Templates of the 24 major and minor triads over the sounding pitch classes of every quarter; the lowest
    note counts again for the root, and the best path pays for every change.
    """
    if not len(notes):
        return np.zeros(0, np.int64), []
    path, _ = steadiest_path(_triad_fit(notes), _CHANGE)
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    return starts * TICKS_PER_QUARTER, [chord_of_majmin_class(i) for i in path[starts].tolist()]


def _triad_fit(notes: np.ndarray) -> np.ndarray:
    """How well each triad fits each quarter, float (beats, 24)."""
    onset = notes["onset_tick"].astype(np.int64)
    end = onset + notes["duration_tick"]
    pitch = notes["pitch"].astype(np.int64)
    beats = int((onset // TICKS_PER_QUARTER).max()) + 1
    chroma = np.zeros((beats, 12))
    lowest = np.full(beats, 128)
    longest = int(min(((end - 1) // TICKS_PER_QUARTER - onset // TICKS_PER_QUARTER).max(), 16))
    for k in range(longest + 1):
        beat = onset // TICKS_PER_QUARTER + k
        until = np.minimum(end, (beat + 1) * TICKS_PER_QUARTER)
        overlap = until - np.maximum(onset, beat * TICKS_PER_QUARTER)
        inside = (overlap > 0) & (beat < beats)
        np.add.at(chroma, (beat[inside], pitch[inside] % 12), overlap[inside] / TICKS_PER_QUARTER)
        np.minimum.at(lowest, beat[inside], pitch[inside])
    bass = np.zeros((beats, 12))
    known = lowest < 128
    bass[np.flatnonzero(known), lowest[known] % 12] = 1
    templates = TRIAD_MASKS.astype(np.float64)
    total = np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9)
    fit = chroma @ templates.T / total - 0.5 * chroma @ (1 - templates).T / total
    return fit + _BASS * bass[:, np.arange(24) % 12]
