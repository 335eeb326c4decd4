"""Lead sheets of OpenEWLD: the melody of a MusicXML file (compressed or not) as a `Tune`.

Read here rather than through note-seq, which places notes by tempo in seconds and loses pickups. The top note
of a chord counts, the first voice of the first part, grace notes are left out, repeats are not unfolded.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from training.melody.tune import Tune

_STEP = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def _root(path: Path) -> ElementTree.Element:
    data = path.read_bytes()
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = [n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith(".xml")]
            data = archive.read(inner[0])
    return ElementTree.fromstring(data)


def read_sheet(path: Path, tonality: str) -> Tune:
    """The melody of one sheet; `tonality` such as "E- major". Raises ValueError with the reason."""
    part = _root(path).find("part")
    if part is None:
        raise ValueError("no part")
    divisions, meter = 1, None
    now = Fraction(0)
    notes: list[list] = []
    first_length = None
    for measure in part.findall("measure"):
        cursor = latest = Fraction(0)
        for item in measure:
            if item.tag == "attributes":
                divisions = int(item.findtext("divisions") or divisions)
                time = item.find("time")
                if time is not None and time.findtext("beats"):
                    given = int(time.findtext("beats")), int(time.findtext("beat-type"))
                    if meter is not None and given != meter:
                        raise ValueError("the meter changes")
                    meter = given
            elif item.tag in ("backup", "forward"):
                step = Fraction(int(item.findtext("duration")), divisions)
                cursor += step if item.tag == "forward" else -step
            elif item.tag == "note" and item.find("grace") is None:
                length = Fraction(int(item.findtext("duration")), divisions)
                pitch = item.find("pitch")
                if item.findtext("voice") in (None, "1") and pitch is not None:
                    number = 12 * (int(pitch.findtext("octave")) + 1) + _STEP[pitch.findtext("step")]
                    number += round(float(pitch.findtext("alter") or 0))
                    if item.find("chord") is not None and notes:
                        notes[-1][2] = max(notes[-1][2], number)
                    elif _ends_tie(item) and notes and notes[-1][2] == number:
                        notes[-1][1] += length
                    else:
                        notes.append([now + cursor, length, number])
                if item.find("chord") is None:
                    cursor += length
            latest = max(latest, cursor)
        if first_length is None:
            first_length = latest
        now += latest
    meter = meter or (4, 4)
    bar = Fraction(4 * meter[0], meter[1])
    if len(notes) < 12:
        raise ValueError("fewer than 12 notes")
    zero = first_length if first_length < bar else Fraction(0)
    onset = np.array([round(12 * (n[0] - zero)) for n in notes], np.int64)
    stop = np.array([round(12 * (n[0] + n[1] - zero)) for n in notes], np.int64)
    name, mode = tonality.split()
    tonic = (_STEP[name[0]] + name.count("#") - name.count("-")) % 12
    return Tune(
        f"openewld/{path.stem}",
        "openewld",
        "jazz",
        meter,
        tonic,
        mode,
        onset,
        np.maximum(stop - onset, 1),
        np.array([n[2] for n in notes], np.int64),
        (len(notes) - 1,),
    )


def _ends_tie(note: ElementTree.Element) -> bool:
    return any(tie.get("type") == "stop" for tie in note.findall("tie"))


def read_openewld(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable sheets in order of name, and why the others were left out."""
    tunes: list[Tune] = []
    lost: Counter = Counter()
    with open(folder / "index.csv", encoding="utf-8") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["file"])
    for row in rows:
        try:
            tunes.append(read_sheet(folder / row["file"], row["tonality"]))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            lost[f"{type(error).__name__}: {error}"] += 1
    return tunes, lost
