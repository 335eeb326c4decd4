"""`segue evaluate harmony`: annotations as people write them, figures worked out by hand, whole folders."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segue.beats import Grid
from segue.chords import NO_CHORD, majmin_class, parse_chord
from segue.cli import main
from segue.harmonize import floors
from segue.harmonize.encoding import note_chroma
from segue.harmonize.evaluate_folder import ALL, HUMAN, MELODY, Answer, Piece, Truth
from segue.harmonize.evaluate_table import chord_figures, harmony_table, table_text
from segue.harmonize.references import find_reference, on_its_beats
from segue.midi import write_midi
from segue.score import (
    MARKER,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    make_notes,
    seconds_from_ticks,
    ticks_from_seconds,
)
from segue.stage import StageError

QUARTER = 960
TRIADS = {"C": (48, 52, 55), "F": (53, 57, 60), "G": (55, 59, 62), "Am": (57, 60, 64)}


def track(name, notes, **given):
    """A track of notes (start, length in quarters, pitch)."""
    start, length, pitch = np.array(notes).T
    return Track(
        name, notes=make_notes(start * QUARTER, length * QUARTER, pitch, 80), **{"channel": 0, **given}
    )


def song(symbols, markers=False):
    """One bar of 4/4 a chord at 120: the triad held below a tune of its own tones, four to the bar."""
    held = [(4 * i, 4, p) for i, s in enumerate(symbols) for p in TRIADS[s]]
    tune = [(4 * i + k, 1, TRIADS[s][k % 3] + 12) for i, s in enumerate(symbols) for k in range(4)]
    texts = [Text(4 * i * QUARTER, MARKER, s) for i, s in enumerate(symbols)] if markers else []
    return Score(
        (track("Melody", tune), track("Piano", held, channel=1)),
        (Tempo(0, 500_000),),
        (Meter(0, 4, 4),),
        texts=tuple(texts),
    )


def save(path: Path, score: Score) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_midi(score))
    return path


def rows_of(printed: str) -> dict[str, dict[str, str]]:
    """The cells of the printed chord table by row and column."""
    block = printed.split("\n\n")[0].splitlines()
    heads = [h.strip() for h in block[0].split("  ") if h.strip()]
    cells = [[c.strip() for c in line.split("  ") if c.strip()] for line in block[1:]]
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in cells}


# Annotations


def test_a_lab_is_read_in_seconds_with_unknown_and_unread_labels(tmp_path):
    path = save(tmp_path / "a.mid", song(["C", "F", "G", "C"]))
    (tmp_path / "a.lab").write_text(
        "# made by hand\n0.0\t2.0\tC:maj\n\n2 4 F#:min7/b3  # a comment\n4 5.5 X\n5.5 6 H:maj\n6 8 N\n"
    )
    (tmp_path / "a.key.lab").write_text("0 4 C:maj\n4 8 E minor\n")
    reference = find_reference(path, song(["C"] * 4), {"chords": [{"tick": 0, "label": "G"}]})
    beats = np.arange(17) * QUARTER
    chords = reference.chords.at_beats(beats)
    minor = parse_chord("F#:min7/b3")
    # A chord that covers the greater part of a beat labels it: H:maj has all of beat 11, and is no chord.
    assert chords == [parse_chord("C")] * 4 + [minor] * 4 + [None] * 4 + [NO_CHORD] * 4
    assert reference.keys.at_beats(beats) == [0] * 8 + [16] * 8
    assert reference.unread == ("H:maj",)
    assert reference.source == "a.lab"


def test_a_beat_has_the_label_that_covers_most_of_it_and_none_where_none_does(tmp_path):
    path = save(tmp_path / "a.mid", song(["C", "C"]))
    (tmp_path / "a.lab").write_text("0 0.7 C:maj\n0.7 1.3 G:maj\n")
    spans = find_reference(path, song(["C"]), {}).chords
    beats = np.arange(5) * QUARTER
    c, g = parse_chord("C"), parse_chord("G")
    # 0.5 s a beat: C has 0.2 s and G 0.3 s of the second beat.
    assert spans.at_beats(beats) == [c, g, g, None]
    assert spans.at_beats(beats, fill=True) == [c, g, g, g]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("0 1 C\nzero 2 G\n", "line 2: 'zero 2 G' cannot be read"),
        ("0 1\n", "line 1: '0 1' cannot be read"),
        ("\n2 1 C\n", "line 2: '2 1 C' ends before it begins"),
        ("# nothing\n", "a.lab is empty"),
    ],
)
def test_a_broken_lab_is_told_with_its_line(tmp_path, text, what):
    path = save(tmp_path / "a.mid", song(["C"]))
    (tmp_path / "a.lab").write_text(text)
    with pytest.raises(StageError, match=what):
        find_reference(path, song(["C"]), {})


def test_keys_are_read_as_people_write_them(tmp_path):
    path = save(tmp_path / "a.mid", song(["C"]))
    names = ("Gb:maj", "E:minor", "A minor", "Bb", "F#m", "c:min", "D:major")
    (tmp_path / "a.lab").write_text("0 9 C\n")
    (tmp_path / "a.key.lab").write_text("".join(f"{i} {i + 1} {n}\n" for i, n in enumerate(names)))
    assert find_reference(path, song(["C"]), {}).keys.values == (6, 16, 21, 10, 18, 12, 2)
    (tmp_path / "a.key.lab").write_text("0 1 H:dur\n")
    with pytest.raises(StageError, match="'H:dur' is no key"):
        find_reference(path, song(["C"]), {})


def test_symbols_of_the_piece_hold_until_the_next_and_the_last_to_the_end(tmp_path):
    path = save(tmp_path / "a.mid", song(["C", "G"]))
    record = {"chords": [{"tick": QUARTER, "label": "Am"}, {"tick": 3 * QUARTER, "label": "N.C."}]}
    chords = find_reference(path, song(["C", "G"]), record).chords.at_beats(np.arange(9) * QUARTER)
    am = parse_chord("Am")
    assert chords == [None, am, am, *[NO_CHORD] * 5]
    assert find_reference(path, song(["C"]), {"chords": []}) is None


def test_pop909_is_read_by_its_folder_and_only_for_the_piece_of_its_name(tmp_path):
    path = save(tmp_path / "007/007.mid", song(["C", "G"]))
    other = save(tmp_path / "007/other.mid", song(["C", "G"]))
    (path.parent / "chord_midi.txt").write_text("0 2 C:maj\n2 4 G:7\n")
    (path.parent / "key_audio.txt").write_text("0.5\t3.9\tC:maj\n")
    reference = find_reference(path, song(["C", "G"]), {})
    assert reference.source == "chord_midi.txt"
    assert reference.chords.values == (parse_chord("C"), parse_chord("G7"))
    assert reference.keys.values == (0,)
    assert find_reference(other, song(["C", "G"]), {}) is None


def test_a_piece_is_put_on_the_beats_that_are_told(tmp_path):
    path = save(tmp_path / "007/007.mid", song(["C", "G"]))
    # Beats of 0.6 s from 0.3 s on; the second begins the first bar, and the last line runs on.
    seconds = 0.3 + 0.6 * np.arange(9)
    flags = [f"{t:.3f} 1.0 {1 if i % 4 == 1 else 0}.0" for i, t in enumerate(seconds)]
    (path.parent / "beat_midi.txt").write_text("\n".join(flags) + "0.4\n")
    tune = Score((track("Melody", [(0.6, 1.2, 60), (1.8, 0.6, 62)]),), (Tempo(0, 500_000),))
    placed = on_its_beats(path, tune)
    notes = placed.tracks[0].notes
    # 0.3 s and 0.9 s are the first two beats. Half a beat of 0.6 s lies before them, written as one.
    assert notes["onset_tick"].tolist() == [960, 1920]
    assert notes["duration_tick"].tolist() == [960, 480]
    assert [(m.tick // 960, m.name) for m in placed.meters] == [(0, "2/4"), (2, "4/4")]
    back = seconds_from_ticks(placed, notes["onset_tick"])
    assert back == pytest.approx(seconds_from_ticks(tune, tune.tracks[0].notes["onset_tick"]), abs=1e-4)
    assert ticks_from_seconds(placed, [seconds[-1]])[0] == pytest.approx(9 * 960, abs=1)
    (path.parent / "beat_midi.txt").write_text("1 0 1\n0.5 0 0\n")
    with pytest.raises(StageError, match="do not follow each other"):
        on_its_beats(path, tune)
    assert on_its_beats(tmp_path / "else.mid", tune) is None


# Floors


def test_floors_by_hand():
    melody = track("m", [(0, 0.5, 64), (4, 1, 60)]).notes
    others = track("o", [(0, 1, 48), (0, 1, 55), (1, 1, 57), (1, 1, 60), (1, 1, 64)]).notes
    ticks = np.arange(7) * QUARTER
    chroma = note_chroma(melody, others, ticks)
    # The melody as a share of the beat, the others as shares of what they sound.
    assert chroma[0, [0, 4, 7]].tolist() == [0.5, 0.5, 0.5]
    assert chroma[1, [9, 0, 4]] == pytest.approx([1 / 3] * 3)
    assert chroma[4, 0] == 1
    # C, Am, nothing, nothing; of a lone C the first of the triads that hold it, which is C.
    assert floors.triad_template(chroma).tolist() == [0, 21, 24, 24, 0, 24]
    assert floors.most_frequent(np.array([7, -1, -1, -1, 7, 0])) == 7
    assert floors.most_frequent(np.array([-1])) == 24
    scale = np.zeros(12)
    scale[[0, 2, 4, 5, 7, 9, 11]] = (4, 1, 2, 1, 3, 1, 1)
    assert [floors.key_by_profile(np.roll(scale, k)) for k in (0, 1, 7)] == [0, 1, 7]


# Figures


def grid_of(beats, count=4):
    number = np.arange(beats) % count
    return Grid(np.arange(beats + 1) * QUARTER, number, np.full(beats, count), np.zeros((beats, 3)))


def made(name, truth, guess, keys=None, log_p=None, key=0):
    """A piece of made-up answers, a chord a beat; None in `truth` is unknown."""
    chords = [None if c == "?" else parse_chord(c) for c in truth.split()]
    known = Truth(
        [c or NO_CHORD for c in chords],
        np.array([-1 if c is None else majmin_class(c) for c in chords]),
        ["X" if c is None else c.harte() for c in chords],
        np.full(len(chords), -1) if keys is None else np.array(keys),
    )
    beats = len(chords)
    answer = Answer(
        [parse_chord(c) for c in guess.split()], log_p, key, np.full(beats, key), np.arange(beats) > 0
    )
    melody = np.array([np.arange(beats), np.ones(beats), np.full(beats, 60)], float)
    return Piece(name, grid_of(beats), melody, {MELODY: answer}, known)


def test_figures_of_two_pieces_by_hand():
    log_p = np.log(np.full((4, 25), 1 / 25))
    log_p[0] = np.log(0.5)
    pieces = [
        # Of four beats three count (Gsus4 is neither): right, right (G for G7, without its bass), wrong.
        made("a", "C G7/B Gsus4 Am", "C G C C", keys=[0, 0, 7, 7], log_p=log_p),
        # Unknown does not count; diminished is taken for minor, and Bdim is wrong for N.C.
        made("b", "? F N.C. Dm", "C F Bdim Ddim", keys=[9, 9, 9, 9], key=21),
    ]
    row = chord_figures(pieces, MELODY)
    assert (row["pieces"], row["beats"]) == (2, 6)
    assert row["accuracy"] == pytest.approx(4 / 6)
    # From the second beat on: G7 right, Am wrong; F right, N.C. wrong, Dm right.
    assert row["heard"] == pytest.approx(3 / 5)
    low, high = row["interval"]
    assert low == high == pytest.approx(2 / 3)
    # C, F; G is no G7, C no Am, Bdim no N.C., Ddim no Dm.
    assert row["sevenths"] == pytest.approx(2 / 6)
    # As triads G is G7, but not its inversion; Ddim is not Dm.
    assert row["majmin_inv"] == pytest.approx(2 / 6)
    assert row["sevenths_inv"] == pytest.approx(2 / 6)
    # Only the first piece has probabilities: C at 1/2, G and Am at 1/25.
    assert row["nll"] == pytest.approx((np.log(2) + 2 * np.log(25)) / 3)
    # C of a is equal (a tie of C and G goes to the first), b takes A minor for A major: parallel, 0.2.
    assert (row["key"], row["key_weighted"]) == (0.5, pytest.approx(0.6))
    assert row["local_key"] == pytest.approx(2 / 8)
    # a: 2 changes, b: 3, in one bar each.
    assert row["changes"] == pytest.approx(5 / 2)


def test_the_interval_tells_pieces_that_differ_apart():
    pieces = [made("a", "C C", "C C"), made("b", "C C", "G G"), made("c", "C C", "C G")]
    low, high = chord_figures(pieces, MELODY)["interval"]
    assert (low, high) == (0, 1)


def test_bars_of_one_beat_count_as_quarters_of_a_bar():
    piece = made("a", "C C C C", "C G C G")
    single = Piece(piece.name, grid_of(4, 1), piece.melody, piece.answers, piece.truth)
    assert chord_figures([single], MELODY)["changes"] == chord_figures([piece], MELODY)["changes"] == 3


def test_pieces_without_a_reference_have_the_quality_table_alone():
    piece = made("a", "C G C G", "C G C F")
    alone = Piece("b", piece.grid, piece.melody, piece.answers)
    table = harmony_table([alone])
    assert list(table.parts) == ["chords and melody"]
    assert list(table.parts["chords and melody"]) == [MELODY]
    assert table.parts["chords and melody"][MELODY]["CC"] == 3
    both = harmony_table([piece, alone])
    assert list(both.parts) == ["chords", "chords and melody", "without a reference"]
    assert list(both.parts["chords and melody"]) == [MELODY, HUMAN]
    # Over C, G, C and G: C and G are different chords, and C is a tone of C alone.
    assert both.parts["chords and melody"][HUMAN]["CC"] == 2
    assert both.parts["chords and melody"][HUMAN]["CTnCTR"] == 0.5
    assert "1 piece without chords of their own" in table_text(both)


# Folders


def test_a_folder_of_made_pieces_has_the_floors_that_are_to_be_expected(tmp_path, capsys):
    symbols = ["C", "F", "G", "C", "Am", "F", "G", "C"]
    save(tmp_path / "marked.mid", song(symbols, markers=True))
    save(tmp_path / "beside.mid", song(symbols))
    harte = {"C": "C:maj", "F": "F:maj", "G": "G:maj", "Am": "A:min"}
    (tmp_path / "beside.lab").write_text(
        "".join(f"{2 * i} {2 * i + 2} {harte[s]}\n" for i, s in enumerate(symbols))
    )
    (tmp_path / "beside.key.lab").write_text("0 16 C:maj\n")
    (tmp_path / "tune.abc").write_text(
        'X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\n"C" C E G E | "G" G D B, D | "C" C E G E | "C" C4 |\n'
    )
    drums = track("Drums", [(k, 1, 36) for k in range(8)], channel=9)
    save(tmp_path / "drums.mid", Score((drums,), (Tempo(0, 500_000),), (Meter(0, 4, 4),)))
    save(tmp_path / "broken.mid", song(symbols))
    (tmp_path / "broken.lab").write_text("0 C\n")
    save(tmp_path / "late.mid", song(symbols))
    (tmp_path / "late.lab").write_text("100 200 C\n")
    assert main(["evaluate", "harmony", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    rows = rows_of(out)
    # Two songs of 32 beats and an ABC tune of 16; C has 12 of 32 beats, and 12 of 16.
    assert (rows[MELODY]["pieces"], rows[MELODY]["beats"]) == ("3", "80")
    assert (rows[ALL]["pieces"], rows[ALL]["beats"]) == ("2", "64")
    assert rows["floor: its commonest chord"]["24+N %"] == format(100 * 36 / 80, ".2f")
    # The key is known where a file beside the piece tells it.
    assert rows["floor: tonic, true key given"]["24+N %"] == "37.50"
    assert rows["floor: tonic, true key given"]["pieces"] == "1"
    assert rows["floor: triad template, all notes"]["24+N %"] == "100.00"
    assert rows["floor: triad template, all notes"]["7ths inv"] == "100.00"
    assert rows["floor: key profile, all notes"]["key %"] == "100.00"
    # The songs change 6 times in 8 bars (F G C | Am F G C: 7), the tune twice in 4.
    assert rows[HUMAN]["changes"] == format((7 + 7 + 2) / 20, ".2f")
    # All notes are plain triads: whatever the model, it hears most of them.
    assert float(rows[ALL]["24+N %"]) > 80
    assert "3 pieces with chords of their own, 1 of them with keys" in out
    for name, why in (("drums", "no pitched notes"), ("broken", "line 1"), ("late", "lies where the piece")):
        assert any(f"{name}.mid: left out: " in line and why in line for line in err.splitlines()), name
    assert len(err.splitlines()) == 3


def test_the_stage_does_not_see_the_answers(tmp_path, capsys):
    symbols = ["C", "F", "G", "C"] * 2
    wrong = song(symbols, markers=True)
    named = {"C": "Ebm", "F": "Abm", "G": "Bbm", "Am": "Cm"}
    texts = tuple(Text(t.tick, MARKER, named[t.text]) for t in wrong.texts)
    save(tmp_path / "wrong.mid", Score(wrong.tracks, wrong.tempos, wrong.meters, texts=texts))
    assert main(["evaluate", "harmony", str(tmp_path)]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows[ALL]["24+N %"] == rows["floor: triad template, all notes"]["24+N %"] == "0.00"


def test_a_track_that_the_chords_were_read_from_is_not_heard(tmp_path, capsys):
    symbols = ["C", "F", "G", "C"] * 4
    tune, held = song(symbols).tracks
    tempo, meter = (Tempo(0, 500_000),), (Meter(0, 4, 4),)
    save(tmp_path / "a.mid", Score((tune, replace(held, name="Chords")), tempo, meter))
    assert main(["evaluate", "harmony", str(tmp_path)]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows[MELODY]["beats"] == "64"
    assert ALL not in rows
    assert "floor: triad template, all notes" not in rows
    # With other notes beside it there is an accompaniment to hear: fifths that know nothing of the chords.
    fifths = track("Strings", [(4 * i, 4, p) for i in range(16) for p in (49, 56)], channel=2)
    save(tmp_path / "a.mid", Score((tune, replace(held, name="Chords"), fifths), tempo, meter))
    assert main(["evaluate", "harmony", str(tmp_path)]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows[ALL]["beats"] == "64"
    assert float(rows["floor: triad template, all notes"]["24+N %"]) < 60


def test_settings_are_the_stages_own_and_both_backends_agree(tmp_path, capsys):
    save(tmp_path / "a.mid", song(["C", "F", "G", "C"] * 4, markers=True))
    printed = {}
    for given in ("grid=auto", "grid=bar", "backend=tflite", "track=always"):
        assert main(["evaluate", "harmony", str(tmp_path), "--set", given]) == 0
        printed[given] = capsys.readouterr().out
    assert printed["backend=tflite"] == printed["track=always"] == printed["grid=auto"]
    assert float(rows_of(printed["grid=bar"])[ALL]["changes"]) <= 1


def test_wrong_use_and_nothing_to_measure(tmp_path, capsys):
    assert main(["evaluate", "harmony", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main(["evaluate", "harmony", str(tmp_path), "--by", "meter"]) == 2
    assert "harmony takes DIR, --set and --seed" in capsys.readouterr().err
    assert main(["evaluate", "harmony", str(tmp_path), "--set", "grid=week"]) == 2
    assert "grid" in capsys.readouterr().err
    assert main(["evaluate", "harmony", str(tmp_path)]) == 1
    assert "none of the files can be measured" in capsys.readouterr().err


def test_what_harmonize_wrote_is_no_reference(tmp_path, capsys):
    path = save(tmp_path / "a.mid", song(["C", "G"], markers=True))
    record = {
        "id": "a",
        "chords": [{"tick": 0, "label": "C"}],
        "stages": {"harmonize": {}},
        "tracks": [],
        "midi_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(record))
    assert main(["evaluate", "harmony", str(tmp_path)]) == 1
    assert "harmonize's own; measure the file that went in" in capsys.readouterr().err


def test_a_pop909_folder_as_it_is(tmp_path, capsys):
    folder = Path(__file__).parents[2] / "shared/data/pop909"
    if not (folder / "005").is_dir():
        pytest.skip("POP909 is not at ../shared/data/pop909")
    (tmp_path / "005").symlink_to((folder / "005").resolve())
    assert main(["evaluate", "harmony", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = rows_of(out)
    assert "1 piece with chords of their own, 1 of them with keys" in out
    assert "1 of the pieces are heard on the beats" in out
    assert float(rows[ALL]["24+N %"]) > float(rows["floor: triad template, all notes"]["24+N %"])
    assert float(rows[MELODY]["24+N %"]) > float(rows["floor: tonic, true key given"]["24+N %"])
