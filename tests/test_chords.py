from itertools import product

import mir_eval
import numpy as np
import pytest

from segue.chords import (
    NO_CHORD,
    QUALITIES,
    Chord,
    chord_index_at,
    chord_of_majmin_class,
    chords_of_record,
    majmin_class,
    nearest_majmin_class,
    note_name,
    parse_chord,
    pitch_class_mask,
    without_colour,
)

KEYS = [None, *({"tonic": t, "mode": m} for t in range(12) for m in ("major", "minor"))]
VOCABULARY = [Chord(r, q, b) for r in range(12) for q in QUALITIES for b in range(12)]


def test_every_symbol_is_read_back_equal_in_every_key():
    for chord in [*VOCABULARY, NO_CHORD]:
        assert parse_chord(chord.harte()) == chord
    for key in KEYS:
        for chord in VOCABULARY:
            assert parse_chord(chord.symbol(key)) == chord
        assert parse_chord(NO_CHORD.symbol(key)) == NO_CHORD


@pytest.mark.parametrize(
    ("text", "root", "quality", "bass"),
    [
        ("Am7", 9, "min7", 9),
        ("F#m7b5", 6, "hdim7", 6),
        ("B♭maj7/D", 10, "maj7", 2),
        ("C-7", 0, "min7", 0),
        ("Ebj7", 3, "maj7", 3),
        ("CM7", 0, "maj7", 0),
        ("C6/9", 0, "69", 0),
        ("C+7", 0, "aug7", 0),
        ("G7sus4", 7, "7sus4", 7),
        ("D5", 2, "5", 2),
        ("Co7", 0, "dim7", 0),
        ("C13#11", 0, "13", 0),
        ("Cm(add9)", 0, "madd9", 0),
        ("Am7-5", 9, "hdim7", 9),
        ("Bb:min/b3", 10, "min", 1),
        ("A:sus4(b7)/b7", 9, "7sus4", 7),
        ("Db", 1, "maj", 1),
        ("Bbsus4add7add9", 10, "9sus4", 10),
        ("Ebdim7/Bbb", 3, "dim7", 9),
        ("Am#5", 9, "min", 9),
    ],
)
def test_symbols_of_the_wild(text, root, quality, bass):
    assert parse_chord(text) == Chord(root, quality, bass)


@pytest.mark.parametrize(
    "text",
    ["", "Verse", "Chorus", "Bridge", "Coda", "End", "Adagio", "Dim.", "H7", "B-flat", "am", "C:x", "C/x"],
)
def test_other_texts_are_no_chords(text):
    assert parse_chord(text) is None


@pytest.mark.parametrize("text", ["N", "N.C.", "NC", "X"])
def test_no_chord(text):
    chord = parse_chord(text)
    assert chord == NO_CHORD
    assert not chord.is_chord
    assert chord.pitch_classes == ()


def test_majmin_reduction_is_that_of_mir_eval():
    for name, bass in product(QUALITIES, range(12)):
        chord = Chord(0, name, bass)
        against = [
            float(mir_eval.chord.majmin([chord.harte()], [label])[0]) for label in ("C:maj", "C:min", "N")
        ]
        expected = -1 if against[0] < 0 else [0, 12][against[:2].index(1.0)]
        assert majmin_class(chord) == expected, chord
    assert majmin_class(NO_CHORD) == 24
    assert [nearest_majmin_class(Chord(2, q)) for q in ("sus4", "dim", "aug", "hdim7")] == [2, 14, 2, 14]
    assert all(majmin_class(chord_of_majmin_class(i)) == i for i in range(25))


def test_spelling_follows_the_key():
    assert note_name(10) == "Bb"
    assert note_name(10, {"tonic": 11, "mode": "major"}) == "A#"
    assert note_name(3, {"tonic": 4, "mode": "major"}) == "D#"
    assert note_name(6, {"tonic": 1, "mode": "major"}) == "Gb"
    assert note_name(8, {"tonic": 9, "mode": "minor"}) == "G#"
    assert note_name(5, {"tonic": 6, "mode": "major"}) == "F"


def test_pitch_classes_and_transposition():
    chord = parse_chord("Cmaj7/D")
    assert chord.pitch_classes == (0, 4, 7, 11, 2)
    assert chord.transposed(-1).symbol() == "Bmaj7/Db"
    assert np.flatnonzero(pitch_class_mask(parse_chord("Am"))).tolist() == [0, 4, 9]
    assert without_colour(parse_chord("Am7/G")).symbol() == "Am"
    assert without_colour(parse_chord("G7sus4")).symbol() == "Gsus4"


def test_unknown_quality_is_named():
    with pytest.raises(ValueError, match="'huge'"):
        Chord(0, "huge")


def test_chords_of_a_record_are_looked_up_by_tick():
    record = {"chords": [{"tick": 960, "label": "G7"}, {"tick": 0, "label": "C"}, {"tick": 5, "label": "?"}]}
    starts, chords = chords_of_record(record)
    assert starts.tolist() == [0, 960]
    assert [c.symbol() for c in chords] == ["C", "G7"]
    assert chord_index_at(starts, [-1, 0, 959, 960, 5000]).tolist() == [-1, 0, 0, 1, 1]
    assert chords_of_record({})[1] == []
