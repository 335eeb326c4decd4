"""The tracker: what the model is told of a place, from the past, the chords and the music after a gap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_complete_encoding import lines

from segue.complete.book import Book
from segue.complete.encoding import (
    CENTRE,
    NO_DURATION,
    NO_PITCH,
    REST,
    Chords,
    Setting,
    duration_token,
    events_from_notes,
)
from segue.complete.features import (
    CHORD_UNKNOWN,
    COLUMN,
    FEATURES,
    LAGS,
    NO_CHORD,
    NO_CHORD_ROW,
    OFFSETS,
    READING,
    SIZES,
    WIDTH,
    chord_category,
    multi_hot,
    remaining_token,
)
from segue.complete.tracker import Tracker, encode, reading_rows

C_MAJOR = Setting(60, False, (4, 4), None)
QUARTER = duration_token(12)


def feature(row, name):
    return row[COLUMN[name]] - OFFSETS[name]


def quarters(steps, setting=C_MAJOR, start=0):
    """Events of quarters, each so many semitones above the tonic."""
    onset = start + 12 * np.arange(len(steps))
    return events_from_notes(onset, np.full(len(steps), 12), np.array(steps) + 60, setting)


def followed(events, setting=C_MAJOR):
    tracker = Tracker(setting)
    columns = (events.start, events.pitch, events.duration)
    for start, pitch, duration in zip(*(c.tolist() for c in columns), strict=True):
        tracker.push(start, pitch, duration)
    return tracker


def test_remaining_times_beyond_the_longest_are_one():
    assert remaining_token(10_000) == remaining_token(384)


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
    assert free[-2:] != bound[-2:]
    assert feature(bound, "goal_pitch") == CENTRE + 7
    assert feature(bound, "goal_time") == remaining_token(24)


def test_the_input_has_one_number_a_feature():
    row = Tracker(C_MAJOR).row(0)
    x = multi_hot([row, row])
    assert x.shape == (2, WIDTH)
    assert x.dtype == np.float32
    assert sorted(np.flatnonzero(x[1]).tolist()) == sorted(row)


def test_chords_now_and_next():
    chords = Chords.from_symbols([12, 48], ["G7", "N.C."], 96)
    tracker = Tracker(Setting(62, False, (4, 4), None, 0, chords))
    tracker.push(0, CENTRE, QUARTER)
    unknown, now, none = tracker.row(0), tracker.row(36), tracker.row(60)
    beyond = tracker.row(96)
    first = COLUMN["chord"]
    assert unknown[first : first + 4] == beyond[first : first + 4] == list(NO_CHORD_ROW)
    assert feature(now, "chord") == chord_category(7, 2, 2)
    assert feature(now, "next_chord") == NO_CHORD
    assert feature(now, "chord_left") == 2  # A quarter.
    assert feature(now, "over_chord") == 7  # D over G.
    assert feature(none, "chord") == NO_CHORD
    assert feature(none, "next_chord") == CHORD_UNKNOWN


def test_the_music_after_a_gap_is_looked_at():
    after = quarters([0, 2, 4, 5, 7, 7, 7, 7], start=96)
    tracker = followed(quarters([0, 2]))
    tracker.look_ahead(Book(after))
    row = tracker.row(24)
    # Two bars later stands the third note of what comes, and it follows on the same two notes there.
    assert feature(row, "lead2_pitch") == CENTRE + 4
    assert feature(row, "lead2_duration") == QUARTER
    assert feature(row, "lead1_pitch") == NO_PITCH
    assert feature(row, "match_pitch") == CENTRE + 4
    tracker.push(24, CENTRE + 4, QUARTER)
    row = tracker.row(36)
    assert feature(row, "match_pitch") == CENTRE + 5
    assert feature(row, "match_length") == 3
    assert feature(row, "lead2_agreed") == 1
    tracker.look_ahead(None)
    assert feature(tracker.row(36), "match_pitch") == NO_PITCH
    assert feature(tracker.row(36), "lead2_pitch") == NO_PITCH


def test_what_lies_before_the_known_part_of_a_book_stays_hidden():
    events = quarters([0, 2, 4, 5, 9, 7, 5, 4, 0, 2, 11, 12])
    tracker = followed(quarters([0, 2]))
    tracker.look_ahead(Book(events), 8)
    row = tracker.row(24)
    assert feature(row, "match_pitch") == CENTRE + 11
    assert feature(row, "lead1_pitch") == NO_PITCH
    assert feature(row, "lead2_pitch") == CENTRE + 11


@settings(max_examples=30, deadline=None)
@given(lines(), st.integers(1, 59))
def test_a_gap_sees_the_rest_of_its_book_and_nothing_of_itself(line, cut):
    events = events_from_notes(*line, C_MAJOR)
    cut = min(cut, len(events) - 1)
    tracker = Tracker(C_MAJOR)
    tracker.look_ahead(Book(events), cut)
    row = tracker.row(0)
    onset, length, pitch = line
    changed = pitch.copy()
    changed[: int((events.pitch[:cut] != REST).sum())] = 40
    other = Tracker(C_MAJOR)
    other.look_ahead(Book(events_from_notes(onset, length, changed, C_MAJOR)), cut)
    assert other.row(0) == row


def test_music_is_read_as_the_training_reads_it():
    setting = Setting(60, True, (3, 4), "folk", 6)
    events = quarters([0, 2, 3, 5, 7, 8, 7], setting, 6)
    rows = encode(events, setting)
    columns = [COLUMN[name] for name in READING]
    read = np.array(reading_rows(events, setting, 5))
    assert read.shape == (5, len(READING))
    assert (read[:, :2] == rows[1:6, columns[:2]]).all()
    assert (read[:, 2:] == rows[:5, columns[2:]]).all()


def test_every_feature_has_its_place_in_a_row():
    assert len(Tracker(C_MAJOR).row(0)) == len(FEATURES)
