"""Pairs of swung eighths in the Weimar Jazz Database: where the second lies, and at which tempo.

Source: jazzodata (MIT) over the Weimar Jazz Database (ODbL 1.0; Pfleiderer et al. 2017, Inside the Jazzomat).
A pair is a beat with two notes, the first of them on the beat, the second on the last tatum of the beat's
division into two, three or four: the transcribers wrote swung eighths as one or the other, by how far they
swing. Positions are in seconds; a *place* is a share of the beat, from beat to beat as the band plays it, and
a *long share* a share of the soloist's own time from the first note to that on the next beat.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

SWING_FEEL = "SWING"
DIVISIONS = (2, 3, 4)
#: Solos with fewer pairs do not count.
MIN_PAIRS = 20

Beat = tuple[int, int]


@dataclass(frozen=True)
class Solo:
    """The pairs of one solo: tempo in beats a minute, place of the second note, long share (NaN where no note
    lies on the next beat), and how late the first is after its beat in ms, (n,) each.
    """

    title: str
    tempo: np.ndarray
    place: np.ndarray
    long_share: np.ndarray
    delay_ms: np.ndarray

    @property
    def validates(self) -> bool:
        """About a fifth of the pieces; all solos over one piece stay together."""
        return hashlib.sha256(self.title.encode()).digest()[0] < 51


def load(folder: Path) -> list[Solo]:
    """The solos with a swing feel and enough pairs, by their number."""
    solos = {row["melid"]: row for row in _rows(folder / "solos.csv") if row["rhythmfeel"] == SWING_FEEL}
    beats: dict[str, dict[Beat, float]] = defaultdict(dict)
    for row in _rows(folder / "beats.csv"):
        beats[row["melid"]][int(row["bar"]), int(row["beat"])] = float(row["onset"])
    notes: dict[str, dict[Beat, list[tuple[float, int, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(folder / "notes.csv"):
        note = float(row["onset"]), int(row["tatum"]), int(row["division"])
        notes[row["melid"]][int(row["bar"]), int(row["beat"])].append(note)
    found = [_pairs(row["title"], beats[number], notes[number]) for number, row in solos.items()]
    return [solo for solo in found if len(solo.place) >= MIN_PAIRS]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _pairs(title: str, beats: dict[Beat, float], notes: dict[Beat, list[tuple[float, int, int]]]) -> Solo:
    order = sorted(beats, key=beats.__getitem__)
    pairs = []
    for beat, following in pairwise(order):
        here, after = sorted(notes.get(beat, [])), sorted(notes.get(following, []))
        if len(here) != 2:
            continue
        (first, first_tatum, _), (second, tatum, division) = here
        if first_tatum != 1 or division not in DIVISIONS or tatum != division:
            continue
        begin, length = beats[beat], beats[following] - beats[beat]
        on_next = after[0][0] if after and after[0][1] == 1 else np.nan
        long_share = (second - first) / (on_next - first)
        pairs.append((60 / length, (second - begin) / length, long_share, (first - begin) * 1000))
    return Solo(title, *np.array(pairs, float).reshape(-1, 4).T)
