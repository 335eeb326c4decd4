"""Where a re-played part begins and ends, who plays it, and in which range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.score import Meter, Score, make_notes
from segue.transfer.ensemble import Player, cut_repeats, deal, free_channels, into_part
from segue.transfer.form import end_with, ending, first_tick, hold_ending, meters_played
from segue.transfer.grid import pitched_grid
from segue.transfer.instruments import program_range
from segue.transfer.styles import STYLES

BAR, BEAT = 3840, 960
NOTHING = make_notes([], [], [], 80)


def grid(bars=4):
    return pitched_grid(Score(meters=(Meter(0, 4, 4),), end_tick=bars * BAR))


def test_the_source_tells_where_to_begin():
    source = make_notes([BAR + BEAT], [BEAT], [60], 80)
    begin = first_tick(source, make_notes([0], [BEAT], [72], 80), grid())
    assert BAR < begin <= BAR + BEAT


@pytest.mark.parametrize(("onset", "bar"), [(3 * BEAT, 1), (BEAT, 0), (0, 0), (BAR + 3 * BEAT, 2)])
def test_a_pickup_of_a_melody_alone_stays_alone(onset, bar):
    melody = make_notes([onset, 2 * BAR], [BEAT, BAR], [72, 74], 80)
    begin = first_tick(NOTHING, melody, grid())
    assert (bar - 1) * BAR < begin <= bar * BAR


def test_only_a_held_last_note_is_an_ending():
    held = make_notes([0, BAR, BAR], [BEAT, BAR, 2 * BEAT], [60, 48, 64], 80)
    assert ending(held, NOTHING) == (BAR, 2 * BAR)
    assert ending(NOTHING, held) == (BAR, 2 * BAR)
    assert ending(make_notes([0, BAR], [BEAT, BEAT], [60, 48], 80), held) is None
    assert ending(NOTHING, NOTHING) is None


def test_nothing_sounds_after_the_piece():
    notes = make_notes([0, BAR, 2 * BAR], [3 * BAR, BAR, BAR], [48, 52, 55], 80)
    cut, inside = end_with(notes, NOTHING, make_notes([0], [BAR + BEAT], [72], 80))
    assert inside.tolist() == [True, True, False]
    assert cut["duration_tick"].tolist() == [BAR + BEAT, BEAT]


def test_what_is_struck_at_the_ending_is_held_and_nothing_follows():
    notes = make_notes([0, BAR, BAR, BAR + BEAT], [BEAT] * 4, [48, 52, 55, 60], 80)
    out = hold_ending(notes, BAR, 2 * BAR, np.array([0, 4, 7]))
    assert out["onset_tick"].tolist() == [0, BAR, BAR]
    assert out["duration_tick"].tolist() == [BEAT, BAR, BAR]


def test_an_ending_that_nobody_strikes_is_struck_on_the_chord():
    notes = make_notes([BAR - BEAT, BAR - BEAT], [3 * BEAT, 3 * BEAT], [50, 65], 80)
    out = hold_ending(notes, BAR, 2 * BAR, np.array([0, 4, 7]))
    last = out[out["onset_tick"] == BAR]
    assert set((last["pitch"] % 12).tolist()) <= {0, 4, 7}
    assert int(last["pitch"][0]) % 12 == 0
    assert (last["duration_tick"] == BAR).all()
    before = out[out["onset_tick"] < BAR]
    assert (before["onset_tick"] + before["duration_tick"] <= BAR).all()


def test_meters_are_counted_in_bars_and_pickups_are_none():
    score = Score(meters=(Meter(0, 4, 4), Meter(2 * BAR, 5, 8)), end_tick=2 * BAR + 3 * 2400)
    assert meters_played(score) == {"4/4": 2, "5/8": 3}
    pickup = Score(meters=(Meter(0, 1, 4), Meter(BEAT, 3, 4)), end_tick=BEAT + 9 * BEAT)
    assert meters_played(pickup) == {"3/4": 3}


@given(st.integers(0, 127))
def test_every_program_has_a_range_of_an_octave_or_nearly(program):
    low, high = program_range(program)
    assert 0 <= low < high <= 127
    assert high - low >= 21


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(0, 127)), max_size=40),
    st.sampled_from([s.players for s in STYLES.values()]),
    st.randoms(use_true_random=False),
)
def test_nobody_leaves_a_range_and_lines_stay_lines(rows, players, random):
    onset, length, pitch = (np.array([r[i] for r in rows], np.int64) for i in range(3))
    notes = make_notes(onset * 240, length * 240, pitch, 80)
    high_hand = np.array([random.random() < 0.5 for _ in rows], bool)
    parts = deal(notes, high_hand, players)
    assert len(parts) == len(players)
    for part, player in zip(parts, players, strict=True):
        assert ((part["pitch"] >= player.lowest) & (part["pitch"] <= player.highest)).all()
        end = part["onset_tick"].astype(np.int64) + part["duration_tick"]
        if player.line:
            assert (end[:-1] <= part["onset_tick"][1:]).all()


def test_four_voices_go_to_three_players_and_hands_to_two():
    notes = make_notes([0] * 4 + [960] * 2, [960] * 6, [40, 47, 60, 67, 43, 65], 70)
    high = notes["pitch"] >= 55
    violin, viola, cello = deal(notes, high, STYLES["quartet"].players)
    assert violin["pitch"].tolist() == [67, 65]
    assert cello["pitch"].tolist() == [40, 43]
    assert viola["pitch"].tolist() == [60]  # 47 is left out, and of two notes the outer players are nearer
    right, left = deal(notes, high, [Player("R", 0, 21, 108), Player("L", 0, 21, 108)])
    assert right["pitch"].tolist() == [60, 67, 65]
    assert left["pitch"].tolist() == [40, 47, 43]


def test_lines_go_on_in_their_register_and_rather_rest_than_break_off():
    players = STYLES["quartet"].players
    # A violin holds; one low and one middle note come in under it.
    notes = make_notes([0, 0, 0, 960, 960], [3840, 960, 960, 960, 960], [76, 62, 43, 64, 45], 80)
    parts = deal(notes, notes["pitch"] > 50, players)
    assert [p["pitch"].tolist() for p in parts] == [[76], [62, 64], [43, 45]]
    assert parts[0]["duration_tick"].tolist() == [3840]


def test_two_inner_players_share_the_inner_voices_by_height():
    notes = make_notes([0] * 4, [960] * 4, [40, 52, 60, 67], 70)
    players = [Player(str(i), 48, 21, 108, line=True) for i in range(4)]
    parts = deal(notes, notes["pitch"] >= 50, players)
    assert [p["pitch"].tolist() for p in parts] == [[67], [60], [52], [40]]


def test_cutting_and_channels():
    same = make_notes([0, 480, 480, 960], [2000, 100, 900, 300], [60, 60, 60, 62], 70)
    assert cut_repeats(same)["duration_tick"].tolist() == [480, 100, 300]
    assert into_part(same, Player("P", 0, 72, 96))["pitch"].tolist() == [72, 72, 74]
    assert free_channels([0, None, 3], 3) == [1, 2, 4]
    assert free_channels(range(16), 2) == []
