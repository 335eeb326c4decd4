"""Melodies in MusicXML files (compressed or not): one part as bars, notes and chord symbols, and the lead
sheets of OpenEWLD as `Tune`.

Read here rather than through note-seq, which places notes by tempo in seconds and loses pickups. The top note
of a chord counts, one voice of one part, grace and cue notes are left out, ties joined, repeats not unfolded.
Where the meter changes (or the key, where that is asked for) the longest stretch in one is taken.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from segue.chords import parse_chord
from segue.ingest.musicxml import chord_label
from training.melody.tune import Tune, chord_changes, nearest_key

_STEP = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass
class Bar:
    """One written measure. Times in quarters from its start; `notes` are [onset, length, pitch, tied on]."""

    meter: tuple[int, int]
    fifths: int
    length: Fraction = Fraction(0)
    notes: list[list] = field(default_factory=list)
    chords: list[tuple[Fraction, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A melody in one meter: notes and chords in units (1/12 quarter) from the first full bar, and the
    measures that it takes up, `first` to `stop` - 1. `complete`: it lasts to the end of the part.
    """

    meter: tuple[int, int]
    fifths: int
    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    chords: tuple[tuple[int, str], ...]
    first: int
    stop: int
    complete: bool


def read_root(path: Path) -> ElementTree.Element:
    """The root of a MusicXML file."""
    data = path.read_bytes()
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = [n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith(".xml")]
            data = archive.read(inner[0])
    return ElementTree.fromstring(data)


def note_pitch(note: ElementTree.Element) -> int | None:
    """MIDI pitch as written, None for a rest, a grace note or a cue."""
    pitch = note.find("pitch")
    if pitch is None or note.find("grace") is not None or note.find("cue") is not None:
        return None
    alter = round(float(pitch.findtext("alter") or 0))
    return 12 * (int(pitch.findtext("octave")) + 1) + _STEP[pitch.findtext("step")] + alter


def read_bars(part: ElementTree.Element, voice: str = "1") -> list[Bar]:
    """The measures of a part with the notes of one voice (notes without a voice count too)."""
    divisions, meter, fifths = 1, (4, 4), 0
    bars: list[Bar] = []
    for measure in part.findall("measure"):
        bar = Bar(meter, fifths)
        cursor = Fraction(0)
        for item in measure:
            if item.tag == "attributes":
                divisions = int(item.findtext("divisions") or divisions)
                fifths = int(item.findtext("key/fifths") or fifths)
                beats = item.findtext("time/beats")
                if beats:
                    meter = sum(map(int, beats.split("+"))), int(item.findtext("time/beat-type"))
                bar.meter, bar.fifths = meter, fifths
            elif item.tag in ("backup", "forward"):
                step = Fraction(int(item.findtext("duration")), divisions)
                cursor += step if item.tag == "forward" else -step
            elif item.tag == "harmony":
                offset = Fraction(int(item.findtext("offset") or 0), divisions)
                bar.chords.append((max(cursor + offset, Fraction(0)), chord_label(item)))
            elif item.tag == "note" and item.find("grace") is None:
                length = Fraction(int(item.findtext("duration")), divisions)
                number = note_pitch(item)
                if number is not None and item.findtext("voice") in (None, voice):
                    if item.find("chord") is not None and bar.notes:
                        bar.notes[-1][2] = max(bar.notes[-1][2], number)
                    else:
                        tied = any(tie.get("type") == "stop" for tie in item.findall("tie"))
                        bar.notes.append([cursor, length, number, tied])
                if item.find("chord") is None:
                    cursor += length
            bar.length = max(bar.length, cursor)
        bars.append(bar)
    return bars


def _starts(lengths: list[Fraction], bar: Fraction) -> list[Fraction]:
    """Where measures begin, from the first full bar: a short one joins its complement or is filled up."""
    starts: list[Fraction] = []
    at = filled = Fraction(0)
    for i, length in enumerate(lengths):
        if i == 0 and length < bar:
            starts.append(-length)
            continue
        starts.append(at + filled)
        after = lengths[i + 1] if i + 1 < len(lengths) else None
        if filled == 0 and length < bar and after is not None and length + after == bar:
            filled = length
            continue
        at += max(-((filled + length) // -bar), 1) * bar
        filled = Fraction(0)
    return starts


def longest_line(bars: list[Bar], one_key: bool = False) -> Line:
    """The stretch of measures in one meter (and key signature, with `one_key`) that holds the most notes.

    Raises ValueError where it has fewer than 12 notes.
    """
    best: tuple[int, int] = (0, 0)
    most = first = 0
    for _, same in groupby(bars, key=lambda b: (b.meter, b.fifths if one_key else 0)):
        rows = list(same)
        count = sum(len(b.notes) for b in rows)
        if count > most:
            most, best = count, (first, first + len(rows))
        first += len(rows)
    chosen = bars[best[0] : best[1]]
    notes: list[list] = []
    chords: list[tuple[int, str]] = []
    if chosen:
        meter = chosen[0].meter
        for bar, start in zip(
            chosen, _starts([b.length for b in chosen], Fraction(4 * meter[0], meter[1])), strict=True
        ):
            chords += [(round(12 * (start + place)), label) for place, label in bar.chords]
            for onset, length, pitch, tied in bar.notes:
                if tied and notes and notes[-1][2] == pitch:
                    notes[-1][1] = start + onset + length
                else:
                    notes.append([start + onset, start + onset + length, pitch])
    if len(notes) < 12:
        raise ValueError("fewer than 12 notes")
    onset = np.array([round(12 * n[0]) for n in notes], np.int64)
    stop = np.array([round(12 * n[1]) for n in notes], np.int64)
    return Line(
        meter,
        Counter(b.fifths for b in chosen for _ in b.notes).most_common(1)[0][0],
        onset,
        np.maximum(stop - onset, 1),
        np.array([n[2] for n in notes], np.int64),
        chord_changes(chords),
        *best,
        not any(b.notes for b in bars[best[1] :]),
    )


def _key(line: Line) -> tuple[int, str]:
    """Tonic and mode nearest to the notes of melody and chords together, each with half the weight.

    The tonality in the index of OpenEWLD is that of another edition for one sheet in four, and many sheets
    have no key signature: the tonic of 285 of the 363 sheets found so is the root of the last chord, with its
    third, of the index's tonalities 243.
    """
    melody = np.bincount(line.pitch % 12, line.duration, 12)
    harmony = np.zeros(12)
    ends = [*(place for place, _ in line.chords[1:]), int(line.onset[-1] + line.duration[-1])]
    for (place, label), end in zip(line.chords, ends, strict=False):
        harmony[list(parse_chord(label).pitch_classes)] += max(end - place, 0)
    return nearest_key(melody / melody.sum() + harmony / max(harmony.sum(), 1))


def read_sheet(path: Path) -> Tune:
    """The melody of one sheet with its chord symbols. Raises ValueError with the reason."""
    part = read_root(path).find("part")
    if part is None:
        raise ValueError("no part")
    line = longest_line(read_bars(part))
    return Tune(
        f"openewld/{path.stem}",
        "openewld",
        "song",
        line.meter,
        *_key(line),
        line.onset,
        line.duration,
        line.pitch,
        (len(line.pitch) - 1,) if line.complete else (),
        line.chords,
    )


def read_openewld(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable sheets in order of name, and why the others were left out."""
    tunes: list[Tune] = []
    lost: Counter = Counter()
    with open(folder / "index.csv", encoding="utf-8") as stream:
        names = sorted(row["file"] for row in csv.DictReader(stream))
    for name in names:
        try:
            tunes.append(read_sheet(folder / name))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            lost[f"{type(error).__name__}: {error}"] += 1
    return tunes, lost
