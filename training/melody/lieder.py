"""The vocal lines of OpenScore Lieder as `Tune`: the part with the most words, its voice with the most notes.

The longest stretch in one meter and one key signature is taken, where it holds 24 notes; strophes under one
line of notes count once. The key signature leaves a major key and its relative minor: the nearer one by the
key profiles of `segue.ingest.key`, over all parts of the stretch. Interludes are cut, see
`without_long_silence`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from training.melody.musicxml import Line, longest_line, note_pitch, read_bars, read_root
from training.melody.tune import Tune, nearest_key, without_long_silence

_MIN_NOTES = 24


def vocal_part(root: ElementTree.Element) -> tuple[ElementTree.Element, str]:
    """The part that is sung, the first of several, and its voice number. Raises ValueError without words."""
    parts = root.findall("part")
    words = [sum(1 for _ in part.iter("lyric")) for part in parts]
    if not any(words):
        raise ValueError("no words")
    part = parts[int(np.argmax(words))]
    voices = Counter(
        note.findtext("voice") or "1" for note in part.iter("note") if note.find("lyric") is not None
    )
    return part, max(voices, key=lambda voice: (voices[voice], -ord(voice[0])))


def _profile(root: ElementTree.Element, line: Line) -> np.ndarray:
    """Sounding time (quarters) of each pitch class in all parts, within the measures of the line, (12,)."""
    profile = np.zeros(12)
    for part in root.findall("part"):
        divisions = 1
        for i, measure in enumerate(part.findall("measure")[: line.stop]):
            divisions = int(measure.findtext("attributes/divisions") or divisions)
            if i < line.first:
                continue
            for note in measure.findall("note"):
                pitch = note_pitch(note)
                if pitch is not None:
                    profile[pitch % 12] += int(note.findtext("duration")) / divisions
    return profile


def read_song(path: Path) -> Tune:
    """The vocal line of one song. Raises ValueError with the reason why it cannot be used."""
    root = read_root(path)
    line = longest_line(read_bars(*vocal_part(root)), one_key=True)
    if len(line.pitch) < _MIN_NOTES:
        raise ValueError(f"fewer than {_MIN_NOTES} notes in one meter and key")
    major = 7 * line.fifths % 12
    tonic, mode = nearest_key(_profile(root, line), (major, 12 + (major + 9) % 12))
    tune = Tune(
        f"openscore-lieder/{path.stem}",
        "openscore-lieder",
        "lied",
        line.meter,
        tonic,
        mode,
        line.onset,
        line.duration,
        line.pitch,
        (len(line.pitch) - 1,) if line.complete else (),
        line.chords,
    )
    return without_long_silence(tune)


def read_lieder(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable songs in order of name, and why the others were left out."""
    tunes: list[Tune] = []
    lost: Counter = Counter()
    for path in sorted(folder.glob("*.mxl")):
        try:
            tunes.append(read_song(path))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            lost[f"{type(error).__name__}: {error}"] += 1
    return tunes, lost
