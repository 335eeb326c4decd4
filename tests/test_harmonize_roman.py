"""Roman numerals: by table, and what holds for the whole vocabulary."""

import re

import pytest

from segue.chords import NO_CHORD, QUALITIES, Chord, parse_chord
from segue.harmonize.roman import roman_numeral
from segue.ingest.key import Key

C, C_MINOR = Key(0, "major"), Key(0, "minor")
VOCABULARY = [Chord(r, q, b) for r in range(12) for q in QUALITIES for b in range(12)]


@pytest.mark.parametrize(
    ("symbol", "numeral"),
    [
        ("C", "I"),
        ("C/E", "I6"),
        ("C/G", "I64"),
        ("Dm7", "ii7"),
        ("Dm7/F", "ii65"),
        ("Em", "iii"),
        ("Fmaj7", "IVM7"),
        ("Fmaj7/A", "IVM65"),
        ("G7", "V7"),
        ("G7/B", "V65"),
        ("G7/D", "V43"),
        ("G7/F", "V42"),
        ("G/F", "V42"),
        ("G9", "V9"),
        ("G9/B", "V65[add9]"),
        ("G13", "V13"),
        ("G7b9", "V7[b9]"),
        ("Gsus4", "Vsus4"),
        ("Gsus4/C", "Vsus4/4"),
        ("G9sus4", "V9sus4"),
        ("Gaug", "V+"),
        ("Gaug/B", "V+6"),
        ("G7#5", "V+7"),
        ("Am/G", "vi42"),
        ("Am/F#", "vi/6"),
        ("F/G", "IV/2"),
        ("Bdim", "viio"),
        ("Bdim/D", "viio6"),
        ("Bm7b5", "viiø7"),
        ("Bdim7/Ab", "viio42"),
        ("Fm", "iv"),
        ("Fm6", "iv[add6]"),
        ("Bb", "bVII"),
        ("Ab", "bVI"),
        ("Ab7", "bVI7"),
        ("Db/F", "bII6"),
        ("C6", "I[add6]"),
        ("C69", "I[add6][add9]"),
        ("Cadd9", "I[add9]"),
        ("C5", "I[no3]"),
        ("C7", "I7"),
        ("D7", "V7/V"),
        ("D7/F#", "V65/V"),
        ("E7", "V7/vi"),
        ("E", "III"),
        ("C#dim7", "viio7/ii"),
        ("F#m7b5/A", "viiø65/V"),
        ("Ddim7", "iio7"),
    ],
)
def test_chords_of_c_major(symbol, numeral):
    assert roman_numeral(parse_chord(symbol), C) == numeral


@pytest.mark.parametrize(
    ("symbol", "numeral"),
    [
        ("Cm", "i"),
        ("Cm(maj7)", "iM7"),
        ("Dm7b5/F", "iiø65"),
        ("Eb", "III"),
        ("Ebaug", "III+"),
        ("Fm7", "iv7"),
        ("F", "IV"),
        ("Gm", "v"),
        ("G7", "V7"),
        ("Ab", "VI"),
        ("Bb7", "VII7"),
        ("Bdim7", "viio7"),
        ("Bdim7/D", "viio65"),
        ("Db/F", "bII6"),
        ("C", "I"),
        ("F#dim7", "viio7/V"),
        ("D7", "V7/V"),
    ],
)
def test_chords_of_c_minor(symbol, numeral):
    assert roman_numeral(parse_chord(symbol), C_MINOR) == numeral


@pytest.mark.parametrize(
    ("key", "symbol", "following", "numeral"),
    [
        (C, "D7", "G", "V7/V"),
        (C, "D", "G7", "V/V"),
        (C, "D", "F", "II"),
        (C, "D7", "F", "II7"),
        (C, "D7", "Em", "V7/V"),
        (C, "C7", "F", "V7/IV"),
        (C, "C7", "G", "I7"),
        (C, "E", "Am", "V/vi"),
        (C, "E", "E7", "V/vi"),
        (C, "E7", "F", "V7/vi"),
        (C, "A7", "D7", "V7/ii"),
        (C, "Gm7", "C7", "ii7/IV"),
        (C, "Em7b5", "A7", "iiø7/ii"),
        (C, "Dm7", "G7", "ii7"),
        (C, "C", "F", "I"),
        (C, "F#dim7", "C/G", "viio7/V"),
        (C, "F#dim", "D7", "viio/V"),
        (C, "Ddim7", "C", "viio65"),
        (C, "Edim7", "Dm", "viio65/ii"),
        (C_MINOR, "Bb7", "Eb", "V7/III"),
        (C_MINOR, "Bb", "Eb", "VII"),
        (C_MINOR, "C7", "Fm", "V7/iv"),
        (C, "Db7", "C", "bII7"),
        (C, "D7", "N.C.", "V7/V"),
    ],
)
def test_the_next_chord_decides_what_is_applied(key, symbol, following, numeral):
    assert roman_numeral(parse_chord(symbol), key, parse_chord(following)) == numeral


def test_no_chord_has_no_degree():
    assert roman_numeral(NO_CHORD, C) == "N.C."


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_numeral_names_root_tones_and_bass(mode):
    """Two chords that sound different, or on another root, never share a numeral."""
    named = {}
    for chord in VOCABULARY:
        heard = (chord.root, chord.bass, frozenset(chord.pitch_classes))
        assert named.setdefault(roman_numeral(chord, Key(0, mode)), heard) == heard


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("following", [None, Chord(7, "7"), Chord(9, "min"), Chord(0, "maj", 7)])
def test_numerals_do_not_depend_on_the_tonic(mode, following):
    for chord in VOCABULARY:
        numerals = {
            roman_numeral(
                chord.transposed(up), Key(up, mode), None if following is None else following.transposed(up)
            )
            for up in range(12)
        }
        assert len(numerals) == 1, (chord, numerals)


def test_case_accidentals_and_applied_degrees_are_well_formed():
    form = re.compile(
        r"[b#]?(?:[IV]+|[iv]+)[oø+M]{0,1}(?:7|9|13|65?|64|43|42)?(?:sus[24])?(?:\[(?:add|no|b|#)\d+\])*"
        r"(?:/b?\d)?(?:/(?:ii|iii|IV|V|vi|III|iv|VI|VII))?"
    )
    for chord in VOCABULARY:
        for key in (C, C_MINOR):
            assert form.fullmatch(roman_numeral(chord, key)), roman_numeral(chord, key)
