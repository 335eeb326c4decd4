"""The index against copying that ships with the melody model; see `segue.complete.copies`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segue.complete.copies import FILE, CopyIndex, grams, pack
from training.melody.tune import Tune

#: Of the bits of a hash; with 600,000 grams one in 1,800 strange ones is taken for a copy.
BITS = 30


def write_copies(tunes: Sequence[Tune], folder: Path, valid: Sequence[Tune] = ()) -> dict[str, Any]:
    """Write the index of all grams of `tunes` into `folder`; the same tunes give the same bytes.

    Returns grams, KiB of the file, the share of strange grams that are taken for copies, and, by style of
    `valid`, the share of its grams that are in the index: how common the runs are that the guard forbids.
    """
    arrays = pack(np.concatenate([grams(t.onset, t.pitch) for t in tunes]), BITS)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / FILE, **arrays)
    index = CopyIndex(arrays)
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for tune in valid:
        found[tune.style].append(index.contains(grams(tune.onset, tune.pitch)))
    return {
        "grams": index.size,
        "kib": round((folder / FILE).stat().st_size / 1024),
        "false_positives": round(index.size / 2**BITS, 6),
        "of_validation": {style: round(float(np.concatenate(f).mean()), 4) for style, f in found.items()},
    }
