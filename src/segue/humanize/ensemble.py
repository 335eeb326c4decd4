"""The pitched tracks of a piece as parts that hear each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.humanize.felt_beats import FeltBeats, beat_places_of, felt_beats
from segue.humanize.phrasing import BeatPlaces, Part, network_order, part_features
from segue.score import Score, seconds_from_ticks


@dataclass(frozen=True)
class PartInputs:
    """What the network is given of a part.

    `features` (n, NOTE_FEATURES) in the order of the network, `row` (PART_FEATURES,); `order` (n,) are the
    indices of the part's notes in that order. `on_beats` says whether the piece's beats were used.
    """

    features: np.ndarray
    row: np.ndarray
    order: np.ndarray
    on_beats: bool


class Ensemble:
    """All pitched tracks with notes of one score."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.felt: FeltBeats = felt_beats(score)
        self.parts: dict[int, Part] = {}
        for i, track in enumerate(score.tracks):
            if not track.is_drum and len(track.notes):
                onset = track.notes["onset_tick"].astype(np.int64)
                begin = seconds_from_ticks(score, onset)
                end = seconds_from_ticks(score, onset + track.notes["duration_tick"])
                self.parts[i] = Part(begin, end - begin, track.notes["pitch"])
        # All notes by onset, and the track of each.
        owner = np.repeat(list(self.parts), [len(part) for part in self.parts.values()])
        columns = [
            np.concatenate([getattr(part, name) for part in self.parts.values()] or [np.zeros(0)])
            for name in ("onset", "duration", "pitch")
        ]
        order = np.argsort(columns[0], kind="stable")
        self._owner = owner[order]
        self._all = [column[order] for column in columns]

    def others(self, index: int) -> Part:
        """The notes of all parts but that of track `index`."""
        return Part(*(column[self._owner != index] for column in self._all))

    def inputs(self, index: int, places: BeatPlaces | None = None) -> PartInputs:
        """The network's inputs for track `index`; `places` are those that the piece tells, if not given."""
        part = self.parts[index]
        if places is None:
            places = beat_places_of(self.score, self.felt, self.score.tracks[index].notes["onset_tick"])
        features, row = part_features(part, places, self.others(index))
        return PartInputs(features, row, network_order(part), places is not None)
