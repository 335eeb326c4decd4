"""The music's own beats and bars, where the file has others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_transfer import band, run, written
from test_transfer_presets import example_file

from segue.chords import parse_chord
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import Meter, Score, Track, bar_starts, make_notes
from segue.stage import InputFile
from segue.transfer.ensemble import join
from segue.transfer.frame import later, on_its_beats, with_bars
from segue.transfer.reference import read_example
from segue.transfer.target import example_vector

BEAT = 960


def in_beats(beats, bars_of=1):
    """A score of so many quarters in 1/4."""
    notes = make_notes(np.arange(beats) * BEAT, np.full(beats, BEAT), np.full(beats, 60), 80)
    return Score(tracks=(Track(notes=notes),), meters=(Meter(0, bars_of, 4),))


def chords_at(*beats):
    symbols = ("C", "F", "G", "Am")
    return np.array(beats) * BEAT, [parse_chord(symbols[i % 4]) for i in range(len(beats))]


def recorded(score, record, late):
    """The piece as a recording over a grid of single beats that lie `late` ticks before the music's."""
    tracks = tuple(t.with_notes(later(t.notes, late)) for t in score.tracks)
    chords = [{**c, "tick": c["tick"] + late} for c in record["chords"]]
    tempos = score.tempos[:1]
    return replace(score, tracks=tracks, meters=(Meter(0, 1, 4),), tempos=tempos, end_tick=0), {
        **record,
        "chords": chords,
    }


def test_bars_are_where_chords_change():
    score = with_bars(in_beats(33), *chords_at(1, 5, 9, 13, 17, 21, 25, 29))
    assert [(m.tick // BEAT, m.name) for m in score.meters] == [(0, "1/4"), (1, "4/4")]
    score = with_bars(in_beats(24), *chords_at(0, 3, 6, 9, 12, 15, 18, 21))
    assert [m.name for m in score.meters] == ["3/4"]


def test_the_longer_chord_begins_the_bar():
    # Two chords a bar, of three beats and one.
    score = with_bars(in_beats(26), *chords_at(1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22))
    assert bar_starts(score)[1] == 2 * BEAT


def test_a_bar_that_is_cut_short_moves_those_after_it():
    early = [0, 4, 8, 12, 16]
    score = with_bars(in_beats(46), *chords_at(*early, *(18 + 4 * np.arange(7))))
    assert [(m.tick // BEAT, m.name) for m in score.meters] == [(0, "4/4"), (18, "4/4")]


def test_other_meters_and_pieces_without_chords_are_believed():
    for score, told in ((in_beats(16, bars_of=3), chords_at(1, 5, 9)), (in_beats(16), chords_at())):
        assert with_bars(score, *told) is score


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True))
def test_bars_of_any_chords_are_whole_beats_in_order(beats):
    found = with_bars(in_beats(64), *chords_at(*sorted(beats)))
    bars = bar_starts(found)
    assert (bars % BEAT == 0).all()
    assert (np.diff(bars) > 0).all()
    assert (np.diff(bars) <= 4 * BEAT).all()


@pytest.mark.parametrize("late", [-240, 130, 400])
@pytest.mark.parametrize("style", ["pop", "swing"])
def test_a_recording_beside_its_grid_is_played_as_on_it(late, style):
    score, record = band(drums=False)
    score = replace(score, tempos=score.tempos[:1])
    pushed = BEAT if late < 0 else 0
    clean = recorded(score, record, pushed)
    beside = recorded(score, record, pushed + late)
    assert on_its_beats(*beside)[2] == late
    results = [run(*piece, style=style) for piece in (clean, beside)]
    first, second = (join([t.notes for t in written(r)]) for r in results)
    assert len(first) == len(second)
    assert (second["onset_tick"].astype(int) - first["onset_tick"] == late).all()
    assert (second["pitch"] == first["pitch"]).all()
    assert "4/4" in results[1].report["accompaniment"]["meters_found"]
    assert "meters" not in results[1].report["accompaniment"]
    assert results[1].score.meters == beside[0].meters


def test_a_reference_beside_its_grid_has_the_same_style():
    plain = example_file(bars=16)
    score, _ = read_midi(plain.data)
    tracks = tuple(t.with_notes(later(t.notes, 400)) for t in score.tracks)
    beside = write_midi(replace(score, tracks=tracks, meters=(Meter(0, 1, 4),)))
    encoder = load_model("style-encoder", "onnx")
    vectors = [example_vector(encoder, read_example(InputFile("my.mid", d))) for d in (plain.data, beside)]
    assert vectors[0] @ vectors[1] / (vectors[0] @ vectors[0]) > 0.97
