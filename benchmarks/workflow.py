"""Speed of the workflow: the symbolic chain over real data sets, reruns, and one job a piece beside it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segue.shards import shard_index

REPOSITORY = Path(__file__).resolve().parents[1]
NO_AUDIO = "stages=[humanize, complete, harmonize, transfer]"


def groove_files(data: Path) -> list[Path]:
    """The drum performances of the Groove MIDI Dataset."""
    return sorted((data / "groove").rglob("*.mid"))


def pop909_files(data: Path) -> list[Path]:
    """One MIDI file a song of POP909 (not its alternative versions)."""
    return sorted(path for path in (data / "pop909").glob("*/*.mid") if path.stem == path.parent.name)


def prepare(folder: Path, files: Sequence[Path]) -> None:
    """Lay out a user's folder with links to the files as its input."""
    (folder / "input").mkdir(parents=True)
    for i, path in enumerate(files):
        (folder / "input" / f"{i:05d}_{path.name}").symlink_to(path.resolve())
    shutil.copyfile(REPOSITORY / "config.yaml", folder / "config.yaml")


def run(folder: Path, *config: str, cores: int = 2) -> float:
    """Run the workflow in `folder`; wall seconds of the whole command."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(REPOSITORY / "workflow" / "Snakefile"),
        "--directory",
        str(folder),
        "--cores",
        str(cores),
        "--config",
        NO_AUDIO,
        *config,
    ]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return seconds


def job_seconds(folder: Path) -> dict[str, float]:
    """Seconds within the jobs of the last run, by stage."""
    found: dict[str, float] = {}
    for path in folder.glob("work/*/tallies/*/*.json"):
        tally = json.loads(path.read_text())
        found[tally["stage"]] = round(found.get(tally["stage"], 0.0) + tally["seconds"], 2)
    return found


def peak_memory_mib(folder: Path) -> float:
    """Largest resident set of any job, MiB, from the rules' benchmark files."""
    peak = 0.0
    for path in folder.glob("work/*/benchmarks/**/*.tsv"):
        with path.open() as rows:
            for row in csv.DictReader(rows, delimiter="\t"):
                if row["max_rss"] not in ("NA", ""):
                    peak = max(peak, float(row["max_rss"]))
    return peak


def _in_folder(measure: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as name:
        return measure(Path(name))


def measure_chain(files: Sequence[Path], edited: bool) -> dict[str, Any]:
    """The chain over `files`, a rerun with nothing to do, and one with a single edited piece."""

    def measure(folder: Path) -> dict[str, Any]:
        prepare(folder, files)
        seconds = run(folder)
        result: dict[str, Any] = {
            "pieces": len(files),
            "seconds": round(seconds, 2),
            "pieces_per_second": round(len(files) / seconds, 2),
            "job_seconds": job_seconds(folder),
            "peak_job_mib": round(peak_memory_mib(folder), 1),
        }
        if edited:
            result["no_op_seconds"] = round(statistics.median(run(folder) for _ in range(3)), 2)
            times = []
            for i in range(3):
                # Another file's bytes under the same name: an edit.
                victim = sorted((folder / "input").iterdir())[i]
                victim.unlink()
                shutil.copyfile(files[-1 - i], victim)
                times.append(run(folder))
            result["one_edited_seconds"] = round(statistics.median(times), 2)
        return result

    return _in_folder(measure)


def measure_job_per_piece(files: Sequence[Path]) -> dict[str, Any]:
    """The same work as one Snakemake job a piece and stage (one piece a shard), on a sample."""

    def measure(folder: Path) -> dict[str, Any]:
        prepare(folder, [])
        count = len(files)
        for i, path in enumerate(files):
            (folder / "input" / f"{_name_in_shard(i, count)}.mid").symlink_to(path.resolve())
        seconds = run(folder, "shard_size=1")
        return {
            "pieces": count,
            "jobs": len(list(folder.glob("work/*/tallies/*/*.json"))),
            "seconds": round(seconds, 2),
            "pieces_per_second": round(count / seconds, 3),
        }

    return _in_folder(measure)


def _name_in_shard(index: int, count: int) -> str:
    """A name that the hash puts into shard `index` of `count`, so that each piece is alone in its shard."""
    return next(name for name in map(str, range(1000 * count)) if shard_index(name, count) == index)


def measure(data: Path, sample: int = 12) -> dict[str, Any]:
    """All workflow measurements; `data` holds the public data sets, `sample` pieces for the comparison."""
    results: dict[str, Any] = {"cores": 2, "machine_cores": os.cpu_count()}
    for name, files in (("groove", groove_files(data)), ("pop909", pop909_files(data))):
        chain = measure_chain(files, edited=name == "groove")
        step = max(1, len(files) // sample)
        single = measure_job_per_piece(files[::step][:sample])
        chain["job_per_piece"] = single
        chain["times_faster"] = round(chain["pieces_per_second"] / single["pieces_per_second"], 1)
        results[name] = chain
    return results
