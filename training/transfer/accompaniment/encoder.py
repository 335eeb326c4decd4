"""Export the model `style-encoder`, which is trained together with `accompaniment`.

`PYTHONPATH=src:. python -m training.transfer.accompaniment.encoder --data ../shared/data` takes the weights
of that model's last run, or trains them where there are none.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from segue.chords import chords_of_record
from segue.runtime import Model
from segue.transfer.encoding import chords_of_steps
from segue.transfer.grid import pitched_grid
from segue.transfer.target import heard_vector
from training.transfer.accompaniment.data import STYLES
from training.transfer.accompaniment.export import export_encoder
from training.transfer.accompaniment.train import DATA, trained
from training.transfer.pieces import Piece
from training.transfer.report import RUNS, training_seconds

COMMAND = (
    "PYTHONPATH=src:. python -m training.transfer.accompaniment.encoder "
    "--data ../shared/data --out models/style-encoder --seed 0"
)
PROSE = (Path(__file__).parent / "encoder_card.md").read_text(encoding="utf-8")


def corpora_found(pieces: list[Piece], encoder: Model) -> tuple[float, float]:
    """Share of validation pieces whose vector is nearest to the mean vector of their own corpus (a corpus
    counts like another), and what guessing finds.
    """
    rows: dict[bool, dict[str, list[np.ndarray]]] = {v: {s: [] for s in STYLES} for v in (False, True)}
    for piece in pieces:
        starts, chords = chords_of_record(piece.record)
        grid = pitched_grid(piece.score)
        vector = heard_vector(encoder, piece.accompaniment, grid, chords_of_steps(grid, starts), chords)
        rows[piece.is_validation][piece.style].append(vector)
    means = np.stack([np.mean(rows[False][style], axis=0) for style in STYLES])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = [
        np.mean((np.stack(rows[True][style]) @ means.T).argmax(axis=1) == i) for i, style in enumerate(STYLES)
    ]
    return float(np.mean(found)), 1 / len(STYLES)


def main() -> None:
    """The whole of it."""
    parser = argparse.ArgumentParser(description="Export the model style-encoder.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("models/style-encoder"), help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin, run = time.process_time(), RUNS / "accompaniment"
    fitted, pieces = trained(args.data, run, args.seed)
    headline = {"metric": "draft", "value": 1, "floor": 0, "better": "higher"}
    export_encoder(fitted, run / "style-encoder", {"task": "", "data": [], "headline": headline}, "")
    share, floor = corpora_found(pieces, Model(run / "style-encoder", "onnx"))
    card = {
        "task": "style vectors of accompaniments",
        "data": DATA,
        "headline": {
            "metric": "validation pieces nearest to the mean vector of their own corpus, share",
            "value": round(share, 3),
            "floor": floor,
            "better": "higher",
        },
        "training": {"command": COMMAND, "seconds": training_seconds(run, begin), "seed": args.seed},
    }
    export_encoder(fitted, args.out, card, PROSE.format(share=share, floor=floor))


if __name__ == "__main__":
    main()
