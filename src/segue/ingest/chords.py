"""Chord symbols among the marker events of a score."""

from __future__ import annotations

import re

import numpy as np

from segue.score import Score, Text, meter_at

_ROOT = r"[A-G](?:##?|bb?)?"
_QUALITY = r"(?:maj|min|mi|ma|m|M|aug|dim|sus|add|omit|no|alt|o|ø|h|\+|-|\^|Δ|°|#|b|\(|\)|,|[0-9]|6/9|\s)*"
_SYMBOL = re.compile(rf"^(?:N\.?C\.?|{_ROOT}{_QUALITY}(?:/{_ROOT})?)$")
#: Markers further apart than this many bars, all of them bare letters, are sections (A, B, A), not chords.
_SECTION_BARS = 4


def is_chord_symbol(text: str) -> bool:
    """Whether a text reads as a chord symbol: a root, a quality, a bass note; or N.C. for no chord."""
    return bool(_SYMBOL.match(text.strip())) and bool(text.strip())


def chord_markers(score: Score) -> list[Text]:
    """The markers that are chord symbols; none where they read more like sections named by letters."""
    markers = [text for text in score.markers() if is_chord_symbol(text.text)]
    if not markers or any(len(text.text.strip()) > 1 for text in markers):
        return markers
    apart = np.diff([text.tick for text in markers]) if len(markers) > 1 else np.array([score.last_tick])
    bars_apart = float(np.median(apart)) / max(meter_at(score, 0).bar_ticks, 1)
    return [] if bars_apart >= _SECTION_BARS else markers
