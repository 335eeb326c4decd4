"""The guard against loops: how often a cell may come again, and what the melody itself allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.complete.encoding import CENTRE, REST, Setting, events_from_notes
from segue.complete.loops import LONGEST_CELL, SHORT_RUN, Loops

QUARTER = 10


def heard(steps):
    """Quarters, so many semitones above the tonic."""
    onset = 12 * np.arange(len(steps))
    setting = Setting(60, False, (4, 4), None)
    return events_from_notes(onset, np.full(len(steps), 12), np.array(steps, np.int64) + 60, setting)


def carried_on(past, cell, most=60):
    """How many events of a repeated cell (steps) are taken before its next pitch is forbidden."""
    events = heard(past)
    loops = Loops(events)
    duration = int(events.duration[0]) if len(events) else QUARTER
    for taken in range(most):
        token = CENTRE + cell[taken % len(cell)]
        if token in loops.forbidden():
            return taken
        loops.add(token, duration)
    return most


@pytest.mark.parametrize("cell", [[0, 2, 4], [0, 2, 4, 5, 7, 9, 11, 12]])
def test_a_cell_has_three_turns(cell):
    assert carried_on([], cell) == 3 * len(cell)


def test_one_note_may_be_repeated_a_little_more_often():
    assert carried_on([], [7]) == 1 + SHORT_RUN


def test_what_the_melody_does_is_allowed_and_no_more():
    cell = [0, 2, 4]
    past = [*(cell * 5), 7, 9, 11]
    assert carried_on(past, cell) == 5 * len(cell)


def test_a_loop_of_the_melody_is_not_carried_on():
    cell = [0, 2, 4, 5]
    assert carried_on([11, 9, *(cell * 3)], cell) == 0


def test_rests_are_never_forbidden():
    loops = Loops(heard([]))
    for _ in range(4):
        for token in (CENTRE, CENTRE + 2, REST):
            loops.add(token, QUARTER)
    assert loops.forbidden() == [CENTRE]
    loops.add(CENTRE, QUARTER)
    loops.add(CENTRE + 2, QUARTER)
    assert loops.forbidden() == []


def test_copies_go_their_own_ways():
    loops = Loops(heard([0, 2, 4] * 3))
    twin = loops.copy()
    assert twin.forbidden() == [CENTRE]
    twin.add(CENTRE + 7, QUARTER)
    assert twin.forbidden() == []
    assert loops.forbidden() == [CENTRE]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.lists(st.integers(0, 3), max_size=40))
def test_following_is_the_same_as_having_heard(past, more):
    events = heard([*past, *more])
    one, other = Loops(heard(past)), Loops(events)
    for step in more:
        one.add(CENTRE + step, int(events.duration[0]))
    assert (one._run == other._run).all()
    assert len(one._run) == LONGEST_CELL
