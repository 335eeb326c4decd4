"""Speed of rendering in times real time, and what a ten-minute song takes of memory.

`python -m benchmarks.render [--data ../shared/data]` prints a JSON object. One process, one thread; the start
of Python and the first load of the libraries are excluded. The figures are medians over songs; `share` tells
where the time of all songs goes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segue import render
from segue.config import check_stage
from segue.midi import read_midi
from segue.score import Score, seconds_from_ticks

SONGS = 5
_LONG_SECONDS = 600
_PARTS = ("make_schedule", "play", "master", "encode")


def measure(data: Path) -> dict[str, Any]:
    """Render songs of POP909, or the demonstration pieces where it is absent, in every format."""
    paths = sorted((data / "pop909").glob("*/*.mid"))
    source = "pop909" if paths else "input"
    paths = paths or sorted(Path("input").rglob("*.mid"))
    paths = paths[:: max(len(paths) // SONGS, 1)][:SONGS]
    scores = [read_midi(path.read_bytes())[0] for path in paths]
    result: dict[str, Any] = {"source": source, "songs": len(scores)}
    for kind in ("flac", "wav", "ogg"):
        settings = check_stage("render", {"format": kind})
        render.apply(scores[0], {}, settings, {}, 0)
        with _timed_parts() as spent:
            rows = [_render(score, settings) for score in scores]
        result[kind] = {
            "times_real_time": round(statistics.median(row["seconds"] / row["wall"] for row in rows), 1),
            "times_real_time_cpu": round(statistics.median(row["seconds"] / row["cpu"] for row in rows), 1),
            "song_cpu_seconds": round(statistics.median(row["cpu"] for row in rows), 2),
            "share": {name: round(value / sum(spent.values()), 3) for name, value in spent.items()},
        }
    result["fluidsynth"] = rows[0]["fluidsynth"]
    result["worst_distance_from_target_lu"] = max(row["distance"] for row in rows)
    command = [sys.executable, "-m", "benchmarks.render", "--memory", str(paths[0])]
    result |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def _render(score: Score, settings: dict[str, Any]) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    report = render.apply(score, {}, settings, {}, 0).report
    level = report["level"]
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "seconds": report["audio"]["seconds"],
        "distance": round(abs(level["reached_lufs"] - level["target_lufs"]), 2),
        "fluidsynth": report["synthesizer"]["fluidsynth"],
    }


@contextmanager
def _timed_parts() -> Iterator[dict[str, float]]:
    """CPU seconds of each part of the stage while the context lasts."""
    spent: dict[str, float] = defaultdict(float)
    original = {name: getattr(render, name) for name in _PARTS}

    def timed(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return original[name](*arguments, **named)
            finally:
                spent[name] += time.process_time() - started

        return call

    for name in _PARTS:
        setattr(render, name, timed(name))
    try:
        yield spent
    finally:
        for name, function in original.items():
            setattr(render, name, function)


def repeated(score: Score, seconds: float) -> Score:
    """The piece again and again, for at least `seconds`."""
    length = int(score.last_tick)
    times = int(np.ceil(seconds / float(seconds_from_ticks(score, [length])[0])))
    tracks = []
    for track in score.tracks:
        notes = np.tile(track.notes, times)
        notes["onset_tick"] += np.repeat(np.arange(times) * length, len(track.notes)).astype(np.int32)
        tracks.append(track.with_notes(notes))
    return replace(score, tracks=tuple(tracks), end_tick=length * times)


def _measure_memory(path: Path) -> dict[str, Any]:
    score = repeated(read_midi(path.read_bytes())[0], _LONG_SECONDS)
    settings = check_stage("render", {})
    row = _render(score, settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"long_song_seconds": row["seconds"], "long_song_peak_mib": round(peak)}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--memory", type=Path, help="render this file for ten minutes, print the memory it took"
    )
    options = parser.parse_args()
    result = _measure_memory(options.memory) if options.memory else measure(options.data)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
