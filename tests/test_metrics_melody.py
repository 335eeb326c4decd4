"""Melody metrics against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.metrics.melody import (
    accuracy,
    histograms,
    hits_at,
    mean_average_precision,
    nats_per_note,
    overlap_area,
    overlap_areas,
    ranks,
)


def test_a_rest_costs_its_neighbours():
    # Two notes at 1/2 and 1/8 and a rest at 1/4: (1 + 3 + 2) ln 2 over two notes.
    log_probability = np.log([0.5, 0.25, 0.125])
    assert nats_per_note(log_probability, np.array([True, False, True])) == pytest.approx(3 * np.log(2))


def test_no_note_is_an_error():
    with pytest.raises(ValueError, match="no note"):
        nats_per_note(np.log([0.5]), np.array([False]))


def test_accuracy_needs_every_column():
    truth = np.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    guess = np.array([[1, 2], [3, 0], [0, 6], [7, 8]])
    assert accuracy(guess, truth) == 0.5
    assert accuracy(guess[:, 0], truth[:, 0]) == 0.75


def test_ranks_count_from_one_and_ties_half():
    scores = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [2.0, 2.0, 1.0], [5.0, 5.0, 5.0]])
    assert ranks(scores).tolist() == [1.0, 3.0, 1.5, 2.0]


def test_a_constant_score_is_chance():
    rank = ranks(np.zeros((7, 50)))
    assert rank.tolist() == [25.5] * 7
    assert hits_at(rank, 5) == 0


def test_hits_and_map():
    rank = np.array([1.0, 2.0, 4.0, 10.0])
    assert hits_at(rank, 1) == 0.25
    assert hits_at(rank, 5) == 0.75
    assert mean_average_precision(rank) == pytest.approx((1 + 0.5 + 0.25 + 0.1) / 4)


def test_histograms_of_a_small_tune():
    # C4 quarter, E4 eighth, C5 half after a rest of an eighth.
    found = histograms(np.array([0, 12, 24]), np.array([12, 6, 24]), np.array([60, 64, 72]))
    assert found["pitch_class"][[0, 4]].tolist() == [2, 1]
    assert found["interval"][[12 + 4, 12 + 8]].tolist() == [1, 1]
    assert found["ioi"][12] == 2
    assert found["duration"][[6, 12, 24]].tolist() == [1, 1, 1]
    assert [int(h.sum()) for h in found.values()] == [3, 2, 2, 3]


def test_wide_intervals_and_long_notes_share_the_last_bin():
    found = histograms(np.array([0, 500]), np.array([400, 97]), np.array([30, 90]))
    assert found["interval"][24] == 1
    assert found["ioi"][96] == 1
    assert found["duration"][96] == 2


def test_overlap_area_by_hand():
    # (1/2, 1/2, 0) and (1/4, 1/4, 1/2): the smaller ones add up to 1/2.
    assert overlap_area(np.array([2, 2, 0]), np.array([1, 1, 2])) == 0.5
    assert overlap_area(np.array([1, 0]), np.array([0, 1])) == 0
    assert np.isnan(overlap_area(np.zeros(3), np.ones(3)))


@given(st.lists(st.integers(0, 9), min_size=3, max_size=12).filter(any), st.integers(1, 5))
def test_overlap_does_not_see_length(counts, factor):
    counts = np.array(counts)
    assert overlap_area(counts, factor * counts) == pytest.approx(1)
    assert overlap_areas({"a": counts}, {"a": counts})["a"] == pytest.approx(1)
