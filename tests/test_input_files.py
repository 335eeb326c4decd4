"""Files that settings name: read once before the run, part of what a result depends on."""

import os
import shutil
from pathlib import Path

import pytest
from test_humanize_feel import performance
from test_transfer_presets import example_file
from test_workflow import Bench, fill

from segue.cli import main
from segue.config import ConfigError, check_stage, named_files, with_files
from segue.humanize.feel.extract import feel_of
from segue.humanize.feel.file import feel_to_json
from segue.midi import write_midi
from segue.process import stage_spec

FILE = {"type": "string", "input_file": {"words": ["none"]}}
SCHEMA = {
    "type": "object",
    "properties": {
        "style": FILE,
        "mix": {"type": ["array", "null"], "prefixItems": [FILE, FILE, {"type": "number"}]},
        "more": {"type": "object", "properties": {"voice": FILE}},
    },
}


def test_names_are_found_wherever_the_schema_marks_them():
    settings = {"style": "none", "mix": ["a.mid", "none", 0.3], "more": {"voice": "b.mid"}}
    found = named_files(settings, SCHEMA, "transfer")
    assert found == {"transfer.mix.0": "a.mid", "transfer.more.voice": "b.mid"}
    read = with_files(settings, SCHEMA, "transfer", {name: [path] for name, path in found.items()})
    assert read == {"style": "none", "mix": [["a.mid"], "none", 0.3], "more": {"voice": ["b.mid"]}}
    assert settings["mix"][0] == "a.mid"
    assert named_files({"mix": None}, SCHEMA, "transfer") == {}


def test_a_stage_without_files_gets_its_settings_as_they_are():
    spec = stage_spec("humanize", check_stage("humanize", {}), 0)
    assert spec.files == {}
    assert spec.load_settings() is spec.settings


def test_the_content_counts_and_not_the_time_or_the_kind_of_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("take.mid")

    def fingerprint():
        return stage_spec("humanize", check_stage("humanize", {"groove": "take.mid"}), 0).fingerprint

    path.write_bytes(write_midi(performance(20)))
    first = fingerprint()
    os.utime(path, (1, 1))
    assert fingerprint() == first
    path.write_bytes(write_midi(performance(21)))
    assert fingerprint() != first


def test_paths_are_seen_from_the_working_folder_or_from_home(tmp_path, monkeypatch):
    (tmp_path / "take.json").write_text(feel_to_json(feel_of(performance(20), "take")))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("take.json", "./take.json", "~/take.json", str(tmp_path / "take.json")):
        spec = stage_spec("humanize", check_stage("humanize", {"groove": name}), 0)
        assert spec.load_settings()["groove"]["name"] == "take"
        assert spec.settings["groove"] == name


@pytest.mark.parametrize("name", ["missing.mid", "folder.mid"])
def test_what_cannot_be_read_is_told_with_setting_and_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder.mid").mkdir()
    given = {"blend": ["model", name, 0.5]}
    with pytest.raises(ConfigError, match=rf"humanize\.blend\.1 is {name}, and this file cannot be read"):
        stage_spec("humanize", check_stage("humanize", given), 0)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"groove": "a.mid", "blend": ["a", "b", 0]},
            "humanize.groove is a.mid, but `blend` names feels",
        ),
        ({"blend": ["a", "b"]}, "a list [the path of a file or model"),
        ({"blend": ["a", "b", 2]}, "humanize.blend.2 is 2, and a number from 0 to 1 is allowed"),
        ({"blend": "a.mid"}, "humanize.blend is a.mid"),
        ({"groove": 7}, "humanize.groove is 7, and the path of a file or none is allowed"),
    ],
)
def test_settings_that_cannot_be(given, sentence):
    with pytest.raises(ConfigError) as caught:
        check_stage("humanize", given)
    assert sentence in str(caught.value)


def test_numbers_in_lists_from_the_command_line_arrive_as_text():
    assert check_stage("humanize", {"blend": ["a.mid", "model", "0.3"]})["blend"] == ["a.mid", "model", 0.3]


def test_a_changed_reference_runs_its_stage_again_and_a_touched_one_nothing(tmp_path):
    bench = Bench(tmp_path)
    pieces = fill(tmp_path, 2)
    reference = tmp_path / "refs" / "take.mid"
    reference.parent.mkdir()
    reference.write_bytes(write_midi(performance(20)))
    config = ("stages=[humanize]", "humanize={groove: refs/take.mid}")
    run = bench.run(*config)
    assert run.status == 0, run.text
    assert run.counts()["humanize"] == len(pieces)
    os.utime(reference)
    assert bench.run(*config).counts() == {}
    reference.write_bytes(write_midi(performance(-20)))
    counts = bench.run(*config).counts()
    assert counts.pop("humanize") == len(pieces)
    assert "ingest" not in counts
    shutil.rmtree(reference.parent)
    run = bench.run(*config)
    assert run.status != 0
    assert "humanize.groove is refs/take.mid, and this file cannot be read" in run.text
    assert run.counts() == {}


def test_a_bare_name_means_a_file_in_the_folder_of_the_setting():
    marked = {"type": "string", "input_file": {"words": ["none"], "folder": "styles", "suffix": ".yaml"}}
    schema = {"type": "object", "properties": {"style": marked}}

    def found(name):
        return named_files({"style": name}, schema, "transfer").get("transfer.style")

    assert found("none") is None
    assert found("mine") == "styles/mine.yaml"
    assert found("mine.yaml") == "mine.yaml"
    assert found("far/mine") == "far/mine"


def test_a_changed_style_of_ones_own_changes_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/a.mid").write_bytes(example_file().data)
    Path("mine/b.mid").write_bytes(example_file(bars=12).data)
    assert main(["style", "mine", "-o", "styles/mine.yaml"]) == 0
    first = stage_spec("transfer", check_stage("transfer", {"style": "mine"}), 0).fingerprint
    Path("mine/b.mid").unlink()
    assert main(["style", "mine", "-o", "styles/mine.yaml"]) == 0
    assert stage_spec("transfer", check_stage("transfer", {"style": "mine"}), 0).fingerprint != first
