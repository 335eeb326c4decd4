"""A trained transfer network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segue.transfer.patterns import pack_patterns
from training.common.export import export_model
from training.transfer.network import Fitted, Sequences

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


def export_units(
    fitted: Fitted, folder: Path, card: dict[str, Any], prose: str, *, name: str, playing: str
) -> None:
    """Write the model `name` into `folder`; the probe is the last codebook's pattern.

    `playing` names the output of how each cell is played.
    """
    data = fitted.validation
    inputs, codes = examples_of(data, _EXAMPLES, _STEPS)
    probed = list(fitted.codebooks)[-1]
    export_model(
        fitted.network,
        name,
        {
            "previous": (1, data.onsets.shape[1]),
            "features": (1, data.features.shape[1]),
            "state": (1, fitted.network.hidden),
        },
        [*fitted.codebooks, "performance", playing, "next_state"],
        folder,
        inputs,
        codes[..., -1],
        {"kind": "cross_entropy", "output": probed},
        {**card, "patterns": {key: pack_patterns(book) for key, book in fitted.codebooks.items()}},
        prose,
        state={"next_state": "state"},
    )
