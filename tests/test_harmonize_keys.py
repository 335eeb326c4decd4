"""Local keys and key signatures of the harmonize stage."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_harmonize import drums, labels, run, tune

from segue.harmonize import keys as keys_module
from segue.harmonize.keys import Region, key_path, main_key, with_signatures
from segue.ingest.key import Key, class_of_key, key_of_class, key_of_signature, signature_of
from segue.midi import read_midi, write_midi
from segue.score import KeySignature, Meter, Score, Tempo, Track, make_notes

#: Sixteen bars of a song in C: a phrase that closes, one that opens, both again.
SONG = [
    64, 65, 67, 72, 71, 69, 67, 64, 65, 69, 67, 65, 64, 62, 60, 60,
    67, 67, 69, 67, 65, 64, 62, 62, 64, 67, 65, 62, 60, 59, 60, 60,
] * 2  # fmt: skip
CHORDS = ["C", "Am", "F", "C", "F", "C", "G", "C", "C", "F", "G", "G", "C", "Dm", "G", "C"]
TRIADS = {"C": (48, 52, 55), "Am": (45, 52, 57), "F": (41, 53, 57), "G": (43, 55, 59), "Dm": (50, 53, 57)}


def song(parts, accompanied=True, **changes):
    """Sixteen bars of 2/2-like song for each shift in `parts` (semitones), one after the other."""
    pitch = np.concatenate([np.array(SONG) + shift for shift in parts])
    onset = np.arange(len(pitch)) * 960
    tracks = [Track("tune", 0, 73, make_notes(onset, np.full(len(pitch), 900), pitch, 80))]
    if accompanied:
        rows = [
            (i * 3840, p + shift)
            for k, shift in enumerate(parts)
            for i, name in enumerate(CHORDS, start=16 * k)
            for p in TRIADS[name]
        ]
        at, low = zip(*rows, strict=True)
        tracks.append(Track("piano", 1, 0, make_notes(at, np.full(len(at), 3800), low, 60)))
    return replace(Score(tuple(tracks), (Tempo(0, 500_000),), (Meter(0, 4, 4),)), **changes)


def roles_of(score):
    return ["melody", "chords"][: len(score.tracks)]


def run_song(score, **changes):
    return run(score, roles_of(score), **changes)


def keys_of(result):
    return [(k["tick"], k["tonic"], k["mode"]) for k in result.record["keys"]]


@pytest.mark.parametrize("accompanied", [True, False])
def test_a_song_without_modulation_has_one_key(accompanied):
    result = run_song(song([0, 0], accompanied))
    assert keys_of(result) == [(0, 0, "major")]
    assert result.record["key"] == {"tonic": 0, "mode": "major", "name": "C major"}
    assert result.score.keys == (KeySignature(0, 0, False),)


@pytest.mark.parametrize("up", [1, 2, 3, 5])
def test_the_last_verse_in_another_key_is_found_and_written(up):
    result = run_song(song([0, 0, up]))
    start = 32 * 3840
    (first, *_), second = keys_of(result)[0], keys_of(result)[-1]
    assert (first, len(keys_of(result))) == (0, 2)
    # Within two bars: the first chords of a verse may belong to both keys.
    assert abs(second[0] - start) <= 2 * 3840
    assert second[1:] == (up, "major")
    assert result.record["key"]["tonic"] == 0
    assert [(k.tick, key_of_signature(k).tonic) for k in result.score.keys] == [(0, 0), (second[0], up)]


def test_a_secondary_dominant_is_no_modulation():
    score = song([0, 0])
    piano = score.tracks[1].notes.copy()
    # D7 before the G of the eleventh bar, each time.
    for bar in (9, 25):
        inside = piano["onset_tick"] == bar * 3840
        piano["pitch"][inside] = [50, 54, 60]
    score = score.with_track(1, replace(score.tracks[1], notes=piano))
    assert keys_of(run_song(score)) == [(0, 0, "major")]


@pytest.mark.parametrize("shift", range(-5, 7))
def test_transposing_transposes_keys_symbols_and_numerals_stay(shift):
    parts = [0, 0, 3]
    plain, moved = run_song(song(parts)), run_song(song([p + shift for p in parts]))
    assert [(t, (k + shift) % 12, m) for t, k, m in keys_of(plain)] == keys_of(moved)
    assert (plain.record["key"]["tonic"] + shift) % 12 == moved.record["key"]["tonic"]
    chords, others = plain.record["chords"], moved.record["chords"]
    assert [(c["tick"], c["roman"]) for c in chords] == [(c["tick"], c["roman"]) for c in others]
    assert [k.tick for k in plain.score.keys] == [k.tick for k in moved.score.keys]
    assert plain.report == moved.report


@pytest.mark.parametrize("factor", [2, 0.5])
def test_another_tempo_changes_nothing_else(factor):
    score = song([0, 2], tempos=(Tempo(0, 600_000), Tempo(7680, 400_000)))
    faster = replace(score, tempos=tuple(Tempo(t.tick, int(t.us_per_quarter / factor)) for t in score.tempos))
    one, two = run_song(score, track="always"), run_song(faster, track="always")
    assert write_midi(replace(one.score, tempos=())) == write_midi(replace(two.score, tempos=()))
    assert (one.record, one.report) == (two.record, two.report)


def test_both_backends_hear_the_same_keys():
    score = song([0, 0, 1])
    one, two = (run_song(score, backend=b) for b in ("onnx", "tflite"))
    assert (one.record, one.report) == (two.record, two.report)


def test_modulations_stand_at_bar_lines_in_three_four_after_a_pickup():
    waltz = song([0, 2])
    three = [
        replace(t, notes=make_notes(*(t.notes[n] for n in ("onset_tick", "duration_tick", "pitch")), 80))
        for t in waltz.tracks
    ]
    # The same notes four to a bar of 4/4, counted in bars of 3/4 after a pickup of one beat.
    score = replace(waltz, tracks=tuple(three), meters=(Meter(0, 1, 4), Meter(960, 3, 4)))
    result = run_song(score)
    assert len(keys_of(result)) == 2
    assert all((tick - 960) % 2880 == 0 for tick, _, _ in keys_of(result)[1:])
    assert all((k.tick - 960) % 2880 == 0 for k in result.score.keys[1:])


def test_chords_are_spelt_in_the_key_that_holds_there():
    flat = run_song(song([5, 5, 1]))  # F major, then Db major.
    names = [name for tick, name in labels(flat) if tick >= 33 * 3840]
    assert {"Db", "Gb", "Ab"} <= {name.split("/")[0].rstrip("7") for name in names}
    sharp = run_song(song([2, 2, 6]))  # D major, then F# major.
    names = [name for tick, name in labels(sharp) if tick >= 33 * 3840]
    assert not any("b" in name.split("/")[0][:2] for name in names)


def test_a_signature_that_agrees_decides_between_relatives_and_is_kept():
    minor = [69, 71, 72, 74, 76, 76, 77, 74, 76, 72, 71, 69, 68, 71, 69, 69] * 2
    given = {"tonic": 0, "mode": "major", "name": "C major"}
    result = run(tune(minor), record={"key": given})
    assert keys_of(result) == [(0, 0, "major")]
    assert result.score.keys == tune(minor).keys


@pytest.mark.parametrize(
    ("choice", "own", "expected"),
    [
        ("auto", (), [(0, 2), (7680, 4)]),
        ("never", (), []),
        # C major at the start is what programs write that know no better.
        ("auto", ((0, 0),), [(0, 2), (7680, 4)]),
        # Another signature is somebody's, and only the modulation is new.
        ("auto", ((0, 2),), [(0, 2), (7680, 4)]),
        ("auto", ((0, -3),), [(0, -3), (7680, 4)]),
        ("auto", ((0, 2), (3840, 1)), [(0, 2), (3840, 1)]),
        ("always", ((0, -3), (3840, 1)), [(0, 2), (7680, 4)]),
        ("never", ((0, -3),), [(0, -3)]),
    ],
)
def test_key_signatures_by_setting(choice, own, expected):
    score = replace(tune(), keys=tuple(KeySignature(tick, sharps, False) for tick, sharps in own))
    regions = [Region(0, Key(2, "major")), Region(7680, Key(4, "major"))]
    made, report = with_signatures(score, regions, choice, clear=True)
    assert [(k.tick, k.sharps) for k in made.keys] == expected
    assert report["written"] - report["removed"] == len(made.keys) - len(own)
    # What is heard and not written has a reason.
    assert (("auto", "never").count(choice) and expected != [(0, 2), (7680, 4)]) == ("reason" in report)


def test_six_flats_are_the_signature_of_the_key_that_is_heard_as_f_sharp_major():
    score = replace(tune(), keys=(KeySignature(0, -6, False),))
    regions = [Region(0, Key(6, "major")), Region(7680, Key(8, "major")), Region(11520, Key(6, "major"))]
    made, report = with_signatures(score, regions[:1], "auto", clear=True)
    assert made.keys == score.keys
    assert "reason" not in report
    made, report = with_signatures(score, regions, "auto", clear=True)
    assert [k.tick for k in made.keys] == [0, 7680, 11520]


def test_a_move_to_the_relative_key_needs_no_signature():
    regions = [Region(0, Key(9, "minor")), Region(7680, Key(0, "major"))]
    made, report = with_signatures(replace(tune(), keys=()), regions, "auto", clear=True)
    assert made.keys == (KeySignature(0, 0, True),)
    assert report["written"] == 1


def test_music_without_a_clear_key_gets_no_signature():
    rng = np.random.default_rng(3)
    steps = np.concatenate([rng.permutation(12) for _ in range(12)])
    result = run(tune((60 + steps).tolist(), keys=()))
    assert result.score.keys == ()
    assert "clearly" in result.report["key_signatures"]["reason"]


def test_signatures_are_read_back_from_the_file():
    result = run_song(song([0, 0, 2]))
    again, _ = read_midi(write_midi(result.score))
    assert again.keys == result.score.keys


def test_drums_have_no_key():
    assert "keys" not in run(Score((drums(),))).record


@pytest.mark.parametrize("index", range(24))
def test_keys_and_signatures_undo_each_other(index):
    key = key_of_class(index)
    assert class_of_key(key) == index
    assert key_of_signature(signature_of(key, 0)) == key
    # As the name spells it: F# has sharps and Db flats.
    sharps = signature_of(key, 0).sharps
    assert -6 <= sharps <= 6
    assert not ("#" in key.name and sharps < 0)
    assert not ("b" in key.name.split()[0][1:] and sharps > 0)


def test_main_key_is_the_one_that_holds_longest():
    regions = [Region(0, Key(0, "major")), Region(10, Key(2, "major")), Region(18, Key(0, "major"))]
    assert main_key(regions, 0, 25).tonic == 0
    assert main_key(regions[:2], 0, 25).tonic == 2
    assert main_key(regions, 8, 25).tonic == 0
    assert main_key([regions[0], Region(15, Key(2, "major"))], 8, 20).tonic == 0
    assert main_key([regions[0], Region(15, Key(2, "major"))], 12, 20).tonic == 2


def test_silence_before_a_late_entry_has_no_say_in_the_keys():
    late = run(tune(start=500 * 3840, keys=()))
    assert keys_of(late) == [(0, 0, "major")]
    assert late.record["key"]["name"] == "C major"
    assert late.score.keys == (KeySignature(0, 0, False),)


@given(st.integers(0, 10**6), st.integers(1, 7))
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_key_path_is_the_best_of_all(seed, bars):
    """Against trying every path over a few keys, with a shorter least length and lower costs."""
    rng = np.random.default_rng(seed)
    some = [0, 2, 7, 21]
    log_p = np.full((bars, 24), -1e3)
    log_p[:, some] = rng.normal(0, 20, (bars, len(some)))
    beats = rng.integers(2, 9, bars)
    cost = keys_module._modulation_costs()

    def score(path):
        cuts = [0, *(i for i in range(1, bars) if path[i] != path[i - 1]), bars]
        if len(cuts) > 2 and min(beats[a:b].sum() for a, b in pairwise(cuts)) < keys_module._LEAST_BEATS:
            return -np.inf
        moves = sum(cost[path[i - 1], path[i]] for i in cuts[1:-1])
        return sum(log_p[i, k] for i, k in enumerate(path)) - moves

    best = max(product(some, repeat=bars), key=score) if bars <= 5 else None
    found = key_path(log_p, beats)
    assert np.isfinite(score(found.tolist()))
    if best is not None:
        assert score(found.tolist()) == pytest.approx(score(best))
