"""The floor of the groove table on the windows of the data set; see `segue.metrics.ridge`."""

from __future__ import annotations

import numpy as np

from segue.humanize.encoding import tempo_features
from segue.metrics.ridge import DrumWindows, ridge_prediction
from training.groove.data import Windows


def ridge_floor(train: Windows, validation: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and velocities (windows, 32, 9) of `validation`; a cell learns where it is hit."""
    known, asked = (
        DrumWindows(w.hits, w.offset, w.velocity, tempo_features(w.bpm)) for w in (train, validation)
    )
    return ridge_prediction(known, asked)
