"""The pitched training data as pieces: a score of melody and accompaniment, with chords.

Every source comes out the same: track 0 is the melody, the tracks after it the accompaniment, at 960 ticks a
quarter with bars where the meter says, and chord symbols by tick.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue.chords import parse_chord
from segue.ingest.key import KEY_PROFILES, key_of_class
from segue.midi import read_midi
from segue.score import (
    DEFAULT_TEMPO_US,
    TICKS_PER_QUARTER,
    Meter,
    Score,
    Tempo,
    Track,
    make_notes,
    seconds_from_ticks,
)
from segue.transfer.reference import chords_of_notes
from training.transfer.musicxml import read_musicxml

_LIEDER = 520
_QUARTETS = 110
_MAX_BARS = 400


@dataclass(frozen=True)
class Piece:
    """One training piece: `record` has `key`, `tracks` and `chords` as the stages before transfer leave them.

    Pieces of one `group` (versions of one tune, movements of one work) never fall in different splits.
    """

    name: str
    style: str
    group: str
    is_validation: bool
    has_velocity: bool
    score: Score
    record: dict[str, Any]

    @property
    def melody(self) -> np.ndarray:
        """NOTE array of the melody."""
        return self.score.tracks[0].notes

    @property
    def accompaniment(self) -> np.ndarray:
        """NOTE array of all other tracks together, sorted."""
        notes = np.concatenate([t.notes for t in self.score.tracks[1:]])
        return make_notes(notes["onset_tick"], notes["duration_tick"], notes["pitch"], notes["velocity"])


def load_pieces(data: Path, cache: Path) -> list[Piece]:
    """All pieces, from `cache` where it exists; in a fixed order."""
    if cache.is_file():
        with cache.open("rb") as file:
            return pickle.load(file)
    pieces = [*_pop(data), *_lieder(data), *_chorales(data), *_hymns(data), *_quartets(data)]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("wb") as file:
        pickle.dump(pieces, file)
    return pieces


def in_validation(group: str, share: float = 0.1) -> bool:
    """True for a fixed tenth (or other share) of all groups, chosen by their name's hash."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) < share * 16**8


def _piece(
    name: str,
    style: str,
    group: str,
    validation: bool,
    parts: list[np.ndarray],
    meters: tuple[Meter, ...],
    chords: list[dict[str, Any]] | None = None,
    has_velocity: bool = False,
    tempo: int = DEFAULT_TEMPO_US,
) -> Piece | None:
    """A piece from melody and accompaniment notes, or None where there is too little of either."""
    if len(parts) < 2 or len(parts[0]) < 16 or sum(map(len, parts[1:])) < 32:
        return None
    limit = _MAX_BARS * 4 * TICKS_PER_QUARTER
    parts = [p[p["onset_tick"] < limit] for p in parts]
    tracks = tuple(
        Track(name="Melody" if i == 0 else "Accompaniment", channel=i, notes=notes)
        for i, notes in enumerate(parts)
    )
    score = Score(tracks=tracks, tempos=(Tempo(0, tempo),), meters=tuple(m for m in meters if m.tick < limit))
    tonic, mode = estimate_key(np.concatenate(parts))
    if chords is None:
        starts, triads = chords_of_notes(np.concatenate(parts))
        pairs = zip(starts.tolist(), triads, strict=True)
        chords = [{"tick": tick, "label": chord.symbol()} for tick, chord in pairs]
    record = {
        "key": {"tonic": tonic, "mode": mode, "name": ""},
        "tracks": [
            {"role": "melody" if i == 0 else "chords", "name": t.name, "channel": i, "program": 0}
            for i, t in enumerate(tracks)
        ],
        "chords": chords,
    }
    return Piece(name, style, group, validation, has_velocity, score, record)


def _pop(data: Path) -> Iterator[Piece]:
    for folder in sorted((data / "pop909").iterdir()):
        path = folder / f"{folder.name}.mid"
        if not path.is_file():
            continue
        score, _ = read_midi(path.read_bytes())
        by_name = {t.name: t.notes for t in score.tracks}
        if not {"MELODY", "PIANO"} <= set(by_name):
            continue
        beats = np.loadtxt(folder / "beat_midi.txt")
        bars = np.flatnonzero(beats[:, 2])
        if len(bars) < 8:
            continue
        size = int(np.bincount(np.diff(bars)).argmax())
        triple = size in (3, 6)
        # The first downbeat is the start of a bar; what comes before it belongs to a bar of pickup.
        first = int(bars[0]) % size
        pad = (size - first) % size

        def to_tick(seconds: np.ndarray, times: np.ndarray = beats[:, 0], pad: int = pad) -> np.ndarray:
            index = np.interp(seconds, times, np.arange(len(times)))
            step = np.diff(times).mean()
            index = index + np.minimum(seconds - times[0], 0) / step
            index = index + np.maximum(seconds - times[-1], 0) / step
            return np.round((index + pad) * TICKS_PER_QUARTER).astype(np.int64)

        parts = []
        for key in ("MELODY", "PIANO"):
            notes = by_name[key]
            onset = to_tick(seconds_from_ticks(score, notes["onset_tick"]))
            end = to_tick(seconds_from_ticks(score, notes["onset_tick"] + notes["duration_tick"]))
            keep = onset >= 0
            parts.append(
                make_notes(
                    onset[keep],
                    np.maximum(end - onset, 1)[keep],
                    notes["pitch"][keep],
                    notes["velocity"][keep],
                )
            )
        chords = []
        for line in (folder / "chord_midi.txt").read_text().splitlines():
            start, _, label = line.split()
            chord = parse_chord(label)
            tick = max(int(to_tick(np.array([float(start)]))[0]), 0)
            chords.append({"tick": tick, "label": "N" if chord is None else chord.symbol()})
        meter = Meter(0, 3 if triple else 4, 4)
        tempo = int(np.clip(np.diff(beats[:, 0]).mean() * 1e6, 2e5, 2e6))
        group = f"pop909/{folder.name}"
        piece = _piece(
            group, "pop", group, in_validation(group), parts, (meter,), chords, has_velocity=True, tempo=tempo
        )
        if piece:
            yield piece


def _lieder(data: Path) -> Iterator[Piece]:
    files = sorted((data / "openscore-lieder").glob("*.mxl"))
    for path in files[:: max(1, len(files) // _LIEDER)]:
        parts, meters = read_musicxml(path)
        piano = max(
            (p for p in parts if p.staves > 1 or "pian" in p.name.lower()),
            key=lambda p: len(p.notes),
            default=None,
        )
        voice = next((p for p in parts if p is not piano and p.sung), None)
        if piano is None or voice is None:
            continue
        title = re.sub(r"__lc\d+$", "", path.stem)
        group = "lied/" + re.sub(r"[^a-z]", "", title.split("__")[-1].lower())
        piece = _piece(
            f"openscore-lieder/{path.stem}",
            "lied",
            group,
            in_validation(group),
            [voice.notes, piano.notes],
            meters,
        )
        if piece:
            yield piece


def _quartets(data: Path) -> Iterator[Piece]:
    for path in sorted((data / "openscore-quartets").glob("*.mxl"))[:_QUARTETS]:
        parts, meters = read_musicxml(path)
        parts = [p for p in parts if len(p.notes)]
        if len(parts) != 4:
            continue
        group = f"quartet/{path.stem}"
        piece = _piece(
            f"openscore-quartets/{path.stem}",
            "quartet",
            group,
            in_validation(group, 0.15),
            [p.notes for p in parts],
            meters,
        )
        if piece:
            yield piece


def _chorales(data: Path) -> Iterator[Piece]:
    chorales = json.loads((data / "jsb-chorales" / "jsb16th.json").read_text())
    for split in ("train", "valid"):
        for i, frames in enumerate(chorales.get(split, [])):
            array = np.array([[v if 0 < v < 128 else 0 for v in f] for f in frames])
            parts = [_notes_from_frames(array[:, voice]) for voice in range(array.shape[1])]
            name = f"jsb-chorales/{split}/{i}"
            piece = _piece(name, "chorale", name, split == "valid", parts, (Meter(0, 4, 4),))
            if piece:
                yield piece


def _notes_from_frames(pitch: np.ndarray) -> np.ndarray:
    """Notes of one voice of sixteenth-note frames. Repeated notes are not marked there: a held pitch is cut
    at every quarter, as it is nearly always sung so.
    """
    start = np.ones(len(pitch), bool)
    start[1:] = pitch[1:] != pitch[:-1]
    index = np.flatnonzero(start)
    length = np.diff([*index.tolist(), len(pitch)])
    sounding = pitch[index] > 0
    step = TICKS_PER_QUARTER // 4
    return make_notes(index[sounding] * step, length[sounding] * step, pitch[index][sounding], 80)


@contextmanager
def _quiet_output() -> Iterator[None]:
    """The ABC reader writes every oddity of a file to the process's output, below Python's streams."""
    flush = ctypes.CDLL(None).fflush
    sys.stdout.flush()
    saved, null = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    try:
        yield
    finally:
        flush(None)
        for stream, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
        os.close(null)


def _hymns(data: Path) -> Iterator[Piece]:
    import symusic

    for path in sorted((data / "openhymnal").glob("*.abc")):
        with _quiet_output():
            try:
                abc = symusic.Score(path)
            except RuntimeError:
                continue
        if len(abc.tracks) != 4 or not abc.time_signatures:
            continue
        scale = TICKS_PER_QUARTER / abc.ticks_per_quarter
        parts = [
            make_notes(
                [int(n.time * scale) for n in t.notes],
                [max(int(n.duration * scale), 1) for n in t.notes],
                [n.pitch for n in t.notes],
                80,
            )
            for t in abc.tracks
        ]
        ends = [int((p["onset_tick"] + p["duration_tick"]).max()) if len(p) else 0 for p in parts]
        if max(ends) - min(ends) > 4 * TICKS_PER_QUARTER:
            continue  # The reader lost its place in one of the voices.
        signature = abc.time_signatures[0]
        meter = Meter(0, signature.numerator, signature.denominator)
        group = "hymn/" + path.stem.split("-")[-1].lower()
        piece = _piece(f"openhymnal/{path.stem}", "hymn", group, in_validation(group), parts, (meter,))
        if piece:
            yield piece


def estimate_key(notes: np.ndarray) -> tuple[int, str]:
    """Tonic and mode by the profiles of Albrecht and Shanahan (2013), correlation over durations."""
    chroma = np.bincount(notes["pitch"] % 12, notes["duration_tick"], minlength=12)
    scores = [np.corrcoef(profile, chroma)[0, 1] for profile in KEY_PROFILES]
    key = key_of_class(int(np.argmax(scores)))
    return key.tonic, key.mode
