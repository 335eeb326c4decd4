"""Lead sheets: what is written is read back equal, bars add up, and the files come with the piece."""

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from shutil import copyfile
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_workflow import Bench

from segue import harmonize
from segue.archive import Member, write_archive
from segue.chords import NO_CHORD, QUALITIES, Chord, parse_chord
from segue.cli import main
from segue.complete.encoding import TICKS_PER_UNIT
from segue.config import check_stage
from segue.deliver import deliver_shard
from segue.harmonize.lead_sheet import lead_sheet, signature, spelled, title_of
from segue.harmonize.sheet import chords_text, make_sheet
from segue.ingest.key import Key
from segue.ingest.musicxml import read_musicxml
from segue.midi import read_midi, write_midi
from segue.process import run_piece, stage_spec
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes, no_notes
from segue.shard import Tally, stage_shard

REPOSITORY = Path(__file__).parents[1]
Q = 960
KEYS = [
    {"tonic": tonic, "mode": mode, "name": Key(tonic, mode).name}
    for mode in ("major", "minor")
    for tonic in range(12)
]
C_MAJOR = KEYS[0]
#: Length in quarters of the values, and of the values of a triplet.
VALUES = {"whole": 4, "half": 2, "quarter": 1, "eighth": 1 / 2, "16th": 1 / 4, "32nd": 1 / 8}


def score_of(*rows, meters=((0, 4, 4),)):
    """A melody of (onset, length, pitch), times in quarters."""
    onset, length, pitch = zip(*rows, strict=True)
    ticks = [round(x * Q) for x in onset], [round(x * Q) for x in length]
    track = Track(name="Tune", notes=make_notes(*ticks, pitch, 80))
    return Score((track,), (Tempo(0, 500_000),), tuple(Meter(round(t * Q), n, d) for t, n, d in meters))


def sheet_of(score, chords=()):
    notes = score.tracks[0].notes
    last = int(notes["onset_tick"].max()) if len(notes) else 0
    return make_sheet(score, notes, chords, last)


def written(sheet, key=C_MAJOR):
    return lead_sheet(sheet, [key] * len(sheet.bars), "A tune", Tempo(0, 500_000))


def text_of(sheet, key=C_MAJOR):
    return chords_text(sheet, [key] * len(sheet.bars))


def measures(text):
    return ElementTree.fromstring(text.encode()).findall("part/measure")


def check_bars(sheet, text):
    """Every measure's durations add up to its bar, and every value lasts as long as it says."""
    found = measures(text)
    assert len(found) == len(sheet.bars)
    for bar, measure in zip(sheet.bars, found, strict=True):
        notes = measure.findall("note")
        assert sum(int(n.findtext("duration")) for n in notes) == bar.stop - bar.start
        assert (measure.get("implicit") == "yes") == bar.is_odd
        group = 0
        for note in notes:
            if note.find("type") is None:
                assert note.find("rest").get("measure") == "yes"
                assert len(notes) == 1
                continue
            quarters = VALUES[note.findtext("type")] * (2 - 0.5 ** len(note.findall("dot")))
            quarters *= 2 / 3 if note.find("time-modification") is not None else 1
            assert quarters * 12 == pytest.approx(int(note.findtext("duration")))
            ends = [t.get("type") for t in note.findall("notations/tuplet")]
            assert "start" not in ends or group == 0
            group += quarters if note.find("time-modification") is not None else 0
            if "stop" in ends:
                # No triplet fills what is left of a bar that ends beside the eighths.
                assert group in (pytest.approx(1), pytest.approx(0.5)) or (bar.stop - bar.start) % 6
                group = 0
    assert found[-1].findtext("barline/bar-style") == "light-heavy"


def check_read_back(sheet, text):
    """The reader finds the sheet's notes and chords, counted from its first bar."""
    score, warnings = read_musicxml(text.encode())
    assert warnings == []
    start = sheet.bars[0].start
    track = score.tracks[0].notes
    assert [(int(n["onset_tick"]), int(n["duration_tick"]), int(n["pitch"])) for n in track] == [
        ((a - start) * TICKS_PER_UNIT, (b - a) * TICKS_PER_UNIT, pitch) for a, b, pitch in sheet.notes
    ]
    read = [(t.tick, parse_chord(t.text)) for t in score.markers()]
    assert read == [((unit - start) * TICKS_PER_UNIT, chord) for unit, chord in sheet.chords]
    return score


def both(sheet, key=C_MAJOR):
    text = written(sheet, key)
    check_bars(sheet, text)
    return check_read_back(sheet, text)


def values_of(measure):
    """Note values of a measure, with dots, and a 3 in triplets."""
    told = []
    for note in measure.findall("note"):
        triplet = "3" * (note.find("time-modification") is not None)
        told.append(note.findtext("type") + "." * len(note.findall("dot")) + triplet)
    return told


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key["name"])
def test_the_whole_vocabulary_is_read_back_equal(key):
    chords = [Chord(root, quality) for root in range(12) for quality in QUALITIES]
    chords += [Chord(root, "7", (root + step) % 12) for root in range(12) for step in range(1, 12)]
    chords += [NO_CHORD]
    ticks = [i * Q for i in range(len(chords))]
    sheet = make_sheet(Score(), no_notes(), list(zip(ticks, chords, strict=True)), 0)
    score = both(sheet, key)
    # Not the sound alone: the symbol is spelt as it stands in the text.
    shown = []
    for harmony in ElementTree.fromstring(written(sheet, key).encode()).iter("harmony"):
        names = [harmony.findtext("root/root-step"), harmony.findtext("bass/bass-step")]
        alters = [harmony.findtext("root/root-alter"), harmony.findtext("bass/bass-alter")]
        root, bass = (
            (n or "") + {"-1": "b", "1": "#", None: ""}[a] for n, a in zip(names, alters, strict=True)
        )
        root = "" if harmony.findtext("kind") == "none" else root
        shown.append(root + harmony.find("kind").get("text") + (f"/{bass}" if bass else ""))
    assert shown == [chord.symbol(key) for chord in chords]
    assert len(score.markers()) == len(chords)


def test_notes_come_as_they_are_with_ties_dots_and_rests():
    rows = [(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.75, 64), (2.75, 0.25, 65), (3.5, 1.5, 67), (5, 2, 69)]
    rows += [(8, 5, 72), (13, 0.75, 71), (14, 2, 72)]
    sheet = sheet_of(score_of(*rows))
    # A silence of less than an eighth is touch, not a rest.
    rows[-2] = (13, 1, 71)
    assert [(a / 12, (b - a) / 12, p) for a, b, p in sheet.notes] == rows
    both(sheet)
    found = measures(written(sheet))
    assert values_of(found[0]) == ["quarter.", "eighth", "eighth.", "16th", "eighth", "eighth"]
    assert values_of(found[1]) == ["quarter", "half", "quarter"]
    assert [t.get("type") for t in found[0].findall("note")[-1].findall("tie")] == ["start"]
    assert [t.get("type") for t in found[1].findall("note")[0].findall("tie")] == ["stop"]
    assert values_of(found[3]) == ["quarter", "quarter", "half"]


def test_triplets_are_written_as_such():
    third = 1 / 3
    rows = [
        (0, third, 60),
        (third, third, 62),
        (2 * third, third, 64),
        (1, 2 * third, 65),
        (1 + 2 * third, third, 67),
    ]
    rows += [(2, 1 / 6, 69), (2 + 1 / 6, 1 / 6, 67), (2 + 1 / 3, 1 / 6, 65), (2.5, 0.5, 64), (3, 1, 60)]
    sheet = sheet_of(score_of(*rows))
    both(sheet)
    (bar,) = measures(written(sheet))
    assert values_of(bar) == [
        *["eighth3"] * 3, "quarter3", "eighth3", *["16th3"] * 3, "eighth", "quarter"
    ]  # fmt: skip
    assert [t.get("type") for t in bar.iter("tuplet")] == ["start", "stop"] * 3


def test_swung_and_uneven_playing_is_written_on_the_grid():
    rng = np.random.default_rng(0)
    rows = [(i / 2 + float(rng.uniform(-0.03, 0.03)) + 0.1, 0.4, 60 + i % 5) for i in range(64)]
    sheet = sheet_of(score_of(*rows))
    assert [note[0] for note in sheet.notes] == [6 * i for i in range(64)]
    both(sheet)


def test_a_pickup_that_is_a_bar_of_its_own():
    rows = [(0, 1, 67), (1, 2, 72), (3, 1, 71), (4, 3, 72)]
    sheet = sheet_of(score_of(*rows, meters=((0, 1, 4), (1, 3, 4))), [(Q, Chord(0, "maj"))])
    score = both(sheet)
    assert [(m.tick, m.name) for m in score.meters] == [(0, "1/4"), (Q, "3/4")]
    found = measures(written(sheet))
    assert [(m.get("number"), m.get("implicit")) for m in found] == [("0", "yes"), ("1", None), ("2", None)]
    assert found[0].findtext("attributes/time/beats") == "3"
    assert found[1].find("attributes") is None
    assert text_of(sheet) == "Key: C major  Meter: 3/4\n| C | C |\n"


def test_a_pickup_at_the_end_of_a_bar():
    rows = [(2.5, 0.5, 69), (3, 1, 72), (4, 0.5, 74), (4.5, 1.5, 76), (6, 3, 76)]
    # Harmonize names chords from a beat on: this one begins before the note that it belongs to.
    sheet = sheet_of(score_of(*rows, meters=((0, 6, 8),)), [(Q * 3 // 2, Chord(9, "min"))])
    assert (sheet.bars[0].start, sheet.bars[0].stop) == (30, 36)
    assert sheet.chords == ((30, Chord(9, "min")),)
    assert [bar.is_odd for bar in sheet.bars] == [True, False, False]
    both(sheet)
    # Of two before it the last one counts.
    pair = [(Q * 3 // 2, Chord(0, "maj")), (Q * 2, Chord(9, "min"))]
    assert sheet_of(score_of(*rows, meters=((0, 6, 8),)), pair).chords == sheet.chords
    # With a chord from the start on it is a bar like any other.
    assert not sheet_of(score_of(*rows, meters=((0, 6, 8),)), [(0, Chord(9, "min"))]).bars[0].is_odd


def test_six_eight_shows_its_dotted_beats():
    rows = [(0, 1.5, 60), (1.5, 0.5, 62), (2, 1, 64), (3, 6, 65), (9, 2, 67), (11, 1, 69)]
    found = measures(written(sheet_of(score_of(*rows, meters=((0, 6, 8),)))))
    assert [values_of(m) for m in found] == [
        ["quarter.", "eighth", "quarter"],
        ["half."],
        ["half."],
        ["quarter.", "eighth", "quarter"],
    ]
    assert found[0].findtext("direction/direction-type/metronome/per-minute") == "80"
    assert found[0].find("direction/sound").get("tempo") == "120"


def test_meters_change_and_bars_are_cut_short():
    meters = ((0, 4, 4), (6, 3, 4), (12, 6, 8), (15, 7, 8), (22, 2, 2), (30, 5, 4))
    rows = [(i / 2, 0.5, 60 + i % 13) for i in range(80)]
    chords = [(2 * i * Q, Chord(i % 12, "7")) for i in range(18)]
    sheet = sheet_of(score_of(*rows, meters=meters), chords)
    both(sheet)
    assert [bar.is_odd for bar in sheet.bars].count(True) == 1
    times = [m.findtext("attributes/time/beats") for m in measures(written(sheet))]
    assert [t for t in times if t] == ["4", "3", "6", "7", "2", "5"]
    assert text_of(sheet).count("Meter: ") == 6


def test_text_names_the_chords_of_every_bar():
    rows = [(4 * i, 4, 60) for i in range(1, 7)]
    chords = [
        (4 * Q, "C"),
        (8 * Q, "G/B"),
        (12 * Q, "Am"),
        (14 * Q, "F"),
        (18 * Q, "G7"),
        (20 * Q, "C"),
        (24 * Q, "C"),
    ]
    sheet = sheet_of(score_of(*rows), [(tick, parse_chord(label)) for tick, label in chords])
    lines = ["Key: C major  Meter: 4/4", "| N.C. | C | G/B | Am F |", "| F G7 | C | C |"]
    assert text_of(sheet).splitlines() == lines


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key["name"])
def test_notes_are_spelt_by_the_key(key):
    for pitch in range(128):
        step, alter, octave = spelled(pitch, key)
        assert "C D EF G A B".index(step) + alter + 12 * (octave + 1) == pitch
        assert abs(alter) <= 2
    letters = [
        spelled(60 + key["tonic"] + step, key)[0] for step in (0, 2, 3 if key["mode"] == "minor" else 4, 5, 7)
    ]
    # The first five notes of the scale are on five letters, one after the other.
    assert "CDEFGABCDEFGAB".find("".join(letters)) >= 0
    assert -6 <= signature(key) <= 6
    # The notes of the key need no accidental.
    scale = (0, 2, 3, 5, 7, 8, 10) if key["mode"] == "minor" else (0, 2, 4, 5, 7, 9, 11)
    rows = [(i, 1, 60 + key["tonic"] + step) for i, step in enumerate(scale)]
    assert (
        list(ElementTree.fromstring(written(sheet_of(score_of(*rows)), key).encode()).iter("accidental"))
        == []
    )


def test_accidentals_hold_for_their_bar():
    rows = [(0, 1, 66), (1, 1, 66), (2, 1, 65), (3, 2, 66), (5, 1, 66), (6, 2, 78)]
    notes = ElementTree.fromstring(written(sheet_of(score_of(*rows))).encode()).iter("note")
    signs = [note.findtext("accidental") for note in notes]
    # The note that is tied over the bar line shows none, the next one does.
    assert signs == ["sharp", None, "natural", "sharp", None, "sharp", "sharp"]


@st.composite
def pieces(draw):
    """A melody of any rhythm on twelfths or beside them, in changing meters, with chords anywhere."""
    meters, at = [], 0
    for _ in range(draw(st.integers(1, 3))):
        numerator, denominator = draw(st.integers(1, 12)), draw(st.sampled_from([2, 4, 8, 16, 32]))
        meters.append(Meter(at, numerator, denominator))
        at += draw(
            st.one_of(st.integers(1, 8).map(lambda n, m=meters[-1]: n * m.bar_ticks), st.integers(60, 9999))
        )
    step = draw(st.sampled_from([1, 80, 160, 240, 480]))
    rows, tick = [], draw(st.integers(0, 4000)) // step * step
    for _ in range(draw(st.integers(0, 30))):
        tick += draw(st.integers(1, 3000 // step)) * step
        rows.append((tick, draw(st.integers(1, 4000)), draw(st.integers(30, 100))))
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    score = Score((Track(notes=make_notes(*columns, 80)),), (), tuple(meters))
    ticks = sorted(draw(st.sets(st.integers(0, 40_000), max_size=8)))
    qualities = st.sampled_from(sorted(QUALITIES))
    return score, [
        (t, Chord(draw(st.integers(0, 11)), draw(qualities), draw(st.integers(0, 11)))) for t in ticks
    ]


@settings(max_examples=150, deadline=None)
@given(pieces(), st.sampled_from(KEYS))
def test_any_melody_makes_a_sheet_that_is_read_back_equal(piece, key):
    score, chords = piece
    sheet = sheet_of(score, chords)
    assert all(a.stop == b.start for a, b in zip(sheet.bars, sheet.bars[1:], strict=False))
    assert all(a < b for a, b, _ in sheet.notes)
    both(sheet, key)
    assert written(sheet, key) == written(sheet_of(score, chords), key)
    text = text_of(sheet, key)
    named = [x for line in text.splitlines() for x in line.strip("| ").split() if line.startswith("|")]
    told = [label for label, _ in groupby(chord.symbol(key) for _, chord in sheet.chords)]
    assert [label for label, _ in groupby(x for x in named if x not in ("|", "N.C."))] == told


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([3, 6, 9, 12, 18, 24, 48]), st.integers(48, 84)), min_size=1, max_size=40
    )
)
def test_notes_on_the_sixteenths_stay_where_they_are(values):
    starts = np.cumsum([0, *(units for units, _ in values)])[:-1]
    rows = [(s / 12, units / 12, pitch) for s, (units, pitch) in zip(starts, values, strict=True)]
    sheet = sheet_of(score_of(*rows))
    assert list(sheet.notes) == [(int(s), int(s) + u, p) for s, (u, p) in zip(starts, values, strict=True)]


def test_titles_hold_what_xml_can():
    assert title_of("songs/auld_lang_syne") == "Auld Lang Syne"
    sheet = sheet_of(score_of((0, 1, 60)))
    text = lead_sheet(sheet, [C_MAJOR] * len(sheet.bars), "A <b> & \x00\udcff \x0b tune", Tempo(0, 500_000))
    assert "A <b> &" in ElementTree.fromstring(text.encode()).findtext("work/work-title")


SONGS = sorted((REPOSITORY / "input").glob("*/*.*"))


def harmonized(path, tmp_path, **given):
    """The files of a demonstration piece, by name, from the command line."""
    sets = [x for name, value in given.items() for x in ("--set", f"{name}={value}")]
    assert main(["harmonize", str(path), "-o", str(tmp_path), *sets]) == 0
    return {p.name.removeprefix(f"{path.stem}."): p for p in tmp_path.iterdir()}


@pytest.mark.parametrize("path", [p for p in SONGS if p.parent.name != "drums"], ids=lambda p: p.stem)
def test_the_demonstration_has_lead_sheets(path, tmp_path):
    files = harmonized(path, tmp_path, lead_sheet="true")
    assert set(files) == {"mid", "json", "harmonize-sheet.musicxml", "harmonize-chords.txt"}
    music, _ = read_midi(files["mid"].read_bytes())
    sheet, warnings = read_musicxml(files["harmonize-sheet.musicxml"].read_bytes())
    assert warnings == []
    # The pitches of the melody, and every chord of the piece.
    assert sheet.tracks[0].notes["pitch"].tolist() == music.tracks[0].notes["pitch"].tolist()
    chords = [parse_chord(t.text) for t in music.markers()]
    assert [parse_chord(t.text) for t in sheet.markers()] == [c for c in chords if c is not None]
    # Onsets on the grid, all moved alike; of the tune that a person played, only nearly so.
    onset = sheet.tracks[0].notes["onset_tick"].astype(int) - music.tracks[0].notes["onset_tick"]
    assert np.ptp(onset) <= (160 if path.parent.name == "performances" else 0)
    text = files["harmonize-chords.txt"].read_text()
    assert text.startswith("Key: ")
    assert text.count("%") == 0


def test_the_setting_changes_no_music(tmp_path):
    path = REPOSITORY / "input/melodies/frere_jacques.mid"
    (tmp_path / "with").mkdir()
    plain = harmonized(path, tmp_path / "without")
    sheet = harmonized(path, tmp_path / "with", lead_sheet="true")
    assert set(plain) == {"mid", "json"}
    assert plain["mid"].read_bytes() == sheet["mid"].read_bytes()


def apply(score, record):
    chosen = check_stage("harmonize", {"lead_sheet": True})
    return harmonize.apply(score, record, chosen, {"harmony": load_model("harmony", "onnx")}, 0)


def test_without_a_melody_there_are_chords_alone():
    score = score_of(*[(4 * i, 4, pitch) for i in range(4) for pitch in (48, 52, 55)])
    result = apply(score, {"tracks": [{"role": "chords"}], "chords": [], "key": None})
    assert result.report["lead_sheet"]["notes"] == 0
    assert "chords alone" in result.report["lead_sheet"]["reason"]
    sheet, _ = read_musicxml(result.files["harmonize-sheet.musicxml"])
    assert len(sheet.markers()) == result.report["lead_sheet"]["chords"] >= 1
    assert b"| C | C | C | C |" in result.files["harmonize-chords.txt"]


def test_drums_alone_have_no_lead_sheet():
    drums = replace(score_of((0, 1, 36)).tracks[0], channel=9)
    result = apply(Score((drums,)), {"tracks": [{"role": "drums"}]})
    assert result.files == {}
    assert "no pitched notes" in result.report["reason"]


def test_lead_sheets_are_delivered_and_leave_again(tmp_path):
    score = score_of(*[(i, 1, 60 + [0, 4, 7, 5][i % 4]) for i in range(16)])
    record = {"id": "a", "source": {"sha256": "a"}, "key": C_MAJOR, "chords": []}
    record["tracks"] = [{"name": "Tune", "notes": 16, "role": "melody"}]
    write_archive(tmp_path / "ingest.zip", {"a": Member(write_midi(score), record, "a")})

    def deliver(lead_sheet):
        tallies = []
        for stage, before in (("harmonize", "ingest"), ("transfer", "harmonize")):
            chosen = {"lead_sheet": lead_sheet} if stage == "harmonize" else {}
            tallies.append(Tally(stage))
            spec = stage_spec(stage, check_stage(stage, chosen), 0)
            stage_shard(spec, tmp_path / f"{before}.zip", tmp_path / f"{stage}.zip", tallies[-1])
        places = (tmp_path / name for name in ("transfer.zip", "output", "manifest", "records"))
        deliver_shard(None, *places, Tally("render"))
        return [len(t.computed) for t in tallies], sorted(p.name for p in (tmp_path / "output").iterdir())

    music, extras = ["a.json", "a.mid"], ["a.harmonize-chords.txt", "a.harmonize-sheet.musicxml"]
    assert deliver(False)[1] == music
    # The stages behind it compute again: the record tells of the sheet.
    assert deliver(True) == ([1, 1], sorted([*music, *extras]))
    before = {name: (tmp_path / "output" / name).read_bytes() for name in extras}
    (tmp_path / "output" / extras[1]).unlink()
    assert deliver(True) == ([0, 0], sorted([*music, *extras]))
    assert {name: (tmp_path / "output" / name).read_bytes() for name in extras} == before
    assert deliver(False)[1] == music


def test_a_run_of_the_workflow_delivers_the_lead_sheet(tmp_path):
    bench = Bench(tmp_path)
    (tmp_path / "input").mkdir()
    copyfile(REPOSITORY / "input/songs/auld_lang_syne.mid", tmp_path / "input/auld_lang_syne.mid")
    copyfile(REPOSITORY / "config.yaml", tmp_path / "config.yaml")
    run = bench.run("stages=[harmonize]", "harmonize={lead_sheet: true}")
    assert run.status == 0, run.text
    piece = tmp_path / "output/auld_lang_syne"
    assert "| F | C7 | F | Bb |\n" in piece.with_suffix(".harmonize-chords.txt").read_text()
    sheet, _ = read_musicxml(piece.with_suffix(".harmonize-sheet.musicxml").read_bytes())
    music, _ = read_midi(piece.with_suffix(".mid").read_bytes())
    assert len(sheet.tracks[0].notes) == len(music.tracks[0].notes)
    run = bench.run("stages=[harmonize]")
    assert run.status == 0, run.text
    assert not [name for name in bench.outputs() if ".harmonize-" in name]


def test_a_piece_in_quarantine_has_no_lead_sheet():
    spec = stage_spec("harmonize", check_stage("harmonize", {"lead_sheet": True}), 0)
    done = run_piece(spec, Member(b"no music", {"id": "a", "source": {"sha256": "a"}}))
    assert done.midi is None
    assert done.extras == {}


def test_a_modulation_has_a_signature_on_the_sheet():
    verse = [[60, 62, 64, 65], [67, 65, 64, 62], [60, 64, 67, 72], [71, 67, 60, 60]]
    rows = [(4 * i + k, 1, p) for i, bar in enumerate(verse) for k, p in enumerate(bar)]
    rows += [(16 + at, length, pitch + 2) for at, length, pitch in rows]
    chords = [(0, parse_chord("C")), (16 * 960, parse_chord("D")), (17 * 960, parse_chord("F#m"))]
    sheet = sheet_of(score_of(*rows), chords)
    d_major = {"tonic": 2, "mode": "major", "name": "D major"}
    keys = [C_MAJOR] * 4 + [d_major] * 4
    text = lead_sheet(sheet, keys, "A tune", Tempo(0, 500_000))
    measures = ElementTree.fromstring(text.encode()).findall("part/measure")
    found = {
        m.get("number"): m.findtext("attributes/key/fifths")
        for m in measures
        if m.find("attributes/key") is not None
    }
    assert found == {"1": "0", "5": "2"}
    # Each verse needs no accidental in its own key.
    assert "<accidental>" not in text
    lines = chords_text(sheet, keys).splitlines()
    assert lines == [
        "Key: C major  Meter: 4/4",
        "| C | C | C | C |",
        "Key: D major",
        "| D F#m | F#m | F#m | F#m |",
    ]
