"""What the melody thinks of harmonize's substitutions, on validation songs with the chords of people.

    python -m training.harmony.reharmonized --data ../shared/data

Each song's own chords are reharmonized below its melody by amounts up to 1, once as the stage does it, and
once deaf to the melody (the same rules, any note allowed), which is the floor.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import parse_chord
from segue.harmonize.encoding import note_chroma
from segue.harmonize.floors import key_by_profile
from segue.harmonize.reharmonize import reharmonize
from segue.harmonize.voicing import Span
from segue.ingest.key import Key
from segue.metrics.harmony import mean_quality, quality
from segue.score import TICKS_PER_QUARTER, make_notes, no_notes
from training.harmony.data import IGNORE, Song, is_validation, load_songs

AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def grid_of(song: Song) -> Grid:
    """The beats of a song, one quarter each."""
    downbeats = np.flatnonzero(song.place[:, 0] > 0)
    beats = np.arange(len(song))
    bar = np.searchsorted(downbeats, beats, "right")
    edges = np.concatenate([[0], downbeats, [len(song)]])
    return Grid(
        np.arange(len(song) + 1) * TICKS_PER_QUARTER, beats - edges[bar], np.diff(edges)[bar], song.place
    )


def melody_of(song: Song) -> np.ndarray:
    """The melody as a NOTE array, one beat a quarter."""
    onset, duration, pitch = song.notes.T
    ticks = [np.round(x * TICKS_PER_QUARTER) for x in (onset, np.maximum(duration, 0.01))]
    return make_notes(*ticks, pitch, 80)


def spans_of(song: Song) -> list[Span]:
    """The chords of a song; a beat without a known chord goes on with the one before."""
    spans: list[Span] = []
    for beat, label in enumerate(song.labels):
        chord = parse_chord(label) if label != "X" or not spans else spans[-1].chord
        start, end = beat * TICKS_PER_QUARTER, (beat + 1) * TICKS_PER_QUARTER
        if spans and spans[-1].chord == chord:
            spans[-1] = Span(chord, spans[-1].start, end)
        else:
            spans.append(Span(chord, start, end))
    return spans


def keys_of(song: Song, spans: list[Span], melody: np.ndarray, grid: Grid) -> list[Key]:
    """The key of each chord: the song's own, or for lead sheets the profile's of melody and chords."""
    if (song.key != IGNORE).all():
        found = song.key[[span.start // TICKS_PER_QUARTER for span in spans]].tolist()
    else:
        tones = [(span, p) for span in spans for p in span.chord.pitch_classes]
        below = make_notes(
            [s.start for s, _ in tones], [s.end - s.start for s, _ in tones], [48 + p for _, p in tones], 80
        )
        found = [key_by_profile(note_chroma(melody, below, grid.ticks).sum(axis=0))] * len(spans)
    return [Key(k % 12, "minor" if k >= 12 else "major") for k in found]


def measure(songs: list[Song], amount: float, listens: bool, seed: int) -> dict[str, Any]:
    """The figures of all songs at one amount; with `listens` the melody decides, as in the stage."""
    rows, rules, beats, changed, places = [], [], 0, 0, 0
    for song in songs:
        grid, melody, spans = grid_of(song), melody_of(song), spans_of(song)
        keys = keys_of(song, spans, melody, grid)
        heard = melody if listens else no_notes()
        new, done = reharmonize(spans, keys, heard, no_notes(), grid, amount, "full", seed)
        by_beat = _by_beat(new, len(song))
        changed += sum(a != b for a, b in zip(by_beat, _by_beat(spans, len(song)), strict=True))
        beats += len(song)
        rules += [substitution.rule for substitution in done]
        places += len(spans)
        rows.append(quality(*song.notes.T, by_beat))
    return {
        "beats changed, %": round(100 * changed / beats, 1),
        "chords added or replaced per 100": round(100 * len(rules) / places, 1),
        **{name: round(value, 3) for name, value in mean_quality(rows).items()},
        "rules": {rule: rules.count(rule) for rule in sorted(set(rules))},
    }


def _by_beat(spans: list[Span], beats: int) -> list:
    starts = np.array([span.start for span in spans])
    index = np.searchsorted(starts, np.arange(beats) * TICKS_PER_QUARTER, "right") - 1
    return [spans[i].chord for i in index]


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("training/runs/harmony"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    songs = [s for s in load_songs(arguments.data, arguments.cache) if is_validation(s) and len(s.notes)]
    for name, chosen in (
        ("POP909", [s for s in songs if s.corpus == "pop909"]),
        ("OpenEWLD", [s for s in songs if s.corpus == "openewld"]),
    ):
        for listens in (True, False):
            for amount in AMOUNTS[0 if listens else 1 :]:
                figures = measure(chosen, amount, listens, arguments.seed)
                head = {"set": name, "songs": len(chosen), "amount": amount, "melody heard": listens}
                print(json.dumps(head | figures), flush=True)


if __name__ == "__main__":
    main()
