"""The index against copying that ships with the melody model; see `segue.complete.copies`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segue.complete.copies import grams, pack
from training.melody.tune import Tune

NAME = "copies.npz"
#: Of the bits of a hash; with 700,000 grams one in 1,500 strange ones is taken for a copy.
BITS = 30


def write_copies(tunes: list[Tune], folder: Path) -> dict[str, float]:
    """Write the index of all grams of `tunes` into `folder`; the same tunes give the same bytes.

    Returns grams, KiB of the file and the share of strange grams that are taken for copies.
    """
    arrays = pack(np.concatenate([grams(t.onset, t.pitch) for t in tunes]), BITS)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / NAME, **arrays)
    size = int(arrays["size"])
    kib = round((folder / NAME).stat().st_size / 1024)
    return {"grams": size, "kib": kib, "false_positives": round(size / 2**BITS, 6)}
