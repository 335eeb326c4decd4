"""How near the stage comes to drummers: performances quantised, played by the stage, and compared.

Conventions
-----------
- A performance is a MIDI file in 4/4 throughout with a drum track (channel 10), played to its own bars.
- Of each performance only which drum is hit at which sixteenth is kept, one hit a class and step, at one
  velocity for all; the stage plays it as it plays any written piece, the whole file at once.
- The table is over windows of two bars, one bar apart, so that hits of inner bars count twice.
- Metrics and their source: `segue.metrics.groove`. The quantised row is what the stage was given: every hit
  on its sixteenth at the median velocity of all hits. The ridge row is a linear model that has learnt from
  the other files of the same folder, a fifth of them left out at a time.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.humanize import apply
from segue.humanize.encoding import (
    CLASS_COUNT,
    CLASS_OF_PITCH,
    SLOT_STEPS,
    STEP_TICKS,
    WINDOW_STEPS,
    cells_from_hits,
    tempo_features,
)
from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.groove import groove_scores, step_seconds
from segue.metrics.ridge import DrumWindows, cross_validated
from segue.midi import MidiError, read_midi
from segue.process import piece_seed
from segue.runtime import Model
from segue.score import DRUM_CHANNEL, Score, Track, bpm_at, make_notes, meters_from_zero, notes_by_pitch
from segue.stage import Settings, StageError

SUFFIXES = (".mid", ".midi")
#: What the table info.csv of a data set is asked for.
COLUMNS = ("midi_filename", "split", "beat_type")
#: Parts of the folder that are left out in turn for the ridge row, and how many files it needs.
RIDGE_FOLDS, RIDGE_FILES = 5, 10
RIDGE = "ridge"


@dataclass(frozen=True)
class Hits:
    """One entry a hit, each (n,): place in ticks, offset in steps, velocity in [0, 1], MIDI pitch, bpm.

    The place is where it would be written. Sorted by pitch, then place.
    """

    place_tick: np.ndarray
    offset: np.ndarray
    velocity: np.ndarray
    pitch: np.ndarray
    bpm: np.ndarray

    @property
    def step(self) -> np.ndarray:
        """The sixteenth of each place from the start, int64, (n,)."""
        return self.place_tick // STEP_TICKS


@dataclass(frozen=True)
class Take:
    """A performance: where it comes from, its score, its hits."""

    path: Path
    content_sha256: str
    score: Score
    hits: Hits


@dataclass(frozen=True)
class GrooveTable:
    """The groove table over takes: rows of `groove_scores`, the 95 % interval of the MAE, and counts."""

    rows: dict[str, dict[str, float]]
    interval: tuple[float, float]
    files: int
    hits: int
    #: What the ridge row was learnt from, or why there is none.
    ridge_note: str


def performances(folder: Path, split: str | None = None, kind: str = "beat") -> list[Path]:
    """The MIDI files below `folder`, sorted; with `split`, those that `folder`/info.csv names.

    They are of that split and of that kind of the data set's, beats or fills.

    Raises `StageError` where there are none.
    """
    if split is None:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    else:
        table = folder / "info.csv"
        if not table.is_file():
            raise StageError(f"{table} is not there, and it tells which files belong to {split}")
        with table.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise StageError(f"{table} has no column {', '.join(missing)}, and so tells of no split")
            found = [
                folder / row["midi_filename"]
                for row in rows
                if row["split"] == split and row["beat_type"] == kind
            ]
    if not found:
        raise StageError(f"there are no MIDI files in {folder}" + (f" of split {split}" if split else ""))
    return found


def read_take(path: Path) -> Take:
    """The performance in a file, on sixteenths. Raises `StageError` where it cannot be measured, and why."""
    score, content = read_score(path)
    if any((m.numerator, m.denominator) != (4, 4) for m in meters_from_zero(score)):
        raise StageError("not in 4/4 throughout")
    notes = known_hits(score)
    place = np.floor(notes["onset_tick"] / STEP_TICKS + 0.5) * STEP_TICKS
    return Take(path, content, score, hits_of(score, notes, place))


def read_score(path: Path) -> tuple[Score, str]:
    """The score in a file and the hash of its bytes. Raises `StageError` where there is none."""
    data = path.read_bytes()
    try:
        return read_midi(data)[0], hashlib.sha256(data).hexdigest()
    except MidiError as error:
        raise StageError(str(error)) from error


def known_hits(score: Score) -> np.ndarray:
    """The notes of all drum tracks that the model knows. Raises `StageError` where there are none."""
    drums = [track.notes for track in score.tracks if track.is_drum and len(track.notes)]
    if not drums:
        raise StageError("no drum track (MIDI channel 10)")
    notes = np.concatenate(drums)
    notes = notes[CLASS_OF_PITCH[notes["pitch"]] >= 0]
    if not len(notes):
        raise StageError("no drum that the model knows")
    return notes


def hits_of(score: Score, notes: np.ndarray, place_tick: np.ndarray) -> Hits:
    """What a performance does at the places (n,) of its notes; of one drum and place the loudest counts."""
    places, index = np.unique(place_tick.astype(np.int64), return_inverse=True)
    chosen, _ = cells_from_hits(index, CLASS_OF_PITCH[notes["pitch"]], notes["velocity"], len(places))
    kept = chosen[chosen >= 0]
    kept = kept[np.lexsort((index[kept], notes["pitch"][kept]))]
    notes, at = notes[kept], places[index[kept]]
    return Hits(
        at,
        (notes["onset_tick"] - at) / STEP_TICKS,
        notes["velocity"] / 127,
        notes["pitch"],
        bpm_at(score, notes["onset_tick"]),
    )


def quantised(take: Take, velocity: int) -> Score:
    """The performance as it would be written: hits at their places, all at one MIDI velocity."""
    onset = take.hits.place_tick
    notes = make_notes(onset, np.full(len(onset), STEP_TICKS // 2), take.hits.pitch, velocity)
    track = Track("drums", DRUM_CHANNEL, notes=notes)
    return Score((track,), take.score.tempos, take.score.meters)


def replay(
    take: Take, velocity: int, settings: Settings, models: Mapping[str, Model], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets in steps and velocities in [0, 1] of the take's hits, (n,) each, as the stage plays them."""
    record = {"id": take.path.stem, "tracks": [{"human_timing": False, "role": "drums"}]}
    piece = piece_seed(take.content_sha256, "humanize", seed)
    notes = apply(quantised(take, velocity), record, settings, models, piece).score.tracks[0].notes
    # Hits of one pitch keep their order, so that the n-th written is the n-th played.
    notes = notes_by_pitch(notes)
    return (notes["onset_tick"] - take.hits.place_tick) / STEP_TICKS, notes["velocity"] / 127


def groove_table(
    takes: Iterable[Take], settings: Settings, models: Mapping[str, Model], seed: int
) -> GrooveTable:
    """The groove table over at least one take: as written, by ridge regression, by the stage."""
    takes = list(takes)
    median = round(float(np.median(np.concatenate([take.hits.velocity for take in takes]))) * 127)
    played = [replay(take, median, settings, models, seed) for take in takes]
    counted = [np.repeat(np.arange(len(take.hits.step)), _windows_of(take.hits.step)) for take in takes]

    def column(parts: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([part[rows] for part, rows in zip(parts, counted, strict=True)])

    step, true, loud, bpm = (
        column(getattr(take.hits, name) for take in takes) for name in ("step", "offset", "velocity", "bpm")
    )
    offset, velocity = column(p[0] for p in played), column(p[1] for p in played)
    rows = {
        "quantised": groove_scores(
            true, np.zeros(len(true)), loud, np.full(len(loud), median / 127), step, bpm
        )
    }
    if len(takes) >= RIDGE_FILES:
        rows[RIDGE] = ridge_scores(takes)
        note = f"{RIDGE}: ridge regression, for each fifth of the files learnt from the other four"
    else:
        note = (
            f"no {RIDGE} row: the regression learns from this folder, and needs {RIDGE_FILES} files to do so"
        )
    rows["segue"] = groove_scores(true, offset, loud, velocity, step, bpm)
    piece = np.repeat(np.arange(len(takes)), [len(rows) for rows in counted])
    error = np.abs(true - offset) * step_seconds(bpm) * 1000
    hits = sum(len(take.hits.step) for take in takes)
    return GrooveTable(rows, interval_of_mean(error, piece), len(takes), hits, note)


def ridge_scores(takes: list[Take]) -> dict[str, float]:
    """The groove table's row of ridge regression; every take is answered from takes of other folds."""
    cells = np.concatenate([_windows(take) for take in takes], axis=1)
    piece = np.repeat(np.arange(len(takes)), [_bars(take) - 1 for take in takes])
    struck = cells[0] > 0
    used = struck.any((1, 2))
    cells, piece, struck = cells[:, used], piece[used], struck[used]
    _, true, loud, bpm = cells
    mean_bpm = bpm.sum((1, 2)) / struck.sum((1, 2))
    windows = DrumWindows(struck, true, loud, tempo_features(mean_bpm))
    offset, velocity = cross_validated(windows, piece, RIDGE_FOLDS)
    step = np.broadcast_to(np.arange(WINDOW_STEPS)[:, None], struck.shape)
    return groove_scores(*(a[struck] for a in (true, offset, loud, velocity, step, bpm)))


def _windows(take: Take) -> np.ndarray:
    """Cells of the two-bar windows of a take, one bar apart, (4, windows, 32, 9).

    Whether there is a hit, its offset in steps, its velocity, its bpm. A take of one bar is a window whose
    second half is empty.
    """
    hits = take.hits
    grids = np.zeros((4, _bars(take) * SLOT_STEPS, CLASS_COUNT))
    for grid, values in zip(grids, (1, hits.offset, hits.velocity, hits.bpm), strict=True):
        grid[hits.step, CLASS_OF_PITCH[hits.pitch]] = values
    slots = grids.reshape(4, -1, SLOT_STEPS, CLASS_COUNT)
    return np.concatenate([slots[:, :-1], slots[:, 1:]], axis=2)


def _bars(take: Take) -> int:
    return max(int(take.hits.step.max()) // SLOT_STEPS + 1, 2)


def _windows_of(step: np.ndarray) -> np.ndarray:
    """In how many two-bar windows each hit lies, (n,): inner bars in two, the first and the last in one."""
    bar = step // SLOT_STEPS
    return 1 + ((bar > 0) & (bar < bar.max()))


def table_text(table: GrooveTable) -> str:
    """The table for a terminal: one row an approach, standard deviations beside the drummers' own."""
    columns = {
        "MAE ms": ("timing_mae_ms", ".2f"),
        "MSE 16th²": ("timing_mse", ".4f"),
        "timing KL": ("timing_kl", ".3f"),
        "velocity KL": ("velocity_kl", ".3f"),
        "velocity MAE": ("velocity_mae", ".1f"),
        "timing sd 16th": ("timing_std_predicted", ".3f"),
        "velocity sd": ("velocity_std_predicted", ".1f"),
    }
    lines = [f"{'':12}" + "".join(f"{name:>16}" for name in columns)]
    for name, row in table.rows.items():
        # A point has no divergence from a spread.
        cells = (format(row[k], f) if np.isfinite(row[k]) else "-" for k, f in columns.values())
        lines.append(f"{name:12}" + "".join(f"{cell:>16}" for cell in cells))
    true = table.rows["segue"]
    spread = f"{true['timing_std_true']:.3f}", f"{true['velocity_std_true']:.1f}"
    lines.append(f"{'drummers':12}" + f"{'':80}" + "".join(f"{cell:>16}" for cell in spread))
    low, high = table.interval
    lines.append(
        f"{table.files} files, {table.hits:,} hits; 95 % interval of segue's MAE: {low:.2f} to {high:.2f}"
    )
    lines.append(table.ridge_note)
    return "\n".join(lines)
