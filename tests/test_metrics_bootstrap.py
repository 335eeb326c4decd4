"""The bootstrap interval of a mean: pieces are drawn, not what was measured in them."""

import numpy as np
import pytest

from segue.metrics.bootstrap import interval_of_mean, interval_of_ratio


def test_the_interval_holds_the_mean_and_shrinks():
    rng = np.random.default_rng(1)
    few, many = rng.normal(3, 1, 20), rng.normal(3, 1, 2000)
    low, high = interval_of_mean(few)
    assert low < few.mean() < high
    wide = high - low
    low, high = interval_of_mean(many)
    assert high - low < wide / 5
    assert interval_of_mean(np.full(5, 0.25)) == (0.25, 0.25)


def test_the_interval_holds_the_ratio_and_nothing_more_for_equal_pieces():
    assert interval_of_ratio(np.full(20, 6.0), np.full(20, 3.0)) == (2.0, 2.0)
    total = np.concatenate([np.full(50, 10.0), np.full(50, 30.0)])
    low, high = interval_of_ratio(total, np.full(100, 10.0))
    assert low < 2 < high
    # Standard error of the mean of 1 and 3 in equal parts over 100 pieces: 0.1.
    assert high - low == pytest.approx(2 * 1.96 * 0.1, rel=0.15)


def test_what_belongs_to_one_piece_does_not_count_as_independent():
    error = np.repeat(np.random.default_rng(1).normal(10, 2, 20), 100)
    alone, together = (np.ptp(interval_of_mean(error, p)) for p in (None, np.repeat(np.arange(20), 100)))
    assert together > 5 * alone


def test_long_pieces_weigh_more():
    error, piece = np.array([0.0, 0, 0, 8]), np.array([0, 0, 0, 1])
    low, high = interval_of_mean(np.tile(error, 50), np.concatenate([piece + 2 * i for i in range(50)]))
    assert low < 2 < high
    assert high < 3.5, "the mean over pieces would be 4"
