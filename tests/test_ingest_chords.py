"""Chords that files carry: read from every place, kept by harmonize, and told from words."""

import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue import harmonize
from segue.chords import QUALITIES, Chord, parse_chord
from segue.config import defaults, stage_schema
from segue.ingest import apply
from segue.ingest.abc import read_abc
from segue.ingest.chord_track import chord_of_pitches
from segue.ingest.chords import carried_chords
from segue.ingest.formats import read
from segue.ingest.musicxml import chord_label, read_musicxml
from segue.ingest.xf import xf_label
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import CUE_POINT, LYRIC, MARKER, SEQUENCER_SPECIFIC, TEXT, Score, Text, Track, make_notes
from segue.stage import StageError

DATA = Path(__file__).parents[2] / "shared/data"
BAR = 4 * 960
CHANGES = ["C", "Am7", "F/A", "G7", "Dm", "G7", "C", "C"]
MODELS = {"harmony": load_model("harmony", "onnx")}
LINE = "A-men, be still and dim the lights; add a can-dle, fade a-way. Go! Do, ah, eh, Em and Am I"
WORDS = LINE.split()


def tune(texts=(), own=(), tracks=()):
    """Eight bars of melody, with texts of the piece, of the melody's track, and further tracks."""
    pitches = [60, 64, 67, 72, 69, 64, 60, 57, 65, 69, 72, 69, 67, 71, 74, 71] * 2
    notes = make_notes(np.arange(32) * 960, np.full(32, 900), pitches, 80)
    return Score(
        (Track("tune", 0, 73, notes, texts=tuple(own)), *tracks), texts=tuple(texts), end_tick=8 * BAR
    )


def texts(kind, labels=CHANGES, every=BAR):
    return [Text(i * every, kind, label) for i, label in enumerate(labels)]


def block_chords(labels=CHANGES, name="Chords", late=0, length=BAR - 60):
    blocks = [(i * BAR + late * (i > 0), p) for i, x in enumerate(labels) for p in voiced(parse_chord(x))]
    onset, pitch = np.array(blocks).T
    return Track(name, 1, 0, make_notes(onset, np.full(len(onset), length), pitch, 60))


def voiced(chord):
    """The bass below all other tones."""
    return [36 + chord.bass, *(60 + p for p in chord.pitch_classes)]


def xf(label):
    """The XF event of a chord with a natural root and bass, as text."""
    chord = parse_chord(label)
    kinds = {"maj": 0, "min": 8, "7": 0x13, "min7": 0x0A}
    natural = {0: 0x31, 2: 0x32, 4: 0x33, 5: 0x34, 7: 0x35, 9: 0x36, 11: 0x37}
    bass = 0x7F if chord.bass == chord.root else natural[chord.bass]
    return bytes([0x43, 0x7B, 1, natural[chord.root], kinds[chord.quality], bass, 0x7F]).decode()


SOURCES = {
    "markers": tune(texts(MARKER)),
    "Yamaha XF": tune([Text(i * BAR, SEQUENCER_SPECIFIC, xf(x)) for i, x in enumerate(CHANGES)]),
    "text events": tune(texts(TEXT)),
    "cue points": tune(texts(CUE_POINT)),
    "lyrics": tune(own=texts(LYRIC)),
    "chord track": tune(tracks=[block_chords()]),
}


def ingest(score, name="a.mid"):
    data = score if isinstance(score, bytes) else write_midi(score)
    return apply(data, name, defaults(stage_schema("ingest")))


def stage(result, **changes):
    settings = defaults(stage_schema("harmonize")) | changes
    return harmonize.apply(result.score, result.record, settings, MODELS, 1)


def labels(record):
    return [entry["label"] for entry in record["chords"]]


def markers(score):
    return [(t.tick, t.text) for t in score.markers()]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_read_through_ingest_and_harmonize(source):
    """A chord that goes on is written again where the file does so, and not where notes just go on."""
    written = CHANGES[:-1] if source == "chord track" else CHANGES
    given = [(i * BAR, label) for i, label in enumerate(written)]
    result = ingest(SOURCES[source])
    assert [(e["tick"], e["label"]) for e in result.record["chords"]] == given
    assert result.record["chords_from"] == result.report["found"]["chords_from"] == source
    kept = stage(result)
    assert kept.report["found"]["existing_from"] == source
    assert labels(kept.record) == written
    # Whatever they were read from, they are markers now, and read from there again.
    assert markers(kept.score) == given
    again = stage(ingest(kept.score))
    assert (again.report["found"]["existing_from"], labels(again.record)) == ("markers", written)
    assert markers(again.score) == given


@pytest.mark.parametrize("source", SOURCES)
def test_replaced_chords_are_gone_or_said_to_stay(source):
    result = ingest(SOURCES[source])
    new = stage(result, existing="replace", track="never")
    assert markers(new.score) == [(e["tick"], e["label"]) for e in new.record["chords"]]
    assert new.report["changed"]["removed_chords"] == len(result.record["chords"])
    assert not [t for t in new.score.texts if t.kind == SEQUENCER_SPECIFIC]
    said = [s["reason"] for s in new.report["skipped"] if "removed_chords" in s]
    if source in ("markers", "Yamaha XF"):
        assert said == []
    else:
        assert len(said) == 1
        assert source in said[0]
        assert [t.texts for t in new.score.tracks] == [t.texts for t in result.score.tracks]


@pytest.mark.parametrize("source", ["markers", "Yamaha XF", "lyrics"])
def test_carried_chords_are_reharmonized(source):
    result = stage(ingest(SOURCES[source]), reharmonize=1)
    assert result.report["reharmonized"]
    assert markers(result.score) == [(e["tick"], e["label"]) for e in result.record["chords"]]


def test_the_first_place_that_has_chords_counts():
    score = tune(texts(MARKER, ["Dm", "G7", "C"]), own=texts(LYRIC), tracks=[block_chords()])
    assert carried_chords(score).source == "markers"
    score = tune([Text(0, MARKER, "Verse")], own=texts(LYRIC), tracks=[block_chords()])
    assert carried_chords(score).source == "lyrics"


def test_symbols_in_brackets_among_words():
    lines = ["[C]Twinkle, ", "twinkle, ", "[F]lit", "tle ", "[C]star", "[Chorus]", "how I [G7]wonder"]
    for kind in (LYRIC, TEXT):
        found = carried_chords(tune(own=texts(kind, lines)))
        assert found.chords == ((0, "C"), (2 * BAR, "F"), (4 * BAR, "C"), (6 * BAR, "G7"))
    # Where in a line the others stand is not told.
    lines = ["[C]Twinkle [F]little [C]star", "[G7]how I [C]wonder", "[F]what you [G7]are"]
    assert carried_chords(tune(own=texts(LYRIC, lines))).source is None
    # Sections in brackets, far apart.
    assert carried_chords(tune(own=texts(LYRIC, ["[A] la", "[B] la", "[A] la"], 8 * BAR))).source is None


def test_markers_in_brackets_and_karaoke_tags():
    assert carried_chords(tune(texts(MARKER, ["[Am7]", "[D7]"]))).chords == ((0, "Am7"), (BAR, "D7"))
    row = [Text(0, TEXT, "@TTitle"), Text(0, TEXT, "@LENGL"), *texts(TEXT, ["/C", "\\G7", "C"])]
    assert [label for _, label in carried_chords(tune(own=row)).chords] == ["C", "G7", "C"]


@pytest.mark.parametrize(
    "words",
    [
        WORDS,
        ["A", "Be", "C", "D", "E"],
        ["A ", "men", "A ", "men"],
        ["Ah", "Ah", "Ah", "Ah", "Ah"],
        ["Go", "Do", "Am", "A", "Em", "Ah"],
        ["Do", "Re", "Mi", "Fa", "Sol", "La"],
        [*"ABCDEFGHIJKLMNOP"],
        ["Dim", "the", "lights", "Add", "Dm"],
        ["C", "G"],
        ["G7", "G7", "G7", "G7"],
        ["G7", "C"],
        ["G7", "love", "Dm", "me", "C", "true"],
    ],
)
def test_words_are_no_chords(words):
    assert carried_chords(tune(own=texts(LYRIC, words))).source is None
    mixed = [*words[:4], "and", "so", "on", *words]
    assert carried_chords(tune(own=texts(TEXT, mixed, 480))).source is None


def test_bare_letters_are_chords_only_alone_and_close_together():
    assert carried_chords(tune(texts(TEXT, ["C", "F", "G", "C"]))).source == "text events"
    assert carried_chords(tune(texts(TEXT, ["A", "B", "A", "C"], 8 * BAR))).source is None
    assert carried_chords(tune(texts(TEXT, ["C", "F", "G", "C", "by me"]))).source is None


def test_words_beside_chords_in_another_track_do_not_hide_them():
    sung = Track("voice", 2, 52, texts=tuple(texts(LYRIC, WORDS)))
    found = carried_chords(tune(tracks=[sung, Track("x", None, texts=tuple(texts(LYRIC)))]))
    assert [label for _, label in found.chords] == CHANGES


_LABELS = st.one_of(st.sampled_from([*CHANGES, "[F#m7b5]", "A", "Go", "x", "[", "@T"]), st.text(max_size=6))
_ROWS = st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from([1, 5, 6, 7, 0x7F]), _LABELS), max_size=12)


@given(_ROWS, _ROWS)
def test_whatever_is_written_what_is_read_are_chords_in_order(of_piece, of_track):
    rows = ([Text(*row) for row in sorted(of_piece)], [Text(*row) for row in sorted(of_track)])
    found = carried_chords(tune(*rows))
    assert all(parse_chord(label) is not None for _, label in found.chords)
    assert [tick for tick, _ in found.chords] == sorted(tick for tick, _ in found.chords)
    assert bool(found.chords) == (found.source is not None)


@pytest.mark.parametrize("name", ["Chords", "CHORD TRACK", "Guide", "Akkorde", "chord-track 2"])
def test_chord_tracks_by_name(name):
    found = carried_chords(tune(tracks=[block_chords(name=name)]))
    assert (found.source, len(found.chords)) == ("chord track", 7)


def test_other_tracks_are_no_chord_tracks():
    assert carried_chords(tune(tracks=[block_chords(name="Piano")])).source is None
    melody = tune().tracks[0].notes
    assert carried_chords(tune(tracks=[Track("Guide", 1, 0, melody)])).source is None
    # A tune with a chord here and there.
    few = make_notes([32 * 960] * 3 + [36 * 960] * 3, [960] * 6, [60, 64, 67, 60, 65, 69], 60)
    tune_and_few = Track("Guide", 1, 0, np.concatenate([melody, few]))
    assert carried_chords(tune(tracks=[tune_and_few])).source is None
    # Broken chords, and chords that are held into each other.
    onset, pitch = np.arange(32) * 960, [p for x in CHANGES for p in voiced(parse_chord(x))[:4]]
    assert (
        carried_chords(
            tune(tracks=[Track("Chords", 1, 0, make_notes(onset, onset * 0 + 960, pitch, 60))])
        ).source
        is None
    )
    assert carried_chords(tune(tracks=[block_chords(length=2 * BAR)])).source is None


def test_played_blocks_are_on_the_beat_and_unknown_ones_are_told():
    for late in (-50, 60):
        found = carried_chords(tune(tracks=[block_chords(late=late)]))
        assert [tick for tick, _ in found.chords] == [i * BAR for i in range(7)]
    track = block_chords(["C", "F"] * 6)
    cluster = make_notes([12 * BAR] * 5, [BAR] * 5, [60, 61, 62, 63, 64], 60)
    track = track.with_notes(np.concatenate([track.notes, cluster]))
    found = carried_chords(tune(tracks=[track]))
    assert len(found.chords) == 12
    assert "1 blocks" in found.warnings[0]


@given(st.sampled_from(sorted(QUALITIES)), st.integers(0, 11), st.integers(0, 11))
def test_a_block_is_its_chord_or_one_with_the_same_tones_and_bass(quality, root, bass):
    chord = Chord(root, quality, bass)
    heard = chord_of_pitches(np.array(voiced(chord)))
    if heard is not None:
        assert (set(heard.pitch_classes), heard.bass) == (set(chord.pitch_classes), chord.bass)
    if bass in Chord(root, quality).pitch_classes:
        assert heard is not None
    if bass == root and quality not in ("5",):
        assert heard == chord


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("31 00 7f 7f", "C"), ("23 0a 7f 7f", "Ebm7"), ("44 12 7f 7f", "F#dim7"), ("36 13 33 7f", "A7/E"),
        ("35 14 7f 7f", "G7sus4"), ("27 06 7f 7f", "Bb69"), ("32 0f 7f 7f", "Dm(maj7)"),
        ("34 20 34 7f", "Fsus4"),
        ("7f 22 7f 7f", "N.C."), ("31 7f 7f 7f", None), ("38 00 7f 7f", None), ("31", None),
    ],
)  # fmt: skip
def test_chord_events_of_xf(code, label):
    assert xf_label((b"\x43\x7b\x01" + bytes.fromhex(code)).decode()) == label


def test_all_chord_types_of_xf_are_chords():
    for kind in range(0x22):
        label = xf_label((b"\x43\x7b\x01\x31" + bytes([kind, 0x7F, 0x7F])).decode())
        assert parse_chord(label).root == 0
    assert xf_label((b"\x43\x7b\x01\x31\x23\x7f\x7f").decode()) is None


def test_xf_events_come_through_the_reader_and_others_do_not():
    def meta(tick, body):
        return bytes([tick, 0xFF, 0x7F, len(body)]) + body

    chord = b"\x43\x7b\x01\x31\x13\x7f\x7f"
    track = (
        meta(0, b"\x43\x7b\x00XF02\x00\x00")
        + meta(0, chord)
        + b"\x00\x90\x3c\x40\x60\x80\x3c\x00\x00\xff\x2f\x00"
    )
    data = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track
    score, _ = read_midi(data)
    assert score.texts == (Text(0, SEQUENCER_SPECIFIC, chord.decode()),)
    assert read_midi(write_midi(score))[0].texts == score.texts
    assert carried_chords(score).chords == ((0, "C7"),)


#: Every kind of MusicXML 4.0, and two that programs write, with its tones on C as intervals.
KINDS = {
    "major": "0 4 7", "minor": "0 3 7", "augmented": "0 4 8", "diminished": "0 3 6", "dominant": "0 4 7 10",
    "major-seventh": "0 4 7 11", "minor-seventh": "0 3 7 10", "diminished-seventh": "0 3 6 9",
    "augmented-seventh": "0 4 8 10", "half-diminished": "0 3 6 10", "major-minor": "0 3 7 11",
    "major-sixth": "0 4 7 9", "minor-sixth": "0 3 7 9", "dominant-ninth": "0 2 4 7 10",
    "major-ninth": "0 2 4 7 11", "minor-ninth": "0 2 3 7 10", "dominant-11th": "0 2 4 7 10",
    "major-11th": "0 2 4 7 11",
    "minor-11th": "0 2 3 7 10", "dominant-13th": "0 2 4 7 9 10", "major-13th": "0 2 4 7 11",
    "minor-13th": "0 2 3 7 10", "suspended-second": "0 2 7", "suspended-fourth": "0 5 7",
    "Neapolitan": "0 4 7", "Italian": "0 4 7 10", "French": "0 4 6 10", "German": "0 4 7 10",
    "pedal": "0 7", "power": "0 7",
    "Tristan": "0 3 6 10", "minor-major": "0 3 7 11", "augmented-ninth": "0 4 8 10",
}  # fmt: skip


def harmony(kind, inside="", root="C", attributes=""):
    return ElementTree.fromstring(
        f"<harmony><root><root-step>{root}</root-step></root>"
        f"<kind {attributes}>{kind}</kind>{inside}</harmony>"
    )


def degree(value, alter, what):
    return (
        f"<degree><degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter>"
        f"<degree-type>{what}</degree-type></degree>"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_musicxml(kind):
    assert sorted(parse_chord(chord_label(harmony(kind))).pitch_classes) == [
        int(i) for i in KINDS[kind].split()
    ]


@pytest.mark.parametrize(
    ("element", "label"),
    [
        (harmony("none"), "N.C."),
        (harmony("none", attributes='text="N.C."'), "N.C."),
        (harmony("none", attributes='text="Am7"'), "Am7"),
        (harmony("Neapolitan", root="D"), "D/F#"),
        (harmony("other", attributes='text="7alt"'), "C7alt"),
        (harmony("other", degree(3, -1, "add") + degree(5, 0, "add")), "Cm"),
        (harmony("other"), "C"),
        (harmony("dominant", "<inversion>1</inversion>", root="G"), "G7/B"),
        (harmony("dominant", "<inversion>0</inversion>", root="G"), "G7"),
        (harmony("minor", "<inversion>2</inversion><bass><bass-step>E</bass-step></bass>", root="A"), "Am/E"),
        (harmony("dominant", degree(9, -1, "add")), "C7b9"),
        (harmony("dominant", degree(5, 1, "alter")), "C7#5"),
        (harmony("major", degree(9, 0, "add")), "Cadd9"),
        (harmony("major", degree(4, 1, "add")), "Cadd#4"),
        (harmony("major", degree(5, 0, "alter")), "C"),
        (harmony("dominant", degree(3, 0, "subtract") + degree(7, 0, "subtract")), "C7no3"),
    ],
)
def test_degrees_and_inversions_of_musicxml(element, label):
    assert chord_label(element) == label
    assert parse_chord(label) is not None


def test_degrees_and_riddles_are_no_chord_symbols_of_musicxml():
    """Roman numerals are often of the kind "none", and so are texts that a program did not understand."""
    assert chord_label(harmony("none", "<function>V7</function>")) == ""
    assert chord_label(harmony("none", "<numeral><numeral-root>5</numeral-root></numeral>")) == ""
    assert chord_label(harmony("none", attributes='text="riff"')) == ""


def test_musicxml_and_abc_symbols_reach_the_record():
    part = "<part-list><score-part id='P'><part-name>V</part-name></score-part></part-list>"
    note = "<note><pitch><step>C</step><octave>5</octave></pitch><duration>4</duration></note>"
    kinds = ["major", "half-diminished", "Tristan", "none"]
    bars = "".join(
        f"<measure number='{i}'>" + ElementTree.tostring(harmony(k)).decode() + note + "</measure>"
        for i, k in enumerate(kinds)
    )
    meter = "<time><beats>4</beats><beat-type>4</beat-type></time>"
    head = f"<attributes><divisions>1</divisions>{meter}</attributes>"
    bars = bars.replace("<harmony>", head + "<harmony>", 1)
    sheet = f"<score-partwise>{part}<part id='P'>{bars}</part></score-partwise>".encode()
    assert [t.text for t in read_musicxml(sheet)[0].markers()] == ["C", "Cm7b5", "Cm7b5", "N.C."]
    result = ingest(sheet, "a.musicxml")
    assert (labels(result.record), result.record["chords_from"]) == (
        ["C", "Cm7b5", "Cm7b5", "N.C."],
        "markers",
    )
    tune_text = b'X:1\nT:t\nM:4/4\nL:1/4\nK:C\n"C"CDEF|"G7(Em)"GABc|"N.C."C4|"fine"C4|"Am/G"A4|]\n'
    assert [t.text for t in read_abc(tune_text)[0].markers()] == ["C", "G7", "N.C.", "Am/G"]
    result = ingest(tune_text, "a.abc")
    assert labels(stage(result).record)[:2] == ["C", "G7"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not at ../shared/data")
@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("pop909/*/*.mid", 60),
        ("openscore-lieder/**/*.mxl", 12),
        ("openscore-quartets/**/*.mxl", 3),
        ("midi-conformance/**/*.mid", 80),
    ],
)
def test_no_words_of_real_files_are_chords(pattern, count):
    paths = sorted(DATA.glob(pattern))
    assert paths
    for path in paths[:: max(len(paths) // count, 1)]:
        try:
            score, _, _ = read(path.read_bytes(), path.name, 30)
        except StageError:
            continue  # Some test files are no MIDI.
        assert carried_chords(score).source is None, path
