"""What the harmonize stage is made of: features, decoding, voicing."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue import beats
from segue.chords import QUALITIES, Chord, parse_chord
from segue.harmonize import encoding
from segue.harmonize.decode import (
    Hearing,
    Progression,
    find_classes,
    find_colours,
    move_from_counts,
    posteriors,
    viterbi,
)
from segue.harmonize.listening import Parts
from segue.harmonize.vocabulary import COLOURS, chord_of, classes_of
from segue.harmonize.voicing import HIGHEST, LOWEST, Span, lead_voices, voicings_of
from segue.score import Meter, Score, Track, make_notes, no_notes

BEATS = np.arange(5) * 960


def test_melody_counts_by_quarter_beats_with_onsets_and_height():
    notes = make_notes([0, 720, 1790], [480, 960, 130], [60, 62, 74], 80)
    heard = encoding.melody_columns(notes, BEATS)
    sounding = heard.sounding.reshape(4, 4, 12)
    assert sounding[0, :, 0].tolist() == [1, 1, 0, 0]
    assert sounding[0, :, 2].tolist() == pytest.approx([0, 0, 0, 1])
    assert sounding[1, :, 2].tolist() == pytest.approx([1, 1, 1, 130 / 240], abs=1e-6)
    # A note a little before a beat begins on it; the columns of its beat are those of the note's mean.
    onsets = np.argwhere(heard.onsets.reshape(4, 4, 12)).tolist()
    assert onsets == [[0, 0, 0], [0, 3, 2], [1, 3, 2]]
    mean = (60 + 62 + 74) / 3
    assert heard.height[:, 0].tolist() == pytest.approx([(61 - mean) / 12, (74 - mean) / 12, 0, 0], abs=1e-6)
    assert heard.height[:, 1].tolist() == [0.5, 0.25, 0, 0]


def test_bass_is_the_lowest_sounding_note():
    notes = make_notes([0, 480], [960, 480], [48, 43], 80)
    columns = encoding.bass_by_beat(notes, BEATS)
    assert columns[0, 0] == 0.5
    assert columns[0, 7] == 0.5
    assert columns[1:].sum() == 0


def test_accompaniment_is_a_share_of_its_sounding_time():
    columns = encoding.accompaniment_columns(make_notes([960, 960], [960, 480], [48, 55], 80), BEATS)
    assert columns[1, 12] == pytest.approx(2 / 3)
    assert columns[1, 19] == pytest.approx(1 / 3)
    assert columns[0].sum() == 0


@given(
    st.lists(
        st.tuples(st.integers(-500, 5000), st.integers(1, 3000), st.integers(30, 90)), min_size=1, max_size=20
    )
)
def test_chroma_equals_a_count_of_ticks(rows):
    rows = [(max(a, 0), b, c) for a, b, c in rows]
    notes = make_notes(*zip(*rows, strict=True), 80)
    expected = np.zeros((4, 12))
    for onset, duration, pitch in rows:
        for beat, (low, high) in enumerate(pairwise(BEATS.tolist())):
            expected[beat, pitch % 12] += max(min(onset + duration, high) - max(onset, low), 0)
    assert encoding.chroma_by_beat(notes, BEATS) == pytest.approx(expected)


def test_place_in_the_bar():
    track = Track(notes=make_notes([0], [7 * 960], [60], 80))
    grid = beats.beat_grid(Score((track,), meters=(Meter(0, 4, 4), Meter(3840, 3, 4))), 7 * 960)
    assert grid.ticks.tolist() == [0, 960, 1920, 2880, 3840, 4800, 5760, 6720]
    assert grid.place[:, 0].tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert grid.place[:, 1].tolist() == [0, 0, 1, 0, 0, 0, 0]
    single = beats.beat_grid(Score((track,), meters=(Meter(0, 1, 4),)))
    assert not single.place.any()


@pytest.mark.parametrize("start", [0, 100, 333, 480, 640, 900])
def test_phase_is_that_of_the_notes_only_where_the_grid_is_not_theirs(start):
    onset = start + np.concatenate([np.arange(32) * 960, np.arange(32) * 960 + 480])
    notes = make_notes(onset, np.repeat([900, 200], 32), np.full(64, 60), 80)
    score = Score((Track(notes=notes),), meters=(Meter(0, 1, 4),))
    expected = (start / 960 + 0.5) % 1 - 0.5
    difference = beats.phase_of(notes, beats.beat_grid(score)) - expected
    assert (difference + 0.5) % 1 - 0.5 == pytest.approx(0, abs=0.01)
    # A meter with more beats is believed, as far as sixteenths go.
    grid = beats.beat_grid(Score((Track(notes=notes),), meters=(Meter(0, 4, 4),)))
    if start % 240 == 0:
        assert beats.phase_of(notes, grid) == 0


def test_swing_and_triplets_do_not_move_the_grid():
    for onset in (np.arange(64) // 2 * 960 + np.arange(64) % 2 * 640, np.arange(64) * 320):
        notes = make_notes(onset, np.full(64, 300), np.full(64, 60), 80)
        assert beats.phase_of(notes, beats.beat_grid(Score((Track(notes=notes),)))) == 0


@pytest.mark.parametrize("phase", [-0.5, -0.2, 0.001, 0.3, 0.49])
def test_a_moved_grid_covers_the_piece(phase):
    notes = make_notes([0], [20 * 960], [60], 80)
    grid = beats.beat_grid(Score((Track(notes=notes),)), 20 * 960)
    moved = beats.shift_grid(grid, phase)
    assert moved.ticks[0] == 0
    assert moved.ticks[-1] >= 20 * 960
    assert (np.diff(moved.ticks) > 0).all()
    assert moved.ticks[3] == pytest.approx((2 + phase) * 960 + (960 if phase < 0 else 0), abs=1)
    assert len(moved.number) == len(moved.count) == len(moved.place) == len(moved)


def test_scale_of_a_scale_is_its_tonic_and_that_of_its_relative_minor():
    for shift in range(12):
        major = make_notes(
            np.arange(8) * 480, [480] * 8, 60 + shift + np.array([0, 4, 7, 5, 9, 11, 2, 0]), 80
        )
        grid = beats.beat_grid(Score((Track(notes=major),)))
        assert encoding.scale_of(encoding.encode(major, no_notes(), grid)) == shift
    minor = make_notes(np.arange(8) * 480, [480] * 8, [57, 60, 64, 57, 62, 64, 59, 57], 80)
    grid = beats.beat_grid(Score((Track(notes=minor),)))
    assert encoding.scale_of(encoding.encode(minor, no_notes(), grid)) == 0


@pytest.mark.parametrize("beats", [1, 16, 63, 64, 65, 95, 96, 97, 128, 129, 160, 500])
def test_windows_cut_and_joined_give_every_beat_back(beats):
    features = np.random.default_rng(0).random((beats, encoding.FEATURES)).astype(np.float32)
    windows = encoding.cut_windows(features)
    assert windows.shape[1:] == (encoding.WINDOW, encoding.FEATURES)
    assert np.array_equal(encoding.join_windows(windows, beats), features)


def test_rotations_undo_each_other():
    rng = np.random.default_rng(0)
    features = rng.random((7, encoding.FEATURES)).astype(np.float32)
    assert np.array_equal(encoding.rotate_features(encoding.rotate_features(features, 5), 7), features)
    values = rng.random((3, 25))
    assert encoding.rotate_classes(values, 2)[0, 2] == values[0, 0]
    assert encoding.rotate_classes(values, 2)[0, 14] == values[0, 12]
    assert np.array_equal(encoding.rotate_classes(values, 2)[:, 24], values[:, 24])


def test_paths_and_posteriors_are_what_trying_everything_finds():
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 20, (2, 2, 12))
    progression = Progression(move_from_counts(counts), 0.7)
    emission = np.full((4, 25), -1e6)
    some = [0, 7, 21, 24]
    emission[:, some] = rng.normal(0, 2, (4, 4))
    change = np.array([0.5, 0.1, 0.9, 0.3])

    def score(path):
        total = emission[0, path[0]]
        for t, (a, b) in enumerate(pairwise(path), start=1):
            moved = np.log(change[t]) + progression.move[a, b]
            total += emission[t, b] + 0.7 * (np.log(1 - change[t]) if a == b else moved)
        return total

    paths = list(product(some, repeat=4))
    scores = np.array([score(path) for path in paths])
    assert viterbi(emission, change, progression).tolist() == list(paths[int(scores.argmax())])
    share = np.exp(scores - scores.max())
    expected = np.zeros((4, 25))
    for path, s in zip(paths, share / share.sum(), strict=True):
        expected[np.arange(4), path] += s
    assert posteriors(emission, change, progression) == pytest.approx(expected)


def hearing(chord, colour=None):
    """A hearing of four beats by (class, log probability) of each, with colours (4, colours)."""
    log_p = np.full((4, 25), -9.0)
    for beat, likely in enumerate(chord):
        for index, value in likely:
            log_p[beat, index] = value
    colour = np.full((4, len(COLOURS)), -3.0) if colour is None else colour
    return Hearing(chord=log_p, colour=colour, change=np.full(4, 0.5), key=np.zeros((4, 24)))


def bar_grid():
    return beats.beat_grid(Score((Track(),), meters=(Meter(0, 4, 4),)), 3840)


def test_known_chords_hold_and_lead_the_others():
    moves = np.zeros((2, 2, 12))
    moves[0, 0, 5] = 10**6
    progression = Progression(move_from_counts(moves), 1.0)
    # G in the first beats; then C or A as likely: a fifth down is what follows.
    heard = hearing([[(7, -0.1)], [(7, -0.1)], [(0, -0.7), (9, -0.7)], [(0, -0.7), (9, -0.7)]])
    free = np.full(4, -1)
    for size in ("auto", "beat"):
        assert find_classes(heard, bar_grid(), progression, size, free, free > 0).tolist() == [7, 7, 0, 0]
        # A known E leads to A.
        fixed = np.array([4, 4, -1, -1])
        assert find_classes(heard, bar_grid(), progression, size, fixed, free > 0).tolist() == [4, 4, 9, 9]
    assert find_classes(heard, bar_grid(), progression, "half", free, free > 0).tolist() == [7, 7, 0, 0]
    assert len(set(find_classes(heard, bar_grid(), progression, "bar", free, free > 0).tolist())) == 1


def test_a_melody_alone_changes_chords_at_bar_lines_rather_than_with_each_note():
    grid = beats.beat_grid(Score((Track(),), meters=(Meter(0, 4, 4),)), 2 * 3840)
    progression = Progression(move_from_counts(np.zeros((2, 2, 12))), 0.1)
    chord = np.full((8, 25), -9.0)
    # Heard by itself, the second beat is G and so is the second bar.
    for beat, likely in enumerate([0, 7, 0, 0, 7, 7, 7, 7]):
        chord[beat, [likely, 7 - likely]] = -0.2, -1.4
    heard = Hearing(
        chord=chord, colour=np.zeros((8, len(COLOURS))), change=np.full(8, 0.5), key=np.zeros((8, 24))
    )
    free = np.full(8, -1)
    assert find_classes(heard, grid, progression, "auto", free, free > 0).tolist() == [0, 7, 0, 0, 7, 7, 7, 7]
    assert find_classes(heard, grid, progression, "auto", free, free < 0).tolist() == [0, 0, 0, 0, 7, 7, 7, 7]


def test_the_melody_is_alone_where_the_rest_is_silent_for_a_bar():
    melody = make_notes([0], [12 * 960], [60], 80)
    chords = make_notes([0, 3 * 960], [2 * 960, 3 * 960], [48, 48], 80)
    grid = beats.beat_grid(Score((Track(),), meters=(Meter(0, 4, 4),)), 12 * 960)
    assert Parts(melody, chords).alone(grid).tolist() == [False] * 6 + [True] * 6
    assert Parts(melody, no_notes()).alone(grid).all()


def test_a_colour_that_the_vocabulary_lacks_counts_for_what_is_left():
    colour = np.full((4, len(COLOURS)), -20.0)
    seventh, plain, sus = (COLOURS.index(c) for c in ("minor seventh", "plain", "sus4"))
    colour[:, [seventh, plain, sus]] = np.log([0.35, 0.25, 0.4])
    heard = hearing([[(7, -0.1)]] * 4, colour)
    classes = np.full(4, 7)

    def found(vocabulary):
        (quality,) = {c.quality for c in find_colours(classes, heard, bar_grid(), "auto", vocabulary)}
        return quality

    assert (found("full"), found("triads"), found("majmin")) == ("sus4", "maj", "maj")


@pytest.mark.parametrize("vocabulary", ["full", "triads", "majmin"])
def test_a_colour_never_makes_another_class(vocabulary):
    """A diminished colour on a major class would be another chord."""
    for index, colour in product(range(25), range(len(COLOURS))):
        log_p = np.full((4, len(COLOURS)), -9.0)
        log_p[:, colour] = 0
        heard = hearing([[(index, -0.1)]] * 4, log_p)
        (chord,) = set(find_colours(np.full(4, index), heard, bar_grid(), "auto", vocabulary))
        assert classes_of(chord)[0] == index
        if chord.is_chord and vocabulary == "majmin":
            assert chord.quality == ("min" if index >= 12 else "maj")


def test_moves_are_probabilities_relative_to_the_root():
    counts = np.zeros((2, 2, 12))
    counts[0, 0, 5] = 1000
    move = np.exp(move_from_counts(counts))
    assert np.allclose(np.delete(move[0], 0).sum(), 1, atol=0.01)
    assert move[0, 5] == move[7, 0]
    assert move[0, 5] > 0.9


def test_every_colour_names_a_chord_and_is_read_from_it():
    for index in range(24):
        for colour in range(len(COLOURS)):
            chord = chord_of(index, colour)
            assert chord.root == index % 12
            assert chord_of(*classes_of(chord)).quality == chord.quality
    assert not chord_of(24, 3).is_chord


@pytest.mark.parametrize("quality", QUALITIES)
def test_voicings_hold_the_chord_in_the_range(quality):
    for root, bass in product(range(12), range(12)):
        chord = Chord(root, quality, bass)
        found = voicings_of(chord)
        assert len(found)
        assert found.min() >= LOWEST
        assert found.max() <= HIGHEST
        assert (np.diff(found, axis=1) > 0).all()
        assert (found[:, 0] % 12 == bass).all()
        third = (root + QUALITIES[quality].intervals[1]) % 12
        for voicing in found[:3]:
            classes = {int(p) % 12 for p in voicing}
            assert classes <= set(chord.pitch_classes)
            assert third in classes


def spans_of(text):
    return [Span(parse_chord(s), i * 3840, (i + 1) * 3840) for i, s in enumerate(text.split())]


@given(
    st.lists(st.sampled_from(["C", "Am7", "F#dim", "Eb7", "Bbmaj7", "G/B", "D5"]), min_size=1, max_size=12)
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_voices_stay_below_a_high_melody_and_move_little(symbols):
    spans = spans_of(" ".join(symbols))
    melody = make_notes([0], [len(spans) * 3840], [79], 80)
    voicings = lead_voices(spans, melody)
    assert all(v.max() < 79 for v in voicings)
    for span, voicing in zip(spans, voicings, strict=True):
        assert {int(p) % 12 for p in voicing} <= set(span.chord.pitch_classes)
    # No upper voice leaps by more than a sixth.
    for a, b in pairwise(voicings):
        n = min(len(a), len(b)) - 1
        assert np.abs(a[-n:] - b[-n:]).max() <= 9


def test_common_tones_are_kept():
    first, second = lead_voices(spans_of("C Am"), no_notes())
    assert len({int(p) for p in first[1:]} & {int(p) for p in second[1:]}) == 2


def test_a_voice_avoids_the_semitone_below_a_held_melody_note():
    melody = make_notes([0], [3840], [65], 80)
    (voicing,) = lead_voices(spans_of("C"), melody)
    assert 64 not in voicing.tolist()
    assert voicing.max() < 65
