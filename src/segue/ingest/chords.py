"""Chord symbols among the marker events of a score."""

from __future__ import annotations

import numpy as np

from segue.chords import parse_chord
from segue.score import Score, Text, meter_at

#: Bare letters at least this many bars apart name sections (A, B, A), not chords.
_SECTION_BARS = 4


def chord_markers(score: Score) -> list[Text]:
    """The markers that are chord symbols; none where they read more like sections named by letters."""
    markers = [text for text in score.markers() if parse_chord(text.text) is not None]
    if not markers or any(len(text.text.strip()) > 1 for text in markers):
        return markers
    apart = np.diff([text.tick for text in markers]) if len(markers) > 1 else np.array([score.last_tick])
    bars_apart = float(np.median(apart)) / max(meter_at(score, 0).bar_ticks, 1)
    return [] if bars_apart >= _SECTION_BARS else markers
