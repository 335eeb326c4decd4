"""The transfer stage on small scores, with the real models."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as examine
from hypothesis import strategies as st

import segue.transfer as transfer
from segue.chords import QUALITIES, Chord, parse_chord
from segue.metrics import style as style_metrics
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import DRUM_CHANNEL, Meter, Score, Tempo, Text, Track, bar_starts, make_notes
from segue.transfer import grid as grids
from segue.transfer.controls import CONTROLS
from segue.transfer.ensemble import join
from segue.transfer.form import phrases_to_replay
from segue.transfer.instruments import program_range
from segue.transfer.kit import CLASS_OF_PITCH
from segue.transfer.patterns import nearest_patterns, pack_patterns, unpack_patterns
from segue.transfer.slots import intervals_of, pitches_from_slots, slots_from_pitches
from segue.transfer.styles import STYLES
from training.transfer.part_figures import figures

GROOVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "groove"
SCHEMA = yaml.safe_load((Path(transfer.__file__).parent / "settings.schema.yaml").read_text())
DEFAULTS = {key: entry["default"] for key, entry in SCHEMA["properties"].items()}
DRUM_STYLES = [s for s in SCHEMA["properties"]["drum_style"]["enum"] if s not in ("none", "same")]
PROGRESSION = ("C", "Am7", "F", "G7")
C_MAJOR = {0, 2, 4, 5, 7, 9, 11}


def models(backend="onnx"):
    names = DEFAULTS["models"]
    return {role: load_model(name, backend) for role, name in names.items()}


def band(meter=(4, 4), bars=16, drums=True, chords=True, bass=True):
    """Melody, piano, bass and drums in C, one chord a bar."""
    measure = Meter(0, *meter)
    length = measure.bar_ticks
    starts = np.arange(bars) * length
    symbols = [PROGRESSION[b % 4] for b in range(bars)]
    tones = [parse_chord(s).pitch_classes for s in symbols]
    quarter = np.arange(0, length, 960)
    melody = make_notes(
        np.concatenate([s + quarter for s in starts]),
        np.full(bars * len(quarter), 900),
        np.tile([72, 74, 76, 79, 77, 76, 74][: len(quarter)], bars),
        90,
    )
    piano = make_notes(
        np.repeat(starts, 3), np.full(bars * 3, length - 60), [60 + p for t in tones for p in t[:3]], 64
    )
    low = make_notes(starts, np.full(bars, length - 60), [36 + t[0] for t in tones], 80)
    eighth = np.arange(0, length, 480)
    kit = [(s + e, 42, 70) for s in starts for e in eighth]
    kit += [(s, 36, 110) for s in starts] + [(s + length // 2, 38, 105) for s in starts]
    kit += [(starts[bars // 2 - 1] + e, p, 100) for e, p in zip(eighth, (50, 50, 47, 43), strict=False)]
    kit += [(s, 54, 60) for s in starts]  # A tambourine is not of the kit.
    onset, pitch, velocity = (np.array(column) for column in zip(*kit, strict=True))
    parts = [("Voice", 0, 52, "melody", melody), ("Piano", 1, 0, "chords", piano)]
    if bass:
        parts.append(("Bass", 2, 33, "bass", low))
    if drums:
        parts.append(
            ("Kit", DRUM_CHANNEL, 0, "drums", make_notes(onset, np.full(len(onset), 100), pitch, velocity))
        )
    tracks = tuple(
        Track(
            name=name,
            channel=channel,
            program=program,
            notes=notes,
            texts=(Text(0, 5, "la"),) if role == "melody" else (),
        )
        for name, channel, program, role, notes in parts
    )
    score = Score(
        tracks=tracks,
        tempos=(Tempo(0, 500_000), Tempo(length * 8, 480_000)),
        meters=(measure,),
        texts=(Text(0, 6, "Verse"), Text(length * 8, 6, "Chorus")),
        end_tick=bars * length,
    )
    record = {
        "id": "band",
        "key": {"tonic": 0, "mode": "major", "name": "C major"},
        "tracks": [
            {
                "name": name,
                "channel": channel,
                "program": program,
                "notes": len(notes),
                "role": role,
                "human_timing": False,
                "nomml": 3,
            }
            for name, channel, program, role, notes in parts
        ],
    }
    if chords:
        record["chords"] = [
            {"tick": int(s), "label": label} for s, label in zip(starts, symbols, strict=True)
        ]
    return score, record


def run(score, record, backend="onnx", seed=1, **settings):
    return transfer.apply(score, record, DEFAULTS | settings, models(backend), seed)


def written(result, part="accompaniment"):
    return [result.score.tracks[w["track"]] for w in result.report[part]["written"]]


def assert_same_frame(before, after):
    assert after.tempos == before.tempos
    assert after.meters == before.meters
    assert after.keys == before.keys
    assert after.texts == before.texts


def test_none_is_the_default_and_changes_nothing():
    score, record = band()
    result = run(score, record)
    assert result.score is score
    assert result.record == {}
    assert result.report["skipped"] == [{"reason": "no style is named"}]
    for name in ("amount", "intensity"):
        left = run(score, record, style="pop", **{name: 0})
        assert left.score is score
        assert left.report["skipped"] == [{"reason": f"{name} is 0"}]


@pytest.mark.parametrize("style", STYLES)
def test_accompaniment_is_replaced_and_the_rest_stays(style):
    score, record = band()
    before = write_midi(score)
    result = run(score, record, style=style)
    assert write_midi(score) == before
    assert_same_frame(score, result.score)
    names = [t.name for t in result.score.tracks]
    assert names[:2] == ["Voice", "Kit"]
    lead = STYLES[style].lead
    assert result.score.tracks[0].program == (lead or score.tracks[0]).program
    assert np.array_equal(result.score.tracks[0].notes, score.tracks[0].notes)
    assert result.score.tracks[0].texts == score.tracks[0].texts
    assert np.array_equal(result.score.tracks[1].notes, score.tracks[3].notes)
    players = STYLES[style].players
    assert [(t.name, t.program) for t in result.score.tracks[2:]] == [
        (f"{p.name} ({style})", p.program) for p in players
    ]
    channels = [t.channel for t in result.score.tracks]
    assert len(set(channels)) == len(channels)
    assert [(e["name"], e["channel"], e["notes"]) for e in result.record["tracks"]] == [
        (t.name, t.channel, len(t.notes)) for t in result.score.tracks
    ]
    assert result.report["changed"]["notes_removed"] == len(score.tracks[1].notes) + len(
        score.tracks[2].notes
    )
    assert result.report["changed"]["notes_written"] == sum(len(t.notes) for t in written(result)) > 50
    assert read_midi(write_midi(result.score))[0].note_count == result.score.note_count


@pytest.mark.parametrize("style", STYLES)
def test_written_notes_belong_to_chord_or_key(style):
    score, record = band()
    for track, player in zip(written(run(score, record, style=style)), STYLES[style].players, strict=True):
        if style != "swing":  # A walking bass and its piano go through notes beside the key.
            assert {p % 12 for p in track.notes["pitch"].tolist()} <= C_MAJOR
        assert track.notes["pitch"].min() >= player.lowest
        assert track.notes["pitch"].max() <= player.highest
        tones = [
            set(parse_chord(PROGRESSION[o // 3840 % 4]).pitch_classes) for o in track.notes["onset_tick"]
        ]
        inside = [p % 12 in t for p, t in zip(track.notes["pitch"], tones, strict=True)]
        assert np.mean(inside) > 0.6


def test_chromatic_chords_get_their_own_tones():
    score, record = band()
    record["chords"] = [{"tick": 0, "label": "Ab7"}, {"tick": 8 * 3840, "label": "F#dim7"}]
    record["key"] = None
    notes = written(run(score, record, style="lied"))[0].notes
    first = {p % 12 for p in notes["pitch"][notes["onset_tick"] < 8 * 3840 - 240].tolist()}
    assert {8, 0, 3} & first
    assert first <= {(8 + i) % 12 for i in intervals_of(Chord(8, "7"), None, False)}


def test_styles_and_seeds_differ_and_repeat():
    score, record = band()
    music = {style: write_midi(run(score, record, style=style).score) for style in STYLES}
    assert len(set(music.values())) == len(STYLES)
    again = write_midi(run(score, record, style="pop").score)
    assert again == music["pop"]
    assert write_midi(run(score, record, style="pop", seed=2).score) != again


@pytest.mark.parametrize(
    "settings", [{"style": s} for s in STYLES] + [{"drum_style": s} for s in DRUM_STYLES]
)
def test_backends_and_seeds_agree_at_temperature_0(settings):
    score, record = band()
    results = [
        write_midi(run(score, record, backend=backend, seed=seed, temperature=0, **settings).score)
        for backend, seed in (("onnx", 1), ("onnx", 2), ("tflite", 3))
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("settings", [{"style": "pop"}, {"style": "hymn", "intensity": 0.5, "density": 0.5}])
def test_backends_agree_where_figures_are_drawn_by_lot(settings):
    score, record = band()
    onnx, tflite = (write_midi(run(score, record, backend=b, **settings).score) for b in ("onnx", "tflite"))
    assert onnx == tflite


@pytest.mark.parametrize("meter", [(3, 4), (6, 8), (5, 8), (2, 4), (12, 8), (7, 16)])
def test_other_meters(meter):
    score, record = band(meter)
    result = run(score, record, style="quartet", drum_style="rock")
    bars = bar_starts(score)
    for track in written(result):
        bar = np.searchsorted(bars, track.notes["onset_tick"], "right") - 1
        assert ((track.notes["onset_tick"] - bars[bar]) % 80 == 0).all()
        assert track.notes["onset_tick"].max() < bars[-1]
    assert all(len(t.notes) for t in written(result))
    drums = result.score.tracks[1].notes
    assert len(drums[drums["pitch"] != 54]) > 16
    assert_same_frame(score, result.score)


def test_a_lone_player_plays_one_note_at_a_time():
    score, record = band()
    for track in written(run(score, record, style="quartet")):
        end = track.notes["onset_tick"] + track.notes["duration_tick"]
        assert (end[:-1] <= track.notes["onset_tick"][1:]).all()


def test_amount_replays_whole_phrases():
    score, record = band(bars=16)
    result = run(score, record, style="pop", drum_style="funk", amount=0.5)
    phrase = 4 * 3840
    piano = result.score.tracks[1]
    kept = score.tracks[1].notes
    assert np.array_equal(piano.notes, kept[kept["onset_tick"] // phrase % 2 == 0])
    assert {int(o) // phrase for o in written(result)[0].notes["onset_tick"]} == {1, 3}
    drums, source = result.score.tracks[3].notes, score.tracks[3].notes
    first, before = drums[drums["onset_tick"] < phrase - 240], source[source["onset_tick"] < phrase - 240]
    assert np.array_equal(first, before)
    assert result.report["accompaniment"]["bars"] == {"replayed": 8, "of": 16}


def test_phrases_are_spread_and_grow_with_amount():
    assert phrases_to_replay(16, 1).all()
    assert not phrases_to_replay(16, 0).any()
    assert phrases_to_replay(16, 0.5).tolist() == [b // 4 % 2 == 1 for b in range(16)]
    assert phrases_to_replay(400, 0.3).mean() == pytest.approx(0.3)


def test_nothing_to_do_is_said():
    score, record = band()
    only_drums = Score(tracks=score.tracks[3:], meters=score.meters, tempos=score.tempos)
    lone = {"tracks": record["tracks"][3:], "chords": record["chords"], "key": None}
    result = run(only_drums, lone, style="pop")
    assert result.score is only_drums
    assert result.record == {}
    assert result.report["accompaniment"]["reason"] == "the piece has no pitched notes"
    result = run(*band(chords=False), style="pop")
    assert "harmonize" in result.report["accompaniment"]["reason"]
    assert result.record == {}
    result = run(*band(drums=False), drum_style="jazz")
    assert result.report["drums"]["reason"] == "the piece has no drums"
    bare = {"tracks": record["tracks"], "chords": [{"tick": 0, "label": "N"}], "key": None}
    assert run(score, bare, style="pop").score is score
    empty = Score()
    assert run(empty, {"tracks": []}, style="pop", drum_style="rock").score is empty


def test_a_melody_alone_gets_an_accompaniment():
    score, record = band(drums=False, bass=False)
    score = Score(tracks=score.tracks[:1], tempos=score.tempos, meters=score.meters)
    record = record | {"tracks": record["tracks"][:1]}
    result = run(score, record, style="lied")
    assert "no accompaniment" in result.report["accompaniment"]["note"]
    assert len(written(result)[0].notes) > 30


def test_bars_without_accompaniment_stay_empty():
    score, record = band(bass=False)
    piano = score.tracks[1]
    gap = (piano.notes["onset_tick"] >= 4 * 3840) & (piano.notes["onset_tick"] < 8 * 3840)
    score = score.with_track(1, piano.with_notes(piano.notes[~gap]))
    onset = np.concatenate([t.notes["onset_tick"] for t in written(run(score, record, style="pop"))])
    assert not ((onset >= 4 * 3840) & (onset < 8 * 3840)).any()
    assert (onset >= 8 * 3840).any()


def test_bars_without_chords_keep_their_source():
    score, record = band()
    record["chords"] = [c for c in record["chords"] if c["tick"] >= 4 * 3840]
    result = run(score, record, style="pop")
    assert np.array_equal(result.score.tracks[1].notes, score.tracks[1].notes[:12])
    assert min(int(t.notes["onset_tick"].min()) for t in written(result)) >= 4 * 3840


def test_bass_off_and_melody_off():
    score, record = band()
    result = run(score, record, style="pop", bass=False)
    assert np.array_equal(result.score.tracks[1].notes, score.tracks[2].notes)
    assert written(result)[0].notes["pitch"].min() >= 48
    assert result.report["accompaniment"]["skipped"] == [{"track": 2, "reason": "bass is off"}]
    result = run(score, record, style="pop", keep_melody=False)
    assert len(result.score.tracks[0].notes) == 0
    assert result.score.tracks[0].texts == score.tracks[0].texts


def test_a_single_line_of_its_own_stays():
    score, record = band()
    line = Track(name="Flute", channel=4, program=73, notes=score.tracks[0].notes)
    score = Score(**{**vars(score), "tracks": (*score.tracks, line)})
    record["tracks"].append(record["tracks"][0] | {"role": "other", "name": "Flute", "channel": 4})
    result = run(score, record, style="pop")
    assert "Flute" in [t.name for t in result.score.tracks]
    assert result.report["accompaniment"]["skipped"][0]["track"] == 4


def test_the_instruments_of_the_piece_stay_where_they_are_to():
    score, record = band()
    result = run(score, record, style="quartet", keep_instruments=True)
    assert [(t.name, t.channel, t.program) for t in result.score.tracks] == [
        (t.name, t.channel, t.program) for t in score.tracks
    ]
    piano, bass = written(result)
    assert (piano.name, bass.name) == ("Piano", "Bass")
    assert bass.notes["pitch"].mean() < piano.notes["pitch"].mean()
    assert bass.notes["pitch"].min() >= program_range(33)[0]
    end = bass.notes["onset_tick"] + bass.notes["duration_tick"]
    assert (end[:-1] <= bass.notes["onset_tick"][1:]).all()
    alone = Score(tracks=score.tracks[:1], meters=score.meters)
    note = run(alone, record | {"tracks": record["tracks"][:1]}, style="quartet", keep_instruments=True)
    assert "no instruments to keep" in note.report["accompaniment"]["note"]


def test_a_melody_that_the_lead_cannot_play_keeps_its_instrument():
    score, record = band()
    low = score.tracks[0].notes.copy()
    low["pitch"] -= 36
    result = run(score.with_track(0, score.tracks[0].with_notes(low)), record, style="quartet")
    assert result.score.tracks[0].program == score.tracks[0].program
    assert "range of Violin I" in result.report["accompaniment"]["lead"]["reason"]


def test_meters_without_data_are_told():
    result = run(*band((5, 8)), style="pop")
    assert set(result.report["accompaniment"]["meters"]["without_data"]) == {"5/8"}
    assert "pop has no data in 5/8" in result.report["accompaniment"]["meters"]["note"]
    assert "meters" not in run(*band(), style="pop").report["accompaniment"]


@pytest.mark.parametrize("style", ["pop", "quartet", "swing"])
def test_the_last_chord_is_held_as_it_was(style):
    score, record = band(drums=False)
    result = run(score, record, style=style)
    last, end = 15 * 3840, 16 * 3840 - 60
    for track in written(result):
        onset = track.notes["onset_tick"]
        assert onset.max() <= last
        final = track.notes[onset == last]
        assert (final["duration_tick"] == end - last).all()
    assert result.report["accompaniment"]["ending"] == {"bar": 16, "held_ticks": 3780}
    struck = {int(p) % 12 for t in written(result) for p in t.notes["pitch"][t.notes["onset_tick"] == last]}
    assert struck
    assert struck <= C_MAJOR


def test_inverted_chords_stand_on_their_bass():
    score, record = band()
    record["chords"] = [{"tick": b * 3840, "label": ("C/E", "F")[b % 2]} for b in range(16)]
    low = []
    for seed in range(3):
        notes = written(run(score, record, style="hymn", seed=seed))[0].notes
        for bar in range(0, 14, 2):
            inside = notes[(notes["onset_tick"] >= bar * 3840) & (notes["onset_tick"] < bar * 3840 + 960)]
            if len(inside):
                low.append(int(inside["pitch"][inside["onset_tick"] == inside["onset_tick"][0]].min()) % 12)
    assert np.mean(np.array(low) == 4) > 0.8


@pytest.mark.parametrize("style", ["pop", "lied", "chorale"])
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_moves_what_it_names(control, style):
    score, record = band(bars=32, drums=False)
    record = record | {"tracks": record["tracks"]}
    piece = SimpleNamespace(score=score, record=record)
    means = []
    for value in (-1, 0, 1):
        played = [written(run(score, record, style=style, seed=s, **{control: value})) for s in range(3)]
        means.append(np.mean([figures(join([t.notes for t in p]), piece)[control] for p in played]))
    assert means[0] <= means[1] < means[2]


def test_intensity_goes_from_the_original_to_the_style():
    score, record = band(bars=32, drums=False)
    source = {(int(n["onset_tick"]), int(n["pitch"]) % 12) for t in score.tracks[1:] for n in t.notes}
    shares = []
    for intensity in (0.05, 0.35, 0.65, 1.0):
        result = run(score, record, style="pop", intensity=intensity, temperature=0.7)
        new = {(int(n["onset_tick"]), int(n["pitch"]) % 12) for t in written(result) for n in t.notes}
        shares.append(len(source & new) / len(source | new))
    assert shares[0] > 0.6
    assert shares[0] > shares[1] > shares[3]
    assert shares[2] >= shares[3]


def test_voices_of_a_choir_are_the_accompaniment_together():
    score, record = band(drums=False)
    piano = score.tracks[1].notes
    voices = [piano[i::3] for i in range(3)]
    tracks = [
        score.tracks[0],
        *(Track(name=n, channel=4 + i, notes=v) for i, (n, v) in enumerate(zip("ATB", voices, strict=True))),
    ]
    entries = [
        record["tracks"][0],
        *({"role": role, "name": "", "channel": 0, "program": 0} for role in ("other", "other", "bass")),
    ]
    choir = Score(tracks=tuple(tracks), meters=score.meters)
    result = run(choir, record | {"tracks": entries}, style="pop")
    assert result.report["changed"]["notes_removed"] == len(piano)
    assert [t.name for t in result.score.tracks] == ["Voice", "Piano (pop)"]
    # A second line beside a piano is no harmony.
    assert "skipped" in run(*band(), style="pop").report["accompaniment"]


def test_full_channels_are_told():
    score, record = band()
    lines = tuple(
        Track(name=f"L{c}", channel=c, notes=score.tracks[0].notes) for c in range(3, 16) if c != DRUM_CHANNEL
    )
    more = [record["tracks"][0] | {"role": "other"} for _ in lines]
    full = Score(**{**vars(score), "tracks": (*score.tracks, *lines)})
    result = run(full, record | {"tracks": record["tracks"] + more}, style="quartet")
    # Two channels became free with piano and bass, and three players want one each.
    assert len(written(result)) == 1
    assert "too few" in result.report["accompaniment"]["note"]


def test_the_phase_of_the_source_is_kept():
    score, record = band(drums=False)
    moved = []
    for track in score.tracks:
        notes = track.notes.copy()
        notes["onset_tick"] += 80
        moved.append(track.with_notes(notes))
    late = Score(**{**vars(score), "tracks": tuple(moved)})
    result = run(late, record, style="pop")
    assert result.report["accompaniment"]["phase_ticks"] == 80
    assert set(((written(result)[0].notes["onset_tick"] - 80) % 960).tolist()) <= {0, 240, 320, 480, 640, 720}


def test_a_piece_ahead_of_its_grid_begins_with_the_file():
    score, record = band(drums=False)
    moved = [t.with_notes(t.notes[t.notes["onset_tick"] > 0]) for t in score.tracks]
    for track in moved:
        track.notes["onset_tick"] -= 80
    early = Score(**{**vars(score), "tracks": (moved[0],)})
    result = run(early, record | {"tracks": record["tracks"][:1]}, style="pop")
    assert result.report["accompaniment"]["phase_ticks"] == -80
    assert int(written(result)[0].notes["onset_tick"].min()) >= 0
    assert read_midi(write_midi(result.score))[0].note_count == result.score.note_count


def test_drums_keep_form_percussion_and_sound_human():
    score, record = band()
    result = run(score, record, drum_style="funk")
    notes, source = result.score.tracks[3].notes, score.tracks[3].notes
    assert [
        np.array_equal(a.notes, b.notes) for a, b in zip(result.score.tracks, score.tracks, strict=True)
    ] == [
        True,
        True,
        True,
        False,
    ]
    assert np.array_equal(notes[notes["pitch"] == 54], source[source["pitch"] == 54])
    kit = notes[notes["pitch"] != 54]
    assert len(np.unique(kit["velocity"])) > 10
    assert (kit["onset_tick"] % 240 != 0).mean() > 0.3
    assert result.record["tracks"][3]["notes"] == len(notes)
    # All bars but the fill are alike in the source, so every other one is alike now.
    bar = np.round(kit["onset_tick"] / 240).astype(int) // 16
    grid = [
        sorted(
            ((o - b * 3840), p)
            for o, p in zip(kit["onset_tick"].tolist(), kit["pitch"].tolist(), strict=True)
            if round(o / 240) // 16 == b
        )
        for b in (2, 4, 6, 7)
    ]
    assert bar.max() == 15
    assert grid[0] == grid[1] == grid[2] != grid[3]
    assert result.report["drums"]["bars"]["repeated"] == 13


@pytest.mark.skipif(not (GROOVE / "info.csv").is_file(), reason="the Groove MIDI Dataset is not here")
def test_drums_come_nearer_to_the_target_style():
    def recordings(style, split, count):
        with (GROOVE / "info.csv").open() as file:
            rows = [
                r
                for r in csv.DictReader(file)
                if r["split"] == split and r["beat_type"] == "beat" and r["time_signature"] == "4-4"
            ]
        names = [r["midi_filename"] for r in rows if r["style"].split("/")[0] == style][:count]
        for name in names:
            track = read_midi((GROOVE / name).read_bytes())[0].tracks[0]
            short = track.notes[track.notes["onset_tick"] < 16 * 3840]
            yield short[CLASS_OF_PITCH[short["pitch"]] >= 0]

    def histogram(notes):
        counts = style_metrics.drum_histogram(
            notes["onset_tick"] % 3840 / 960, CLASS_OF_PITCH[notes["pitch"]]
        )
        return counts / counts.sum()

    target = sum(histogram(n) for n in recordings("latin", "train", 20))
    before, after = [], []
    record = {"tracks": [{"role": "drums", "name": "", "channel": 9, "program": 0, "notes": 0}]}
    for notes in recordings("rock", "validation", 5):
        score = Score(tracks=(Track(channel=DRUM_CHANNEL, notes=notes),), meters=(Meter(0, 4, 4),))
        result = run(score, record, drum_style="latin")
        before.append(style_metrics.cosine(histogram(notes), target))
        after.append(style_metrics.cosine(histogram(result.score.tracks[0].notes), target))
    assert np.mean(after) > np.mean(before)


def test_silent_drum_bars_stay_silent():
    score, record = band()
    kit = score.tracks[3]
    quiet = kit.notes["onset_tick"] // 3840 == 5
    score = score.with_track(3, kit.with_notes(kit.notes[~quiet]))
    notes = run(score, record, drum_style="latin").score.tracks[3].notes
    step = np.round(notes["onset_tick"] / 240) // 16
    assert not (step == 5).any()
    assert (step == 6).any()


@examine(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 4000), st.integers(0, 127)), max_size=60),
    st.sampled_from(list(STYLES)),
    st.sampled_from(DRUM_STYLES),
    st.integers(0, 2**63),
)
def test_any_notes_go_through(notes, style, drum_style, seed):
    score, record = band(bars=8)
    columns = [np.array([n[i] for n in notes], np.int64) for i in range(3)]
    wild = make_notes(*columns, np.full(len(notes), 70))
    score = score.with_track(1, score.tracks[1].with_notes(wild)).with_track(
        3, score.tracks[3].with_notes(wild)
    )
    result = run(score, record, style=style, drum_style=drum_style, seed=seed, temperature=1.5)
    assert np.array_equal(result.score.tracks[0].notes, score.tracks[0].notes)
    assert len(result.record["tracks"]) == len(result.score.tracks)
    for track in result.score.tracks:
        assert (track.notes["duration_tick"] >= 1).all()
        assert (track.notes["onset_tick"] >= 0).all()
        assert ((track.notes["velocity"] >= 1) & (track.notes["velocity"] <= 127)).all()
        assert np.array_equal(track.with_notes(track.notes).notes, track.notes)
    assert read_midi(write_midi(result.score))[0].note_count == result.score.note_count


@given(st.integers(0, 11), st.sampled_from(sorted(QUALITIES)), st.integers(0, 11), st.booleans())
def test_slots_and_pitches_are_inverse_on_chord_tones(root, quality, tonic, minor):
    chord = Chord(root, quality)
    slots = np.arange(28)
    index = np.zeros(28, int)
    pitch = pitches_from_slots(slots, index, [chord], [(tonic, minor)])
    assert (np.diff(pitch.reshape(4, 7)[:, 0]) == 12).all()
    triad = np.isin(slots % 7, [0, 2, 4])
    third_known = any(i in QUALITIES[quality].intervals for i in (3, 4))
    tones = set(chord.pitch_classes)
    if third_known and quality != "5":
        assert {p % 12 for p in pitch[triad].tolist()} <= tones
    back = slots_from_pitches(pitch[triad], index[triad], [chord])
    if third_known:
        assert np.array_equal(back, slots[triad])


@given(st.lists(st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 8), (7, 16), (2, 2)]), min_size=1, max_size=5))
def test_grid_covers_every_bar_once(signatures):
    meters, tick = [], 0
    for numerator, denominator in signatures:
        meter = Meter(tick, numerator, denominator)
        meters.append(meter)
        tick += 3 * meter.bar_ticks
    score = Score(meters=tuple(meters), end_tick=tick)
    for make in (grids.pitched_grid, grids.beat_grid):
        grid = make(score)
        assert (np.diff(grid.step_tick) > 0).all()
        assert (np.diff(grid.unit_tick) > 0).all()
        assert grid.step_tick[0] == 0
        assert grid.unit_tick[-1] == grid.bar_tick[-1] == tick
        # Sixteenths alone are on their steps; with thirds among them it is the unit that decides.
        places = [0, 1, 3, 5] if grid.steps == grids.PITCHED_STEPS else range(grid.steps)
        straight = np.flatnonzero(np.isin(grid.step_in_unit, places))
        assert np.array_equal(grid.nearest_step(grid.step_tick[straight]), straight)
        assert set(grid.bar_tick[:-1].tolist()) <= set(grid.unit_tick.tolist())
        assert (grid.table() >= 0).sum() == len(grid.step_tick)


def test_bars_of_two_are_read_in_pairs():
    score = Score(meters=(Meter(0, 2, 4), Meter(4 * 1920, 3, 4)), end_tick=4 * 1920 + 2 * 2880)
    place, size, bar = grids.in_pairs(grids.pitched_grid(score))
    assert place.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 1, 2]
    assert size.tolist() == [4] * 8 + [3] * 6
    assert bar.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 4, 4, 4, 5, 5, 5]


def test_phase_of_scattered_notes_is_none():
    rng = np.random.default_rng(0)
    assert grids.grid_phase(rng.integers(0, 100_000, 400)) == 0
    assert grids.grid_phase(np.arange(40) * 240 - 50) == -50
    assert grids.grid_phase(np.arange(40) * 240 + 5) == 0
    assert grids.grid_phase(np.array([100, 340])) == 0


def test_patterns_survive_packing_and_find_their_nearest():
    rng = np.random.default_rng(0)
    patterns = rng.random((20, 36)) < 0.2
    patterns[0] = False
    assert np.array_equal(unpack_patterns(pack_patterns(patterns), 36), patterns)
    unpacked = unpack_patterns(pack_patterns(patterns), 36)
    assert unpack_patterns(pack_patterns(patterns), 36) is unpacked  # Once for all.
    assert not unpacked.flags.writeable
    assert nearest_patterns(patterns, patterns).tolist() == list(range(20))
    few = np.zeros((3, 8), bool)  # four steps of two slots
    few[1, [0, 4]] = True
    few[2, 2] = True
    asked = np.zeros((3, 8), bool)
    asked[1, [1, 5]] = True  # the rhythm of pattern 1, all notes wrong
    asked[2, [2, 6]] = True
    assert nearest_patterns(asked, few).tolist() == [0, 1, 2]
