"""The stages in a row, in process: both backends give the same music, and nobody's notes are lost."""

from pathlib import Path

import pytest
from test_transfer_presets import example_file

from segue import ingest
from segue.config import check_stage
from segue.midi import read_midi
from segue.process import run_ingested, run_piece, stage_spec

INPUT = Path(__file__).resolve().parents[1] / "input"
PIECES = sorted(str(p.relative_to(INPUT)) for p in INPUT.rglob("*.*"))
#: Settings under which every model has something to do and nothing is drawn by lot.
BUSY = {
    "humanize": {"variation": 0},
    "complete": {"mode": "continue", "bars": 2, "temperature": 0},
    "harmonize": {"track": "always"},
    "transfer": {"style": "lied", "drum_style": "funk", "temperature": 0},
}


def ingested(name):
    spec = stage_spec("ingest", check_stage("ingest", {}), 0)
    return run_ingested(spec, ingest.apply((INPUT / name).read_bytes(), name, spec.settings), "")


def chain(name, settings, seed=0):
    """The members after each stage."""
    members = [ingested(name)]
    for stage, given in settings.items():
        members.append(run_piece(stage_spec(stage, check_stage(stage, given), seed), members[-1]))
        assert "quarantine" not in members[-1].record, members[-1].record["quarantine"]
    return members


@pytest.mark.parametrize("name", PIECES)
def test_both_backends_give_the_same_music(name):
    onnx = chain(name, BUSY)
    tflite = chain(name, {stage: {**given, "backend": "tflite"} for stage, given in BUSY.items()})
    assert [m.midi for m in onnx] == [m.midi for m in tflite]


@pytest.mark.parametrize("transfer", ["lied", "swing", "reference"])
@pytest.mark.parametrize("name", PIECES)
def test_records_keep_up_with_the_score(name, transfer, tmp_path):
    path = tmp_path / "example.mid"
    path.write_bytes(example_file().data)
    style = (
        {"reference": str(path), "blend": ["pop", 0.4]} if transfer == "reference" else {"style": transfer}
    )
    for member in chain(name, BUSY | {"transfer": {"drum_style": "funk", "density": 0.4, **style}}):
        score, _ = read_midi(member.midi)
        tracks = member.record["tracks"]
        assert [t["channel"] for t in tracks] == [t.channel for t in score.tracks]
        assert [t["program"] for t in tracks] == [t.program for t in score.tracks]
        assert [t["notes"] for t in tracks] == [len(t.notes) for t in score.tracks]


@pytest.mark.parametrize("name", PIECES)
def test_defaults_keep_tempo_meter_and_words(name):
    first, *_, last = chain(name, {stage: {} for stage in BUSY})
    before, _ = read_midi(first.midi)
    after, _ = read_midi(last.midi)
    assert after.tempos == before.tempos
    assert after.meters == before.meters
    assert set(before.texts) <= set(after.texts)
    for old, new in zip(before.tracks, after.tracks, strict=False):
        assert new.texts == old.texts
        assert new.controls.tolist() == old.controls.tolist()
        assert len(new.notes) >= len(old.notes)


def test_seed_chooses_another_performance_and_repeats_it():
    name = "drums/rock_loop.mid"
    one, again, other = (chain(name, {"humanize": {"variation": 1}}, seed)[-1] for seed in (0, 0, 1))
    assert one.midi == again.midi
    assert one.midi != other.midi
