"""What sounds in a unit, what should, and which patterns make a chord clear."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transfer_controls import pattern

from segue.chords import NO_CHORD, majmin_class, parse_chord
from segue.score import Score, Track, make_notes
from segue.transfer.content import clarity_tilt, clearness, content_of, notes_chroma
from segue.transfer.encoding import chords_of_steps
from segue.transfer.grid import pitched_grid

C, AM = parse_chord("C"), parse_chord("Am")
high = partial(pattern, hand=1)


def chroma(*classes):
    return np.bincount(classes, minlength=12).astype(float)


def test_clearness_is_the_lead_over_the_nearest_other_triad():
    # C E G against A minor and E minor, which share two of three: 1 - 2/3.
    assert clearness(chroma(0, 4, 7), majmin_class(C)) == pytest.approx(1 / 3)
    assert clearness(chroma(0, 4, 7), majmin_class(AM)) == pytest.approx(2 / 3 - 1)
    # A root alone is C's as much as F's, A minor's, C minor's ...
    assert clearness(chroma(0), majmin_class(C)) == pytest.approx(0)
    assert clearness(np.zeros(12), majmin_class(C)) == 0


@given(
    st.lists(st.floats(0, 10), min_size=12, max_size=12),
    st.integers(0, 23),
    st.integers(0, 11),
    st.floats(0.1, 50),
)
def test_clearness_knows_neither_key_nor_loudness(weights, triad, semitones, louder):
    sounding = np.array(weights)
    moved = (triad % 12 + semitones) % 12 + 12 * (triad // 12)
    there = clearness(louder * np.roll(sounding, semitones), moved)
    assert there == pytest.approx(clearness(sounding, triad), abs=1e-9)
    assert -1 <= there <= 1


def test_a_pattern_is_clear_or_not_under_its_melody():
    # Root and fifth; third and fifth; the whole triad; the sixth above the root; silence.
    patterns = np.stack(
        [high((0, 0), (0, 4)), high((0, 2), (0, 4)), high((0, 0), (0, 2), (0, 4)), high((0, 5)), high()]
    )
    melody = np.stack([chroma(4), chroma(9), np.zeros(12)]) * 960
    tilt = clarity_tilt(patterns, np.zeros(3, int), [C], [(0, False)], melody)
    under_e, under_a, alone = tilt
    # The third that the melody has need not be played again; what is clear enough gains nothing more.
    assert under_e[0] == under_e[2] == alone[2] == pytest.approx(1.6)
    assert under_e[1] < 1.6
    # C E G and A is A minor's as much as C major's.
    assert under_a[2] == pytest.approx(0)
    assert under_a[3] < 0
    assert alone[3] < 0
    assert (tilt[:, 4] == 0).all()
    assert (tilt >= -3.2).all()


def test_late_strikes_count_for_less():
    early, late = high((0, 0), (0, 2), (0, 4), (5, 5)), high((0, 5), (5, 0), (5, 2), (5, 4))
    tilt = clarity_tilt(np.stack([early, late]), np.zeros(1, int), [C], [(0, False)], np.zeros((1, 12)))
    assert tilt[0, 0] > 0 > tilt[0, 1]


def test_without_a_chord_nothing_is_favoured():
    tilt = clarity_tilt(high((0, 0))[None], np.array([-1, 0]), [NO_CHORD], [(None, False)], np.ones((2, 12)))
    assert not tilt.any()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(30, 90)), min_size=1, max_size=12)
)
def test_all_that_sounds_is_counted_once(notes):
    onset, duration, pitch = np.array(notes).T
    array = make_notes(onset * 240, duration * 240, pitch, 80)
    grid = pitched_grid(Score(tracks=(Track(name="", channel=0, notes=array),)))
    counted = notes_chroma(array, grid)
    inside = (
        np.minimum(array["onset_tick"] + array["duration_tick"], grid.unit_tick[-1]) - array["onset_tick"]
    )
    expected = np.bincount(array["pitch"] % 12, inside, minlength=12)
    assert counted.sum(axis=0) == pytest.approx(expected)


def test_content_is_the_chord_and_as_much_of_the_source():
    source = make_notes([0], [960], [62], 80)
    grid = pitched_grid(Score(tracks=(Track(name="", channel=0, notes=source),)))
    wanted = content_of(grid, chords_of_steps(grid, np.array([0])), [C], source)
    assert wanted[0] == pytest.approx(chroma(0, 4, 7) / np.sqrt(3) + chroma(2))
    assert np.linalg.norm(wanted[1]) == pytest.approx(1)
