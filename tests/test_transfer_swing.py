"""The swing band: piano by rule, walking bass, swung eighths."""

from dataclasses import replace

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
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes, no_notes
from segue.transfer import apply
from segue.transfer.agreement import chord_agreement
from segue.transfer.comping import HIGHEST, LOWEST, figures, lead_hands, strikes, voicings_of
from segue.transfer.frame import late_beat, later
from segue.transfer.jazz import play_swing, swung
from training.transfer.settings import stage_settings

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


def test_sevenths_are_shells_that_sound_as_no_other_triad():
    for quality in ("maj7", "min7", "7"):
        third, _, seventh = QUALITIES[quality].intervals[1:]
        shells = (voicings_of(Chord(5, quality)) - 5) % 12
        assert all(set(row) == {0, third, seventh} for row in shells.tolist())
    # C6 without its fifth would be Am.
    assert set(voicings_of(Chord(0, "maj6"))[0] % 12) == {0, 4, 7, 9}
    assert not np.isin(voicings_of(Chord(0, "9")) % 12, (0, 7)).any()


def test_no_root_rubs_against_its_seventh():
    piano, _ = band()
    for onset in np.unique(piano.notes["onset_tick"]):
        struck = np.sort(piano.notes["pitch"][piano.notes["onset_tick"] == onset].astype(int))
        assert (np.diff(struck) > 1).all()


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
    found = strikes(spans, pulse, [(0, 3.5), (2,)])
    assert found == [
        (0, 3360, 0, False),
        (3360, BAR + 1920, 1, True),
        (BAR + 1920, 2 * BAR, 1, False),
    ]


def test_each_chord_is_struck_by_its_first_beat_and_held():
    beat = BAR // 4
    spans = [Span(Chord(i, "maj"), i * 2 * BAR, (i + 1) * 2 * BAR) for i in range(3)]
    score = Score(meters=(Meter(0, 4, 4),), end_tick=6 * BAR)
    pulse = pulse_of(score, beat_grid(score))
    found = strikes(spans, pulse, [(2.5,), (1,), (3.5,), (), (0.5,), ()])
    assert found == [
        (0, 2 * beat + 480, 0, False),
        (2 * beat + 480, 5 * beat, 0, True),
        (5 * beat, 8 * beat, 0, False),
        (8 * beat, 11 * beat + 480, 1, False),
        # Four beats at most.
        (11 * beat + 480, 15 * beat + 480, 1, True),
        (16 * beat + 480, 20 * beat + 480, 2, True),
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
    assert found[-1] == (0,)


def file_of(late=0, bars=24):
    """A score and record: melody in eighths, block chords a bar each; all `late` ticks after the beats."""
    score, melody, starts, chords = tune(bars)
    pitch = [48 + p for c in chords for p in c.pitch_classes]
    onset = np.repeat(starts, [len(c.pitch_classes) for c in chords])
    block = make_notes(onset + late, np.full(len(onset), BAR - 60), pitch, 70)
    tracks = (
        replace(score.tracks[0], notes=later(melody, late)),
        Track(name="Piano", channel=1, notes=block),
    )
    record = {
        "tracks": [{"role": r, "name": r, "channel": i} for i, r in enumerate(("melody", "chords"))],
        "chords": [
            {"tick": int(s) + late * (i > 0), "label": c.symbol()}
            for i, (s, c) in enumerate(zip(starts, chords, strict=True))
        ],
    }
    return replace(score, tracks=tracks, end_tick=(bars + 1) * BAR), record


def swings(score, record, seed=0):
    result = apply(score, record, stage_settings(style="swing"), {}, seed)
    return result.score, {**record, **result.record}


@pytest.mark.parametrize("late", [0, 130, 400, -300])
def test_the_band_plays_on_the_music_s_beats(late):
    score, record = file_of(late % 960)
    bass = swings(score, record)[0].tracks[-1].notes
    beside = (bass["onset_tick"][8:-8].astype(int) - late + 480) % 960 - 480
    assert np.abs(beside).max() <= 2


def test_chords_of_their_own_keep_the_band_on_the_file_s_beats():
    score, melody, starts, _ = tune(24)
    assert late_beat(score, later(melody, 400), starts) == 0
    assert late_beat(score, later(melody, 400), starts + 400) == 400
    assert late_beat(score, melody, starts) == 0


def test_the_chords_are_heard_that_are_meant():
    harmony = load_model("harmony")
    heard = [chord_agreement(*swings(*file_of(), seed), harmony) for seed in range(6)]
    right, beats = np.sum(heard, axis=0)
    assert beats == 6 * 96
    assert right >= 0.9 * beats
