"""The promises of the workflow, each held by real Snakemake runs on about twenty pieces (counts only)."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from segue.midi import read_midi, write_midi
from segue.report import read_tallies

REPOSITORY = Path(__file__).resolve().parents[1]
SYMBOLIC = ("ingest", "humanize", "complete", "harmonize", "transfer")
NO_AUDIO = "stages=[humanize, complete, harmonize, transfer]"


@dataclass
class Run:
    """What one run of Snakemake did."""

    status: int
    text: str
    computed: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {stage: len(pieces) for stage, pieces in self.computed.items() if pieces}


@dataclass
class Bench:
    """A folder of a user's: input, configuration and what runs make of them."""

    folder: Path
    source: Path | None = None

    def command(self, *config: str, cores: int = 2) -> list[str]:
        snakefile = (self.source or REPOSITORY) / "workflow" / "Snakefile"
        base = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(cores)]
        return [*base, "--directory", str(self.folder), "--config", *(config or (NO_AUDIO,))]

    def environment(self) -> dict[str, str]:
        path = str(self.source / "src") if self.source else os.environ.get("PYTHONPATH", "")
        return {**os.environ, "PYTHONPATH": path}

    def run(self, *config: str, cores: int = 2) -> Run:
        started = time.time()
        done = subprocess.run(
            self.command(*config, cores=cores), capture_output=True, text=True, env=self.environment()
        )
        run = Run(done.returncode, done.stdout + done.stderr)
        for layout in (self.folder / "work").glob("*-shards"):
            for stage, tallies in read_tallies(layout, started).items():
                run.computed.setdefault(stage, []).extend(p for t in tallies for p in t["computed"])
        return run

    def outputs(self) -> dict[str, str]:
        files = sorted(p for p in (self.folder / "output").rglob("*") if p.is_file())
        return {
            str(p.relative_to(self.folder / "output")): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
        }


def fill(folder: Path, count: int = 20) -> list[str]:
    """`count` pieces: the demonstration, then copies of it with one velocity changed."""
    found = sorted(p for p in (REPOSITORY / "input").rglob("*") if p.suffix in (".mid", ".abc", ".musicxml"))
    pieces = []
    for i in range(count):
        source = found[i % len(found)]
        name = source.relative_to(REPOSITORY / "input")
        if i >= len(found):
            name = Path("more") / f"{i}_{name.name}"
        target = folder / "input" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if i >= len(found) and target.suffix == ".mid":
            edit(target, i)
        pieces.append(str(name.with_suffix("")))
    shutil.copyfile(REPOSITORY / "config.yaml", folder / "config.yaml")
    return pieces


def edit(path: Path, amount: int = 1) -> None:
    """Change the velocity of the first note."""
    score, _ = read_midi(path.read_bytes())
    index = next(i for i, track in enumerate(score.tracks) if len(track.notes))
    notes = score.tracks[index].notes.copy()
    notes["velocity"][0] = 1 + (int(notes["velocity"][0]) + amount) % 126
    path.write_bytes(write_midi(score.with_track(index, score.tracks[index].with_notes(notes))))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A bench on which one run has finished; tests that change it work on copies."""
    bench = Bench(tmp_path_factory.mktemp("finished"))
    pieces = fill(bench.folder)
    run = bench.run()
    assert run.status == 0, run.text
    assert run.counts() == dict.fromkeys((*SYMBOLIC, "render"), len(pieces))
    return bench


@pytest.fixture
def bench(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "bench", symlinks=True)
    return Bench(tmp_path / "bench")


def a_piece(bench: Bench) -> Path:
    return sorted((bench.folder / "input").rglob("*.mid"))[0]


def test_second_run_does_nothing(bench):
    before = bench.outputs()
    run = bench.run()
    assert run.status == 0
    assert "Nothing to be done" in run.text
    assert "Segue: 20 pieces done, 0 of them worked on now and 20 reused" in run.text
    assert run.computed == {}
    assert bench.outputs() == before


def test_touched_input_costs_no_piece(bench):
    for path in (bench.folder / "input").rglob("*.mid"):
        path.touch()
    run = bench.run()
    assert run.status == 0
    assert run.counts() == {}


def test_edited_added_removed(bench):
    piece = a_piece(bench)
    name = str(piece.relative_to(bench.folder / "input").with_suffix(""))
    edit(piece, 3)
    run = bench.run()
    assert run.computed == {stage: [name] for stage in (*SYMBOLIC, "render")}

    added = bench.folder / "input" / "new" / "added.mid"
    added.parent.mkdir()
    shutil.copyfile(piece, added)
    edit(added, 5)
    run = bench.run()
    assert run.computed == {stage: ["new/added"] for stage in (*SYMBOLIC, "render")}
    assert (bench.folder / "output" / "new" / "added.mid").is_file()

    added.unlink()
    run = bench.run()
    assert run.counts() == {}
    assert not (bench.folder / "output" / "new").exists()
    assert "new/added" not in (bench.folder / "output" / "records.jsonl").read_text()


def test_parameter_recomputes_its_stage_and_what_follows(bench):
    run = bench.run(NO_AUDIO, "harmonize={grid: bar}")
    assert set(run.counts()) == {"harmonize", "transfer", "render"}
    run = bench.run(NO_AUDIO, "harmonize={grid: bar}", "transfer={temperature: 0.5}")
    assert "transfer" in run.counts()
    assert not {"ingest", "humanize", "complete", "harmonize"} & set(run.counts())


def test_figures_draw_every_piece_and_compute_nothing_else(bench):
    before = bench.outputs()
    run = bench.run(NO_AUDIO, "figures=true")
    assert run.status == 0, run.text
    # Transfer can draw as well, and has nothing to show where no style is named.
    assert set(run.counts()) == {"humanize", "harmonize", "transfer"}
    after = bench.outputs()
    drawn = {stage: {n for n in after if n.endswith(f".{stage}.svg")} for stage in run.counts()}
    pieces = {name.removesuffix(".mid") for name in before if name.endswith(".mid")}
    assert {name.removesuffix(".humanize.svg") for name in drawn["humanize"]} == pieces
    # Where drums play alone, there is no harmony to see.
    without = {p for p in pieces if p.endswith(tuple(d.stem for d in (REPOSITORY / "input/drums").iterdir()))}
    assert {name.removesuffix(".harmonize.svg") for name in drawn["harmonize"]} == pieces - without
    assert set(after) - set(before) == drawn["humanize"] | drawn["harmonize"]
    assert {name: after[name] for name in before} == before


def test_changed_model_recomputes_its_stage_and_what_follows(bench):
    model = bench.folder / "mine" / "harmony"
    shutil.copytree(REPOSITORY / "models" / "harmony", model)
    setting = (NO_AUDIO, f"harmonize={{models: {{harmony: {model}}}}}")
    bench.run(*setting)
    assert bench.run(*setting).counts() == {}
    with (model / "harmony.onnx").open("ab") as weights:
        # A documentation string at the end of the protocol buffer: another file, the same network.
        weights.write(b"\x32\x01x")
    run = bench.run(*setting)
    assert run.status == 0, run.text
    assert "harmonize" in run.counts()
    assert not {"ingest", "humanize", "complete"} & set(run.counts())


def test_changed_stage_version_recomputes_its_stage_and_what_follows(bench, tmp_path):
    source = tmp_path / "source"
    for name in ("src", "workflow", "scripts"):
        shutil.copytree(REPOSITORY / name, source / name)
    (source / "models").symlink_to(REPOSITORY / "models")
    changed = Bench(bench.folder, source)
    changed.run()
    module = source / "src" / "segue" / "harmonize" / "__init__.py"
    text = module.read_text()
    raised = re.sub(r"^VERSION = (\d+)", lambda m: f"VERSION = {int(m[1]) + 1}", text, flags=re.MULTILINE)
    assert raised != text
    module.write_text(raised)
    run = changed.run()
    assert run.status == 0, run.text
    assert "harmonize" in run.counts()
    assert not {"ingest", "humanize", "complete"} & set(run.counts())


def test_deleted_output_comes_back_without_models(bench):
    before = bench.outputs()
    victims = sorted((bench.folder / "output").rglob("*.mid"))[:2]
    for victim in victims:
        victim.unlink()
    run = bench.run()
    assert set(run.counts()) == {"render"}
    assert len(run.computed["render"]) == 2
    assert bench.outputs() == before
    # A second deletion of the same file is seen as well.
    victims[0].unlink()
    bench.run()
    assert bench.outputs() == before


@pytest.mark.parametrize(("cores", "shard_size"), [(1, 1), (4, 7)])
def test_same_bytes_whatever_cores_and_shards(finished, tmp_path, cores, shard_size):
    other = Bench(tmp_path)
    fill(other.folder)
    run = other.run(NO_AUDIO, f"shard_size={shard_size}", cores=cores)
    assert run.status == 0, run.text
    assert other.outputs() == finished.outputs()


def test_kill_and_run_again(finished, tmp_path):
    other = Bench(tmp_path)
    fill(other.folder)
    config = (NO_AUDIO, "shard_size=7")
    with (tmp_path / "killed.log").open("w") as log:
        process = subprocess.Popen(
            other.command(*config),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=other.environment(),
        )
        # Kill it in the middle: some shard is through ingest, nothing is delivered in full.
        deadline = time.time() + 120
        while not list(tmp_path.glob("work/*/humanize/*.zip")) and time.time() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "output" / "records.jsonl").exists()
    run = other.run(*config)
    assert run.status == 0, run.text
    assert other.outputs() == finished.outputs()


def test_two_runs_at_once_are_refused(bench):
    from segue.runlock import RunLock

    lock = RunLock(bench.folder / "work" / "run.lock")
    lock.acquire()
    edit(a_piece(bench), 9)
    run = bench.run()
    assert run.status != 0
    assert "another run" in run.text


def test_bad_files_are_quarantined_and_the_rest_finishes(bench):
    folder = bench.folder / "input" / "bad"
    folder.mkdir()
    good = a_piece(bench).read_bytes()
    (folder / "empty.mid").write_bytes(b"")
    (folder / "truncated.mid").write_bytes(good[: len(good) // 2])
    (folder / "text.mid").write_text("this is no music")
    (folder / "broken.musicxml").write_text("<score-partwise>")
    (folder / "notes.txt").write_text("a file that is no music at all")
    run = bench.run()
    assert run.status == 0, run.text
    table = (bench.folder / "output" / "quarantine.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in table]
    assert [row[0] for row in rows] == ["bad/broken", "bad/empty", "bad/text", "bad/truncated"]
    assert all(row[1] == "ingest" and len(row[2]) > 10 for row in rows)
    assert "quarantine: bad/empty: the file is empty" in run.text
    assert "4 in quarantine" in run.text
    strict = bench.run(NO_AUDIO, "strict=true")
    assert strict.status != 0
    assert "strict is true and 4 piece(s) are in quarantine" in strict.text
    records = [
        json.loads(line) for line in (bench.folder / "output" / "records.jsonl").read_text().splitlines()
    ]
    assert len(records) == 24
    assert records == sorted(records, key=lambda r: r["id"])


def test_duplicates_are_named(bench):
    original = a_piece(bench)
    shutil.copyfile(original, bench.folder / "input" / "zz_copy.mid")
    bench.run()
    name = str(original.relative_to(bench.folder / "input").with_suffix(""))
    rows = (bench.folder / "output" / "duplicates.tsv").read_text().splitlines()
    assert f"zz_copy\t{name}" in rows


def test_audio_is_made_and_comes_back(tmp_path):
    bench = Bench(tmp_path)
    fill(bench.folder, 3)
    run = bench.run("seed=0")
    assert run.status == 0, run.text
    before = bench.outputs()
    audio = [name for name in before if name.endswith(".flac")]
    assert len(audio) == 3
    (bench.folder / "output" / audio[0]).unlink()
    run = bench.run("seed=0")
    assert set(run.counts()) == {"render"}
    assert bench.outputs() == before
    # Another format replaces the files of the one before.
    run = bench.run("seed=0", "render={format: wav}")
    assert set(run.counts()) == {"render"}
    names = list(bench.outputs())
    assert sum(n.endswith(".wav") for n in names) == 3
    assert not [n for n in names if n.endswith(".flac")]


def test_stages_can_be_switched_off(bench):
    run = bench.run("stages=[harmonize]")
    assert run.status == 0, run.text
    assert set(run.counts()) == {"harmonize", "render"}
    line = (bench.folder / "output" / "records.jsonl").read_text().splitlines()[0]
    assert set(json.loads(line)["stages"]) == {"ingest", "harmonize"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("humanise={amount: 1}", "humanise is not a known setting: did you mean humanize?"),
        (
            "humanize={ammount: 1}",
            "humanize.ammount is not a known setting in humanize: did you mean amount?",
        ),
        ("humanize={amount: 9}", "humanize.amount is 9, and a number from 0 to 2 is allowed"),
        ("render={format: mp3}", "render.format is mp3, and one of flac, wav, ogg is allowed"),
        ("seed=often", "seed is often, and a whole number of at least 0 is allowed"),
        ("input=nowhere", "there is no input folder nowhere"),
        ("harmonize={models: {harmony: nobody}}", "model nobody: there is no card"),
    ],
)
def test_configuration_errors_name_key_value_and_remedy(bench, config, sentence):
    run = bench.run(NO_AUDIO, config)
    assert run.status != 0
    assert sentence in run.text


def test_snakemake_lint_and_format():
    lint = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert "Congratulations" in lint.stdout + lint.stderr
    style = subprocess.run(
        [str(Path(sys.executable).with_name("snakefmt")), "--check", "workflow"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert style.returncode == 0, style.stderr
