"""The melody encoding: grid, tokens, events and chords."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.complete.encoding import (
    CENTRE,
    CHORD_QUALITIES,
    DURATIONS,
    GRID,
    REST,
    Chords,
    Setting,
    duration_token,
    events_from_notes,
    first_bar,
    reference_tonic,
    snap,
)

C_MAJOR = Setting(60, False, (4, 4), None)


def test_snap_goes_to_sixteenths_and_triplets():
    assert snap(np.array([0.4, 2.6, 3.9, 5.2, 7.6, 11.4, 13.0, -0.3])).tolist() == [0, 3, 4, 6, 8, 12, 12, 0]


@given(st.lists(st.integers(-50, 500), min_size=1, max_size=30))
def test_snap_leaves_the_grid_alone(quarters):
    places = np.array([12 * q + g for q in quarters for g in GRID])
    assert (snap(places) == places).all()


def test_duration_tokens_are_nearest():
    for token, units in enumerate(DURATIONS):
        assert duration_token(units) == token
    assert DURATIONS[duration_token(13)] in (12, 14)
    assert duration_token(10_000) == len(DURATIONS) - 1


@given(st.integers(0, 127), st.integers(0, 127))
def test_pitches_outside_of_the_range_keep_their_class(tonic, pitch):
    setting = Setting(tonic, False, (4, 4), None)
    token = setting.token(pitch)
    assert 0 <= token < REST
    assert (setting.pitch(token) - pitch) % 12 == 0
    if abs(pitch - tonic) <= CENTRE:
        assert setting.pitch(token) == pitch


def test_reference_tonic_is_nearest_to_the_mean():
    assert reference_tonic(0, np.array([60, 64, 67])) == 60
    assert reference_tonic(0, np.array([69])) == 72
    assert reference_tonic(9, np.array([60])) == 57


def test_a_first_note_late_in_its_bar_is_a_pickup():
    assert first_bar(0, 48) == 0
    assert first_bar(36, 48) == 48
    assert first_bar(-12, 48) == 0
    assert first_bar(12, 48) == 0


def test_events_join_short_silences_and_keep_long_ones():
    # A staccato quarter, a quarter with an eighth of rest... of which 7 units are silent, a last half.
    events = events_from_notes(np.array([0, 12, 30]), np.array([8, 11, 24]), np.array([60, 62, 64]), C_MAJOR)
    assert events.pitch.tolist() == [CENTRE, CENTRE + 2, REST, CENTRE + 4]
    assert events.start.tolist() == [0, 12, 24, 30]
    assert events.length.tolist() == [12, 12, 6, 24]
    assert events.note.tolist() == [0, 1, -1, 2]


@st.composite
def lines(draw):
    gaps = draw(st.lists(st.sampled_from([3, 4, 6, 8, 9, 12, 18, 24, 36, 48, 96]), min_size=2, max_size=60))
    onset = np.concatenate([[0], np.cumsum(gaps)])
    onset = snap(onset)
    onset = onset[np.concatenate([[True], np.diff(onset) > 0])]
    pitch = draw(st.lists(st.integers(40, 90), min_size=len(onset), max_size=len(onset)))
    length = draw(st.lists(st.integers(1, 60), min_size=len(onset), max_size=len(onset)))
    return onset, np.array(length), np.array(pitch)


@settings(max_examples=50, deadline=None)
@given(lines())
def test_events_are_seamless(line):
    events = events_from_notes(*line, C_MAJOR)
    assert (events.start[1:] == events.start[:-1] + events.length[:-1]).all()
    assert (events.length > 0).all()
    assert (events.pitch != REST).sum() == len(line[0])
    assert not ((events.pitch[1:] == REST) & (events.pitch[:-1] == REST)).any()


def test_chords_are_reduced_and_joined():
    chords = Chords.from_symbols([0, 24, 48, 48, 72, 96], ["C", "Cadd9", "G", "Dm7/F", "what", "N.C."], 144)
    quality = CHORD_QUALITIES.index
    assert chords == Chords((0, 48, 96), (0, 2, -1), (quality("maj"), quality("min"), 0), 144)
    assert Chords.from_symbols([0], ["nothing"], 48) is None


def test_chord_qualities_follow_third_fifth_and_seventh():
    labels = ["C", "C6", "Cmaj7", "C7", "C9", "Cm", "Cm7", "Cdim", "Cm7b5", "Caug", "Csus4", "C5"]
    chords = [Chords.from_symbols([0], [label], 48) for label in labels]
    names = [CHORD_QUALITIES[chord.quality[0]] for chord in chords]
    assert names == [
        *("maj", "maj", "maj", "dom", "dom", "min", "min", "dim", "dim", "aug", "sus", "other"),
    ]
