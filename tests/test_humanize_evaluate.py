"""`segue evaluate groove`: figures worked out by hand, files that cannot be measured, the real data."""

from pathlib import Path

import numpy as np
import pytest

from segue.cli import main
from segue.config import check_stage
from segue.humanize.evaluate import (
    groove_table,
    performances,
    quantised,
    read_score,
    read_take,
    table_text,
)
from segue.humanize.evaluate_meters import meter_rows, meter_text, read_any_take, written_places
from segue.midi import write_midi
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes
from segue.stage import StageError

GROOVE = Path(__file__).parents[2] / "shared/data/groove"


class Late:
    """A groove model that plays every hit an eighth of a step late, at velocity 64."""

    def __call__(self, features):
        full = {"offset": 1 / 8, "velocity": 64 / 127, "offset_spread": 0.1, "velocity_spread": 0.1}
        answers = {name: np.full((1, 32, 9), value) for name, value in full.items()}
        return answers | {"style": np.full((1, 10), 0.1)}


def take(path, late=30, bars=4, meter=(4, 4), velocity=64, channel=9, us=500_000):
    """Write eighths on the hi-hat, `late` ticks behind, and return the path."""
    onset = np.arange(bars * 8) * 480 + late
    notes = make_notes(onset, np.full(len(onset), 60), np.full(len(onset), 42), velocity)
    score = Score((Track("d", channel, notes=notes),), (Tempo(0, us),), (Meter(0, *meter),))
    path.write_bytes(write_midi(score))
    return path


def table_of(*paths, **given):
    settings = check_stage("humanize", {"variation": 0, **given})
    return groove_table([read_take(p) for p in paths], settings, {"drums": Late()}, 0)


def test_figures_by_hand(tmp_path):
    # A sixteenth at 120 bpm is 125 ms; an eighth of it late is 15.625 ms.
    table = table_of(take(tmp_path / "a.mid"))
    assert (table.files, table.hits) == (1, 32)
    written, played = table.rows["quantised"], table.rows["segue"]
    assert written["timing_mae_ms"] == pytest.approx(15.625)
    assert written["timing_mse"] == pytest.approx(1 / 64)
    assert written["velocity_mae"] == pytest.approx(0)
    assert played["timing_mae_ms"] == pytest.approx(0)
    assert played["velocity_mae"] == pytest.approx(0)
    half = table_of(tmp_path / "a.mid", amount=0.5)
    assert half.rows["segue"]["timing_mae_ms"] == pytest.approx(15.625 / 2)
    assert half.interval == pytest.approx((15.625 / 2, 15.625 / 2))
    slow = table_of(take(tmp_path / "b.mid", us=1_000_000))
    assert slow.rows["quantised"]["timing_mae_ms"] == pytest.approx(31.25)


def test_inner_bars_count_twice(tmp_path):
    score_late = np.repeat([0, 30, 0, 0], 8)
    path = take(tmp_path / "a.mid", late=score_late)
    # Bars count 1, 2, 2, 1 times, and the second alone is late.
    assert table_of(path).rows["quantised"]["timing_mae_ms"] == pytest.approx(15.625 * 2 / 6)
    assert table_of(take(tmp_path / "b.mid", bars=1)).hits == 8


def test_nothing_of_the_performance_is_left_in_what_the_stage_gets(tmp_path):
    early = take(tmp_path / "a.mid", late=np.where(np.arange(32) > 0, -17, 0))
    late = take(tmp_path / "b.mid", late=40, velocity=np.arange(32) + 60)
    assert write_midi(quantised(read_take(early), 80)) == write_midi(quantised(read_take(late), 80))


def test_the_ridge_row_learns_from_the_other_files(tmp_path):
    # All files but one are an eighth of a sixteenth late: what ridge regression learns from the folder.
    paths = [take(tmp_path / f"{i}.mid", velocity=80) for i in range(9)]
    paths.append(take(tmp_path / "on_time.mid", late=0, velocity=80))
    table = table_of(*paths)
    assert list(table.rows) == ["quantised", "ridge", "segue"]
    # Nine files miss by little, and the tenth by nearly the whole.
    assert table.rows["ridge"]["timing_mae_ms"] < 0.5 * table.rows["quantised"]["timing_mae_ms"]
    assert table.rows["ridge"]["timing_mae_ms"] > 15.625 * 0.9 / 10
    assert table.rows["ridge"]["timing_std_true"] == pytest.approx(table.rows["segue"]["timing_std_true"])
    assert "each fifth of the files" in table_text(table)


def test_a_small_folder_has_no_ridge_row_and_says_why(tmp_path):
    table = table_of(take(tmp_path / "a.mid"))
    assert list(table.rows) == ["quantised", "segue"]
    assert "needs 10 files" in table_text(table)


def test_text_has_every_column_and_the_true_spread(tmp_path):
    text = table_text(table_of(take(tmp_path / "a.mid", late=np.arange(32), velocity=np.arange(32) + 50)))
    for word in (
        "MAE ms",
        "MSE",
        "timing KL",
        "velocity KL",
        "velocity MAE",
        "quantised",
        "segue",
        "drummers",
    ):
        assert word in text
    assert "1 files, 32 hits" in text


def test_files_that_cannot_be_measured_are_named(tmp_path, capsys):
    take(tmp_path / "good.mid")
    take(tmp_path / "waltz.mid", meter=(3, 4))
    take(tmp_path / "piano.mid", channel=0)
    (tmp_path / "bad.mid").write_bytes(b"nothing")
    assert main(["evaluate", "groove", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "1 files" in captured.out
    for name, reason in (("waltz", "4/4"), ("piano", "no drum track"), ("bad", "MIDI header")):
        assert any(f"{name}.mid" in line and reason in line for line in captured.err.splitlines())
    (tmp_path / "good.mid").unlink()
    assert main(["evaluate", "groove", str(tmp_path)]) == 1


def test_wrong_use_is_status_2(tmp_path, capsys):
    assert main(["evaluate", "groove", str(tmp_path)]) == 2
    assert main(["evaluate", "groove", str(tmp_path), "--set", "ammount=1"]) == 2
    take(tmp_path / "a.mid")
    assert main(["evaluate", "groove", str(tmp_path), "--split", "validation"]) == 2
    assert "info.csv" in capsys.readouterr().err
    (tmp_path / "info.csv").write_text("midi_filename,split\na.mid,validation\n", encoding="utf-8")
    assert main(["evaluate", "groove", str(tmp_path), "--split", "validation"]) == 2
    assert "no column beat_type" in capsys.readouterr().err
    assert main(["evaluate", "groove", str(tmp_path), "--fills"]) == 2
    assert "--split" in capsys.readouterr().err


def swung(path, unit, bars=8, meter=(4, 4), late=9):
    """Write hits at the first and the last third of every `unit` ticks, and return the path."""
    onset = (
        np.arange(bars * Meter(0, *meter).bar_ticks // unit)[:, None] * unit + [0, 2 * unit // 3]
    ).ravel() + late
    notes = make_notes(onset, np.full(len(onset), 60), np.full(len(onset), 42), 80)
    score = Score((Track("d", 9, notes=notes),), (Tempo(0, 500_000),), (Meter(0, *meter),))
    path.write_bytes(write_midi(score))
    return path


def test_each_meter_and_grid_has_its_row_by_hand(tmp_path):
    paths = [
        take(tmp_path / "plain.mid"),
        take(tmp_path / "waltz.mid", meter=(3, 4), bars=3, late=0),
        swung(tmp_path / "shuffle.mid", 960, bars=16),
        swung(tmp_path / "purdie.mid", 480),
        swung(tmp_path / "short.mid", 960, bars=1),
    ]
    takes = [read_any_take(path) for path in paths]
    names = ["4/4", "3/4", "4/4 triplets", "4/4 swung sixteenths", "4/4"]
    assert [name for name, _ in takes] == names
    assert set(takes[2][1].hits.place_tick % 960) == {0, 640}
    assert set(takes[3][1].hits.place_tick % 480) == {0, 320}
    settings = check_stage("humanize", {"variation": 0})
    rows = meter_rows(takes, settings, {"drums": Late()}, 0)
    assert set(rows) == set(names)
    # A sixteenth at 120 bpm is 125 ms, and the stub is late by an eighth of it.
    waltz = rows["3/4"]
    assert (waltz.files, waltz.hits) == (1, 24)
    assert waltz.written_ms == pytest.approx(0)
    assert waltz.segue_ms == pytest.approx(15.625)
    assert rows["4/4 triplets"].written_ms == pytest.approx(9 / 1.92)
    assert waltz.written_velocity == pytest.approx(16), "written at the median of all, 80"
    assert waltz.segue_velocity == pytest.approx(0)
    text = meter_text(rows)
    assert all(name in text for name in names)
    assert len(text.splitlines()) == 5


def test_straight_bars_within_a_shuffle_stay_straight(tmp_path):
    path = swung(tmp_path / "a.mid", 960, bars=16, late=0)
    score, _ = read_score(path)
    fill = np.arange(16) * 240 + 16 * 3840
    onset = np.concatenate([score.tracks[0].notes["onset_tick"], fill])
    place, grid = written_places(score, onset)
    assert grid == "triplets"
    assert place.tolist() == onset.tolist()


def test_rows_by_meter_from_the_command_line(tmp_path, capsys):
    take(tmp_path / "plain.mid")
    take(tmp_path / "waltz.mid", meter=(3, 4))
    assert main(["evaluate", "groove", str(tmp_path), "--by", "meter"]) == 0
    out = capsys.readouterr().out
    assert "3/4" in out
    assert "quantised ms" in out


def test_fills_are_measured_where_the_table_names_them(tmp_path):
    take(tmp_path / "a.mid")
    take(tmp_path / "b.mid")
    (tmp_path / "info.csv").write_text(
        "midi_filename,split,beat_type\na.mid,validation,beat\nb.mid,validation,fill\n", encoding="utf-8"
    )
    assert performances(tmp_path, "validation") == [tmp_path / "a.mid"]
    assert performances(tmp_path, "validation", "fill") == [tmp_path / "b.mid"]


@pytest.mark.skipif(not GROOVE.is_dir(), reason="the training data are not here")
def test_the_model_is_nearer_than_the_grid_in_other_meters_and_in_fills():
    models, settings = {"drums": load_model("groove", "onnx")}, check_stage("humanize", {"variation": 0})
    others = [p for p in performances(GROOVE, "validation") if not p.stem.endswith("4-4")]
    rows = meter_rows([read_any_take(p) for p in others], settings, models, 0)
    assert sorted(rows) == ["3/4", "6/8"]
    for row in rows.values():
        assert row.segue_ms < row.written_ms
    fills = [read_any_take(p) for p in performances(GROOVE, "validation", "fill")]
    (row,) = meter_rows(fills, settings, models, 0).values()
    assert row.files == 76
    assert row.segue_ms < 0.92 * row.written_ms
    assert row.segue_velocity < 0.92 * row.written_velocity


@pytest.mark.skipif(not GROOVE.is_dir(), reason="the training data are not here")
def test_the_model_is_nearer_to_drummers_than_the_grid():
    takes = []
    for path in performances(GROOVE, "validation")[:14]:
        try:
            takes.append(read_take(path))
        except StageError:
            continue
    models = {"drums": load_model("groove", "onnx")}
    rows = groove_table(takes, check_stage("humanize", {"variation": 0}), models, 0).rows
    assert len(takes) >= 10
    assert rows["segue"]["timing_mae_ms"] < 0.95 * rows["quantised"]["timing_mae_ms"]
    assert rows["ridge"]["timing_mae_ms"] < rows["quantised"]["timing_mae_ms"]
    assert rows["segue"]["velocity_mae"] < rows["ridge"]["velocity_mae"]
    assert rows["segue"]["velocity_mae"] < 0.85 * rows["quantised"]["velocity_mae"]
