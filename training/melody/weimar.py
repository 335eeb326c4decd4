"""The solos of the Weimar Jazz Database, each as one `Tune` on the beats that the transcribers heard.

Source: jazzodata (MIT) over the Weimar Jazz Database (ODbL 1.0; Pfleiderer et al. 2017, Inside the Jazzomat).
A note lies at a tatum of its beat; the metrical place is taken from there and not from the seconds. The data
have no note lengths: a note sounds up to the next one, for a bar at most, and the last note of a phrase for a
quarter at most. A phrase ends a section where two beats of silence follow. Solos without bars (free time) are
left out; of one whose meter changes the longest stretch in one meter is taken.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path

import numpy as np

from segue.chords import pitch_class
from training.melody.tune import Tune, chord_changes, nearest_key, without_long_silence

_MODES = {"maj": "major", "min": "minor", "dor": "minor", "mix": "major", "blues": "major"}
_BEAT = 12
_LONGEST_LAST = _BEAT
_SILENCE = 2 * _BEAT

Row = dict[str, str]


def parse_key(text: str) -> tuple[int, str] | None:
    """Tonic and mode (by the third) of labels such as `Bb-maj`; None for `D-chrom` and for no label."""
    name, _, mode = text.partition("-")
    if not name or (mode and mode not in _MODES):
        return None
    return pitch_class(name), _MODES.get(mode, "major")


def read_solo(solo: Row, notes: list[Row], beats: list[Row]) -> Tune:
    """One solo from its rows of the three tables. Raises ValueError with the reason."""
    stretches = [list(rows) for _, rows in groupby(notes, key=lambda row: int(row["period"]))]
    longest = max(stretches, key=len)
    period = int(longest[0]["period"])
    if period < 2:
        raise ValueError("free time")
    if len(longest) < 24:
        raise ValueError("fewer than 24 notes in one meter")
    bar = period * _BEAT

    def place(row: Row) -> int:
        return (int(row["bar"]) - 1) * bar + (int(row["beat"]) - 1) * _BEAT

    onset = np.array(
        [place(r) + round(_BEAT * (int(r["tatum"]) - 1) / int(r["division"])) for r in longest], np.int64
    )
    pitch = np.array([int(float(r["pitch"])) for r in longest], np.int64)
    begins = np.array([float(r["phrase_begin"]) > 0.5 for r in longest])
    order = np.argsort(onset, kind="stable")
    onset, pitch, begins = onset[order], pitch[order], begins[order]
    gap = np.diff(onset, append=onset[-1] + _LONGEST_LAST)
    last = np.append(begins[1:], True)
    duration = np.maximum(np.minimum(gap, np.where(last, _LONGEST_LAST, bar)), 1)
    ends = np.flatnonzero(last & (gap - duration >= _SILENCE)).tolist()
    if longest is stretches[-1]:
        ends.append(len(onset) - 1)
    key = parse_key(solo["key"]) or nearest_key(np.bincount(pitch % 12, duration, 12))
    low, high = int(longest[0]["bar"]), int(longest[-1]["bar"])
    chords = [
        (place(row), "N.C." if row["chord"] == "NC" else row["chord"])
        for row in beats
        if low - 1 <= int(row["bar"]) <= high and int(row["period"]) == period
    ]
    tune = Tune(
        f"weimar-jazz/{int(solo['melid']):03d} {solo['title']}",
        "weimar-jazz",
        "jazz",
        (period, 4),
        *key,
        onset,
        duration,
        pitch,
        tuple(dict.fromkeys(ends)),
        chord_changes(chords),
    )
    return without_long_silence(tune)


def title(tune: Tune) -> str:
    """The piece that a solo is played over."""
    return tune.name.split(" ", 1)[1]


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_weimar(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable solos by their number, and why the others were left out."""
    notes, beats = defaultdict(list), defaultdict(list)
    for table, name in ((notes, "notes.csv"), (beats, "beats.csv")):
        for row in _rows(folder / name):
            table[row["melid"]].append(row)
    tunes: list[Tune] = []
    lost: Counter = Counter()
    for solo in sorted(_rows(folder / "solos.csv"), key=lambda row: int(row["melid"])):
        try:
            tunes.append(read_solo(solo, notes[solo["melid"]], beats[solo["melid"]]))
        except ValueError as error:
            lost[str(error)] += 1
    return tunes, lost
