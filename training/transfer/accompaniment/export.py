"""The trained accompaniment network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segue.transfer.encoding import FEATURES, GRID_BITS
from segue.transfer.patterns import pack_patterns
from training.common.export import export_model
from training.transfer.accompaniment.fit import HIDDEN, Fitted
from training.transfer.network import Sequences

_EXAMPLES, _STEPS = 12, 24


def examples_of(data: Sequences, examples: int, steps: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs (examples, steps, 1, ...) from the beginnings of pieces of all styles, and their codes."""
    long_enough = np.flatnonzero(np.diff(data.start) >= steps + 8)
    styles = data.style[data.start[long_enough]]
    chosen = []
    present = np.unique(styles)
    for i in range(examples):
        own = long_enough[styles == present[i % len(present)]]
        chosen.append(int(data.start[own[(i // len(present)) % len(own)]]))
    rows = np.array(chosen)[:, None] + np.arange(steps)
    previous = data.onsets[np.maximum(rows - 1, 0)].astype(np.float32)
    previous[:, 0] = 0
    inputs = {
        "previous": previous[:, :, None],
        "features": data.features[rows].astype(np.float32)[:, :, None],
    }
    return inputs, data.codes[rows][:, :, None]


def export(fitted: Fitted, folder: Path, card: dict[str, Any], prose: str) -> None:
    """Write the model `accompaniment` into `folder`; the probe is the high hand's pattern."""
    inputs, codes = examples_of(fitted.validation, _EXAMPLES, _STEPS)
    patterns = {
        hand: pack_patterns(book) for hand, book in zip(("low", "high"), fitted.codebooks, strict=True)
    }
    export_model(
        fitted.network,
        "accompaniment",
        {"previous": (1, GRID_BITS), "features": (1, FEATURES), "state": (1, HIDDEN)},
        ["low", "high", "performance", "lengths", "next_state"],
        folder,
        inputs,
        codes[..., 1],
        {"kind": "cross_entropy", "output": "high"},
        {**card, "patterns": patterns},
        prose,
        state={"next_state": "state"},
    )
