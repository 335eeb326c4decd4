"""Finding the melody in files: by what is played alone, in a piano's track, and where there is none."""

from pathlib import Path

import numpy as np
import pytest
from test_complete import TWINKLE, Q, drums, line, run

from benchmarks.melody_track import found_track, hidden
from segue.config import check_stage
from segue.ingest import apply as ingest
from segue.midi import read_midi, write_midi
from segue.score import KeySignature, Meter, Score, Tempo, Track, make_notes, no_notes, sort_notes

POP909 = Path("../shared/data/pop909")


def through_ingest(*tracks):
    score = Score(tracks, (Tempo(0, 500_000),), (Meter(0, 4, 4),), (KeySignature(0, 0, False),))
    result = ingest(write_midi(score), "x.mid", check_stage("ingest", {}))
    return result.score, result.record


def comping(bars=12):
    onset = np.repeat(np.arange(bars) * 4 * Q, 3)
    return make_notes(onset, [4 * Q] * 3 * bars, [48, 52, 55] * bars, 60)


@pytest.mark.skipif(not POP909.is_dir(), reason="the POP909 data are not here")
def test_the_melody_is_found_by_what_is_played():
    songs = [read_midi(path.read_bytes())[0] for path in sorted(POP909.glob("*/*.mid"))[::9]]
    assert len(songs) > 80
    right = [found_track(s) == [t.name for t in s.tracks].index("MELODY") for s in songs]
    assert np.mean(right) >= 0.97


def test_nothing_but_notes_is_left_to_find_it_by():
    score, _ = through_ingest(
        Track(name="Melody", program=65, notes=line(TWINKLE)), Track(name="Pad", notes=comping())
    )
    plain = hidden(score)
    assert {(t.name, t.program, t.texts) for t in plain.tracks} == {("", 0, ())}
    assert all(np.array_equal(a.notes, b.notes) for a, b in zip(plain.tracks, score.tracks, strict=True))
    assert found_track(score) == 0


def test_a_tune_within_a_piano_part_is_left_alone_until_it_is_named():
    both = sort_notes(np.concatenate([line(TWINKLE[:24]), comping(7)]))
    score, record = through_ingest(Track(name="Piano", notes=both), drums())
    result = run(score, record, mode="continue")
    assert result.score is score
    assert "name the one that holds it" in result.report["skipped"][0]["reason"]
    named = run(score, record, mode="continue", track="Piano")
    assert named.report["changed"]["notes"] > 0
    # What is written goes on from the top line, not from the chords.
    new = set(map(tuple, named.score.tracks[0].notes.tolist())) - set(map(tuple, both.tolist()))
    assert min(n[2] for n in new) >= 56


@pytest.mark.parametrize("mode", ["auto", "continue", "infill", "vary"])
@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ((drums(),), "drums play alone"),
        ((Track(name="Melody", notes=line([60])),), "fewer than the two notes"),
        ((Track(name="Pad", notes=comping()), drums()), "no track has the role of melody"),
        ((Track(name="Melody", notes=no_notes()), drums()), "drums play alone"),
    ],
    ids=["drums", "one note", "chords", "empty track"],
)
def test_without_a_melody_nothing_happens(tracks, reason, mode):
    score, record = through_ingest(*tracks)
    result = run(score, record, mode=mode, variations=3)
    assert result.score is score
    assert result.alternatives == {}
    assert [reason in entry["reason"] for entry in result.report["skipped"]] == [True]
    assert result.report["changed"] == {"notes": 0}
