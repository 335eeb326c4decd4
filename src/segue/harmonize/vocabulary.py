"""What the model can name: 24 major and minor triads and no chord, and the colour on top of a triad.

A *colour* turns the triad of a majmin class into the chord that is written: `Am` with a minor seventh is
`Am7`, `G` suspended is `Gsus4`. Colours are named apart from roots, so that they are learnt for all roots at
once.
"""

from __future__ import annotations

from segue.chords import NO_CHORD, NO_CHORD_CLASS, Chord, nearest_majmin_class

COLOURS = (
    "plain",
    "minor seventh",
    "major seventh",
    "sixth",
    "sus4",
    "sus2",
    "diminished",
    "augmented",
    "half-diminished",
    "diminished seventh",
)

# Quality on a major and on a minor triad, by colour.
_QUALITY = {
    "plain": ("maj", "min"),
    "minor seventh": ("7", "min7"),
    "major seventh": ("maj7", "minmaj7"),
    "sixth": ("maj6", "min6"),
    "sus4": ("sus4", "sus4"),
    "sus2": ("sus2", "sus2"),
    "diminished": ("dim", "dim"),
    "augmented": ("aug", "aug"),
    "half-diminished": ("hdim7", "hdim7"),
    "diminished seventh": ("dim7", "dim7"),
}
_COLOUR = {
    "7": 1, "min7": 1, "9": 1, "min9": 1, "7b9": 1, "7#9": 1, "7b5": 1, "13": 1,
    "maj7": 2, "minmaj7": 2, "maj9": 2, "maj6": 3, "min6": 3, "69": 3,
    "sus4": 4, "7sus4": 4, "9sus4": 4, "sus2": 5, "dim": 6, "aug": 7, "aug7": 7, "hdim7": 8, "dim7": 9,
}  # fmt: skip


def classes_of(chord: Chord) -> tuple[int, int]:
    """Majmin class (the nearest one) and colour of a chord; no chord is plain."""
    return nearest_majmin_class(chord), _COLOUR.get(chord.quality, 0)


def chord_of(majmin: int, colour: int) -> Chord:
    """The chord that a majmin class 0..24 and a colour name."""
    if majmin == NO_CHORD_CLASS:
        return NO_CHORD
    return Chord(majmin % 12, _QUALITY[COLOURS[colour]][majmin >= 12])
