"""The melody encoding: grid, tokens, events, and the tracker's view of the past."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.complete.encoding import (
    CENTRE,
    COLUMN,
    DURATIONS,
    GRID,
    LAGS,
    NO_DURATION,
    NO_PITCH,
    OFFSETS,
    REST,
    SIZES,
    WIDTH,
    Setting,
    Tracker,
    duration_token,
    encode,
    events_from_notes,
    first_bar,
    multi_hot,
    reference_tonic,
    remaining_token,
    snap,
)

C_MAJOR = Setting(60, False, (4, 4), None)


def feature(row, name):
    return row[COLUMN[name]] - OFFSETS[name]


def test_snap_goes_to_sixteenths_and_triplets():
    assert snap(np.array([0.4, 2.6, 3.9, 5.2, 7.6, 11.4, 13.0, -0.3])).tolist() == [0, 3, 4, 6, 8, 12, 12, 0]


@given(st.lists(st.integers(-50, 500), min_size=1, max_size=30))
def test_snap_leaves_the_grid_alone(quarters):
    places = np.array([12 * q + g for q in quarters for g in GRID])
    assert (snap(places) == places).all()


def test_duration_tokens_are_nearest():
    for token, units in enumerate(DURATIONS):
        assert duration_token(units) == token
    assert DURATIONS[duration_token(13)] in (12, 14)
    assert duration_token(10_000) == len(DURATIONS) - 1
    assert remaining_token(10_000) == remaining_token(384)


@given(st.integers(0, 127), st.integers(0, 127))
def test_pitches_outside_of_the_range_keep_their_class(tonic, pitch):
    setting = Setting(tonic, False, (4, 4), None)
    token = setting.token(pitch)
    assert 0 <= token < REST
    assert (setting.pitch(token) - pitch) % 12 == 0
    if abs(pitch - tonic) <= CENTRE:
        assert setting.pitch(token) == pitch


def test_reference_tonic_is_nearest_to_the_mean():
    assert reference_tonic(0, np.array([60, 64, 67])) == 60
    assert reference_tonic(0, np.array([69])) == 72
    assert reference_tonic(9, np.array([60])) == 57


def test_a_first_note_late_in_its_bar_is_a_pickup():
    assert first_bar(0, 48) == 0
    assert first_bar(36, 48) == 48
    assert first_bar(-12, 48) == 0
    assert first_bar(12, 48) == 0


def test_events_join_short_silences_and_keep_long_ones():
    # A staccato quarter, a quarter with an eighth of rest... of which 7 units are silent, a last half.
    events = events_from_notes(np.array([0, 12, 30]), np.array([8, 11, 24]), np.array([60, 62, 64]), C_MAJOR)
    assert events.pitch.tolist() == [CENTRE, CENTRE + 2, REST, CENTRE + 4]
    assert events.start.tolist() == [0, 12, 24, 30]
    assert events.length.tolist() == [12, 12, 6, 24]
    assert events.note.tolist() == [0, 1, -1, 2]


@st.composite
def lines(draw):
    gaps = draw(st.lists(st.sampled_from([3, 4, 6, 8, 9, 12, 18, 24, 36, 48, 96]), min_size=2, max_size=60))
    onset = np.concatenate([[0], np.cumsum(gaps)])
    onset = snap(onset)
    onset = onset[np.concatenate([[True], np.diff(onset) > 0])]
    pitch = draw(st.lists(st.integers(40, 90), min_size=len(onset), max_size=len(onset)))
    length = draw(st.lists(st.integers(1, 60), min_size=len(onset), max_size=len(onset)))
    return onset, np.array(length), np.array(pitch)


@settings(max_examples=50, deadline=None)
@given(lines())
def test_events_are_seamless(line):
    events = events_from_notes(*line, C_MAJOR)
    assert (events.start[1:] == events.start[:-1] + events.length[:-1]).all()
    assert (events.length > 0).all()
    assert (events.pitch != REST).sum() == len(line[0])
    assert not ((events.pitch[1:] == REST) & (events.pitch[:-1] == REST)).any()


@settings(max_examples=50, deadline=None)
@given(lines(), st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (12, 8)]))
def test_rows_are_within_their_features_and_see_only_the_past(line, meter):
    setting = Setting(60, True, meter, "pop", 0)
    events = events_from_notes(*line, setting)
    rows = encode(events, setting).astype(int)
    local = rows - np.array(list(OFFSETS.values()))
    assert (local >= 0).all()
    assert (local < np.array(SIZES)).all()
    # Another last note changes no row before the one that follows it.
    onset, length, pitch = line
    other = encode(events_from_notes(onset, length, np.append(pitch[:-1], pitch[-1] + 1), setting), setting)
    assert (other[:-1] == rows[:-1]).all()
    assert (other[-1] != rows[-1]).any()


def test_the_tracker_finds_what_stood_a_bar_ago():
    tracker = Tracker(C_MAJOR)
    for i, step in enumerate([0, 2, 4, 0]):
        tracker.push(12 * i, CENTRE + step, duration_token(12))
    row = tracker.row(48)
    assert feature(row, "lag1_pitch") == CENTRE
    assert feature(row, "lag1_duration") == duration_token(12)
    assert feature(row, "lag1_agreed") == 0
    assert feature(row, "lag2_pitch") == NO_PITCH
    for i, step in enumerate([0, 2]):
        tracker.push(48 + 12 * i, CENTRE + step, duration_token(12))
    row = tracker.row(72)
    assert feature(row, "lag1_agreed") == 2
    assert feature(row, "match_pitch") == CENTRE + 4
    assert feature(row, "match_length") == 2
    assert feature(row, "event_pitch") == CENTRE + 2
    # Half way through a note of the bar before, its pitch is known and no duration.
    row = tracker.row(78)
    assert feature(row, "lag1_pitch") == CENTRE + 4
    assert feature(row, "lag1_duration") == NO_DURATION


def test_the_tracker_follows_a_sequence_to_another_pitch():
    tracker = Tracker(C_MAJOR)
    for i, step in enumerate([0, 2, 4, 9, 3, 5, 7]):
        tracker.push(6 * i, CENTRE + step, duration_token(6))
    # 0 2 4 9, then a minor third higher: 3 5 7 asks for 12.
    row = tracker.row(42)
    assert feature(row, "sequence_pitch") == CENTRE + 12
    assert feature(row, "sequence_length") > 0


def test_a_copy_goes_its_own_way():
    tracker = Tracker(C_MAJOR)
    tracker.push(0, CENTRE, duration_token(12))
    before = tracker.row(12)
    twin = tracker.copy()
    twin.push(12, CENTRE + 5, duration_token(12))
    assert tracker.row(12) == before
    tracker.push(12, CENTRE + 5, duration_token(12))
    assert tracker.row(24) == twin.row(24)


@pytest.mark.parametrize("lag", LAGS)
def test_lags_are_bars_of_the_meter(lag):
    setting = Setting(60, False, (3, 4), None)
    tracker = Tracker(setting)
    for i in range(lag * 3):
        tracker.push(12 * i, CENTRE + i % 12, duration_token(12))
    assert feature(tracker.row(36 * lag), f"lag{lag}_pitch") == CENTRE


def test_the_goal_is_seen_only_when_given():
    tracker = Tracker(C_MAJOR)
    tracker.push(0, CENTRE, duration_token(12))
    free, bound = tracker.row(12), tracker.row(12, (CENTRE + 7, 36))
    assert free[:-2] == bound[:-2]
    assert feature(bound, "goal_pitch") == CENTRE + 7
    assert feature(bound, "goal_time") == remaining_token(24)


def test_the_input_has_one_number_a_feature():
    row = Tracker(C_MAJOR).row(0)
    x = multi_hot(row)
    assert x.shape == (1, WIDTH)
    assert x.dtype == np.float32
    assert sorted(np.flatnonzero(x[0]).tolist()) == sorted(row)
