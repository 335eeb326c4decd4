"""Where the beat of music lies that ignores the grid of its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue import beats, harmonize
from segue.ingest.formats import read
from segue.midi import read_midi
from segue.runtime import load_model
from segue.score import TICKS_PER_QUARTER, Meter, Score, Tempo, Track, make_notes
from training.harmony.beats import FOUND, apart, read_recording

DATA = Path(__file__).parents[2] / "shared/data"
POP909 = DATA / "pop909"
NO_BARS, FOUR = (Meter(0, 1, 4),), (Meter(0, 4, 4),)
needs_songs = pytest.mark.skipif(not POP909.is_dir(), reason="the POP909 data are not here")
needs_sheets = pytest.mark.skipif(not (DATA / "openewld").is_dir(), reason="the sheet music is not here")


def phase(onset: np.ndarray, duration: np.ndarray, meters: tuple[Meter, ...]) -> float:
    """The phase of notes in beats in a file of 960 ticks a beat."""
    ticks = np.round(np.array([onset, duration]) * 960).astype(int)
    notes = make_notes(*ticks, np.full(len(onset), 60), 80)
    return beats.phase_of(notes, beats.beat_grid(Score((Track(notes=notes),), meters=meters)))


def test_bars_of_one_beat_count_as_quarters_of_one():
    meters = (Meter(0, 1, 4), Meter(960, 3, 4), Meter(4 * 960, 1, 4))
    grid = beats.beat_grid(Score(meters=meters), 10 * 960)
    assert grid.bar_beats.tolist() == [4, 3, 3, 3, *[4] * 6]
    assert np.flatnonzero(grid.bar_begins).tolist() == [0, 1, 4, 8]


@pytest.mark.parametrize("meters", [NO_BARS, FOUR])
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("sounding", [0.1, 0.5, 0.75, 1, 4])
@pytest.mark.parametrize("start", [0.1, 0.33, 0.68, 0.9])
def test_a_plain_pulse_is_on_the_beat_however_short_its_notes(meters, length, sounding, start):
    onset = start + np.arange(24) * length
    found = phase(onset, np.full(24, min(sounding, length)), meters)
    assert apart(found, start) < 0.01


@pytest.mark.parametrize("start", [0.06, 0.2, 0.44, 0.7, 0.81])
@pytest.mark.parametrize("sounding", [0.2, None])
def test_a_syncopated_tune_is_heard_on_its_beat(start, sounding):
    # A quarter, two eighths, an anticipated half, eighths after a rest: as pop melodies go.
    bar = np.array([0, 1, 1.5, 1.75, 4, 4.5, 5, 6, 6.5, 7])
    onset = start + (np.arange(12)[:, None] * 8 + bar).ravel()
    lengths = np.append(np.diff(onset), 1) if sounding is None else np.full(len(onset), sounding)
    assert apart(phase(onset, lengths, FOUR), start) < 0.01


@pytest.mark.parametrize("start", [0.2, 0.45, 0.75])
@pytest.mark.parametrize("meters", [NO_BARS, FOUR])
def test_triplets_are_heard_on_their_beat(start, meters):
    onset = start + (np.arange(32)[:, None] + np.array([0, 1, 2]) / 3).ravel()
    assert apart(phase(onset, np.tile([0.9, 0.2, 0.2], 32), meters), start) < 0.01


@pytest.mark.parametrize("off", [0.5, 0.54, 0.58, 0.62, 0.667, 0.7])
def test_swing_on_the_grid_stays_there(off):
    onset = (np.arange(48)[:, None] + np.array([0, off])).ravel()
    assert phase(onset, np.full(96, 0.3), FOUR) == 0


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60, unique=True), st.data())
def test_a_few_notes_on_the_sixteenths_of_a_known_meter_leave_its_grid_alone(cells, data):
    onset = np.array(sorted(cells)) / 4
    durations = data.draw(st.lists(st.floats(0.05, 6), min_size=len(onset), max_size=len(onset)))
    assert phase(onset, np.array(durations), FOUR) == 0


def song(bars: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and durations in beats of held chords and a tune of quarters, eighths and anticipations."""
    chords = start + np.arange(bars * 2) * 2
    rhythms = [[0, 1, 1.5, 1.75, 3, 3.5], [0, 0.5, 1, 2, 3, 3.5], [0, 1, 2, 3], [0.5, 1, 1.5, 2, 3.75]]
    tune = start + np.concatenate([bar * 4 + np.array(rhythms[bar % 4]) for bar in range(bars)])
    lengths = np.append(np.diff(tune), 1)
    return np.concatenate([chords, tune]), np.concatenate([np.full(len(chords), 2), lengths])


@pytest.mark.parametrize("start", [0.25, 0.5, 0.75])
def test_a_whole_song_beside_the_beats_of_its_meter_moves_them(start):
    assert apart(phase(*song(32, start), FOUR), start) < 0.01
    assert phase(*song(32, 0), FOUR) == 0
    # So much is not told by a few bars.
    assert phase(*song(8, start), FOUR) == 0


STEMS = {
    "skank": [0.5],
    "double skank": [0.5, 0.75],
    "skank and a chord on the first beat": [0, 0.5, 1.5, 2.5, 3.5],
    "stabs after the beat": [0.25],
    "stabs before the beat": [0.75],
    "both": [0.25, 0.75],
    "after and before the off-beat": [0.25, 0.5, 0.75],
    "backbeat half a beat late": [1.5, 3.5],
    "anticipations": [0.75, 1.75, 3.5],
}


@pytest.mark.parametrize("pattern", STEMS.values(), ids=STEMS)
@pytest.mark.parametrize("sounding", [0.1, 0.25, 0.5, 1.5])
def test_stems_of_off_beats_stay_there(pattern, sounding):
    cycle = 4 if max(pattern) > 1 else 1
    onset = (np.arange(400 // len(pattern))[:, None] * cycle + np.array(pattern)).ravel()
    assert len(onset) > 300
    assert phase(onset, np.full(len(onset), sounding), FOUR) == 0


@needs_sheets
@pytest.mark.parametrize("pattern", ["openewld/*.mxl", "openhymnal/*.abc", "openscore-lieder/*.mxl"])
def test_pieces_on_paper_stay_on_their_grid(pattern):
    paths = sorted(DATA.glob(pattern))[::8]
    assert len(paths) > 30
    for path in paths:
        score, _, _ = read(path.read_bytes(), path.name, 20)
        notes = np.concatenate([track.notes for track in score.tracks if not track.is_drum])
        assert beats.phase_of(notes, beats.beat_grid(score)) == 0, path.name


@given(st.integers(0, 959), st.integers(1, 11), st.randoms(use_true_random=False))
def test_the_beat_depends_on_neither_pitch_nor_order(start, up, random):
    rng = np.random.default_rng(random.randrange(1000))
    onset = start + np.sort(rng.integers(0, 200, 80)) * 240
    notes = make_notes(onset, rng.integers(50, 2000, 80), rng.integers(40, 80, 80), 80)
    grid = beats.beat_grid(Score((Track(notes=notes),), meters=NO_BARS))
    moved = rng.permutation(notes)
    moved["pitch"] += up
    assert beats.phase_of(moved, grid) == beats.phase_of(notes, grid)


@needs_songs
@pytest.mark.parametrize(("alone", "least"), [(True, 0.82), (False, 0.97)])
def test_the_beat_of_real_songs_is_found(alone, least):
    recordings = [read_recording(folder) for folder in sorted(POP909.glob("??5"))]
    found = [
        apart(beats.phase_of(r.melody if alone else r.all_notes, r.grid), r.phase) < FOUND for r in recordings
    ]
    assert np.mean(found) >= least


@needs_songs
def test_chords_beside_the_grid_follow_transposition_and_not_the_tempo():
    score, _ = read_midi((POP909 / "005/005.mid").read_bytes())
    melody = next(track for track in score.tracks if track.name == "MELODY")
    record, model = {"tracks": [{"role": "melody"}]}, load_model("harmony")
    heard = {}
    for name, up, faster in (("as it is", 0, 1), ("transposed", 5, 1), ("twice as fast", 0, 2)):
        notes = melody.notes.copy()
        notes["pitch"] += up
        tempos = tuple(Tempo(t.tick, t.us_per_quarter // faster) for t in score.tempos)
        piece = replace(score, tracks=(replace(melody, notes=notes),), tempos=tempos)
        heard[name] = [(symbol.tick, symbol.chord) for symbol in harmonize.hear_chords(piece, record, model)]
    plain = heard["as it is"]
    grid, _ = harmonize.listen(replace(score, tracks=(melody,)), record, model)
    assert not (grid.ticks[1:-1] % TICKS_PER_QUARTER == 0).any(), "the song lies beside its grid"
    last = int((melody.notes["onset_tick"] + melody.notes["duration_tick"]).max())
    assert grid.ticks[-2] < last <= grid.ticks[-1]
    assert heard["twice as fast"] == plain
    assert [(tick, chord.transposed(5)) for tick, chord in plain] == heard["transposed"]
