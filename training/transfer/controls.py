"""How far the controls of the transfer stage move what they name, on validation pieces.

    PYTHONPATH=src:. python -m training.transfer.controls --data ../shared/data --pieces 12

Each piece is played in two styles that are not its own, with one control at a time, the others at 0. What is
measured is the new accompaniment alone:

- density: notes a quarter;
- register: mean pitch (MIDI);
- syncopation: share of onsets (of any note) off the quarter with none on the next quarter;
- complexity: different pitch classes beside the chord's own, a bar.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from segue.chords import chord_index_at, chords_of_record, pitch_class_mask
from segue.config import check_stage
from segue.process import stage_spec
from segue.score import TICKS_PER_QUARTER, bar_starts
from segue.transfer import apply
from segue.transfer.controls import CONTROLS
from segue.transfer.ensemble import join
from training.transfer.pieces import Piece, load_pieces

VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)
STYLES = ("pop", "hymn", "lied", "quartet")
_BARS = 48


def measured(piece: Piece, style: str, settings: dict[str, float]) -> dict[str, float]:
    """What each control names, of the piece in `style` with these controls."""
    spec = stage_spec("transfer", check_stage("transfer", {"style": style, **settings}), 0)
    result = apply(piece.score, piece.record, spec.load_settings(), spec.load_models(), 1)
    written = result.report["accompaniment"].get("written", [])
    notes = join([result.score.tracks[w["track"]].notes for w in written])
    return figures(notes, piece)


def figures(notes: np.ndarray, piece: Piece) -> dict[str, float]:
    """The four figures of a part (NOTE array, not empty) over the chords of its piece."""
    quarters = bar_starts(piece.score)[-1] / TICKS_PER_QUARTER
    onset = notes["onset_tick"].astype(np.int64)
    return {
        "density": len(notes) / quarters,
        "register": float(notes["pitch"].mean()),
        "syncopation": syncopation(onset),
        "complexity": colours(notes, piece),
    }


def syncopation(onset: np.ndarray) -> float:
    """Share of distinct onsets off the quarter that no onset on the next quarter follows."""
    distinct = np.unique(np.round(onset / 80).astype(np.int64))
    place, quarter = distinct % 12, distinct // 12
    struck = set(quarter[place == 0].tolist())
    off = np.array([p > 0 and q + 1 not in struck for p, q in zip(place, quarter, strict=True)])
    return float(off.mean())


def colours(notes: np.ndarray, piece: Piece) -> float:
    """Mean number of different pitch classes beside the chord's own, over the bars that sound."""
    starts, chords = chords_of_record(piece.record)
    index = chord_index_at(starts, notes["onset_tick"] + 120)
    own = np.stack([*(pitch_class_mask(c) for c in chords), np.ones(12, bool)])
    pitch_class = notes["pitch"] % 12
    foreign = ~own[index, pitch_class]
    bar = np.searchsorted(bar_starts(piece.score), notes["onset_tick"], "right")
    found = {(b, p) for b, p in zip(bar[foreign].tolist(), pitch_class[foreign].tolist(), strict=True)}
    return len(found) / len(np.unique(bar))


def table(pieces: list[Piece]) -> dict[str, np.ndarray]:
    """By control the figure it names, (pieces and styles, values)."""
    rows: dict[str, list[list[float]]] = {name: [] for name in CONTROLS}
    for i, piece in enumerate(pieces):
        styles = [s for s in STYLES if s != piece.style]
        for style in (styles[i % len(styles)], styles[(i + 1) % len(styles)]):
            neutral = measured(piece, style, {})
            for name in CONTROLS:
                played = [measured(piece, style, {name: v}) if v else neutral for v in VALUES]
                rows[name].append([p[name] for p in played])
    return {name: np.array(values) for name, values in rows.items()}


def main() -> None:
    """Print a row for each control."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("training/runs/transfer/pieces.pickle"))
    parser.add_argument("--pieces", type=int, default=12)
    args = parser.parse_args()
    held = [p for p in load_pieces(args.data, args.cache) if p.is_validation]
    held = [p for p in held if bar_starts(p.score)[-1] <= _BARS * 4 * TICKS_PER_QUARTER]
    chosen = [held[i] for i in np.linspace(0, len(held) - 1, args.pieces).astype(int)]
    print("| control | " + " | ".join(f"{v:g}" for v in VALUES) + " | pieces that rise from -1 to 1 |")
    print("|---" * (len(VALUES) + 2) + "|")
    for name, values in table(chosen).items():
        rises = float((values[:, -1] > values[:, 0]).mean())
        cells = " | ".join(f"{v:.2f}" for v in values.mean(axis=0))
        print(f"| {name} | {cells} | {100 * rises:.0f} % of {len(values)} |")


if __name__ == "__main__":
    main()
