"""The index against copying and its guard: nothing that was trained on gets past them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.complete.copies import FILE, NOTES, STEPS, CopyIndex, Guard, grams, longest_match, pack

BITS = 30


def line_of(steps, start=60):
    """Onsets and pitches from (interval, time) pairs."""
    interval, time = np.array(steps, np.int64).reshape(-1, 2).T
    return np.concatenate([[0], np.cumsum(time)]), np.concatenate([[start], start + np.cumsum(interval)])


def random_line(seed, notes=60):
    rng = np.random.default_rng(seed)
    return line_of(np.stack([rng.integers(-5, 6, notes - 1), rng.choice([3, 6, 12], notes - 1)], 1))


def index_of(*lines):
    return CopyIndex(pack(np.concatenate([grams(*line) for line in lines]), BITS))


LINES = st.lists(st.tuples(st.integers(-24, 24), st.integers(1, 800)), min_size=NOTES - 1, max_size=40).map(
    line_of
)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(-60, 60), st.integers(-500, 500))
@settings(max_examples=60, deadline=None)
def test_every_gram_is_found_at_any_pitch_and_time(lines, up, later):
    index = index_of(*lines)
    for onset, pitch in lines:
        assert index.contains(grams(onset + later, pitch + up)).all()
        assert longest_match(index, onset + later, pitch + up) == len(onset)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300), st.integers(12, 40))
@settings(max_examples=60, deadline=None)
def test_packing_loses_no_hash_and_adds_none(values, bits):
    hashes = np.array(values, np.uint64)
    index = CopyIndex(pack(hashes, bits))
    assert index.contains(hashes).all()
    kept = {v >> (64 - bits) for v in values}
    assert index.size == len(kept)
    strange = np.array([v ^ (1 << 63) for v in values], np.uint64)
    expected = [(int(v) >> (64 - bits)) in kept for v in strange]
    assert index.contains(strange).tolist() == expected


def test_hashes_are_those_of_exact_arithmetic():
    """Python's integers give the same as wrapping arrays: the file is the same on every machine."""

    def mix(v):
        v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        v = (v ^ v >> 27) * 0x94D049BB133111EB % 2**64
        return v ^ v >> 31

    onset, pitch = random_line(3, 9)
    expected = []
    for i in range(2):
        total = 0
        for j in range(i, i + 7):
            step = (int(pitch[j + 1] - pitch[j]) + 128) * 384 + int(onset[j + 1] - onset[j]) + 1
            total = (total * 0x9E3779B97F4A7C15 + mix(step)) % 2**64
        expected.append(mix(total))
    assert grams(onset, pitch).tolist() == expected


@pytest.mark.parametrize("notes", [0, 1, 7])
def test_short_lines_have_no_grams(notes):
    onset, pitch = (values[:notes] for values in random_line(0))
    assert len(grams(onset, pitch)) == 0
    index = index_of(random_line(0))
    assert longest_match(index, onset, pitch) == 0
    guard = Guard(index, onset, pitch)
    if notes < 7:
        assert not guard.forbidden(onset, pitch, 1000, np.arange(40, 90)).any()


def test_other_intervals_or_times_are_no_copy():
    onset, pitch = random_line(1)
    index = index_of((onset, pitch))
    strange = random_line(2)
    assert longest_match(index, *strange) == 0
    bent = pitch.copy()
    bent[20] += 1
    assert longest_match(index, onset, bent) == len(pitch) - 21
    slow = onset.copy()
    slow[30:] += 1
    # The step before note 30 is another one: 30 notes before it and 30 from it on.
    assert longest_match(index, slow, pitch) == 30
    stretched = onset * 2
    assert longest_match(index, stretched, pitch) == 0


def test_strange_grams_are_seldom_taken_for_copies():
    rng = np.random.default_rng(0)
    index = CopyIndex(pack(rng.integers(0, 2**63, 100_000).astype(np.uint64) * np.uint64(2), BITS))
    strange = rng.integers(0, 2**63, 400_000).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    share = index.contains(strange).mean()
    assert share == pytest.approx(index.size / 2**BITS, rel=0.5)
    assert share < 0.001


@given(st.integers(0, 30), st.integers(-20, 20), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_note_that_would_complete_a_copy_is_forbidden_and_no_other(at, up, later):
    onset, pitch = random_line(5)
    index = index_of((onset, pitch))
    given_onset, given_pitch = onset[at : at + 7] + later, pitch[at : at + 7] + up
    guard = Guard(index, given_onset, given_pitch)
    candidates = np.arange(0, 128)
    start = int(onset[at + 7] + later)
    forbidden = guard.forbidden(given_onset, given_pitch, start, candidates)
    assert candidates[forbidden].tolist() == [pitch[at + 7] + up]
    assert not guard.forbidden(given_onset, given_pitch, start + 1, candidates).any()


@given(st.integers(-20, 20), st.integers(0, 2000))
@settings(max_examples=30, deadline=None)
def test_what_the_context_holds_is_allowed(up, later):
    onset, pitch = random_line(6)
    index = index_of((onset, pitch))
    guard = Guard(index, onset[:30], pitch[:30])
    # The context's own notes may come again at any pitch and any time ...
    again = onset[:30] + later, pitch[:30] + up
    assert not guard.copied(*again).any()
    start = int(onset[17] + later)
    assert not guard.forbidden(again[0][:17], again[1][:17], start, np.arange(128)).any()
    # ... and what follows them in the training tune may not.
    assert guard.copied(onset[20:40] + later, pitch[20:40] + up).tolist() == [False] * 3 + [True] * 10


def test_joins_look_at_grams_on_both_sides_only():
    onset, pitch = random_line(7)
    index = index_of((onset, pitch))
    guard = Guard(index, onset[:0], pitch[:0])

    def parts(before, after):
        return (onset[before], pitch[before]), (onset[after], pitch[after])

    def joins(before, after):
        """Whether a copy has notes of both: up to 7 of each side are looked at."""
        line = (np.concatenate([a[-STEPS:], b[:STEPS]]) for a, b in zip(before, after, strict=True))
        return guard.copied(*line).any()

    assert joins(*parts(slice(0, 30), slice(30, 60)))
    assert joins(*parts(slice(23, 30), slice(30, 31)))
    assert joins(*parts(slice(29, 30), slice(30, 37)))
    # Too few notes, or a note left out at the join: no gram lies on both sides.
    assert not joins(*parts(slice(24, 30), slice(30, 31)))
    assert not joins(*parts(slice(0, 30), slice(31, 60)))
    assert not joins(*parts(slice(0, 30), slice(30, 30)))
    # A copy on one side alone is not a matter of the join.
    elsewhere = onset[30:] + 1, pitch[30:]
    assert not joins((onset[:30], pitch[:30]), elsewhere)


def test_the_guard_lets_a_walk_end_without_copies():
    """Notes chosen at random among those that are allowed never make a copy, in a very full index."""
    rng = np.random.default_rng(0)
    # Most of the 128 runs over two intervals at one pace.
    tunes = [line_of([(int(b) * 3 - 1, 6) for b in rng.integers(0, 2, 400)]) for _ in range(4)]
    index = index_of(*tunes)
    onset, pitch = line_of([(2, 6)] * 7)
    guard = Guard(index, onset, pitch)
    onset, pitch = onset.tolist(), pitch.tolist()
    free = 0
    for _ in range(200):
        candidates = np.array([pitch[-1] - 1, pitch[-1] + 2])
        allowed = candidates[~guard.forbidden(np.array(onset), np.array(pitch), onset[-1] + 6, candidates)]
        free += len(allowed) == 2
        onset.append(onset[-1] + 6 if len(allowed) else onset[-1] + 7)
        pitch.append(int(rng.choice(allowed if len(allowed) else candidates)))
    made = np.array(onset), np.array(pitch)
    assert not guard.copied(*made).any()
    assert free < 200


def test_written_index_is_the_same_every_time(tmp_path):
    from training.melody.copies import write_copies
    from training.melody.tune import Tune

    tunes = [
        Tune(str(i), "test", "folk", (4, 4), 0, "major", onset, np.full(60, 3), pitch)
        for i, (onset, pitch) in enumerate(random_line(seed) for seed in range(5))
    ]
    onset, pitch = random_line(9)
    strange = Tune("s", "test", "jazz", (4, 4), 0, "major", onset, np.full(60, 3), pitch)
    told = write_copies(tunes, tmp_path / "a", [tunes[0], strange])
    write_copies(tunes[::-1], tmp_path / "b")
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    assert told["grams"] == 5 * 53
    assert told["of_validation"] == {"folk": 1.0, "jazz": 0.0}
    assert told["kib"] == round((tmp_path / "a" / FILE).stat().st_size / 1024)
    with np.load(tmp_path / "a" / FILE) as stored:
        index = CopyIndex(dict(stored))
    assert all(longest_match(index, t.onset, t.pitch) == 60 for t in tunes)
