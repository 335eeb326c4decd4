"""What the dynamics network is told of a part, and what the stage makes of its answers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue.humanize.ensemble import Ensemble
from segue.humanize.felt_beats import beat_places_of, felt_beats
from segue.humanize.phrasing import (
    NOTE_BAR,
    NOTE_BEAT,
    NOTE_FEATURES,
    NOTE_OTHERS,
    PART_FEATURES,
    Part,
    network_order,
    part_features,
)
from segue.humanize.pitched import phrase
from segue.midi import read_midi
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes

POP909 = Path(__file__).parents[2] / "shared/data/pop909"
NOBODY = Part(np.zeros(0), np.zeros(0), np.zeros(0))


def part(onset, pitch, duration=0.4):
    onset = np.asarray(onset, float)
    return Part(onset, np.full(len(onset), duration), np.asarray(pitch))


def block_chords(bars=16, program=0, velocity=80):
    """Four-note chords on the quarters, a melody on top."""
    quarters = np.arange(bars * 4)
    top = 72 + np.array([0, 4, 7, 5, 4, 2, 0, -1])[quarters % 8]
    pitch = np.stack([np.full(len(quarters), p) for p in (48, 55, 64)] + [top], axis=1)
    onset = np.repeat(quarters * 960, 4)
    return Track(
        "piano", 0, program, notes=make_notes(onset, np.full(len(onset), 900), pitch.ravel(), velocity)
    )


def song(*tracks, us=500_000):
    return Score(tracks, (Tempo(0, us),), (Meter(0, 4, 4),))


@st.composite
def parts(draw):
    count = draw(st.integers(1, 60))
    onset = np.sort(draw(st.lists(st.floats(0, 30), min_size=count, max_size=count)))
    duration = np.array(draw(st.lists(st.floats(0.001, 20), min_size=count, max_size=count)))
    pitch = np.array(draw(st.lists(st.integers(0, 127), min_size=count, max_size=count)))
    return Part(onset, duration, pitch)


@hypothesis_settings(max_examples=100, deadline=None)
@given(own=parts(), others=st.one_of(st.just(NOBODY), parts()))
def test_features_are_finite_and_small_for_any_notes(own, others):
    notes, row = part_features(own, None, others)
    assert notes.shape == (len(own), NOTE_FEATURES)
    assert row.shape == (PART_FEATURES,)
    assert np.isfinite(notes).all()
    assert np.isfinite(row).all()
    assert np.abs(notes).max() < 30
    assert (notes[:, 0] == 1).all()
    assert not notes[:, NOTE_BEAT].any(), "nothing was told of beats"
    assert notes[:, NOTE_OTHERS].any() == bool(len(others))


def test_how_a_chord_was_spread_cannot_be_read_off():
    """Onsets within a chord enter as one: the network must not see what it is asked for."""
    chords = np.repeat(np.arange(12) * 0.5, 3)
    pitch = np.tile([48, 64, 76], 12)
    rng = np.random.default_rng(0)
    plain = part_features(part(chords, pitch), None, NOBODY)
    spread = np.tile([0.0, 0.004, -0.004], (12, 1))
    rng.permuted(spread, axis=1, out=spread)
    played = chords + spread.ravel()
    order = np.argsort(played, kind="stable")
    again = part_features(part(played[order], pitch[order]), None, NOBODY)
    # The place in the piece is no secret, and moves by the earliest note's few ms.
    np.testing.assert_allclose(again[0], plain[0], atol=2e-3)
    np.testing.assert_allclose(again[1], plain[1], atol=2e-3)


def test_the_order_of_the_network_is_by_chord_and_pitch():
    own = part([0.0, 0.01, 0.02, 1.0, 1.01], [70, 50, 60, 80, 40])
    assert network_order(own).tolist() == [1, 2, 0, 4, 3]
    notes, _ = part_features(own, None, NOBODY)
    assert (np.diff(notes[:, 1])[[0, 1, 3]] > 0).all(), "pitch rises within a chord"


def test_other_tracks_are_heard():
    lead = Track("lead", 1, notes=make_notes([7680, 8640], [900, 900], [84, 86], 90))
    alone, beside = (
        Ensemble(song(*tracks)).inputs(0) for tracks in ([block_chords()], [block_chords(), lead])
    )
    assert not alone.features[:, NOTE_OTHERS].any()
    np.testing.assert_array_equal(
        np.delete(alone.features, np.r_[NOTE_OTHERS], 1), np.delete(beside.features, np.r_[NOTE_OTHERS], 1)
    )
    active = beside.features[:, NOTE_OTHERS.start + 1] > 0
    onset = np.repeat(np.arange(64) * 960, 4)
    assert active.tolist() == np.isin(onset, [7680, 8640]).tolist()


@pytest.mark.parametrize("shift", [80, 333, 480])
def test_music_beside_its_grid_is_phrased_on_its_own_beats(shift):
    notes = block_chords().notes.copy()
    notes["onset_tick"] += shift
    moved = Score((Track("piano", notes=notes),), (Tempo(0, 500_000),), (Meter(0, 1, 4),))
    felt = felt_beats(moved)
    assert (felt.phase * 960 - shift) % 960 == pytest.approx(0, abs=1) or abs(
        felt.phase * 960 - shift
    ) % 960 < 2
    assert felt.bars is None
    straight = Score((block_chords(),), moved.tempos, moved.meters)
    there, here = (Ensemble(s).inputs(0) for s in (moved, straight))
    assert there.on_beats
    assert here.on_beats
    np.testing.assert_allclose(there.features[:, NOTE_BEAT], here.features[:, NOTE_BEAT], atol=1e-6)
    assert not there.features[:, NOTE_BAR].any()


def test_bars_are_known_where_the_file_tells():
    inputs = Ensemble(song(block_chords())).inputs(0)
    downbeat = inputs.features[:, NOTE_BAR.stop - 1] == 1
    assert downbeat.tolist() == [i // 4 % 4 == 0 for i in range(256)]


@pytest.mark.parametrize("late", [0, 20])
def test_a_last_bar_that_is_not_played_to_its_end_is_a_whole_bar(late):
    onset = np.r_[np.arange(16) * 960, 15360, 15840] + late
    score = song(Track("keys", notes=make_notes(onset, np.full(18, 400), np.full(18, 60), 80)))
    felt = felt_beats(score)
    assert felt.bars[-2:] == pytest.approx([15360 + late, 19200 + late], abs=1)
    # A place of 1 is that of the next bar's 0, which is off by the rounding of `felt`.
    place = beat_places_of(score, felt, onset).bar[-2:]
    assert (place + 0.5) % 1 - 0.5 == pytest.approx([0, 0.125], abs=1e-3)


def test_notes_on_no_grid_have_no_places():
    onset = np.cumsum(np.random.default_rng(0).integers(100, 700, 64))
    track = Track("free", notes=make_notes(onset, np.full(64, 200), np.full(64, 60), 80))
    score = song(track)
    assert beat_places_of(score, felt_beats(score), onset) is None
    assert not Ensemble(score).inputs(0).on_beats


def test_the_melody_stands_out_of_block_chords():
    """In a part of its own the top note is louder than the middle and, by a little, the first."""
    expected = phrase(Ensemble(song(block_chords())), 0, load_model("dynamics"))
    velocity, timing = expected.velocity.reshape(-1, 4), expected.timing.reshape(-1, 4)
    assert velocity[:, 3].mean() > velocity[:, 1:3].mean() + 4
    assert timing[:, 3].mean() < timing[:, :3].mean() - 2
    assert np.abs(timing).max() < 25


@pytest.mark.skipif(not POP909.is_dir(), reason="the training data are not here")
def test_pop_songs_are_phrased_on_beats_with_a_players_range():
    found, ranges = 0, []
    model = load_model("dynamics")
    for name in ("004", "017", "143", "276", "398"):
        score, _ = read_midi((POP909 / name / f"{name}.mid").read_bytes())
        index = next(i for i, track in enumerate(score.tracks) if track.name == "PIANO")
        expected = phrase(Ensemble(score), index, model)
        found += expected.on_beats
        ranges.append(expected.velocity.std())
    assert found >= 3
    assert 5 < np.mean(ranges) < 16
