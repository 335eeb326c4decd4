"""The Groove MIDI Dataset as windows of two bars.

Source: Gillick et al. 2019, Groove MIDI Dataset v1.0.0, CC BY 4.0, Magenta. The official split is by take.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.humanize.encoding import (
    CLASS_COUNT,
    CLASS_OF_PITCH,
    SLOT_STEPS,
    STEP_TICKS,
    WINDOW_STEPS,
    cells_from_hits,
    slot_pattern,
)
from segue.midi import read_midi

#: Bars before and after a window that count as near it.
NEAR_BARS = 4


@dataclass(frozen=True)
class Windows:
    """Two-bar windows; `piece` says which file each comes from.

    hits (n, 32, 9) bool; offset (n, 32, 9) in steps; velocity (n, 32, 9) in [0, 1]; bpm (n,); piece (n,);
    pattern (2, n, 16, 9), see `slot_pattern`: of the whole piece, and of up to ten bars around the window.
    """

    hits: np.ndarray
    offset: np.ndarray
    velocity: np.ndarray
    bpm: np.ndarray
    piece: np.ndarray
    pattern: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.hits)


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
            bar = start // SLOT_STEPS
            patterns[0].append(whole)
            patterns[1].append(slot_pattern(slots[max(bar - NEAR_BARS, 0) : bar + 2 + NEAR_BARS]))
            bpm.append(float(row["bpm"]))
            piece.append(index)
    hits, offset, velocity = (np.stack(column) for column in columns)
    names = tuple(row["midi_filename"] for row in rows)
    pattern = np.stack([np.stack(kind) for kind in patterns])
    return Windows(hits, offset, velocity, np.array(bpm), np.array(piece), pattern, names)


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
