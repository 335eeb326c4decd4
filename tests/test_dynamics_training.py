"""What the dynamics network learns from, as far as it needs no training environment."""

import numpy as np
import pytest

from segue.humanize.phrasing import NOTE_FEATURES, PART_FEATURES, WINDOW_NOTES
from training.dynamics.data import Performance, timing_deviation, windows


def performance(count):
    features = np.ones((count, NOTE_FEATURES), np.float32)
    row = np.arange(PART_FEATURES, dtype=np.float32)
    velocity = np.linspace(0, 1, count)
    return Performance("piece", features, row, velocity, np.full(count, np.nan), True)


def test_windows_start_where_they_are_told_and_cover_short_pieces():
    features, part, velocity, timing = windows([performance(300)], WINDOW_NOTES // 2, 10)
    assert velocity.shape == timing.shape == (2, WINDOW_NOTES)
    assert velocity[0, 0] == pytest.approx(10 / 299)
    assert np.isfinite(velocity[1]).sum() == features[1, :, 0].sum() == 300 - 10 - WINDOW_NOTES // 2
    assert (part == np.arange(PART_FEATURES)).all()
    assert len(windows([performance(5)], WINDOW_NOTES)[0]) == 1


def test_a_chords_notes_deviate_from_their_mean():
    deviation = timing_deviation(np.array([1.0, 1.010, 1.020, 3.0]))
    assert deviation[:3] == pytest.approx([-10, 0, 10])
    assert np.isnan(deviation[3]), "a single note far from the others tells nothing"


def test_a_late_note_in_an_even_run_is_late():
    onset = np.arange(7) * 0.25
    onset[3] += 0.030
    deviation = timing_deviation(onset)
    # Two thirds of the distance from the middle of the neighbours.
    assert deviation[3] == pytest.approx(20)
    assert deviation[2] == deviation[4] == pytest.approx(-10)
    assert np.isnan(deviation[[0, -1]]).all()
