"""`keep_existing`: what a human played is left, blended or replaced, note by note."""

from dataclasses import replace

import numpy as np
import pytest

from segue import humanize
from segue.config import check_stage
from segue.midi import write_midi
from segue.runtime import load_model
from segue.score import Score, Tempo, Track, make_notes


def played_band():
    """Drums and a melody with deviations that follow no rule, four bars of eighths."""
    rng = np.random.default_rng(4)
    grid = np.arange(32) * 480

    def late():
        return np.maximum(grid + rng.integers(-35, 36, 32), 0)

    pitch = np.where(grid % 1920 == 0, 36, np.where(grid % 1920 == 960, 38, 42))
    drums = make_notes(late(), np.full(32, 100), pitch, rng.integers(30, 120, 32))
    melody = make_notes(late(), np.full(32, 300), 60 + np.arange(32) % 7, rng.integers(30, 120, 32))
    return Score((Track("kit", 9, notes=drums), Track("lead", 0, notes=melody)), (Tempo(0, 500_000),))


def run(score, human=(True, True), **changes):
    settings = check_stage("humanize", changes)
    models = {role: load_model(name, "onnx") for role, name in settings["models"].items()}
    record = {"id": "piece", "tracks": [{"human_timing": h, "role": "melody"} for h in human]}
    return humanize.apply(score, record, settings, models, 1)


def in_order(track):
    """Onsets and velocities by pitch, then onset, int64, (2, n)."""
    notes = track.notes[np.lexsort((track.notes["onset_tick"], track.notes["pitch"]))]
    return np.stack([notes["onset_tick"], notes["velocity"]]).astype(np.int64)


def test_skip_returns_the_bytes():
    score = played_band()
    result = run(score, keep_existing="skip")
    assert write_midi(result.score) == write_midi(score)
    assert [entry["reason"] for entry in result.report["skipped"]] == ["already human"] * 2


@pytest.mark.parametrize("variation", [0, 1])
@pytest.mark.parametrize("amount", [0.5, 1])
def test_blend_lies_between_skip_and_redo_note_by_note(amount, variation):
    score = played_band()
    blend, redo = (
        run(score, keep_existing=k, amount=amount, variation=variation).score for k in ("blend", "redo")
    )
    for was, between, new in zip(score.tracks, blend.tracks, redo.tracks, strict=True):
        a, b, c = in_order(was), in_order(between), in_order(new)
        assert (np.minimum(a, c) - 1 <= b).all()
        assert (b <= np.maximum(a, c) + 1).all()
        assert np.abs(c - a).mean() > 5, "redo does something"
        # Two notes that would swap meet half-way, and so not always in the middle of their ways.
        assert np.median(np.abs(b - (a + c) / 2)) <= 1


def test_blend_is_redo_at_half_the_amount():
    score = played_band()
    blend = run(score, keep_existing="blend", amount=2, variation=0).score
    redo = run(score, keep_existing="redo", amount=1, variation=0).score
    assert write_midi(blend) == write_midi(redo)


def test_blend_at_amount_zero_returns_the_bytes():
    score = played_band()
    assert write_midi(run(score, keep_existing="blend", amount=0).score) == write_midi(score)
    # Also where another track is played.
    tracks = {"melody": {"amount": 1}}
    result = run(score, keep_existing="blend", amount=0, tracks=tracks).score
    assert result.tracks[0].notes.tolist() == score.tracks[0].notes.tolist()
    assert result.tracks[1].notes.tolist() != score.tracks[1].notes.tolist()


def test_written_tracks_are_not_blended():
    score = played_band()
    grid = score.tracks[0].notes.copy()
    grid["onset_tick"] = np.rint(grid["onset_tick"] / 480) * 480
    mixed = replace(score, tracks=(score.tracks[0].with_notes(grid), score.tracks[1]))
    blend, redo = (
        run(mixed, human=(False, True), keep_existing=k, variation=0).score for k in ("blend", "redo")
    )
    assert np.array_equal(blend.tracks[0].notes, redo.tracks[0].notes)
    assert not np.array_equal(blend.tracks[1].notes, redo.tracks[1].notes)
