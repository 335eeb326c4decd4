"""Whole songs: every drum a kit sends, ornaments, chokes and pedal, and meters and tempos that change."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue import humanize
from segue.config import check_stage
from segue.humanize.drums import COMPOUND_ACCENT, in_compound_meters, in_fast_runs
from segue.humanize.groove import Performance
from segue.humanize.kit import keep_kit_together, main_hits, move_controls, runs, stroke_velocity
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import CONTROL, CONTROL_CHANGE, POLY_PRESSURE, Meter, Score, Tempo, Track, make_notes

KICK, SNARE, HAT, PEDAL, OPEN, CRASH = 36, 38, 42, 44, 46, 49


def run(score, seed=1, human=(), **changes):
    settings = check_stage("humanize", changes)
    models = {role: load_model(name, "onnx") for role, name in settings["models"].items()}
    tracks = [{"human_timing": i in human} for i in range(len(score.tracks))]
    return humanize.apply(score, {"id": "piece", "tracks": tracks}, settings, models, seed).score


def kit(*hits, name="kit", duration=60):
    """A drum track from (tick, pitch, velocity)."""
    onset, pitch, velocity = zip(*hits, strict=True)
    return Track(name, 9, notes=make_notes(onset, np.full(len(onset), duration), pitch, velocity))


def song(*tracks, us=500_000, meters=()):
    return Score(tracks, (Tempo(0, us),), meters)


def rock(bars=4, velocity=90):
    """Hits of a plain beat, eighths on the hi-hat."""
    hits = [(i * 480, HAT, velocity) for i in range(8 * bars)]
    return hits + [(i * 960, SNARE if i % 2 else KICK, velocity) for i in range(4 * bars)]


def onsets(track, pitch):
    return np.sort(track.notes["onset_tick"][track.notes["pitch"] == pitch]).astype(int)


# Every pitch


def test_all_128_pitches_keep_their_order_and_none_is_lost():
    # Each pitch twice, among a beat: on the grid and off it, from the first tick on.
    rng = np.random.default_rng(0)
    hits = [
        (int(t), p, int(v))
        for p in range(128)
        for t, v in zip(rng.integers(0, 15000, 2), (1, 127), strict=True)
    ]
    for at_grid in (1, 120):
        placed = [(t // at_grid * at_grid, p, v) for t, p, v in hits]
        score = song(kit(*placed, *rock()))
        for seed in range(3):
            notes = run(score, seed, amount=2, variation=1).tracks[0].notes
            written = score.tracks[0].notes
            assert sorted(notes["pitch"]) == sorted(written["pitch"])
            assert notes["onset_tick"].min() >= 0
            borders = np.flatnonzero(np.diff(written["onset_tick"])) + 1
            for border in borders:
                assert sorted(notes["pitch"][:border]) == sorted(written["pitch"][:border])


@pytest.mark.parametrize("pitch", [27, 34, 60, 62, 64, 67, 75, 76, 81, 87, 3, 120])
def test_what_the_model_does_not_know_moves_with_the_nearest_hit(pitch):
    score = song(kit(*rock(), (1920 + 15, pitch, 77), (9600 - 25, pitch, 77)))
    played = run(score, variation=0).tracks[0]
    for index, near in ((0, 1920), (1, 9600)):
        moved = onsets(played, pitch)[index] - onsets(score.tracks[0], pitch)[index]
        shifts = [onsets(played, p)[list(onsets(score.tracks[0], p)).index(near)] - near for p in (HAT, KICK)]
        assert moved in shifts
    assert set(played.notes["velocity"][played.notes["pitch"] == pitch]) == {77}


# Flams, drags, rolls


def test_main_strokes_by_hand():
    onset = np.array([0, 40, 100, 480, 500, 960, 1061])
    voice = np.array([1, 1, 1, 1, 2, 1, 1])
    velocity = np.array([30, 100, 20, 90, 90, 80, 80])
    step = (onset + 120) // 240
    assert main_hits(onset, voice, velocity, step).tolist() == [1, 1, 1, 3, 4, 5, 6]
    # Equally strong: the last leads. The order of the arguments does not matter.
    assert main_hits(np.array([0, 40]), np.array([1, 1]), np.array([9, 9]), np.zeros(2, int)).tolist() == [
        1,
        1,
    ]
    turned = main_hits(onset[::-1], voice[::-1], velocity[::-1], step[::-1])
    assert (6 - turned[::-1]).tolist() == [1, 1, 1, 3, 4, 5, 6]
    # A roll of sixty ticks is led sixteenth by sixteenth.
    roll = np.arange(12) * 60
    leaders = main_hits(roll, np.zeros(12, int), np.arange(12), (roll + 120) // 240)
    assert leaders.tolist() == [1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 11, 11]
    assert main_hits(*(np.zeros(0, int),) * 4).tolist() == []


@pytest.mark.parametrize("graces", [(40,), (90,), (90, 45), (135, 90, 45), (80, 55, 25)])
@pytest.mark.parametrize("main", [0, 25, -40])
@pytest.mark.parametrize("variation", [0, 1])
def test_flams_and_drags_keep_their_spacing_and_their_softness(graces, main, variation):
    at = 2880 + main
    ornament = [(at - g, SNARE, 30) for g in graces]
    plain = [hit for hit in rock() if hit[:2] != (2880, SNARE) and hit[:2] != (2880, HAT)]
    score = song(kit(*plain, *ornament, (at, SNARE, 100)))
    played = run(score, variation=variation, accent=1.2).tracks[0]
    moved, written = onsets(played, SNARE), onsets(score.tracks[0], SNARE)
    group = slice(1, 2 + len(graces))
    assert len(set(moved[group] - written[group])) == 1
    snare = played.notes[played.notes["pitch"] == SNARE]["velocity"]
    assert snare[1] < 0.5 * snare[1 + len(graces)], "a grace note stays one"


def test_a_flam_is_not_stretched_by_swing():
    flam = [(i * 960 + 480 - 40, SNARE, 30) for i in range(16)]
    main = [(i * 960 + 480, SNARE, 100) for i in range(16)]
    played = run(song(kit(*flam, *main)), swing=0.667, amount=0).tracks[0]
    assert np.diff(onsets(played, SNARE).reshape(-1, 2), axis=1).ravel().tolist() == [40] * 16
    assert (onsets(played, SNARE)[1::2] == [i * 960 + 640 for i in range(16)]).all()


def test_a_humans_flam_does_not_collapse():
    score = song(kit(*[(t + 7, p, v) for t, p, v in rock()], (2880 - 45, SNARE, 30)))
    played = run(score, human={0}, keep_existing="redo", variation=0).tracks[0]
    assert np.diff(onsets(played, SNARE))[1] == np.diff(onsets(score.tracks[0], SNARE))[1] == 52


def test_a_roll_stays_even():
    roll = [(3840 + i * 60, SNARE, 60 + i) for i in range(32)]
    score = song(kit(*rock(1), *roll, (3840 + 1920, CRASH, 110)))
    played = run(score, variation=0).tracks[0]
    spacing = np.diff(onsets(played, SNARE)[2:])
    assert (spacing > 0).all()
    assert np.count_nonzero(spacing != 60) <= 8, "only where one sixteenth hands over to the next"


# Fast runs, strokes


def test_runs_by_hand():
    onset = np.array([0, 240, 480, 720, 960, 1440, 1680, 1920, 2160, 0, 240, 480, 720])
    voice = np.array([0] * 9 + [1] * 4)
    turn = np.random.default_rng(0).permutation(13)
    found = runs(onset[turn], voice[turn])
    assert sorted(sorted(turn[run].tolist()) for run in found) == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
    ]
    assert runs(onset[:3], voice[:3]) == []


def expected_of(hits, us, offset, velocity):
    """What `in_fast_runs` makes of answers that alternate, and the answers."""
    onset, classes = (np.array(column) for column in zip(*hits, strict=True))
    odd = np.arange(len(onset)) % 2
    answers = Performance(
        np.where(odd, *offset).astype(float),
        np.where(odd, *velocity).astype(float),
        *np.ones((2, len(onset))),
    )
    return in_fast_runs(song(kit((0, 36, 1)), us=us), onset, classes, answers), answers


def test_a_blast_beat_is_even_and_a_funk_groove_is_not_touched():
    snare = [(i * 240, 1) for i in range(16)]
    # 220 bpm: a sixteenth is 68 ms; 120 bpm: 125 ms.
    fast, was = expected_of(snare, 60e6 / 220, (-0.1, 0.1), (60, 100))
    assert np.abs(np.diff(fast.offset)).max() < 0.25 * np.abs(np.diff(was.offset)).max()
    assert fast.offset[5] == pytest.approx(was.offset[3:8].mean())
    assert np.array_equal(fast.velocity, was.velocity)
    slow, was = expected_of(snare, 500_000, (-0.1, 0.1), (60, 100))
    assert np.array_equal(slow.offset, was.offset)


def test_a_double_bass_drum_has_the_level_of_the_other_kicks():
    rows = [(i * 240, 0) for i in range(8)]
    beats = [(3840 + i * 960, 0) for i in range(4)]
    played, was = expected_of([*rows, *beats], 500_000, (0, 0), (20, 70))
    assert played.velocity[8:].tolist() == was.velocity[8:].tolist()
    assert set(played.velocity[:8]) == {was.velocity[8:].mean()}
    alone, _ = expected_of(rows, 500_000, (0, 0), (20, 70))
    assert np.isnan(alone.velocity).all(), "the written velocity stays"
    written = song(kit(*[(t, KICK, 104) for t, _ in rows]))
    assert set(run(written).tracks[0].notes["velocity"]) == {104}


def test_a_side_stick_is_no_backbeat():
    played = {}
    for stroke in (37, 38):
        score = song(kit(*[(t, stroke if p == SNARE else p, v) for t, p, v in rock()]))
        notes = run(score, variation=0).tracks[0].notes
        played[stroke] = notes["velocity"][notes["pitch"] == stroke].astype(float)
    assert played[38].min() > 100
    assert 60 < played[37].min() <= played[37].max() < 85
    assert stroke_velocity(np.array([37, 38, 22]), np.array([100.0, 100, np.nan]))[:2].tolist() == [71, 100]


# A kit over several tracks, the hi-hat's pedal, chokes


def test_a_kit_in_tracks_is_played_as_one():
    hits = [*rock(), *[(i * 960 + 720, PEDAL, 70) for i in range(16)]]
    together = run(song(kit(*hits)), amount=2, variation=1).tracks[0].notes
    parts = [[h for h in hits if h[1] == p] for p in (KICK, SNARE, HAT, PEDAL)]
    apart = run(song(*(kit(*part) for part in parts)), amount=2, variation=1).tracks
    for pitch, track in zip((KICK, SNARE, HAT, PEDAL), apart, strict=True):
        assert np.array_equal(together[together["pitch"] == pitch]["onset_tick"], track.notes["onset_tick"])
        assert np.array_equal(together[together["pitch"] == pitch]["velocity"], track.notes["velocity"])


@pytest.mark.parametrize("gap", [20, 60, 120, 240])
@pytest.mark.parametrize("split", [False, True])
def test_a_pedal_closes_the_hi_hat_after_it_was_opened(gap, split):
    opened = [(i * 960 + 480, OPEN, 90) for i in range(16)]
    closed = [(t + gap, PEDAL, 60) for t, _, _ in opened]
    beat = [(i * 960 + 480 + 2 * gap, HAT, 80) for i in range(16)]
    tracks = (kit(*opened), kit(*closed, *beat)) if split else (kit(*opened, *closed, *beat),)
    for seed in range(4):
        played = run(song(*tracks), seed, amount=2, variation=1).tracks
        by_pitch = {
            p: onsets(track, p) for track in played for p in (OPEN, PEDAL, HAT) if len(onsets(track, p))
        }
        assert (by_pitch[OPEN] < by_pitch[PEDAL]).all()
        assert (by_pitch[PEDAL] < by_pitch[HAT]).all()


@given(
    onset=st.lists(st.integers(0, 2000), max_size=30),
    seed=st.integers(0, 99),
)
def test_order_is_kept_over_the_whole_kit(onset, seed):
    onset = np.array(onset, np.int64)
    shift = np.random.default_rng(seed).integers(-120, 121, len(onset)) / 1.0
    moved = onset + keep_kit_together(onset, shift)
    assert (moved >= 0).all()
    for i in range(len(onset)):
        assert (moved[onset > onset[i]] > moved[i]).all()


def controls(*events):
    return np.array(list(events), CONTROL)


def test_a_choke_moves_with_its_cymbal():
    hits = [*rock(), (3840, CRASH, 110), (11520, CRASH, 110)]
    events = [(3840 + 300, 127), (3840 + 420, 0), (11520, 127), (11520 + 90, 0)]
    track = replace(kit(*hits), controls=controls(*((t, POLY_PRESSURE, CRASH, v) for t, v in events)))
    score = song(track)
    again, _ = read_midi(write_midi(score))
    assert np.array_equal(again.tracks[0].controls, track.controls), "files keep polyphonic aftertouch"
    played = run(again, variation=0, push={"drums": 25}).tracks[0]
    shift = onsets(played, CRASH) - [3840, 11520]
    assert (shift != 0).all()
    assert played.controls["tick"].tolist() == [e[0] + shift[i // 2] for i, e in enumerate(events)]
    assert played.controls["data2"].tolist() == [127, 0, 127, 0]


def test_a_choke_stays_between_its_hit_and_the_next():
    before = replace(
        kit((100, CRASH, 90), (200, CRASH, 90), (260, CRASH, 90)),
        controls=controls(
            *((t, POLY_PRESSURE, p, 1) for t, p in ((50, CRASH), (199, CRASH), (220, 7), (230, CRASH)))
        ),
    )
    after = before.with_notes(make_notes([160, 170, 220], [60] * 3, [CRASH] * 3, 90))
    assert move_controls(before, after).controls["tick"].tolist() == [50, 169, 200, 220]


def test_chokes_and_pedals_alone_are_left():
    track = replace(
        kit((0, SNARE, 90)), controls=controls((5, POLY_PRESSURE, CRASH, 1), (9, CONTROL_CHANGE, 4, 90))
    )
    moved = track.with_notes(make_notes([50], [60], [SNARE], 90))
    assert move_controls(track, moved).controls.tolist() == track.controls.tolist()
    without = replace(track, controls=track.controls[:0])
    assert move_controls(without, moved) is moved


def test_the_pedals_position_still_comes_before_its_hit():
    hits = [(i * 480, HAT if i % 4 else OPEN, 80) for i in range(32)]
    pedal = [(max(t - 6, 0), CONTROL_CHANGE, 4, 20 if p == OPEN else 90) for t, p, _ in hits]
    track = replace(kit(*hits), controls=controls(*pedal, (15300, CONTROL_CHANGE, 7, 100)))
    played = run(song(track), variation=1, amount=2).tracks[0]
    hats = played.notes["onset_tick"].astype(int)
    positions = played.controls[played.controls["data1"] == 4]["tick"].astype(int)
    assert (positions <= hats).all()
    assert (positions[1:] > hats[:-1]).all()
    assert np.abs(hats - positions - 6)[1:].max() <= 3, "as long before it as it was"
    assert played.controls["tick"][played.controls["data1"] == 7].tolist() == [15300], (
        "the volume is no pedal"
    )


# Bars that repeat, meters, tempos


def bars_of(score, bars, length=3840):
    """Onsets within the bar and velocities of each bar, by pitch, then onset."""
    notes = score.tracks[0].notes
    bar = (notes["onset_tick"].astype(int) + length // 32) // length
    found = []
    for b in range(bars):
        mine = notes[bar == b]
        mine = mine[np.lexsort((mine["onset_tick"], mine["pitch"]))]
        found.append(np.stack([mine["onset_tick"].astype(int) - b * length, mine["velocity"]]))
    return found


def test_equal_bars_differ_by_default_and_are_equal_without_variation():
    score = song(kit(*rock(8)))
    # The bars at either end have a neighbour on one side alone.
    still = bars_of(run(score, variation=0), 8)[1:-1]
    assert all(np.array_equal(bar, still[0]) for bar in still)
    played = bars_of(run(score), 8)[1:-1]
    different = [np.any(a != b) for i, a in enumerate(played) for b in played[:i]]
    assert all(different)


def test_a_tempo_change_plays_each_part_at_its_own_tempo():
    beat = kit(*rock(16))
    parts = {us: bars_of(run(song(beat, us=us), variation=0), 16) for us in (600_000, 400_000)}
    both = Score((beat,), (Tempo(0, 600_000), Tempo(8 * 3840, 400_000)))
    mixed = bars_of(run(both, variation=0), 16)
    for bar in (*range(1, 7), *range(9, 15)):
        assert np.array_equal(mixed[bar], parts[600_000 if bar < 8 else 400_000][bar])
    assert not np.array_equal(parts[600_000][4], parts[400_000][4])


def test_a_pickup_does_not_move_the_accents():
    beat = rock(8)
    whole = bars_of(run(song(kit(*beat)), variation=0), 8)
    shifted = [(t + 960, p, v) for t, p, v in beat]
    meters = (Meter(0, 1, 4), Meter(960, 4, 4))
    score = run(song(kit(*shifted, (0, SNARE, 90), (480, SNARE, 90)), meters=meters), variation=0)
    notes = score.tracks[0].notes
    later = notes[notes["onset_tick"] > 960 + 3840 - 120].copy()
    later["onset_tick"] -= 960
    moved = bars_of(song(Track("kit", 9, notes=later)), 8)
    for a, b in zip(whole[2:7], moved[2:7], strict=True):
        # The pickup is a bar of the piece too, and so a little of what the network is told of it.
        assert np.abs(a[0] - b[0]).max() <= 24
        assert np.corrcoef(a[1], b[1])[0, 1] > 0.95


def six_eight(bars=8):
    hits = [(i * 480, HAT, 80) for i in range(6 * bars)]
    return kit(*hits, *[(i * 1440, SNARE if i % 2 else KICK, 80) for i in range(2 * bars)])


def test_the_kit_does_not_lead_in_compound_meters():
    score = song(six_eight(), meters=(Meter(0, 6, 8),), us=400_000)
    played = run(score, variation=0).tracks[0].notes
    shift = np.sort(played["onset_tick"].astype(int)) - np.sort(score.tracks[0].notes["onset_tick"])
    assert np.abs(shift).mean() > 3
    assert abs(shift[10:].mean()) < 3


def test_only_compound_meters_lose_the_lead_and_some_depth():
    meters = (Meter(0, 4, 4), Meter(3840, 6, 8), Meter(3840 + 2880, 7, 8), Meter(3840 + 2880 + 3360, 12, 8))
    onset = np.array([0, 3839, 3840, 5280, 6000, 6720, 8000, 12000])
    offset = np.array([-0.5, -0.5, -0.5, -0.25, np.nan, -0.5, -0.5, 0.0])
    velocity = np.array([40.0, 90, 40, 60, np.nan, 40, 90, 110])
    expected = Performance(offset, velocity, np.ones(8), np.ones(8))
    played = in_compound_meters(song(kit((0, 36, 1)), meters=meters), onset, expected)
    assert played.offset == pytest.approx([-0.5, -0.5, -0.25, 0, np.nan, -0.5, -0.5, 0.25], nan_ok=True)
    depth = [70 + COMPOUND_ACCENT * d for d in (-30, -10, 40)]
    want = [40, 90, depth[0], depth[1], np.nan, 40, 90, depth[2]]
    assert played.velocity == pytest.approx(want, nan_ok=True)
    assert in_compound_meters(song(kit((0, 36, 1))), onset, expected) is expected
    assert offset[2] == -0.5, "the argument was changed"


@pytest.mark.parametrize("meter", [(3, 4), (5, 4), (7, 8), (5, 8), (6, 8), (9, 8), (12, 8), (2, 2), (11, 16)])
@hypothesis_settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 50))
def test_any_meter_keeps_its_music(meter, seed):
    rng = np.random.default_rng(seed)
    length = Meter(0, *meter).bar_ticks
    grid = rng.choice([80, 120, 160, 240])
    at = np.sort(rng.integers(0, 6 * length // grid, 60)) * grid
    hits = [
        (int(t), int(p), 80)
        for t, p in zip(at, rng.choice([KICK, SNARE, HAT, OPEN, CRASH, 75], 60), strict=True)
    ]
    meters = (Meter(0, *meter), Meter(3 * length, 4, 4), Meter(3 * length + 3840, *meter))
    score = song(kit(*hits), meters=meters)
    played = run(score, seed, amount=2, variation=1).tracks[0].notes
    assert sorted(played["pitch"]) == sorted(score.tracks[0].notes["pitch"])
    shift = np.sort(played["onset_tick"].astype(int)) - np.sort(score.tracks[0].notes["onset_tick"])
    assert np.abs(shift).max() <= 121, "nothing moves further than half a sixteenth"
    assert (played["onset_tick"] >= 0).all()
