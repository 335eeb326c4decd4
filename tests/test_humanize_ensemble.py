"""Pitched tracks as an ensemble: together in time, each as its instrument can."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_humanize_controls import eighths, onsets, piece, play

from segue.humanize.instruments import HABITS, TIMING, VELOCITY, note_programs
from segue.humanize.together import FOLLOW_TICKS, TOGETHER_MS, groove_curve
from segue.score import CONTROL, PROGRAM_CHANGE, Meter, Score, Tempo, Track, make_notes

GRID = 240


class WildDrummer:
    """A drummer who plays up to a quarter of a sixteenth off, with wide spreads."""

    def __call__(self, features):
        step, drum = np.ogrid[:32, :9]
        offset = ((7 * step + 5 * drum) % 11 - 5) / 20
        spread = np.full((1, 32, 9), 0.3)
        velocity = np.full((1, 32, 9), 0.6)
        return {
            "offset": offset[None],
            "velocity": velocity,
            "offset_spread": spread,
            "style": np.full((1, 10), 0.1),
            "velocity_spread": spread,
        }


class WildPlayer:
    """A player whose notes lie anywhere within 50 ms."""

    def __call__(self, features, part):
        note = np.arange(256)[None]
        return {
            "velocity": (note * 5 % 17) / 20,
            "timing": (note * 7 % 11 - 5) * 10.0,
            "velocity_spread": np.full((1, 256), 0.1),
            "timing_spread": np.full((1, 256), 25.0),
        }


WILD = {"drums": WildDrummer(), "pitched": WildPlayer()}


@st.composite
def bands(draw):
    """Two to four pitched tracks, with or without drums, on sixteenths; chords among them."""
    tracks = []
    for channel in range(draw(st.integers(2, 4))):
        steps = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=20)))
        size = draw(st.integers(1, 3))
        onset = np.repeat(np.array(steps) * GRID, size)
        pitch = np.tile(60 + 4 * np.arange(size), len(steps))
        notes = make_notes(onset, np.full(len(onset), draw(st.sampled_from([120, 240, 960]))), pitch, 80)
        tracks.append(Track(f"t{channel}", channel, notes=notes))
    if draw(st.booleans()):
        steps = np.array(sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=20))))
        pitch = np.array([36, 38, 42])[steps % 3]
        tracks.append(Track("kit", 9, notes=make_notes(steps * GRID, np.full(len(steps), 60), pitch, 90)))
    us = draw(st.sampled_from([250_000, 500_000, 1_000_000]))
    return Score(tuple(tracks), (Tempo(0, us),), (Meter(0, 4, 4),))


def extremes(written, played):
    """The first and the last played tick of the notes at each written tick."""
    ticks, size = np.unique(written["onset_tick"], return_counts=True)
    # Notes that begin at different ticks keep their order.
    groups = np.split(np.sort(played["onset_tick"].astype(int)), np.cumsum(size)[:-1])
    return {t: (g.min(), g.max()) for t, g in zip(ticks.tolist(), groups, strict=True)}


@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    score=bands(),
    amount=st.sampled_from([0.5, 1, 2]),
    variation=st.sampled_from([0, 0.5, 1]),
    swing=st.sampled_from([0.5, 0.6, "jazz"]),
    pushes=st.lists(st.integers(-40, 40), min_size=4, max_size=4),
    seed=st.integers(0, 99),
)
def test_notes_at_one_tick_stay_together_at_any_settings(score, amount, variation, swing, pushes, seed):
    tracks = {f"t{i}": {"push": push} for i, push in enumerate(pushes)}
    result = play(
        score, models=WILD, seed=seed, amount=amount, variation=variation, swing=swing, tracks=tracks
    )
    tick_ms = score.tempos[0].us_per_quarter / 960_000
    pairs = list(zip(score.tracks, result.score.tracks, strict=True))
    places = [extremes(a.notes, b.notes) for a, b in pairs if not a.is_drum]
    for i, first in enumerate(places):
        for j, second in enumerate(places[:i]):
            allowed = TOGETHER_MS + abs(pushes[i] - pushes[j]) + 2 * tick_ms
            for tick in first.keys() & second.keys():
                apart = max(first[tick][1] - second[tick][0], second[tick][1] - first[tick][0])
                assert apart * tick_ms <= allowed, (i, j, tick)


def deviations(result, track):
    return np.subtract(onsets(result, track), np.arange(len(onsets(result, track))) * 480.0)


def test_tracks_without_drums_share_a_pulse():
    score = piece(eighths("a", bars=40), eighths("b", bars=40))
    drifts = []
    for track in (0, 1):
        still, varied = (deviations(play(score, variation=v), track) for v in (0, 1))
        drifts.append((varied - still)[1:])
    # Independent players would come near 0, and one player would be at 1.
    assert 0.15 < np.corrcoef(*drifts)[0, 1] < 0.8


def test_a_track_drifts_alike_whatever_the_others_are_set_to():
    score = piece(eighths("a"), eighths("b"))
    alone = play(score, variation=1, tracks={"a": {"amount": 0}})
    assert onsets(alone, 1) == onsets(play(score, variation=1), 1)


def test_the_groove_is_followed_near_the_drums_alone():
    place, deviation = np.array([0, 960, 960]), np.array([20.0, -30, -10])
    lead, nearness = groove_curve(place, deviation, np.array([0, 960, 480, 960 + FOLLOW_TICKS // 2, 9600]))
    assert lead[:4].tolist() == [20, -20, 0, -10]
    assert nearness.tolist() == [1, 1, 0, 0.5, 0]
    assert lead[4] == 0


@pytest.mark.parametrize("variation", [0.15, 1])
def test_bass_and_kick_begin_together(variation):
    """Whatever else is struck with the kick."""
    kick = np.arange(64) * 960
    pitch = np.repeat([36, 42], 64)
    kit = Track("kit", 9, notes=make_notes(np.tile(kick, 2), [90] * 128, pitch, 90))
    bass = Track("bass", 0, notes=make_notes(kick, [700] * 64, [36] * 64, 90))
    result = play(piece(kit, bass), ("drums", "bass"), models=WILD, variation=variation)
    played = result.score.tracks[0].notes
    kicks = np.sort(played["onset_tick"][played["pitch"] == 36].astype(int))
    apart = np.subtract(kicks, onsets(result, 1)) / 1.92
    assert np.abs(apart[1:]).max() <= TOGETHER_MS / 2 + 1


def at_program(program, **settings):
    track = eighths(bars=8)
    track = Track(track.name, 0, program, notes=track.notes)
    result = play(piece(track), **settings)
    notes = result.score.tracks[0].notes
    moved = np.count_nonzero(notes["onset_tick"] != track.notes["onset_tick"]) > 8
    return moved, len(np.unique(notes["velocity"])) > 2, result.report["pitched"]["left_as_written"]


@pytest.mark.parametrize(
    ("program", "moves", "sounds"), [(0, True, True), (19, True, False), (6, True, False), (92, False, True)]
)
def test_instruments_do_what_they_can(program, moves, sounds):
    moved, struck, left = at_program(program)
    assert (moved, struck) == (moves, sounds)
    assert [entry["keeps"] for entry in left] == [VELOCITY] * (not sounds) + [TIMING] * (not moves)
    assert all(entry["track"] == 0 and len(entry["reason"]) > 20 for entry in left)


def test_sound_effects_are_left_alone_altogether():
    moved, struck, left = at_program(124)
    assert not moved
    assert not struck
    assert {entry["keeps"] for entry in left} == {VELOCITY, TIMING}


def test_what_tracks_sets_wins_over_the_instrument():
    assert at_program(19, tracks={"lead": {"velocity": 1}})[:2] == (True, True)
    assert at_program(92, tracks={"other": {"timing": 1}})[:2] == (True, True)
    assert at_program(19, tracks={"lead": {"timing": 1}})[:2] == (True, False)
    assert at_program(19, tracks={"lead": {"velocity": 1}})[2] == []


def test_pads_are_still_pushed_and_swung():
    pad = Track("pad", 0, 90, notes=eighths().notes)
    assert onsets(play(piece(pad), push={"other": 20}))[1] == round(480 + 38.4)
    assert onsets(play(piece(pad), swing=0.6))[1] == 576


def test_the_program_in_force_counts():
    controls = np.array([(960, PROGRAM_CHANGE, 19, 0), (1920, PROGRAM_CHANGE, 0, 0)], CONTROL)
    track = Track("keys", 0, 0, notes=eighths().notes, controls=controls)
    assert note_programs(track).tolist() == [0, 0, 19, 19, *[0] * 12]
    result = play(piece(track))
    velocity = result.score.tracks[0].notes["velocity"]
    assert (velocity[2:4] == 80).all()
    assert (velocity[4:] != 80).any()


def test_habits_name_programs_once_and_tell_why():
    for what in (VELOCITY, TIMING):
        programs = [p for habit in HABITS if habit.keeps == what for p in habit.programs]
        assert len(programs) == len(set(programs))
        assert all(0 <= p < 128 for p in programs)
