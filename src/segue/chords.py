"""Chords: a closed vocabulary, and the two ways of writing them that music files use.

Conventions
-----------
- Pitch classes are 0..11 with C = 0; intervals are semitones above the root, 0..11.
- `parse_chord` reads Harte notation (`A:min7/b3`, Harte et al. 2005, as in `mir_eval.chord`) and
  lead-sheet symbols (`Am7/C`, `F#m7b5`, `Bbmaj7`, `C-7`, `Ebj7`, `N.C.`). Colours outside the vocabulary are
  dropped, the farthest from the root first, until a known quality is left: `C13#11` is read as `C13`.
- `Chord.symbol` writes lead-sheet symbols and `Chord.harte` Harte notation; both are read back equal.
- *majmin classes*: 0..11 major on that root, 12..23 minor, 24 no chord, -1 neither (suspended, diminished,
  augmented, power chords), which is the reduction of `mir_eval.chord.majmin`. `nearest_majmin_class` gives
  those a class as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

NO_CHORD_CLASS = 24
MAJMIN_CLASSES = 25


class Quality(NamedTuple):
    """What a chord quality sounds like and how it is written."""

    #: Semitones above the root, the root first.
    intervals: tuple[int, ...]
    #: Lead-sheet suffix after the root.
    suffix: str
    #: Harte shorthand after the colon.
    harte: str


QUALITIES: dict[str, Quality] = {
    "maj": Quality((0, 4, 7), "", "maj"),
    "min": Quality((0, 3, 7), "m", "min"),
    "7": Quality((0, 4, 7, 10), "7", "7"),
    "maj7": Quality((0, 4, 7, 11), "maj7", "maj7"),
    "min7": Quality((0, 3, 7, 10), "m7", "min7"),
    "dim": Quality((0, 3, 6), "dim", "dim"),
    "hdim7": Quality((0, 3, 6, 10), "m7b5", "hdim7"),
    "dim7": Quality((0, 3, 6, 9), "dim7", "dim7"),
    "aug": Quality((0, 4, 8), "aug", "aug"),
    "sus4": Quality((0, 5, 7), "sus4", "sus4"),
    "sus2": Quality((0, 2, 7), "sus2", "sus2"),
    "maj6": Quality((0, 4, 7, 9), "6", "maj6"),
    "min6": Quality((0, 3, 7, 9), "m6", "min6"),
    "minmaj7": Quality((0, 3, 7, 11), "m(maj7)", "minmaj7"),
    "7sus4": Quality((0, 5, 7, 10), "7sus4", "sus4(b7)"),
    "9sus4": Quality((0, 5, 7, 10, 2), "9sus4", "sus4(b7,9)"),
    "aug7": Quality((0, 4, 8, 10), "7#5", "aug(b7)"),
    "7b5": Quality((0, 4, 6, 10), "7b5", "7(*5,b5)"),
    "9": Quality((0, 4, 7, 10, 2), "9", "9"),
    "maj9": Quality((0, 4, 7, 11, 2), "maj9", "maj9"),
    "min9": Quality((0, 3, 7, 10, 2), "m9", "min9"),
    "7b9": Quality((0, 4, 7, 10, 1), "7b9", "7(b9)"),
    "7#9": Quality((0, 4, 7, 10, 3), "7#9", "7(#9)"),
    "13": Quality((0, 4, 7, 10, 2, 9), "13", "9(13)"),
    "add9": Quality((0, 4, 7, 2), "add9", "maj(9)"),
    "madd9": Quality((0, 3, 7, 2), "m(add9)", "min(9)"),
    "69": Quality((0, 4, 7, 9, 2), "69", "maj6(9)"),
    "5": Quality((0, 7), "5", "5"),
}
_BY_INTERVALS = {frozenset(q.intervals): name for name, q in QUALITIES.items()}

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NO_CHORD = {"N", "NC", "N.C.", "N.C", "nc", "n.c.", "X", "none", "NO CHORD"}


@dataclass(frozen=True)
class Chord:
    """One chord. `root` and `bass` are pitch classes, or None for no chord; `quality` names `QUALITIES`.

    `bass` equals `root` in root position.
    """

    root: int | None = None
    quality: str = ""
    bass: int | None = None

    def __post_init__(self) -> None:
        if self.root is None:
            return
        if self.quality not in QUALITIES:
            raise ValueError(f"chord quality {self.quality!r} is unknown; use one of {', '.join(QUALITIES)}")
        if self.bass is None:
            object.__setattr__(self, "bass", self.root)

    @property
    def is_chord(self) -> bool:
        """False for no chord."""
        return self.root is not None

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, the root first; a foreign bass comes last; () for no chord."""
        if self.root is None:
            return ()
        tones = tuple((self.root + i) % 12 for i in QUALITIES[self.quality].intervals)
        return tones if self.bass in tones else (*tones, self.bass)

    def transposed(self, semitones: int) -> Chord:
        """The chord moved by `semitones`."""
        if self.root is None:
            return self
        return Chord((self.root + semitones) % 12, self.quality, (self.bass + semitones) % 12)

    def symbol(self, key: Mapping[str, Any] | None = None) -> str:
        """Lead-sheet symbol, such as `F#m7b5` or `C/G`; the key (a record's) decides sharps and flats."""
        if self.root is None:
            return "N.C."
        text = note_name(self.root, key) + QUALITIES[self.quality].suffix
        return text if self.bass == self.root else f"{text}/{note_name(self.bass, key)}"

    def harte(self) -> str:
        """Harte notation, as `mir_eval.chord` reads it."""
        if self.root is None:
            return "N"
        text = f"{note_name(self.root)}:{QUALITIES[self.quality].harte}"
        return text if self.bass == self.root else f"{text}/{INTERVAL_NAMES[(self.bass - self.root) % 12]}"


NO_CHORD = Chord()

_DEGREES = {
    "1": 0,
    "2": 2,
    "3": 4,
    "4": 5,
    "5": 7,
    "6": 9,
    "7": 11,
    "8": 0,
    "9": 2,
    "10": 4,
    "11": 5,
    "13": 9,
}
#: Harte's name of each interval above the root, semitones 0..11.
INTERVAL_NAMES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


def note_name(pitch_class: int, key: Mapping[str, Any] | None = None) -> str:
    """Name of a pitch class, spelt as near to the key (`tonic` 0..11, `mode`) as the line of fifths allows.

    Without a key as in C major. Spellings stay between Gb and A#, so that no name is a riddle (no E#, no Cb).
    """
    tonic, minor = (int(key["tonic"]), key["mode"] == "minor") if key else (0, False)
    # Steps on the line of fifths from C; a major key reaches from its flat second to its raised fourth.
    lowest = -3 if minor else -5
    tonic_fifths = (tonic * 7 - lowest) % 12 + lowest
    low = min(max(tonic_fifths - (6 if minor else 5), -6), -1)
    fifths = (pitch_class * 7 - low) % 12 + low
    accidentals, letter = divmod(fifths + 1, 7)
    return "FCGDAEB"[letter] + ("#" * accidentals if accidentals > 0 else "b" * -accidentals)


def pitch_class(name: str) -> int:
    """Pitch class of a note name: a letter A to G, then sharps `#` or flats `b`."""
    return (_LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12


def quality_of(intervals: Sequence[int]) -> str | None:
    """The quality with exactly these intervals above its root (semitones, 0 among them), or None."""
    return _BY_INTERVALS.get(frozenset(intervals))


def _degree(name: str) -> int | None:
    number = name.lstrip("b#")
    if number not in _DEGREES:
        return None
    return (_DEGREES[number] + name.count("#") - name.count("b")) % 12


def _nearest_quality(intervals: Sequence[int]) -> str | None:
    """The quality with these intervals; the last ones (the farthest colours) are dropped until one fits."""
    known = list(dict.fromkeys(intervals))
    while len(known) >= 2:
        if (name := quality_of(known)) is not None:
            return name
        known.pop()
    return None


_ROOT = re.compile(r"([A-G])([b#]*)(.*)", re.DOTALL)
_SIGNS = str.maketrans(
    {"♭": "b", "♯": "#", "°": "o", "º": "o", "Δ": "^", "△": "^", "ø": "h", "Ø": "h", "−": "-"}
)


@lru_cache(maxsize=4096)
def parse_chord(text: str) -> Chord | None:
    """The chord that `text` writes in Harte or lead-sheet notation, or None when it is not a chord."""
    text = text.strip().translate(_SIGNS)
    if text in _NO_CHORD or text.upper() in _NO_CHORD:
        return NO_CHORD
    match = _ROOT.fullmatch(text)
    if match is None:
        return None
    root, rest = pitch_class(match[1] + match[2]), match[3]
    body, bass = rest, None
    slash = re.fullmatch(r"(.*)/([A-G][b#]{0,2}|[b#]*\d+)", rest)
    if slash and slash[2] == "9" and slash[1].endswith("6"):
        slash = None  # 6/9 is a colour, not an inversion.
    if slash:
        body = slash[1]
        if slash[2][0] in _LETTERS:
            bass = pitch_class(slash[2])
        elif (step := _degree(slash[2])) is not None:
            bass = (root + step) % 12
        else:
            return None
    intervals = _harte_intervals(body[1:]) if body.startswith(":") else _lead_sheet_intervals(body)
    quality = _nearest_quality(intervals) if intervals is not None else None
    return None if quality is None else Chord(root, quality, bass)


_HARTE = {q.harte: q.intervals for q in QUALITIES.values()} | {
    "": (0, 4, 7),
    "1": (0, 7),
    "11": (0, 4, 7, 10, 2),
    "maj11": (0, 4, 7, 11, 2),
    "min11": (0, 3, 7, 10, 2),
    "maj13": (0, 4, 7, 11, 2),
    "min13": (0, 3, 7, 10, 2),
    "13": (0, 4, 7, 10, 2, 9),
    "hdim": (0, 3, 6, 10),
}


def _harte_intervals(body: str) -> list[int] | None:
    match = re.fullmatch(r"([a-z0-9]*)(?:\(([^()]*)\))?", body)
    if match is None or match[1] not in _HARTE:
        return None
    bare = not match[1] and match[2] is not None
    intervals = [0] if bare else list(_HARTE[match[1]])
    for name in (match[2] or "").replace(" ", "").split(","):
        if not name:
            continue
        step = _degree(name.lstrip("*"))
        if step is None:
            return None
        if name.startswith("*"):
            intervals = [i for i in intervals if i != step]
        elif step not in intervals:
            intervals.append(step)
    return intervals


_TOKEN = re.compile(
    r"(?P<minmaj>mM|-\^|m\^|-j)|(?P<major>maj|Maj|MAJ|ma(?!dd)|Ma|MA|M|\^|j)|(?P<minor>min|Min|MIN|mi|MI|m)"
    r"|(?P<halfdim>hdim|h)|(?P<dim>dim|Dim|o)|(?P<aug>aug|Aug)|(?P<sus>sus4|sus2|sus)"
    r"|(?P<add>add(?:[b#]?(?:11|13|9|2|4|6|7)))|(?P<omit>(?:no|omit)(?:3|5))|(?P<alt>alt)"
    r"|(?P<alter>[b#+-](?:5|6|9|11|13))|(?P<after>(?:5|9|11|13)[b#](?!\d))|(?P<minus>-)|(?P<plus>\+)"
    r"|(?P<number>69|6/9|13|11|9|7|6|5|4|2)"
)


def _lead_sheet_intervals(body: str) -> list[int] | None:
    """Intervals in order of importance: triad, seventh or sixth, then colours."""
    body = re.sub(r"[(), \[\]]", "", body)
    third: int | None = 4
    fifth: int | None = 7
    seventh: int | None = None
    colours: list[int] = []
    major_mark = diminished = False
    at = 0
    while at < len(body):
        token = _TOKEN.match(body, at)
        if token is None:
            return None
        kind, value, first = token.lastgroup, token[0], at == 0
        if first and value[0] == "-" and kind == "alter":
            kind, value, token = "minus", "-", re.compile("-").match(body, at)
        if first and value[0] == "+" and kind == "alter":
            kind, value, token = "plus", "+", re.compile(r"\+").match(body, at)
        at = token.end()
        if kind == "minmaj":
            third, seventh, major_mark = 3, 11, True
        elif kind == "major":
            major_mark = True
            if value in ("^", "j"):
                seventh = 11
        elif kind in ("minor", "minus"):
            third = 3
        elif kind == "halfdim":
            third, fifth, seventh = 3, 6, 10
        elif kind == "dim":
            third, fifth, diminished = 3, 6, True
        elif kind in ("aug", "plus"):
            fifth = 8
        elif kind == "sus":
            third = 2 if value == "sus2" else 5
        elif kind == "add":
            if value == "add7":
                seventh = 10
            else:
                colours.append(_degree(value[3:]) or 0)
        elif kind == "omit":
            third, fifth = (None, fifth) if value.endswith("3") else (third, None)
        elif kind == "alt":
            seventh = 10
            fifth = 8
        elif kind in ("alter", "after"):
            sign = value[0] if kind == "alter" else value[-1]
            number = value.strip("b#+-")
            step = (_DEGREES[number] + (1 if sign in "#+" else -1)) % 12
            if number == "5":
                fifth = step
            else:
                colours.append(step)
        elif value in ("69", "6/9"):
            colours += [9, 2]
        elif value == "5":
            if not (first and at == len(body)):
                return None
            third = None
        elif value == "6":
            colours.append(9)
        elif value in ("2", "4"):
            if not first:
                return None
            third, colours = (4, [*colours, 2]) if value == "2" else (5, colours)
        else:
            seventh = 11 if major_mark else (9 if diminished and value == "7" else (seventh or 10))
            colours += {"7": [], "9": [2], "11": [2], "13": [2, 9]}[value]
    if (third, fifth) == (3, 8):
        fifth = 7  # A minor triad with a raised fifth has no name of its own.
    return [i for i in (0, third, fifth, seventh, *colours) if i is not None]


def majmin_class(chord: Chord) -> int:
    """The majmin class of a chord (see the module's conventions), by what mir_eval looks at.

    That is third, fifth and bass up to a fifth above the root: `F/G` is neither major nor minor.
    """
    if chord.root is None:
        return NO_CHORD_CLASS
    tones = (*QUALITIES[chord.quality].intervals[1:3], (chord.bass - chord.root) % 12)
    low = {tone for tone in tones if 0 < tone < 8}
    if low not in ({4, 7}, {3, 7}):
        return -1
    return chord.root + (12 if 3 in low else 0)


def nearest_majmin_class(chord: Chord) -> int:
    """Like `majmin_class`, with the others assigned by their third: minor third minor, all else major."""
    if chord.root is None:
        return NO_CHORD_CLASS
    minor = 3 in QUALITIES[chord.quality].intervals[:3]
    return chord.root + (12 if minor else 0)


def chord_of_majmin_class(index: int) -> Chord:
    """The chord of a majmin class 0..24."""
    if index == NO_CHORD_CLASS:
        return NO_CHORD
    return Chord(index % 12, "min" if index >= 12 else "maj")


def pitch_class_mask(chord: Chord) -> np.ndarray:
    """True where a pitch class belongs to the chord, bool, shape (12,)."""
    mask = np.zeros(12, bool)
    mask[list(chord.pitch_classes)] = True
    return mask


#: The pitch classes of the 24 major and minor triads, by majmin class: bool, shape (24, 12).
TRIAD_MASKS = np.stack([pitch_class_mask(chord_of_majmin_class(i)) for i in range(NO_CHORD_CLASS)])


def chords_of_record(record: Mapping[str, Any]) -> tuple[np.ndarray, list[Chord]]:
    """The chords of a piece's record: start ticks, int64, shape (n,), ascending, and the chords.

    Labels that are no chord symbol are left out; both are empty where no stage has found chords. Each chord
    holds until the next one; use `chord_index_at` to look one up.
    """
    pairs = [(int(entry["tick"]), parse_chord(entry["label"])) for entry in record.get("chords") or ()]
    known = sorted((p for p in pairs if p[1] is not None), key=lambda p: p[0])
    return np.array([tick for tick, _ in known], np.int64), [chord for _, chord in known]


def chord_index_at(starts: np.ndarray, ticks: np.ndarray | Sequence[int]) -> np.ndarray:
    """Index of the chord that holds at each tick, int64; -1 before the first one."""
    return np.searchsorted(starts, np.asarray(ticks), "right") - 1


def without_colour(chord: Chord) -> Chord:
    """The triad of a chord: sevenths, sixths and ninths dropped, bass kept when it belongs to the triad."""
    if chord.root is None:
        return chord
    name = _nearest_quality(QUALITIES[chord.quality].intervals[:3]) or chord.quality
    tones = {(chord.root + i) % 12 for i in QUALITIES[name].intervals}
    return replace(chord, quality=name, bass=chord.bass if chord.bass in tones else chord.root)
