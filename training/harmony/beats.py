"""Where the beat of a file lies that ignores its own grid: constants of `segue.beats.phase_of`, and figures.

`PYTHONPATH=src:. python -m training.harmony.beats --data ../shared/data` prints in how many of POP909's songs
the beat is found, from the melody alone and from all tracks, with the beats of `beat_midi.txt` as the truth,
and what that means for the chords. With `--fit` it fits the constants on the training songs first and prints
them. With `--paper` it prints how many pieces that were written on paper, and lie on their grid, are moved.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.beats import Grid, beat_grid, contradiction, gathering, phase_of, place_shares, shift_grid
from segue.harmonize.decode import Progression, find_classes
from segue.harmonize.listening import Parts, heard
from segue.ingest.formats import read
from segue.midi import read_midi
from segue.runtime import Model, load_model
from segue.score import no_notes, ticks_from_seconds
from training.harmony.data import Song, is_validation, load_songs

#: A beat counts as found within this distance of the true one, in beats.
FOUND = 0.1
#: Weight of the squared constants beside the mean negative log likelihood.
_RIDGE = 1e-5
#: Files of music that was written on paper.
_ON_PAPER = (
    "openewld/*.mxl",
    "openhymnal/*.abc",
    "openscore-lieder/*.mxl",
    "openscore-quartets/*.mxl",
    "tunebooks/**/*.abc",
)
#: How long every note sounds where none tells anything by its length, in beats.
_SHORT = 0.2
#: How often each plain pulse counts.
_PULSES = 5


@dataclass(frozen=True)
class Recording:
    """A POP909 file as it is: its parts, its own beats, and where the true beats lie, in ticks."""

    melody: np.ndarray
    others: np.ndarray
    grid: Grid
    beats: np.ndarray

    @property
    def phase(self) -> float:
        """How far the true beats lie from the file's, in beats: their mean on the circle."""
        places = np.interp(self.beats, self.grid.ticks, np.arange(len(self.grid.ticks)))
        return float(np.angle(np.exp(2j * np.pi * places).mean())) / (2 * np.pi)

    @property
    def all_notes(self) -> np.ndarray:
        """All of its notes."""
        return np.concatenate([self.melody, self.others])


def read_recording(folder: Path) -> Recording:
    """The file of a song's folder, and the beats that are known of it."""
    score, _ = read_midi((folder / f"{folder.name}.mid").read_bytes())
    notes = {track.name: track.notes for track in score.tracks}
    lines = (folder / "beat_midi.txt").read_text().splitlines()
    seconds = np.array([float(line.split()[0]) for line in lines if line.strip()])
    others = np.concatenate([notes["BRIDGE"], notes["PIANO"]])
    parts = Parts(notes["MELODY"], others)
    grid = beat_grid(score, parts.last_tick)
    return Recording(notes["MELODY"], others, grid, ticks_from_seconds(score, seconds))


def apart(a: float, b: float) -> float:
    """Distance of two phases in beats, at most half a beat."""
    return abs((a - b + 0.5) % 1 - 0.5)


def figures(songs: list[Song], recordings: list[Recording], model: Model) -> str:
    """How often the beat is found, and the chords' accuracy there and on the true phase, in lines."""
    lines = [
        f"{len(recordings)} songs; beat found, a quarter off, half off; chords there, on the true beat (%)"
    ]
    for name, has_others in (("melody alone", False), ("all tracks", True)):
        off, right, best, beats = [], 0, 0, 0
        for song, recording in zip(songs, recordings, strict=True):
            parts = Parts(recording.melody, recording.others if has_others else no_notes())
            notes = recording.all_notes if has_others else recording.melody
            phase = phase_of(notes, recording.grid)
            off.append(apart(phase, recording.phase))
            right += _chords_right(song, recording, parts, phase, model)
            best += _chords_right(song, recording, parts, recording.phase, model)
            beats += int((song.strict >= 0).sum())
        shares = np.histogram(off, [0, FOUND, 0.375, 0.51])[0] / len(off)
        shown = ", ".join(f"{100 * share:.1f}" for share in (*shares, right / beats, best / beats))
        lines.append(f"{name}: {shown}")
    return "\n".join(lines)


def _chords_right(song: Song, recording: Recording, parts: Parts, phase: float, model: Model) -> int:
    """How many of the true beats have the right class when the beats are heard at this phase."""
    grid = shift_grid(recording.grid, phase) if phase else recording.grid
    hearing = heard(model, parts, grid)
    progression = Progression.from_card(model.card["progression"])
    free = np.full(len(grid), -1)
    classes = find_classes(hearing, grid, progression, "auto", free, parts.alone(grid))
    beats = np.append(recording.beats, 2 * recording.beats[-1] - recording.beats[-2])
    middle = (beats[:-1] + beats[1:]) // 2
    index = np.clip(np.searchsorted(grid.ticks, middle, "right") - 1, 0, len(grid) - 1)
    return int((classes[index] == song.strict)[song.strict >= 0].sum())


def examples(recordings: Iterable[Recording], sheets: Iterable[Song]) -> tuple[np.ndarray, np.ndarray]:
    """What `place_shares` tells, shape (examples, 4, 4, 13), and which of the four sixteenths is the beat.

    Of recordings the melody, the other tracks and both; of lead sheets, which lie on their grid, the melody.
    Each is there twice, the second time with short notes alone, for many files have no others. Plain pulses
    of quarters, halves and whole notes are on the beat.
    """
    found = []
    for recording in recordings:
        for notes in (recording.melody, recording.others, recording.all_notes):
            marks, places = recording.grid.ticks, np.arange(len(recording.grid.ticks))
            onset = np.interp(notes["onset_tick"], marks, places)
            end = np.interp(notes["onset_tick"].astype(np.int64) + notes["duration_tick"], marks, places)
            found += _twice(onset, end - onset, recording.phase)
    for sheet in sheets:
        found += _twice(sheet.notes[:, 0], sheet.notes[:, 1], 0.0)
    for beats in (1, 2, 4):
        sounding = [length for length in (_SHORT, 0.5, 0.75, 1, 2, 4) if length <= beats]
        onset = np.arange(64.0) * beats
        found += [(place_shares(onset, np.full(64, length)), 0) for length in sounding] * _PULSES
    return np.stack([shares for shares, _ in found]), np.array([which for _, which in found])


def _twice(onset: np.ndarray, duration: np.ndarray, phase: float) -> list[tuple[np.ndarray, int]]:
    """The shares with the notes' lengths and without, and the true sixteenth.

    Nothing where the notes do not lie on sixteenths of the true beat.
    """
    parts, offset = gathering(onset)
    which = round((phase - offset) * 4)
    if parts != 4 or apart(phase, offset + which / 4) > FOUND:
        return []
    lengths = (duration, np.full(len(duration), _SHORT))
    return [(place_shares(onset - offset, length), which % 4) for length in lengths]


def fit(shares: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The constants, shape (4, 13), of the conditional logit (McFadden 1974) with a ridge."""
    from scipy.optimize import minimize

    rows, table = np.arange(len(which)), shares.shape[2:]
    shares = shares.reshape(*shares.shape[:2], -1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = shares @ weights
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        value = -np.log(chances[rows, which]).mean() + _RIDGE * (weights @ weights)
        chances[rows, which] -= 1
        return value, np.einsum("nc,ncf->f", chances, shares) / len(which) + 2 * _RIDGE * weights

    return minimize(loss, np.zeros(shares.shape[2]), jac=True, method="L-BFGS-B").x.reshape(table)


def moved_on_paper(data: Path) -> str:
    """How many pieces of the data that come from sheet music are moved, and the largest log odds for it."""
    pieces, moved, odds = 0, [], 0.0
    for path in sorted(path for pattern in _ON_PAPER for path in data.glob(pattern)):
        score, _, _ = read(path.read_bytes(), path.name, 20)
        notes = np.concatenate([no_notes(), *(t.notes for t in score.tracks if not t.is_drum)])
        if not len(notes):
            continue
        grid = beat_grid(score, Parts(notes, no_notes()).last_tick)
        if grid.count.max() == 1:
            continue
        pieces += 1
        marks, places = grid.ticks, np.arange(len(grid.ticks))
        onset = np.interp(notes["onset_tick"], marks, places)
        end = np.interp(notes["onset_tick"].astype(np.int64) + notes["duration_tick"], marks, places)
        parts, _ = gathering(onset)
        if parts == 4:
            odds = max(odds, contradiction(onset, end - onset))
        if phase_of(notes, grid):
            moved.append(path.stem)
    return f"{len(moved)} of {pieces} pieces on paper are moved {moved}; largest log odds {odds:.1f}"


def main() -> None:
    """Print the figures, with `--fit` the constants before them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("training/runs/harmony"))
    parser.add_argument("--fit", action="store_true", help="fit the constants on the training songs")
    parser.add_argument("--training", action="store_true", help="figures of the training songs, too")
    parser.add_argument("--paper", action="store_true", help="count the pieces on paper that are moved, too")
    options = parser.parse_args()
    songs = load_songs(options.data, options.cache)
    pop = [song for song in songs if song.name.startswith("pop909/")]
    recordings = {song.name: read_recording(options.data / song.name) for song in pop}
    parts = {"training": [], "validation": []}
    for song in pop:
        parts["validation" if is_validation(song) else "training"].append(song)
    if options.fit:
        sheets = [s for s in songs if s.name.startswith("openewld/") and not is_validation(s)]
        weights = fit(*examples([recordings[song.name] for song in parts["training"]], sheets))
        for table in np.split(np.round(weights, 1), (6, 12), axis=1):
            print(np.array2string(table, separator=", "))
    for name in ("training", "validation") if options.training else ("validation",):
        heard_songs = [recordings[song.name] for song in parts[name]]
        print(f"{name}: {figures(parts[name], heard_songs, load_model('harmony'))}")
    if options.paper:
        print(moved_on_paper(options.data))


if __name__ == "__main__":
    main()
