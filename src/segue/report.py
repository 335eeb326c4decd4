"""What a run tells: the records of all pieces, the quarantine, duplicates, and a short summary.

In the output folder: `records.jsonl` (the final record of every piece, one JSON object a line, by piece id),
`quarantine.tsv` (piece, stage, reason) and `duplicates.tsv` (piece, the first piece with the same content).
All three depend on the pieces alone, not on shards, order or time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segue.archive import write_atomically
from segue.config import STAGES
from segue.shards import Plan, records_path

_SHOWN = 10


def write_reports(shard_records: Sequence[Path], records: Path, quarantine: Path, duplicates: Path) -> None:
    """Merge the shards' record files into `records`, and write the tables `quarantine` and `duplicates`."""
    index: list[tuple[str, Path, int, int]] = []
    rejected: list[tuple[str, str, str]] = []
    same: dict[str, list[str]] = defaultdict(list)
    for path in shard_records:
        at = 0
        for line in path.read_bytes().splitlines(keepends=True):
            record = json.loads(line)
            index.append((record["id"], path, at, len(line)))
            at += len(line)
            if "quarantine" in record:
                entry = record["quarantine"]
                rejected.append((record["id"], entry["stage"], entry["reason"]))
            if "sha256" in record["source"]:
                same[record["source"]["sha256"]].append(record["id"])
    _write_merged(records, sorted(index))
    _write_table(quarantine, ("piece", "stage", "reason"), sorted(rejected))
    pairs = [(piece, min(group)) for group in same.values() for piece in group if piece != min(group)]
    _write_table(duplicates, ("piece", "same_as"), sorted(pairs))


def _write_merged(path: Path, index: Iterable[tuple[str, Path, int, int]]) -> None:
    """Copy the lines by piece id, holding one source file in memory at a time where ids allow it."""
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    handles: dict[Path, object] = {}
    with temporary.open("wb") as out:
        for _, source, at, length in index:
            handle = handles.get(source)
            if handle is None:
                if len(handles) >= 64:
                    handles.pop(next(iter(handles))).close()
                handle = handles[source] = source.open("rb")
            handle.seek(at)
            out.write(handle.read(length))
    for handle in handles.values():
        handle.close()
    temporary.replace(path)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = ["\t".join(" ".join(str(cell).split()) for cell in row) for row in [header, *rows]]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_tallies(folder: Path, since: float) -> dict[str, list[dict]]:
    """The tallies of the jobs that finished after `since` (seconds since the epoch), by stage."""
    found: dict[str, list[dict]] = defaultdict(list)
    for stage in STAGES:
        for path in sorted((folder / "tallies" / stage).glob("*.json")):
            if path.stat().st_mtime >= since - 1:
                tally = json.loads(path.read_text())
                if tally["finished"] >= since:
                    found[stage].append(tally)
    return found


def summary(plan: Plan, output: Path, stages: Sequence[str], since: float, wall: float) -> str:
    """The text that a user sees when a run ends; `since` in seconds since the epoch, `wall` in seconds."""
    tallies = read_tallies(plan.folder, since)
    found = _outcomes(plan)
    computed = {piece for jobs in tallies.values() for job in jobs for piece in job["computed"]}
    computed -= {piece for piece, _ in found.lost}
    done = found.total - len(found.lost)
    reused = max(done - len(computed), 0)
    lines = [
        "",
        f"Segue: {done} pieces done, {len(computed)} of them worked on now and {reused} reused, "
        f"{len(found.lost)} in quarantine; {wall:.1f} s.",
    ]
    if any(tallies.values()):
        lines.append("  stage       computed   reused   job seconds")
        for stage in stages:
            jobs = tallies.get(stage, [])
            made = sum(len(job["computed"]) for job in jobs)
            kept = (found.total if stage == "ingest" else done) - made
            seconds = sum(job["seconds"] for job in jobs)
            lines.append(f"  {stage:<10} {made:>9} {max(kept, 0):>8} {seconds:>13.1f}")
    for label, rows in (("quarantine", sorted(found.lost)), ("no audio", sorted(found.silent))):
        lines += [f"  {label}: {piece}: {reason}" for piece, reason in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            lines.append(f"  ... and {len(rows) - _SHOWN} more in {output / 'quarantine.tsv'}")
    for name in sorted(name for name, used in found.overrides.items() if not used):
        lines.append(f"  humanize.tracks: {name} is the name or role of no track in any piece")
    if plan.ignored:
        lines.append(f"  passed over: {plan.ignored} file(s) that are no music by their extension")
    lines.append(f"  results: {output}/   records: {output / 'records.jsonl'}")
    return "\n".join(lines)


@dataclass
class _Outcomes:
    """What has become of the pieces of a run, from their records.

    `lost` are those in quarantine and `silent` those without audio, each with the reason. `overrides` holds
    the settings of single tracks by name, and whether any piece has used them.
    """

    total: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    silent: list[tuple[str, str]] = field(default_factory=list)
    overrides: dict[str, bool] = field(default_factory=dict)


def _outcomes(plan: Plan) -> _Outcomes:
    found = _Outcomes()
    for shard in plan.shards:
        path = records_path(plan.folder, shard)
        for line in path.read_text("ascii").splitlines() if path.is_file() else []:
            found.total += 1
            # Most records are long and have nothing to tell here.
            if '"quarantine"' not in line and '"overrides"' not in line:
                continue
            record = json.loads(line)
            used = record.get("stages", {}).get("humanize", {}).get("overrides", {})
            for name, tracks in used.items():
                found.overrides[name] = found.overrides.get(name, False) or bool(tracks)
            if "quarantine" not in record:
                continue
            entry = record["quarantine"]
            if entry["stage"] == "render":
                found.silent.append((record["id"], entry["reason"]))
            else:
                found.lost.append((record["id"], f"{entry['reason']} ({entry['stage']})"))
    return found
