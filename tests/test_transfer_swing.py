"""The swing band: piano by rule, walking bass, swung eighths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examine
from hypothesis import strategies as st

from segue.beats import beat_grid
from segue.chords import QUALITIES, Chord
from segue.harmonize.styles import pulse_of
from segue.harmonize.voicing import Span
from segue.harmonize.walking import HIGHEST as BASS_HIGHEST
from segue.harmonize.walking import LOWEST as BASS_LOWEST
from segue.score import Meter, Score, Tempo, Track, make_notes, no_notes
from segue.transfer.comping import HIGHEST, LOWEST, figures, lead_hands, strikes, voicings_of
from segue.transfer.jazz import play_swing, swung

BAR = 3840


def tune(bars=16, meter=(4, 4), bpm=140):
    size = meter[0] * 3840 // meter[1]
    onset = np.arange(0, bars * size, 480)
    notes = make_notes(onset, np.full(len(onset), 420), 72 + (np.arange(len(onset)) * 5) % 9, 80)
    score = Score(
        tracks=(Track(name="Melody", channel=0, notes=notes),),
        tempos=(Tempo(0, round(60e6 / bpm)),),
        meters=(Meter(0, *meter),),
        end_tick=bars * size,
    )
    chords = [Chord(2, "min7"), Chord(7, "7"), Chord(0, "maj7"), Chord(9, "min7")]
    starts = np.arange(bars) * size
    return score, notes, starts, [chords[i % 4] for i in range(bars)]


def band(seed=0, meter=(4, 4), bars=16, **controls):
    score, melody, starts, chords = tune(bars, meter)
    return play_swing(score, melody, starts, chords, 70, np.random.default_rng(seed), **controls)


def test_piano_and_bass_play_the_chords_within_their_ranges():
    piano, bass = band()
    assert (piano.role, bass.role) == ("chords", "bass")
    for part, lowest, highest in ((piano, LOWEST, HIGHEST), (bass, BASS_LOWEST, BASS_HIGHEST)):
        assert part.notes["pitch"].min() >= lowest
        assert part.notes["pitch"].max() <= highest
    # A tone a beat, and the root of each chord among the beats of its bar.
    assert len(bass.notes) == 64
    roots = [2, 7, 0, 9]
    for bar in range(16):
        own = bass.notes[bass.notes["onset_tick"] // BAR == bar]
        assert (own["pitch"] % 12 == roots[bar % 4]).any() or bar % 4
    _, _, starts, chords = tune()
    index = np.searchsorted(starts, piano.notes["onset_tick"] + 480, "right") - 1
    allowed = [set(c.pitch_classes) for c in chords]
    assert all(
        p % 12 in allowed[min(i, 15)]
        for p, i in zip(piano.notes["pitch"].tolist(), index.tolist(), strict=True)
    )


def test_the_piano_leaves_the_root_to_the_bass():
    for quality in ("maj7", "min7", "7", "9", "m7b5", "6"):
        if quality in QUALITIES:
            assert not (voicings_of(Chord(5, quality)) % 12 == 5).any()


def test_eighths_swing_more_at_slower_tempos_and_with_intensity():
    def off_beats(bpm, intensity):
        score, notes, *_ = tune(bpm=bpm)
        place = swung(score, notes, intensity)["onset_tick"] % 960
        return np.median(place[place > 300]) / 960

    assert off_beats(120, 1) == pytest.approx(0.69, abs=0.01)
    assert off_beats(300, 1) == pytest.approx(0.57, abs=0.01)
    assert off_beats(120, 0) == 0.5
    assert 0.5 < off_beats(120, 0.5) < off_beats(120, 1)


def test_seeds_repeat_and_differ():
    first, same, other = (band(seed)[0].notes for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_controls_move_what_they_say():
    def struck(**controls):
        return np.mean([len(np.unique(band(s, **controls)[0].notes["onset_tick"])) for s in range(6)])

    def off(**controls):
        found = [np.unique(band(s, **controls)[0].notes["onset_tick"]) % 960 > 300 for s in range(6)]
        return np.mean(np.concatenate(found))

    steps = (-1, -0.5, 0, 0.5, 1)
    assert (np.diff([struck(density=d) for d in steps]) > 0).all()
    assert (np.diff([off(syncopation=d) for d in steps]) > 0).all()
    height = [np.mean(band(0, register=d)[0].notes["pitch"]) for d in steps]
    assert (np.diff(height) >= 0).all()
    assert height[-1] > height[0] + 2


@pytest.mark.parametrize("meter", [(3, 4), (2, 4), (5, 4), (6, 8), (2, 2), (7, 8)])
def test_other_meters(meter):
    piano, bass = band(meter=meter, bars=9)
    end = 9 * meter[0] * 3840 // meter[1]
    for part in (piano, bass):
        assert len(part.notes) > 8
        assert (part.notes["onset_tick"] < end).all()
        assert (part.notes["duration_tick"] > 0).all()


def test_an_anticipation_takes_the_chord_to_come():
    spans = [Span(Chord(0, "maj"), 0, BAR), Span(Chord(5, "maj"), BAR, 2 * BAR)]
    pulse = pulse_of(Score(meters=(Meter(0, 4, 4),), end_tick=2 * BAR), beat_grid(Score(end_tick=2 * BAR)))
    found = strikes(spans, pulse, [((0.0, 1.0), (3.5, 1.0)), ((2.0, 1.0),)])
    assert [(onset, span, off) for onset, _, span, off in found] == [
        (0, 0, False),
        (3360, 1, True),
        (BAR + 1920, 1, False),
    ]


def test_no_chords_no_band():
    score, melody, *_ = tune()
    parts = play_swing(score, melody, np.array([0]), [Chord()], 70, np.random.default_rng(0))
    assert [len(p.notes) for p in parts] == [0, 0]
    assert lead_hands([], no_notes()) == []


@examine(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.sampled_from(sorted(QUALITIES)), st.integers(1, 9)), min_size=1
    ),
    st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 8)]),
    st.integers(0, 2**31),
)
def test_any_chords_go_through(chords, meter, seed):
    starts = np.concatenate([[0], np.cumsum([480 * c[2] for c in chords])])
    score = Score(meters=(Meter(0, *meter),), end_tick=int(starts[-1]))
    given_chords = [Chord(r, q) for r, q, _ in chords]
    parts = play_swing(score, no_notes(), starts[:-1], given_chords, 70, np.random.default_rng(seed))
    for part in parts:
        assert len(part.notes)
        assert (part.notes["duration_tick"] >= 1).all()
        assert (part.notes["onset_tick"] <= starts[-1]).all()
    assert parts[0].notes["pitch"].min() >= LOWEST
    assert parts[0].notes["pitch"].max() <= HIGHEST


def test_a_figure_for_every_bar_and_the_last_is_held():
    found = figures([4, 4, 3, 7, 4], 0, 0, np.random.default_rng(0))
    assert len(found) == 5
    assert found[-1] == ((0.0, 4.0),)
