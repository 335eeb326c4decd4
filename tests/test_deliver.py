"""Delivery: audio in several processes, and a synthesizer that crashes costs its piece."""

import json
import os
from dataclasses import replace

import pytest

import segue.deliver
from segue.archive import Member, read_archive, write_archive
from segue.deliver import deliver_shard
from segue.process import StageSpec
from segue.shard import Tally

SPEC = StageSpec("render", {}, 1, {}, 0)


def fake_render(spec, member):
    piece = member.record["id"]
    if piece == "crash":
        os._exit(11)
    return piece.encode(), ".wav", {**member.record, "heard": True}


@pytest.fixture
def shard(tmp_path, monkeypatch):
    monkeypatch.setattr(segue.deliver, "render_piece", fake_render)
    members = {
        name: Member(b"midi " + name.encode(), {"id": name, "midi_sha256": name}, "k")
        for name in ("a", "b/c", "crash", "z")
    }
    members["lost"] = Member(
        None, {"id": "lost", "quarantine": {"stage": "ingest", "reason": "it is empty"}}, "k"
    )
    write_archive(tmp_path / "in.zip", members)

    def deliver(spec=SPEC, processes=3):
        tally = Tally("render")
        deliver_shard(
            spec,
            tmp_path / "in.zip",
            tmp_path / "output",
            tmp_path / "manifest.jsonl",
            tmp_path / "records.jsonl",
            tally,
            processes,
        )
        return tally

    return tmp_path, deliver


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_crash_costs_its_piece_and_keeps_its_midi(shard):
    folder, deliver = shard
    tally = deliver()
    assert sorted(tally.computed) == ["a", "b/c", "crash", "z"]
    assert tally.quarantined == 1
    assert files(folder / "output") == [
        *("a.json", "a.mid", "a.wav", "b/c.json", "b/c.mid", "b/c.wav"),
        *("crash.json", "crash.mid", "z.json", "z.mid", "z.wav"),
    ]
    records = {r["id"]: r for r in map(json.loads, (folder / "records.jsonl").read_text().splitlines())}
    assert "synthesizer crashed" in records["crash"]["quarantine"]["reason"]
    assert records["lost"]["quarantine"]["stage"] == "ingest"
    assert records["z"]["heard"]


def test_the_number_of_processes_changes_nothing(shard):
    folder, deliver = shard
    deliver(processes=1)
    first = {n: (folder / "output" / n).read_bytes() for n in files(folder / "output")}
    manifest = (folder / "manifest.jsonl").read_bytes()
    (folder / "manifest.jsonl").unlink()
    deliver(processes=4)
    assert {n: (folder / "output" / n).read_bytes() for n in files(folder / "output")} == first
    assert (folder / "manifest.jsonl").read_bytes() == manifest


def test_only_what_is_missing_is_made_again(shard):
    folder, deliver = shard
    deliver()
    (folder / "output" / "a.wav").unlink()
    tally = deliver()
    assert tally.computed == ["a"]
    assert tally.reused == 3


def test_without_audio_earlier_audio_is_removed(shard):
    folder, deliver = shard
    deliver()
    deliver(spec=None)
    assert not [n for n in files(folder / "output") if n.endswith(".wav")]
    assert "crash.mid" in files(folder / "output")


@pytest.mark.parametrize("spec", [SPEC, None])
def test_a_record_that_changed_is_delivered_though_the_music_stayed(shard, spec):
    folder, deliver = shard
    deliver(spec)
    members = read_archive(folder / "in.zip")
    told = {**members["a"].record, "stages": {"humanize": {"reason": "amount is 0"}}}
    write_archive(folder / "in.zip", members | {"a": replace(members["a"], record=told, key="k2")})
    assert deliver(spec).computed == ["a"]
    assert json.loads((folder / "output" / "a.json").read_text())["stages"] == told["stages"]


def test_pieces_that_are_gone_leave_nothing(shard):
    folder, deliver = shard
    deliver()
    write_archive(folder / "in.zip", {})
    assert deliver().removed == 4
    assert files(folder / "output") == []
    assert not (folder / "output" / "b").exists()
