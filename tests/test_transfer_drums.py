"""Drum styles: the grid of twelfths, profiles, and what the drummer plays."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import segue.transfer
from segue.metrics.style import cosine, rhythm_similarity
from segue.midi import read_midi
from segue.runtime import load_model
from segue.score import DRUM_CHANNEL, Meter, Score, Tempo, Track, make_notes
from segue.transfer.grid import beat_grid, grid_phase
from segue.transfer.kit import (
    CELL_OF_STEP,
    CLASS_OF_PITCH,
    CLASSES,
    DRUM_BINS,
    PROFILE,
    STYLES,
    SWING,
    blend_profiles,
    hit_grid,
    hits_to_notes,
    is_swung,
    pack_profile,
    profile_is_swung,
    sixteenths,
    style_profile,
    unpack_profile,
)

GROOVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "groove"
SCHEMA = yaml.safe_load(
    (Path(segue.transfer.__file__).parent / "settings.schema.yaml").read_text(encoding="utf-8")
)
RECORD = {"tracks": [{"role": "drums", "name": "Kit", "channel": 9, "program": 0, "notes": 0}]}


@lru_cache(maxsize=2)
def model(backend="onnx"):
    return load_model("drums-style", backend)


def loop(bars=16, meter=(4, 4), bpm=110, fill=True):
    """A rock beat in straight eighths, with a fill in the last bar of every eight."""
    size = meter[0] * 3840 // meter[1]
    rows = []
    for bar in range(bars):
        for eighth in range(size // 480):
            at = bar * size + eighth * 480
            if fill and bar % 8 == 7:
                rows += [(at, 47, 100), (at + 240, 43, 95)]
                continue
            rows.append((at, 42, 80 if eighth % 2 else 95))
            if eighth % 4 == 0 or eighth == 5:
                rows.append((at, 36, 105))
            if eighth % 4 == 2:
                rows.append((at, 38, 110))
    onset, pitch, velocity = np.array(rows).T
    return kit_score(make_notes(onset, np.full(len(onset), 120), pitch, velocity), meter, bpm)


def kit_score(notes, meter=(4, 4), bpm=110):
    return Score(
        tracks=(Track(name="Kit", channel=DRUM_CHANNEL, notes=notes),),
        tempos=(Tempo(0, round(60e6 / bpm)),),
        meters=(Meter(0, *meter),),
    )


def run(score, style, seed=1, backend="onnx", **settings):
    defaults = {key: entry["default"] for key, entry in SCHEMA["properties"].items()}
    return segue.transfer.apply(
        score, RECORD, defaults | {"drum_style": style} | settings, {"drums": model(backend)}, seed
    )


def played(score, style, seed=1, **settings):
    return run(score, style, seed, **settings).score.tracks[0].notes


def heard(notes, score):
    return sixteenths(hit_grid(notes, beat_grid(score))[..., 0]) > 0


def test_card_schema_and_stage_name_the_same_styles():
    assert set(SCHEMA["properties"]["drum_style"]["enum"]) == {"none", "same", *STYLES, SWING}
    card = model().card
    assert tuple(card["styles"]) == (*STYLES, SWING)
    assert card["parameters"] <= 1_000_000
    for entry in card["styles"].values():
        assert entry["bars"] >= 100
        assert entry["drummers"] >= 2
        profile = unpack_profile(entry["profile"])
        assert profile.shape == (PROFILE,)
        assert np.square(profile[:DRUM_BINS]).sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("style", [*STYLES, SWING])
def test_every_style_plays_the_loop_within_the_kit(style):
    score = loop(8)
    notes = played(score, style)
    assert len(notes) > 40
    assert (CLASS_OF_PITCH[notes["pitch"]] >= 0).all()
    assert len(np.unique(notes["velocity"])) > 8
    assert notes["onset_tick"].max() < 8 * 3840 + 120


def test_backends_and_seeds_agree():
    score = loop(8)
    first = played(score, "jazz", seed=5)
    assert np.array_equal(first, played(score, "jazz", seed=5))
    assert np.array_equal(first, played(score, "jazz", seed=5, backend="tflite"))
    assert not np.array_equal(first, played(score, "jazz", seed=6))
    still = [played(score, "latin", seed=s, temperature=0.0) for s in (1, 2)]
    assert np.array_equal(*still)


def test_swing_swings_a_straight_loop_and_rock_does_not():
    score = loop(16, fill=False, bpm=150)
    grid = beat_grid(score)
    assert not is_swung(hit_grid(score.tracks[0].notes, grid)[..., 0])
    assert is_swung(hit_grid(played(score, SWING, temperature=0.8), grid)[..., 0])
    assert not is_swung(hit_grid(played(score, "rock"), grid)[..., 0])
    assert profile_is_swung(unpack_profile(model().card["styles"][SWING]["profile"]))
    assert not profile_is_swung(unpack_profile(model().card["styles"]["rock"]["profile"]))


def test_a_loop_of_one_bar_becomes_one_of_two():
    score = loop(16)
    notes = played(score, "funk")
    steps = hit_grid(notes, beat_grid(score))[..., 0] > 0
    bars = [steps[4 * b : 4 * b + 4] for b in range(15)]
    for first in (0, 1):
        assert all(np.array_equal(bars[first], bars[b]) for b in range(first, 15, 2) if b % 8 != 7)
    assert not np.array_equal(bars[1], bars[7])


def test_fills_stay_where_they_are():
    score = loop(16)
    toms = np.isin(CLASS_OF_PITCH, (4, 5, 6))
    share = []
    for style in ("rock", "latin", "funk", "soul"):
        notes = played(score, style)
        bar = (notes["onset_tick"] + 40) // 3840
        for bars in ((7, 15), (2, 10)):
            own = notes[np.isin(bar, bars)]
            share.append(toms[own["pitch"]].mean())
    share = np.array(share).reshape(-1, 2)
    assert share[:, 0].mean() > share[:, 1].mean() + 0.1


@pytest.mark.parametrize("style", ["latin", "jazz", "hiphop"])
def test_intensity_goes_from_the_original_to_the_style(style):
    score = loop(16)
    assert run(score, style, intensity=0.0).score is score
    content = [
        np.mean(
            [
                rhythm_similarity(
                    heard(score.tracks[0].notes, score).reshape(-1, 16, 9),
                    heard(played(score, style, s, intensity=i), score).reshape(-1, 16, 9),
                )
                for s in range(3)
            ]
        )
        for i in (0.4, 0.7, 1.0)
    ]
    assert content[0] >= content[1] > content[2]
    assert content[0] > 0.9


def test_controls_move_what_they_say():
    score = loop(16, fill=False)

    def hits(**controls):
        return np.concatenate(
            [hit_grid(played(score, "funk", s, **controls), beat_grid(score))[..., 0] > 0 for s in range(6)]
        )

    def density(grid):
        return grid.sum() / len(grid)

    def off_beat(grid):
        strong = grid[:, :, :2].sum(axis=(0, 2))
        return strong[2:11].sum() / strong.sum()

    def variety(grid):
        return grid.any(axis=1).sum(axis=1).mean() + np.delete(grid, [0, 6, 8], axis=1).sum() / len(grid)

    for name, measure in (("density", density), ("syncopation", off_beat), ("complexity", variety)):
        values = [measure(hits(**{name: v})) for v in (-1.0, 0.0, 1.0)]
        assert values[0] < values[1] < values[2], name


def test_meters_without_data_are_told():
    for style, meter, told in (("rock", (5, 4), []), ("latin", (7, 8), ["7/8"]), ("jazz", (6, 8), ["6/8"])):
        score = loop(8, meter, fill=False)
        result = run(score, style)
        report = result.report["drums"]
        assert [row["meter"] for row in report.get("meters_adapted", [])] == told
        notes = result.score.tracks[0].notes
        size = meter[0] * 3840 // meter[1]
        # Something is struck in every bar.
        assert set(((notes["onset_tick"] + 40) // size).tolist()) >= set(range(8))


def test_swung_and_straight_eighths_are_read_alike():
    straight = np.zeros((4, 12, len(CLASSES)))
    straight[:, [0, 6], 2] = 0.5
    swung = np.zeros((4, 12, len(CLASSES)))
    swung[:, [0, 8], 2] = 0.5
    assert np.array_equal(sixteenths(straight), sixteenths(swung))
    early = np.zeros((2, 12, len(CLASSES)))
    early[0, 11, 0] = 0.5
    assert np.argwhere(sixteenths(early, False)).tolist() == [[1, 0, 0]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 4), (3, 4), (5, 4), (7, 8)]))
def test_hits_written_are_the_hits_read(seed, meter):
    rng = np.random.default_rng(seed)
    score = Score(meters=(Meter(0, *meter),), end_tick=4 * meter[0] * 3840 // meter[1])
    grid = beat_grid(score)
    hits = rng.random((grid.units, 12, len(CLASSES))) < 0.05
    # One hit a drum in each quarter of a beat, so that each has a velocity of its own.
    for cell in range(4):
        part = np.flatnonzero(cell == CELL_OF_STEP)
        hits[:, part[1:]] &= ~hits[:, part[:1]]
    velocity = rng.integers(1, 128, (grid.units, 4, len(CLASSES)))
    notes = hits_to_notes(hits, velocity, np.zeros(velocity.shape), grid)
    read = hit_grid(notes, grid)
    inside = np.arange(12) * 80 < np.diff(grid.unit_tick)[:, None]
    assert np.array_equal(read[..., 0] > 0, hits & inside[:, :, None])
    assert (read[..., 1] == 0).all()


def test_profiles_are_packed_and_mixed():
    score = loop(8)
    first = style_profile(score.tracks[0].notes, beat_grid(score))
    assert np.allclose(unpack_profile(pack_profile(first)), first, atol=1e-3)
    second = unpack_profile(model().card["styles"]["jazz"]["profile"])
    half = blend_profiles([(first, 0.5), (second, 0.5)])
    assert np.square(half[:DRUM_BINS]).sum() == pytest.approx(1, abs=0.01)
    assert cosine(half, first) > cosine(first, second) < cosine(half, second)


@pytest.mark.skipif(not (GROOVE / "info.csv").is_file(), reason="the Groove MIDI Dataset is not here")
def test_validation_recordings_come_near_to_the_target_style():
    with (GROOVE / "info.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["split"], row["beat_type"], row["time_signature"]) == ("validation", "beat", "4-4")
            and float(row["duration"]) > 25
        ]
    for source, target, least in (("rock", "jazz", 0.5), ("jazz", "rock", 0.6), ("funk", "latin", 0.6)):
        wanted = np.square(unpack_profile(model().card["styles"][target]["profile"]))
        fits = []
        for row in [r for r in rows if r["style"].split("/")[0] == source][:5]:
            notes = read_midi((GROOVE / row["midi_filename"]).read_bytes())[0].tracks[0].notes
            notes = notes[(CLASS_OF_PITCH[notes["pitch"]] >= 0) & (notes["onset_tick"] < 16 * 3840)]
            score = kit_score(notes, bpm=float(row["bpm"]))
            grid = beat_grid(score, grid_phase(notes["onset_tick"]))
            own = [np.square(style_profile(n, grid)) for n in (notes, played(score, target, seed=3))]
            fits.append(
                [
                    np.mean(
                        [cosine(h[part], wanted[part]) for part in (slice(DRUM_BINS), slice(DRUM_BINS, None))]
                    )
                    for h in own
                ]
            )
        before, after = np.mean(fits, axis=0)
        assert after > max(before, least), (source, target)
