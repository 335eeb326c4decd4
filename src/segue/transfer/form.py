"""What a re-played part owes to the form of its piece: where it begins, how it ends, and its meters."""

from __future__ import annotations

import numpy as np

from segue.score import Score, bar_starts, make_notes, meter_index, meters_from_zero
from segue.transfer.grid import STEP_TICKS, Grid

#: A last note of the source at least this long (in quarters) is an ending that is held.
_HELD_QUARTERS = 1.5


def first_tick(source: np.ndarray, melody: np.ndarray, grid: Grid) -> int:
    """The tick where the accompaniment may begin.

    Where the source's begins; without a source at the first bar line from the melody's first note on, so that
    a pickup stays alone, unless the melody begins in the first half of its bar.
    """
    if len(source):
        return int(source["onset_tick"].min()) - STEP_TICKS // 2
    if not len(melody):
        return int(grid.bar_tick[0])
    begin = int(melody["onset_tick"].min()) + STEP_TICKS // 2
    bar = max(int(np.searchsorted(grid.bar_tick, begin, "right")) - 1, 0)
    bar = min(bar, grid.bars - 1)
    middle = (int(grid.bar_tick[bar]) + int(grid.bar_tick[bar + 1])) // 2
    return int(grid.bar_tick[bar] if begin < middle else grid.bar_tick[bar + 1]) - STEP_TICKS // 2


def ending(source: np.ndarray, melody: np.ndarray) -> tuple[int, int] | None:
    """Where the last chord is struck and where it ends, in ticks; None where the piece has no held ending.

    The last onset of the source, where that is held for one and a half quarters or more; without a source
    that of the melody.
    """
    line = source if len(source) else melody
    if not len(line):
        return None
    last = int(line["onset_tick"].max())
    end = line["onset_tick"].astype(np.int64) + line["duration_tick"]
    held = int(end[line["onset_tick"] >= last - STEP_TICKS // 2].max())
    return (last, held) if held - last >= _HELD_QUARTERS * 4 * STEP_TICKS else None


def end_with(notes: np.ndarray, source: np.ndarray, melody: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The notes without what sounds after the last one of the piece, and which are kept, bool (n,)."""
    ends = [part["onset_tick"].astype(np.int64) + part["duration_tick"] for part in (source, melody)]
    last = max((int(end.max()) for end in ends if len(end)), default=0)
    inside = notes["onset_tick"] < last
    notes = notes[inside].copy()
    notes["duration_tick"] = np.minimum(notes["duration_tick"], last - notes["onset_tick"])
    return notes, inside


def hold_ending(notes: np.ndarray, last: int, end: int, chord_pitches: np.ndarray) -> np.ndarray:
    """The notes with the last chord struck at `last` and held to `end`; nothing begins after it.

    Notes that the players strike there are held. Where they strike none, the last notes before it are moved
    to the chord: `chord_pitches` are the pitch classes (k,) of the chord, its bass first.
    """
    near = STEP_TICKS // 2
    notes = notes[notes["onset_tick"] < last + near].copy()
    onset = notes["onset_tick"].astype(np.int64)
    struck = onset >= last - near
    if struck.any():
        notes["duration_tick"][struck] = end - onset[struck]
    elif len(notes) and len(chord_pitches):
        final = notes[onset >= onset.max() - near]
        pitch = _nearest_in_chord(final["pitch"].astype(np.int64), chord_pitches)
        kept = np.unique(pitch)
        velocity = int(final["velocity"].mean())
        ring = onset + notes["duration_tick"] > last
        notes["duration_tick"][ring] = np.maximum(last - onset[ring], near)
        chord = make_notes(np.full(len(kept), last), np.full(len(kept), end - last), kept, velocity)
        notes = np.concatenate([notes, chord])
    return make_notes(notes["onset_tick"], notes["duration_tick"], notes["pitch"], notes["velocity"])


def _nearest_in_chord(pitch: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The pitch of the chord that is nearest to each, and its bass for the lowest, (n,)."""
    away = (classes[None, :] - pitch[:, None] + 6) % 12 - 6
    out = pitch + away[np.arange(len(pitch)), np.abs(away).argmin(axis=1)]
    lowest = int(pitch.argmin())
    out[lowest] = pitch[lowest] + away[lowest, 0]
    return out


def meters_played(score: Score) -> dict[str, int]:
    """Bars by meter, in the order in which the meters first come.

    A meter of one bar that is shorter than the bars beside it only writes a pickup or its rest, and does not
    count.
    """
    bars = bar_starts(score)
    meters = meters_from_zero(score)
    index = meter_index(score, bars[:-1])
    counted: dict[str, int] = {}
    for i in np.unique(index).tolist():
        count = int((index == i).sum())
        beside = [meters[j].bar_ticks for j in (i - 1, i + 1) if 0 <= j < len(meters)]
        if count > 1 or not beside or meters[i].bar_ticks >= max(beside):
            counted[meters[i].name] = counted.get(meters[i].name, 0) + count
    return counted


def phrases_to_replay(bars: int, amount: float) -> np.ndarray:
    """Which bars are re-played, bool (bars,): whole four-bar phrases, spread evenly, `amount` of them all."""
    phrase = np.arange(bars) // 4
    return np.floor((phrase + 1) * amount + 1e-9) > np.floor(phrase * amount + 1e-9)
