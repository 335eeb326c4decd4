"""Where the notes of a piece lie in the felt beat and in the bar, as far as the piece tells.

Many files were recorded over a grid that nobody played to. There the beats are moved to where the music has
them (see `segue.beats.phase_of`), and the bars count as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segue.beats import GATHERED, beat_grid, phase_of, shift_grid
from segue.humanize.phrasing import BeatPlaces
from segue.score import Score, bar_starts, seconds_from_ticks

#: How near to a twelfth or a sixteenth of a beat onsets must lie, in beats, for the piece's beats to be
#: believed, ...
GRID_TOLERANCE = 0.03
#: ... the share of notes that must do so, and the share that must begin on a beat.
GRID_SHARE, BEAT_SHARE = 0.8, 0.15


@dataclass(frozen=True)
class FeltBeats:
    """The boundary ticks of a piece's felt beats and of its bars (None: unknown), ascending, (n,) each.

    `phase` is how far the beats were moved from the file's, in beats.
    """

    beats: np.ndarray
    bars: np.ndarray | None
    phase: float


def felt_beats(score: Score) -> FeltBeats:
    """The beats that the pitched notes of the score are played to."""
    parts = [track.notes for track in score.tracks if not track.is_drum and len(track.notes)]
    until = max((int(notes["onset_tick"][-1]) for notes in parts), default=0) + 1
    grid = beat_grid(score, until)
    # A bar of one beat tells no beat from another.
    bars = bar_starts(score, until) if grid.count.max() > 1 else None
    if not parts:
        return FeltBeats(grid.ticks, bars, 0.0)
    notes = np.concatenate(parts)
    phase = phase_of(notes, grid)
    if not phase and _on_beat(place_between(notes["onset_tick"], grid.ticks)) < BEAT_SHARE:
        # The meter is not believed where nothing begins on its beats.
        phase = phase_of(notes, replace(grid, count=np.ones_like(grid.count)))
    if phase:
        grid, bars = shift_grid(grid, phase), None
    # What is left: all a little early or late.
    mean = np.exp(8j * np.pi * place_between(notes["onset_tick"], grid.ticks)).mean()
    rest = round(float(np.angle(mean)) / (8 * np.pi), 3) if abs(mean) > GATHERED else 0.0
    lengths = np.diff(grid.ticks)
    later = rest * np.append(lengths, lengths[-1])
    if bars is not None:
        # The last bar ends after the last beat that is played.
        bars = bars + np.interp(bars, grid.ticks, later)
    return FeltBeats(grid.ticks + later, bars, phase + rest)


def beat_places_of(score: Score, felt: FeltBeats, onset: np.ndarray) -> BeatPlaces | None:
    """The places of onsets in ticks (n,), n > 0; None where they do not keep to the beats."""
    beat = place_between(onset, felt.beats)
    twelfth = np.abs(beat * 12 - np.round(beat * 12)) / 12
    sixteenth = np.abs(beat * 16 - np.round(beat * 16)) / 16
    on_grid = np.mean(np.minimum(twelfth, sixteenth) < GRID_TOLERANCE / 2)
    if on_grid < GRID_SHARE or _on_beat(beat) < BEAT_SHARE:
        return None
    bar = None if felt.bars is None else place_between(onset, felt.bars)
    return BeatPlaces(beat, bar, float(np.median(np.diff(seconds_from_ticks(score, felt.beats)))))


def _on_beat(beat: np.ndarray) -> float:
    """The share of places in the beat (n,) that are on it."""
    return float(np.mean(np.minimum(beat, 1 - beat) < GRID_TOLERANCE))


def place_between(times: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Place of each time (n,) between the marks around it, in [0, 1); the ends go on evenly."""
    i = np.clip(np.searchsorted(marks, times, "right") - 1, 0, len(marks) - 2)
    return (times - marks[i]) / (marks[i + 1] - marks[i]) % 1
