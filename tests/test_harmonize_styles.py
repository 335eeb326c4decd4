"""Styles of the added accompaniment, and four-part writing under a melody."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue import harmonize
from segue.beats import beat_grid
from segue.chords import QUALITIES, Chord, parse_chord
from segue.config import ConfigError, check_stage, defaults, stage_schema
from segue.harmonize import jazz_walking
from segue.harmonize.accompany import chord_tracks
from segue.harmonize.satb import RANGES, VOICES
from segue.harmonize.styles import pulse_of
from segue.harmonize.topline import top_line
from segue.harmonize.voicing import Span
from segue.harmonize.walking import HIGHEST, JAZZ, LOWEST, log_probabilities
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import Meter, Score, Track, make_notes, no_notes
from training.harmony import four_parts
from training.walking import fit

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
STYLES = stage_schema("harmonize")["properties"]["style"]["enum"]
HARD = (
    "out of range", "crossings", "more than an octave apart", "parallel fifths", "parallel octaves",
    "direct fifths, outer voices, soprano leaps", "direct octaves, outer voices, soprano leaps",
)  # fmt: skip


def accompany(symbols, style, meter=(4, 4), bars_each=1, melody=None, seed=0):
    """Tracks and report for chords of whole bars."""
    length = Meter(0, *meter).bar_ticks * bars_each
    chords = [parse_chord(s) for s in symbols.split()]
    spans = [Span(c, i * length, (i + 1) * length) for i, c in enumerate(chords)]
    melody = no_notes() if melody is None else melody
    score = Score((Track("tune", 0, 0, melody),), meters=(Meter(0, *meter),))
    settings = defaults(stage_schema("harmonize")) | {"style": style}
    return chord_tracks(score, spans, melody, beat_grid(score, spans[-1].end), settings, seed)


def sung(pitches, length=960, start=0):
    onset = start + np.arange(len(pitches)) * length
    return make_notes(onset, np.full(len(pitches), length), pitches, 80)


def rows(notes):
    return list(zip(*(notes[n].tolist() for n in ("onset_tick", "duration_tick", "pitch")), strict=True))


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8), (5, 4), (7, 8), (2, 2), (1, 4)])
@pytest.mark.parametrize("style", [s for s in STYLES if s != "walking bass"])
def test_every_style_plays_tones_of_the_chord_that_holds(style, meter):
    symbols = "C Am7 F/A G7 Csus4 C"
    bar = Meter(0, *meter).bar_ticks
    chords = [parse_chord(s) for s in symbols.split()]
    tracks, report = accompany(symbols, style, meter)
    assert report["notes"] == sum(len(t.notes) for t in tracks)
    for track in tracks:
        for onset, duration, pitch in rows(track.notes):
            assert duration > 0
            for bar_index in range(onset // bar, -(-(onset + duration) // bar)):
                assert pitch % 12 in chords[bar_index].pitch_classes
    struck = {o // bar for t in tracks for o in t.notes["onset_tick"].tolist()}
    assert struck == set(range(6))


@pytest.mark.parametrize(("meter", "step"), [((4, 4), 480), ((3, 4), 480), ((6, 8), 480), ((2, 2), 960)])
def test_arpeggios_run_in_the_parts_of_the_beat(meter, step):
    (track,), _ = accompany("C F G7 C", "arpeggio", meter)
    onsets = np.unique(track.notes["onset_tick"])
    assert set(np.diff(onsets).tolist()) == {step}
    assert len(onsets) == len(track.notes)
    beat = Meter(0, *meter).beat_ticks
    upper = [(o, d) for o, d, _ in rows(track.notes) if o % Meter(0, *meter).bar_ticks]
    assert all((o + d) % beat == 0 and d <= beat for o, d in upper)


@pytest.mark.parametrize(
    ("meter", "bass", "chords"),
    [
        ((3, 4), [0], [960, 1920]),
        ((4, 4), [0, 1920], [960, 2880]),
        ((2, 4), [0], [960]),
        ((6, 8), [0, 1440], [480, 960, 1920, 2400]),
        ((5, 4), [0, 2880], [960, 1920, 3840]),
        ((7, 8), [0, 1440, 2400], [480, 960, 1920, 2880]),
    ],
)
def test_the_bass_takes_the_strong_beats(meter, bass, chords):
    (track,), _ = accompany("C C F", "bass+chords", meter)
    bar = Meter(0, *meter).bar_ticks
    first = [(o, p) for o, _, p in rows(track.notes) if o < bar]
    assert sorted({o for o, p in first if p < 52}) == bass
    assert sorted({o for o, p in first if p >= 52}) == chords
    lows = [p % 12 for o, p in first if p < 52]
    assert lows == [0, 7, 0][: len(lows)]


def test_a_pad_holds_what_the_chords_share():
    (pad,), _ = accompany("C C Am F", "pad")
    (block,), _ = accompany("C C Am F", "block")
    # C sounds as an upper tone of all four.
    assert max(d for _, d, _ in rows(pad.notes)) == 4 * 3840
    assert len(pad.notes) < len(block.notes)
    for tick in range(0, 4 * 3840, 960):
        sounding = [{p for o, d, p in rows(t.notes) if o <= tick < o + d} for t in (pad, block)]
        assert sounding[0] == sounding[1]


def test_compound_beats_have_three_parts():
    score = Score((), meters=(Meter(0, 4, 4), Meter(3840, 6, 8), Meter(3840 + 2880, 3, 8)))
    pulse = pulse_of(score, beat_grid(score, 3840 + 2880 + 1440))
    assert pulse.parts.tolist() == [2, 2, 2, 2, 3, 3, 2, 2, 2]


def test_the_old_setting_is_told():
    with pytest.raises(ConfigError, match=r"rhythm is not a known setting.*style"):
        check_stage("harmonize", {"rhythm": "beats"})


def test_four_voices_stand_on_tracks_of_their_own():
    tracks, report = accompany("C F G7 C", "satb", melody=sung([72, 74, 76, 77] * 4))
    assert [t.name for t in tracks] == list(VOICES)
    assert [t.channel for t in tracks] == report["channels"] == [1, 2, 3, 4]
    assert report["broken_rules"] == 0
    roles = [harmonize.record_entry(t)["role"] for t in tracks]
    assert roles == ["chords", "chords", "chords", "bass"]
    assert rows(tracks[0].notes) == rows(sung([72, 74, 76, 77] * 4))


def test_sevenths_fall_and_leading_tones_rise():
    tracks, _ = accompany("G7 C", "satb", melody=sung([74, 72], 3840))
    before, after = ({int(t.notes["pitch"][i]) for t in tracks[1:]} for i in (0, -1))
    (seventh,) = [p for p in before if p % 12 == 5]
    assert after & {seventh - 1, seventh - 2, seventh}
    (leading,) = [p for p in before if p % 12 == 11]
    assert leading + 1 in after


def test_lower_voices_hold_under_notes_between_beats():
    tracks, _ = accompany("C", "satb", melody=sung([72, 74, 76, 77, 79, 77, 76, 74], 480))
    assert len(tracks[0].notes) == 8
    assert all(len(t.notes) == 4 for t in tracks[1:])


def test_voices_sing_on_while_the_melody_rests():
    melody = np.concatenate([sung([72] * 4), sung([72] * 4, start=3 * 3840)])
    tracks, _ = accompany("C F G C", "satb", melody=melody)
    assert len(tracks[0].notes) == 8
    for track in tracks[1:]:
        end = track.notes["onset_tick"] + track.notes["duration_tick"]
        assert (end[:-1] == track.notes["onset_tick"][1:]).all()
        assert end[-1] == 4 * 3840


def test_without_a_melody_all_four_voices_sing():
    tracks, report = accompany("C Am F G7 C", "satb")
    found = four_parts.faults([t.notes for t in tracks])
    assert report["broken_rules"] == sum(found[name] for name in HARD) == 0
    assert all(t.notes["duration_tick"].sum() == 5 * 3840 for t in tracks)


@pytest.mark.parametrize("shift", [-36, -24, -12, 12, 24])
def test_a_melody_elsewhere_is_moved_by_octaves(shift):
    tune = [72, 74, 76, 77, 79, 76, 74, 72]
    low, high = RANGES[0]
    line = top_line(sung([p + shift for p in tune]), np.arange(0, 9) * 960, 960.0, low, high)
    assert ((line.pitch - tune) % 12 == 0).all()
    assert len(set((line.pitch - tune).tolist())) == 1
    assert line.pitch.min() >= low
    assert line.pitch.max() <= high


def test_the_top_line_of_a_played_melody():
    # Chords, late and short notes, and a tone below one that is held.
    notes = make_notes([0, 0, 500, 1000, 1900], [900, 900, 200, 700, 900], [76, 60, 64, 77, 79], 80)
    line = top_line(notes, np.arange(0, 5) * 960, 960.0, 60, 81)
    assert line.pitch.tolist() == [76, 77, 79]
    assert line.onset.tolist() == [0, 960, 1920]
    assert line.end.tolist() == [960, 1920, 2880]


@pytest.mark.parametrize(("meter", "step"), [((4, 4), 960), ((3, 4), 960), ((2, 2), 960), ((6, 8), 1440)])
def test_a_bass_walks(meter, step):
    symbols = "Dm7 G7 C/E Eb6 A7b9 Dm7 G7 Cmaj7"
    tracks, report = accompany(symbols, "walking bass", meter, seed=3)
    bass, chords = (t.notes for t in tracks)
    assert [(t.name, t.program) for t in tracks] == [("Bass", 32), ("Chords", 4)]
    assert report["programs"] == [32, 4]
    bar = Meter(0, *meter).bar_ticks
    assert bass["onset_tick"].tolist() == list(range(0, 8 * bar, step))
    assert set(bass["duration_tick"].tolist()) == {step}
    pitch = bass["pitch"].astype(int)
    assert pitch.min() >= LOWEST
    assert pitch.max() <= HIGHEST
    leap = np.abs(np.diff(pitch))
    assert leap.max() < 12
    assert np.mean(leap <= 7) >= 0.9
    begins = bass["onset_tick"] % bar == 0
    assert (np.diff(pitch)[~begins[1:]] != 0).all()
    first = pitch[begins]
    for p, symbol in zip(first, symbols.split(), strict=True):
        assert p % 12 in parse_chord(symbol).pitch_classes
    assert first[2] % 12 == 4  # the bass that is written
    assert chords["pitch"].min() > 48


def test_strong_beats_of_a_walking_bass_are_of_the_chord_and_the_last_beat_leads_on():
    symbols = "Dm7 G7 Cmaj7 F#m7b5 B7 Em A7 Dm"
    chords = [parse_chord(s) for s in symbols.split()]
    weak = []
    for seed in range(6):
        (bass, _), _ = accompany(symbols, "walking bass", seed=seed)
        tones = bass.notes["pitch"].astype(int).reshape(8, 4) % 12
        for bar, chord in enumerate(chords):
            assert np.isin(tones[bar, [0, 2]], chord.pitch_classes).all()
            weak.append(tones[bar, 1] not in chord.pitch_classes)
            if bar < 7:
                step = (tones[bar, 3] - chords[bar + 1].root) % 12
                assert tones[bar, 3] in chord.pitch_classes or step in (1, 2, 11)
    assert any(weak)


def test_a_chord_of_one_beat_has_its_bass():
    score = Score((Track("tune", 0, 0, no_notes()),), meters=(Meter(0, 4, 4),))
    symbols = ["C", "Am", "F/A", "G"] * 4
    spans = [Span(parse_chord(s), i * 960, (i + 1) * 960) for i, s in enumerate(symbols)]
    settings = defaults(stage_schema("harmonize")) | {"style": "walking bass"}
    (bass, _), _ = chord_tracks(score, spans, no_notes(), beat_grid(score, spans[-1].end), settings, 1)
    assert (bass.notes["pitch"] % 12).tolist()[:-1] == [0, 9, 9, 7] * 3 + [0, 9, 9]


def test_a_walking_bass_keeps_the_mode_of_its_chords():
    for seed in range(12):
        (bass, _), _ = accompany("Am Am Dm Am E E C C", "walking bass", seed=seed)
        tones = bass.notes["pitch"].astype(int).reshape(8, 4) % 12
        minor = np.concatenate([tones[0], tones[1, :3], tones[3, :3]])
        assert 1 not in minor
        assert 6 not in tones[2, :3]
        # The fourth beat may lead to another chord.
        assert 7 not in [*tones[4], *tones[5, :3]]
        assert 3 not in tones[6:]


def test_the_seed_draws_the_bass():
    def bass(seed):
        return accompany("Dm7 G7 C Am7 Dm7 G7 C C", "walking bass", seed=seed)[0][0].notes["pitch"].tolist()

    assert bass(1) == bass(1)
    assert len({tuple(bass(s)) for s in range(5)}) == 5


def test_tables_learn_what_is_walked():
    """Root, third, fifth and a semitone below the next root, over chords that go up a fourth."""
    n = 400
    number = np.arange(n) % 4
    tone = np.array([0, 4, 7, 4])[number]
    onward = np.where(number == 3, 5, -1)
    before = np.where(number == 0, 11, np.roll(tone, 1))
    place = number + 4 * (number == 3)
    own = np.full(n, 1 + (1 << 4) + (1 << 7))
    beats = fit.Beats(np.zeros(n, int), place, onward, before, tone, np.arange(n) // 40, number, own)
    tables = fit.fit(beats)
    chance = np.exp(log_probabilities(tables[3], beats.logs(tables)))
    np.testing.assert_allclose(chance.sum(axis=1), 1)
    (top, *_), (nats, *_) = fit.measure(beats, chance)
    assert top == 1
    assert nats < 0.3
    assert tables[1].argmax() == 11
    assert tables[2][1].argmax() == 1


@pytest.mark.skipif(not (DATA / "weimar-jazz").is_dir(), reason="the jazz solos are not at ../shared/data")
def test_the_tables_know_basses_that_were_not_counted():
    train, validation = fit.load(DATA / "weimar-jazz")
    assert not set(train.solo.tolist()) & set(validation.solo.tolist())
    committed = Path(jazz_walking.__file__).read_text(encoding="utf-8")
    assert committed == fit.module(train, validation, fit.fit(train))
    (top, *_), (nats, *_) = fit.measure(validation, np.exp(log_probabilities(JAZZ[3], validation.logs(JAZZ))))
    root = (train.tone == 0).mean()
    hit = validation.tone == 0
    floor = -np.where(hit, np.log(root), np.log((1 - root) / 11)).mean()
    assert top > hit.mean() + 0.04
    assert nats < floor - 0.15


@st.composite
def tunes(draw):
    names = st.sampled_from(sorted(QUALITIES))
    chord = st.builds(Chord, st.integers(0, 11), names, st.one_of(st.none(), st.none(), st.integers(0, 11)))
    chords = draw(st.lists(chord, min_size=1, max_size=8))
    pitches = draw(st.lists(st.integers(20, 110), min_size=1, max_size=24))
    length = draw(st.sampled_from([240, 480, 960, 1920]))
    return chords, sung(pitches, length, draw(st.sampled_from([0, 480, 3840])))


@given(tunes())
@hypothesis_settings(max_examples=60, deadline=None)
def test_rules_are_kept_for_any_tune_or_said_to_be_broken(tune):
    chords, melody = tune
    spans = [Span(c, i * 1920, (i + 1) * 1920) for i, c in enumerate(chords)]
    score = Score((Track("tune", 0, 0, melody),), meters=(Meter(0, 4, 4),))
    settings = defaults(stage_schema("harmonize")) | {"style": "satb"}
    tracks, report = chord_tracks(score, spans, melody, beat_grid(score, spans[-1].end), settings, 0)
    found = four_parts.faults([t.notes for t in tracks])
    assert found["out of range"] == found["crossings"] == 0
    assert sum(found[name] for name in HARD) == 0 or report["broken_rules"] > 0
    assert found["parallel fifths"] + found["parallel octaves"] <= report["broken_rules"]
    for before, after in pairwise(tracks[3].notes):
        assert before["onset_tick"] + before["duration_tick"] <= after["onset_tick"]


def test_the_count_finds_faults():
    def parts(*voices):
        return [sung(v) for v in voices]

    parallel = four_parts.faults(parts([72, 74], [67, 69], [64, 65], [48, 50]))
    assert parallel["parallel octaves"] == 1  # soprano and bass
    assert parallel["parallel fifths"] == 1  # alto and bass
    contrary = four_parts.faults(parts([79, 72], [64, 65], [60, 57], [48, 53]))
    assert contrary["parallel fifths"] == 1  # a twelfth and a fifth
    assert four_parts.faults(parts([60, 72], [62, 53], [48, 48], [40, 39])) == {
        "sonorities": 3, "out of range": 1, "crossings": 1, "more than an octave apart": 2,
        "parallel octaves": 0, "parallel fifths": 0, "direct octaves": 0, "direct fifths": 0,
        "direct octaves, outer voices, soprano leaps": 0,
        "direct fifths, outer voices, soprano leaps": 0,
        "parallels masked by passing notes": 0,
    }  # fmt: skip
    direct = four_parts.faults(parts([69, 74], [65, 65], [60, 60], [53, 55]))
    assert direct["direct fifths, outer voices, soprano leaps"] == 1
    passing = [sung([72, 76, 74], 480), *(sung(v) for v in ([67, 69], [60, 62]))]
    assert four_parts.faults([*passing, sung([53, 50])])["parallels masked by passing notes"] == 1


@pytest.mark.parametrize("path", sorted((ROOT / "input/melodies").glob("*.mid")), ids=lambda p: p.stem)
def test_melodies_get_four_clean_voices(path):
    score, _ = read_midi(path.read_bytes())
    parts, report = four_parts.four_voices(score, load_model("harmony", "onnx"))
    found = four_parts.faults(parts)
    assert found["sonorities"] > 20
    assert {name: found[name] for name in HARD} == dict.fromkeys(HARD, 0)
    assert report["track"]["broken_rules"] == 0


@pytest.mark.skipif(not (DATA / "openhymnal").is_dir(), reason="the hymns are not at ../shared/data")
@pytest.mark.parametrize(
    ("melodies", "pieces"), [(four_parts.hymn_melodies, 284), (four_parts.chorale_melodies, 305)]
)
def test_hymns_and_chorales_get_four_clean_voices(melodies, pieces):
    found, worst = four_parts.count(melodies(DATA), load_model("harmony", "onnx"))
    assert found["pieces"] == pieces
    assert not worst
    assert {name: found[name] for name in HARD} == dict.fromkeys(HARD, 0)


@pytest.mark.parametrize("style", STYLES)
def test_styles_write_the_same_bytes_with_either_runtime(style):
    score, _ = read_midi((ROOT / "input/melodies/greensleeves.mid").read_bytes())
    settings = defaults(stage_schema("harmonize")) | {"style": style, "track": "always"}
    record = {"tracks": [{"role": "melody"} for _ in score.tracks]}
    written = {
        write_midi(harmonize.apply(score, record, settings, {"harmony": load_model("harmony", b)}, 1).score)
        for b in ("onnx", "tflite", "onnx")
    }
    assert len(written) == 1
