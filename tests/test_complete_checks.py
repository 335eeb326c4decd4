"""The musical checks and the order of variations, on hand-computed lines."""

import numpy as np
import pytest

from segue.complete import checks
from segue.complete.rank import Passage, Voice, check, faults, habits, order, penalty


def a(*values):
    return np.array(values, np.int64)


def test_range_repetition_and_stable_ends():
    pitch = a(60, 60, 60, 62, 59, 75)
    assert checks.outside_range(pitch, 60, 70) == 2
    assert checks.longest_repetition(pitch) == 3
    assert checks.longest_repetition(pitch[:1]) == 1
    assert checks.longest_repetition(pitch[:0]) == 0
    assert [checks.ends_stable(p, 2, minor=False) for p in (62, 66, 69, 65, 64)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert checks.ends_stable(65, 2, minor=True)
    assert not checks.ends_stable(66, 2, minor=True)


@pytest.mark.parametrize(
    ("pitch", "count"),
    [
        ((60, 69, 67), 0),  # turns back
        ((60, 69, 71), 1),  # goes on
        ((60, 69, 69, 71), 1),  # a repeated note is no answer
        ((60, 67, 69), 0),  # a fifth is no leap
        ((60, 69), 0),  # nothing comes after it
        ((72, 60, 58, 67, 70), 2),  # down and on, up and on
    ],
)
def test_leaps_want_to_be_answered(pitch, count):
    assert checks.unresolved_leaps(a(*pitch)) == count


def test_strong_places_are_the_first_beat_and_the_middle():
    four = [checks.is_strong_place(p, 48, 12) for p in (0, 12, 24, 36, 23)]
    assert four == [True, False, True, False, False]
    # In three there is no middle; in six eighths it is the second beat.
    assert [checks.is_strong_place(p, 36, 12) for p in (0, 12, 18, 24)] == [True, False, False, False]
    assert [checks.is_strong_place(p, 36, 18) for p in (0, 18)] == [True, True]


def test_silence_is_what_no_note_covers():
    onset, length = a(12, 24, 60), a(12, 6, 12)
    assert checks.longest_silence(onset, length, 0, 96) == 30
    assert checks.longest_silence(onset, length, 12, 72) == 30
    assert checks.longest_silence(onset, length, 12, 120) == 48
    assert checks.longest_silence(a(), a(), 0, 48) == 48
    # A long note goes on under a short one.
    assert checks.longest_silence(a(0, 12), a(48, 6), 0, 48) == 0


def test_equal_bars_in_a_row():
    bar = a(0, 24)
    onset = np.concatenate([bar + 48 * k for k in range(5)])
    pitch = np.tile(a(60, 64), 5)
    assert checks.longest_bar_run(onset, pitch, 48) == 5
    pitch[5] = 65
    assert checks.longest_bar_run(onset, pitch, 48) == 2
    # The same notes at other places are another bar; an empty one breaks the run.
    assert checks.longest_bar_run(a(0, 48 + 12), a(60, 60), 48) == 1
    assert checks.longest_bar_run(a(0, 96), a(60, 60), 48) == 1
    assert checks.longest_bar_run(a(-48, 0, 48), a(60, 60, 60), 48) == 3
    assert checks.longest_bar_run(a(), a(), 48) == 0


def test_loops_are_cells_said_again_and_again():
    def loop(*pitch, times=None):
        onset = np.cumsum([0, *(times or [6] * (len(pitch) - 1))])
        return checks.longest_loop(onset, a(*pitch))

    assert loop(60, 62, 64, 65, 67) == 1
    # The time to what follows counts, so that the last note says nothing yet.
    assert loop(*(60, 62) * 4, 60) == 4
    assert loop(*(60, 62, 64, 62, 65) * 3, 60) == 3
    # The same pitches in another rhythm are no loop, and one note repeated is a matter of its own.
    assert loop(*(60, 62) * 4, 60, times=[6, 12, 6, 6, 3, 9, 6, 4]) < 3
    assert loop(*(60,) * 12) == 1
    assert loop(60) == 1
    assert loop() == 1


def voice(pitch, step=12):
    onset = np.arange(len(pitch)) * step
    return Voice(onset, np.full(len(pitch), step), a(*pitch))


def passage(pitch, closes=True):
    new = voice(pitch)
    return Passage(new, new, new, 0, 12 * len(pitch), 48, 12, 12 * (len(pitch) - 1), closes)


OWN = habits([voice((60, 62, 64, 65, 67, 65, 64, 62, 60))], 0, False, [(48, 0)])


def test_habits_are_the_melodys_own():
    assert (OWN.lowest, OWN.highest, OWN.repetition, OWN.leap_share, OWN.bar_run) == (60, 67, 1, 0.0, 1)
    monotone = habits([voice((60,) * 8)], 0, False, [(48, 0)])
    assert (monotone.repetition, monotone.bar_run) == (8, 2)


@pytest.mark.parametrize(
    ("pitch", "failed"),
    [
        ((62, 64, 65, 64, 60), []),
        ((62, 64, 65, 64, 62), ["ends_stable"]),
        ((62, 64, 64, 64, 64, 60), ["longest_repetition"]),
        ((62, 72, 67, 64, 60), ["outside_range"]),
        ((60, 52, 50, 62, 64), ["outside_range", "unresolved_leaps"]),
        ((60, 64) * 6 + (60,), ["equal_bars", "loop"]),
    ],
)
def test_faults_are_what_the_melody_itself_does_not(pitch, failed):
    figures = check([passage(pitch)], OWN)
    assert faults(figures, OWN, len(pitch)) == failed
    # A melody that does the same is no worse for it.
    alike = habits([voice(pitch)], 0, False, [(48, 0)])
    assert set(faults(check([passage(pitch)], alike), alike, len(pitch))) <= {"ends_stable"}


def test_a_note_before_other_music_need_not_be_stable():
    assert check([passage((60, 62), closes=False)], OWN)["ends_stable"]
    assert not check([passage((60, 62)), passage((62, 60))], OWN)["ends_stable"]


def test_a_close_wants_a_strong_beat():
    new = voice((64, 62, 60))
    weak = Passage(new, new, new, 0, 36, 48, 12, 12, True)
    figures = check([weak], OWN)
    assert not figures["ends_on_strong_beat"]
    assert faults(figures, OWN, 3) == ["ends_on_strong_beat"]
    assert check([Passage(new, new, new, 0, 36, 48, 12, 12, False)], OWN)["ends_on_strong_beat"]


def test_the_likeliest_comes_first_but_dullness_is_no_merit():
    own = 2.0
    penalties = [penalty(n, own, []) for n in (2.4, 0.9, 0.3, 0.8)]
    assert penalties == [2.4, 0.9, 0.8, 0.8]
    # Of equals the earlier draw comes first.
    assert order(penalties) == [2, 3, 1, 0]
    assert penalty(1.4, own, ["ends_stable", "outside_range"]) == 1.9
    assert penalty(0.3, None, []) == 0.3
