"""Chords with their bass, chords that a file carries, and the accompaniment of an extension."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_harmonize import ODE, labels, run, tune
from test_harmonize_keys import run_song, song

from segue import complete
from segue.beats import beat_grid
from segue.chords import chord_index_at, chords_of_record, parse_chord
from segue.config import check_stage
from segue.harmonize.basses import SILENT, lowest_by_slot, with_basses
from segue.harmonize.decode import stretches
from segue.harmonize.symbols import Symbol, holds
from segue.process import stage_spec
from segue.runtime import load_model
from segue.score import Meter, Score, Text, Track, make_notes, no_notes

BAR = 3840
Q = 960


def basses(chords, rows, meter=(4, 4), melody=None):
    """The symbols of the beats of `chords` (one text a bar) over notes (beat, beats, pitch)."""
    at, length, pitch = zip(*rows, strict=True) if rows else ((), (), ())
    notes = make_notes(np.array(at) * Q, np.array(length) * Q, pitch, 80)
    bars = chords.split()
    score = Score((Track(notes=notes),), meters=(Meter(0, *meter),))
    grid = beat_grid(score, len(bars) * Meter(0, *meter).bar_ticks)
    per_bar = len(grid) // len(bars)
    given = [parse_chord(text) for text in bars for _ in range(per_bar)]
    found = with_basses(given, grid, notes, no_notes() if melody is None else melody)
    return [c.symbol() for c in found]


def test_the_bass_that_holds_is_written():
    rows = [(0, 4, 40), (0, 4, 55), (0, 4, 60), (4, 4, 43), (8, 4, 48)]
    assert basses("C C C", rows) == ["C/E"] * 4 + ["C/G"] * 4 + ["C"] * 4


@pytest.mark.parametrize(
    "rows",
    [
        # Root and fifth by turns, within the bar, from bar to bar, and with the chord struck in between.
        [(0, 1, 48), (1, 1, 43), (2, 1, 48), (3, 1, 43)],
        [(0, 1, 48), (1, 1, 60), (2, 1, 43), (3, 1, 60)],
        # A broken chord, and a bass that walks down.
        [(0, 0.5, 48), (0.5, 0.5, 55), (1, 0.5, 64), (1.5, 0.5, 55), (2, 2, 52)],
        [(0, 1, 48), (1, 1, 47), (2, 1, 45), (3, 1, 43)],
    ],
)
def test_a_bass_that_moves_from_the_root_is_no_inversion(rows):
    assert basses("C", rows) == ["C"] * 4


def test_an_oom_pah_bass_from_bar_to_bar_is_no_inversion():
    rows = [(4 * i, 4, 48 if i % 2 == 0 else 43) for i in range(4)]
    assert basses("C C C C", rows) == ["C"] * 16
    # A second bar over the fifth that leads on is one.
    rows = [(0, 4, 48), (4, 4, 43), (8, 4, 41)]
    assert basses("C C F", rows) == ["C"] * 4 + ["C/G"] * 4 + ["F"] * 4
    # In a waltz that always goes this way it is not.
    chords = "C C F F C C G G C C"
    roots = {"C": 48, "F": 53, "G": 55}
    rows = [(3 * i, 1, roots[c] + (-5 if i % 2 else 0)) for i, c in enumerate(chords.split())]
    rows += [(3 * i + k, 1, 64) for i in range(10) for k in (1, 2)]
    assert basses(chords, rows, (3, 4)) == [c for c in chords.split() for _ in range(3)]


def test_a_foreign_bass_must_be_held():
    held = [(0, 4, 38), (0, 4, 60), (0, 4, 64), (0, 4, 67)]
    assert basses("C", held) == ["C/D"] * 4
    passing = [(0, 1, 38), (1, 3, 40), (0, 4, 60)]
    assert basses("C", passing) == ["C/E"] * 4


def test_a_late_release_of_the_bass_before_does_not_count():
    rows = [(0, 4.1, 43), (4.02, 3.9, 48), (4, 4, 64)]
    assert basses("G C", rows)[4:] == ["C"] * 4


def test_a_line_above_the_melody_is_no_bass():
    melody = make_notes([0], [BAR], [60], 80)
    assert basses("C", [(0, 4, 76)], melody=melody) == ["C"] * 4
    assert basses("C", [(0, 4, 52)], melody=melody) == ["C/E"] * 4
    assert basses("C N.C.", []) == ["C"] * 4 + ["N.C."] * 4


@given(
    st.lists(st.sampled_from(["C", "Am7", "F#dim", "Eb7", "Gsus4", "N.C.", "Caug"]), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30), st.integers(20, 90)), max_size=20),
    st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (2, 2)]),
    st.integers(-12, 12),
)
@hypothesis_settings(max_examples=80, deadline=None)
def test_basses_change_nothing_else_and_move_with_the_notes(chords, rows, meter, shift):
    onset, length, pitch = np.array(rows, np.int64).reshape(-1, 3).T

    def found(up):
        notes = make_notes(onset * 240, length * 240, pitch + up, 80)
        score = Score((Track(notes=notes),), meters=(Meter(0, *meter),))
        grid = beat_grid(score, len(chords) * Meter(0, *meter).bar_ticks)
        given = [
            parse_chord(chords[min(i * len(chords) // len(grid), len(chords) - 1)]) for i in range(len(grid))
        ]
        moved = [c.transposed(up) for c in given]
        return moved, with_basses(moved, grid, notes, no_notes()), lowest_by_slot(notes, grid)

    given_chords, made, low = found(0)
    assert [(c.root, c.quality) for c in made] == [(c.root, c.quality) for c in given_chords]
    # A bass is the root or a note that is heard.
    heard = set((low[low < SILENT] % 12).tolist())
    assert all(c.bass == c.root or c.bass in heard for c in made)
    assert found(shift)[1] == [c.transposed(shift) for c in made]


def test_inversions_of_an_arrangement():
    score = song([0, 0])
    piano = score.tracks[1].notes.copy()
    # The F of every third bar, and that alone, over its third.
    third = (piano["onset_tick"] % (16 * BAR) == 2 * BAR) & (piano["pitch"] == 41)
    piano["pitch"][third] = 45
    piano["pitch"][np.flatnonzero(third) + 2] = 60
    score = score.with_track(1, replace(score.tracks[1], notes=piano))
    found = dict(labels(run_song(score)))
    assert found[2 * BAR] == found[18 * BAR] == "F/A"
    assert [label for label in found.values() if "/" in label] == ["F/A", "F/A"]
    assert not any("/" in label for _, label in labels(run_song(score, inversions=False)))
    alone = replace(score, tracks=score.tracks[:1])
    assert not any("/" in label for _, label in labels(run(alone)))


@pytest.mark.parametrize(
    ("vocabulary", "allowed"),
    [("majmin", {"maj", "min"}), ("triads", {"maj", "min", "dim", "aug", "sus4", "sus2"})],
)
def test_vocabularies(vocabulary, allowed):
    sevenths = ["Dm7", "G7", "Cmaj7", "Am7", "Bdim7", "Em7b5", "A7", "Dm6", "Gsus4", "Gaug", "C6"] * 2
    rows = [
        (i * BAR, p)
        for i, name in enumerate(sevenths)
        for p in (48 + np.array(parse_chord(name).pitch_classes))
    ]
    at, pitch = zip(*rows, strict=True)
    score = Score(
        (Track("pad", 1, 0, make_notes(at, np.full(len(at), 3800), pitch, 60)),), meters=(Meter(0, 4, 4),)
    )
    full = chords_of_record(run(score, ["chords"]).record)[1]
    few = chords_of_record(run(score, ["chords"], vocabulary=vocabulary).record)[1]
    assert {c.quality for c in full} - allowed
    assert {c.quality for c in few if c.is_chord} <= allowed


def test_beat_grid_is_decoded_over_the_piece():
    """More changes than `auto` allows, but not the likeliest class of each beat by itself."""
    score = song([0, 0])
    auto, beat = (labels(run_song(score, grid=g)) for g in ("auto", "beat"))
    assert len(beat) >= len(auto)
    noise = make_notes(np.arange(64) * Q, np.full(64, 900), np.random.default_rng(0).integers(60, 84, 64), 80)
    assert len(labels(run(tune(noise["pitch"].tolist()), grid="beat"))) < 48


def file_chords(*pairs):
    return tuple(Text(bar * BAR, 6, label) for bar, label in pairs)


def test_chords_are_found_where_the_file_stops_to_write_them():
    given = file_chords((0, "C"), (1, "Am7"), (2, "F"), (3, "G7sus4"))
    score = tune([*ODE, *ODE, *ODE], texts=given)
    result = run(score)
    found = labels(result)
    assert found[:4] == [(i * BAR, t.text) for i, t in enumerate(given)]
    later = [(tick, label) for tick, label in found if tick >= 4 * BAR]
    assert len(later) > 8
    kept = next(e for e in result.report["skipped"] if "places_without" in e)
    assert kept["places_without"] == [{"from_tick": 4 * BAR, "to_tick": 24 * BAR}]
    assert set(given) <= set(result.score.texts)


def test_chords_are_found_in_a_long_gap_and_a_symbol_after_it_holds():
    given = file_chords(
        (0, "C"), (1, "Dm7"), (2, "C"), (3, "Dm7"), (20, "Ab"), (21, "Eb"), (22, "Ab"), (23, "Eb")
    )
    result = run(tune([*ODE, *ODE, *ODE], texts=given))
    inside = [label for tick, label in labels(result) if 4 * BAR <= tick < 20 * BAR]
    assert {"C", "G"} <= {label.rstrip("7") for label in inside}
    assert [t for t in labels(result) if t[0] >= 20 * BAR] == [(t.tick, t.text) for t in given[4:]]


def test_a_pickup_before_the_first_symbol_has_no_chord_of_its_own():
    given = (Text(BAR, 6, "C"), *file_chords((2, "F"), (3, "G7")))
    result = run(tune(start=BAR - Q, texts=given))
    assert labels(result)[0] == (BAR, "C")
    assert result.score.tracks[-1].notes["onset_tick"].min() == BAR
    # A bar or more is none.
    assert labels(run(tune(start=BAR - Q, texts=given[1:])))[0][0] == BAR - Q
    # Notation programs write a pickup as a short bar.
    written = tuple(Text(Q + bar * BAR, 6, label) for bar, label in enumerate(["C", "F", "G7"]))
    short = replace(tune(texts=written), meters=(Meter(0, 1, 4), Meter(Q, 4, 4)))
    assert labels(run(short))[0] == (Q, "C")


def test_symbols_tell_the_key_of_a_melody():
    # Five tones that C minor and C major share; the symbols say which.
    notes = [60, 62, 67, 65, 62, 67, 65, 60] * 4
    for third, key in (("Cm Fm Gm Cm", "C minor"), ("C F G C", "C major")):
        given = file_chords(*((bar, label) for bar, label in enumerate(third.split() * 2)))
        assert run(tune(notes, texts=given)).record["key"]["name"] == key


def test_chords_that_hold_for_some_bars_and_no_chord_leave_no_gap():
    sparse = file_chords((0, "Cmaj7"), (4, "F"), (12, "C"))
    assert len(labels(run(tune([*ODE, *ODE], texts=sparse)))) == 3
    silent = file_chords((0, "C"), (1, "G"), (2, "N.C."))
    assert labels(run(tune([*ODE, *ODE, *ODE], texts=silent)))[-1] == (2 * BAR, "N.C.")


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["C", "G7", "N.C."])), max_size=12), st.booleans()
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_symbols_hold_one_after_the_other(pairs, extended):
    symbols = [Symbol(t * 1000, parse_chord(x), x) for t, x in sorted(dict(pairs).items())]
    grid = beat_grid(tune(), 40 * BAR)
    spans = holds(symbols, grid, 30 * BAR if extended else None)
    assert len(spans) == len(symbols)
    for (start, stop), (following, _) in zip(spans, [*spans[1:], (len(grid), 0)][: len(spans)], strict=True):
        assert start <= stop <= following
    if extended and spans:
        assert max(spans[-1][0], 120) >= spans[-1][1]


def test_numerals_are_told_in_the_record():
    result = run_song(song([0, 0]))
    told = {c["label"]: c["roman"] for c in result.record["chords"]}
    assert (told["C"], told["F"], told["G"]) == ("I", "IV", "V")


def extended(score, roles, bars=8):
    """Score and record after complete has added `bars` bars."""
    settings = check_stage("complete", {"mode": "continue", "bars": bars})
    models = {role: load_model(name, "onnx") for role, name in settings["models"].items()}
    record = {
        "id": "piece",
        "key": {"tonic": 0, "mode": "major", "name": "C major"},
        "tracks": [{"role": r} for r in roles],
    }
    made = complete.apply(score, record, settings, models, 1)
    assert made.report["added"]
    return made.score, {**record, **made.record, "stages": {"complete": made.report}}


def test_a_tune_that_was_extended_is_accompanied_to_its_new_end():
    score, record = extended(tune(), ["melody"])
    old, new = tune().last_tick, score.last_tick
    assert new > old + 4 * BAR
    result = run(score, record=record)
    assert any(t > old for t, _ in labels(result))
    notes = result.score.tracks[-1].notes
    ends = notes["onset_tick"] + notes["duration_tick"]
    assert (notes["onset_tick"] > old).any()
    assert new <= ends.max() <= new + BAR
    # No bar of the extension is left out.
    assert np.diff(np.unique(notes["onset_tick"])).max() <= BAR


def accompanied():
    score = song([0])
    return replace(score, tracks=(score.tracks[0], replace(score.tracks[1], program=24)))


def test_an_accompaniment_that_ends_is_taken_up_in_its_own_sound():
    score, record = extended(accompanied(), ["melody", "chords"])
    old = accompanied().last_tick
    result = run(score, record=record)
    assert result.score.tracks[:2] == score.tracks
    added = result.score.tracks[2]
    assert (added.program, added.channel) == (24, 2)
    assert abs(int(added.notes["onset_tick"].min()) - old) <= BAR
    end = int((added.notes["onset_tick"] + added.notes["duration_tick"]).max())
    assert score.last_tick <= end <= score.last_tick + BAR
    told = result.report["track"]["extension"]
    assert told["from_tick"] == added.notes["onset_tick"].min()
    assert "piano" in told["reason"]
    starts, chords = chords_of_record(result.record)
    at = chord_index_at(starts, added.notes["onset_tick"])
    assert all(p % 12 in chords[i].pitch_classes for p, i in zip(added.notes["pitch"], at, strict=True))
    assert result.record["tracks"][2]["role"] == "chords"
    assert len(run(score, record=record, track="never").score.tracks) == 2
    whole = run(score, record=record, track="always").score.tracks[2]
    assert (whole.program, int(whole.notes["onset_tick"].min())) == (4, 0)


def test_an_accompaniment_to_the_new_end_or_one_long_gone_is_not_taken_up():
    score, record = extended(accompanied(), ["melody", "chords"])
    drone = make_notes([0], [score.last_tick], [36], 60)
    held = score.with_track(1, replace(score.tracks[1], notes=drone))
    assert len(run(held, record=record).score.tracks) == 2
    early = score.tracks[1].notes
    early = early[early["onset_tick"] < 6 * BAR]
    gone = score.with_track(1, replace(score.tracks[1], notes=early))
    result = run(gone, record=record)
    assert len(result.score.tracks) == 2
    assert "accompaniment" in result.report["skipped"][-1]["reason"]


def test_chords_of_the_file_end_where_the_extension_begins():
    given = tuple(Text(i * BAR, 6, label) for i, label in enumerate(["C", "Am7", "F", "G9"] * 4))
    score, record = extended(replace(accompanied(), texts=given), ["melody", "chords"])
    old = accompanied().last_tick
    record["chords"] = [{"tick": t.tick, "label": t.text} for t in given]
    found = labels(run(score, record=record))
    assert found[: len(given)] == [(t.tick, t.text) for t in given]
    assert len(found) > len(given) + 1
    assert all(tick >= old - BAR for tick, _ in found[len(given) :])


def test_the_extension_is_reported_by_complete_as_the_stage_reads_it():
    """The names that the two stages agree on."""
    _, record = extended(tune(), ["melody"])
    (place,) = record["stages"]["complete"]["added"]
    assert place["why"] == "open end"
    assert {"from_tick", "to_tick"} <= set(place)
    assert stage_spec("complete", check_stage("complete", {}), 0).version >= 3


def test_where_bars_are_unknown_they_are_counted_from_the_chord():
    rows = [(1, 4, 48), (5, 4, 53), (5, 4, 57)]
    notes = make_notes(
        *(np.array(column) * step for column, step in zip(zip(*rows, strict=True), (Q, Q, 1), strict=True)),
        80,
    )
    known = beat_grid(Score((Track(notes=notes),), meters=(Meter(0, 4, 4),)), 9 * Q)
    chords = [parse_chord(label) for label in ["C"] * 5 + ["F"] * 4]
    late = replace(known, place=np.zeros_like(known.place))
    single = beat_grid(Score((Track(notes=notes),), meters=(Meter(0, 1, 4),)), 9 * Q)
    changes = np.array([a != b for a, b in pairwise(chords)])
    assert stretches(changes, known).tolist() == [0, 4, 5, 8]
    assert stretches(changes, late).tolist() == stretches(changes, single).tolist() == [0, 4, 5]
