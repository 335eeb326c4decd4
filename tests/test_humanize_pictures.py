"""Pictures: what the groove picture shows, and the way of pictures through archives to the output folder."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from segue import humanize, svg
from segue.archive import Member, read_archive, write_archive
from segue.cli import main
from segue.config import check_run, check_stage
from segue.deliver import deliver_shard
from segue.humanize.pictures import groove_picture, groove_rows
from segue.midi import write_midi
from segue.process import run_piece, stage_spec
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes
from segue.shard import Tally, stage_shard
from segue.shards import read_manifest

RECORD = {"id": "folk/tune", "source": {"sha256": "0"}}


def drums(onset=(0, 480, 960, 3840), pitch=(36, 42, 38, 75), velocity=90):
    return Track("kit", 9, notes=make_notes(onset, [100] * len(onset), pitch, velocity))


def piece(*tracks, meters=(), us=500_000):
    return Score(tracks or (drums(),), (Tempo(0, us),), meters or (Meter(0, 4, 4),))


def moved(score, ticks, velocity):
    tracks = []
    for track in score.tracks:
        notes = track.notes.copy()
        notes["onset_tick"] += ticks
        notes["velocity"] = velocity
        tracks.append(track.with_notes(notes))
    return replace(score, tracks=tuple(tracks))


def test_rows_by_hand():
    # 960 ticks are half a second: 24 ticks are 12.5 ms.
    rows, meter, left_out = groove_rows(piece(), moved(piece(), 24, 70), RECORD)
    assert [row.name for row in rows] == ["kick", "snare", "closed hi-hat", "other percussion"]
    assert [row.place_tick.tolist() for row in rows] == [[0], [960], [480], [0]]
    for row in rows:
        assert row.before_ms.tolist() == [0]
        assert row.after_ms == pytest.approx([12.5])
        assert row.before_velocity.tolist() == [90]
        assert row.after_velocity.tolist() == [70]
    assert (meter.numerator, left_out) == (4, 0)


def test_a_human_track_shows_its_own_deviations():
    played = piece(drums((10, 490, 945), (36, 42, 38)))
    record = RECORD | {"tracks": [{"human_timing": True}]}
    kick, snare, hat = groove_rows(played, played, record)[0]
    assert kick.before_ms == pytest.approx([10 * 1000 / 1920])
    assert snare.before_ms == pytest.approx([-15 * 1000 / 1920])
    assert hat.place_tick.tolist() == [480]
    assert hat.after_ms.tolist() == hat.before_ms.tolist()


def test_pitched_tracks_have_a_row_a_role():
    notes = make_notes([0, 960], [900] * 2, [60, 40], 80)
    score = piece(Track("a", 0, notes=notes), Track("b", 1, notes=notes), Track("c", 2, notes=notes))
    roles = [{"role": "bass"}, {"role": "melody"}, {"role": "bass"}]
    rows = groove_rows(score, score, RECORD | {"tracks": roles})[0]
    assert [(row.name, len(row.place_tick)) for row in rows] == [("bass", 4), ("melody", 2)]


def test_bars_of_the_main_meter_are_shown_and_others_counted():
    meters = (Meter(0, 1, 4), Meter(960, 3, 4), Meter(960 * 7, 4, 4), Meter(960 * 11, 3, 4))
    onset = np.arange(14) * 960
    score = piece(drums(onset, [38] * 14), meters=meters)
    (row,), meter, left_out = groove_rows(score, score, RECORD)
    assert (meter.numerator, meter.denominator) == (3, 4)
    assert row.place_tick.tolist() == [0, 960, 1920] * 3
    assert left_out == 5
    assert b"5 notes in bars of other meters not shown" in groove_picture(score, score, RECORD)


def test_the_picture_is_a_picture():
    data = groove_picture(piece(), moved(piece(), 24, 70), RECORD | {"id": "a<&>\x07\udcff"})
    root = ElementTree.fromstring(data)
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    for word in ("Groove of a<&>??", "kick", "snare", "before", "after", "beat of the bar", "+20", "127"):
        assert word in words
    assert "other percussion" in words
    assert "ride" not in words, "only what sounds"
    assert data == groove_picture(piece(), moved(piece(), 24, 70), RECORD | {"id": "a<&>\x07\udcff"})
    assert groove_picture(Score(), Score(), RECORD) is None


def test_the_scale_holds_every_note():
    low, high = (groove_picture(piece(), moved(piece(), t, 70), RECORD) for t in (18, 800))
    assert b">+10<" in low
    assert b">+500<" in high
    heights = [float(y) for y in re.findall(rb"M[\d.]+ ([\d.]+)h0", high)]
    assert min(heights) >= 96


def test_many_notes_make_no_large_picture():
    onset = np.repeat(np.arange(4000) * 240, 2)
    busy = piece(drums(onset, np.tile([42, 36], 4000)))
    rng = np.random.default_rng(0)
    after = moved(busy, rng.integers(0, 60, len(onset)), rng.integers(1, 128, len(onset)))
    assert len(groove_picture(busy, after, RECORD)) < 400_000


def test_drawing_to_half_a_pixel_and_each_dot_once():
    assert svg.dots(np.array([1.1, 1.05, 3]), np.array([2, 2.01, 4]), "after").count("M") == 2
    assert 'd="M1 2h0M3 4h0"' in svg.dots(np.array([3, 1]), np.array([4, 2]), "after")
    assert 'd="M-2.5 2h7"' in svg.dashes(np.array([1]), np.array([2]), "before")
    assert "&lt;" in svg.text(0, 0, "<")


def run(**changes):
    settings = check_stage("humanize", changes)
    models = {role: load_model(name, "onnx") for role, name in settings["models"].items()}
    return humanize.apply(piece(), RECORD, settings, models, 1)


def test_figures_change_no_music():
    without, with_picture = run(), run(figures=True)
    assert without.files == {}
    assert list(with_picture.files) == ["humanize.svg"]
    assert write_midi(without.score) == write_midi(with_picture.score)
    assert without.report == with_picture.report
    still = run(figures=True, amount=0)
    assert b"Groove of" in still.files["humanize.svg"]


def test_the_setting_of_the_run_reaches_the_stage():
    assert check_run({})["humanize"]["figures"] is False
    assert check_run({"figures": "true"})["humanize"]["figures"] is True
    assert check_run({"humanize.figures": True})["humanize"]["figures"] is True
    assert "figures" not in check_run({"figures": True})["ingest"]


def test_archives_hold_pictures_in_a_fixed_order(tmp_path):
    members = {
        "a": Member(b"1", {}, "k", {"x.svg": b"<svg/>", "humanize.svg": b"h"}),
        "a.x": Member(b"1", {}, "k", {"humanize.svg": b"other"}),
        "b": Member(None, {}, "k"),
    }
    write_archive(tmp_path / "1.zip", members)
    turned = {"a": replace(members["a"], extras=dict(reversed(members["a"].extras.items())))}
    write_archive(tmp_path / "2.zip", dict(reversed((members | turned).items())))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert read_archive(tmp_path / "1.zip") == members


@pytest.fixture
def shard(tmp_path):
    """Two pieces and a function that runs humanize and harmonize over them and delivers."""
    record = {"tracks": [], "chords": [], "key": None, "source": {"sha256": "0"}}
    ingested = {name: Member(write_midi(piece()), {"id": name, **record}, name) for name in ("a", "b")}
    write_archive(tmp_path / "ingest.zip", ingested)

    def deliver(figures):
        tallies = []
        for stage, before in (("humanize", "ingest"), ("harmonize", "humanize")):
            tallies.append(Tally(stage))
            given = {"figures": figures} if stage == "humanize" else {}
            spec = stage_spec(stage, check_stage(stage, given), 0)
            stage_shard(spec, tmp_path / f"{before}.zip", tmp_path / f"{stage}.zip", tallies[-1])
        tallies.append(Tally("render"))
        places = (tmp_path / name for name in ("harmonize.zip", "output", "manifest", "records"))
        deliver_shard(None, *places, tallies[-1])
        return [len(tally.computed) for tally in tallies]

    return tmp_path, deliver


def names(folder: Path):
    return sorted(path.name for path in (folder / "output").iterdir())


def test_pictures_go_all_the_way_and_leave_again(shard):
    folder, deliver = shard
    music = ["a.json", "a.mid", "b.json", "b.mid"]
    assert deliver(False) == [2, 2, 2]
    assert names(folder) == music
    bytes_before = (folder / "output/a.mid").read_bytes()
    # Only the stage that draws works again, and nothing is delivered anew but the pictures.
    assert deliver(True) == [2, 0, 0]
    assert names(folder) == sorted([*music, "a.humanize.svg", "b.humanize.svg"])
    assert (folder / "output/a.mid").read_bytes() == bytes_before
    assert "a.humanize.svg" in read_manifest(folder / "manifest")["a"]["files"]
    (folder / "output/a.humanize.svg").unlink()
    assert deliver(True) == [0, 0, 0]
    assert "a.humanize.svg" in names(folder)
    assert deliver(False) == [2, 0, 0]
    assert names(folder) == music


def test_a_picture_that_changed_is_drawn_again(shard):
    folder, deliver = shard
    deliver(True)
    first = (folder / "output/a.humanize.svg").read_bytes()
    ingested = read_archive(folder / "ingest.zip")
    louder = write_midi(piece(drums(velocity=20)))
    write_archive(folder / "ingest.zip", ingested | {"a": replace(ingested["a"], midi=louder)})
    assert deliver(True) == [1, 1, 1]
    assert (folder / "output/a.humanize.svg").read_bytes() != first


def test_a_piece_in_quarantine_has_no_picture():
    spec = stage_spec("humanize", check_stage("humanize", {"figures": True}), 0)
    member = run_piece(spec, Member(b"no music", RECORD))
    assert member.midi is None
    assert member.extras == {}


def test_the_command_line_writes_the_picture(tmp_path):
    (tmp_path / "tune.mid").write_bytes(write_midi(piece()))
    arguments = ["humanize", str(tmp_path / "tune.mid"), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--set", "figures=true"]) == 0
    assert (tmp_path / "out/tune.humanize.svg").read_bytes().startswith(b"<svg")
