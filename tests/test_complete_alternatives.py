"""Alternatives: versions of a piece that a stage offers travel with it and lie beside the finished music."""

from dataclasses import replace
from pathlib import Path
from shutil import copyfile, copytree

import pytest
from test_workflow import REPOSITORY, Bench

from segue.archive import Member, extra_files, is_extra, read_archive, write_archive
from segue.config import check_stage
from segue.deliver import deliver_shard
from segue.midi import read_midi, write_midi
from segue.process import run_piece, stage_spec
from segue.runtime import ModelError
from segue.score import KeySignature, Meter, Score, Tempo, Track, make_notes
from segue.shard import Tally, stage_shard
from segue.shards import read_manifest, scan

Q = 960
PITCHES = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67]


def member(name):
    notes = make_notes([i * Q for i in range(11)], [Q] * 11, PITCHES, 80)
    score = Score(
        (Track(name="Tune", notes=notes),),
        (Tempo(0, 500_000),),
        (Meter(0, 4, 4),),
        (KeySignature(0, 0, False),),
    )
    record = {
        "id": name,
        "source": {"sha256": name},
        "key": {"tonic": 0, "mode": "major", "name": "C major"},
        "tracks": [{"name": "Tune", "notes": 11, "role": "melody"}],
        "chords": [],
    }
    return Member(write_midi(score), record, name)


@pytest.fixture
def shard(tmp_path):
    """Two pieces and a function that completes, harmonizes and delivers them."""
    write_archive(tmp_path / "ingest.zip", {name: member(name) for name in ("a", "b.c")})

    def deliver(**given):
        tallies = []
        for stage, before in (("complete", "ingest"), ("harmonize", "complete")):
            tallies.append(Tally(stage))
            chosen = {"mode": "continue", "bars": 2, "temperature": 1, **given} if stage == "complete" else {}
            spec = stage_spec(stage, check_stage(stage, chosen), 0)
            stage_shard(spec, tmp_path / f"{before}.zip", tmp_path / f"{stage}.zip", tallies[-1])
        places = (tmp_path / name for name in ("harmonize.zip", "output", "manifest", "records"))
        deliver_shard(None, *places, Tally("render"))
        return [len(tally.computed) for tally in tallies]

    return tmp_path, deliver


def names(folder):
    return sorted(path.name for path in (folder / "output").iterdir())


MUSIC = ["a.json", "a.mid", "b.c.json", "b.c.mid"]


def test_all_variations_are_delivered_and_fewer_leave_none_behind(shard):
    folder, deliver = shard
    assert deliver() == [2, 2]
    assert names(folder) == MUSIC
    alone = (folder / "output/a.mid").read_bytes()
    deliver(variations=4)
    four = [f"{piece}.complete-{k}.mid" for piece in ("a", "b.c") for k in (1, 2, 3, 4)]
    assert names(folder) == sorted([*MUSIC, *four])
    assert "a.complete-4.mid" in read_manifest(folder / "manifest")["a"]["files"]
    versions = {(folder / "output" / name).read_bytes() for name in four[:4]}
    assert len(versions) == 4
    before = {name: (folder / "output" / name).read_bytes() for name in names(folder)}
    # One that is missing comes back, and nothing is computed for it.
    (folder / "output/a.complete-2.mid").unlink()
    assert deliver(variations=4) == [0, 0]
    assert {name: (folder / "output" / name).read_bytes() for name in names(folder)} == before
    deliver(variations=2)
    assert names(folder) == sorted([*MUSIC, *(f for f in four if f.endswith(("-1.mid", "-2.mid")))])
    deliver()
    assert names(folder) == MUSIC
    assert (folder / "output/a.mid").read_bytes() == alone


def test_archives_keep_alternatives_apart_from_pieces(tmp_path):
    # A piece in quarantine that is named like another one's alternative.
    members = {
        "a": replace(
            member("a"),
            extras={"complete-1.mid": b"1", "complete-2.mid": b"2", "x.svg": b"s", "y-z.txt": b"t"},
        ),
        "a.complete-1": Member(None, {"id": "a.complete-1"}, "k"),
        "a.midi": member("a.midi"),
    }
    write_archive(tmp_path / "1.zip", members)
    assert read_archive(tmp_path / "1.zip") == members
    turned = {"a": replace(members["a"], extras=dict(reversed(members["a"].extras.items())))}
    write_archive(tmp_path / "2.zip", members | turned)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_extra_files_are_told_from_the_music():
    extras = extra_files("x/b.c", replace(member("b.c"), extras={"complete-1.mid": b"1", "y.svg": b"2"}))
    assert extras == {"x/b.c.complete-1.mid": b"1", "x/b.c.y.svg": b"2"}
    assert all(is_extra("x/b.c", name) for name in extras)
    assert not any(is_extra("x/b.c", f"x/b.c{end}") for end in (".mid", ".json", ".wav"))


def test_a_piece_in_quarantine_has_no_alternative():
    spec = stage_spec("complete", check_stage("complete", {"variations": 3, "mode": "continue"}), 0)
    done = run_piece(spec, replace(member("a"), midi=b"no music"))
    assert done.midi is None
    assert done.extras == {}


def test_an_alternative_is_the_piece_after_the_stage():
    spec = stage_spec(
        "complete", check_stage("complete", {"variations": 3, "take": 2, "mode": "continue"}), 0
    )
    done = run_piece(spec, member("a"))
    assert done.extras["complete-2.mid"] == done.midi
    assert done.extras["complete-1.mid"] != done.midi
    read_midi(done.extras["complete-3.mid"])


def test_an_alternative_put_back_beside_its_piece_has_an_id_of_its_own(tmp_path):
    for name in ("a.mid", "a.complete-2.mid", "a.take-2.mid", "b.complete-2.mid"):
        (tmp_path / name).write_bytes(b"x")
    assert {s.path: s.piece for s in scan(tmp_path)[0]} == {
        "a.mid": "a",
        "a.complete-2.mid": "a.complete-2.mid",
        "a.take-2.mid": "a.take-2",
        "b.complete-2.mid": "b.complete-2",
    }


def test_a_run_of_the_workflow_delivers_the_variations(tmp_path):
    bench = Bench(tmp_path)
    (tmp_path / "input").mkdir()
    for name in ("melodies/ode_to_joy_unfinished.mid", "melodies/clementine.mid"):
        copyfile(REPOSITORY / "input" / name, tmp_path / "input" / Path(name).name)
    copyfile(REPOSITORY / "config.yaml", tmp_path / "config.yaml")
    run = bench.run("stages=[complete]", "complete={variations: 3, take: 2}")
    assert run.status == 0, run.text
    first = bench.outputs()
    ways = [f"ode_to_joy_unfinished.complete-{k}.mid" for k in (1, 2, 3)]
    # A tune that is finished has no variations.
    assert [name for name in first if ".complete-" in name] == ways
    assert len({first[name] for name in ways}) == 3
    assert first[ways[1]] == first["ode_to_joy_unfinished.mid"]
    again = bench.run("stages=[complete]", "complete={variations: 3, take: 2}")
    assert again.counts() == {}
    assert bench.outputs() == first
    run = bench.run("stages=[complete]")
    assert run.status == 0, run.text
    assert not [name for name in bench.outputs() if ".complete-" in name]


def test_a_model_that_is_not_needed_is_not_loaded(tmp_path):
    copytree(REPOSITORY / "models" / "harmony", tmp_path / "harmony")
    (tmp_path / "harmony" / "harmony.onnx").write_bytes(b"broken")
    given = {"mode": "continue", "models": {"harmony": f"{tmp_path}/harmony"}}
    spec = stage_spec("complete", check_stage("complete", given), 0)
    assert set(spec.load_models()) == {"melody", "harmony"}
    assert run_piece(spec, member("a")).record["stages"]["complete"]["chords"]["source"] == "none"
    # No piece is to blame for weights that cannot be loaded.
    score, _ = read_midi(member("a").midi)
    pad = Track(name="Pad", channel=1, notes=make_notes([0, 0, 0], [40 * Q] * 3, [48, 52, 55], 60))
    accompanied = replace(member("a"), midi=write_midi(replace(score, tracks=(*score.tracks, pad))))
    with pytest.raises(ModelError, match="harmony"):
        run_piece(spec, accompanied)
