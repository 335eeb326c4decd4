"""MusicXML and ABC, and which reader a file goes to."""

import io
import random
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

import segue.ingest
from segue.ingest import apply
from segue.ingest.abc import AbcError, read_abc
from segue.ingest.barlines import meters_from_bars
from segue.ingest.formats import format_of
from segue.ingest.musicxml import MusicXmlError, read_musicxml
from segue.midi import MidiError, read_midi, write_midi
from segue.score import KeySignature, Meter, Tempo, Text, bar_starts
from segue.stage import StageError

DATA = Path(__file__).parents[2] / "shared" / "data"
INPUT = Path(__file__).parents[1] / "input"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not here")


@pytest.fixture(scope="module")
def settings():
    schema = yaml.safe_load((Path(segue.ingest.__file__).parent / "settings.schema.yaml").read_text())
    return {name: entry["default"] for name, entry in schema["properties"].items()}


def notes_of(score, track=0):
    return [note[:3] for note in score.tracks[track].notes.tolist()]


# --- which reader ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "path", "expected"),
    [
        (b"MThd", "a.mid", "midi"),
        (b"MThd", "a.abc", "midi"),
        (b"RIFF\0\0\0\0RMID", "a.rmi", "midi"),
        (b"<?xml version='1.0'?>", "a.mid", "musicxml"),
        (b"\xef\xbb\xbf\n<score-partwise>", "a.xml", "musicxml"),
        (b"PK\x03\x04", "a.mxl", "musicxml"),
        (b"\xff\xfe<\0", "a.musicxml", "musicxml"),
        (b"X:1\nK:C\n", "a.abc", "abc"),
        (b"%abc-2.1\n", "a.txt", "abc"),
        (b"nonsense", "a.MID", "midi"),
        (b"nonsense", "a.MXL", "musicxml"),
    ],
)
def test_content_comes_before_extension(data, path, expected):
    assert format_of(data, path) == expected


@pytest.mark.parametrize(
    ("data", "path", "says"),
    [
        (b"", "a.abc", "empty"),
        (b"<html></html>", "a.xml", "not MusicXML"),
        (b"<score-partwise><part>", "a.xml", "well-formed"),
        (b"<score-timewise/>", "a.xml", "part-wise"),
        (b"<score-partwise/>", "a.xml", "no part"),
        (b"PK\x03\x04 broken", "a.mxl", "unpacked"),
        (b"some words", "a.abc", "no line begins with X:"),
        (b"X:1\nK:C\n", "a.abc", "no notes"),
        (b"X:1\nK:C\nz4|\n", "a.abc", "no notes"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(data, path, says, settings):
    with pytest.raises(StageError, match=says) as error:
        apply(data, path, settings)
    assert "\n" not in str(error.value)


# --- bar lines ---------------------------------------------------------------------------------------------

COMMON, WALTZ = Meter(0, 4, 4), Meter(0, 3, 4)


@pytest.mark.parametrize(
    ("starts", "written", "end", "expected"),
    [
        ([0, 3840], [COMMON] * 2, 7680, [(0, 4, 4)]),
        # A pickup.
        ([0, 960, 4800], [COMMON] * 3, 8640, [(0, 1, 4), (960, 4, 4)]),
        # A bar cut in two by a repeat sign.
        ([0, 3840, 6720, 7680], [COMMON] * 4, 11520, [(0, 4, 4)]),
        # A change of meter, an irregular bar, an incomplete last bar.
        ([0, 3840, 6720], [COMMON, WALTZ, WALTZ], 9600, [(0, 4, 4), (3840, 3, 4)]),
        ([0, 3840, 8640], [COMMON] * 3, 12480, [(0, 4, 4), (3840, 5, 4), (8640, 4, 4)]),
        ([0, 3840], [COMMON] * 2, 4000, [(0, 4, 4)]),
        ([0, 180, 4020], [COMMON] * 3, 7860, [(0, 3, 64), (180, 4, 4)]),
    ],
)
def test_meters_from_bars(starts, written, end, expected):
    meters = meters_from_bars(starts, written, end)
    assert [(m.tick, m.numerator, m.denominator) for m in meters] == expected


# --- MusicXML ----------------------------------------------------------------------------------------------


def musicxml(*measures: str, head: str = "", part_list: str = "<part-name>Voice</part-name>") -> bytes:
    bars = "".join(f'<measure number="{i}">{bar}</measure>' for i, bar in enumerate(measures, 1))
    return (
        f'<?xml version="1.0"?><score-partwise>{head}<part-list><score-part id="P1">{part_list}</score-part>'
        f'</part-list><part id="P1">{bars}</part></score-partwise>'
    ).encode()


ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>-3</fifths><mode>minor</mode></key>"
    "<time><beats>2</beats><beat-type>4</beat-type></time></attributes>"
)


def note(step="C", octave=4, duration=2, inside="", alter=0):
    altered = f"<alter>{alter}</alter>" if alter else ""
    return (
        f"<note><pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
        f"<duration>{duration}</duration>{inside}</note>"
    )


CHORD = "<chord/>"
BACKWARD = '<barline><repeat direction="backward"/></barline>'
FORWARD = '<barline location="left"><repeat direction="forward"/></barline>'


def ending(numbers, kind):
    return f'<barline><ending number="{numbers}" type="{kind}"/></barline>'


def test_notes_chords_voices_and_signatures():
    bar = (
        ATTRIBUTES
        + note("C")
        + note("E").replace("<pitch>", "<chord/><pitch>")
        + "<note><rest/><duration>1</duration></note>"
        + note("G", 5, 1, alter=1)
        + "<backup><duration>4</duration></backup><forward><duration>2</duration></forward>"
        + note("B", 2, 2, alter=-1)
    )
    score, warnings = read_musicxml(musicxml(bar))
    assert notes_of(score) == [(0, 960, 60), (0, 960, 64), (960, 960, 46), (1440, 480, 80)]
    assert score.keys == (KeySignature(0, -3, True),)
    assert score.meters == (Meter(0, 2, 4),)
    assert (score.end_tick, warnings) == (1920, [])


def test_tied_notes_are_one_note_also_over_a_repeat():
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    bars = [
        ATTRIBUTES + note("C", inside=start) + note("C", inside=stop + start),
        note("C", inside=stop) + note("D"),
    ]
    score, _ = read_musicxml(musicxml(*bars))
    assert notes_of(score) == [(0, 2880, 60), (2880, 960, 62)]


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        (["C", "D" + BACKWARD, "E"], "CDCDE"),
        (["C", FORWARD + "D", "E" + BACKWARD, "F"], "CDEDEF"),
        (
            [
                "C",
                ending("1", "start") + "D" + ending("1", "stop") + BACKWARD,
                ending("2", "start") + "E" + ending("2", "stop"),
                "F",
            ],
            "CDCEF",
        ),
        (
            [
                "C",
                ending("1,2", "start") + "D" + ending("1,2", "stop") + BACKWARD,
                ending("3", "start") + "E" + ending("3", "stop"),
            ],
            "CDCDCE",
        ),
        (["C" + BACKWARD, FORWARD + "D" + BACKWARD], "CCDD"),
        (['C<barline><repeat direction="backward" times="3"/></barline>', "D"], "CCCD"),
    ],
)
def test_repeats_are_played_out(bars, expected):
    def measure(text):
        return re.sub(r"(?<![A-Za-z<\"/-])([C-F])(?![A-Za-z])", lambda m: note(m[1], duration=4), text)

    bars = [measure(bar) for bar in bars]
    bars[0] = ATTRIBUTES + bars[0]
    score, _ = read_musicxml(musicxml(*bars))
    names = {60: "C", 62: "D", 64: "E", 65: "F"}
    assert "".join(names[pitch] for _, _, pitch in notes_of(score)) == expected


def test_a_pickup_bar_keeps_the_bar_lines():
    score, _ = read_musicxml(musicxml(ATTRIBUTES + note("C"), note("D") * 2, note("E") * 2))
    assert score.meters == (Meter(0, 1, 4), Meter(960, 2, 4))
    assert bar_starts(score).tolist() == [0, 960, 2880, 4800]


def test_words_chord_symbols_tempo_and_dynamics():
    harmony = (
        "<harmony><root><root-step>F</root-step><root-alter>1</root-alter></root><kind>half-diminished</kind>"
        "<bass><bass-step>C</bass-step></bass></harmony>"
    )
    ninth = (
        "<harmony><root><root-step>G</root-step></root><kind>dominant</kind>"
        "<degree><degree-value>9</degree-value><degree-alter>-1</degree-alter>"
        "<degree-type>add</degree-type></degree></harmony>"
    )
    loud = "<direction-type><dynamics><ff/></dynamics></direction-type>"
    direction = f"<direction>{loud}<sound tempo='90'/></direction>"
    metronome = (
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
        "<per-minute>60</per-minute></metronome></direction-type></direction>"
    )
    lyric = "<lyric><syllabic>{}</syllabic><text>{}</text></lyric>"
    bars = [
        ATTRIBUTES + direction + harmony + note(inside=lyric.format("begin", "A")),
        metronome + ninth + note("D", duration=4, inside=lyric.format("end", "men")),
    ]
    score, _ = read_musicxml(musicxml(*bars))
    assert score.texts == (Text(0, 6, "F#m7b5/C"), Text(960, 6, "G7b9"))
    assert score.tracks[0].texts == (Text(0, 5, "A"), Text(960, 5, "men "))
    assert score.tempos == (Tempo(0, 666_667), Tempo(960, 666_667))
    assert score.tracks[0].notes["velocity"].tolist() == [112, 112]


def test_transposing_instruments_drums_and_programs():
    transpose = "<attributes><transpose><chromatic>-2</chromatic></transpose></attributes>"
    instrument = (
        "<part-name>Clarinet</part-name><midi-instrument id='I1'><midi-channel>3</midi-channel>"
        "<midi-program>72</midi-program></midi-instrument>"
    )
    score, _ = read_musicxml(musicxml(ATTRIBUTES + transpose + note("D"), part_list=instrument))
    assert (notes_of(score)[0][2], score.tracks[0].program, score.tracks[0].name) == (60, 71, "Clarinet")
    drums = (
        "<part-name>Kit</part-name><midi-instrument id='K'><midi-channel>10</midi-channel>"
        "<midi-unpitched>37</midi-unpitched></midi-instrument>"
    )
    stroke = "<note><unpitched/><duration>2</duration><instrument id='K'/></note>"
    score, _ = read_musicxml(musicxml(ATTRIBUTES + stroke, part_list=drums))
    assert score.tracks[0].is_drum
    assert notes_of(score) == [(0, 960, 36)]


def test_compressed_files_also_with_a_broken_container():
    plain = musicxml(ATTRIBUTES + note())
    for container in (
        '<container><rootfiles><rootfile full-path="s & t.xml"/></rootfiles></container>',
        None,
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            if container:
                archive.writestr("META-INF/container.xml", container)
            archive.writestr("s & t.xml", plain)
        score, _ = read_musicxml(buffer.getvalue())
        assert score.note_count == 1


def test_entities_cannot_blow_up():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
    )
    data = musicxml(ATTRIBUTES + note(), part_list="<part-name>&j;</part-name>").replace(
        b"<score-partwise>", bomb.encode() + b"]><score-partwise>", 1
    )
    with pytest.raises(MusicXmlError, match="well-formed"):
        read_musicxml(data)


def test_mutated_musicxml_is_read_or_refused():
    generator = random.Random(7)
    original = (INPUT / "notation" / "twinkle.musicxml").read_bytes()
    for _ in range(400):
        data = bytearray(original)
        for _ in range(generator.choice([1, 2, 5])):
            at = generator.randrange(len(data))
            # Digits for digits keep most files well-formed, so that values are tested and not the XML parser.
            if 48 <= data[at] <= 57:
                data[at] = generator.choice(b"0123456789-/.x")
            else:
                data[at : at + 1] = generator.choice([b"", b"9", b"\xff", data[at : at + 1] * 2])
        try:
            score, _ = read_musicxml(bytes(data))
        except MusicXmlError:
            continue
        read_midi(write_midi(score))


@needs_data
def test_every_sheet_of_a_sample_is_read_as_its_symbols_say():
    files = (
        sorted((DATA / "openewld").glob("*.mxl"))[::12]
        + sorted((DATA / "openscore-lieder").glob("*.mxl"))[::110]
    )
    for path in files:
        score, _ = read_musicxml(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".xml") and "META-INF" not in n)
            text = archive.read(name).decode("utf-8")
        assert score.note_count > 0, path.name
        # Every chord symbol that the sheet writes is somewhere among the markers.
        assert (text.count("<harmony") > 0) == bool(score.markers()), path.name
        assert ("<lyric" in text) == any(track.texts for track in score.tracks), path.name
        again, _ = read_midi(write_midi(score))
        assert again.note_count == score.note_count


# --- ABC ---------------------------------------------------------------------------------------------------


def abc(body: str, head: str = "M:3/4\nL:1/4\nK:G\n") -> bytes:
    return f"X:1\nT:Test\n{head}{body}\n".encode()


def test_abc_notes_start_on_the_beat():
    score, warnings = read_abc(abc("G2 F|E3|]"))
    assert notes_of(score) == [(0, 1920, 67), (1920, 960, 66), (2880, 2880, 64)]
    assert score.keys == (KeySignature(0, 1, False),)
    assert score.meters == (Meter(0, 3, 4),)
    assert (score.end_tick, warnings) == (5760, [])


def test_abc_chord_symbols_words_and_repeats():
    score, _ = read_abc(abc('"G"G2 A|"D7/F#"B3:|"^slowly""Em"G3|]\nw: la-la li lo'))
    assert [(t.tick, t.text) for t in score.texts] == [
        (0, "G"), (2880, "D7/F#"), (5760, "G"), (8640, "D7/F#"), (11520, "Em"),
    ]  # fmt: skip
    assert score.note_count == 7
    assert [t.text.strip(" -") for t in score.tracks[0].texts][:3] == ["la", "la", "li"]
    assert all(t.kind == 5 for t in score.tracks[0].texts)
    assert len(score.tracks[0].controls) == 0


def test_abc_bar_lines_after_pickups_rests_and_staccato():
    for body in ("D|G2 A|B3|A2:|", "D|G z A|B z z|z A:|", "D|.G .G .A|.B .B .B|.A .A:|", "D|{A}G2 A|B3|A2:|"):
        score, _ = read_abc(abc(body))
        assert score.meters == (Meter(0, 1, 4), Meter(960, 3, 4)), body
        assert 960 in bar_starts(score).tolist()


def test_abc_staccato_is_short_and_a_rest_is_silent():
    score, _ = read_abc(abc(".G z !staccato!A|[GB] .[GB] z|]"))
    assert notes_of(score) == [
        (0, 480, 67), (1920, 480, 69), (2880, 960, 67), (2880, 960, 71), (3840, 480, 67), (3840, 480, 71),
    ]  # fmt: skip


def test_abc_decorations_stay_with_their_notes():
    score, _ = read_abc(abc('u"G"G v.A .uB|Hz uG H|]'))
    assert notes_of(score) == [(0, 960, 67), (960, 480, 69), (1920, 480, 71), (3840, 960, 67)]
    assert [(t.tick, t.text) for t in score.texts] == [(0, "G")]


def test_abc_is_played_as_written_whatever_the_kind_of_tune():
    score, _ = read_abc(abc("CDEF GHABc|", head="R:hornpipe\nM:4/4\nL:1/8\nK:C\n"))
    assert [onset for onset, _, _ in notes_of(score)] == list(range(0, 3840, 480))


def test_abc_signs_within_texts_and_comments_are_no_bar_lines():
    score, _ = read_abc(abc('"_a|b"G2 A % no | bar\n[K:D]!f!F3|]'))
    assert notes_of(score)[-1][2] == 66
    # The two written bars are one of six beats, since neither text nor comment holds a bar line.
    assert score.meters == (Meter(0, 6, 4),)


def test_abc_voices_are_tracks():
    score, _ = read_abc(abc("V:1\nG3|B3|]\nV:2\nG,3|z2 D,|]"))
    assert [notes_of(score, i)[0][2] for i in (0, 1)] == [67, 55]
    assert notes_of(score, 1)[1][0] == 4800


def test_a_collection_gives_its_first_tune():
    # The length of a note is said once for all tunes, before the first.
    data = b"% my tunes\nM:4/4\nL:1/4\n\nX:7\nT:One\nK:C\nC4|\n\nsome words\n\nX:8\nT:Two\nK:C\nD4|\n"
    score, warnings = read_abc(data)
    assert notes_of(score) == [(0, 3840, 60)]
    assert warnings == ["the file holds 2 tunes; the first was taken"]


def test_abc_in_latin_1_and_with_dos_lines():
    data = b"X:1\r\nT:Caf\xe9\r\nM:4/4\r\nL:1/4\r\nK:C\r\nC4|\r\n"
    score, _ = read_abc(data)
    assert notes_of(score) == [(0, 3840, 60)]
    assert score.tracks[0].name == "Café"


def test_mutated_abc_is_read_or_refused():
    generator = random.Random(11)
    original = (INPUT / "notation" / "irish_washerwoman.abc").read_bytes()
    outcomes = set()
    for _ in range(60):
        data = bytearray(original)
        for _ in range(generator.choice([1, 3, 8])):
            data[generator.randrange(len(data))] = generator.choice(b'|:"[]{}()zA9/\n%!XK\x00\xff')
        try:
            score, _ = read_abc(bytes(data))
        except (AbcError, MidiError):
            outcomes.add("refused")
            continue
        read_midi(write_midi(score))
        outcomes.add("read")
    assert "read" in outcomes


@needs_data
def test_tunebooks_lie_on_the_grid_and_in_their_key():
    tunes = []
    for path in sorted((DATA / "tunebooks").glob("*/*.abc"))[::40]:
        text = path.read_text(encoding="latin-1")
        tunes += re.split(r"\n(?=X:)", "\n" + text)[1:3]
    assert len(tunes) > 20
    for tune in tunes:
        score, _ = read_abc(tune.encode())
        onsets = np.concatenate([track.notes["onset_tick"] for track in score.tracks])
        assert np.mean(onsets % 20 == 0) > 0.9
        assert 12 < score.note_count < 2000
