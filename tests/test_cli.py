"""`segue`: exit status, messages, mirrored folders, and the same result as the workflow."""

import json
from pathlib import Path

import pytest

from segue.cli import main
from segue.midi import read_midi

REPOSITORY = Path(__file__).resolve().parents[1]
INPUT = REPOSITORY / "input"


def test_a_folder_is_mirrored(tmp_path, capsys):
    assert main(["ingest", str(INPUT / "drums"), str(INPUT / "melodies"), "-o", str(tmp_path)]) == 0
    made = sorted(p.stem for p in tmp_path.rglob("*.mid"))
    assert made == sorted(p.stem for f in ("drums", "melodies") for p in (INPUT / f).rglob("*.*"))
    assert main(["ingest", str(INPUT), "-o", str(tmp_path / "all")]) == 0
    assert (tmp_path / "all" / "drums").is_dir()


def test_stages_chain_through_the_records(tmp_path):
    song = next((INPUT / "songs").glob("*.mid"))
    assert main(["ingest", str(song), "-o", str(tmp_path / "1")]) == 0
    first = tmp_path / "1" / f"{song.stem}.mid"
    assert main(["harmonize", str(first), "-o", str(tmp_path / "2")]) == 0
    record = json.loads((tmp_path / "2" / f"{song.stem}.json").read_text())
    assert set(record["stages"]) == {"ingest", "harmonize"}
    # Without the record beside it the file is read anew.
    (tmp_path / "1" / f"{song.stem}.json").unlink()
    assert main(["harmonize", str(first), "-o", str(tmp_path / "3")]) == 0


def test_settings_and_seed_are_used(tmp_path):
    loop = next((INPUT / "drums").glob("*.mid"))
    onsets = {}
    for amount in ("0", "1"):
        out = tmp_path / amount
        assert main(["humanize", str(loop), "-o", str(out), "--set", f"amount={amount}"]) == 0
        score, _ = read_midi((out / f"{loop.stem}.mid").read_bytes())
        onsets[amount] = [int(t) for track in score.tracks for t in track.notes["onset_tick"]]
    assert onsets["0"] != onsets["1"]


def test_a_piece_that_stays_as_it_is_is_named_with_the_reason(tmp_path, capsys):
    tune = REPOSITORY / "input/melodies/frere_jacques.mid"
    half = REPOSITORY / "input/melodies/ode_to_joy_unfinished.mid"
    assert main(["complete", str(tune), str(half), "-o", str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "segue complete: frere_jacques.mid: unchanged: the last phrase is finished"
    assert told[1].startswith("segue complete: 2 done, 0 failed")


def test_failed_pieces_are_named_with_their_reason(tmp_path, capsys):
    (tmp_path / "bad.mid").write_bytes(b"")
    good = next((INPUT / "drums").glob("*.mid"))
    assert main(["ingest", str(tmp_path / "bad.mid"), str(good), "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "bad.mid: the file is empty" in captured.err
    assert "1 done, 1 failed" in captured.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["humanize", str(INPUT), "-o", "x", "--set", "ammount=1"],
        ["humanize", str(INPUT), "-o", "x", "--set", "amount=9"],
        ["humanize", str(INPUT), "-o", "x", "--set", "amount"],
        ["humanize", "nowhere.mid", "-o", "x"],
        ["harmonize", str(INPUT), "-o", "x", "--set", "models.harmony=nobody"],
    ],
)
def test_wrong_use_is_status_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("segue: ")


def test_unknown_command_is_status_2():
    with pytest.raises(SystemExit) as caught:
        main(["dance"])
    assert caught.value.code == 2


def test_models_are_listed_with_their_state(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "BAD" not in text
    assert "groove (onnx)" in text
    assert "CPUExecutionProvider" in text


def test_config_prints_the_default_configuration(capsys):
    assert main(["config"]) == 0
    assert capsys.readouterr().out == (REPOSITORY / "config.yaml").read_text()


def test_render_makes_audio(tmp_path):
    loop = next((INPUT / "drums").glob("*.mid"))
    assert main(["render", str(loop), "-o", str(tmp_path), "--set", "format=wav"]) == 0
    assert (tmp_path / f"{loop.stem}.wav").stat().st_size > 10000
