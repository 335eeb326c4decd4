"""A reader for the notes of a compressed MusicXML score, made for training data only.

It reads pitch, place, length, ties and meters; repeats are not unfolded, grace notes are left out.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from segue.score import TICKS_PER_QUARTER, Meter, make_notes

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass
class Part:
    """One part: its name, staves, whether it is sung, and its NOTE array."""

    name: str
    staves: int = 1
    sung: bool = False
    notes: np.ndarray = field(default_factory=lambda: make_notes([], [], [], []))


def read_musicxml(path: Path) -> tuple[list[Part], tuple[Meter, ...]]:
    """Parts and meters of a `.mxl` file. Every measure is laid out in its full written length, a first one
    that is short (a pickup) at the end of its bar.
    """
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".xml") and not n.startswith("META-INF"))
        root = ElementTree.fromstring(archive.read(name))
    names = {p.get("id"): (p.findtext("part-name") or "") for p in root.iter("score-part")}
    raw = [_read_part(part, names.get(part.get("id"), "")) for part in root.findall("part")]
    measures = max((len(r[2]) for r in raw), default=0)
    lengths = [max((r[2][m][0] for r in raw if m < len(r[2])), default=Fraction(0)) for m in range(measures)]
    written: list[tuple[int, int]] = []
    for m in range(measures):
        found = next((r[2][m][1] for r in raw if m < len(r[2]) and r[2][m][1]), None)
        written.append(found or (written[-1] if written else (4, 4)))
    nominal = [Fraction(4 * n, d) for n, d in written]
    starts = [Fraction(0)]
    for m in range(measures):
        starts.append(starts[-1] + max(nominal[m], Fraction(1)))
    shift = [Fraction(0)] * measures
    if measures and lengths[0] < nominal[0]:
        shift[0] = nominal[0] - lengths[0]
    meters = [
        Meter(int(starts[m] * TICKS_PER_QUARTER), *written[m])
        for m in range(measures)
        if m == 0 or written[m] != written[m - 1]
    ]
    parts = []
    for part, notes, _ in raw:
        part.notes = _join_ties(notes, starts, shift)
        parts.append(part)
    return parts, tuple(meters)


def _read_part(element: ElementTree.Element, name: str) -> tuple[Part, list, list]:
    part = Part(name)
    divisions = 1
    notes: list[tuple[int, Fraction, Fraction, int, bool, bool]] = []
    measures: list[tuple[Fraction, tuple[int, int] | None]] = []
    for index, measure in enumerate(element.findall("measure")):
        now = end = last = Fraction(0)
        meter = None
        for item in measure:
            if item.tag == "attributes":
                divisions = int(item.findtext("divisions") or divisions)
                part.staves = max(part.staves, int(item.findtext("staves") or 1))
                beats, kind = item.findtext("time/beats"), item.findtext("time/beat-type")
                if beats and kind and beats.isdigit():
                    meter = (int(beats), int(kind))
            elif item.tag in ("backup", "forward"):
                length = Fraction(int(item.findtext("duration") or 0), divisions)
                now += -length if item.tag == "backup" else length
            elif item.tag == "note" and item.find("grace") is None:
                length = Fraction(int(item.findtext("duration") or 0), divisions)
                if item.find("chord") is None:
                    last, now = now, now + length
                pitch = item.find("pitch")
                if pitch is not None and item.find("cue") is None:
                    number = (
                        _STEPS[pitch.findtext("step")]
                        + round(float(pitch.findtext("alter") or 0))
                        + 12 * (int(pitch.findtext("octave")) + 1)
                    )
                    ties = {t.get("type") for t in item.findall("tie")}
                    notes.append((index, last, length, number, "stop" in ties, "start" in ties))
                    part.sung = part.sung or item.find("lyric") is not None
            end = max(end, now)
        measures.append((end, meter))
    return part, notes, measures


def _join_ties(notes: list, starts: list[Fraction], shift: list[Fraction]) -> np.ndarray:
    onset: list[int] = []
    duration: list[int] = []
    pitch: list[int] = []
    open_ties: dict[int, int] = {}
    for measure, place, length, number, stop, start in notes:
        at = int((starts[measure] + shift[measure] + place) * TICKS_PER_QUARTER)
        ticks = max(int(length * TICKS_PER_QUARTER), 1)
        if stop and number in open_ties:
            i = open_ties.pop(number)
            duration[i] = at + ticks - onset[i]
        else:
            i = len(onset)
            onset.append(at)
            duration.append(ticks)
            pitch.append(min(max(number, 0), 127))
        if start:
            open_ties[number] = i
    return make_notes(onset, duration, pitch, 80)
