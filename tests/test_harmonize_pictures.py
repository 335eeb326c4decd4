"""The harmony picture: what is in it, what gives way, and that it is the same each time."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue import harmonize
from segue.cli import main
from segue.config import check_stage
from segue.harmonize.pictures import (
    LEFT,
    RIGHT,
    ROOM,
    SMALLEST,
    WIDTH,
    Labelled,
    chord_spans,
    harmony_picture,
    key_spans,
    place_symbols,
    text_width,
)
from segue.ingest import apply as read
from segue.process import stage_spec
from segue.score import Meter, Score, Tempo, Track, make_notes

QUARTER = 960
C_MAJOR = {"tonic": 0, "mode": "major", "name": "C major"}
DEMONSTRATION = Path(__file__).parents[1] / "input"
SVG = "{http://www.w3.org/2000/svg}"


def piece(quarters=64, meters=(), **given):
    """A scale above held fifths."""
    beats = np.arange(quarters)
    tune = make_notes(beats * QUARTER, [QUARTER] * quarters, 72 + beats % 5, 80)
    held = make_notes(beats[::4] * QUARTER, [4 * QUARTER] * len(beats[::4]), [48] * len(beats[::4]), 80)
    tracks = (Track("Tune", 0, notes=tune), Track("Held", 1, notes=held))
    return Score(tracks, (Tempo(0, 500_000),), meters or (Meter(0, 4, 4),), **given)


def record(chords, keys=None, **given):
    """A record of chords as (quarter, label) and keys as (quarter, tonic, mode)."""
    entries = [{"tick": int(q * QUARTER), "label": label} for q, label in chords]
    regions = [
        {"tick": int(q * QUARTER), "tonic": tonic, "mode": mode, "name": f"{'CDEFGAB'[tonic // 2]} {mode}"}
        for q, tonic, mode in keys or ()
    ]
    tracks = [{"role": "melody"}, {"role": "chords"}]
    return {"id": "folk/a<b", "key": C_MAJOR, "chords": entries, "keys": regions, "tracks": tracks, **given}


def drawn(score, made):
    return ElementTree.fromstring(harmony_picture(score, made))


def texts(root, *classes):
    return [t.text for t in root.iter(f"{SVG}text") if t.get("class") in classes]


def test_symbols_keys_and_bar_numbers_are_in_it():
    made = record([(0, "C"), (6, "G/B"), (32, "F#m7b5"), (62, "N.C.")], [(0, 0, "major"), (32, 4, "minor")])
    root = drawn(piece(), made)
    ink = texts(root, "ink")
    assert [t for t in ink if t in ("C", "G/B", "F#m7b5", "N.C.")] == ["C", "G/B", "F#m7b5", "N.C."]
    assert [t for t in ink if t.endswith(("major", "minor"))] == ["C major", "E minor"]
    muted = texts(root, "muted")
    assert [t for t in muted if t.isdigit()] == [str(i + 1) for i in range(16)]
    assert "C major, 2 key regions, 4/4, 120 bpm, 3 chords" in muted
    assert root.get("aria-label") == "Harmony of folk/a<b"
    # Two systems of eight bars, with nothing between or beside them.
    areas = [a for a in root.iter(f"{SVG}rect") if "key" in a.get("class", "")]
    assert [(float(a.get("x")), float(a.get("width"))) for a in areas] == [(LEFT, WIDTH - LEFT - RIGHT)] * 2
    # C and E are four fifths apart.
    assert [a.get("class") for a in areas] == ["key fifth0", "key fifth4"]


def test_areas_of_chords_lie_where_the_chords_do():
    root = drawn(piece(32), record([(0, "C"), (8, "G"), (16, "N.C."), (24, "Am")]))
    areas = [a for a in root.iter(f"{SVG}rect") if a.get("class", "").startswith("chord")]
    quarter = (WIDTH - LEFT - RIGHT) / 32
    found = [(a.get("class"), float(a.get("x")), float(a.get("width"))) for a in areas]
    # No chord has no colour.
    for (name, x, width), (fifth, start) in zip(found, ((0, 0), (1, 8), (3, 24)), strict=True):
        assert name == f"chord fifth{fifth}"
        assert x == pytest.approx(LEFT + start * quarter, abs=0.5)
        assert width == pytest.approx(8 * quarter, abs=0.5)


def test_melody_and_accompaniment_have_their_colours_and_drums_are_not_drawn():
    drums = Track("Kit", 9, notes=make_notes([0], [10], [36], 80))
    score = piece(8)
    score = replace(score, tracks=(*score.tracks, drums))
    root = drawn(score, record([(0, "C")]))
    rolls = {p.get("class"): p.get("d") for p in root.iter(f"{SVG}path") if "butt" in p.get("style", "")}
    assert {name: way.count("M") for name, way in rolls.items()} == {"before": 2, "after": 8}
    assert harmony_picture(replace(score, tracks=(drums,)), record([])) is None


def test_a_note_over_the_end_of_a_system_is_in_both():
    long = make_notes([0], [40 * QUARTER], [60], 80)
    root = drawn(replace(piece(40), tracks=(Track("Tune", 0, notes=long),)), record([]))
    ways = [p.get("d") for p in root.iter(f"{SVG}path") if p.get("class") == "after" and p.get("style")]
    lengths = [float(way.split("h")[1]) for way in ways]
    quarter = (WIDTH - LEFT - RIGHT) / 32
    assert lengths == pytest.approx([32 * quarter - 1, 8 * quarter - 1], abs=0.5)


@pytest.mark.parametrize(
    ("meters", "bars"),
    [
        ((Meter(0, 4, 4),), [8, 8]),
        ((Meter(0, 1, 4),), [24, 24, 16]),
        ((Meter(0, 2, 4),), [12, 12, 8]),
        ((Meter(0, 6, 8),), [8, 8, 6]),
        ((Meter(0, 12, 8),), [6, 5]),
        # A pickup, and two bars of another meter.
        (
            (Meter(0, 1, 4), Meter(QUARTER, 4, 4), Meter(33 * QUARTER, 5, 4), Meter(43 * QUARTER, 4, 4)),
            [8, 8, 1],
        ),
        # No system is shorter than a bar, however long that is.
        ((Meter(0, 40, 4),), [1, 1]),
    ],
)
def test_systems_have_eight_bars_or_what_comes_near_it(meters, bars):
    root = drawn(piece(64, meters), record([(0, "C")]))
    heights = [p for p in root.iter(f"{SVG}path") if p.get("class") == "axis"]
    tops = [re.match(r"M([\d.]+) ([\d.]+)", p.get("d"))[2] for p in heights]
    lines = [tops.count(top) - 1 for top in dict.fromkeys(tops)]
    assert lines == bars


def test_a_symbol_without_room_shrinks_and_then_gives_way_and_is_counted():
    scale = 40 / QUARTER
    chords = [
        Labelled(0, QUARTER, 0, "Cmaj7"),
        Labelled(QUARTER, 2 * QUARTER, 1, "Dbmaj7/Ab"),
        Labelled(2 * QUARTER, 8 * QUARTER, 2, "D"),
    ]
    large, none, last = place_symbols(chords, 0, 8 * QUARTER, scale)
    assert SMALLEST <= large.size < 14
    assert none.size == 0
    assert (last.size, last.is_new) == (14, True)
    labels = [(i / 2, "Dbmaj7/Ab" if i % 4 == 1 else "D") for i in range(64)]
    root = drawn(piece(32), record(labels))
    assert "16 chord symbols left out for lack of room" in texts(root, "muted")[0]
    assert texts(root, "ink").count("D") == 48


def test_a_chord_is_named_again_in_the_next_system():
    root = drawn(piece(64), record([(0, "C"), (30, "Am")]))
    assert texts(root, "ink").count("Am") == 1
    assert texts(root, "muted").count("Am") == 1
    # One that has no room at the end of a system is named in the next one, and so not left out.
    root = drawn(piece(64), record([(0, "C"), (31.9, "F#m7b5")]))
    assert texts(root, "ink", "muted").count("F#m7b5") == 1
    assert not any("left out" in t for t in texts(root, "muted"))


def test_numerals_stand_below_the_symbols_they_belong_to():
    made = record([(0, "C"), (4, "G7"), (4.5, "Am")])
    for entry, numeral in zip(made["chords"], ("I", "V65/ii", "vi"), strict=True):
        entry["roman"] = numeral
    root = drawn(piece(32), made)
    # The next chord begins an eighth after the second: room for the symbol alone.
    assert [t for t in texts(root, "muted") if t in ("I", "V65/ii", "vi")] == ["I", "vi"]
    assert "G7" in texts(root, "ink")


LABELS = st.sampled_from(["C", "Am", "G/B", "F#m7b5", "Dbmaj7/Ab", "N.C.", "E7#9", "Bb"])


@given(st.lists(st.tuples(st.integers(0, 255), LABELS), max_size=60), st.sampled_from([1, 3, 4, 7]))
@settings(max_examples=40, deadline=None)
def test_labels_never_overlap_and_every_chord_is_shown_or_counted(given_chords, count):
    # A number makes each label one of its own; what cannot be read as a chord is shown like any other.
    places = sorted({quarter / 4: label for quarter, label in given_chords}.items())
    chords = [(quarter, f"{label}.{i}") for i, (quarter, label) in enumerate(places)]
    made = record(chords, [(0, 0, "major"), (16, 10, "minor"), (17, 2, "major")])
    root = drawn(piece(64, (Meter(0, count, 4),)), made)
    lines: dict[str, list[tuple[float, float]]] = {}
    for text in root.iter(f"{SVG}text"):
        if text.get("text-anchor") == "start" and float(text.get("y")) > 60:
            x = float(text.get("x"))
            width = text_width(text.text, float(text.get("font-size")))
            lines.setdefault(text.get("y"), []).append((x, x + width))
    for spans in lines.values():
        for (_, stop), (start, _) in zip(sorted(spans), sorted(spans)[1:], strict=False):
            # Half a pixel of rounding.
            assert stop <= start + 0.5
        assert max(stop for _, stop in spans) <= WIDTH
    facts = next(t for t in texts(root, "muted") if "bpm" in t)
    left_out = re.search(r"(\d+) chord symbols? left out", facts)
    shown = {label for _, label in chords} & set(texts(root, "ink", "muted"))
    assert len(shown) + (int(left_out[1]) if left_out else 0) == len(chords)


def test_the_record_gives_spans():
    made = record([(0, "C"), (4, "?"), (8, "G")], [(0, 9, "minor"), (8, 0, "major")])
    assert [(c.start, c.stop, c.root) for c in chord_spans(made, 9000)] == [
        (0, 3840, 0),
        (3840, 7680, None),
        (7680, 9000, 7),
    ]
    assert [(k.start, k.stop, k.root, k.short) for k in key_spans(made, 9000)] == [
        (0, 7680, 9, "Am"),
        (7680, 9000, 0, "C"),
    ]
    assert key_spans({**made, "keys": []}, 9000) == [Labelled(0, 9000, 0, "C major", "C")]
    assert key_spans({"key": None}, 9000) == []


def test_real_pieces_have_the_same_picture_each_time_and_the_same_music_with_it(tmp_path):
    spec = stage_spec("harmonize", check_stage("harmonize", {"figures": True}), 0)
    plain = check_stage("harmonize", {})
    for name in ("songs/auld_lang_syne.mid", "notation/irish_washerwoman.abc"):
        file = DEMONSTRATION / name
        made = read(file.read_bytes(), name, check_stage("ingest", {}))
        results = [
            harmonize.apply(made.score, made.record, given, spec.load_models(), 0)
            for given in (spec.settings, spec.settings, plain)
        ]
        assert results[0].files == results[1].files
        assert results[2].files == {}
        assert results[0].record == results[2].record
        assert results[0].report == results[2].report
        root = ElementTree.fromstring(results[0].files["harmonize.svg"])
        shown = texts(root, "ink")
        for entry in results[0].record["chords"]:
            assert entry["label"] in shown
        for region in results[0].record["keys"]:
            assert region["name"] in shown


def test_the_command_line_writes_it_beside_the_music(tmp_path):
    tune = DEMONSTRATION / "melodies/greensleeves.mid"
    assert main(["harmonize", str(tune), "-o", str(tmp_path), "--set", "figures=true"]) == 0
    assert ElementTree.parse(tmp_path / "greensleeves.harmonize.svg").getroot().tag == f"{SVG}svg"


def test_text_is_not_wider_than_it_is_taken_for():
    # Advance widths of Helvetica, thousandths of the size: C 722, m 833, a 556, j 222, 7 556, # 556, / 278.
    assert text_width("C", 1000) >= 722
    assert text_width("Cmaj7", 1000) >= 722 + 833 + 556 + 222 + 556
    assert text_width("F#m7/C#", 1000) >= 611 + 556 + 833 + 556 + 278 + 722 + 556
    assert ROOM > 0
