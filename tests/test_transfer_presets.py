"""Styles of a reference, of presets and between two: from files to what the stage plays."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examine
from hypothesis import strategies as st
from test_transfer import DEFAULTS, SCHEMA, assert_same_frame, band, models, run, written

from segue.cli import main
from segue.config import ConfigError, check_stage, stage_schema
from segue.midi import write_midi
from segue.process import stage_spec
from segue.runtime import load_model
from segue.score import Meter, Score, Track, make_notes
from segue.stage import InputFile, StageError
from segue.transfer import read_file
from segue.transfer.encoding import STYLE_SIZE
from segue.transfer.presets import (
    pack_profiles,
    presets_in,
    read_preset,
    unpack_profiles,
    usual_players,
)
from segue.transfer.reference import (
    MOST_BARS,
    chords_of_notes,
    example_from_dict,
    example_to_dict,
    read_example,
)
from segue.transfer.styles import DRUM_STYLES, STYLES, listing
from segue.transfer.target import between, example_vector, named_sound, target_of

BAR = 3840


def example_file(bars=8, name="my.mid", pickup=0, programs=(24, 33)):
    """A guitar that strums and a bass, as a file."""
    starts = np.arange(bars) * BAR + pickup
    roots = np.array([0, 9, 5, 7])[np.arange(bars) % 4]
    thirds = np.array([4, 3, 4, 4])[np.arange(bars) % 4]
    strum = [
        (s + e, p)
        for s, r, t in zip(starts, roots, thirds, strict=True)
        for e in (480, 1440, 2400, 3360)
        for p in (48 + r, 48 + r + t, 48 + r + 7)
    ]
    onset, pitch = (np.array(c) for c in zip(*strum, strict=True))
    parts = [
        Track("Guitar", 0, programs[0], make_notes(onset, np.full(len(onset), 240), pitch, 70)),
        Track("Bass", 1, programs[1], make_notes(starts, np.full(bars, 1900), 36 + roots, 90)),
        Track("Tune", 2, 73, make_notes(starts, np.full(bars, 1900), 79 + roots % 5, 90)),
    ]
    score = Score(tracks=tuple(parts), meters=(Meter(0, 4, 4),))
    return InputFile(name, write_midi(score))


def test_names_in_schema_models_and_list_are_the_same():
    words = SCHEMA["properties"]["style"]["input_file"]["words"]
    assert words == ["none", *STYLES]
    known = list(load_model("accompaniment", "onnx").card["styles"])
    assert sorted(known) == sorted(set(STYLES) - {"swing"})
    assert SCHEMA["properties"]["blend"]["prefixItems"][0]["input_file"]["words"] == [
        name for name in STYLES if name != "swing"
    ]
    assert SCHEMA["properties"]["drum_style"]["enum"] == ["none", "same", *DRUM_STYLES]
    drums = load_model("drums-style", "onnx").card["styles"]
    assert set(drums) == set(DRUM_STYLES)
    for name in [*STYLES, *DRUM_STYLES]:
        assert f"\n  {name} " in listing(drums, {}, {})


def test_an_example_survives_as_plain_json():
    example = read_example(example_file())
    assert [(p.name, p.program, p.line) for p in example.players] == [
        ("Guitar", 24, False),
        ("Bass", 33, True),
    ]
    saved = example_to_dict(example)
    again = example_from_dict(saved)
    assert np.array_equal(again.notes, example.notes)
    assert again.chords == example.chords
    assert again.players == example.players
    assert [c.symbol() for c in example.chords[:4]] == ["C", "Am", "F", "G"]
    assert read_file(example_file()) == saved


def test_only_so_many_bars_are_kept_from_where_the_music_begins():
    example = read_example(example_file(bars=MOST_BARS + 30, pickup=6 * BAR))
    assert int(example.notes["onset_tick"].max()) < MOST_BARS * BAR
    assert int(example.notes["onset_tick"].min()) == 0
    assert int(example.starts[0]) == 0


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (InputFile("a.wav", b"RIFF"), "taken from MIDI"),
        (InputFile("a.mid", b"nothing"), "no MIDI file"),
        (example_file(bars=2), "in 2 bars"),
        (InputFile("a.yaml", b"{"), "no YAML"),
        (InputFile("a.yaml", b"a: 1"), "it is no style"),
        (InputFile("a.yaml", b"segue_style: 7"), "format 7"),
        (InputFile("a.yaml", b"segue_style: 1"), "it lacks drums, encoder"),
    ],
)
def test_what_cannot_be_a_style_is_told(file, sentence):
    with pytest.raises(StageError, match=sentence):
        read_file(file)


def test_chords_are_found_in_broken_figures_too():
    pitch = np.concatenate([np.array([48, 64, 67, 72]), np.array([45, 64, 69, 72])])
    onset = np.arange(8) * 480
    starts, chords = chords_of_notes(make_notes(onset, np.full(8, 480), pitch, 80))
    assert [c.symbol() for c in chords] == ["C", "Am"]
    assert starts.tolist() == [0, 1920]


def test_the_reference_lends_its_figures_and_its_players():
    score, record = band()
    reference = read_file(example_file())
    result = run(score, record, reference=reference, temperature=0.5)
    assert [t.program for t in written(result)] == [24, 33]
    assert_same_frame(score, result.score)
    # The reference plays nothing but off-beats above its bass: more of them than a hymn has.
    off = [
        np.mean(np.concatenate([t.notes["onset_tick"] for t in written(r)]) % 960 > 0)
        for r in (result, run(score, record, style="hymn", temperature=0.5))
    ]
    assert off[0] > off[1] + 0.2


def test_vectors_are_of_one_length_and_blends_lie_between():
    role = models()
    pop, _ = named_sound(role["accompaniment"], "pop")
    hymn, _ = named_sound(role["accompaniment"], "hymn")
    own = example_vector(role["style"], read_example(example_file()))
    for vector in (pop, hymn, own, between(pop, hymn, 0.4)):
        assert vector.shape == (STYLE_SIZE,)
        assert np.linalg.norm(vector) == pytest.approx(np.sqrt(STYLE_SIZE), rel=1e-3)
    way = [float(np.linalg.norm(between(pop, hymn, s) - pop)) for s in (0, 0.25, 0.5, 0.75, 1)]
    assert way == sorted(way)
    assert way[0] == pytest.approx(0, abs=1e-2)


def test_the_nearer_style_of_a_blend_brings_its_instruments():
    for share, name in ((0.3, "lied"), (0.6, "quartet")):
        settings = DEFAULTS | {"style": "lied", "blend": ["quartet", share]}
        target = target_of(settings, models())
        assert target.players == STYLES[name].players
        assert target.name == "lied+quartet"
    with pytest.raises(StageError, match="swing is played by rules"):
        target_of(DEFAULTS | {"style": "swing", "blend": ["pop", 0.3]}, models())


def test_a_style_of_a_folder_is_made_listed_and_played(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = Path("mine")
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.mid").write_bytes(example_file(bars=8 + i).data)
    (folder / "broken.mid").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("not music")
    assert main(["style", "mine", "-o", "styles/strum.yaml", "--hears", "off-beat strums"]) == 0
    out, err = capsys.readouterr()
    assert "strum: 3 files, played by Guitar, Bass, in 4/4" in out
    assert "broken.mid: left out: it is no MIDI file" in err
    assert "notes.txt: left out" in err
    assert main(["styles"]) == 0
    assert "strum      off-beat strums (3 files)" in capsys.readouterr().out
    for name in ("strum", "styles/strum.yaml"):
        spec = stage_spec("transfer", check_stage("transfer", {"style": name}), 0)
        target = target_of(spec.load_settings(), spec.load_models())
        assert [p.program for p in target.players] == [24, 33]
        assert target.meters == ("4/4",)
    vector = example_vector(models()["style"], read_example(example_file()))
    assert np.corrcoef(vector, target.vector)[0, 1] > 0.95
    first = Path("styles/strum.yaml").read_bytes()
    main(["style", "mine", "-o", "styles/strum.yaml", "--hears", "off-beat strums"])
    assert Path("styles/strum.yaml").read_bytes() == first


def test_a_folder_without_music_and_a_wrong_name_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/a.txt").write_text("no")
    assert main(["style", "mine", "-o", "a.yaml"]) == 1
    assert "none of its files can be used" in capsys.readouterr().err
    assert main(["style", "mine", "-o", "a.mid"]) == 2
    assert main(["style", "nowhere", "-o", "a.yaml"]) == 2
    assert not list(Path().glob("a.*"))


def test_a_name_that_is_no_style_is_answered_with_those_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("styles").mkdir()
    Path("styles/strum.yaml").write_text("x")
    with pytest.raises(ConfigError, match=r"did you mean quartet\? known are none, pop, .*swing, strum"):
        stage_spec("transfer", check_stage("transfer", {"style": "quartett"}), 0)
    with pytest.raises(ConfigError, match=r"strum\.yaml, and this file cannot be used: it is no style"):
        stage_spec("transfer", check_stage("transfer", {"style": "strum"}), 0)
    with pytest.raises(ConfigError, match="give one of the two"):
        check_stage("transfer", {"style": "pop", "reference": "a.mid"})


def test_a_preset_of_another_network_and_bad_players_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/a.mid").write_bytes(example_file().data)
    assert main(["style", "mine", "-o", "a.yaml"]) == 0
    saved = yaml.safe_load(Path("a.yaml").read_text())
    preset = read_preset(InputFile("a.yaml", Path("a.yaml").read_bytes()))
    with pytest.raises(StageError, match="another style network"):
        target_of(DEFAULTS | {"style": preset | {"encoder": "0"}}, models())
    for change, sentence in (
        ({"players": []}, "names no players"),
        ({"players": [saved["players"][0] | {"program": 200}]}, "programs are 0 to 127"),
        ({"players": [saved["players"][0] | {"lowest": 60, "highest": 64}]}, "an octave apart"),
        ({"vector": ["x"]}, "its vector"),
        ({"vector": saved["vector"][:-1]}, "its vector"),
        ({"profiles": ["", ""]}, "its profiles"),
    ):
        with pytest.raises(StageError, match=sentence):
            read_preset(InputFile("a.yaml", yaml.safe_dump(saved | change).encode()))


def test_the_most_usual_ensemble_with_its_widest_ranges():
    two = [read_example(example_file(programs=p)) for p in ((24, 33), (24, 33), (0, 33))]
    assert [p.program for p in usual_players(two)] == [24, 33]
    assert presets_in(Path("nowhere")) == ({}, {})


@examine(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_profiles_survive_packing(seed):
    rng = np.random.default_rng(seed)
    parts = (rng.random((24, 41)) ** 4, rng.random((24, 24)) ** 4)
    for part, back in zip(parts, unpack_profiles(pack_profiles(parts)), strict=True):
        assert np.abs(np.sqrt(part / part.max()) - np.sqrt(back)).max() < 0.003


def test_every_style_of_the_list_says_what_it_is():
    assert stage_schema("transfer")["properties"]["style"]["default"] == "none"
    for style in STYLES.values():
        assert style.hears
        assert style.data
        assert style.meters
        assert all(p.highest - p.lowest >= 12 for p in style.players)
