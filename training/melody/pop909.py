"""The melodies of POP909, laid on the beats of `beat_midi.txt` (the MIDI grid itself is not on the beat).

The chords of `chord_midi.txt` are laid on the nearest beats.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from segue.chords import parse_chord, pitch_class
from segue.midi import read_midi
from segue.score import seconds_from_ticks
from training.melody.tune import Tune, chord_changes


def _keys(path: Path) -> list[tuple[float, int, str]]:
    """Start in seconds, tonic and mode of each stretch of `key_audio.txt`."""
    keys = []
    for line in path.read_text().splitlines():
        start, _, label = line.split()
        name, mode = label.split(":")
        keys.append((float(start), pitch_class(name), "minor" if mode.startswith("min") else "major"))
    return keys


def _chords(path: Path) -> list[tuple[float, str]]:
    """Start in seconds and label of each line of `chord_midi.txt`, and the end of the last as no chord."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(float(start), label) for start, _, label in rows] + [(float(r[1]), "N") for r in rows[-1:]]


def _moved(label: str, semitones: int) -> str:
    chord = parse_chord(label)
    return label if chord is None else chord.transposed(semitones).symbol()


def read_song(folder: Path) -> Tune:
    """The melody of one song. Later keys are moved to the first one, with their chords.

    Raises ValueError with the reason.
    """
    score, _ = read_midi((folder / f"{folder.name}.mid").read_bytes())
    track = next((t for t in score.tracks if t.name == "MELODY"), None)
    if track is None or len(track.notes) < 12:
        raise ValueError("no melody")
    beats = np.loadtxt(folder / "beat_midi.txt")
    down = np.flatnonzero(beats[:, 2] > 0.5)
    gaps = np.diff(down)
    if len(gaps) < 8:
        raise ValueError("too few bars")
    per_bar = int(np.bincount(gaps).argmax())
    if per_bar not in (2, 3, 4, 6) or (gaps == per_bar).mean() < 0.8:
        raise ValueError("the bars are uneven")
    # A bar that is not `per_bar` long shifts what follows, so the beats are numbered from each downbeat anew.
    number = np.zeros(len(beats))
    number[: down[0]] = np.arange(-down[0], 0)
    base = 0
    for i, start in enumerate(down):
        stop = down[i + 1] if i + 1 < len(down) else len(beats)
        number[start:stop] = base + np.arange(stop - start)
        base += per_bar * max(round((stop - start) / per_bar), 1)
    # np.interp needs a rising scale; a long bar may overlap the next by a beat, which is left to its start.
    number = np.maximum.accumulate(number + 1e-6 * np.arange(len(number)))
    notes = track.notes
    onset = seconds_from_ticks(score, notes["onset_tick"])
    stop = seconds_from_ticks(score, notes["onset_tick"] + notes["duration_tick"])
    step = np.diff(beats[:, 0])[-1]
    times = np.concatenate([beats[:, 0], beats[-1, 0] + step * np.arange(1, 65)])
    places = np.concatenate([number, number[-1] + np.arange(1, 65)])
    keys = _keys(folder / "key_audio.txt")
    if not keys:
        raise ValueError("no key")
    moves = np.array([(k[1] - keys[0][1] + 6) % 12 - 6 for k in keys])

    def move_at(seconds: np.ndarray) -> np.ndarray:
        return moves[np.clip(np.searchsorted([k[0] for k in keys], seconds, "right") - 1, 0, None)]

    start = np.interp(onset, times, places) * 12
    end = np.interp(stop, times, places) * 12
    grid = np.round(start).astype(np.int64)
    top = _top_line(grid, notes["pitch"])
    changes = _chords(folder / "chord_midi.txt")
    when = np.array([c[0] for c in changes])
    beat = 12 * np.round(np.interp(when, times, places)).astype(np.int64)
    chords = [
        (at, _moved(label, -move))
        for at, (_, label), move in zip(beat.tolist(), changes, move_at(when).tolist(), strict=True)
    ]
    return Tune(
        f"pop909/{folder.name}",
        "pop909",
        "pop",
        (per_bar, 4),
        keys[0][1],
        keys[0][2],
        grid[top],
        np.maximum(np.round(end).astype(np.int64)[top] - grid[top], 1),
        (notes["pitch"].astype(np.int64) - move_at(onset))[top],
        (int(top.sum()) - 1,),
        chord_changes(chords),
    )


def _top_line(onset: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    keep = np.ones(len(onset), bool)
    order = np.lexsort((pitch, onset))
    same = onset[order][1:] == onset[order][:-1]
    keep[order[:-1][same]] = False
    return keep


def read_pop909(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable songs in order of number, and why the others were left out."""
    tunes: list[Tune] = []
    lost: Counter = Counter()
    for song in sorted(p for p in folder.iterdir() if p.is_dir()):
        try:
            tunes.append(read_song(song))
        except ValueError as error:
            lost[str(error)] += 1
    return tunes, lost
