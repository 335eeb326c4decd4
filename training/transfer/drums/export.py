"""The trained drum network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segue.transfer.kit import FEATURES, GRID_BITS
from segue.transfer.patterns import pack_patterns
from training.common.export import export_model
from training.transfer.accompaniment.export import examples_of
from training.transfer.drums.fit import HIDDEN, Fitted


def export(fitted: Fitted, folder: Path, card: dict[str, Any], prose: str) -> None:
    """Write the model `drums-style` into `folder`; the probe is the pattern."""
    inputs, codes = examples_of(fitted.validation, 12, 24)
    export_model(
        fitted.network,
        "drums-style",
        {"previous": (1, GRID_BITS), "features": (1, FEATURES), "state": (1, HIDDEN)},
        ["pattern", "performance", "loudness", "next_state"],
        folder,
        inputs,
        codes[..., 0],
        {"kind": "cross_entropy", "output": "pattern"},
        {**card, "patterns": {"pattern": pack_patterns(fitted.codebook)}},
        prose,
        state={"next_state": "state"},
    )
