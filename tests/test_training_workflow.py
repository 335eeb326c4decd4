"""The training workflow: a dry run names every model, and its rules fit the training packages."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = {
    "groove": "training.groove.train",
    "dynamics": "training.dynamics.train",
    "melody-reference": "training.melody.reference",
    "melody": "training.melody.train",
    "harmony": "training.harmony.train",
    "accompaniment": "training.transfer.accompaniment.train",
    "style-encoder": "training.transfer.accompaniment.encoder",
    "drums-style": "training.transfer.drums.train",
}


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "-s", "training/Snakefile", "--cores", "2", "--nolock"]
    return subprocess.run([*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True)


@pytest.fixture(scope="module")
def dry_run():
    """The commands that would run, by model."""
    done = snakemake("--dry-run", "--forceall", "--printshellcmds", "--config", "data=some where", "seed=3")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(
        r"python -u -m (\S+) --data (.+) --out models/(\S+) --seed (\d+)", done.stdout + done.stderr
    )
    return {name: (module, data, seed) for module, data, name, seed in lines}


def test_every_model_is_trained_by_its_module_with_the_given_data_and_seed(dry_run):
    assert {name: module for name, (module, _, _) in dry_run.items()} == MODULES
    assert {data for _, data, _ in dry_run.values()} == {"'some where'"}
    assert {seed for *_, seed in dry_run.values()} == {"3"}


@pytest.mark.parametrize("module", MODULES.values())
def test_the_module_is_there_and_runs_as_a_program(module):
    path = REPOSITORY / f"{module.replace('.', '/')}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)


def test_every_shipped_model_has_a_rule():
    shipped = {path.parent.name for path in (REPOSITORY / "models").glob("*/card.md")}
    assert shipped <= set(MODULES)


def test_missing_data_are_named_before_anything_is_touched(tmp_path):
    before = {p: p.stat().st_mtime_ns for p in (REPOSITORY / "models").rglob("*") if p.is_file()}
    (tmp_path / "groove").mkdir()
    done = snakemake("--forcerun", "groove", "--until", "groove", "--config", f"data={tmp_path}")
    assert done.returncode != 0
    assert f"pop909, tunebooks, weimar-jazz are not in {tmp_path}" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (REPOSITORY / "models").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cpu.lock"])
def test_locks_are_pinned_hashed_and_name_no_index(name):
    text = (REPOSITORY / "training" / name).read_text(encoding="utf-8")
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all(re.match(r"[a-z0-9._-]+==\S+", entry) for entry in entries)
    assert text.count("--hash=sha256:") >= len(entries)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    pinned = {entry.split("==")[0]: entry.split("==")[1].split()[0] for entry in entries}
    assert pinned["torch"].split("+")[0] == "2.13.0"
    wanted = (REPOSITORY / "training/requirements.in").read_text(encoding="utf-8")
    for line in wanted.splitlines():
        if line and not line.startswith("#"):
            assert re.match(r"[a-z0-9_-]+", line)[0].replace("_", "-") in pinned
