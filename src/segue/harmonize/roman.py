"""Roman numerals of chords in a key.

Conventions
-----------
After RomanText (Tymoczko, Gotham, Cuthbert and Ariza, ISMIR 2019) as music21 reads it:

- Upper case has a major third or none, lower case a minor one; `o` is diminished, `ø` half-diminished, `+`
  augmented. Degrees count from the major scale in major (`bVI`, `bVII`; the Neapolitan is `bII6`) and in
  minor from the natural scale for major chords (`III`, `VI`, `VII`) and the raised sixth and seventh for
  minor and diminished ones (`vi`, `viio7`). Diminished chords between degrees are named from below: `#io7`,
  `#ivo7`.
- Inversions are figured bass: `6`, `64`; `65`, `43`, `42`. A bass that figures cannot name (an added tone, a
  foreign one, any in a chord without third) follows a stroke as Harte et al. (2005) write it, as the degree
  above the chord's own root: F/G in C major is `IV/2`. A triad over its seventh is that seventh chord: C/Bb
  is `I42`.
- Added, altered and missing tones stand in brackets: `I[add6]`, `V7[b9]`, `I[no3]`; suspensions by name:
  `V7sus4`.

Other than RomanText, a figure 7 is a minor seventh on every degree (a diminished one after `o`) and a major
seventh is written `M`, so that a numeral can be read without the key's scale: `IM7`, `IM65`, `iM7`.
Augmented sixth chords are not named, since a chord symbol has no spelling: Ab7 in C major is `bVI7`.

Applied chords (`V7/V`, `viio7/ii`, `ii7/IV`) lead to a degree that has a major or minor triad of its own,
not to the tonic. The next chord decides, where it is given: it is that degree, the degree above the dominant
(a deceptive cadence), the cadential six-four before V, or the dominant goes on. Without it only chords with
a tritone count, for a triad alone may as well be borrowed. What belongs to the scale is not applied, but for
a dominant seventh that resolves (`V7/III` in minor). A diminished seventh is heard on the one of its tones
that leads to the next chord.
"""

from __future__ import annotations

from dataclasses import replace

from segue.chords import INTERVAL_NAMES, QUALITIES, Chord, quality_of
from segue.ingest.key import Key

_MAJOR_DEGREES = {
    "major": "I bII II bIII III IV #IV V bVI VI bVII VII",
    "minor": "i bii ii biii iii iv #iv v bvi vi bvii vii",
    "diminished": "i #i ii #ii iii iv #iv v #v vi #vi vii",
}
_MINOR_DEGREES = {
    "major": "I bII II III #III IV #IV V VI #VI VII #VII",
    "minor": "i bii ii iii #iii iv #iv v bvi vi bvii vii",
    "diminished": "i #i ii iii #iii iv #iv v #v vi bvii vii",
}
_DEGREES = {"major": _MAJOR_DEGREES, "minor": _MINOR_DEGREES}
_SCALES = {
    "major": ((0, 2, 4, 5, 7, 9, 11),),
    # Natural, harmonic and melodic minor.
    "minor": ((0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 9, 11)),
}
#: Degrees that applied chords lead to, by semitones above the tonic.
_TARGETS = {
    "major": {2: "ii", 4: "iii", 5: "IV", 7: "V", 9: "vi"},
    "minor": {3: "III", 5: "iv", 7: "V", 8: "VI", 10: "VII"},
}
#: Mark before the figures, whether it has a seventh to count figures from, and what is in brackets or after.
_FORMS: dict[str, tuple[str, bool, str]] = {
    "maj": ("", False, ""),
    "min": ("", False, ""),
    "7": ("", True, ""),
    "maj7": ("M", True, ""),
    "min7": ("", True, ""),
    "dim": ("o", False, ""),
    "hdim7": ("ø", True, ""),
    "dim7": ("o", True, ""),
    "aug": ("+", False, ""),
    "sus4": ("", False, "sus4"),
    "sus2": ("", False, "sus2"),
    "maj6": ("", False, "[add6]"),
    "min6": ("", False, "[add6]"),
    "minmaj7": ("M", True, ""),
    "7sus4": ("", True, "sus4"),
    "9sus4": ("", True, "sus4[add9]"),
    "aug7": ("+", True, ""),
    "7b5": ("", True, "[b5]"),
    "9": ("", True, "[add9]"),
    "maj9": ("M", True, "[add9]"),
    "min9": ("", True, "[add9]"),
    "7b9": ("", True, "[b9]"),
    "7#9": ("", True, "[#9]"),
    "13": ("", True, "[add13]"),
    "add9": ("", False, "[add9]"),
    "madd9": ("", False, "[add9]"),
    "69": ("", False, "[add6][add9]"),
    "5": ("", False, "[no3]"),
}
_TRIAD_FIGURES = ("", "6", "64")
_SEVENTH_FIGURES = ("7", "65", "43", "42")
#: Qualities by what they do before another chord.
_DOMINANT_SEVENTHS = {"7", "9", "7b9", "7#9", "13", "aug7", "7b5"}
_DOMINANTS = _DOMINANT_SEVENTHS | {"maj", "aug"}
_LEADING = {"dim", "dim7", "hdim7"}
_SUPERTONICS = {"min7", "min9", "hdim7"}


def roman_numeral(chord: Chord, key: Key, following: Chord | None = None) -> str:
    """The numeral of a chord in `key`, such as `V65/V`; see the module's conventions.

    `following` is the next chord; it decides what is an applied chord.
    """
    if not chord.is_chord:
        return "N.C."
    chord = _heard_root(_as_seventh(chord), following)
    function = _applied(chord, key, following)
    if function is None:
        return _degree(chord, key) + _figures(chord)
    name, target = function
    return f"{name}{_figures(chord)}/{target}"


def _as_seventh(chord: Chord) -> Chord:
    """A triad over its seventh as that seventh chord; any other chord as it is."""
    intervals = QUALITIES[chord.quality].intervals
    bass = (chord.bass - chord.root) % 12
    if len(intervals) == 3 and bass in (10, 11) and (name := quality_of((*intervals, bass))) is not None:
        return replace(chord, quality=name)
    return chord


def _heard_root(chord: Chord, following: Chord | None) -> Chord:
    """A diminished seventh on the tone of it that leads to the next chord's root, if one does."""
    if chord.quality != "dim7" or following is None or not following.is_chord:
        return chord
    below = (following.root - 1) % 12
    return replace(chord, root=below) if below in chord.pitch_classes[:4] else chord


def _degree(chord: Chord, key: Key) -> str:
    intervals = QUALITIES[chord.quality].intervals
    family = "diminished" if chord.quality in _LEADING else "minor" if 3 in intervals[:2] else "major"
    return _DEGREES[key.mode][family].split()[(chord.root - key.tonic) % 12]


def _figures(chord: Chord) -> str:
    """Mark, figures, suspensions, brackets and a bass that figures cannot name."""
    mark, seventh, rest = _FORMS[chord.quality]
    figures = _SEVENTH_FIGURES if seventh else _TRIAD_FIGURES
    intervals = QUALITIES[chord.quality].intervals
    bass = (chord.bass - chord.root) % 12
    has_third = 3 in intervals[:2] or 4 in intervals[:2]
    place = intervals.index(bass) if bass in intervals and (has_third or bass == 0) else len(figures)
    if place < len(figures):
        return _short(f"{mark}{figures[place]}{rest}")
    return _short(f"{mark}{figures[0]}{rest}") + f"/{INTERVAL_NAMES[bass]}"


def _short(figures: str) -> str:
    """A chord of the ninth or thirteenth in root position by its own number."""
    for number in ("9", "13"):
        figures = figures.replace(f"7[add{number}]", number).replace(f"7sus4[add{number}]", f"{number}sus4")
    return figures


def _applied(chord: Chord, key: Key, following: Chord | None) -> tuple[str, str] | None:
    """The numeral and the target of an applied chord, None for a chord that is none in this place."""
    known = following is not None and following.is_chord
    in_scale = _in_scale(chord, key)
    if chord.quality in _DOMINANTS:
        up, name = 5, "V"
    elif chord.quality in _LEADING:
        up, name = 1, "vii"
    else:
        up, name = None, ""
    if up is not None:
        target = (chord.root + up) % 12
        degree = _TARGETS[key.mode].get((target - key.tonic) % 12)
        # A half-diminished chord leads to a major one; before a minor one it is a supertonic.
        if degree is not None and not (chord.quality == "hdim7" and degree.islower()):
            if known and _resolves(chord, target, key, following):
                if not in_scale or (chord.quality in _DOMINANT_SEVENTHS and following.root == target):
                    return name, degree
            elif not known and not in_scale and chord.root != key.tonic and _has_tritone(chord):
                return name, degree
    if known and not in_scale and chord.quality in _SUPERTONICS and following.quality in _DOMINANT_SEVENTHS:
        degree = _TARGETS[key.mode].get((chord.root - 2 - key.tonic) % 12)
        if degree is not None and following.root == (chord.root + 5) % 12:
            return "ii", degree
    return None


def _in_scale(chord: Chord, key: Key) -> bool:
    tones = {(p - key.tonic) % 12 for p in chord.pitch_classes}
    return any(tones <= set(scale) for scale in _SCALES[key.mode])


def _has_tritone(chord: Chord) -> bool:
    intervals = QUALITIES[chord.quality].intervals
    return chord.quality in _LEADING or (4 in intervals and 10 in intervals)


def _resolves(chord: Chord, target: int, key: Key, following: Chord) -> bool:
    """Whether the next chord is one that a dominant of `target` (a pitch class) goes to."""
    if following.root == target:
        return True
    dominant = (target + 7) % 12
    goes_on = following.root == chord.root or (
        following.root == dominant and following.quality in _DOMINANTS and chord.quality in _LEADING
    )
    deceptive = chord.quality in _DOMINANT_SEVENTHS and following.root in (
        (dominant + 1) % 12,
        (dominant + 2) % 12,
    )
    six_four = following.root == key.tonic and target == following.bass == (key.tonic + 7) % 12
    return goes_on or deceptive or six_four
