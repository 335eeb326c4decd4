"""Chord events of Yamaha's XF format: sequencer-specific meta events `43 7B 01 root type bass bass-type`.

A root is an accidental (high nibble, 0 three flats to 6 three sharps) and a letter (low nibble, 1 C to 7 B);
7F stands for none. Source: XF Format Specifications 2.01, Yamaha Corporation, 1999.
"""

from __future__ import annotations

from segue.midi import XF_CHORD

_NONE = 0x7F
_NO_CHORD = 0x22
#: Suffixes of the chord types 00 to 21; an octave without a third (1E) is written as a power chord.
_TYPES = (
    "", "6", "maj7", "maj7#11", "add9", "maj9", "69", "aug", "m", "m6", "m7", "m7b5", "m(add9)", "m9", "m11",
    "m(maj7)", "m(maj9)", "dim", "dim7", "7", "7sus4", "7b5", "9", "7#11", "13", "7b9", "7b13", "7#9",
    "maj7#5", "7#5", "5", "5", "sus4", "sus2",
)  # fmt: skip
_ACCIDENTALS = ("bbb", "bb", "b", "", "#", "##", "###")


def xf_label(text: str) -> str | None:
    """The chord symbol of an XF chord event (its bytes as text), None where it names none that is known."""
    body = text.encode("utf-8", "surrogateescape")
    if not body.startswith(XF_CHORD) or len(body) < 5:
        return None
    root, kind = body[3], body[4]
    if kind == _NO_CHORD:
        return "N.C."
    name = _note(root)
    if name is None or kind >= len(_TYPES):
        return None
    bass = _note(body[5]) if len(body) > 5 else None
    return name + _TYPES[kind] + (f"/{bass}" if bass is not None and bass != name else "")


def _note(code: int) -> str | None:
    accidental, letter = code >> 4, code & 0x0F
    if code == _NONE or accidental >= len(_ACCIDENTALS) or not 1 <= letter <= 7:
        return None
    return "CDEFGAB"[letter - 1] + _ACCIDENTALS[accidental]
