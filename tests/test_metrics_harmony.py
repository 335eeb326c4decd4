import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.chords import NO_CHORD, parse_chord
from segue.metrics import harmony


def chords(text):
    return [parse_chord(symbol) for symbol in text.split()]


def test_class_accuracy_leaves_out_what_the_reduction_leaves_out():
    reference = np.array([0, 12, 24, -1, 7])
    assert harmony.class_accuracy(reference, np.array([0, 0, 24, 3, 7])) == 0.75
    assert np.isnan(harmony.class_accuracy(np.array([-1]), np.array([0])))


def test_negative_log_likelihood():
    log_p = np.log(np.array([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]))
    value = harmony.negative_log_likelihood(np.array([0, 0, -1]), log_p)
    assert value == pytest.approx(1.5 * np.log(2))


def test_sevenths_tells_a_seventh_from_a_triad():
    score, counted = harmony.reduced_accuracy(
        ["C:7", "C:maj", "A:min7", "G:sus4", "N"], ["C:7", "C:7", "A:min", "G:maj", "N"], "sevenths"
    )
    assert (score, counted) == (0.5, 4)


def test_reductions_of_one_pair_each():
    # Columns: reference, estimate, majmin, sevenths, majmin_inv, sevenths_inv. -1: does not count.
    table = [
        ("C:maj", "C:maj", 1, 1, 1, 1),
        ("C:maj/3", "C:maj", 1, 1, 0, 0),
        ("C:maj/3", "C:maj/3", 1, 1, 1, 1),
        ("C:maj", "C:maj/5", 1, 1, 0, 0),
        ("C:7/b7", "C:7/b7", 1, 1, 1, 1),
        ("C:7", "C:maj", 1, 0, 1, 0),
        ("A:min7/b3", "A:min/b3", 1, 0, 1, 0),
        # The bass is a tone of its own: neither major nor minor.
        ("C:maj/2", "C:maj/2", -1, -1, -1, -1),
        ("C:sus4", "C:maj", -1, -1, -1, -1),
        ("C:hdim7", "C:hdim7", -1, -1, -1, -1),
        ("N", "N", 1, 1, 1, 1),
        ("N", "C:maj", 0, 0, 0, 0),
        ("X", "C:maj", -1, -1, -1, -1),
    ]
    reference, estimate, *expected = zip(*table, strict=True)
    for name, scores in zip(("majmin", "sevenths", "majmin_inv", "sevenths_inv"), expected, strict=True):
        assert harmony.reduced_scores(reference, estimate, name).tolist() == list(scores), name
    assert harmony.reduced_accuracy(reference, estimate, "majmin_inv") == (6 / 9, 9)
    assert harmony.reduced_scores([], [], "majmin").tolist() == []
    value, counted = harmony.reduced_accuracy(["X"], ["N"], "majmin")
    assert np.isnan(value)
    assert counted == 0


def test_repeated_pairs_keep_their_places():
    reference = ["C:maj", "G:7", "C:maj", "X", "G:7"]
    estimate = ["C:maj", "G:maj", "A:min", "N", "G:7"]
    assert harmony.reduced_scores(reference, estimate, "sevenths").tolist() == [1, 0, 0, -1, 1]


def test_key_scores_weigh_near_keys():
    # Equal 1, fifth above 0.5, relative 0.3, parallel 0.2, other 0.
    weighted, plain = harmony.key_scores([0, 0, 0, 0, 0], [0, 7, 21, 12, 1])
    assert weighted == pytest.approx(2.0 / 5)
    assert plain == 0.2


def test_local_keys_are_counted_by_the_beat_and_only_where_they_are_known():
    # C C G a and a beat without a reference: C equal, C against its fifth, G equal, a against its relative.
    weighted, plain = harmony.key_scores([0, 0, 7, 21, -1], [0, 7, 7, 0, 5])
    assert weighted == pytest.approx((1 + 0.5 + 1 + 0.3) / 4)
    assert plain == 0.5
    assert np.isnan(harmony.key_scores([-1], [0])).all()


def test_tonal_centroid_of_single_tones():
    # C lies at angle 0 of all three circles; a fifth up at 49, 63 and 28 sixths of pi.
    centroid = harmony.tonal_centroid(np.eye(12))
    assert centroid[0] == pytest.approx([0, 1, 0, 1, 0, 0.5])
    assert centroid[7] == pytest.approx([0.5, np.sqrt(0.75), 1, 0, np.sqrt(0.1875), -0.25])
    assert np.linalg.norm(centroid[0] - centroid[6]) == pytest.approx(np.sqrt(8))


def test_chord_histogram():
    assert harmony.chord_histogram_entropy(chords("C C G G")) == pytest.approx(np.log(2))
    assert harmony.chord_histogram_entropy(chords("C C C")) == 0
    assert harmony.chord_coverage(chords("C Am C G G7")) == 4


def test_chord_tonal_distance():
    # C5 and F#5 have centroids (.25, .933, .5, .5, .217, .125) and (-.25, -.933, -.5, -.5, .217, .125).
    far = np.sqrt(0.5**2 + (1 + np.sqrt(0.75)) ** 2 + 1 + 1)
    assert harmony.chord_tonal_distance(chords("C5 F#5")) == pytest.approx(far)
    assert harmony.chord_tonal_distance(chords("C5 C5 F#5")) == pytest.approx(far / 2)
    assert np.isnan(harmony.chord_tonal_distance([parse_chord("C"), NO_CHORD]))


def test_chord_tone_ratio_counts_resolved_tones():
    # C and E are tones; D goes to E in a step; F# leaps to A, and A leads nowhere: (2 + 1) / (2 + 3).
    pitch = np.array([60, 62, 64, 66, 69])
    assert harmony.chord_tone_ratio(np.arange(5) * 0.5, pitch, chords("C C C")) == pytest.approx(0.6)


def test_chord_tone_ratio_resolves_through_repetition_into_the_next_chord():
    # D D over C go to C#, which is a tone of A: (1 + 2) / (1 + 2).
    assert harmony.chord_tone_ratio(np.array([0, 0.5, 1]), np.array([62, 62, 61]), chords("C A")) == 1
    # Over C again C# is no tone: nothing counts as resolved.
    assert harmony.chord_tone_ratio(np.array([0, 0.5, 1]), np.array([62, 62, 61]), chords("C C")) == 0


def test_notes_without_a_chord_do_not_count():
    sequence = [NO_CHORD, parse_chord("C")]
    assert harmony.chord_tone_ratio(np.array([0, 1, 7]), np.array([66, 60, 66]), sequence) == 1
    assert np.isnan(harmony.chord_tone_ratio(np.array([0.0]), np.array([60]), [NO_CHORD]))


def test_pitch_consonance_is_weighted_by_duration():
    # C over C: unison 1, sixth 1, fourth 0. F over C: fourth 0, semitone -1, seventh -1.
    value = harmony.pitch_consonance_score(
        np.array([0, 3]), np.array([3, 1]), np.array([60, 65]), chords("C C C C")
    )
    assert value == pytest.approx((3 * 2 / 3 - 2 / 3) / 4)


def test_a_note_across_a_change_counts_for_both_chords():
    # C over C: 2/3; C over F: fifth 1, third's inversion (C - A = 3) 1, unison 1.
    value = harmony.pitch_consonance_score(np.array([0.5]), np.array([1.0]), np.array([72]), chords("C F"))
    assert value == pytest.approx((2 / 3 + 1) / 2)
    half = harmony.pitch_consonance_score(
        np.array([0.5]), np.array([1.0]), np.array([72]), chords("C C F"), cell=0.5
    )
    assert half == pytest.approx((2 / 3 + 1) / 2)


def test_melody_chord_tonal_distance():
    # C against C5: half of the way to the centroid of G.
    c, g = harmony.tonal_centroid(np.eye(12))[[0, 7]]
    value = harmony.melody_chord_tonal_distance(np.array([0]), np.array([1]), np.array([60]), chords("C5"))
    assert value == pytest.approx(np.linalg.norm(c - g) / 2)
    assert value == pytest.approx(0.8686, abs=1e-4)


def test_the_six_figures_of_two_bars():
    # Two beats of C, one of G, one of no chord; the melody goes E F G (a beat each) and rests.
    sequence = [*chords("C C G"), NO_CHORD]
    onset, pitch = np.array([0, 1, 2]), np.array([64, 65, 67])
    figures = harmony.quality(onset, np.ones(3), pitch, sequence)
    assert figures["CHE"] == pytest.approx(-0.5 * np.log(0.5) - 2 * 0.25 * np.log(0.25))
    assert figures["CC"] == 3
    # E is a tone; F is none and goes a whole tone up to G, the root of G: (2 + 1) / (2 + 1).
    assert figures["CTnCTR"] == 1
    # E over C, E, G: third 1, unison 1, sixth 1. F: fourth 0, second -1, seventh -1. G over G, B, D: 1, 1, 0.
    assert figures["PCS"] == pytest.approx((3 / 3 - 2 / 3 + 2 / 3) / 3)
    # Centroids by their definition, one tone at a time.
    angles, radii = (7 * np.pi / 6, 3 * np.pi / 2, 2 * np.pi / 3), (1, 1, 0.5)

    def centre(*tones):
        each = [
            [r * f(t * a) for a, r in zip(angles, radii, strict=True) for f in (np.sin, np.cos)]
            for t in tones
        ]
        return np.mean(each, axis=0)

    c, g = centre(0, 4, 7), centre(7, 11, 2)
    # The step from C to C is 0, and the one to no chord is left out.
    assert figures["CTD"] == pytest.approx(np.linalg.norm(g - c) / 2)
    away = [np.linalg.norm(a - b) for a, b in ((centre(4), c), (centre(5), c), (centre(7), g))]
    assert figures["MCTD"] == pytest.approx(np.mean(away))


def test_consonance_of_every_interval_above_a_lone_root():
    # Against C5 = C and G; its G is a fifth up, so a note at interval i lies at i - 7 above that.
    worth = [1, -1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1]
    for i in range(12):
        value = harmony.pitch_consonance_score(np.array([0]), np.array([1]), np.array([60 + i]), chords("C5"))
        assert value == (worth[i] + worth[(i - 7) % 12]) / 2


def test_resolution_reaches_two_semitones_and_no_farther():
    # F# over C: to G (1) and to E (2) resolves, to D# (3, no tone) and to C (6, a tone) does not.
    for follow, share in ((67, 1.0), (64, 1.0), (63, 0.0), (60, 0.5)):
        ratio = harmony.chord_tone_ratio(np.array([0, 0.5]), np.array([66, follow]), chords("C"))
        assert ratio == share, follow


def test_a_mean_leaves_out_what_a_piece_does_not_have():
    silent = harmony.quality(np.zeros(0), np.zeros(0), np.zeros(0), chords("C G"))
    played = harmony.quality(np.array([0]), np.array([1]), np.array([60]), chords("C G"))
    mean = harmony.mean_quality([silent, played])
    assert np.isnan(silent["PCS"])
    assert mean["PCS"] == played["PCS"]
    assert mean["CC"] == 2
    assert np.isnan(harmony.mean_quality([silent])["MCTD"])


def plain_figures(onset, duration, pitch, sequence):
    """PCS, MCTD and CTnCTR note by note and tone by tone, straight from the definitions."""

    def centre(tones):
        angles, radii = (7 * np.pi / 6, 3 * np.pi / 2, 2 * np.pi / 3), (1, 1, 0.5)
        each = [
            [r * f(t * a) for a, r in zip(angles, radii, strict=True) for f in (np.sin, np.cos)]
            for t in tones
        ]
        return np.mean(each, axis=0)

    consonance, distance, weight = 0.0, 0.0, 0.0
    for start, length, p in zip(onset, duration, pitch, strict=True):
        for beat, chord in enumerate(sequence):
            together = min(start + length, beat + 1) - max(start, beat)
            if together > 0 and chord.is_chord:
                above = [(p - tone) % 12 for tone in chord.pitch_classes]
                worth = [1 if i in (0, 3, 4, 7, 8, 9) else 0 if i == 5 else -1 for i in above]
                consonance += together * np.mean(worth)
                distance += together * np.linalg.norm(centre([p % 12]) - centre(chord.pitch_classes))
                weight += together
    tones = resolved = foreign = 0
    for i, (start, p) in enumerate(zip(onset, pitch, strict=True)):
        if int(start) >= len(sequence) or not sequence[int(start)].is_chord:
            continue
        if p % 12 in sequence[int(start)].pitch_classes:
            tones += 1
            continue
        foreign += 1
        following = [j for j in range(i + 1, len(pitch)) if pitch[j] != p][:1]
        for j in following:
            inside = int(onset[j]) < len(sequence)
            is_tone = inside and pitch[j] % 12 in sequence[int(onset[j])].pitch_classes
            resolved += is_tone and abs(pitch[j] - p) <= 2
    ratio = (tones + resolved) / (tones + foreign) if tones + foreign else np.nan
    return [x / weight if weight else np.nan for x in (consonance, distance)] + [ratio]


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_the_figures_are_what_their_definitions_say_note_by_note(seed, beats, notes):
    rng = np.random.default_rng(seed)
    symbols = ["C", "Am7", "G/B", "F#m7b5", "N.C.", "D/C", "Bdim7", "C5"]
    sequence = [parse_chord(symbols[i]) for i in rng.integers(0, len(symbols), beats)]
    onset = np.sort(rng.integers(0, 4 * beats + 4, notes)) / 4
    duration = rng.integers(1, 12, notes) / 4
    pitch = 60 + rng.integers(0, 8, notes)
    found = harmony.quality(onset, duration, pitch, sequence)
    expected = plain_figures(onset, duration, pitch, sequence)
    assert [found[n] for n in ("PCS", "MCTD", "CTnCTR")] == pytest.approx(expected, nan_ok=True)
