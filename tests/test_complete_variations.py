"""Variations of the complete stage: ranked, free of copies; and the chords that they are to fit."""

from types import MappingProxyType

import numpy as np
import pytest
from test_complete import DEFAULTS, TWINKLE, Q, drums, line, piece, run
from test_complete_modes import DEMONSTRATION, marked, notes_of, read, spans

import segue.complete
from segue.complete import apply
from segue.complete.conditions import Symbols, find_chords, with_chords
from segue.complete.copies import NOTES, CopyIndex, grams, longest_match, longest_run, pack
from segue.complete.line import melody_lines
from segue.midi import write_midi
from segue.runtime import load_model
from segue.score import Track, make_notes


@pytest.fixture(scope="module")
def ode():
    return read(DEMONSTRATION / "melodies" / "ode_to_joy_unfinished.mid")


def test_a_half_phrase_in_ten_ways(ode):
    result = run(*ode, variations=10)
    told = result.report["variations"]
    assert len(result.alternatives) == len(told) == 10
    assert len({write_midi(s) for s in result.alternatives.values()}) == 10
    assert [v["rank"] for v in told] == list(range(1, 11))
    assert [v["taken"] for v in told] == [True] + [False] * 9
    penalties = [v["penalty"] for v in told]
    assert penalties == sorted(penalties)
    assert result.score is result.alternatives["complete-1"]
    for variation in told:
        expected = max(variation["nats"], 0.4 * result.report["own_nats"]) + len(variation["faults"]) / 4
        assert variation["penalty"] == pytest.approx(expected, abs=0.002)
        assert variation["notes"] == len(
            notes_of(result.alternatives[f"complete-{variation['rank']}"])
        ) - len(notes_of(ode[0]))
        assert variation["checks"]["ends_stable"]
        assert set(variation["faults"]) <= set(variation["checks"])


def test_a_draw_is_the_same_however_many_there_are(ode):
    alone = run(*ode, variations=1)
    assert alone.alternatives == {}
    five, eight = (run(*ode, mode="continue", bars=8, variations=n) for n in (5, 8))
    by_draw = [
        {v["draw"]: write_midi(r.alternatives[f"complete-{v['rank']}"]) for v in r.report["variations"]}
        for r in (five, eight)
    ]
    # Later draws stand in for ones that came out alike.
    first = [draw for draw in by_draw[0] if draw <= 5]
    assert len(first) >= 3
    assert all(by_draw[1][draw] == by_draw[0][draw] for draw in first)
    one = run(*ode, mode="continue", bars=8, draws=1)
    assert write_midi(one.score) == by_draw[0][1]


def test_the_best_of_some_draws_is_taken(ode):
    wanted = {"mode": "continue", "bars": 8}
    eight = run(*ode, **wanted, variations=8)
    best = run(*ode, **wanted, draws=8)
    assert write_midi(best.score) == write_midi(eight.score)
    assert best.alternatives == {}
    assert len(best.report["variations"]) == 1
    assert best.report["draws"] == eight.report["draws"] >= 8
    three = run(*ode, **wanted, draws=8, variations=3)
    assert [v["draw"] for v in three.report["variations"]] == [
        v["draw"] for v in eight.report["variations"][:3]
    ]


def test_take_chooses_which_goes_on(ode):
    chosen = {"mode": "continue", "bars": 4, "variations": 4}
    results = [run(*ode, **chosen, take=k) for k in (1, 2, 3, 4)]
    assert len({write_midi(r.score) for r in results}) == 4
    for k, result in enumerate(results, start=1):
        assert result.score is result.alternatives[f"complete-{k}"]
        assert [v["taken"] for v in result.report["variations"]].index(True) == k - 1
        assert result.report["changed"]["notes"] == result.report["variations"][k - 1]["notes"]
        assert sum(a["notes"] for a in result.report["added"]) == result.report["changed"]["notes"]
    beyond = run(*ode, **chosen, take=9)
    assert beyond.score is beyond.alternatives["complete-4"]
    assert "take is 9" in beyond.report["skipped"][-1]["reason"]


def test_the_most_expected_music_is_only_one(ode):
    result = run(*ode, variations=4, temperature=0, mode="continue", bars=1)
    # They differ in nothing but the place of the closing note, of which there are three.
    assert 1 <= len(result.alternatives) <= 3
    assert len(result.alternatives) == len(result.report["variations"])
    assert "differ" in result.report["skipped"][0]["reason"]


def test_several_places_are_ranked_as_one_piece():
    score, record = piece(line(TWINKLE))
    marks = ((8, "segue:infill"), (16, "segue:end"), (24, "segue:infill"), (32, "segue:end"))
    score = marked(score, *((t * Q, w) for t, w in marks))
    result = run(score, record, variations=3, temperature=1.0)
    assert spans(result.report) == [(8 * Q, 16 * Q), (24 * Q, 32 * Q)]
    assert len(result.report["variations"]) == 3
    for other in result.alternatives.values():
        assert not other.markers()


def test_a_finished_tune_has_no_variations():
    score, record = piece(line(TWINKLE))
    result = run(score, record, variations=5)
    assert result.score is score
    assert result.alternatives == {}
    assert "variations" not in result.report


# Copies of what the model has learned from.


def index_of(*scores):
    """An index of all runs of eight notes of melodies on the grid."""
    found = [grams(*columns(s)) for s in scores]
    return CopyIndex(pack(np.concatenate(found), 30))


def columns(score):
    notes = score.tracks[0].notes
    return notes["onset_tick"].astype(np.int64) // 80, notes["pitch"].astype(np.int64)


@pytest.mark.parametrize("chosen", [{"mode": "continue"}, {"mode": "vary", "share": 0.6}, {"mode": "infill"}])
@pytest.mark.parametrize("temperature", [0, 0.7])
def test_what_was_learned_is_not_written_again(monkeypatch, chosen, temperature):
    tune = [60, 62, 64, 65, 67, 69, 67, (65, 2), 64, 62, 64, 65, 67, 64, (60, 2), 62, 64, 60, 59]
    score, record = piece(line(tune + tune[3:11] + tune))
    score = marked(score, (24 * Q, "segue:infill"), (32 * Q, "segue:end"))
    chosen = chosen | {"temperature": temperature}
    monkeypatch.setattr(segue.complete, "copy_index", lambda model: None)
    free = run(score, record, **chosen)
    assert "no index" in free.report["copies"]
    # As if the model had learned from just what it has written.
    index = index_of(free.score)
    monkeypatch.setattr(segue.complete, "copy_index", lambda model: index)
    allowed = run(score, record, **chosen, copy_limit=0)
    assert notes_of(allowed.score) == notes_of(free.score)
    guarded = run(score, record, **chosen, copy_limit=8)
    if guarded.report["changed"]["notes"]:
        assert guarded.report["variations"][0]["longest_copy"] == 0
        own = np.unique(np.concatenate([grams(*columns(score))]))
        found = grams(*columns(guarded.score))
        copied = index.contains(found) & ~np.isin(found, own)
        assert longest_run(copied) == 0
    else:
        assert "training tune" in str(guarded.report["skipped"])
    told = allowed.report["variations"][0]
    assert told["longest_match"] >= told["longest_copy"]
    if chosen["mode"] == "continue":
        assert told["longest_copy"] >= NOTES
        assert longest_match(index, *columns(allowed.score)) >= told["longest_match"] >= NOTES
        assert notes_of(guarded.score) != notes_of(free.score)


class Everything(CopyIndex):
    """As if all music had been learned."""

    def contains(self, hashes):
        return np.ones(len(hashes), bool)


def test_where_all_draws_are_copies_nothing_is_written(monkeypatch):
    score, record = piece(line(TWINKLE[:24]))
    everything = Everything(pack(grams(*columns(score)), 30))
    monkeypatch.setattr(segue.complete, "copy_index", lambda model: everything)
    result = run(score, record, mode="continue", variations=2)
    assert result.score is score
    assert "variations" not in result.report
    (reason,) = (entry["reason"] for entry in result.report["skipped"])
    assert "draws held 8 notes or more of a training tune" in reason


# Chords.

SYMBOLS = [{"tick": k * 4 * Q, "label": label} for k, label in enumerate(["C", "F", "G7", "C", "Am", "Dm"])]


class Untouched(dict):
    """Models of which one must not be asked for."""

    def __getitem__(self, role):
        assert role == "melody"
        return load_model("melody")


def chords_of(score, record, choice, spans=((40 * Q, 48 * Q),)):
    return find_chords(score, record, choice, {"harmony": load_model("harmony")}, 0, spans)


def pads(last=12):
    triads = [(48, 52, 55), (53, 57, 60), (55, 59, 62), (48, 52, 55)] * 3
    rows = [(k * 4 * Q, p) for k, triad in enumerate(triads[:last]) for p in triad]
    return Track(
        name="Pad",
        channel=2,
        notes=make_notes([r[0] for r in rows], [4 * Q] * len(rows), [r[1] for r in rows], 60),
    )


def test_symbols_of_the_piece_come_first():
    score, record = piece(line(TWINKLE), more=(pads(), drums()))
    record["chords"] = SYMBOLS
    for choice in ("auto", "given"):
        found, told = chords_of(score, record, choice)
        assert found == Symbols(tuple(s["tick"] for s in SYMBOLS), tuple(s["label"] for s in SYMBOLS), 48 * Q)
        assert told == {"source": "given", "symbols": 6, "until_tick": 48 * Q}
    assert chords_of(score, record, "none")[1] == {"source": "none"}
    assert chords_of(score, record, "heard")[1]["source"] == "heard"
    found, told = chords_of(score, {**record, "chords": []}, "given")
    assert (found, told["reason"]) == (Symbols(), "the piece has no chord symbols")


def test_an_accompaniment_under_the_place_is_heard_until_it_ends():
    score, record = piece(line(TWINKLE), more=(pads(), drums()))
    found, told = chords_of(score, record, "auto")
    assert told["source"] == "heard"
    assert told["until_tick"] == found.stop_tick == 48 * Q
    labels = dict(zip(found.ticks, found.labels, strict=True))
    assert labels[0].startswith("C")
    assert labels[4 * Q].startswith("F")
    # Beyond its end, or with drums alone, there is nothing to hear.
    assert chords_of(score, record, "auto", [(48 * Q, 56 * Q)])[1]["source"] == "none"
    alone, record = piece(line(TWINKLE), more=(drums(),))
    assert "nothing accompanies" in chords_of(alone, record, "heard")[1]["reason"]


def test_chords_stand_under_each_line_and_end_with_the_accompaniment():
    score, record = piece(line(TWINKLE))
    (known,) = melody_lines(score, score.tracks[0], record["key"], None)
    chords = with_chords(known, Symbols((0, 4 * Q), ("C", "G7"), 40 * Q)).setting.chords
    assert chords.start == (0, 48)
    assert chords.root == (0, 7)
    assert chords.stop == 480
    assert with_chords(known, Symbols()).setting.chords is None


def test_the_harmony_model_is_left_alone_where_nothing_is_to_be_heard():
    score, record = piece(line(TWINKLE[:24]), more=(drums(),))
    result = apply(score, record, {**DEFAULTS, "mode": "continue"}, Untouched(), 1)
    assert result.report["chords"]["source"] == "none"
    record["chords"] = SYMBOLS
    settings = MappingProxyType({**DEFAULTS, "mode": "continue"})
    assert apply(score, record, settings, Untouched(), 1).report["chords"]["source"] == "given"


def test_chords_are_told_to_the_model():
    score, record = piece(line(TWINKLE[:14]))
    record["chords"] = [{"tick": 0, "label": "C"}]
    stopped = write_midi(run(score, record, mode="continue", chords="none", bars=4).score)
    assert write_midi(run(score, {**record, "chords": []}, mode="continue", bars=4).score) == stopped
    region = marked(piece(line(TWINKLE))[0], (16 * Q, "segue:infill"), (24 * Q, "segue:end"))
    heard = {
        label: write_midi(
            run(
                region,
                {**record, "chords": [{"tick": 0, "label": label}]},
                mode="infill",
                temperature=1.5,
                top_p=1,
            ).score
        )
        for label in ("C", "F#", "Abm")
    }
    assert len(set(heard.values())) > 1


@pytest.mark.parametrize("style", ["folk", "pop", "song", "jazz", "lied"])
def test_every_style_can_be_asked_for(style):
    score, record = piece(line(TWINKLE[:24]))
    result = run(score, record, mode="continue", style=style)
    assert result.report["changed"]["notes"] > 0


def test_the_shipped_model_copies_none_of_its_tunes():
    """Dance tunes are where copies lie near: with the guard off there are some."""
    found = {0: [], 8: []}
    for name in ("melodies/clementine.mid", "notation/irish_washerwoman.abc", "songs/oh_susanna.mid"):
        path = next(DEMONSTRATION.glob(f"{name.split('.')[0]}.*"))
        score, record = read(path)
        for limit, copies in found.items():
            chosen = {"mode": "continue", "bars": 8, "style": "folk", "variations": 6, "copy_limit": limit}
            result = run(score, record, **chosen)
            assert "copies" not in result.report
            copies += [v["longest_copy"] for v in result.report["variations"]]
    assert max(found[0]) >= NOTES
    assert max(found[8]) == 0
    assert len(found[8]) >= 15
