import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.score import (
    KeySignature,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    bar_index,
    bar_starts,
    beat_starts,
    make_notes,
    meter_at,
    meter_index,
    meters_from_zero,
    seconds_from_ticks,
    seconds_per_tick,
    sort_notes,
    ticks_from_seconds,
)


def test_seconds_follow_the_tempo_map():
    # Two quarters at 60 a minute, then quarters at 120 a minute.
    score = Score(tempos=(Tempo(0, 1_000_000), Tempo(1920, 500_000)))
    assert seconds_from_ticks(score, [0, 960, 1920, 2880, 4800]).tolist() == [0, 1, 2, 2.5, 3.5]


def test_a_minute_has_120_quarters_before_the_first_tempo():
    score = Score(tempos=(Tempo(960, 1_000_000),))
    assert seconds_from_ticks(score, [960, 1920]).tolist() == [0.5, 1.5]
    assert seconds_per_tick(score, [0, 960]) == pytest.approx([0.5 / 960, 1 / 960])


tempo_maps = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(100_000, 3_000_000)), max_size=6, unique_by=lambda t: t[0]
).map(lambda pairs: Score(tempos=tuple(Tempo(*p) for p in sorted(pairs))))


@given(tempo_maps, st.lists(st.integers(0, 200_000), max_size=20))
def test_ticks_and_seconds_are_inverse_and_in_order(score, ticks):
    ticks = np.sort(np.array(ticks, float))
    seconds = seconds_from_ticks(score, ticks)
    assert np.all(np.diff(seconds) >= 0)
    assert ticks_from_seconds(score, seconds) == pytest.approx(ticks, abs=1e-3)


@pytest.mark.parametrize(
    ("numerator", "denominator", "bar", "beat"),
    [(4, 4, 3840, 960), (3, 4, 2880, 960), (6, 8, 2880, 1440), (2, 2, 3840, 1920), (7, 8, 3360, 480),
     (12, 8, 5760, 1440), (3, 8, 1440, 480), (5, 16, 1200, 240)],
)  # fmt: skip
def test_bar_and_felt_beat(numerator, denominator, bar, beat):
    meter = Meter(0, numerator, denominator)
    assert (meter.bar_ticks, meter.beat_ticks) == (bar, beat)


def test_bars_after_a_pickup():
    score = Score(meters=(Meter(0, 1, 4), Meter(960, 4, 4)), end_tick=960 + 2 * 3840)
    assert bar_starts(score).tolist() == [0, 960, 4800, 8640]
    assert beat_starts(score).tolist() == [0, *range(960, 8641, 960)]


def test_a_meter_change_cuts_a_bar_short():
    score = Score(meters=(Meter(0, 4, 4), Meter(4800, 3, 4)), end_tick=7680)
    assert bar_starts(score).tolist() == [0, 3840, 4800, 7680]


def test_an_empty_piece_has_one_bar():
    assert bar_starts(Score()).tolist() == [0, 3840]


def test_the_last_bar_holds_the_last_note():
    track = Track(notes=make_notes([0, 3839], [10, 5], [60, 60], 80))
    assert Score(tracks=(track,)).last_tick == 3844
    assert bar_starts(Score(tracks=(track,))).tolist() == [0, 3840, 7680]


meter_lists = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from([2, 4, 8, 16])),
    max_size=5,
    unique_by=lambda m: m[0],
).map(lambda rows: tuple(Meter(beat * 960, n, d) for beat, n, d in sorted(rows)))


@given(meter_lists, st.integers(0, 40_000))
def test_bars_and_beats_cover_the_piece(meters, end):
    score = Score(meters=meters, end_tick=end)
    bars, beats = bar_starts(score), beat_starts(score)
    assert bars[0] == 0
    assert bars[-1] >= end
    assert np.all(np.diff(bars) > 0)
    assert np.all(np.diff(beats) > 0)
    assert set(bars.tolist()) <= set(beats.tolist())
    assert {m.tick for m in meters if m.tick < end} <= set(bars.tolist())


def test_the_bar_and_the_meter_of_each_tick():
    score = Score(meters=(Meter(0, 1, 8), Meter(480, 4, 4), Meter(4320, 6, 8)))
    ticks = np.array([4320, 0, 479, 480, 4319, 7199, 7200])
    bars, bar = bar_index(score, ticks)
    assert bars[bar].tolist() == [4320, 0, 0, 480, 480, 4320, 7200]
    assert bars[bar + 1].tolist() == [7200, 480, 480, 4320, 4320, 7200, 10080]
    assert meter_index(score, ticks).tolist() == [2, 0, 0, 1, 1, 2, 2]
    meters = meters_from_zero(score)
    assert [meters[i] for i in meter_index(score, ticks)] == [meter_at(score, t) for t in ticks]
    assert bar_index(Score(), np.zeros(0, int))[1].tolist() == []
    assert meter_index(Score(meters=(Meter(3840, 3, 4),)), np.array([0, 3840])).tolist() == [0, 1]


def test_meter_at_and_common_time_before_the_first_meter():
    score = Score(meters=(Meter(3840, 3, 4),))
    assert meter_at(score, 0) == Meter(0, 4, 4)
    assert meter_at(score, 3840) == Meter(3840, 3, 4)
    assert len(meters_from_zero(score)) == 2


def test_notes_sort_by_onset_pitch_duration_and_keep_the_order_of_equals():
    notes = make_notes([5, 0, 0, 0], [1, 9, 3, 3], [60, 60, 60, 60], [1, 2, 3, 4])
    assert notes["velocity"].tolist() == [3, 4, 2, 1]
    assert np.array_equal(sort_notes(notes), notes)


def test_with_track_and_markers_leave_the_original_alone():
    score = Score(tracks=(Track(name="a"), Track(name="b")), texts=(Text(0, 6, "Am"), Text(0, 1, "note")))
    changed = score.with_track(1, Track(name="c"))
    assert [t.name for t in changed.tracks] == ["a", "c"]
    assert [t.name for t in score.tracks] == ["a", "b"]
    assert [t.text for t in score.markers()] == ["Am"]


def test_values_are_frozen():
    with pytest.raises(AttributeError):
        KeySignature(0, 1, False).sharps = 2
