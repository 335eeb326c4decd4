"""The harmonize stage on whole scores, with the real model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue import harmonize
from segue.chords import QUALITIES, chord_index_at, chords_of_record, nearest_majmin_class, parse_chord
from segue.ingest import apply as ingest
from segue.midi import read_midi, write_midi
from segue.runtime import load_model
from segue.score import (
    KeySignature,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    beat_starts,
    make_notes,
    no_notes,
    ticks_from_seconds,
)

ROOT = Path(__file__).parents[1]
POP909 = ROOT.parent / "shared/data/pop909"
SCHEMA = yaml.safe_load(
    (Path(harmonize.__file__).parent / "settings.schema.yaml").read_text(encoding="utf-8")
)
INGEST_SCHEMA = yaml.safe_load((ROOT / "src/segue/ingest/settings.schema.yaml").read_text(encoding="utf-8"))

_PHRASE = [64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64]
ODE = [*_PHRASE, 64, 62, 62, 62, *_PHRASE, 62, 60, 60, 60]


def defaults(schema):
    return {name: entry["default"] for name, entry in schema["properties"].items()}


def run(score, roles=None, record=None, backend="onnx", **changes):
    settings = defaults(SCHEMA) | changes
    models = {role: load_model(name, backend) for role, name in settings["models"].items()}
    roles = roles or ["drums" if t.is_drum else "melody" for t in score.tracks]
    record = {"id": "piece", "tracks": [{"role": r} for r in roles]} | (record or {})
    return harmonize.apply(score, record, settings, models, 1)


def tune(pitches=ODE, length=960, meter=(4, 4), start=0, **changes):
    onset = start + np.arange(len(pitches)) * length
    notes = make_notes(onset, np.full(len(pitches), length - 60), pitches, 80)
    texts = (Text(0, 6, "Verse"), Text(0, 1, "words"))
    score = Score(
        (Track("tune", 0, 73, notes),),
        (Tempo(0, 500_000),),
        (Meter(0, *meter),),
        (KeySignature(0, 0, False),),
        texts,
    )
    return replace(score, **changes)


def drums(bars=8):
    onset = np.arange(bars * 4) * 960
    return Track("kit", 9, notes=make_notes(onset, np.full(len(onset), 100), np.full(len(onset), 36), 90))


def labels(result):
    return [(c["tick"], c["label"]) for c in result.record["chords"]]


def test_a_melody_gets_symbols_and_a_chord_track():
    score = tune()
    result = run(score)
    symbols = [t for t in result.score.texts if t not in score.texts]
    assert [(t.tick, t.text) for t in symbols] == labels(result)
    assert {t.kind for t in symbols} == {6}
    assert labels(result)[0] == (0, "C")
    assert {"C", "G"} <= {text.rstrip("7") for _, text in labels(result)}
    assert [t for t in result.score.texts if t in score.texts] == list(score.texts)
    track = result.score.tracks[-1]
    assert track.channel == 1
    assert result.record["tracks"][-1] == {
        "name": "Chords", "channel": 1, "program": 4, "notes": len(track.notes), "role": "chords",
        "human_timing": False, "nomml": None,
    }  # fmt: skip
    assert result.report["changed"] == {
        "chords": len(symbols), "removed_chords": 0, "notes": len(track.notes)
    }  # fmt: skip


def test_nothing_but_texts_and_the_new_track_changes():
    score = tune(tracks=(*tune().tracks, drums()))
    before = write_midi(score)
    result = run(score)
    assert write_midi(score) == before
    assert write_midi(replace(result.score, texts=score.texts, tracks=result.score.tracks[:-1])) == before


def test_chords_sound_only_while_they_hold_and_lie_in_the_range():
    result = run(tune())
    starts, chords = chords_of_record(result.record)
    notes = result.score.tracks[-1].notes
    index = np.searchsorted(starts, notes["onset_tick"], "right") - 1
    ends = np.append(starts[1:], 10**9)[index]
    assert (notes["onset_tick"] + notes["duration_tick"] <= ends).all()
    assert all(p % 12 in chords[i].pitch_classes for p, i in zip(notes["pitch"], index, strict=True))
    assert notes["pitch"].min() >= 48
    assert notes["pitch"].max() <= 72
    assert notes["velocity"].max() <= 70


def test_drums_alone_are_left_alone():
    score = Score((drums(),), meters=(Meter(0, 4, 4),))
    result = run(score)
    assert result.score is score
    assert result.record == {}
    assert "no pitched notes" in result.report["reason"]


def test_an_accompaniment_is_not_doubled_unless_asked():
    pad = Track("pad", 1, 48, make_notes([0, 0, 0], [15360] * 3, [48, 52, 55], 60))
    score = tune(tracks=(*tune().tracks, pad))
    result = run(score, ["melody", "chords"])
    assert len(result.score.tracks) == 2
    assert "tracks" not in result.record
    assert "accompaniment" in result.report["skipped"][0]["reason"]
    assert len(run(score, ["melody", "chords"], track="always").score.tracks) == 3
    assert len(run(tune(), track="never").score.tracks) == 1


def test_symbols_of_the_file_are_kept_or_replaced():
    given = (Text(0, 6, "Dm7"), Text(0, 6, "Verse"), Text(7680, 6, "E7#9"))
    score = tune(texts=given)
    kept = run(score)
    assert kept.score.texts == given
    assert labels(kept) == [(0, "Dm7"), (7680, "E7#9")]
    assert "kept" in kept.report["skipped"][0]["reason"]
    assert {2, 5, 9, 0} >= {p % 12 for p in kept.score.tracks[-1].notes["pitch"][:4].tolist()}
    replaced = run(score, existing="replace")
    assert Text(0, 6, "Verse") in replaced.score.texts
    assert "E7#9" not in [t.text for t in replaced.score.texts]
    assert replaced.report["changed"]["removed_chords"] == 2


def test_chords_are_found_before_the_first_symbol_of_the_file():
    result = run(tune(texts=(Text(15360, 6, "F/A"),)))
    assert labels(result)[-1] == (15360, "F/A")
    assert labels(result)[0] == (0, "C")
    assert [t.text for t in result.score.texts].count("F/A") == 1


def test_harmonizing_twice_changes_nothing_more():
    once = run(tune())
    again = run(once.score, record={**once.record, "tracks": once.record["tracks"]}, roles=None)
    assert write_midi(again.score) == write_midi(once.score)


@pytest.mark.parametrize("shift", range(-5, 7))
def test_transposing_the_melody_transposes_the_chords(shift):
    def chords(pitches):
        starts, found = chords_of_record(run(tune(pitches)).record)
        return starts.tolist(), found

    starts, found = chords(ODE)
    moved_starts, moved = chords([p + shift for p in ODE])
    assert moved_starts == starts
    assert moved == [c.transposed(shift) for c in found]


def test_tempo_does_not_matter():
    slow = tune(tempos=(Tempo(0, 900_000), Tempo(4000, 200_000)))
    assert labels(run(slow)) == labels(run(tune()))


@pytest.mark.parametrize(("meter", "length"), [((3, 4), 960), ((6, 8), 480), ((5, 4), 960), ((2, 2), 960)])
@pytest.mark.parametrize("grid", ["auto", "beat", "half", "bar"])
def test_changes_lie_on_the_chosen_grid(meter, length, grid):
    score = tune(length=length, meter=meter)
    result = run(score, grid=grid)
    bar = Meter(0, *meter).bar_ticks
    allowed = set(range(0, score.last_tick + bar, bar))
    if grid != "bar":
        beats = beat_starts(score).tolist()
        per_bar = bar // Meter(0, *meter).beat_ticks
        step = 1 if grid != "half" else (per_bar // 2 if per_bar % 2 == 0 else per_bar)
        allowed = set(beats[::step])
    ticks = [t for t, _ in labels(result)]
    assert ticks
    assert set(ticks) <= allowed
    assert all(a != b for (_, a), (_, b) in zip(labels(result), labels(result)[1:], strict=False))


@pytest.mark.parametrize(("pickup", "meter"), [((1, 4), (3, 4)), ((3, 8), (6, 8)), ((2, 4), (5, 4))])
@pytest.mark.parametrize("grid", ["auto", "beat", "half", "bar"])
def test_after_a_pickup_changes_lie_on_the_bars_that_follow_it(pickup, meter, grid):
    start = Meter(0, *pickup).bar_ticks
    length = Meter(0, *meter).beat_ticks
    score = tune(length=length, meters=(Meter(0, *pickup), Meter(start, *meter)))
    step = {"bar": Meter(0, *meter).bar_ticks, "half": length * (1 if meter[0] == 6 else meter[0])}
    ticks = [t for t, _ in labels(run(score, grid=grid))]
    assert len(ticks) > 2
    assert all((t - start) % step.get(grid, length) == 0 for t in ticks if t >= start)


def test_no_chord_comes_before_the_first_note():
    result = run(tune(start=3840 + 2880))
    assert labels(result)[0][0] == 3840 + 2880
    assert result.score.tracks[-1].notes["onset_tick"].min() == 3840 + 2880
    assert "introduction" not in result.report


def test_a_long_silence_before_the_first_note_is_an_introduction_with_chords():
    result = run(tune(start=2 * 3840 + 2880))
    assert labels(result)[0][0] == 0
    assert result.score.tracks[-1].notes["onset_tick"].min() == 0
    assert result.report["introduction"]["beats"] == 11


def test_an_introduction_whose_chords_the_file_has_is_none_to_find():
    markers = tuple(Text(tick, 6, label) for tick, label in ((0, "C"), (7680, "F"), (11520, "C")))
    result = run(tune(start=2 * 3840 + 2880, texts=markers))
    assert labels(result) == [(0, "C"), (7680, "F"), (11520, "C")]
    assert "introduction" not in result.report


def test_a_chord_behind_the_last_note_makes_no_track():
    result = run(tune([60], texts=(Text(1920, 6, "C"),)))
    assert labels(result) == [(1920, "C")]
    assert len(result.score.tracks) == 1
    assert result.report["skipped"][-1] == {"track": "chords", "reason": "no chord was found to play"}


def test_two_bars_of_one_beat_are_no_introduction():
    result = run(tune(start=3 * 960, meter=(1, 4)))
    assert labels(result)[0][0] == 3 * 960
    assert "introduction" not in result.report


def test_seventh_chords_can_be_left_out():
    def widest(**changes):
        found = chords_of_record(run(pop_song(), ["melody", "other", "chords"], **changes).record)[1]
        return max(len(QUALITIES[c.quality].intervals) for c in found if c.is_chord)

    assert widest() == 4
    assert widest(vocabulary="triads") == 3


def test_the_key_is_heard_unless_the_file_writes_it():
    minor = [69, 71, 72, 74, 76, 76, 77, 74, 76, 72, 71, 69, 68, 71, 69, 69] * 2
    heard = run(tune(minor, keys=())).record["key"]
    assert heard == {"tonic": 9, "mode": "minor", "name": "A minor"}
    given = {"tonic": 0, "mode": "major", "name": "C major"}
    assert run(tune(minor), record={"key": given}).record["key"] == given
    assert run(tune(minor, keys=()), record={"key": given}).record["key"] == heard


def test_chords_follow_notes_that_ignore_the_grid_of_the_file():
    aligned = run(tune(meter=(1, 4)))
    late = run(tune(meter=(1, 4), start=300))
    assert "grid" not in aligned.report
    assert late.report["grid"]["moved_beats"] == pytest.approx(300 / 960, abs=0.01)
    expected = [(t + 300, c) for t, c in labels(aligned)]
    assert labels(late)[1:] == [(pytest.approx(t, abs=2), c) for t, c in expected[1:]]


def test_the_sheet_of_notes_that_ignore_the_grid_lies_on_beats():
    sheets = [
        run(tune(meter=(1, 4), start=start), lead_sheet=True, style="block").files["harmonize-chords.txt"]
        for start in (960, 960 + 300)
    ]
    assert sheets[0] == sheets[1]


@pytest.mark.parametrize(("start", "moved"), [(0, None), (240, 0.25), (480, -0.5)])
def test_chords_follow_a_song_that_does_not_lie_on_the_beats_of_its_bars(start, moved):
    # On every beat but some, and on every fourth half beat.
    draws = np.random.default_rng(1).random((128, 2)) < (0.95, 0.25)
    onset = np.flatnonzero(draws.ravel()) * 480
    pitches = np.resize(ODE, len(onset))
    notes = make_notes(start + onset, np.append(np.diff(onset), 960), pitches, 80)
    result = run(tune(tracks=(Track("tune", 0, 73, notes),)))
    assert result.report.get("grid", {}).get("moved_beats") == moved
    assert all((tick - start) % 960 == 0 for tick, label in labels(result) if label != "N.C.")


def test_held_and_struck_chords():
    held, struck = (run(tune(), style=s).score.tracks[-1].notes for s in ("block", "beats"))
    assert set(np.diff(np.unique(struck["onset_tick"])).tolist()) == {960}
    assert len(held) < len(struck)
    assert held["duration_tick"].max() <= 3840


def test_without_a_free_channel_one_is_shared_and_named():
    others = tuple(Track(f"part {c}", c, c, tune().tracks[0].notes[: 20 - c]) for c in range(16) if c != 9)
    score = tune(tracks=others)
    result = run(score, ["melody"] * 15, track="always", program=99)
    track = result.score.tracks[-1]
    # The track with the fewest notes, and its sound.
    assert (track.channel, track.program) == (15, 15)
    assert "part 15" in result.report["track"]["reason"]
    # Rather a track that has the wanted sound already.
    same = run(score, ["melody"] * 15, track="always", program=4).score.tracks[-1]
    assert (same.channel, same.program) == (4, 4)


@pytest.mark.parametrize(
    "name", ["melodies/greensleeves.mid", "melodies/clementine.mid", "songs/silent_night.mid"]
)
def test_both_backends_write_the_same_bytes(name):
    path = ROOT / "input" / name
    stage = ingest(path.read_bytes(), path.name, defaults(INGEST_SCHEMA))
    results = [run(stage.score, record=stage.record, backend=b, track="always") for b in ("onnx", "tflite")]
    assert write_midi(results[0].score) == write_midi(results[1].score)
    assert results[0].record == results[1].record


@st.composite
def scores(draw):
    def notes():
        rows = draw(
            st.lists(
                st.tuples(st.integers(0, 40_000), st.integers(1, 9000), st.integers(0, 127)), max_size=12
            )
        )
        return make_notes(*zip(*rows, strict=True), 80) if rows else no_notes()

    channels = draw(st.lists(st.sampled_from([0, 1, 5, 9, None]), min_size=1, max_size=4))
    tracks = tuple(
        Track(f"track {i}", c, 0, notes() if c is not None else no_notes()) for i, c in enumerate(channels)
    )
    meters = draw(
        st.sampled_from([(), (Meter(0, 3, 4),), (Meter(0, 7, 8), Meter(5000, 4, 4)), (Meter(960, 1, 4),)])
    )
    texts = draw(st.sampled_from([(), (Text(0, 6, "A"),), (Text(3000, 6, "G7"), Text(9000, 6, "N.C."))]))
    return Score(tracks, meters=meters, texts=texts)


@given(scores(), st.sampled_from(["auto", "beat", "half", "bar"]), st.sampled_from(["auto", "always"]))
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_score_keeps_what_it_has(score, grid, track):
    roles = [
        ("drums" if t.is_drum else ("melody", "bass", "other")[i % 3]) for i, t in enumerate(score.tracks)
    ]
    result = run(score, roles, grid=grid, track=track)
    made = result.score
    assert made.tracks[: len(score.tracks)] == score.tracks
    assert set(score.texts) <= set(made.texts)
    assert (made.meters, made.tempos) == (score.meters, score.tempos)
    added = made.tracks[len(score.tracks) :]
    assert len(added) <= 1
    assert all(t.channel not in {9, None} | {s.channel for s in score.tracks} for t in added)
    assert [t.tick for t in made.texts] == sorted(t.tick for t in made.texts)
    if not any(len(t.notes) for t in score.tracks if not t.is_drum):
        assert made is score
    else:
        assert len(result.record.get("tracks", roles)) == len(made.tracks)
        ticks = [c["tick"] for c in result.record["chords"]]
        assert ticks == sorted(set(ticks))
    again = run(score, roles, grid=grid, track=track)
    assert write_midi(again.score) == write_midi(made)


def pop_song():
    """Sixteen bars of a melody over sevenths that are spelt out: Dm7 G7 Cmaj7 Am7."""
    tones = [[62, 65, 69, 72], [55, 59, 62, 65], [60, 64, 67, 71], [57, 60, 64, 67]] * 4
    onset = np.repeat(np.arange(16) * 3840, 4)
    pad = make_notes(onset, np.full(64, 3800), np.concatenate(tones), 60)
    bass = make_notes(np.arange(16) * 3840, np.full(16, 3800), [38, 43, 36, 45] * 4, 70)
    lead = make_notes(np.arange(16) * 3840, np.full(16, 3600), [77, 74, 76, 72] * 4, 80)
    tracks = (Track("lead", 0, 73, lead), Track("bass", 1, 32, bass), Track("pad", 2, 88, pad))
    return Score(tracks, meters=(Meter(0, 4, 4),))


def test_spelt_out_chords_are_recognised():
    found = chords_of_record(run(pop_song(), ["melody", "bass", "chords"]).record)[1]
    assert [c.root for c in found[:4]] == [2, 7, 0, 9]
    assert {"min7", "7", "maj7"} & {c.quality for c in found}


@pytest.mark.skipif(not POP909.is_dir(), reason="POP909 is not at ../shared/data")
@pytest.mark.parametrize(("alone", "least"), [(True, 0.30), (False, 0.75)])
def test_songs_by_their_own_files(alone, least):
    """Validation songs through the stage as it is used, on the grid that the file has."""
    hits = []
    for number in ("005", "105", "205", "305", "405", "505"):
        folder = POP909 / number
        score, _ = read_midi((folder / f"{number}.mid").read_bytes())
        tracks = tuple(t for t in score.tracks if not alone or t.name == "MELODY")
        roles = [{"MELODY": "melody"}.get(t.name, "chords") for t in tracks]
        result = run(replace(score, tracks=tracks), roles)
        starts, chords = chords_of_record(result.record)
        rows = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines()]
        times = np.arange(float(rows[1][0]), float(rows[-1][1]), 0.25)
        true = np.searchsorted([float(r[0]) for r in rows], times, "right") - 1
        index = chord_index_at(starts, ticks_from_seconds(score, times))
        hits += [
            i >= 0 and nearest_majmin_class(chords[i]) == nearest_majmin_class(parse_chord(rows[j][2]))
            for i, j in zip(index, true, strict=True)
        ]
    assert np.mean(hits) > least
