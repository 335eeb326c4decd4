"""The setting `reharmonize` on whole pieces, with the real model."""

from dataclasses import replace

import numpy as np
import pytest

from segue import harmonize
from segue.chords import chords_of_record, parse_chord
from segue.config import defaults, stage_schema
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import MARKER, KeySignature, Meter, Score, Tempo, Text, Track, make_notes

BAR = 4 * 960
TUNE = [60, 64, 67, 64, 65, 69, 72, 69, 67, 71, 74, 71, 72, 67, 64, 60] * 2
CHANGES = ["C", "F", "G7", "C", "Am7", "Dm7", "G7", "C"]
MODELS = {"harmony": load_model("harmony", "onnx")}


def tune(texts=(), extra=()):
    onset = np.arange(len(TUNE)) * 960
    notes = make_notes(onset, np.full(len(TUNE), 900), TUNE, 80)
    return Score(
        (Track("tune", 0, 73, notes), *extra),
        (Tempo(0, 500_000),),
        (Meter(0, 4, 4),),
        (KeySignature(0, 0, False),),
        tuple(texts),
        8 * BAR,
    )


def with_changes(**changes):
    return tune([Text(i * BAR, MARKER, label) for i, label in enumerate(CHANGES)], **changes)


def run(score, roles=("melody",), seed=1, **changes):
    settings = defaults(stage_schema("harmonize")) | changes
    record = {"id": "piece", "tracks": [{"role": role} for role in roles]}
    return harmonize.apply(score, record, settings, MODELS, seed)


def chords(result):
    return {entry["tick"]: entry["label"] for entry in result.record["chords"]}


def markers(result):
    return {t.tick: t.text for t in result.score.markers()}


def test_nothing_is_reharmonized_by_default():
    result = run(with_changes())
    assert "reharmonized" not in result.report
    assert list(chords(result).values()) == CHANGES


@pytest.mark.parametrize("score", [tune(), with_changes()], ids=["found", "of the file"])
def test_substitutions_are_written_played_and_told(score):
    plain, other = run(score), run(score, reharmonize=1, lead_sheet=True)
    told = other.report["reharmonized"]
    assert len(told) >= 3
    assert chords(other) == markers(other)
    starts, before = chords_of_record(plain.record)
    for change in told:
        assert chords(other)[change["tick"]] == change["to"] != change["from"]
        assert (
            before[np.searchsorted(starts, change["tick"], "right") - 1].symbol()
            == parse_chord(change["from"]).symbol()
        )
        assert change["to"] in other.files["harmonize-chords.txt"].decode()
    added = other.score.tracks[-1].notes
    starts, now = chords_of_record(other.record)
    index = np.searchsorted(starts, added["onset_tick"], "right") - 1
    assert all(p % 12 in now[i].pitch_classes for p, i in zip(added["pitch"], index, strict=True))
    assert all("roman" in entry for entry in other.record["chords"])
    # What neither begins nor ends a substitution is as it was.
    kept = {t: x for t, x in chords(plain).items() if t not in {c["tick"] for c in told}}
    assert kept.items() <= chords(other).items()


def test_more_contains_less_and_the_same_seed_repeats():
    def told(amount, seed=1):
        report = run(with_changes(), reharmonize=amount, seed=seed).report
        return [tuple(change.values()) for change in report["reharmonized"]]

    assert set(told(0.25)) < set(told(0.5)) < set(told(1))
    assert told(0.5) == told(0.5)
    assert any(told(0.5, seed) != told(0.5) for seed in range(2, 8))


def test_an_accompaniment_keeps_its_chords_and_the_report_says_so():
    onset = np.repeat(np.arange(8) * BAR, 3)
    pitches = [48 + p for label in CHANGES for p in parse_chord(label).pitch_classes[:3]]
    block = Track("piano", 1, 0, make_notes(onset, np.full(24, BAR), pitches, 60))
    result = run(with_changes(extra=(block,)), ("melody", "chords"), reharmonize=1)
    assert result.report["reharmonized"] == []
    assert list(chords(result).values()) == CHANGES
    assert any("accompaniment" in s["reason"] and s.get("reharmonize") == 0 for s in result.report["skipped"])


def test_symbols_behind_the_last_note_and_other_markers_stay():
    score = with_changes()
    score = replace(score, texts=(Text(0, MARKER, "Verse"), *score.texts, Text(12 * BAR, MARKER, "F")))
    result = run(score, reharmonize=1)
    assert chords(result)[12 * BAR] == "F"
    assert "Verse" in [t.text for t in result.score.markers()]


def test_what_is_written_is_read_back():
    result = run(with_changes(), reharmonize=1)
    assert read_midi(write_midi(result.score))[0].markers() == result.score.markers()
