"""The Groove MIDI Dataset as windows of two bars.

Source: Gillick et al. 2019, Groove MIDI Dataset v1.0.0, CC BY 4.0, Magenta. The official split is by take.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segue.humanize.encoding import (
    CLASS_COUNT,
    CLASS_OF_PITCH,
    SLOT_STEPS,
    STEP_TICKS,
    STYLES,
    WINDOW_STEPS,
    cells_from_hits,
    slot_pattern,
)
from segue.midi import read_midi

#: Bars before and after a window that count as near it.
NEAR_BARS = 4


@dataclass(frozen=True)
class Windows:
    """Two-bar windows; `piece` says which file each comes from, `bar` where in it the window begins.

    hits (n, 32, 9) bool; offset (n, 32, 9) in steps; velocity (n, 32, 9) in [0, 1]; bpm (n,); piece and
    bar (n,);
    pattern (2, n, 16, 9), see `slot_pattern`: of the whole piece, and of up to ten bars around the window;
    style (n, 10), one-hot over `STYLES`, zeros where the take's primary style is none of them.
    """

    hits: np.ndarray
    offset: np.ndarray
    velocity: np.ndarray
    bpm: np.ndarray
    piece: np.ndarray
    bar: np.ndarray
    pattern: np.ndarray
    style: np.ndarray
    names: tuple[str, ...]
    #: The primary style of each take, as the data set names it.
    styles: tuple[str, ...]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.hits)


def as_played(windows: Windows, answer: np.ndarray) -> np.ndarray:
    """Answers (n, 32, 9) as the stage plays them: a bar is the mean over the windows that hold it."""
    bars = np.stack([windows.bar, windows.bar + 1], axis=1) + windows.piece[:, None] * (windows.bar.max() + 2)
    _, row = np.unique(bars, return_inverse=True)
    row = row.ravel()
    halves = answer.reshape(-1, SLOT_STEPS, CLASS_COUNT).astype(float)
    total = np.zeros((row.max() + 1, SLOT_STEPS, CLASS_COUNT))
    np.add.at(total, row, halves)
    return (total / np.bincount(row)[:, None, None])[row].reshape(answer.shape)


@dataclass
class Holdings:
    """Takes and minutes of beats in 4/4, and who plays them."""

    takes: int = 0
    minutes: float = 0.0
    drummers: set[str] = field(default_factory=set)


def load_windows(folder: Path, split: str, kinds: tuple[str, ...] = ("beat",)) -> Windows:
    """Windows of the files of `split` in 4/4 whose `beat_type` is in `kinds`; hop one bar.

    A window without a hit is left out; a file shorter than two bars is one padded window.
    """
    with (folder / "info.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["split"] == split and row["beat_type"] in kinds and row["time_signature"] == "4-4"
        ]
    columns: list[list[np.ndarray]] = [[], [], []]
    bpm: list[float] = []
    piece: list[int] = []
    bar: list[int] = []
    patterns: list[list[np.ndarray]] = [[], []]
    for index, row in enumerate(rows):
        grids = _file_grids(folder / row["midi_filename"])
        slots = grids[0].reshape(-1, SLOT_STEPS, CLASS_COUNT)
        bars, whole = len(slots), slot_pattern(slots)
        for start in range(0, max(bars - 1, 1) * SLOT_STEPS, SLOT_STEPS):
            part = [grid[start : start + WINDOW_STEPS] for grid in grids]
            if not part[0].any():
                continue
            for column, values in zip(columns, part, strict=True):
                column.append(np.pad(values, ((0, WINDOW_STEPS - len(values)), (0, 0))))
            bar.append(start // SLOT_STEPS)
            patterns[0].append(whole)
            patterns[1].append(slot_pattern(slots[max(bar[-1] - NEAR_BARS, 0) : bar[-1] + 2 + NEAR_BARS]))
            bpm.append(float(row["bpm"]))
            piece.append(index)
    hits, offset, velocity = (np.stack(column) for column in columns)
    names = tuple(row["midi_filename"] for row in rows)
    styles = tuple(row["style"].split("/")[0] for row in rows)
    pattern = np.stack([np.stack(kind) for kind in patterns])
    style = (np.array(styles)[:, None] == np.array(STYLES)).astype(np.float32)[piece]
    places = np.array(piece), np.array(bar)
    return Windows(hits, offset, velocity, np.array(bpm), *places, pattern, style, names, styles)


def holdings(folder: Path, split: str) -> dict[str, Holdings]:
    """What `split` of the data set in `folder` holds of each primary style, most minutes first."""
    found: dict[str, Holdings] = defaultdict(Holdings)
    with (folder / "info.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["split"], row["beat_type"], row["time_signature"]) != (split, "beat", "4-4"):
                continue
            style = found[row["style"].split("/")[0]]
            style.takes += 1
            style.minutes += float(row["duration"]) / 60
            style.drummers.add(row["drummer"])
    return dict(sorted(found.items(), key=lambda item: -item[1].minutes))


def _file_grids(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, offsets and velocities of a file, each (steps, 9), steps filled up to whole bars."""
    score, _ = read_midi(path.read_bytes())
    notes = np.concatenate([track.notes for track in score.tracks])
    classes = CLASS_OF_PITCH[notes["pitch"]]
    notes, classes = notes[classes >= 0], classes[classes >= 0]
    position = notes["onset_tick"] / STEP_TICKS
    step = np.floor(position + 0.5).astype(np.int64)
    bars = int(step.max(initial=0)) // SLOT_STEPS + 1
    chosen, _ = cells_from_hits(step, classes, notes["velocity"], bars * SLOT_STEPS)
    hits = chosen >= 0
    offset = np.zeros((bars * SLOT_STEPS, CLASS_COUNT), np.float32)
    velocity = np.zeros_like(offset)
    offset[hits] = (position - step)[chosen[hits]]
    velocity[hits] = notes["velocity"][chosen[hits]] / 127
    return hits, offset, velocity
