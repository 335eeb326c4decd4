"""Modes of the complete stage with the real model: how far it goes, marked regions, varied melodies."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_complete import DEFAULTS, TWINKLE, WALTZ, Q, line, melodies, piece, run

from segue.archive import to_json
from segue.complete.encoding import GRID
from segue.complete.finish import clear_of
from segue.complete.line import grid_shift, top_voice
from segue.ingest import apply as ingest
from segue.midi import write_midi
from segue.score import MARKER, Meter, Tempo, Text, Track, make_notes

DEMONSTRATION = Path(__file__).parents[1] / "input"


def read(path):
    schema = yaml.safe_load(Path("src/segue/ingest/settings.schema.yaml").read_text())
    plain = {name: entry["default"] for name, entry in schema["properties"].items()}
    result = ingest(path.read_bytes(), path.name, plain)
    return result.score, result.record


def marked(score, *marks):
    """The score with the markers (tick, text) beside its own."""
    texts = [*score.texts, *(Text(tick, MARKER, word) for tick, word in marks)]
    return replace(score, texts=tuple(sorted(texts, key=lambda t: t.tick)))


def notes_of(score, track=0):
    return [tuple(n) for n in score.tracks[track].notes.tolist()]


def split(before, after, spans, track=0):
    """The notes that went and that came; each lies in one of the spans, all others are as they were."""
    old, new = notes_of(before, track), notes_of(after, track)
    gone, came = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    for onset, *_ in gone:
        assert any(a <= onset < b for a, b in spans)
    for onset, duration, *_ in came:
        # A note may wait for the one before it, by a unit at the most.
        assert any(a <= onset and onset + duration <= b + 80 for a, b in spans)
    return gone, came


def spans(report):
    return [(entry["from_tick"], entry["to_tick"]) for entry in report["added"]]


# How far `continue` goes.


@pytest.mark.parametrize(
    ("meter", "start"),
    [((4, 4), 0), ((3, 4), 0), ((5, 4), 0), ((7, 8), 0), ((4, 4), 3 * Q), ((6, 8), 5 * Q // 2)],
)
def test_total_is_the_length_of_the_melody(meter, start):
    bar = Meter(0, *meter).bar_ticks
    notes = line([67, 69, 71, 72, 74, 72, 71, 69] * 6, Q // 2 if meter[1] == 8 else Q, start=start)
    notes = notes[notes["onset_tick"] < 5 * bar]
    score, record = piece(notes, meter, tonic=7)
    # A late start is a pickup: the bars are counted from the first full one.
    first = bar if start else 0
    for bars in (8, 11):
        result = run(score, record, mode="continue", until="total", bars=bars)
        new = result.score.tracks[0].notes
        assert int((new["onset_tick"] + new["duration_tick"]).max()) == first + bars * bar
        split(score, result.score, spans(result.report))
    result = run(score, record, mode="continue", until="total", bars=3)
    assert result.score is score
    assert "bars already" in result.report["skipped"][0]["reason"]


def test_total_counts_the_bars_in_other_meters():
    tune = line([60, 62, 64, 65, 67, 65, 64, 62] + [64, 65, 67] * 4)
    score, record = piece(tune, meters=(Meter(0, 4, 4), Meter(8 * Q, 3, 4)))
    result = run(score, record, mode="continue", until="total", bars=10)
    # Two bars in four and eight in three.
    assert spans(result.report)[-1][1] == (8 + 8 * 3) * Q
    # Where only the first part stands beside the grid, it has no more bars for it.
    for shift in (-100, 100):
        aside = tune.copy()
        aside["onset_tick"][:8] += shift
        moved, _ = piece(aside, meters=score.meters)
        result = run(moved, record, mode="continue", until="total", bars=10)
        assert spans(result.report)[-1][1] == (8 + 8 * 3) * Q
    pickup, record = piece(line([62, *TWINKLE[:14]]), meters=(Meter(0, 1, 4), Meter(Q, 4, 4)))
    result = run(pickup, record, mode="continue", until="total", bars=8)
    assert spans(result.report)[-1][1] == (1 + 8 * 4) * Q


def test_phrase_is_four_bars_unless_the_melody_speaks_for_another_length():
    score, record = piece(line(TWINKLE[:24]))
    result = run(score, record, mode="continue", until="phrase", bars=64)
    assert result.report["phrase"] == {"bars": 4, "offset_bars": 0, "heard": False}
    start, stop = spans(result.report)[0]
    assert stop % (16 * Q) == 0
    assert stop - start >= 4 * Q
    # `bars` is the most that is added.
    result = run(score, record, mode="continue", until="phrase", bars=1)
    start, stop = spans(result.report)[0]
    assert stop - start <= 6 * Q


def test_phrases_of_three_bars_are_heard():
    phrase = [67, 67, 65, 64, 65, 64, 62, 60, (60, 3), None]
    score, record = piece(line([*phrase * 5, 67, 67, 65, 64]))
    result = run(score, record, mode="continue", until="phrase")
    assert result.report["phrase"]["bars"] == 3
    assert result.report["phrase"]["heard"]
    assert spans(result.report)[0][1] % (12 * Q) == 0


# Marked regions.


def test_a_marked_region_is_replaced_and_nothing_else():
    score, record = piece(line(TWINKLE), more=(Track(name="Pad", channel=2, notes=line([(48, 48)])),))
    region = marked(score, (16 * Q, "segue:infill"), (24 * Q, "Segue:End "), (20 * Q, "Chorus"))
    for mode in ("infill", "auto"):
        result = run(region, record, mode=mode)
        assert spans(result.report) == [(16 * Q, 24 * Q)]
        came = split(score, result.score, [(16 * Q, 24 * Q)])[1]
        entry = result.report["added"][0]
        assert entry["why"] == "region"
        assert entry["removed"] == sum(16 * Q <= n[0] < 24 * Q for n in notes_of(score))
        assert result.report["changed"] == {"notes": entry["notes"], "removed_notes": entry["removed"]}
        assert max(n[0] + n[1] for n in came) <= 24 * Q
        assert [t.text for t in result.score.markers()] == ["Chorus"]
        assert result.report["markers"] == {"removed": 2}
        assert result.score.tracks[1] is score.tracks[1]
        # Nothing is marked any more, so a second run leaves the finished tune alone.
        assert run(result.score, record).score is result.score


def test_only_marked_regions_are_filled():
    tune = line(TWINKLE)
    hole = (tune["onset_tick"] >= 16 * Q) & (tune["onset_tick"] < 30 * Q)
    score, record = piece(tune[~hole])
    result = run(marked(score, (40 * Q, "segue:infill"), (44 * Q, "segue:end")), record, mode="infill")
    assert spans(result.report) == [(40 * Q, 44 * Q)]
    # The other modes do not look at markers, which stay.
    result = run(marked(score, (40 * Q, "segue:infill")), record, mode="continue")
    assert result.report["added"][0]["why"] == "open end"
    assert [t.text for t in result.score.markers()] == ["segue:infill"]


def test_an_open_region_lasts_to_the_end_of_the_melody():
    score, record = piece(line(TWINKLE))
    result = run(marked(score, (32 * Q, "segue:infill")), record, mode="infill")
    assert spans(result.report) == [(32 * Q, 48 * Q)]
    new = result.score.tracks[0].notes
    assert int(new["pitch"][-1]) % 12 == 0
    assert int(new["onset_tick"][-1] + new["duration_tick"][-1]) == 48 * Q


def test_a_region_may_begin_with_the_melody_or_lie_behind_it():
    score, record = piece(line(TWINKLE))
    result = run(marked(score, (0, "segue:infill"), (8 * Q, "segue:end")), record, mode="infill")
    split(score, result.score, [(0, 8 * Q)])
    assert spans(result.report) == [(0, 8 * Q)]
    assert result.report["changed"]["notes"] > 0
    result = run(marked(score, (48 * Q, "segue:infill"), (64 * Q, "segue:end")), record, mode="infill")
    gone, came = split(score, result.score, [(48 * Q, 64 * Q)])
    assert not gone
    assert max(n[0] + n[1] for n in came) == 64 * Q
    result = run(marked(score, (48 * Q, "segue:infill")), record, mode="infill")
    assert result.report["changed"]["notes"] == 0
    assert "where the melody has ended" in result.report["skipped"][0]["reason"]


@pytest.mark.parametrize(
    ("marks", "reasons", "filled"),
    [
        ([(8, "segue:end")], ["without a segue:infill"], []),
        ([(8, "segue:infill"), (12, "segue:infill"), (16, "segue:end")], ["second segue:infill"], [(8, 16)]),
        ([(8, "segue:infill"), (12, "segue:end"), (16, "segue:end")], ["without a"], [(8, 12)]),
        ([(8, "segue:infill"), (8, "segue:end"), (12, "segue:end")], ["is empty", "without a"], []),
        ([(8, "segue:end"), (8, "segue:infill")], ["is empty"], []),
        ([(8, "segue: infill"), (12, " SEGUE:End")], [], [(8, 12)]),
        ([(8, "segue:fill"), (12, "Segue:stop")], ["'segue:fill' is unknown", "'Segue:stop' is unknown"], []),
        (
            [(8, "segue:infill"), (12, "segue:infill"), (12, "segue:end"), (16, "segue:end")],
            [],
            [(8, 12), (12, 16)],
        ),
        ([(0, "segue:infill"), (48, "segue:end")], ["fewer than two notes"], []),
    ],
)
def test_malformed_pairs_are_told(marks, reasons, filled):
    score, record = piece(line(TWINKLE))
    region = marked(score, *((tick * Q, word) for tick, word in marks))
    result = run(region, record, mode="infill")
    told = [e["reason"] for e in result.report["skipped"] if "draws" not in e["reason"]]
    assert len(told) == len(reasons)
    assert all(reason in entry for reason, entry in zip(reasons, told, strict=True))
    assert spans(result.report) == [(a * Q, b * Q) for a, b in filled]
    # What was not obeyed stays marked.
    assert len(result.score.markers()) == len(marks) - 2 * len(filled)


def test_a_region_over_a_change_of_meter_is_left_and_told():
    tune = line([60, 62, 64, 65, 67, 65, 64, 62] + [64, 65, 67] * 4)
    score, record = piece(tune, meters=(Meter(0, 4, 4), Meter(8 * Q, 3, 4)))
    result = run(marked(score, (4 * Q, "segue:infill"), (11 * Q, "segue:end")), record, mode="infill")
    assert notes_of(result.score) == notes_of(score)
    assert "meter changes within the region" in result.report["skipped"][0]["reason"]
    # Of a meter of which nothing is left there is nothing to go on from.
    result = run(marked(score, (8 * Q, "segue:infill"), (20 * Q, "segue:end")), record, mode="infill")
    assert notes_of(result.score) == notes_of(score)
    assert "too few notes in the meter" in result.report["skipped"][0]["reason"]
    # Two regions, one on each side, are written.
    sides = ((4, "segue:infill"), (8, "segue:end"), (8, "segue:infill"), (11, "segue:end"))
    result = run(marked(score, *((t * Q, w) for t, w in sides)), record, mode="infill")
    assert spans(result.report) == [(4 * Q, 8 * Q), (8 * Q, 11 * Q)]
    split(score, result.score, [(4 * Q, 11 * Q)])


def test_a_gap_over_a_change_of_meter_is_told():
    tune = np.concatenate([line([60, 62, 64, 65]), line([64, 65, 67] * 4, start=28 * Q)])
    score, record = piece(tune, meters=(Meter(0, 4, 4), Meter(16 * Q, 3, 4)))
    result = run(score, record, mode="infill")
    assert result.score is score
    assert result.report["skipped"] == [
        {
            "from_tick": 4 * Q,
            "to_tick": 28 * Q,
            "reason": "the meter changes within the gap; mark the parts before and after one by one",
        }
    ]


def test_under_a_region_the_lower_notes_of_the_track_stay():
    tune = line(TWINKLE)
    below = line([(48, 4)] * 12)
    score, record = piece(make_notes(*(np.concatenate([tune[k], below[k]]) for k in tune.dtype.names)))
    result = run(marked(score, (16 * Q, "segue:infill"), (24 * Q, "segue:end")), record, mode="infill")
    new = notes_of(result.score)
    assert all(tuple(n) in new for n in below.tolist())
    split(score, result.score, [(16 * Q, 24 * Q)])


# Varied melodies.


def test_share_0_gives_the_input_back_and_1_keeps_the_ends():
    score, record = piece(line(TWINKLE))
    result = run(score, record, mode="vary", share=0)
    assert result.score is score
    assert "share is 0" in result.report["skipped"][0]["reason"]
    result = run(score, record, mode="vary", share=1, copy_limit=0)
    old, new = notes_of(score), notes_of(result.score)
    assert new[0] == old[0]
    assert new[-1] == old[-1]
    assert result.report["changed"]["removed_notes"] == len(old) - 2


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize(("tune", "meter"), [(TWINKLE, (4, 4)), (WALTZ * 3, (3, 4))], ids=["4/4", "3/4"])
def test_about_the_share_is_varied_in_whole_bars(share, tune, meter):
    score, record = piece(line(tune), meter)
    bar = Meter(0, *meter).bar_ticks
    ends = (notes_of(score)[0], notes_of(score)[-1])
    for seed in range(3):
        result = run(score, record, seed, mode="vary", share=share)
        split(score, result.score, spans(result.report))
        removed = sum(entry["removed"] for entry in result.report["added"])
        assert abs(removed - share * len(tune)) <= 6
        assert (notes_of(result.score)[0], notes_of(result.score)[-1]) == ends
        for entry in result.report["added"]:
            assert entry["why"] == "varied"
            # The first note and the last one are left out of their bars.
            assert entry["from_tick"] % bar == 0 or entry["from_tick"] == ends[0][1]
            assert entry["to_tick"] % bar == 0 or entry["to_tick"] == ends[1][0]


def test_seeds_vary_other_bars_and_the_same_one_the_same():
    score, record = piece(line(TWINKLE))
    runs = [run(score, record, seed, mode="vary", share=0.3) for seed in (1, 1, 2, 3, 4)]
    assert write_midi(runs[0].score) == write_midi(runs[1].score)
    assert len({tuple(spans(r.report)) for r in runs}) > 1


def test_two_notes_hold_no_bar_to_vary():
    score, record = piece(line([60, 64]))
    result = run(score, record, mode="vary", share=1)
    assert result.score is score
    assert "no bar between" in result.report["skipped"][0]["reason"]


# Real pieces, and whatever else comes.


@pytest.mark.parametrize(
    "name", ["melodies/greensleeves.mid", "songs/auld_lang_syne.mid", "notation/twinkle.abc"]
)
@pytest.mark.parametrize("mode", ["continue", "vary", "region"])
def test_demonstration_pieces_in_every_mode(name, mode):
    path = next(DEMONSTRATION.glob(name.replace(".abc", ".*").replace(".mid", ".*")))
    score, record = read(path)
    bar = score.meters[0].bar_ticks
    if mode == "region":
        score = marked(score, (4 * bar, "segue:infill"), (6 * bar, "segue:end"))
    result = run(score, record, mode="auto" if mode == "region" else mode)
    track = result.report["track"]
    assert record["tracks"][track]["role"] == "melody"
    gone, came = split(score, result.score, spans(result.report), track)
    assert came
    assert bool(gone) == (mode != "continue")
    for i, other in enumerate(score.tracks):
        assert i == track or result.score.tracks[i] is other
    to_json(result.report)


def test_a_melody_at_the_top_of_the_keyboard():
    score, record = piece(line([100 + p - 60 for p in (60, 60, 67, 67, 69, 69, 67, 65, 65, 64)]))
    for mode in ("continue", "vary"):
        pitches = run(score, record, mode=mode, temperature=1.5, top_p=1).score.tracks[0].notes["pitch"]
        assert pitches.min() >= 96
        assert pitches.max() <= 113


def test_tempo_changes_do_not_matter():
    for mode in ("vary", "infill"):
        plain, record = piece(line(TWINKLE))
        fast, _ = piece(line(TWINKLE), tempos=(Tempo(0, 500_000), Tempo(17 * Q, 300_000)))
        marks = ((16 * Q, "segue:infill"), (24 * Q, "segue:end"))
        results = [run(marked(s, *marks), record, mode=mode).score for s in (plain, fast)]
        assert notes_of(results[0]) == notes_of(results[1])


def test_both_backends_vary_alike():
    score, record = piece(line(TWINKLE), tonic=0)
    chosen = {"mode": "vary", "share": 0.5, "variations": 3}
    first, second = (run(score, record, backend=b, **chosen) for b in ("onnx", "tflite"))
    assert write_midi(first.score) == write_midi(second.score)
    assert first.report == second.report


@st.composite
def marked_melodies(draw):
    score, record = draw(melodies())
    end = score.last_tick
    ticks = sorted(draw(st.lists(st.integers(0, end), min_size=0, max_size=4)))
    words = [draw(st.sampled_from(["segue:infill", "segue:end"])) for _ in ticks]
    return marked(score, *zip(ticks, words, strict=True)), record


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    marked_melodies(),
    st.sampled_from(["auto", "continue", "infill", "vary"]),
    st.floats(0, 1),
    st.integers(0, 2**63),
)
def test_notes_outside_of_what_is_written_never_change(case, mode, share, seed):
    score, record = case
    chosen = {"mode": mode, "share": share, "bars": 2, "variations": 2, "temperature": 1.0}
    result = run(score, record, seed, **chosen)
    for done in [result.score, *result.alternatives.values()]:
        if done is result.score:
            gone, came = split(score, done, spans(result.report))
        old = notes_of(score)
        new = [n for n in notes_of(done) if n not in old]
        pitches = [n[2] for n in old]
        assert all(min(pitches) - 4 <= n[2] <= max(pitches) + 4 for n in new)
    assert result.report["changed"]["notes"] >= len(came)
    assert result.report["changed"].get("removed_notes", 0) >= len(gone)
    to_json(result.report)
    again = run(score, record, seed, **chosen)
    assert write_midi(again.score) == write_midi(result.score)
    assert again.report == result.report


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (7, 8), (2, 2)]), st.floats(0, 1), st.integers(0, 99))
def test_new_notes_lie_on_the_grid_one_after_the_other(meter, share, seed):
    bar = Meter(0, *meter).bar_ticks
    unit = Q // 2 if meter[1] == 8 else Q
    notes = line([(67, 2), 69, 71, 72, 74, (72, 2), 71, 69, None, 67, 66] * 5, unit, touch=0.9)
    score, record = piece(notes[notes["onset_tick"] < 9 * bar], meter, tonic=7)
    score = marked(score, (2 * bar, "segue:infill"), (4 * bar, "segue:end"))
    for mode in ("infill", "continue", "vary"):
        result = run(score, record, seed, mode=mode, share=share, bars=3)
        ordered = result.score.tracks[0].notes
        assert all(m["onset_tick"] + m["duration_tick"] <= n["onset_tick"] for m, n in pairwise(ordered))
        assert set((ordered["onset_tick"] // 80 % 12).tolist()) <= set(GRID)
        assert (ordered["onset_tick"] % 80 == 0).all()
        assert len(top_voice(ordered)) == len(ordered)


def test_every_setting_is_tried_in_some_test():
    tried = "".join(p.read_text() for p in Path(__file__).parent.glob("test_complete*.py"))
    settings_of_music = DEFAULTS.keys() - {"models"}
    assert [n for n in sorted(settings_of_music) if f"{n}=" not in tried and f'"{n}":' not in tried] == []


def test_the_documents_tell_every_setting():
    text = (DEMONSTRATION.parent / "docs/complete.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    named = {name for cell in rows for name in cell.replace("`", "").replace(" ", "").split(",")}
    assert named == DEFAULTS.keys() - {"models", "backend"}


def test_new_notes_keep_clear_of_others_at_their_pitch():
    others = make_notes([0, 900, 3000, 5000], [1000, 600, 100, 900], [60, 60, 60, 62], 70)
    new = make_notes(
        [500, 1600, 2800, 3050, 5100, 1550], [400, 200, 400, 40, 100, 100], [60, 60, 60, 60, 60, 62], 80
    )
    # The first waits for a chain of two and has no time left; the fifth is at another pitch than what sounds.
    kept = clear_of(new, others)
    assert kept.tolist() == [
        (1550, 100, 62, 80),
        (1600, 200, 60, 80),
        (2800, 200, 60, 80),
        (5100, 100, 60, 80),
    ]
    assert clear_of(make_notes([500], [2000], [60], 80), others).tolist() == [(1500, 1000, 60, 80)]
    assert clear_of(new, others[:0]).tolist() == new.tolist()


@pytest.mark.parametrize("shift", [-100, -45, 60, 110])
def test_a_melody_beside_the_grid_is_heard_as_if_on_it(shift):
    plain, record = piece(line(TWINKLE, start=16 * Q))
    aside = line(TWINKLE, start=16 * Q)
    aside["onset_tick"] += shift
    moved, _ = piece(aside)
    marks = ((32 * Q, "segue:infill"), (40 * Q, "segue:end"))
    for mode in ("infill", "continue", "vary"):
        results = [run(marked(s, *marks), record, mode=mode, temperature=0) for s in (plain, moved)]
        first, second = (notes_of(r.score) for r in results)
        assert [(n[0] + shift, *n[1:]) for n in first] == second
        assert results[1].report["grid"]["moved_ticks"] == shift
        assert "grid" not in results[0].report


def test_scattered_onsets_are_on_the_grid():
    rng = np.random.default_rng(0)
    on_grid = np.arange(40) * 240
    assert grid_shift(on_grid + rng.integers(-60, 60, 40)) == 0
    assert grid_shift(on_grid + 100) == 100
    assert grid_shift(on_grid - 100) == -100
    assert grid_shift(on_grid + 30) == 0
    assert grid_shift(on_grid[:7] + 100) == 0
    # Triplets gather around three places.
    assert grid_shift(np.arange(40) * 320) == 0
