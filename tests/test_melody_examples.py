"""Training rows of the melody model: what a gap is told in training is what it is told when it is filled."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.complete.book import Book
from segue.complete.encoding import CENTRE, REST, Events
from segue.complete.features import COLUMN, NO_GOAL_TIME, NO_PITCH, OFFSETS, READING
from segue.complete.tracker import Tracker, encode, reading_rows
from training.melody.examples import encode_gaps, encode_tune, reading, stretches
from training.melody.tune import Tune


@st.composite
def tunes(draw):
    count = draw(st.integers(12, 80))
    gaps = draw(st.lists(st.sampled_from([6, 6, 12, 12, 24, 48, 96]), min_size=count, max_size=count))
    onset = np.cumsum([0, *gaps[1:]])
    held = [min(draw(st.sampled_from([6, 12, 96])), 48) for _ in range(count)]
    pitch = draw(st.lists(st.integers(55, 79), min_size=count, max_size=count))
    meter = draw(st.sampled_from([(4, 4), (3, 4), (6, 8)]))
    chords = ((0, "G"), (48, "D7")) if draw(st.booleans()) else ()
    return Tune(
        *("t", "test", "folk", meter, 7, "major", onset, np.array(held), np.array(pitch), (count - 1,)),
        chords=chords,
    )


def part(events, first, last):
    columns = (events.start, events.pitch, events.duration, events.length, events.note)
    return Events(*(c[first:last] for c in columns))


@settings(max_examples=40, deadline=None)
@given(tunes(), st.integers(0, 2**31))
def test_stretches_cover_a_tune_and_end_before_notes(tune, seed):
    example = encode_tune(tune, 0, 0)
    found = stretches(example.events, example.setting.bar, np.random.default_rng(seed))
    assert found[0][0] == 0
    assert found[-1][1:] == (len(example.events), "free")
    for (_, last, _), (first, _, _) in pairwise(found):
        assert last == first
        assert example.events.pitch[first] != REST


@settings(max_examples=30, deadline=None)
@given(tunes(), st.integers(0, 2**31))
def test_a_tune_without_known_gaps_is_a_continuation(tune, seed):
    example = encode_tune(tune, 1, seed)
    free = encode_gaps(example.events, example.setting, [(0, len(example.events), "free")])
    assert (free.rows == example.rows).all()
    assert (free.ahead == -1).all()
    # What is known of the past is the same with and without the music ahead.
    gaps = example.gaps[0]
    for name in ("event_pitch", "note_before", "lag1_pitch", "rhythm_duration", "place", "chord", "style"):
        assert (gaps.rows[:, COLUMN[name]] == example.rows[:, COLUMN[name]]).all()
    known = gaps.ahead >= 0
    assert (gaps.rows[known, COLUMN["goal_time"]] != OFFSETS["goal_time"] + NO_GOAL_TIME).all()
    assert (gaps.rows[~known, COLUMN["lead1_pitch"]] == OFFSETS["lead1_pitch"] + NO_PITCH).all()


@settings(max_examples=40, deadline=None)
@given(tunes(), st.data())
def test_a_gap_is_told_the_same_in_training_and_in_use(tune, data):
    example = encode_tune(tune, 0, 0)
    events = example.events
    notes = np.flatnonzero(events.pitch != REST)
    last = int(data.draw(st.sampled_from(notes[1:].tolist())))
    first = data.draw(st.integers(0, last - 1))
    tracker = Tracker(example.setting)
    for i in range(first):
        tracker.push(int(events.start[i]), int(events.pitch[i]), int(events.duration[i]))
    tracker.look_ahead(Book(part(events, last, None)))
    goal = int(events.pitch[last]), int(events.start[last])
    rows = []
    for i in range(first, last):
        rows.append(tracker.row(int(events.start[i]), goal))
        tracker.push(int(events.start[i]), int(events.pitch[i]), int(events.duration[i]))
    gap = encode_gaps(events, example.setting, [(0, first, "free"), (first, last, "ahead")])
    assert (np.array(rows) == gap.rows[first:last]).all()


@settings(max_examples=20, deadline=None)
@given(tunes())
def test_reading_is_the_same_in_training_and_in_use(tune):
    example = encode_tune(tune, 0, 0)
    used = np.array(reading_rows(example.events, example.setting, 10_000))
    assert used.shape[1] == len(READING)
    assert (used == reading(example.rows)).all()


@pytest.mark.parametrize("style", ["folk", "jazz"])
def test_a_tune_is_encoded_in_its_key(style):
    onset = 12 * np.arange(16)
    pitch = 67 + np.array([0, 2, 4, 5, 7, 5, 4, 2] * 2)
    tune = Tune("t", "test", style, (4, 4), 7, "major", onset, np.full(16, 12), pitch, (15,), chords=())
    example = encode_tune(tune, 0, 0)
    assert example.events.pitch[:5].tolist() == [CENTRE, CENTRE + 2, CENTRE + 4, CENTRE + 5, CENTRE + 7]
    assert example.end.tolist() == [False] * 15 + [True]
    assert (encode(example.events, example.setting) == example.rows).all()
