"""A baseline of style transfer that needs no model: bars of the target style, moved to the source's chords.

For each bar of the source, of all bars of the style that are as long the one whose chords are nearest is
taken and transposed by the distance of the first chords' roots, so that it keeps its register as far as that
goes. Between bars that are equally near, the one that follows the bar taken before goes on, else one of the
same piece is taken, else the draw decides.

Distance: at every quarter of the bar, the chords are compared with their roots counted from the first root
of the bar: 4 for another root (or a chord against none), 2 for another third or fifth, 1 for another bass, a
half for another seventh or colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segue.chords import QUALITIES, Chord, chord_index_at
from segue.score import TICKS_PER_QUARTER, make_notes, no_notes
from segue.transfer.grid import STEP_TICKS

#: Quarters of a bar that are compared; what a bar has beyond them is taken as it is.
_PLACES = 8
_COLUMNS = 4
_WEIGHTS = np.array([4.0, 2.0, 1.0, 0.5])
_NONE = 12
_QUALITY = {name: i for i, name in enumerate(QUALITIES)}
_TRIADS = sorted({frozenset(q.intervals[:3]) for q in QUALITIES.values()}, key=sorted)
_TRIAD = {name: _TRIADS.index(frozenset(q.intervals[:3])) for name, q in QUALITIES.items()}
#: A chord written this much after a beat still counts for it, and a note this much before a bar for the bar.
_TOLERANCE = STEP_TICKS // 2


@dataclass(frozen=True)
class Part:
    """Music to take bars from, or to write for: notes (a NOTE array), ticks of all bar lines (bars + 1,),
    ticks of the chords and the chords.
    """

    notes: np.ndarray
    bars: np.ndarray
    starts: np.ndarray
    chords: Sequence[Chord]


@dataclass(frozen=True)
class BarLibrary:
    """Bars with notes. `chords` (n, places, 4) as `describe` gives them, `root` (n,) the first root (-1: no
    chord), `length` (n,) ticks, `piece` (n,) and `follows` (n,): the bar comes right after the one before.

    `first` (n + 1,) points into `notes`, whose onsets count from the bar line.
    """

    chords: np.ndarray
    root: np.ndarray
    length: np.ndarray
    piece: np.ndarray
    follows: np.ndarray
    first: np.ndarray
    notes: np.ndarray

    def __len__(self) -> int:
        return len(self.root)


def describe(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """What `distance` compares of each bar's chords, int16 (bars, places, 4), and the first roots (bars,).

    Columns: root above the first one (12: no chord, -1: beyond the bar), triad, bass above the root, quality.
    """
    table = np.full((len(part.chords) + 1, _COLUMNS), -1)
    table[:, 0] = _NONE
    for i, chord in enumerate(part.chords):
        if chord.is_chord:
            bass = (chord.bass - chord.root) % 12
            table[i] = chord.root, _TRIAD[chord.quality], bass, _QUALITY[chord.quality]
    bars = len(part.bars) - 1
    ticks = part.bars[:-1, None] + np.arange(_PLACES) * TICKS_PER_QUARTER
    inside = ticks < part.bars[1:, None]
    out = table[chord_index_at(part.starts, ticks + _TOLERANCE)]
    root = np.where(inside, out[..., 0], _NONE)
    known = root < _NONE
    first = np.where(known.any(axis=1), root[np.arange(bars), known.argmax(axis=1)], -1)
    out[..., 0] = np.where(known, (root - first[:, None]) % 12, _NONE)
    out[~inside] = -1
    return out.astype(np.int16), first


def distance(wanted: np.ndarray, bars: np.ndarray) -> np.ndarray:
    """Distance of one bar's chords (places, 4) from those of bars (n, places, 4), (n,).

    What is beyond the shorter bar is not compared.
    """
    both = (wanted[:, 0] >= 0) & (bars[:, :, 0] >= 0)
    other = bars != wanted
    other[other[..., 0], 1:] = False  # Another root says it all.
    return ((other @ _WEIGHTS) * both).sum(axis=1)


def library(parts: Iterable[Part]) -> BarLibrary:
    """All bars of the parts in which notes begin."""
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("chords", "root", "length", "piece", "index")}
    counts, notes = [], []
    for number, part in enumerate(parts):
        onset = part.notes["onset_tick"].astype(np.int64)
        bar = np.searchsorted(part.bars, onset + _TOLERANCE, "right") - 1
        inside = (bar >= 0) & (bar < len(part.bars) - 1)
        count = np.bincount(bar[inside], minlength=len(part.bars) - 1)
        sounding = np.flatnonzero(count)
        own = part.notes[inside]
        moved = np.maximum(own["onset_tick"].astype(np.int64) - part.bars[bar[inside]], 0)
        own = own.copy()
        own["onset_tick"] = moved
        notes.append(own)
        counts.append(count[sounding])
        chords, root = describe(part)
        kept["chords"].append(chords[sounding])
        kept["root"].append(root[sounding])
        kept["length"].append(np.diff(part.bars)[sounding])
        kept["piece"].append(np.full(len(sounding), number))
        kept["index"].append(sounding)
    if not notes:
        raise ValueError("a library needs at least one part")
    piece, index = np.concatenate(kept["piece"]), np.concatenate(kept["index"])
    follows = np.zeros(len(piece), bool)
    follows[1:] = (piece[1:] == piece[:-1]) & (index[1:] == index[:-1] + 1)
    return BarLibrary(
        np.concatenate(kept["chords"]),
        np.concatenate(kept["root"]),
        np.concatenate(kept["length"]),
        piece,
        follows,
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        np.concatenate(notes),
    )


def silent_bars(part: Part) -> np.ndarray:
    """Bars of the part in which no note begins, bool (bars,)."""
    onset = part.notes["onset_tick"].astype(np.int64)
    bar = np.searchsorted(part.bars, onset + _TOLERANCE, "right") - 1
    bars = len(part.bars) - 1
    return np.bincount(np.clip(bar, 0, bars - 1), minlength=bars) == 0


def choose_bars(part: Part, of: BarLibrary, silent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each bar of the part the bar of the library that is played, int64 (bars,); -1 where `silent`."""
    chords, _ = describe(part)
    lengths = np.diff(part.bars)
    known: dict[bytes, np.ndarray] = {}
    chosen = np.full(len(lengths), -1)
    last = -1
    for bar in np.flatnonzero(~silent).tolist():
        key = chords[bar].tobytes() + int(lengths[bar]).to_bytes(8, "little")
        if key not in known:
            known[key] = _nearest(chords[bar], int(lengths[bar]), of)
        nearest = known[key]
        if last >= 0:
            on = last + 1
            if on < len(of) and of.follows[on] and chosen[bar - 1] == last and on in nearest:
                chosen[bar] = last = on
                continue
            same = nearest[of.piece[nearest] == of.piece[last]]
            nearest = same if len(same) else nearest
        chosen[bar] = last = int(nearest[rng.integers(len(nearest))])
    return chosen


def _nearest(chords: np.ndarray, length: int, of: BarLibrary) -> np.ndarray:
    """Bars of the library that are equally near, ascending: first in length, then in chords."""
    gap = np.abs(of.length - length)
    rows = np.flatnonzero(gap == gap.min())
    away = distance(chords, of.chords[rows])
    return rows[away == away.min()]


def play(part: Part, chosen: np.ndarray, of: BarLibrary) -> np.ndarray:
    """The chosen bars as one NOTE array, each transposed to the part's first chord of the bar."""
    _, root = describe(part)
    written = []
    for bar, source in enumerate(chosen.tolist()):
        if source < 0:
            continue
        notes = of.notes[of.first[source] : of.first[source + 1]].copy()
        notes = notes[notes["onset_tick"] < part.bars[bar + 1] - part.bars[bar]]
        shift = 0
        if root[bar] >= 0 and of.root[source] >= 0:
            shift = (int(root[bar]) - int(of.root[source]) + 6) % 12 - 6
        pitch = notes["pitch"].astype(np.int64) + shift
        # What would leave the MIDI pitches stays an octave within them.
        pitch = np.where(pitch < 0, pitch + 12, np.where(pitch > 127, pitch - 12, pitch))
        written.append(
            make_notes(notes["onset_tick"] + part.bars[bar], notes["duration_tick"], pitch, notes["velocity"])
        )
    return np.concatenate([no_notes(), *written])
