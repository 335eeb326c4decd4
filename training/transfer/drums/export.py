"""The trained drum network as a model folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from segue.transfer.grid import beat_grid
from segue.transfer.kit import (
    FEATURES,
    GRID_BITS,
    PROFILE,
    STYLES,
    SWING,
    hit_grid,
    is_swung,
    pack_profile,
)
from segue.transfer.patterns import pack_patterns
from training.common.export import export_model
from training.transfer.drums.data import DrumPiece, mean_profile
from training.transfer.drums.fit import Fitted

NAME = "drums-style"
_EXAMPLES, _STEPS = 12, 24


def styles_of(pieces: list[DrumPiece], named: np.ndarray) -> dict[str, dict[str, Any]]:
    """What the card says of each style: its profile, and the training data behind it."""
    train = [p for p in pieces if not p.is_validation]
    of_style = {style: [p for p in train if p.style == style] for style in STYLES}
    profiles = dict(zip(STYLES, named, strict=True))
    of_style[SWING] = [p for p in of_style["jazz"] if is_swung(hit_grid(p.notes, beat_grid(p.score))[..., 0])]
    profiles[SWING] = mean_profile(of_style[SWING])
    out = {}
    for style, own in of_style.items():
        meters = Counter(f"{p.score.meters[0].numerator}/4" for p in own)
        out[style] = {
            "recordings": len(own),
            "bars": round(sum(p.score.last_tick / p.score.meters[0].bar_ticks for p in own)),
            "drummers": len({p.drummer for p in own}),
            "meters": sorted(meters, key=meters.get, reverse=True),
            "profile": pack_profile(profiles[style]),
        }
    return out


def export(fitted: Fitted, pieces: list[DrumPiece], folder: Path, card: dict[str, Any], prose: str) -> None:
    """Write the model into `folder`; the reference runs over beginnings of validation recordings."""
    data = fitted.validation
    long = np.flatnonzero(np.diff(data.start) >= _STEPS + 8)
    # A recording of each style in turn.
    order = sorted(range(len(long)), key=lambda i: (list(data.style[long[:i]]).count(data.style[long[i]]), i))
    rows = data.start[long[order[:_EXAMPLES]]][:, None] + np.arange(_STEPS)
    previous = data.onsets[np.maximum(rows - 1, 0)].astype(np.float32)
    previous[:, 0] = 0
    style = np.repeat(fitted.named[data.style_of(rows[:, 0])][:, None], _STEPS, axis=1)
    export_model(
        fitted.network,
        NAME,
        {
            "previous": (1, GRID_BITS),
            "style": (1, PROFILE),
            "features": (1, FEATURES),
            "state": (1, fitted.network.hidden),
        },
        ["pattern", "performance", "loudness", "next_state"],
        folder,
        {
            "previous": previous[:, :, None],
            "style": style[:, :, None],
            "features": data.features[rows].astype(np.float32)[:, :, None],
        },
        data.codes[rows][..., None],
        {"kind": "cross_entropy", "output": "pattern"},
        {
            **card,
            "styles": styles_of(pieces, fitted.named),
            "patterns": {"pattern": pack_patterns(fitted.codebook)},
        },
        prose,
        state={"next_state": "state"},
        weights="int8",
        batch=True,
    )
