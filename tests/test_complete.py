"""The complete stage with the real model: what is added, where, and what stays as it is."""

from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import segue.complete
from segue.complete import apply
from segue.complete.line import top_voice
from segue.midi import write_midi
from segue.runtime import load_model
from segue.score import KeySignature, Meter, Score, Tempo, Track, make_notes

Q = 960
SCHEMA = yaml.safe_load(Path(segue.complete.__file__).with_name("settings.schema.yaml").read_text())
DEFAULTS = {name: entry["default"] for name, entry in SCHEMA["properties"].items()}
DATA = Path("../shared/data")

TWINKLE = [60, 60, 67, 67, 69, 69, (67, 2), 65, 65, 64, 64, 62, 62, (60, 2)]
TWINKLE += [67, 67, 65, 65, 64, 64, (62, 2)] * 2 + TWINKLE
STEADY = (Tempo(0, 500_000),)
#: Waltz and jig phrases of our own, in G major.
WALTZ = [(67, 2), 69, (71, 2), 74, 72, 71, 69, (71, 3), (69, 2), 71, (72, 2), 69, 67, 66, 64, (62, 3)]
JIG = [67, 71, 74, 74, 71, 67, 69, 72, 76, 76, 72, 69, 74, 71, 67, 69, 66, 62, (67, 3), (67, 3)]


def line(steps, unit=Q, start=0, velocity=80, touch=1.0):
    """Notes one after the other: a pitch lasts one unit, (pitch, n) n units, None is a rest."""
    onset, duration, pitch = [], [], []
    at = start
    for step in steps:
        value, length = step if isinstance(step, tuple) else (step, 1)
        if value is not None:
            onset.append(at)
            duration.append(round(length * unit * touch))
            pitch.append(value)
        at += length * unit
    return make_notes(onset, duration, pitch, velocity)


def piece(notes, meter=(4, 4), tonic=0, mode="major", more=(), meters=None, tempos=STEADY):
    """A score with the melody as track 0, and its record."""
    tracks = (Track(name="Tune", notes=notes), *more)
    meters = meters or (Meter(0, *meter),)
    score = Score(tracks, tempos, meters, (KeySignature(0, 0, False),))
    roles = ["melody", *("drums" if t.is_drum else "chords" for t in more)]
    record = {
        "id": "test",
        "key": {"tonic": tonic, "mode": mode, "name": "test"},
        "tracks": [
            {"name": t.name, "notes": len(t.notes), "role": r} for t, r in zip(tracks, roles, strict=True)
        ],
        "bars": 0,
        "duration_s": 0.0,
    }
    return score, record


def run(score, record, seed=1, backend="onnx", **chosen):
    models = {name: load_model(name, backend) for name in ("melody", "harmony")}
    return apply(score, record, {**DEFAULTS, **chosen}, models, seed)


def added(before, after, track=0):
    """The new notes, and a check that every old one is still there, once."""
    old, new = before.tracks[track].notes.tolist(), after.tracks[track].notes.tolist()
    for note in old:
        new.remove(note)
    return sorted(new)


@pytest.mark.parametrize(
    ("notes", "meter", "tonic"),
    [(line(TWINKLE), (4, 4), 0), (line(JIG * 2, Q // 2), (6, 8), 7)],
    ids=["twinkle", "jig"],
)
def test_a_finished_tune_stays_as_it_is(notes, meter, tonic):
    score, record = piece(notes, meter, tonic)
    result = run(score, record)
    assert result.score is score
    assert result.report["changed"]["notes"] == 0
    assert "finished" in result.report["skipped"][0]["reason"]


@pytest.mark.parametrize(
    ("notes", "meter", "tonic"),
    [
        (line(TWINKLE[:-3]), (4, 4), 0),
        (line(TWINKLE[:10]), (4, 4), 0),
        (line((WALTZ * 2)[:-4]), (3, 4), 7),
        (line((JIG * 2)[:-5], Q // 2), (6, 8), 7),
    ],
    ids=["twinkle but 3", "twinkle 10", "waltz", "jig"],
)
def test_a_broken_phrase_is_led_to_its_end(notes, meter, tonic):
    score, record = piece(notes, meter, tonic)
    result = run(score, record)
    new = added(score, result.score)
    assert new
    assert result.report["changed"]["notes"] == len(new) == sum(a["notes"] for a in result.report["added"])
    onset, duration, pitch, _ = new[-1]
    assert pitch % 12 == tonic
    bar = Meter(0, *meter).bar_ticks
    assert (onset + duration) % (4 * bar) == 0
    assert onset + duration == result.report["added"][-1]["to_tick"]


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8), (2, 4), (9, 8), (5, 4), (2, 2)])
def test_continue_adds_as_many_bars_as_asked(meter):
    bar = Meter(0, *meter).bar_ticks
    unit = 480 if meter[1] == 8 else Q
    notes = line([67, 69, 71, 72, 74, 72, 71, 69] * 6, unit)
    notes = notes[notes["onset_tick"] < 6 * bar]
    score, record = piece(notes, meter, tonic=7)
    for bars in (1, 4):
        result = run(score, record, mode="continue", bars=bars)
        new = np.array(added(score, result.score))
        end = int((notes["onset_tick"] + notes["duration_tick"]).max())
        stop = int((new[:, 0] + new[:, 1]).max())
        assert abs(stop - end - bars * bar) <= bar // 2
        assert stop % bar == 0
        assert new[:, 0].min() >= end
        assert (new[:, 0] % 80 == 0).all()
        assert new[-1, 2] % 12 == 7
        assert result.record["tracks"][0]["notes"] == len(notes) + len(new)
        assert result.record["bars"] == -(-stop // bar)


def test_a_pickup_does_not_shift_the_bars():
    # Written as a short bar of its own, and as a late start in a full one.
    tune = [62, 67, 67, 71, (74, 2), 72, 71, 69, 69, 72, (76, 2)]
    for start, meters in ((0, (Meter(0, 1, 4), Meter(Q, 4, 4))), (3 * Q, (Meter(0, 4, 4),))):
        score, record = piece(line(tune, start=start), tonic=7, meters=meters)
        result = run(score, record, mode="continue", bars=4)
        new = added(score, result.score)
        first_line = meters[-1].tick
        assert (new[-1][0] + new[-1][1] - first_line) % (4 * Q) == 0


def gap_piece():
    tune = line(TWINKLE)
    hole = (tune["onset_tick"] >= 16 * Q) & (tune["onset_tick"] < 30 * Q)
    return piece(tune[~hole])


def test_infill_fills_the_gap_and_nothing_else():
    score, record = gap_piece()
    result = run(score, record, mode="infill")
    new = np.array(added(score, result.score))
    assert [a["why"] for a in result.report["added"]] == ["gap"]
    place = result.report["added"][0]
    assert place["from_tick"] == 16 * Q
    assert place["to_tick"] == int(score.tracks[0].notes["onset_tick"][14])
    assert new[:, 0].min() >= place["from_tick"]
    assert (new[:, 0] + new[:, 1]).max() == place["to_tick"]
    # One voice: each note ends before the next begins.
    assert (new[1:, 0] >= new[:-1, 0] + new[:-1, 1]).all()


def test_auto_fills_a_hole_but_not_a_rest_after_a_finished_phrase():
    tune = line(TWINKLE)
    # Four bars of rest after the whole first verse, which ends on the tonic.
    verse = tune.copy()
    verse["onset_tick"] += 64 * Q
    score, record = piece(np.concatenate([tune, verse]))
    result = run(score, record)
    assert result.report["changed"]["notes"] == 0
    assert any(s.get("from_tick") == 48 * Q for s in result.report["skipped"])
    # A rest in mid-phrase is a hole.
    near = verse.copy()
    near["onset_tick"] -= 40 * Q
    score, record = piece(np.concatenate([tune[:10], near]))
    result = run(score, record)
    assert [a["why"] for a in result.report["added"]] == ["gap"]
    # One of many bars is the others' turn, unless the user says that gaps are to be filled.
    score, record = piece(np.concatenate([tune[:10], verse]))
    result = run(score, record)
    assert result.report["changed"]["notes"] == 0
    assert "longer than a phrase" in result.report["skipped"][0]["reason"]
    assert run(score, record, mode="infill").report["changed"]["notes"] > 0


def test_a_voice_that_often_rests_is_left_alone():
    phrases = [line(TWINKLE[:10], start=k * 24 * Q) for k in range(9)]
    score, record = piece(np.concatenate([*phrases, line(TWINKLE, start=9 * 24 * Q)]))
    result = run(score, record)
    assert result.report["changed"]["notes"] == 0
    assert "9 long rests" in result.report["skipped"][0]["reason"]
    score, record = piece(np.concatenate([*phrases[:2], line(TWINKLE, start=2 * 24 * Q)]))
    assert "gap" in [a["why"] for a in run(score, record).report["added"]]


def test_short_and_long_gaps_stay():
    score, record = gap_piece()
    result = run(score, record, mode="infill", min_gap=6)
    assert result.report["changed"]["notes"] == 0
    assert "no silence of 6 bars" in result.report["skipped"][0]["reason"]
    result = run(score, record, mode="infill", max_gap=2)
    assert result.report["changed"]["notes"] == 0
    assert "longer than max_gap" in result.report["skipped"][0]["reason"]


def drums():
    return Track(name="Kit", channel=9, notes=make_notes([0, Q, 2 * Q], [60] * 3, [36, 38, 36], 90))


@pytest.mark.parametrize(
    ("notes", "role", "reason"),
    [
        (line(TWINKLE), "chords", "no track has the role of melody"),
        (line([60]), "melody", "fewer than the two notes"),
        (line([]), "melody", "fewer than the two notes"),
    ],
)
def test_without_a_melody_nothing_happens_and_the_report_says_so(notes, role, reason):
    score, record = piece(notes, more=(drums(),))
    record["tracks"][0]["role"] = role
    for mode in ("auto", "continue", "infill"):
        result = run(score, record, mode=mode)
        assert result.score is score
        assert reason in result.report["skipped"][0]["reason"]


def test_drums_alone_and_an_unknown_key():
    score, record = piece(line(TWINKLE), more=(drums(),))
    only = Score((score.tracks[1],), score.tempos, score.meters)
    result = run(only, {"key": None, "tracks": [{"role": "drums"}]}, mode="continue")
    assert result.score is only
    assert "melody" in result.report["skipped"][0]["reason"]
    result = run(score, {**record, "key": None}, mode="continue")
    assert "key" in result.report["skipped"][0]["reason"]


def test_a_track_can_be_named_or_numbered():
    other = Track(name="Flute", channel=1, notes=line(TWINKLE[:10]))
    score, record = piece(line(TWINKLE), more=(other, drums()))
    for wanted in ("Flute", "1", 1):
        result = run(score, record, mode="continue", track=wanted)
        assert result.report["track"] == 1
        assert result.score.tracks[0] is score.tracks[0]
        assert added(score, result.score, 1)
    reason = run(score, record, track="Oboe").report["skipped"][0]["reason"]
    assert "no track 'Oboe'; there are" in reason
    assert "1 'Flute'" in reason
    assert "percussion" in run(score, record, track="Kit").report["skipped"][0]["reason"]


def test_other_tracks_texts_and_arguments_are_untouched():
    score, record = piece(
        line(TWINKLE[:10]), more=(Track(name="Pad", channel=2, notes=line([(48, 16)])), drums())
    )
    before, kept = write_midi(score), deepcopy(record)
    result = run(score, record, mode="continue")
    assert write_midi(score) == before
    assert record == kept
    assert result.score.tracks[1:] == score.tracks[1:]
    assert (result.score.meters, result.score.tempos, result.score.keys) == (
        score.meters,
        score.tempos,
        score.keys,
    )


def test_same_seed_same_bytes_and_temperature_zero_needs_none():
    score, record = piece(line(TWINKLE[:10]))
    chosen = {"mode": "continue", "bars": 8}
    first = write_midi(run(score, record, 5, **chosen, temperature=1).score)
    assert write_midi(run(score, record, 5, **chosen, temperature=1).score) == first
    assert any(write_midi(run(score, record, s, **chosen, temperature=1).score) != first for s in (6, 7, 8))
    calm = {write_midi(run(score, record, s, **chosen, temperature=0).score) for s in (5, 6, 7)}
    assert len(calm) == 1


@pytest.mark.parametrize("mode", ["continue", "infill"])
def test_both_backends_make_the_same_music(mode):
    cases = [gap_piece(), piece(line(JIG * 2, Q // 2), (6, 8), 7), piece(line(WALTZ), (3, 4), 7)]
    for score, record in cases:
        for temperature in (0, 0.7):
            outcome = [
                write_midi(run(score, record, backend=b, mode=mode, bars=8, temperature=temperature).score)
                for b in ("onnx", "tflite")
            ]
            assert outcome[0] == outcome[1]


def test_range_is_the_melodys_own_and_a_third_unless_set():
    score, record = piece(line(TWINKLE[:10]))
    for seed in range(3):
        wide = [
            n[2]
            for n in added(score, run(score, record, seed, mode="continue", temperature=2, top_p=1).score)
        ]
        assert min(wide) >= 56
        assert max(wide) <= 73
        low = run(score, record, seed, mode="continue", lowest=60, highest=64, temperature=2, top_p=1).score
        assert {n[2] for n in added(score, low)} <= {60, 61, 62, 63, 64}
    assert "holds no note" in run(score, record, lowest=70, highest=60).report["skipped"][0]["reason"]
    assert "two octaves away" in run(score, record, lowest=100, highest=110).report["skipped"][0]["reason"]


def test_velocity_and_touch_are_those_of_the_melody():
    score, record = piece(line(TWINKLE[:24], velocity=101, touch=0.75))
    new = added(score, run(score, record, mode="continue").score)
    assert {n[3] for n in new} == {101}
    # Where the last note stops sounding is not where the next one belongs.
    assert new[0][0] == sum(s[1] if isinstance(s, tuple) else 1 for s in TWINKLE[:24]) * Q
    gaps = np.diff([n[0] for n in new])
    share = np.array([n[1] for n in new[:-1]]) / gaps
    assert np.median(share) == pytest.approx(0.75, abs=0.01)


def test_a_human_melody_is_left_human_and_continued_on_the_grid():
    notes = line(TWINKLE[:24])
    rng = np.random.default_rng(3)
    human = notes.copy()
    human["onset_tick"] = np.maximum(notes["onset_tick"] + rng.integers(-60, 60, len(notes)), 0)
    score, record = piece(human)
    new = added(score, run(score, record, mode="continue", temperature=0).score)
    strict, _ = piece(notes)
    same = added(strict, run(strict, record, mode="continue", temperature=0).score)
    assert [n[2] for n in new] == [n[2] for n in same]
    # The first new note waits for the last old one; the others are exact.
    assert all(n[0] % 80 == 0 for n in new[1:])


def test_of_chords_only_the_top_line_is_heard_and_nothing_is_lost():
    tune = line(TWINKLE[:24])
    below = tune.copy()
    below["pitch"] -= 7
    score, record = piece(make_all(tune, below))
    assert score.tracks[0].notes[top_voice(score.tracks[0].notes)]["pitch"].tolist() == tune["pitch"].tolist()
    result = run(score, record, mode="continue", bars=2, temperature=0)
    alone, _ = piece(tune)
    assert [n[2] for n in added(score, result.score)] == [
        n[2]
        for n in added(alone, run(alone, record, mode="continue", bars=2, temperature=0, lowest=53).score)
    ]


def make_all(*parts):
    return make_notes(*(np.concatenate([p[k] for p in parts]) for k in parts[0].dtype.names))


def test_tempo_changes_do_not_matter_and_meter_changes_bound_the_music():
    notes = line(TWINKLE[:10])
    plain, record = piece(notes)
    fast, _ = piece(notes, tempos=(Tempo(0, 500_000), Tempo(4 * Q, 300_000), Tempo(9 * Q, 700_000)))
    assert added(plain, run(plain, record, mode="continue").score) == added(
        fast, run(fast, record, mode="continue").score
    )
    # The meter changes two bars after the melody ends: nothing is written beyond.
    bounded, _ = piece(notes, meters=(Meter(0, 4, 4), Meter(20 * Q, 3, 4)))
    new = added(bounded, run(bounded, record, mode="continue", bars=8).score)
    assert new
    assert max(n[0] + n[1] for n in new) <= 20 * Q
    # The melody goes on in three after two bars in four: the new bars are in three.
    changed, _ = piece(
        line([60, 62, 64, 65, 67, 65, 64, 62] + [64, 65, 67] * 4), meters=(Meter(0, 4, 4), Meter(8 * Q, 3, 4))
    )
    new = added(changed, run(changed, record, mode="continue", bars=4).score)
    assert max(n[0] + n[1] for n in new) == (8 + 12 + 12) * Q


@st.composite
def melodies(draw):
    meter = draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8)]))
    count = draw(st.integers(2, 24))
    gaps = draw(st.lists(st.sampled_from([240, 320, 480, 960, 1920, 9600]), min_size=count, max_size=count))
    jitter = draw(st.lists(st.integers(0, 70), min_size=count, max_size=count))
    pitch = draw(st.lists(st.integers(20, 110), min_size=count, max_size=count))
    touch = draw(st.floats(0.2, 1.5))
    onset = np.cumsum(gaps) + jitter
    notes = make_notes(onset, np.maximum(np.array(gaps) * touch, 1).astype(int), pitch, 70)
    return piece(notes, meter, draw(st.integers(0, 11)), draw(st.sampled_from(["major", "minor"])))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(melodies(), st.sampled_from(["auto", "continue", "infill"]), st.integers(0, 2**63))
def test_whatever_the_melody_it_is_kept_and_the_report_is_true(case, mode, seed):
    score, record = case
    result = run(score, record, seed, mode=mode, bars=3)
    new = added(score, result.score)
    assert len(new) == result.report["changed"]["notes"]
    places = [(a["from_tick"], a["to_tick"]) for a in result.report["added"]]
    for onset, duration, pitch, velocity in new:
        assert duration >= 1
        assert velocity == 70
        assert 16 <= pitch <= 114
        # A note may wait for the one before it, by a unit at the most.
        assert any(a <= onset and onset + duration <= b + 80 for a, b in places)
    assert all(n[0] < m[0] for n, m in pairwise(new))
    yaml.safe_dump(result.report)


@pytest.mark.skipif(not (DATA / "pop909").is_dir(), reason="the POP909 data are not here")
def test_real_songs_are_left_alone_in_auto_mode():
    from segue.ingest import apply as ingest

    schema = yaml.safe_load(Path("src/segue/ingest/settings.schema.yaml").read_text())
    plain = {name: entry["default"] for name, entry in schema["properties"].items()}
    touched = 0
    for number in range(1, 10):
        path = DATA / "pop909" / f"{number:03}" / f"{number:03}.mid"
        read = ingest(path.read_bytes(), path.name, plain)
        result = run(read.score, read.record)
        assert result.report["track"] == 0
        touched += result.report["changed"]["notes"] > 0
    assert touched <= 1
