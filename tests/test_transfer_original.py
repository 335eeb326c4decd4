"""What is kept of the original: the pull of intensity, and of a piece that is in the style already."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_transfer import band, run, written

from segue.runtime import load_model
from segue.transfer.encoding import CELLS, HAND_SLOTS, LENGTHS, STYLE_SIZE
from segue.transfer.ensemble import join
from segue.transfer.grid import PITCHED_STEPS
from segue.transfer.original import length_tilt, nearness, share_of_style, source_tilt
from segue.transfer.patterns import unpack_patterns


def low_hand():
    card = load_model("accompaniment", "onnx").card
    return unpack_patterns(card["patterns"]["low"], PITCHED_STEPS * HAND_SLOTS[0])


def at_cosine(cosine):
    """Two vectors of the length of styles with that cosine."""
    first, second = np.zeros((2, STYLE_SIZE), np.float32)
    first[0] = second[0] = 1
    second[:2] = cosine, np.sqrt(1 - cosine**2)
    return first * np.sqrt(STYLE_SIZE), second * np.sqrt(STYLE_SIZE)


def test_patterns_lose_with_their_distance_from_the_source():
    patterns = low_hand()
    source = patterns[[3, 3, 0, 7]]
    held = source_tilt(source, patterns, 0.25)
    assert held.shape == (4, len(patterns))
    assert held.argmax(axis=1).tolist() == [3, 3, 0, 7]
    assert held.max() == 0
    assert not source_tilt(source, patterns, 1.0).any()
    assert (held <= source_tilt(source, patterns, 0.75)).all()


def test_lengths_lose_with_their_distance_in_octaves():
    source = np.full((2, CELLS), -1)
    half, quarter, double, whole = (LENGTHS.tolist().index(v) for v in (2.0, 4.0, 8.0, 16.0))
    source[0, 3] = quarter
    held = length_tilt(source, 0.5)
    assert held.shape == (2, CELLS, len(LENGTHS))
    assert held[0, 3].argmax() == quarter
    assert held[0, 3, double] == pytest.approx(held[0, 3, half])
    assert held[0, 3, whole] == pytest.approx(2 * held[0, 3, double])
    held[0, 3] = 0
    assert not held.any()


def test_nearness_is_that_of_the_vectors():
    assert nearness(*at_cosine(1.0)) == 1
    assert nearness(*at_cosine(0.875)) == pytest.approx(0.5, abs=0.01)
    assert nearness(*at_cosine(0.8)) == nearness(*at_cosine(-1.0)) == 0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_share_grows_with_intensity_and_falls_with_nearness(intensity, near, nearer):
    near, nearer = sorted((near, nearer))
    assert 0 <= share_of_style(intensity, nearer) <= share_of_style(intensity, near) <= intensity
    assert share_of_style(intensity, 0) == intensity
    assert share_of_style(0, near) == 0


def test_a_piece_in_the_style_keeps_more_of_its_own():
    score, record = band(bars=32, drums=False)
    once = run(score, record, style="pop")
    again = run(once.score, {**record, **once.record}, style="pop")
    other = run(once.score, {**record, **once.record}, style="hymn")
    near = [r.report["accompaniment"]["already_in_style"] for r in (once, again, other)]
    assert near[1] > 0.8
    assert near[0] == near[2] == 0

    def onsets(result):
        return {
            (int(n["onset_tick"]), int(n["pitch"]) % 12) for n in join([t.notes for t in written(result)])
        }

    kept, changed = (len(onsets(once) & onsets(r)) / len(onsets(once)) for r in (again, other))
    assert kept > changed + 0.15
    notes = [len(join([t.notes for t in written(r)])) for r in (once, again)]
    assert notes[1] == pytest.approx(notes[0], rel=0.2)
