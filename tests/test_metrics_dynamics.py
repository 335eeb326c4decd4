import numpy as np
import pytest

from segue.metrics.dynamics import centred, timing_scores, velocity_scores


def test_velocity_figures_by_hand():
    # Differences 0, 6, 12, 20: 5 % of full scale is 6.35, 10 % is 12.7.
    scores = velocity_scores(np.array([60, 60, 60, 60]), np.array([60, 66, 48, 80]))
    assert scores["velocity_mae"] == pytest.approx(9.5)
    assert scores["velocity_mse"] == pytest.approx((36 + 144 + 400) / 4)
    assert scores["within_10_percent"] == 0.75
    assert scores["within_5_percent"] == 0.5
    assert scores["velocity_std_true"] == 0
    assert scores["velocity_std_predicted"] == pytest.approx(np.std([60, 66, 48, 80]))


def test_centring_takes_each_pieces_mean_away():
    assert centred(np.array([10, 20, 100, 104]), np.array([0, 0, 1, 1])).tolist() == [-5, 5, -2, 2]


def test_timing_counts_only_what_is_known():
    scores = timing_scores(np.array([4.0, np.nan, -2.0]), np.array([1.0, 50.0, -2.0]))
    assert scores["timing_mae_ms"] == pytest.approx(1.5)
    assert scores["timing_std_true"] == pytest.approx(3)
    assert scores["timing_std_predicted"] == pytest.approx(1.5)
