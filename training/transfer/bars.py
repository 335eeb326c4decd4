"""How well the bars of files in 1/4 are found, beside the bar lines that POP909 annotates.

    PYTHONPATH=src:. python -m training.transfer.bars --data ../shared/data

Every file of a validation song in 1/4 is read as it is, with the chords that harmonize hears in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from segue.harmonize import hear_chords
from segue.ingest.roles import find_roles
from segue.metrics.bootstrap import interval_of_mean
from segue.midi import read_midi
from segue.runtime import Model, load_model
from segue.score import TICKS_PER_QUARTER, bar_starts, ticks_from_seconds
from segue.transfer.frame import on_its_beats
from training.transfer.pieces import in_validation

#: A bar line this near to an annotated one is the same.
_NEAR = TICKS_PER_QUARTER // 8


def found(folder: Path, model: Model) -> tuple[float, bool] | None:
    """Share of a song's annotated bar lines that are found, and whether bars have the annotated size (4, or
    3 for 3 and 6); None for a song that is not in 1/4.
    """
    score, _ = read_midi((folder / f"{folder.name}.mid").read_bytes())
    if {m.name for m in score.meters} != {"1/4"}:
        return None
    record = {"tracks": [{"role": role, "name": ""} for role in find_roles(score)]}
    symbols = hear_chords(score, record, model)
    record["chords"] = [{"tick": s.tick, "label": s.chord.symbol()} for s in symbols]
    framed, _, late = on_its_beats(score, record)
    beats = np.loadtxt(folder / "beat_midi.txt")
    lines = ticks_from_seconds(score, beats[beats[:, 2] > 0, 0])
    size = int(np.bincount(np.diff(np.flatnonzero(beats[:, 2]))).argmax())
    bars = bar_starts(framed) + late
    beside = np.abs(bars[:, None] - lines[None, :]).min(axis=0)
    sizes = np.diff(bars) // TICKS_PER_QUARTER
    return float((beside < _NEAR).mean()), bool(np.bincount(sizes).argmax() == (3 if size % 3 == 0 else 4))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Measure the bars that are found for files in 1/4.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    args = parser.parse_args()
    model = load_model("harmony")
    folders = [f for f in sorted((args.data / "pop909").iterdir()) if in_validation(f"pop909/{f.name}")]
    rows = [row for folder in folders if folder.is_dir() and (row := found(folder, model))]
    lines, sizes = (np.array(column, float) for column in zip(*rows, strict=True))
    low, high = interval_of_mean(lines)
    print(f"{len(rows)} songs in 1/4, bars of the right size in {100 * sizes.mean():.1f} %")
    print(f"bar lines found: {100 * lines.mean():.1f} % [{100 * low:.1f}, {100 * high:.1f}]")


if __name__ == "__main__":
    main()
