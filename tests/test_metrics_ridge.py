"""Ridge regression: a linear rule is found, and no piece is answered from itself."""

import numpy as np
import pytest

from segue.metrics.ridge import DrumWindows, cross_validated, ridge_prediction


def windows(count=400, seed=0):
    """Two steps of two classes: where a class is hit at first, it is late and loud at the second step."""
    rng = np.random.default_rng(seed)
    hits = rng.random((count, 2, 2)) < 0.6
    offset = np.where(hits[:, :1], 0.2, -0.1) * np.ones(hits.shape)
    velocity = np.where(hits[:, :1], 0.9, 0.4) * np.ones(hits.shape)
    return DrumWindows(hits, offset, velocity, rng.random((count, 2)))


def test_a_linear_rule_is_found():
    asked = windows(50, 1)
    offset, velocity = ridge_prediction(windows(), asked, penalty=1e-6)
    second = asked.hits[:, 1]
    assert offset[:, 1][second] == pytest.approx(asked.offset[:, 1][second], abs=1e-3)
    assert velocity[:, 1][second] == pytest.approx(asked.velocity[:, 1][second], abs=1e-3)


def test_a_strong_penalty_leaves_the_mean_of_the_cell():
    known = windows()
    offset, _ = ridge_prediction(known, windows(50, 1), penalty=1e4)
    cell = known.hits[:, 1, 0]
    # The constant is held back a little as well: 10 of about 250 hits.
    assert offset[:, 1, 0] == pytest.approx(known.offset[:, 1, 0][cell].mean(), abs=0.02)


def test_answers_stay_in_range_and_unknown_cells_are_zero():
    known = windows()
    known.offset[:], known.velocity[:] = 3, 3
    known.hits[:, 0, 1] = False
    offset, velocity = ridge_prediction(known, windows(50, 1))
    assert offset.max() == 0.5
    assert velocity.max() == 1
    assert not offset[:, 0, 1].any()


def test_no_piece_is_answered_from_itself():
    # One piece has a habit that no other tells.
    known = windows(100)
    piece = np.repeat(np.arange(5), 20)
    known.offset[:] = np.where(piece == 2, 0.4, 0.0)[:, None, None]
    offset, _ = cross_validated(known, piece, 5)
    assert np.abs(offset[piece == 2]).max() < 0.01
    assert offset[piece != 2].mean() > 0.05, "the others have learnt from it"
