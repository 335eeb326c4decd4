"""The stage: what `apply` finds, and what it refuses."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import segue.ingest
from segue.ingest import SUFFIXES, VERSION, apply
from segue.midi import write_midi
from segue.score import KeySignature, Meter, Score, Tempo, Text, Track, make_notes
from segue.stage import ROLES, StageError

SCHEMA = Path(segue.ingest.__file__).parent / "settings.schema.yaml"
CONFORMANCE = Path(__file__).parents[2] / "shared" / "data" / "midi-conformance"


@pytest.fixture
def settings():
    properties = yaml.safe_load(SCHEMA.read_text())["properties"]
    return {name: entry["default"] for name, entry in properties.items()}


def scale_score(**changes) -> Score:
    """One octave of C major in quarters, with a program, at 100 a minute."""
    notes = make_notes(range(0, 8 * 960, 960), [960] * 8, [60, 62, 64, 65, 67, 69, 71, 72], 80)
    base = Score(
        tracks=(Track(name="Flute", channel=0, program=73, notes=notes),),
        tempos=(Tempo(0, 600_000),),
        meters=(Meter(0, 4, 4),),
        end_tick=8 * 960,
    )
    return replace(base, **changes)


def test_the_record_describes_the_piece(settings):
    data = write_midi(scale_score())
    result = apply(data, "folk/scale.mid", settings)
    record = result.record
    assert record["id"] == "folk/scale"
    assert record["source"] == {
        "path": "folk/scale.mid",
        "format": "midi",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert record["key"] == {"tonic": 0, "mode": "major", "name": "C major"}
    assert (record["meter"], record["tempo_bpm"], record["bars"], record["duration_s"]) == (
        "4/4",
        100.0,
        2,
        4.8,
    )
    assert record["tracks"] == [
        {
            "name": "Flute",
            "channel": 0,
            "program": 73,
            "notes": 8,
            "role": "melody",
            "human_timing": False,
            "nomml": 0,
        }
    ]
    assert record["chords"] == []
    assert record["warnings"] == []
    assert record["stages"] == {}
    assert result.report["found"]["roles"] == {"melody": 1}
    assert result.score.note_count == 8
    json.dumps([record, result.report])


def test_the_longest_meter_and_the_median_tempo_name_the_piece(settings):
    score = scale_score(
        meters=(Meter(0, 1, 4), Meter(960, 3, 4)),
        tempos=(Tempo(0, 1_000_000), Tempo(960, 500_000), Tempo(7 * 960, 2_000_000)),
    )
    record = apply(write_midi(score), "a.mid", settings).record
    assert (record["meter"], record["tempo_bpm"]) == ("3/4", 120.0)


def test_chord_markers_become_chords_and_sections_do_not(settings):
    symbols = (Text(0, 6, "Am7"), Text(1920, 6, "Verse"), Text(3840, 6, "F#dim/A"))
    record = apply(write_midi(scale_score(texts=symbols)), "a.mid", settings).record
    assert record["chords"] == [{"tick": 0, "label": "Am7"}, {"tick": 3840, "label": "F#dim/A"}]
    letters = tuple(Text(bar * 8 * 3840, 6, letter) for bar, letter in enumerate("ABA"))
    record = apply(write_midi(scale_score(texts=letters)), "a.mid", settings).record
    assert record["chords"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_file_mb": 0.0001}, "ingest.max_file_mb is 0.0001"),
        ({"max_notes": 7}, "8 notes and ingest.max_notes is 7"),
        ({"max_minutes": 0.05}, "ingest.max_minutes is 0.05"),
    ],
)
def test_limits_name_the_setting(settings, change, says):
    with pytest.raises(StageError, match=says):
        apply(write_midi(scale_score()), "a.mid", settings | change)


def test_too_many_tracks(settings):
    with pytest.raises(StageError, match=r"300 tracks and ingest\.max_tracks is 256"):
        apply(write_midi(scale_score(tracks=scale_score().tracks * 300)), "a.mid", settings)


def test_a_silent_or_endless_piece_is_refused(settings):
    with pytest.raises(StageError, match="no notes"):
        apply(write_midi(scale_score(tracks=())), "a.mid", settings)
    # The fastest tempo there is makes a great many bars last no time at all.
    endless = scale_score(tempos=(Tempo(0, 1),), meters=(Meter(0, 1, 64),), end_tick=2**27)
    with pytest.raises(StageError, match="max_minutes"):
        apply(write_midi(endless), "a.mid", settings)


def test_names_that_are_not_utf_8_can_be_written_as_json(settings):
    track = replace(scale_score().tracks[0], name=b"Fl\xf6te".decode("utf-8", "surrogateescape"))
    result = apply(write_midi(scale_score(tracks=(track,))), "a.mid", settings)
    assert result.record["tracks"][0]["name"] == "Flöte"
    json.dumps(result.record).encode("utf-8")
    # The music keeps the bytes of the file.
    assert b"Fl\xf6te" in write_midi(result.score)


def test_apply_is_a_pure_function(settings):
    data = write_midi(scale_score(keys=(KeySignature(0, 0, False),)))
    before = dict(settings)
    one, other = apply(data, "a.mid", settings), apply(data, "a.mid", settings)
    assert settings == before
    assert (one.record, one.report) == (other.record, other.report)
    assert write_midi(one.score) == write_midi(other.score) == data


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="midi-conformance is not here")
def test_every_conformance_file_is_read_or_refused(settings):
    reasons = []
    for path in sorted(CONFORMANCE.glob("*.mid")):
        try:
            result = apply(path.read_bytes(), path.name, settings)
        except StageError as error:
            reasons.append(str(error))
            continue
        assert {t["role"] for t in result.record["tracks"]} <= set(ROLES)
    assert len(reasons) == 15
    assert not any("\n" in reason for reason in reasons)


def test_the_schema_describes_every_setting_in_words():
    schema = yaml.safe_load(SCHEMA.read_text())
    assert schema["additionalProperties"] is False
    for entry in schema["properties"].values():
        assert entry["description"].endswith(".")
        assert "default" in entry
    assert VERSION >= 1
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in SUFFIXES)
