"""The layout of the network's input: which features there are, with how many categories each.

A row holds one index a feature into the concatenated categories (`WIDTH` in all); `multi_hot` turns rows into
the input. `segue.complete.tracker` says what each feature tells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from segue.complete.encoding import (
    CHORD_QUALITIES,
    DURATIONS,
    METERS,
    NO_DURATION,
    NO_PITCH,
    PITCH_TOKENS,
    PITCHES,
    REST,
    STYLES,
)

#: Bars back, and ahead over a gap, that are looked at.
LAGS = (1, 2, 4, 8)
#: Times (units) to the first note after a gap are told to the nearest of these.
REMAINING = (*DURATIONS, 240, 288, 384)
NO_NOTE = PITCHES
NO_GOAL_TIME = len(REMAINING)
#: Categories of a chord: root above the tonic by quality, no chord, chords unknown.
NO_CHORD = 12 * len(CHORD_QUALITIES)
CHORD_UNKNOWN = NO_CHORD + 1
#: Longest interval (semitones) between successive notes that is told apart; and the index of none.
WIDEST = 12
NO_INTERVAL = 2 * WIDEST + 1
#: Units to the next change of chord, upper bounds of the categories.
CHORD_LEFT = (3, 6, 12, 18, 24, 36, 48, 96)
#: Bucket of a count of events: 0, 1, 2, 3-4, 5-8, 9-16, more.
COUNT = [0, 1, 2, 3, 3, 4, 4, 4, 4, *[5] * 8, 6]
COUNTS = 7

_REMAINING_BOUNDS = [(a + b) / 2 for a, b in pairwise(REMAINING)]
_REMAINING_TOKEN = [bisect_right(_REMAINING_BOUNDS, d) for d in range(REMAINING[-1] + 1)]

_FEATURES: dict[str, int] = {
    "event_pitch": PITCH_TOKENS + 1,
    "event_duration": len(DURATIONS) + 1,
    "note_pitch": PITCHES + 1,
    "note_before": PITCHES + 1,
    "note_third": PITCHES + 1,
    "interval": 2 * WIDEST + 2,
    "interval_before": 2 * WIDEST + 2,
    "interval_third": 2 * WIDEST + 2,
    "down_pitch": PITCHES + 1,
    "highest": PITCHES + 1,
    "lowest": PITCHES + 1,
    **{f"lag{lag}_pitch": PITCH_TOKENS + 1 for lag in LAGS},
    **{f"lag{lag}_duration": len(DURATIONS) + 1 for lag in LAGS},
    **{f"lag{lag}_agreed": COUNTS for lag in LAGS},
    **{f"lead{lag}_pitch": PITCH_TOKENS + 1 for lag in LAGS},
    **{f"lead{lag}_duration": len(DURATIONS) + 1 for lag in LAGS},
    **{f"lead{lag}_agreed": COUNTS for lag in LAGS},
    "match_pitch": PITCH_TOKENS + 1,
    "match_duration": len(DURATIONS) + 1,
    "match_length": COUNTS,
    "sequence_pitch": PITCH_TOKENS + 1,
    "sequence_length": COUNTS,
    "tune_pitch": PITCH_TOKENS + 1,
    "tune_length": COUNTS,
    "rhythm_duration": len(DURATIONS) + 1,
    "rhythm_length": COUNTS,
    "place_duration": len(DURATIONS) + 1,
    "place": (len(METERS) + 1) * 16,
    "place_fine": 6,
    "bar": 8,
    "bars_since_rest": 9,
    "mode": 2,
    "style": len(STYLES) + 1,
    "chord": CHORD_UNKNOWN + 1,
    "next_chord": CHORD_UNKNOWN + 1,
    "chord_left": len(CHORD_LEFT) + 1,
    "over_chord": 13,
    "goal_pitch": PITCHES + 1,
    "goal_time": len(REMAINING) + 1,
}
FEATURES = tuple(_FEATURES)
SIZES = tuple(_FEATURES.values())
OFFSETS = dict(zip(FEATURES, np.concatenate([[0], np.cumsum(SIZES)[:-1]]).tolist(), strict=True))
WIDTH = sum(SIZES)
COLUMN = {name: i for i, name in enumerate(FEATURES)}
_LAST_NOTE = COLUMN["note_pitch"]
#: Rows as the music after a gap is read, backwards, have these features alone.
READING = ("event_pitch", "event_duration", "place", "place_fine", "mode", "style")
#: Widest interval from the last note (semitones) that the network expects as such, and how many there are.
_EXPECTED = 14
INTERVALS = 2 * _EXPECTED + 1
#: Values of features that nothing is known for.
NO_MATCH = (NO_PITCH, NO_DURATION, 0)
NOTHING_AHEAD = (*[NO_PITCH] * len(LAGS), *[NO_DURATION] * len(LAGS), *[0] * len(LAGS))
CHORDS_UNKNOWN = (CHORD_UNKNOWN, CHORD_UNKNOWN, len(CHORD_LEFT), 12)
#: The columns from `chord` on of a row without chords.
NO_CHORD_ROW = tuple(
    value + OFFSETS[name]
    for value, name in zip(CHORDS_UNKNOWN, ("chord", "next_chord", "chord_left", "over_chord"), strict=True)
)


def _interval_index() -> np.ndarray:
    step = np.arange(PITCH_TOKENS) - np.arange(NO_NOTE + 1)[:, None]
    known = np.abs(step) <= _EXPECTED
    known[NO_NOTE] = False
    known[:, REST] = False
    return np.where(known, step + _EXPECTED, INTERVALS)


#: Which interval leads from each last note (or none) to each pitch token, int64, shape (NO_NOTE + 1,
#: PITCH_TOKENS); `INTERVALS` where none of those that are expected does.
INTERVAL_INDEX = _interval_index()


def pitch_logits(pitch: np.ndarray, interval: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits of the pitch tokens (n, PITCH_TOKENS) from the network's two outputs for `rows`: the pitch as a
    step of the scale (n, PITCH_TOKENS) and the interval from the last note (n, INTERVALS).
    """
    last = np.array([row[_LAST_NOTE] for row in rows]) - OFFSETS["note_pitch"]
    padded = np.concatenate([interval, np.zeros_like(interval[:, :1])], 1)
    return pitch + np.take_along_axis(padded, INTERVAL_INDEX[last], 1)


def remaining_token(units: int) -> int:
    """Index of the entry of `REMAINING` nearest to `units`."""
    return _REMAINING_TOKEN[min(units, REMAINING[-1])]


def chord_category(root: int, quality: int, tonic: int) -> int:
    """Category of a chord over a tonic (pitch or pitch class)."""
    return NO_CHORD if root < 0 else (root - tonic) % 12 * len(CHORD_QUALITIES) + quality


def multi_hot(rows: Sequence[Sequence[int]] | np.ndarray, width: int = WIDTH) -> np.ndarray:
    """The network's input for rows of equally many indices, float32, shape (rows, `width`)."""
    x = np.zeros((len(rows), width), np.float32)
    np.put_along_axis(x, np.asarray(rows), 1.0, 1)
    return x
