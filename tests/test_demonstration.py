"""The demonstration input: the files are those of the script, and the music is right."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import segue.ingest
from segue.ingest import SUFFIXES, apply
from segue.midi import read_midi, write_midi
from segue.score import bar_starts

ROOT = Path(__file__).parents[1]
INPUT = ROOT / "input"
FILES = sorted(path for path in INPUT.rglob("*") if path.suffix in SUFFIXES)

#: Key, meter and bars (a pickup counts as one) of every piece.
EXPECTED = {
    "drums/bossa_loop": (None, "4/4", 8),
    "drums/rock_loop": (None, "4/4", 4),
    "drums/song_with_fills": (None, "4/4", 20),
    "drums/swing_loop": (None, "4/4", 8),
    "melodies/clementine": ("F major", "3/4", 17),
    "melodies/frere_jacques": ("C major", "4/4", 16),
    "melodies/greensleeves": ("A minor", "6/8", 17),
    "melodies/ode_to_joy_unfinished": ("D major", "4/4", 11),
    "notation/irish_washerwoman": ("G major", "6/8", 33),
    "notation/twinkle": ("C major", "4/4", 12),
    "performances/evening_walk": ("D major", "4/4", 16),
    "songs/amazing_grace": ("G major", "3/4", 17),
    "songs/auld_lang_syne": ("F major", "4/4", 17),
    "songs/harbour_lights": ("A minor", "4/4", 16),
    "songs/oh_susanna": ("C major", "4/4", 17),
    "songs/silent_night": ("C major", "6/8", 12),
}
#: Pieces without a full last bar, by intent.
UNFINISHED = ("melodies/ode_to_joy_unfinished",)


@pytest.fixture(scope="module")
def pieces():
    schema = yaml.safe_load((Path(segue.ingest.__file__).parent / "settings.schema.yaml").read_text())
    settings = {name: entry["default"] for name, entry in schema["properties"].items()}
    read = (apply(path.read_bytes(), path.relative_to(INPUT).as_posix(), settings) for path in FILES)
    return {result.record["id"]: result for result in read}


def test_the_script_writes_what_is_there(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "scripts/write_demonstration.py", tmp_path], check=True, cwd=tmp_path
    )
    written = {
        path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert written == {path.relative_to(INPUT): path.read_bytes() for path in FILES}


def test_each_piece_is_in_its_key_and_meter(pieces):
    found = {
        name: (
            result.record["key"] and result.record["key"]["name"],
            result.record["meter"],
            result.record["bars"],
        )
        for name, result in pieces.items()
    }
    assert found == EXPECTED
    assert not any(result.record["warnings"] for result in pieces.values())


def test_each_bar_of_the_letters_is_full(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = runpy.run_path(str(ROOT / "scripts/write_demonstration.py"))
    tunes = [value for value in vars(script["music"]).values() if isinstance(value, script["Tune"])]
    assert len(tunes) >= 10
    for tune in tunes:
        lengths = []
        for bar in tune.notes.split("|"):
            # A note at the end makes the length of the bar readable, whatever the rests.
            onset, _, _ = script["read_letters"](bar + "C", 0)[-1]
            lengths.append(onset)
        full = script["bar_ticks"](tune)
        if tune.pickup:
            assert lengths[0] == script["pickup_ticks"](tune), tune.title
            assert lengths.pop(0) + lengths[-1] == full, tune.title
            lengths.pop()
        elif "unfinished" in tune.title:
            assert 0 < lengths.pop() < full
        assert set(lengths) == {full}, tune.title


def test_melodies_are_singable_and_end_on_their_tonic(pieces):
    for name, result in pieces.items():
        for track, entry in zip(result.score.tracks, result.record["tracks"], strict=True):
            if entry["role"] != "melody":
                continue
            pitch = track.notes["pitch"].astype(int)
            assert pitch.min() >= 55, name
            assert pitch.max() <= 84, name
            assert np.abs(np.diff(pitch)).max() <= 15, name  # Greensleeves leaps into its refrain.
            # One voice: no note begins before the one before it ends, unless a person played.
            if not entry["human_timing"]:
                ends = track.notes["onset_tick"] + track.notes["duration_tick"]
                assert (track.notes["onset_tick"][1:] >= ends[:-1]).all(), name
            if name not in UNFINISHED:
                assert pitch[-1] % 12 == result.record["key"]["tonic"], name


def test_there_is_one_of_everything(pieces):
    def roles(name):
        return [track["role"] for track in pieces[name].record["tracks"]]

    records = {name: result.record for name, result in pieces.items()}
    assert roles("drums/rock_loop") == ["drums"]
    assert roles("melodies/clementine") == ["melody"]
    assert roles("songs/oh_susanna") == ["melody", "chords"]
    assert roles("songs/harbour_lights") == ["melody", "chords", "bass", "drums"]
    human = [n for n, r in records.items() if any(t["human_timing"] for t in r["tracks"])]
    assert human == ["performances/evening_walk"]
    assert len(pieces["songs/silent_night"].score.tempos) >= 8
    assert len(pieces["songs/auld_lang_syne"].score.meters) == 2
    grace = pieces["songs/amazing_grace"].score
    assert "".join(t.text for t in grace.tracks[0].texts).startswith("Amazing grace! how sweet the sound ")
    assert len(grace.tracks[1].controls) == 32
    assert any(mark.text.startswith("Verse") for mark in grace.markers())
    assert records["notation/irish_washerwoman"]["source"]["format"] == "abc"
    assert records["notation/twinkle"]["source"]["format"] == "musicxml"
    with_chords = {name for name, record in records.items() if record["chords"]}
    assert {n for n in records if n.startswith(("songs/", "notation/"))} == with_chords


def test_fills_are_where_a_drummer_plays_them(pieces):
    score = pieces["drums/song_with_fills"].score
    starts = bar_starts(score)
    notes = score.tracks[0].notes
    bars = np.searchsorted(starts, notes["onset_tick"], "right") - 1
    toms = {int(bar) for bar in bars[np.isin(notes["pitch"], (43, 47, 50))]}
    assert toms == {7, 15, 18}


def test_a_person_leads_with_the_melody_and_sets_every_note(pieces):
    score = pieces["performances/evening_walk"].score
    right, left = (track.notes for track in score.tracks)
    for notes in (right, left):
        late = (notes["onset_tick"] + 240) % 480 - 240
        assert 5 < np.abs(late).mean() < 60
        assert len(np.unique(notes["velocity"])) > 12
    assert right["velocity"].mean() > left["velocity"].mean() + 10


def test_reading_and_writing_changes_no_byte():
    for path in FILES:
        if path.suffix == ".mid":
            data = path.read_bytes()
            assert write_midi(read_midi(data)[0]) == data, path.name
