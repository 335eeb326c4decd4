"""The four controls: what they do to the choice of patterns."""

import numpy as np
import pytest

from segue.runtime import load_model
from segue.transfer.controls import (
    CONTROLS,
    control_tilt,
    is_neutral,
    moved_features,
    pattern_properties,
)
from segue.transfer.encoding import HAND_SLOTS, SOURCE
from segue.transfer.grid import PITCHED_STEPS
from segue.transfer.patterns import unpack_patterns

NEUTRAL = dict.fromkeys(CONTROLS, 0.0)


def book(hand):
    card = load_model("accompaniment", "onnx").card
    return unpack_patterns(card["patterns"][("low", "high")[hand]], PITCHED_STEPS * HAND_SLOTS[hand])


def pattern(*cells, hand=0):
    grid = np.zeros((PITCHED_STEPS, HAND_SLOTS[hand]), bool)
    for step, slot in cells:
        grid[step, slot] = True
    return grid.ravel()


def test_neutral_controls_tilt_nothing():
    assert is_neutral(NEUTRAL)
    assert not is_neutral(NEUTRAL | {"register": -0.1})
    assert not control_tilt(book(0), NEUTRAL).any()


@pytest.mark.parametrize("hand", [0, 1])
@pytest.mark.parametrize("control", CONTROLS)
def test_the_expected_property_rises_with_its_control_whatever_the_network_thinks(control, hand):
    patterns = book(hand)
    has = pattern_properties(patterns)[control]
    logits = np.random.default_rng(0).normal(0, 3, (20, len(patterns)))
    means = []
    for value in np.linspace(-1, 1, 9):
        raised = logits + control_tilt(patterns, NEUTRAL | {control: value})
        chance = np.exp(raised - raised.max(axis=1, keepdims=True))
        means.append((chance @ has) / chance.sum(axis=1))
    assert (np.diff(means, axis=0) > 0).all()


def test_properties_are_what_they_are_called():
    patterns = np.stack(
        [
            pattern(),
            pattern((0, 0)),
            pattern((0, 7)),
            pattern((0, 0), (3, 4)),
            pattern((3, 0)),
            pattern((0, 0), (0, 2), (0, 4)),
            pattern((0, 0), (0, 1), (0, 5)),
            pattern((0, 0), (1, 4), (3, 7), (5, 4)),
        ]
    )
    has = pattern_properties(patterns)
    assert has["density"][0] == has["density"].min()
    assert has["density"][0] == has["density"][1]
    assert has["density"].argmax() == 7
    assert has["register"][2] > has["register"][1]
    assert has["register"][0] == 0
    assert has["syncopation"].argmax() == 4
    assert has["complexity"][6] > has["complexity"][5]


@pytest.mark.parametrize("name", ["syncopation", "complexity"])
def test_what_more_notes_would_bring_is_taken_out(name):
    patterns = book(1)
    has = pattern_properties(patterns)
    sounds = patterns.any(axis=1)
    assert abs(np.corrcoef(has[name][sounds], has["density"][sounds])[0, 1]) < 0.1


def test_the_source_seems_to_be_as_the_controls_want_it():
    heard = np.zeros((3, len(SOURCE) + 2), np.float32)
    moved = moved_features(heard, NEUTRAL | {"density": 1.0, "complexity": 1.0})
    assert (moved[:, SOURCE.index("density")] == 1).all()
    assert np.count_nonzero(moved) == 3
    assert not heard.any()
