"""`segue evaluate style`: figures worked out by hand, whole folders."""

import re
from pathlib import Path

import numpy as np
import pytest

from segue.cli import main
from segue.metrics.style import duration_histogram, interval_histogram
from segue.midi import write_midi
from segue.score import DRUM_CHANNEL, MARKER, Meter, Score, Tempo, Text, Track, make_notes
from segue.transfer.evaluate_folder import Example, StylePiece, drum_side, part_of, pitched_side
from segue.transfer.evaluate_table import style_table, table_text

QUARTER, BAR = 960, 3840
TRIADS = {"C": (48, 52, 55), "F": (53, 57, 60), "G": (55, 59, 62), "Am": (57, 60, 64)}
NAMES = ("C", "Am", "F", "G")


def chords(bars, move=0):
    """A triad held in each bar, moved by semitones: NOTE array."""
    rows = [(b * BAR, BAR - 40, p + move) for b in range(bars) for p in TRIADS[NAMES[b % 4]]]
    onset, duration, pitch = np.array(rows).T
    return make_notes(onset, duration, pitch, 64)


def song(bars=8, markers=True, drums=False, accompaniment=True):
    """A tune in quarters over held triads."""
    tune = [
        (b * BAR + k * QUARTER, 900, TRIADS[NAMES[b % 4]][k % 3] + 24) for b in range(bars) for k in range(4)
    ]
    onset, duration, pitch = np.array(tune).T
    tracks = [Track("Melody", channel=0, program=73, notes=make_notes(onset, duration, pitch, 90))]
    if accompaniment:
        tracks.append(Track("Piano", channel=1, notes=chords(bars)))
    if drums:
        hits = [(b * BAR + k * 480, 42, 70) for b in range(bars) for k in range(8)]
        hits += [
            (b * BAR + k * QUARTER, 36 if k % 2 == 0 else 38, 110) for b in range(bars) for k in range(4)
        ]
        onset, pitch, velocity = np.array(hits).T
        notes = make_notes(onset, np.full(len(onset), 100), pitch, velocity)
        tracks.append(Track("Drums", channel=DRUM_CHANNEL, notes=notes))
    texts = [Text(b * BAR, MARKER, NAMES[b % 4]) for b in range(bars)] if markers else []
    return Score(tuple(tracks), (Tempo(0, 500_000),), (Meter(0, 4, 4),), texts=tuple(texts))


def save(path: Path, score: Score) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_midi(score))
    return path


def measured(after, before, bars=4):
    """A piece whose accompaniment went from one NOTE array to another."""
    score = song(bars)
    record = {"chords": [{"tick": b * BAR, "label": NAMES[b % 4]} for b in range(bars)]}
    return StylePiece(
        "a",
        score,
        None if before is None else pitched_side(before, score),
        pitched_side(after, score),
        len(after) - 1,
        ((8, 16), (12, 16)),
        None if before is None else part_of(before, score, record),
    )


def wanted(notes):
    """Histograms of held triads, worked out apart."""
    onset = notes["onset_tick"] / QUARTER
    return (
        interval_histogram(onset, notes["pitch"].astype(int)),
        duration_histogram(onset % 4, notes["duration_tick"] / QUARTER),
    )


def test_a_transfer_that_sounds_like_source_and_style_is_at_the_top():
    before, other = chords(4), chords(4, move=6)
    pieces = [measured(before, before), measured(other, before)]
    table = style_table(pieces, wanted(before), [], "pop", drums=False, seed=0)
    # One is the source itself, the other a tritone off: no pitch class in common, the same figures.
    assert table.points["transfer"]["content"] == pytest.approx(0.5, abs=0.1)
    assert table.points["transfer"]["fit"] == pytest.approx(1, abs=1e-6)
    assert table.points["identity"]["content"] == table.points["identity"]["fit"] == 1
    assert table.points["dominated_by"] == ["identity", "random"]
    assert table.figures["chords heard as meant in the pieces"].startswith("50.0 % [50.0, 50.0] of 32 beats")
    assert table.figures["chords heard as meant in the output"].startswith("75.0 % [75.0, 75.0] of 32 beats")
    assert table.figures["notes in their instrument's range"] == "91.7 % of 24"
    assert table.figures["notes a beat"] == "0.75 before, 0.75 after"
    assert "template and copy need music in the style" in table.notes[-1]


def test_examples_make_template_and_copy_and_stand_in_for_the_style():
    before = chords(4)
    score, record = song(4), {"chords": [{"tick": b * BAR, "label": NAMES[b % 4]} for b in range(4)]}
    example = Example(pitched_side(before, score), part_of(before, score, record))
    table = style_table([measured(chords(4, 6), before)], None, [example], "swing", drums=False, seed=0)
    # The example's bars are the source's own, so template, copy and identity are one.
    for kind in ("template", "copy", "identity"):
        assert table.points[kind]["content"] == pytest.approx(1, abs=1e-3)
        assert table.points[kind]["fit"] == pytest.approx(1, abs=1e-3)
    assert table.points["over_template"]["beaten_in"] == []
    assert table.points["over_template"]["content"][0] < -0.5
    assert "random" not in table.points
    assert "template and copy are made of 1 example" in table.notes


def test_a_piece_without_accompaniment_has_no_point():
    table = style_table([measured(chords(4), None)], wanted(chords(4)), [], "pop", drums=False, seed=0)
    assert table.points == {}
    assert "1 of them had nothing to be replaced, so nothing is compared with it" in table.notes
    assert table_text(table).startswith("chords heard as meant in the pieces")


def test_drums_are_compared_by_the_bar():
    score = song(2, drums=True)
    side = drum_side([score.tracks[2].notes], score)
    assert side.content.shape == (2, 16, 9)
    assert np.flatnonzero(side.content[0, :, 0]).tolist() == [0, 8]  # Kick on one and three.
    assert np.flatnonzero(side.content[1, :, 2]).tolist() == list(range(0, 16, 2))
    assert side.histograms[0].sum() == side.histograms[1].sum() == 2 * 12


# Folders


def figure(printed, row):
    """The numbers of a row of the printed table."""
    line = next(line for line in printed.splitlines() if line.startswith(row))
    return [float(n) for n in re.findall(r"\d\.\d+", line)]


def test_a_folder_is_measured_the_same_every_time(tmp_path, capsys):
    save(tmp_path / "in" / "a.mid", song())
    save(tmp_path / "in" / "b.mid", song(12, markers=False))
    save(tmp_path / "in" / "c.mid", Score((Track("Drums", channel=DRUM_CHANNEL, notes=chords(2)),)))
    save(tmp_path / "like" / "d.mid", song(6))
    wanted = [
        "evaluate",
        "style",
        str(tmp_path / "in"),
        "--target",
        "lied",
        "--examples",
        str(tmp_path / "like"),
    ]
    assert main(wanted) == 0
    first = capsys.readouterr()
    assert main(wanted) == 0
    assert capsys.readouterr().out == first.out
    assert figure(first.out, "identity")[:3] == [1, 1, 1]
    assert 0.3 < figure(first.out, "transfer")[0] < 1
    for row in ("template of the examples", "copy of an example", "random"):
        assert figure(first.out, row)
    assert "notes in their instrument's range: 100.0 %" in first.out
    assert "2 pieces in the style lied" in first.out
    assert "the chords of 1 of them are those that harmonize finds" in first.out
    assert "c.mid: left out: " in first.err


def test_drums_of_a_folder(tmp_path, capsys):
    save(tmp_path / "a.mid", song(drums=True))
    save(tmp_path / "b.mid", song())
    assert main(["evaluate", "style", str(tmp_path), "--target", "jazz"]) == 0
    printed = capsys.readouterr()
    assert figure(printed.out, "identity")[0] == 1
    assert 0 < figure(printed.out, "transfer")[0] <= 1
    assert "chords" not in printed.out.split("template and copy")[0]
    assert "b.mid: left out: the piece has no drums" in printed.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--target names the style; known are pop"),
        (["--target", "swing"], "give music in the style with --examples"),
        (["--target", "pop", "--examples", "nowhere"], "there is no folder nowhere"),
        (["--target", "pop", "--split", "train"], "tell of drums"),
        (["--target", "pop", "--set", "no_such_setting=1"], "no_such_setting"),
    ],
)
def test_wrong_use_is_told(tmp_path, capsys, arguments, reason):
    save(tmp_path / "a.mid", song())
    assert main(["evaluate", "style", str(tmp_path), *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_other_tasks_know_no_target(tmp_path, capsys):
    save(tmp_path / "a.mid", song())
    assert main(["evaluate", "harmony", str(tmp_path), "--target", "pop"]) == 2
    assert "--target and --examples tell of styles" in capsys.readouterr().err
