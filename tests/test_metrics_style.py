"""The style metrics against examples counted by hand."""

import numpy as np
import pytest

from segue.metrics import style


def test_cosine_of_parallel_orthogonal_and_empty():
    assert style.cosine(np.array([1, 2]), np.array([2, 4])) == pytest.approx(1)
    assert style.cosine(np.array([1, 0]), np.array([0, 3])) == 0
    assert style.cosine(np.array([0, 0]), np.array([1, 1])) == 0
    assert style.cosine(np.array([1, 0]), np.array([1, 1])) == pytest.approx(np.sqrt(0.5))


def test_chroma_counts_the_frames_of_each_window():
    # Four seconds, 48 frames: windows at frames 0, 12, 24. C sounds for the first two seconds, E for all.
    windows = style.chroma_windows(np.array([0.0, 0.0]), np.array([2.0, 4.0]), np.array([60, 64]), 4.0)
    assert windows.shape == (3, 12)
    assert windows[:, 0].tolist() == [1.0, 0.5, 0.0]
    assert windows[:, 4].tolist() == [1.0, 1.0, 1.0]
    assert windows.sum() == pytest.approx(4.5)


def test_chroma_similarity_of_windows():
    a = np.zeros((3, 12))
    b = np.zeros((3, 12))
    a[0, 0] = b[0, 0] = 1  # the same: 1
    a[1, 0] = 1
    b[1, 0] = b[1, 4] = 1  # one of two: 1 / sqrt 2
    assert style.chroma_similarity(a, b) == pytest.approx((1 + np.sqrt(0.5)) / 2)
    a[2, 5] = 1  # the other is silent: 0, and it counts
    assert style.chroma_similarity(a, b) == pytest.approx((1 + np.sqrt(0.5)) / 3)
    assert style.chroma_similarity(a, a[:2]) == pytest.approx(1)
    assert style.chroma_similarity(np.zeros((2, 12)), np.zeros((2, 12))) == 0


def test_interval_histogram_counts_each_pair_once():
    # C4 and E4 together, G4 half a beat later, C7 (beyond 20 semitones of all) then, C4 four beats later.
    histogram = style.interval_histogram(np.array([0, 0, 0.5, 0.5, 4.0]), np.array([60, 64, 67, 96, 60]))
    expected = np.zeros((24, 41))
    expected[0, 20 + 4] = 1  # C4 to E4
    expected[3, 20 + 7] = 1  # C4 to G4
    expected[3, 20 + 3] = 1  # E4 to G4
    expected[21, 20 - 7] = 1  # G4 to the last C4, 3.5 beats; the first two are four beats away
    assert np.array_equal(histogram, expected)


def test_interval_histogram_keeps_triplets_in_their_bin():
    histogram = style.interval_histogram(np.array([0, 1 / 3, 2 / 3]), np.array([60, 60, 60]))
    assert histogram[2, 20] == 2
    assert histogram[4, 20] == 1
    assert histogram.sum() == 3


def test_duration_and_velocity_histograms():
    histogram = style.duration_histogram(np.array([0.0, 0.5, 5.0]), np.array([1.0, 0.01, 9.0]))
    assert histogram[0, 5] == 1
    assert histogram[3, 0] == 1
    assert histogram[6, 23] == 1  # beat 5 falls on beat 1 of four
    assert histogram.sum() == 3
    loud = style.velocity_histogram(np.array([0.0, 0.0, 3.99]), np.array([15, 16, 127]))
    assert loud[0].tolist() == [1, 1, 0, 0, 0, 0, 0, 1]
    assert loud.sum() == 3


def test_drum_histogram_tells_swing_from_straight():
    straight = style.drum_histogram(np.array([0, 0.5]), np.array([8, 8]))
    swung = style.drum_histogram(np.array([0, 2 / 3]), np.array([8, 8]))
    assert straight[6, 8] == 1
    assert swung[8, 8] == 1
    assert style.cosine(straight, swung) == pytest.approx(0.5)


def test_rhythm_similarity_by_group():
    hat = np.zeros((2, 16, 9))
    hat[0, ::4, 2] = 1
    ride = np.zeros((2, 16, 9))
    ride[0, ::4, 8] = 1
    assert style.rhythm_similarity(hat, ride) == pytest.approx(1)
    kick = np.zeros((2, 16, 9))
    kick[0, ::4, 0] = 1
    assert style.rhythm_similarity(hat, kick) == 0
    both = ride + kick
    assert style.rhythm_similarity(hat, both) == pytest.approx(np.sqrt(0.5))
    ride[1, 0, 8] = 1  # only here: the second bar counts with 0
    assert style.rhythm_similarity(hat, ride) == pytest.approx(0.5)


def test_transfer_strength_is_the_mean_of_both_ways():
    assert style.transfer_strength(0.9, 0.2, 0.7) == pytest.approx(0.6)
    assert style.transfer_strength(0.5, 0.5, 0.5) == 0
    assert style.transfer_strength(1, 0, 1) == 1


def test_dominance():
    assert style.dominates((0.5, 0.6), (0.5, 0.5))
    assert not style.dominates((0.5, 0.5), (0.5, 0.5))
    assert not style.dominates((1.0, 0.2), (0.8, 0.7))
    assert style.dominates((0.9, 0.9), (0.8, 0.7))
