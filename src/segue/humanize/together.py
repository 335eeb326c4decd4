"""An ensemble that stays together: what all its players do in common, and how far each may be from that.

The players follow the drums where there are drums, and else one pulse that drifts. What each does of his own
stays within half of `TOGETHER_MS` around it, so that notes of different tracks at one tick begin within
`TOGETHER_MS` of each other, beside what `push` and `swing` are set to.
"""

from __future__ import annotations

import numpy as np

from segue.humanize.moves import keep_order
from segue.humanize.phrasing import chord_index
from segue.humanize.variation import sample_drift
from segue.score import Score, seconds_from_ticks, seconds_per_tick

#: The onset differences of the tightest trios that Rasch measured (1979, "Synchronization in performed
#: ensemble music", Acustica 43) had a standard deviation of about 30 ms. That is the limit here.
TOGETHER_MS = 30.0
#: No note is moved further than this by what the ensemble does in common, in ms.
MAX_COMMON_MS = 65.0
#: What players deviate in common: standard deviation in ms, and what is left of it one chord on. The first is
#: what the notes of a chord have in common in the network's residuals over GiantMIDI's validation pieces.
PULSE_MS, PULSE_KEPT = 5.0, 0.5
#: How far from a drum hit the others still follow it, in ticks.
FOLLOW_TICKS = 480


class Pulse:
    """The common time of the pitched tracks of a score: when they play, and how they drift there."""

    def __init__(self, score: Score, rng: np.random.Generator) -> None:
        onsets = [t.notes["onset_tick"] for t in score.tracks if not t.is_drum]
        self.ticks = np.unique(np.concatenate(onsets)).astype(np.int64)
        self._tick_ms = seconds_per_tick(score, self.ticks) * 1000
        chord = chord_index(seconds_from_ticks(score, self.ticks))
        self._drift = PULSE_MS * sample_drift(chord, PULSE_KEPT, rng)

    def moves(self, place: np.ndarray, deviation: np.ndarray, share: float) -> np.ndarray:
        """Ticks by which the notes at each of `ticks` move in common, int64, (ticks,).

        `place` and `deviation` are what the drums do, in ticks (see `groove_curve`); `share` is how much of
        the drift is played. Later notes stay later.
        """
        lead, nearness = groove_curve(place, deviation, self.ticks)
        wanted = lead + (1 - nearness) * share * self._drift / self._tick_ms
        limit = MAX_COMMON_MS / self._tick_ms
        moved = np.rint(self.ticks + np.clip(wanted, -limit, limit)).astype(np.int64)
        return keep_order(self.ticks, np.maximum(moved, 0)) - self.ticks


def groove_curve(place: np.ndarray, deviation: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the drummer does at the ticks `at` (m,), in ticks, and how near his hits are, 0 to 1.

    From drum onsets and their deviations, (n,) each: hits of one onset count by their mean; between places
    with hits the deviation is interpolated, and beyond `FOLLOW_TICKS` from any hit it is nothing.
    """
    if not len(place):
        return np.zeros(len(at)), np.zeros(len(at))
    places, back = np.unique(place, return_inverse=True)
    mean = np.bincount(back, deviation) / np.bincount(back)
    curve = np.interp(at, places, mean)
    right = np.clip(np.searchsorted(places, at), 0, len(places) - 1)
    left = np.maximum(right - 1, 0)
    distance = np.minimum(np.abs(places[left] - at), np.abs(places[right] - at))
    nearness = np.clip(1 - distance / FOLLOW_TICKS, 0, 1)
    return curve * nearness, nearness
