"""The humanize stage on whole scores, with the real models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue import humanize
from segue.humanize.drums import blend_velocity, expected_shift
from segue.humanize.groove import human_residual
from segue.humanize.variation import sample_drift
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import (
    CONTROL,
    PITCH_BEND,
    PROGRAM_CHANGE,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    make_notes,
)

SCHEMA = yaml.safe_load((Path(humanize.__file__).parent / "settings.schema.yaml").read_text(encoding="utf-8"))
POP909 = Path(__file__).parents[2] / "shared/data/pop909"


def run(score, seed=1, human=(), backend="onnx", **changes):
    settings = {name: entry["default"] for name, entry in SCHEMA["properties"].items()} | changes
    models = {role: load_model(name, backend) for role, name in settings["models"].items()}
    tracks = [{"human_timing": i in human} for i in range(len(score.tracks))]
    return humanize.apply(score, {"id": "piece", "tracks": tracks}, settings, models, seed)


def drum_loop(bars=4, velocity=100):
    """Eighths on the hi-hat, kick on one and three, snare on two and four."""
    hat = np.arange(bars * 8) * 480
    kick, snare = np.arange(bars * 2) * 1920, np.arange(bars * 2) * 1920 + 960
    onset = np.concatenate([hat, kick, snare])
    pitch = np.repeat([42, 36, 38], [len(hat), len(kick), len(snare)])
    return Track("drums", 9, notes=make_notes(onset, np.full(len(onset), 120), pitch, velocity))


def melody(bars=4, velocity=80):
    onset = np.arange(bars * 8) * 480
    pitch = 60 + np.array([0, 2, 4, 5, 7, 5, 4, 2])[np.arange(len(onset)) % 8]
    return Track("melody", 0, notes=make_notes(onset, np.full(len(onset), 480), pitch, velocity))


def band():
    texts = (Text(0, 6, "verse"), Text(3840, 5, "la"))
    return Score(
        (drum_loop(), melody()), (Tempo(0, 500_000),), (Meter(0, 4, 4),), texts=texts, end_tick=15360
    )


def test_drums_are_played_and_nothing_else_changes():
    score = band()
    result = run(score)
    played, written = result.score.tracks[0].notes, score.tracks[0].notes
    assert len(np.unique(played["velocity"])) > 5
    assert np.count_nonzero(played["onset_tick"] % 480) > len(played) / 2
    assert sorted(played["pitch"]) == sorted(written["pitch"])
    assert replace(result.score, tracks=score.tracks) == score
    assert result.report["changed"]["tracks"] == 2
    assert result.report["drums"]["notes"] == len(written)
    assert write_midi(band()) == write_midi(score), "the argument was changed"


def test_a_drummer_plays_the_backbeat_louder_than_the_hi_hat_between():
    notes = run(band(), variation=0).score.tracks[0].notes
    snare, hat = notes["velocity"][notes["pitch"] == 38], notes["velocity"][notes["pitch"] == 42]
    assert snare.mean() > hat.mean() + 20


def test_amount_zero_is_the_same_bytes():
    score = band()
    result = run(score, amount=0)
    assert write_midi(result.score) == write_midi(score)
    assert result.report["reason"] == "amount is 0"
    assert result.report["changed"] == {"tracks": 0, "notes": 0}


def test_timing_and_velocity_are_separate():
    score = band()
    still = run(score, timing=0).score
    for a, b in zip(score.tracks, still.tracks, strict=True):
        assert a.notes["onset_tick"].tolist() == b.notes["onset_tick"].tolist()
        assert a.notes["velocity"].tolist() != b.notes["velocity"].tolist()
    even = run(score, velocity=0).score
    for a, b in zip(score.tracks, even.tracks, strict=True):
        assert set(b.notes["velocity"]) == set(a.notes["velocity"])
        assert a.notes["onset_tick"].tolist() != b.notes["onset_tick"].tolist()


def test_half_the_amount_moves_half_as_far():
    score = Score((drum_loop(8),), (Tempo(0, 500_000),))
    whole = run(score, variation=0).score.tracks[0].notes
    half = run(score, variation=0, amount=0.5).score.tracks[0].notes
    written = score.tracks[0].notes

    def shifts(notes):
        order = np.lexsort((notes["onset_tick"], notes["pitch"]))
        base = np.lexsort((written["onset_tick"], written["pitch"]))
        return (notes["onset_tick"][order] - written["onset_tick"][base]).astype(float)

    assert np.abs(shifts(half) - shifts(whole) / 2).max() <= 1
    assert np.abs(shifts(whole)).mean() > 1


def test_equal_seeds_are_equal_and_variation_makes_bars_differ():
    score = Score((drum_loop(12),), (Tempo(0, 500_000),))
    assert write_midi(run(score, seed=5).score) == write_midi(run(score, seed=5).score)
    assert write_midi(run(score, seed=5).score) != write_midi(run(score, seed=6).score)

    def bars(variation):
        notes = run(score, seed=5, variation=variation).score.tracks[0].notes
        hat = notes[notes["pitch"] == 42]
        # The bars at either end have a neighbour on one side alone.
        return (hat["onset_tick"].astype(int) - np.arange(len(hat)) * 480).reshape(-1, 8)[2:-2]

    assert np.ptp(bars(0), axis=0).max() == 0
    assert np.std(bars(1), axis=0).mean() > 2 * np.std(bars(0.2), axis=0).mean() > 0


def test_variation_zero_needs_no_seed():
    assert write_midi(run(band(), seed=1, variation=0).score) == write_midi(
        run(band(), seed=2, variation=0).score
    )


@pytest.mark.parametrize("make", [band, lambda: Score((melody(20), drum_loop(20)), (Tempo(0, 400_000),))])
def test_both_backends_give_the_same_music(make):
    onnx, tflite = (run(make(), backend=b, variation=0).score for b in ("onnx", "tflite"))
    assert write_midi(onnx) == write_midi(tflite)


def test_human_tracks_are_left_alone_unless_told_otherwise():
    score = band()
    result = run(score, human={0})
    assert result.score.tracks[0] is score.tracks[0]
    assert {"track": 0, "reason": "already human"} in result.report["skipped"]
    redone = run(score, human={0}, keep_existing="redo")
    assert redone.score.tracks[0] is not score.tracks[0]


def test_redo_replaces_the_old_deviation():
    loop = drum_loop()
    notes = loop.notes.copy()
    notes["onset_tick"] += np.where(notes["onset_tick"] % 960 > 0, 30, 10)
    played = Score((loop.with_notes(notes),), (Tempo(0, 500_000),))
    clean = Score((loop,), (Tempo(0, 500_000),))
    again = run(played, human={0}, keep_existing="redo", variation=0).score.tracks[0].notes
    fresh = run(clean, variation=0).score.tracks[0].notes
    assert np.abs(np.sort(again["onset_tick"]).astype(int) - np.sort(fresh["onset_tick"])).max() <= 1
    again, fresh = (
        run(s, human=h, keep_existing="redo", variation=0, amount=2).score.tracks[0].notes
        for s, h in ((played, {0}), (clean, ()))
    )
    assert np.abs(np.sort(again["onset_tick"]).astype(int) - np.sort(fresh["onset_tick"])).max() <= 1


def test_triplets_are_a_grid_and_no_deviation():
    onset = np.array([0, 320, 640, 960, 1280, 1600, 1920 + 12, 2160 - 9])
    assert human_residual(Score(), onset).tolist() == [0, 0, 0, 0, 0, 0, 12, -9]


@pytest.mark.parametrize("meters", [(Meter(0, 1, 8), Meter(480, 4, 4)), (Meter(0, 7, 8),)])
def test_triplets_are_counted_from_the_bar_line(meters):
    begin = meters[-1].tick + np.arange(3)[:, None] * meters[-1].bar_ticks
    onset = np.add(begin, [0, 320, 640, 960, 1280, 1600]).ravel()
    assert human_residual(Score(meters=meters), onset + 7).tolist() == [7] * 18
    assert human_residual(Score(meters=meters), onset[1:] - 7).tolist() == [-7] * 17


@pytest.mark.parametrize("human", [(), (0,)])
@pytest.mark.parametrize("third", [320, 640])
def test_swung_hits_stay_near_their_place(third, human):
    onset = (np.arange(16)[:, None] * 960 + [0, third]).ravel()
    track = Track("ride", 9, notes=make_notes(onset, np.full(len(onset), 100), np.full(len(onset), 51), 90))
    score = Score((track,), (Tempo(0, 500_000),))
    moved = run(score, human=human, variation=0, keep_existing="redo").score.tracks[0].notes["onset_tick"]
    assert np.abs(moved - onset).max() < 60, "a triplet became a sixteenth"


def test_written_swing_is_not_swung_twice():
    shift = expected_shift(np.array([-0.3, -0.3, 0.0, 0.1]), np.array([-80, 0, 80, 40]))
    assert shift[[0, 1, 3]] == pytest.approx([8, -72, 24])
    assert np.isnan(shift[2]), "far from what is expected: moves with its neighbours"


def test_switches_and_reasons():
    score = replace(band(), tracks=(*band().tracks, Track("empty", 3)))
    drums_off = run(score, drums=False)
    assert drums_off.score.tracks[0] is score.tracks[0]
    assert drums_off.score.tracks[1] is not score.tracks[1]
    reasons = {entry["track"]: entry["reason"] for entry in drums_off.report["skipped"]}
    assert reasons == {0: "drums are switched off", 2: "no notes"}
    nothing = run(score, drums=False, pitched=False)
    assert nothing.score is score
    assert nothing.report["reason"] == "no track to humanize"
    assert run(Score()).score == Score()


def test_percussion_beyond_the_nine_classes_moves_with_its_neighbour():
    loop = drum_loop()
    clave = make_notes([0, 960, 1920, 7000 * 960], [60] * 4, [75] * 4, 70)
    score = Score((loop, Track("claves", 9, notes=clave)), (Tempo(0, 500_000),))
    result = run(score, variation=0)
    moved = result.score.tracks[1].notes
    assert moved["velocity"].tolist() == [70] * 4
    assert moved["onset_tick"][3] == 7000 * 960, "there is nothing near to follow"
    snare = result.score.tracks[0].notes
    snare = snare["onset_tick"][snare["pitch"] == 38][0]
    hat = np.sort(result.score.tracks[0].notes["onset_tick"])
    assert moved["onset_tick"][1] == snare or moved["onset_tick"][1] in hat
    assert result.report["drums"]["beyond_classes"] == 4


def test_pitched_tracks_follow_the_drums():
    with_drums = run(band(), variation=0).score
    alone = run(replace(band(), tracks=(melody(),)), variation=0).score
    drums = with_drums.tracks[0].notes
    place = np.rint(drums["onset_tick"] / 480).astype(int)
    deviation = drums["onset_tick"] - place * 480
    lead = [deviation[(place == i) & (drums["pitch"] == 36)] for i in range(32)]
    # The bass drum where it plays, else the mean of what does.
    lead = [kick[0] if len(kick) else deviation[place == i].mean() for i, kick in enumerate(lead)]
    pulled = with_drums.tracks[1].notes["onset_tick"].astype(int) - alone.tracks[0].notes["onset_tick"]
    assert np.corrcoef(lead[1:], pulled[1:])[0, 1] > 0.95


def test_pitched_tracks_keep_their_level_and_their_own_dynamics():
    flat = Score((melody(16),), (Tempo(0, 500_000),))
    played = run(flat, variation=0).score.tracks[0].notes["velocity"].astype(float)
    assert played.std() > 1
    assert played.mean() == pytest.approx(80, abs=0.6)
    lively = melody(16).notes.copy()
    lively["velocity"] = np.where(np.arange(len(lively)) % 2, 50, 110)
    kept = run(Score((Track("m", 0, notes=lively),)), variation=0).score.tracks[0].notes
    assert kept["velocity"].tolist() == lively["velocity"].tolist()


def test_milliseconds_become_ticks_at_the_local_tempo():
    # The same seconds at twice the tempo are twice the ticks.
    onset = np.repeat(np.arange(32) * 960, 3)
    pitch = np.tile([48, 60, 72], 32)
    slow = Track("chords", 0, notes=make_notes(onset, np.full(96, 900), pitch, 80))
    shifts = {}
    for tempo in (500_000, 250_000):
        score = Score((slow,), (Tempo(0, tempo),))
        notes = run(score, variation=1, seed=3).score.tracks[0].notes
        shifts[tempo] = np.std(np.sort(notes["onset_tick"]).astype(int) - onset) * tempo
    assert shifts[250_000] == pytest.approx(shifts[500_000], rel=0.5)


def test_notes_do_not_slip_before_their_program_change_or_bend():
    controls = np.array([(960, PROGRAM_CHANGE, 5, 0), (1920, PITCH_BEND, 0, 64)], CONTROL)
    track = Track("lead", 0, notes=make_notes([0, 960, 1920], [400] * 3, [60, 62, 64], 80), controls=controls)
    for seed in range(12):
        notes = run(Score((track,)), seed=seed, variation=1, amount=2).score.tracks[0].notes
        assert notes["onset_tick"][1] >= 960
        assert notes["onset_tick"][2] >= 1920


def test_repeated_notes_never_run_into_each_other():
    onset = np.arange(64) * 240
    track = Track("bass", 0, notes=make_notes(onset, np.full(64, 240), np.full(64, 40), 80))
    drums = Track("roll", 9, notes=make_notes(onset, np.full(64, 240), np.full(64, 38), 80))
    for seed in range(4):
        score = run(Score((track, drums)), seed=seed, variation=1, amount=2).score
        for played in score.tracks:
            assert np.any(played.notes["duration_tick"] != 240), "the test has nothing to keep apart"
            assert overlaps(played.notes) == 0


def test_drift_keeps_what_it_should():
    rng = np.random.default_rng(0)
    place = rng.permutation(np.repeat(np.arange(20_000), 2))
    drift = sample_drift(place, 0.8, rng)
    order = np.argsort(place, kind="stable")
    pairs = drift[order].reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all(), "one place, one deviation"
    value = pairs[:, 0]
    assert value.std() == pytest.approx(1, abs=0.05)
    for lag in (1, 2, 4):
        assert np.corrcoef(value[lag:], value[:-lag])[0, 1] == pytest.approx(0.8**lag, abs=0.05)
    own = sample_drift(np.tile(np.arange(10_000), 2), 0.8, rng, series=np.repeat([0, 1], 10_000))
    assert np.corrcoef(own[:10_000], own[10_000:])[0, 1] == pytest.approx(0, abs=0.08)
    assert sample_drift(np.zeros(0, int), 0.5, rng).tolist() == []


def test_drum_timing_drifts_and_does_not_jitter():
    score = Score((drum_loop(64),), (Tempo(0, 500_000),))
    shifts = []
    for variation in (0, 1):
        notes = run(score, seed=1, variation=variation).score.tracks[0].notes
        hat = np.sort(notes["onset_tick"][notes["pitch"] == 42]).astype(float)
        shifts.append(hat - np.arange(512) * 480)
    varied = (shifts[1] - shifts[0])[8:-8]
    # Independent noise would come near 0.
    assert np.corrcoef(varied[1:], varied[:-1])[0, 1] > 0.2


def test_velocity_blends_from_written_to_expected_and_beyond():
    written, expected = np.full(4, 100.0), np.array([40.0, 80, 60, np.nan])
    voice = np.array([0, 0, 1, 1])
    assert blend_velocity(written, expected, voice, 0).tolist() == [100, 100, 100, 100]
    assert blend_velocity(written, expected, voice, 0.5).tolist() == [70, 90, 80, 100]
    assert blend_velocity(written, expected, voice, 1).tolist() == [40, 80, 60, 100]
    assert blend_velocity(written, expected, voice, 2).tolist() == [20, 100, 60, 100]


def test_settings_explain_themselves():
    assert SCHEMA["additionalProperties"] is False
    for name, entry in SCHEMA["properties"].items():
        assert entry.get("description"), name
        assert "default" in entry, name


@pytest.mark.skipif(not POP909.is_dir(), reason="the training data are not here")
def test_a_pop_song_keeps_its_notes_and_reads_back():
    score, _ = read_midi((POP909 / "001/001.mid").read_bytes())
    result = run(score)
    again, warnings = read_midi(write_midi(result.score))
    assert not warnings
    assert write_midi(again) == write_midi(result.score)
    assert again.note_count == score.note_count


@st.composite
def scores(draw):
    tempos = tuple(
        Tempo(t, us)
        for t, us in sorted(
            draw(st.dictionaries(st.integers(0, 9000), st.integers(150_000, 1_500_000), max_size=3)).items()
        )
    )
    meters = draw(
        st.sampled_from(
            [
                (),
                (Meter(0, 3, 4),),
                (Meter(0, 6, 8),),
                (Meter(0, 4, 4), Meter(3840, 5, 4), Meter(4800, 7, 8)),
                (Meter(0, 1, 64),),
                (Meter(960, 4, 4),),
            ]
        )
    )
    grid = draw(st.sampled_from([1, 30, 160, 240]))
    tracks = []
    for _ in range(draw(st.integers(0, 3))):
        channel = draw(st.sampled_from([0, 1, 9]))
        # Few pitches, so that notes follow and overlap others of their own.
        pitches = st.sampled_from([36, 38, 42, 75] if channel == 9 else [0, 60, 61, 127])
        durations = st.one_of(st.integers(1, 2000), st.just(grid))
        row = st.tuples(st.integers(0, 60), durations, pitches, st.integers(1, 127))
        rows = draw(st.lists(row, max_size=40))
        onset, duration, pitch, velocity = (list(c) for c in zip(*rows, strict=True)) if rows else ([],) * 4
        tracks.append(
            Track("", channel, notes=make_notes(np.array(onset, int) * grid, duration, pitch, velocity))
        )
    return Score(tuple(tracks), tempos, meters, texts=(Text(5, 6, "A"),), end_tick=100)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    score=scores(),
    seed=st.integers(0, 99),
    amount=st.sampled_from([0.3, 1.0, 2.0]),
    variation=st.sampled_from([0.0, 1.0]),
    human=st.sampled_from([(), (0,), (0, 1, 2)]),
)
def test_music_is_never_broken(score, seed, amount, variation, human):
    result = run(score, seed, human, amount=amount, variation=variation, keep_existing="redo")
    assert replace(result.score, tracks=score.tracks) == score
    for before, after in zip(score.tracks, result.score.tracks, strict=True):
        assert replace(after, notes=before.notes) == before or len(before.notes) == 0
        a, b = before.notes, after.notes
        assert sorted(a["pitch"]) == sorted(b["pitch"])
        assert (b["onset_tick"] >= 0).all()
        assert (b["duration_tick"] >= 1).all()
        assert ((b["velocity"] >= 1) & (b["velocity"] <= 127)).all()
        # Distinct onsets keep their order: the multiset of pitches of the first k notes, at every border,
        # stays.
        borders = np.flatnonzero(np.diff(a["onset_tick"])) + 1
        for border in borders:
            assert sorted(a["pitch"][:border]) == sorted(b["pitch"][:border])
            assert b["onset_tick"][border] > b["onset_tick"][border - 1]
        assert overlaps(b) <= overlaps(a)


def overlaps(notes):
    """Pairs of notes of one pitch that sound at once."""
    start, end = notes["onset_tick"].astype(int), notes["onset_tick"] + notes["duration_tick"]
    both = (start[:, None] < end) & (start < end[:, None]) & (notes["pitch"][:, None] == notes["pitch"])
    return np.count_nonzero(np.triu(both, 1))
