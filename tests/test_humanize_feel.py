"""Groove from a reference: taking a feel, keeping it in a file, playing with it, going between two."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_humanize import band, drum_loop, melody, overlaps, scores
from test_humanize_controls import FIXED, play

from segue.cli import main
from segue.config import check_stage
from segue.humanize.encoding import CLASSES
from segue.humanize.evaluate import performances, read_take, replay
from segue.humanize.feel import Feel, Moments, bar_places
from segue.humanize.feel.extract import feel_from_midi, feel_of, places_of
from segue.humanize.feel.file import feel_from_dict, feel_from_json, feel_to_dict, feel_to_json
from segue.humanize.feel.play import answer, blended
from segue.midi import write_midi
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes
from segue.stage import StageError

GROOVE = Path(__file__).parents[2] / "shared/data/groove"
KICK, SNARE, HAT, RIDE = (CLASSES.index(name) for name in ("kick", "snare", "closed hi-hat", "ride"))
#: A tick in ms at 125 bpm: half a millisecond.
US_125 = 480_000


def performance(late=0, velocity=100, bars=4, meter=(4, 4), us=US_125, channel=9, pitch=42, step=480):
    """Eighths on one drum, `late` ticks behind; `late` and `velocity` one number or one a hit."""
    bar = Meter(0, *meter).bar_ticks
    onset = np.arange(0, bars * bar, step) + bar
    notes = make_notes(onset + late, np.full(len(onset), 60), np.full(len(onset), pitch), velocity)
    return Score((Track("d", channel, notes=notes),), (Tempo(0, us),), (Meter(0, *meter),))


def groove(score, name="reference"):
    """The setting of a run that names this performance."""
    return feel_to_dict(feel_of(score, name))


def shifts(before, after, track=0):
    """Ticks by which a track moved, but its beginning; hits of one pitch keep their order."""
    a, b = (s.tracks[track].notes for s in (before, after))
    a, b = (n[np.lexsort((n["onset_tick"], n["pitch"]))] for n in (a, b))
    moved = b["onset_tick"].astype(int) - a["onset_tick"]
    return moved[a["onset_tick"] > 240]


# Taking a feel.


def test_figures_by_hand():
    # Bars repeat: the first eighth 20 ticks late (10 ms) and 40 ticks late in turn, all others on time.
    late = np.where(np.arange(32) % 16 == 0, 20, np.where(np.arange(32) % 16 == 8, 40, 0))
    velocity = np.where(np.arange(32) % 8 == 0, 120, 60)
    feel = feel_of(performance(late, velocity), "mine")
    assert (feel.name, feel.source, feel.bpm, feel.meter) == ("mine", "midi", 125.0, Meter(0, 4, 4))
    assert feel.count.shape == (48, 9)
    assert feel.count[::6, HAT].tolist() == [4] * 8
    assert feel.count.sum() == 32
    assert (feel.timing.mean[0, HAT], feel.timing.spread[0, HAT]) == (15.0, 5.0)
    assert (feel.timing.mean[6, HAT], feel.timing.spread[6, HAT]) == (0.0, 0.0)
    assert feel.velocity.mean[[0, 6], HAT].tolist() == [120.0, 60.0]
    assert np.isnan(feel.timing.mean[0, KICK])
    assert feel.swing is None


def test_a_seldom_place_leans_on_coarser_ones():
    # The hat 10 ms late at eight places of the bar, four times each, but 30 ms at one place.
    late = np.where(np.arange(32) % 8 == 0, 60, 20)
    feel = feel_of(performance(late), "")
    table = feel.timing_tables.mean
    everywhere = (28 * 10 + 4 * 30) / 32
    on_beat = (12 * 10 + 4 * 30 + 4 * everywhere) / (16 + 4)
    assert table[-1, HAT] == pytest.approx(everywhere)
    assert table[feel.timing_tables.beat_row, HAT] == pytest.approx(on_beat)
    assert table[0, HAT] == pytest.approx((4 * 30 + 8 * on_beat) / (4 + 8))
    assert table[1, HAT] == pytest.approx(everywhere), "a place that was never hit"
    velocity = feel.velocity_tables.mean
    assert velocity[:, HAT] == pytest.approx(np.full(len(velocity), 100))


def test_the_loudest_of_several_hits_of_a_drum_counts():
    hits = performance(0, 100)
    grace = make_notes(hits.tracks[0].notes["onset_tick"] - 40, [20] * 32, [42] * 32, 30)
    both = Score((hits.tracks[0], Track("grace", 9, notes=grace)), hits.tempos, hits.meters)
    feel = feel_of(both, "")
    assert feel.velocity.mean[0, HAT] == 100
    assert feel.timing.mean[0, HAT] == 0


def test_a_shuffle_swings_and_lends_its_off_beat_to_straight_eighths():
    onset = (np.arange(16)[:, None] * 960 + [0, 650]).ravel()
    notes = make_notes(onset, [60] * 32, [51] * 32, 90)
    feel = feel_of(Score((Track("", 9, notes=notes),), (Tempo(0, US_125),)), "")
    assert feel.swing == pytest.approx(650 / 960, abs=0.001)
    assert feel.count[8, RIDE] == 4
    assert feel.count[6, RIDE] == 0
    assert feel.timing_tables.mean[6, RIDE] == feel.timing_tables.mean[8, RIDE]
    assert feel.timing_tables.mean[8, RIDE] == pytest.approx(5, abs=1.5)


def test_other_instruments_have_one_column_and_a_latency_is_left_out():
    feel = feel_of(performance(100, channel=0, pitch=60), "")
    assert not feel.knows_drums
    assert feel.count.shape == (48, 1)
    assert feel.latency_ms == 50.0
    assert feel.timing.mean[0, 0] == 0


@pytest.mark.parametrize("meter", [(3, 4), (6, 8), (12, 8), (5, 4), (7, 8), (2, 2)])
def test_meters(meter):
    feel = feel_of(performance(10, meter=meter, step=240), "")
    assert feel.meter == Meter(0, *meter)
    assert len(feel.count) == bar_places(feel.meter)
    assert feel.count[::3, HAT].tolist() == [4] * len(feel.count[::3])
    assert feel.timing.mean[::3, HAT] == pytest.approx(5)


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (Score(), "no notes"),
        (Score((Track("", 9, notes=make_notes([0, 480], [1, 1], [42, 42], 9)),)), "2 hits"),
        (performance(np.random.default_rng(0).integers(-240, 240, 320), bars=40), "do not keep to its beats"),
    ],
)
def test_what_holds_no_feel_is_refused(score, reason):
    with pytest.raises(StageError, match=reason):
        feel_of(score, "")


def test_no_midi_is_refused():
    with pytest.raises(StageError, match="MIDI header"):
        feel_from_midi(b"To be, or not to be", "")


# In a file.


@st.composite
def feels(draw):
    """Feels of drums or notes, in several meters."""
    meter = Meter(0, *draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8), (1, 64)])))
    columns = draw(st.sampled_from([1, 9]))
    shape = (bar_places(meter), columns)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    count = rng.integers(0, 9, shape) * (rng.random(shape) < draw(st.sampled_from([0.05, 0.5, 1.0])))
    count[0, 0] += 1
    unknown = np.where(count > 0, 1.0, np.nan)
    with_velocity = draw(st.booleans())
    timing, spread = rng.uniform(-60, 60, shape), rng.uniform(0, 30, shape)
    velocity = Moments(*(np.round(v * unknown, 1) for v in (rng.uniform(1, 127, shape), spread)))
    return Feel(
        name=draw(st.text(max_size=5)),
        source="midi",
        meter=meter,
        bpm=round(draw(st.floats(30, 300)), 2),
        swing=draw(st.sampled_from([None, 0.62, 0.667])),
        latency_ms=0.0,
        count=count,
        timing=Moments(np.round(timing * unknown, 2), np.round(spread * unknown, 2)),
        velocity=velocity if with_velocity else Moments(np.full(shape, np.nan), np.full(shape, np.nan)),
    )


def same(a, b):
    arrays = [(f.count, f.timing.mean, f.timing.spread, f.velocity.mean, f.velocity.spread) for f in (a, b)]
    rest = [(f.name, f.source, f.meter, f.bpm, f.swing, f.latency_ms) for f in (a, b)]
    pairs = zip(*arrays, strict=True)
    return rest[0] == rest[1] and all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


@hypothesis_settings(max_examples=40, deadline=None)
@given(feel=feels())
def test_a_saved_feel_is_the_feel(feel):
    text = feel_to_json(feel)
    again = feel_from_json(text.encode())
    assert same(feel, again)
    assert feel_to_json(again) == text
    assert same(feel_from_dict(json.loads(text)), feel)


def test_a_saved_feel_is_short_and_readable():
    text = feel_to_json(feel_of(performance(20), "mine"))
    lines = text.splitlines()
    assert '    [1, 0, "closed hi-hat", 4, 10.0, 0.0, 100.0, 0.0],' in lines
    assert len(lines) == 8 + 12
    assert max(map(len, lines)) < 120


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.pop("segue_feel"), "no feel"),
        (lambda d: d.update(segue_feel=9), "format 9"),
        (lambda d: d.update(meter="4/5"), "4/5 is no meter"),
        (lambda d: d.pop("bpm"), "fault.*bpm"),
        (lambda d: d.update(places=[]), "fault"),
        (lambda d: d["places"][0].__setitem__(2, "gong"), "gong"),
        (lambda d: d["places"][0].__setitem__(0, 7), "place"),
        (lambda d: d["places"][0].__setitem__(4, "late"), "fault"),
        (lambda d: d["places"][0].__setitem__(5, -3), "spread below 0"),
        (lambda d: d["places"][0].pop(), "fault"),
        (lambda d: d["places"][0].__setitem__(3, 10**30), "fault"),
        (lambda d: d.update(swing=3), "swing 3"),
    ],
)
def test_a_spoiled_feel_is_refused_with_a_reason(change, reason):
    saved = groove(performance(20))
    change(saved)
    with pytest.raises(StageError, match=reason):
        feel_from_json(json.dumps(saved).encode())


# Playing with it.


def test_hits_lie_where_the_reference_has_them_at_any_tempo():
    reference = groove(
        performance(np.where(np.arange(32) % 2, -16, 24), np.where(np.arange(32) % 2, 50, 110))
    )
    for us in (US_125, 240_000):
        score = Score((drum_loop(4),), (Tempo(0, us),))
        hats = score.tracks[0].notes["pitch"] == 42
        result = play(score, models=FIXED, variation=0, groove="none")
        settings = check_stage("humanize", {"variation": 0}) | {"groove": reference}
        played = apply(score, settings)
        before, after = score.tracks[0].notes[hats], played.score.tracks[0].notes
        after = after[after["pitch"] == 42]
        # The priors leave a part of the distance from the mean: with 16 and 16 hits of two kinds, an eighth.
        feel = feel_from_dict(reference)
        expected = feel.timing_tables.mean[np.arange(32) % 8 * 6, HAT] * 960 / (us / 1000)
        moved = after["onset_tick"].astype(int)[1:] - before["onset_tick"][1:]
        assert np.abs(moved - expected[1:]).max() <= 1
        assert np.sign(moved).tolist() == [-1, 1] * 15 + [-1]
        assert np.abs(after["velocity"][::2] - 110.0).max() < 6
        assert np.abs(after["velocity"][1::2] - 50.0).max() < 6
        assert write_midi(played.score) != write_midi(result.score)


def apply(score, settings, seed=1, human=(), models=FIXED):
    from segue import humanize

    tracks = [{"human_timing": i in human} for i in range(len(score.tracks))]
    return humanize.apply(score, {"id": "piece", "tracks": tracks}, settings, models, seed)


def with_groove(score, reference, seed=1, human=(), **given):
    return apply(score, check_stage("humanize", given) | {"groove": reference}, seed, human)


def test_drums_the_reference_does_not_play():
    feel = feel_of(performance(20), "")
    score = Score((drum_loop(2),), (Tempo(0, US_125),), (Meter(0, 4, 4),))
    where = places_of(score, np.array([0, 960, 480, 20, 120]))
    found = answer(feel, score, where, np.array([KICK, HAT, -1, HAT, HAT]))
    assert found.timing[:4] == pytest.approx([10, 10, 10, 10])
    assert np.isnan(found.timing[4]), "half-way between two places"
    assert np.isnan(found.velocity).tolist() == [True, False, True, False, True]
    assert found.level.tolist() == [0, 0, 0, 0, 3]


def test_just_before_a_bar_line_lies_the_next_bar():
    score = Score((drum_loop(2),), meters=(Meter(0, 4, 4),))
    where = places_of(score, np.array([3840 - 8, 3840 + 8]))
    assert where.bar.tolist() == [1, 1]
    assert where.place.tolist() == [0, 0]


def test_another_meter_finds_places_of_the_beat():
    feel = feel_of(performance(np.where(np.arange(32) % 2, 40, 0)), "")
    ticks = np.arange(6) * 480
    for meter, level in (((4, 4), 0), ((3, 4), 1), ((6, 8), 2)):
        score = Score((drum_loop(2),), (Tempo(0, US_125),), (Meter(0, *meter),))
        found = answer(feel, score, places_of(score, ticks), np.full(6, HAT))
        assert found.level.tolist() == [level] * 6
        if level < 2:
            assert found.timing[1] > found.timing[0] + 8
        else:
            assert np.ptp(found.timing) == 0
    waltz = Score((drum_loop(2),), (Tempo(0, US_125),), (Meter(0, 3, 4),))
    result = with_groove(waltz, feel_to_dict(feel))
    assert "other_meter" in result.report["reference"]
    assert result.report["drums"]["reference"]["by_place_in_beat"] == len(waltz.tracks[0].notes)


def test_a_path_that_nobody_has_read_is_not_taken_for_the_model():
    with pytest.raises(TypeError):
        apply(performance(), check_stage("humanize", {"groove": "take.mid"}))


def test_the_record_says_what_came_from_where():
    result = with_groove(band(), groove(performance(20)), variation=0)
    assert result.report["reference"]["parts"] == [
        {"name": "reference", "share": 1.0, "source": "midi", "meter": "4/4", "tempo_bpm": 125.0}
    ]
    counts = result.report["drums"]["reference"]
    assert (counts["from_reference"], counts["from_model"]) == (48, 0)
    off = make_notes([120, 7 * 120], [10, 10], [42, 42], 90)
    loop = drum_loop()
    both = Score((loop.with_notes(np.concatenate([loop.notes, off])),), band().tempos, band().meters)
    counts = with_groove(both, groove(performance(20))).report["drums"]["reference"]
    assert (counts["from_reference"], counts["from_model"]) == (48, 2)


def test_amount_zero_and_the_controls_on_top():
    score, reference = band(), groove(performance(24, 110))
    assert write_midi(with_groove(score, reference, amount=0).score) == write_midi(score)
    assert not shifts(score, with_groove(score, reference, timing=0).score).any()
    whole = shifts(score, with_groove(score, reference, variation=0).score)
    half = shifts(score, with_groove(score, reference, variation=0, amount=0.5).score)
    assert np.abs(whole / 2 - half).max() <= 1
    pushed = shifts(score, with_groove(score, reference, variation=0, push={"drums": 10}).score)
    assert np.abs(pushed - whole - 19.2).max() <= 1
    even = with_groove(score, reference, velocity=0).score.tracks[0].notes
    assert set(even["velocity"]) == {100}


def test_the_reference_gives_the_spread_of_variation():
    rng = np.random.default_rng(3)
    steady, loose = (groove(performance(np.rint(rng.normal(0, s, 512)), bars=64)) for s in (1, 24))
    score = Score((drum_loop(32),), (Tempo(0, US_125),))

    def spread(reference, variation):
        moved = shifts(score, with_groove(score, reference, variation=variation).score)
        even = shifts(score, with_groove(score, reference, variation=0).score)
        return np.std(moved - even)

    assert spread(loose, 1) == pytest.approx(24, rel=0.3)
    assert spread(loose, 0.5) == pytest.approx(12, rel=0.3)
    assert spread(steady, 1) < 4


def test_a_shuffled_reference_swings_what_sets_no_swing_itself():
    onset = (np.arange(16)[:, None] * 960 + [0, 640]).ravel()
    shuffle = Score((Track("", 9, notes=make_notes(onset, [60] * 32, [42] * 32, 90)),), (Tempo(0, US_125),))
    score = band()
    swung = with_groove(score, groove(shuffle), variation=0, velocity=0).score
    hats = swung.tracks[0].notes
    hats = hats[hats["pitch"] == 42]["onset_tick"]
    assert np.abs(hats[1::2].astype(int) - hats[::2] - 640).max() <= 2
    keys = swung.tracks[1].notes["onset_tick"].astype(int)
    assert np.mean(keys[1::2] - keys[::2]) == pytest.approx(640, abs=15)
    straight = with_groove(score, groove(shuffle), variation=0, swing=0.51).score
    assert not np.array_equal(straight.tracks[0].notes["onset_tick"], swung.tracks[0].notes["onset_tick"])


def test_tracks_without_drums_follow_the_reference_itself():
    score = Score((melody(8),), (Tempo(0, US_125),), (Meter(0, 4, 4),))
    late, on = (with_groove(score, groove(performance(t)), variation=0) for t in (40, 0))
    pulled = shifts(on.score, late.score)
    assert pulled.mean() == pytest.approx(40, abs=2)
    assert late.report["reference"]["leads_pitched"]
    assert not late.report["pitched"]["follows_drums"]


def test_a_reference_of_other_instruments_leads_all_tracks():
    accents = np.where(np.arange(64) % 8 == 0, 120, 60)
    reference = groove(performance(20, accents, bars=8, channel=0, pitch=60))
    result = with_groove(band(), reference, variation=0)
    drums, keys = result.score.tracks
    assert np.abs(shifts(band(), result.score, 0) - 19.2).max() <= 1
    assert np.abs(shifts(band(), result.score, 1) - 19.2).max() <= 1
    first = keys.notes["velocity"].reshape(4, 8).astype(int)
    assert (first[:, 0] > first[:, 1:].max(axis=1) + 20).all()
    assert result.report["pitched"]["reference"]["from_reference"] == 32
    assert len(np.unique(drums.notes["velocity"])) > 1


def test_human_tracks_stay_and_redone_ones_take_the_feel():
    loop = drum_loop()
    notes = loop.notes.copy()
    notes["onset_tick"] += 30
    score = Score((loop.with_notes(notes),), (Tempo(0, US_125),), (Meter(0, 4, 4),))
    reference = groove(performance(-20))
    kept = with_groove(score, reference, human=(0,))
    assert kept.score.tracks[0] is score.tracks[0]
    redone = with_groove(score, reference, human=(0,), keep_existing="redo", variation=0)
    assert np.abs(shifts(score, redone.score) + 50).max() <= 1


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    score=scores(),
    feel=feels(),
    other=st.one_of(st.just("model"), feels()),
    share=st.sampled_from([0.0, 0.4, 1.0]),
    human=st.sampled_from([(), (0, 1, 2)]),
)
def test_music_is_never_broken(score, feel, other, share, human):
    second = other if other == "model" else feel_to_dict(other)
    settings = check_stage("humanize", {"variation": 1, "amount": 2, "keep_existing": "redo"})
    result = apply(score, settings | {"blend": [feel_to_dict(feel), second, share]}, 1, human)
    json.dumps(result.report, allow_nan=False)
    for before, after in zip(score.tracks, result.score.tracks, strict=True):
        a, b = before.notes, after.notes
        assert sorted(a["pitch"]) == sorted(b["pitch"])
        assert (b["onset_tick"] >= 0).all()
        assert ((b["velocity"] >= 1) & (b["velocity"] <= 127)).all()
        assert overlaps(b) <= overlaps(a)


# Between two.


def test_a_blend_begins_at_one_feel_and_ends_at_the_other():
    first, second = groove(performance(-30, 40)), groove(performance(40, 110))
    for a, b in ((first, second), (first, "model"), ("model", second)):
        ends = [apply(band(), check_stage("humanize", {}) | {"blend": [a, b, share]}) for share in (0, 1)]
        for end, part in zip(ends, (a, b), strict=True):
            alone = with_groove(band(), "none" if part == "model" else part)
            assert write_midi(end.score) == write_midi(alone.score)


def test_a_blend_moves_steadily_from_one_to_the_other():
    first, second = groove(performance(-30, 40)), groove(performance(40, 110))
    score = Score((drum_loop(),), (Tempo(0, US_125),), (Meter(0, 4, 4),))
    settings = check_stage("humanize", {"variation": 0})
    steps = [
        apply(score, settings | {"blend": [first, second, share]}).score for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    moved = np.stack([shifts(score, s) for s in steps])
    assert (np.diff(moved, axis=0) > 0).all()
    assert np.abs(moved - np.linspace(-30, 40, 5)[:, None]).max() <= 1
    loud = np.stack([np.sort(s.tracks[0].notes["velocity"][s.tracks[0].notes["pitch"] == 42]) for s in steps])
    assert np.abs(loud - np.linspace(40, 110, 5)[:, None]).max() <= 1


@given(
    a=st.floats(-50, 50),
    b=st.floats(-50, 50),
    low=st.floats(0, 1),
    high=st.floats(0, 1),
    missing=st.booleans(),
)
def test_shares_are_monotone_and_the_known_speaks_alone(a, b, low, high, missing):
    low, high = sorted((low, high))
    near, far = (float(blended(np.array([a, b]), [1 - s, s])) for s in (low, high))
    assert min(a, b) - 1e-9 <= near <= max(a, b) + 1e-9
    assert (far - near) * (b - a) >= -1e-9
    if missing and 0 < low < 1:
        assert float(blended(np.array([a, np.nan]), [1 - low, low])) == pytest.approx(a)


# Against drummers.


@pytest.mark.skipif(not GROOVE.is_dir(), reason="the training data are not here")
def test_the_first_half_of_a_take_tells_more_of_its_second_than_the_model():
    models = {"drums": load_model("groove")}
    settings = check_stage("humanize", {"variation": 0})
    rows = []
    for path in performances(GROOVE, "validation"):
        try:
            take = read_take(path)
            if len(take.hits.step) < 400:
                continue
            middle = int(np.median(take.hits.step)) // 16 * 16
            tracks = [t.with_notes(t.notes[t.notes["onset_tick"] < middle * 240]) for t in take.score.tracks]
            first = groove(Score(tuple(tracks), take.score.tempos, take.score.meters))
        except StageError:
            continue
        later = take.hits.step >= middle
        for reference in ("none", first):
            offset, velocity = replay(take, 64, settings | {"groove": reference}, models, 0)
            late = np.abs(offset - take.hits.offset) * 15000 / take.hits.bpm
            loud = np.abs(velocity - take.hits.velocity) * 127
            rows.append((late[later].mean(), loud[later].mean()))
    model, feel = np.array(rows[::2]).mean(0), np.array(rows[1::2]).mean(0)
    assert len(rows) >= 20
    assert feel[0] < 0.95 * model[0]
    assert feel[1] < 0.9 * model[1]


# On the command line.


def test_extract_saves_what_a_setting_then_names(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("take.mid").write_bytes(write_midi(performance(20)))
    Path("loop.mid").write_bytes(write_midi(band()))
    assert main(["groove", "extract", "take.mid", "-o", "feel.json"]) == 0
    assert "take: 32 drum hits at 8 places of a bar of 4/4 at 125 bpm" in capsys.readouterr().out
    for name in ("take.mid", "feel.json"):
        assert main(["humanize", "loop.mid", "-o", f"out/{name}", "--set", f"groove={name}"]) == 0
    played = [Path(f"out/{name}/loop.mid").read_bytes() for name in ("take.mid", "feel.json")]
    assert played[0] == played[1]
    assert main(["humanize", "loop.mid", "-o", "out", "--set", "blend=[feel.json, model, 0.5]"]) == 0
    record = json.loads(Path("out/loop.json").read_text())
    shares = [part["share"] for part in record["stages"]["humanize"]["reference"]["parts"]]
    assert shares == [0.5, 0.5]
    assert main(["evaluate", "groove", ".", "--set", "groove=feel.json"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mid", write_midi(Score()), "no notes"),
        ("words.mid", b"words", "MIDI header"),
        ("words.txt", b"words", "end in one of .mid"),
        ("words.json", b"words", "no JSON"),
        ("deep.json", b"[" * 100_000, "no JSON"),
        ("words.wav", b"words", "no WAV or FLAC"),
    ],
)
def test_what_is_no_reference_is_refused_before_anything_is_done(name, content, reason, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["groove", "extract", str(path), "-o", str(tmp_path / "f.json")]) == 2
    assert reason in capsys.readouterr().err
    assert main(["humanize", str(tmp_path), "-o", str(tmp_path / "out"), "--set", f"groove={path}"]) == 2
    message = capsys.readouterr().err
    assert f"humanize.groove is {path}" in message
    assert reason in message
    assert not (tmp_path / "out").exists()


def test_extract_says_what_it_cannot_do(tmp_path, capsys):
    path = tmp_path / "take.mid"
    path.write_bytes(write_midi(performance(20)))
    for arguments, reason in (
        ([str(tmp_path / "none.mid"), "-o", "f.json"], "No such file"),
        ([str(path), "-o", "feel.mid"], "saved as .json"),
        ([str(path), "-o", "f.json", "--bpm", "100"], "recordings alone"),
    ):
        assert main(["groove", "extract", *arguments]) == 2
        assert reason in capsys.readouterr().err
