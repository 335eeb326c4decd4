"""Songs with beats, chords and keys, as arrays that the network trains on.

POP909 gives beat times, chord intervals and keys in seconds; the ticks of its MIDI files do not lie on the
beat, so everything is aligned through seconds. OpenEWLD gives lead sheets: a melody and chord symbols. Jazz
solos are in `solos`, hymns and chorales in `voices`.
"""

from __future__ import annotations

import csv
import hashlib
import pickle
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segue.beats import beat_grid, place_in_bar
from segue.chords import NO_CHORD, Chord, chord_index_at, chords_of_record, majmin_class, parse_chord
from segue.harmonize.encoding import Melody, accompaniment_columns, melody_columns
from segue.harmonize.vocabulary import classes_of
from segue.ingest.chords import chord_markers
from segue.ingest.formats import read
from segue.midi import read_midi
from segue.score import ticks_from_seconds

IGNORE = -1
_CACHE_VERSION = 11


@dataclass
class Song:
    """One piece by beats. Labels are int64, shape (beats,), IGNORE where unknown."""

    name: str
    group: str
    place: np.ndarray
    melody: Melody
    #: BASS and OTHERS columns by the tracks that sound: "bridge", "piano", "both"; "bass" and "both" of
    #: four voices; for lead sheets and solos "block" and "upper", the chord symbols themselves as block
    #: chords with and without a bass.
    accompaniment: dict[str, np.ndarray]
    #: Nearest majmin class and colour, what the network learns.
    chord: np.ndarray
    colour: np.ndarray
    #: Majmin class as mir_eval reduces it, IGNORE for chords that it leaves out.
    strict: np.ndarray
    labels: list[str]
    #: Key 0..11 major, 12..23 minor, by beat.
    key: np.ndarray
    #: Melody notes, columns onset and duration in beats and MIDI pitch, shape (notes, 3).
    notes: np.ndarray
    grams: set = field(default_factory=set, repr=False)

    def __len__(self) -> int:
        return len(self.chord)

    @property
    def corpus(self) -> str:
        """The data set that it is from."""
        return self.name.split("/")[0]


def read_pop909(folder: Path) -> list[Song]:
    """All songs of a POP909 folder, in the order of their names."""
    return [_pop909_song(path) for path in sorted(folder.iterdir()) if path.is_dir()]


def _pop909_song(folder: Path) -> Song:
    score, _ = read_midi((folder / f"{folder.name}.mid").read_bytes())
    notes = {track.name: track.notes for track in score.tracks}
    rows = [line.split() for line in (folder / "beat_midi.txt").read_text().splitlines() if line.strip()]
    # Some lines run into the next one; a bar is four beats where the third column marks it.
    times = np.array([float(row[0]) for row in rows])
    starts_bar = np.array([row[2].startswith("1") for row in rows])
    boundaries = np.append(times, 2 * times[-1] - times[-2])
    ticks = np.maximum.accumulate(ticks_from_seconds(score, boundaries))
    spans = _intervals(folder / "chord_midi.txt")
    labels = _label_by_beat(spans, boundaries)
    keys = _label_by_beat(_intervals(folder / "key_audio.txt"), boundaries, fill=True)
    others = {"bridge": notes["BRIDGE"], "piano": notes["PIANO"]}
    others["both"] = np.concatenate([others["bridge"], others["piano"]])
    return Song(
        name=f"pop909/{folder.name}",
        group=folder.name,
        place=_place(starts_bar),
        melody=melody_columns(notes["MELODY"], ticks),
        accompaniment={k: accompaniment_columns(v, ticks) for k, v in others.items() if len(v)},
        **chord_labels(labels),
        key=np.array([_key_class(k) for k in keys]),
        notes=notes_by_beat(notes["MELODY"], ticks),
        grams=melodic_grams(notes["MELODY"]),
    )


def read_openewld(folder: Path) -> list[Song]:
    """All lead sheets of an OpenEWLD folder; sheets of one title are one group. Keys are not known."""
    with open(folder / "index.csv", encoding="utf-8", newline="") as file:
        titles = {row["file"]: row["title"] for row in csv.DictReader(file)}
    return [_lead_sheet(path, titles[path.name]) for path in sorted(folder.glob("*.mxl"))]


def _lead_sheet(path: Path, title: str) -> Song:
    score, _, _ = read(path.read_bytes(), path.name, 20)
    grid = beat_grid(score)
    melody = np.concatenate([track.notes for track in score.tracks])
    record = {"chords": [{"tick": t.tick, "label": t.text} for t in chord_markers(score)]}
    starts, chords = chords_of_record(record)
    middle = (grid.ticks[:-1] + grid.ticks[1:]) // 2
    index = chord_index_at(starts, middle)
    # A number for the group, so that the split is made as for POP909.
    number = int.from_bytes(hashlib.sha256(re.sub(r"\W", "", title.lower()).encode()).digest()[:4], "big")
    return Song(
        name=f"openewld/{path.stem}",
        group=f"title-{number}",
        place=grid.place,
        melody=melody_columns(melody, grid.ticks),
        accompaniment=block_chords([NO_CHORD if i < 0 else chords[i] for i in index]),
        **chord_labels([None if i < 0 else chords[i].harte() for i in index]),
        key=np.full(len(grid), IGNORE),
        notes=notes_by_beat(melody, grid.ticks),
    )


def block_chords(chords: list[Chord]) -> dict[str, np.ndarray]:
    """BASS and OTHERS columns of held chords, one a beat: with their bass, and the upper tones alone."""
    columns = {
        "block": np.zeros((len(chords), 24), np.float32),
        "upper": np.zeros((len(chords), 24), np.float32),
    }
    for i, chord in enumerate(chords):
        tones = list(chord.pitch_classes)
        if not tones:
            continue
        columns["block"][i, chord.bass] = 1
        columns["block"][i, [12 + t for t in tones]] = 1 / len(tones)
        # In close position the lowest upper tone is the third, fifth or root by turns.
        columns["upper"][i, tones[i // 8 % min(len(tones), 3)]] = 1
        columns["upper"][i, [12 + t for t in tones]] = 1 / len(tones)
    return columns


def _intervals(path: Path) -> list[tuple[float, float, str]]:
    rows = (line.split() for line in path.read_text().splitlines() if line.strip())
    return [(float(a), float(b), label) for a, b, label in rows]


def _label_by_beat(
    spans: list[tuple[float, float, str]], boundaries: np.ndarray, fill: bool = False
) -> list[str | None]:
    """The label that covers most of each beat, None where none does (or the nearest one with `fill`)."""
    begin, end = np.array([s[0] for s in spans]), np.array([s[1] for s in spans])
    overlap = np.minimum(end, boundaries[1:, None]) - np.maximum(begin, boundaries[:-1, None])
    best = overlap.argmax(axis=1)
    return [spans[b][2] if fill or overlap[i, b] > 0 else None for i, b in enumerate(best)]


def _place(starts_bar: np.ndarray) -> np.ndarray:
    """Place in the bar from the beats that are marked as downbeats."""
    first = np.flatnonzero(starts_bar)
    if not len(first):
        return np.zeros((len(starts_bar), 3), np.float32)
    bar = np.searchsorted(first, np.arange(len(starts_bar)), "right") - 1
    number = np.where(
        bar >= 0, np.arange(len(starts_bar)) - first[bar], 4 - first[0] + np.arange(len(starts_bar))
    )
    return place_in_bar(number, np.full(len(starts_bar), 4))


def chord_labels(labels: list[str | None]) -> dict:
    """The chord fields of a `Song` from Harte labels by beat, None where none is known.

    Raises ValueError for labels that cannot be read.
    """
    chords = [None if label is None else parse_chord(label) for label in labels]
    unread = {x for x, c in zip(labels, chords, strict=True) if x is not None and c is None}
    if unread:
        raise ValueError(f"chord labels that cannot be read: {sorted(unread)}")
    known = [(IGNORE, IGNORE) if c is None else classes_of(c) for c in chords]
    return {
        "chord": np.array([k[0] for k in known]),
        "colour": np.array([k[1] for k in known]),
        "strict": np.array([IGNORE if c is None else majmin_class(c) for c in chords]),
        "labels": ["X" if c is None else c.harte() for c in chords],
    }


def _key_class(name: str) -> int:
    root, mode = name.split(":")
    return parse_chord(root).root + (12 if mode.startswith("min") else 0)


def notes_by_beat(melody: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Onset and duration in beats, and pitch; ordered by onset, then from the highest note."""
    melody = melody[np.lexsort((-melody["pitch"].astype(int), melody["onset_tick"]))]
    beats = np.arange(len(ticks))
    onset = np.interp(melody["onset_tick"], ticks, beats)
    end = np.interp(melody["onset_tick"].astype(np.int64) + melody["duration_tick"], ticks, beats)
    return np.stack([onset, end - onset, melody["pitch"]], axis=1)


def melodic_grams(melody: np.ndarray, size: int = 10) -> set:
    """Runs of melodic intervals, for finding songs that share a melody."""
    steps = np.diff(melody["pitch"].astype(int)).tolist()
    return {tuple(steps[i : i + size]) for i in range(len(steps) - size + 1)}


def group_near_duplicates(songs: list[Song], share: float = 0.3) -> int:
    """Give songs that share much of their melody one group; returns how many songs were moved."""
    owners = defaultdict(list)
    for i, song in enumerate(songs):
        for gram in song.grams:
            owners[gram].append(i)
    common: dict[tuple[int, int], int] = defaultdict(int)
    for holders in owners.values():
        if len(holders) > 10:
            continue
        for a in range(len(holders)):
            for b in holders[a + 1 :]:
                common[holders[a], b] += 1
    moved = 0
    for (a, b), count in sorted(common.items()):
        if (
            count >= share * min(len(songs[a].grams), len(songs[b].grams))
            and songs[a].group != songs[b].group
        ):
            old, new = songs[b].group, songs[a].group
            for song in songs:
                if song.group == old:
                    song.group = new
            moved += 1
    return moved


def is_validation(song: Song) -> bool:
    """One tenth of the songs, by the last digit of the group's number."""
    return re.sub(r"\D", "", song.group)[-1:] == "5"


def load_songs(data: Path, cache: Path) -> list[Song]:
    """All songs, encoded once and kept in `cache`."""
    path = cache / f"songs-{_CACHE_VERSION}.pickle"
    if path.is_file():
        return pickle.loads(path.read_bytes())
    # Imported here since they make the songs of this module.
    from training.harmony.solos import read_solos
    from training.harmony.voices import read_chorales, read_hymns

    songs = read_pop909(data / "pop909")
    songs += read_chorales(data / "jsb-chorales") + read_hymns(data / "openhymnal")
    songs += read_openewld(data / "openewld") + read_solos(data / "weimar-jazz")
    group_near_duplicates(songs)
    cache.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(songs))
    return songs
