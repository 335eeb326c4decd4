import numpy as np
import pytest

from segue.metrics.groove import (
    gaussian_kl,
    groove_scores,
    grouped_kl,
    timing_mae_ms,
    timing_mse,
    velocity_mae,
)


def test_timing_error_is_milliseconds_at_each_hits_tempo():
    # A sixteenth lasts 125 ms at 120 and 250 ms at 60 quarters a minute.
    true, predicted = np.array([0.1, -0.2]), np.array([0.0, 0.0])
    assert timing_mae_ms(true, predicted, 120) == pytest.approx((12.5 + 25) / 2)
    assert timing_mae_ms(true, predicted, np.array([120, 60])) == pytest.approx((12.5 + 50) / 2)


def test_timing_square_error_is_in_sixteenths():
    assert timing_mse(np.array([0.1, -0.3]), np.array([0.0, 0.1])) == pytest.approx((0.01 + 0.16) / 2)


def test_velocity_error_is_in_midi_units():
    assert velocity_mae(np.array([1.0, 0.5]), np.array([0.0, 0.5])) == pytest.approx(63.5)


def test_gaussian_divergence_by_hand():
    # KL(N(0, 1) || N(1, 2)) = ln 2 + (1 + 1) / 8 - 1/2.
    assert gaussian_kl(0, 1, 1, 2) == pytest.approx(np.log(2) + 0.25 - 0.5)
    assert gaussian_kl(0.3, 0.2, 0.3, 0.2) == pytest.approx(0)
    assert gaussian_kl(0, 1, 0, 0.5) == pytest.approx(np.log(0.5) + 2 - 0.5)
    assert gaussian_kl(0, 1, 0, 0) == float("inf")
    assert gaussian_kl(0.5, 0, 0.5, 0) == 0
    assert gaussian_kl(0, 1, 0, 0.5) != pytest.approx(gaussian_kl(0, 0.5, 0, 1))


def test_divergence_is_the_mean_over_steps_mod_four():
    # Group 0 (steps 0 and 4): true (-1, 1) has mean 0 and spread 1, predicted (-1, 3) mean 1 and spread 2.
    # Others equal.
    step = np.array([0, 4, 1, 5, 2, 6, 3, 7])
    true = np.array([-1.0, 1, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2])
    predicted = true.copy()
    predicted[:2] = [-1, 3]
    assert grouped_kl(true, predicted, step) == pytest.approx((np.log(2) + 0.25 - 0.5) / 4)


def test_divergence_leaves_empty_groups_out():
    true, predicted = np.array([-1.0, 1.0]), np.array([-1.0, 3.0])
    assert grouped_kl(true, predicted, np.array([16, 20])) == pytest.approx(np.log(2) - 0.25)


def test_equal_values_are_a_point_though_rounding_gives_them_a_spread():
    equal, step = np.full(28, 100 / 127), np.arange(28)
    assert equal[step % 4 == 0].std() > 0
    assert grouped_kl(np.linspace(0, 1, 28), equal, step) == float("inf")
    assert grouped_kl(equal, equal.copy(), step) == 0


def test_every_column_of_the_table_is_there():
    rng = np.random.default_rng(0)
    offset, velocity = rng.normal(0, 0.1, 400), rng.uniform(0, 1, 400)
    scores = groove_scores(offset, offset, velocity, velocity, np.arange(400), np.full(400, 100.0))
    assert scores.pop("timing_std_predicted") == scores.pop("timing_std_true") == pytest.approx(offset.std())
    spreads = scores.pop("velocity_std_predicted"), scores.pop("velocity_std_true")
    assert spreads == pytest.approx((velocity.std() * 127,) * 2)
    columns = {"timing_mae_ms", "timing_mse", "timing_kl", "velocity_kl", "velocity_mae"}
    assert scores == pytest.approx(dict.fromkeys(columns, 0), abs=1e-12)
