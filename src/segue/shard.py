"""One job: one stage over one shard, computing only the pieces whose key changed.

The shard's own previous output is its cache. The new output is written beside it and renamed, so a job that
is killed leaves the old one whole. A lock a shard keeps a job that outlived a killed run from racing the job
of the next run; the operating system drops it with the process.
"""

from __future__ import annotations

import fcntl
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from segue.archive import Member, read_archive, read_cache, to_json, write_archive, write_atomically
from segue.ingest import Reader
from segue.midi import read_midi
from segue.process import (
    StageSpec,
    describe,
    ingest_key,
    piece_seed,
    quarantined,
    result_key,
    run_ingested,
    run_piece,
)
from segue.shards import read_list, read_manifest
from segue.stage import StageError

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What a job did, for the summary of the run: piece ids by outcome, and seconds."""

    stage: str
    computed: list[str] = field(default_factory=list)
    reused: int = 0
    removed: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    finished: float = 0.0

    def write(self, path: Path) -> None:
        """Write the tally as JSON."""
        self.finished = time.time()
        write_atomically(path, (json.dumps(vars(self)) + "\n").encode())


@dataclass(frozen=True)
class Job:
    """One stage over one shard within a run.

    `log_file` is `<work>/logs/<stage>/<shard>.log`; the job's lock and tally have their places beside it.
    """

    log_file: Path
    shards: int

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.log_file.parent.name

    @property
    def shard(self) -> str:
        """Name of the shard, its number from zero."""
        return self.log_file.stem

    @property
    def work(self) -> Path:
        """The work folder of the run."""
        return self.log_file.parents[2]

    @contextmanager
    def run(self) -> Iterator[Tally]:
        """Hold the shard's lock, log, measure; tell in one line what was done and write the tally."""
        handler = self._log_handler()
        lock = self.work / "locks" / f"{self.shard}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        tally = Tally(self.stage)
        try:
            with lock.open("a") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                started = time.perf_counter()
                yield tally
                tally.seconds = time.perf_counter() - started
                tally.write(self.work / "tallies" / self.stage / f"{self.shard}.json")
            self._tell(tally)
        except BaseException:
            log.exception("the job failed")
            raise
        finally:
            logging.getLogger("segue").removeHandler(handler)
            handler.close()

    def _log_handler(self) -> logging.Handler:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self.log_file, "w", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root = logging.getLogger("segue")
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False
        return handler

    def _tell(self, tally: Tally) -> None:
        text = f"{len(tally.computed)} computed, {tally.reused} reused"
        if tally.quarantined:
            text += f", {tally.quarantined} in quarantine"
        place = f"shard {int(self.shard) + 1} of {self.shards}"
        log.info("%s, %s: %s, %.1f s", self.stage, place, text, tally.seconds)
        print(f"{self.stage:<10} {place}: {text} ({tally.seconds:.1f} s)", file=sys.stderr, flush=True)


def ingest_shard(spec: StageSpec, input_folder: Path, listed: Path, output: Path, tally: Tally) -> None:
    """Read the files of a shard's list into the archive `output`."""
    cache = read_cache(output)
    members: dict[str, Member] = {}
    with Reader(spec.settings) as reader:
        for source in read_list(listed):
            try:
                data = (input_folder / source.path).read_bytes()
            except OSError as error:
                reason = f"the file cannot be read ({error.strerror}); check that it is there and readable"
                members[source.piece] = _rejected(spec, source.piece, source.path, reason, "")
                tally.computed.append(source.piece)
                continue
            key = ingest_key(spec, source.path, data)
            members[source.piece] = _cached_or(
                tally,
                cache,
                source.piece,
                key,
                lambda data=data, source=source, key=key: _ingest_one(
                    spec, reader, source.piece, source.path, data, key
                ),
            )
    tally.removed = len(cache.keys() - members.keys())
    _log_quarantine(spec.name, members, tally)
    write_archive(output, members)


def _ingest_one(spec: StageSpec, reader: Reader, piece: str, path: str, data: bytes, key: str) -> Member:
    try:
        result = reader.read(data, path)
    except StageError as error:
        return _rejected(spec, piece, path, str(error), key)
    member = run_ingested(spec, result, key)
    # Two files that differ in their extension alone have ids of their own.
    return Member(member.midi, {**member.record, "id": piece}, key)


def _rejected(spec: StageSpec, piece: str, path: str, reason: str, key: str) -> Member:
    return quarantined({"id": piece, "source": {"path": path}}, spec.name, reason, key)


def stage_shard(spec: StageSpec, previous: Path, output: Path, tally: Tally) -> None:
    """Run one symbolic stage over the archive `previous` into the archive `output`."""
    cache = read_cache(output)
    members: dict[str, Member] = {}
    for piece, member in read_archive(previous).items():
        if member.midi is None:
            members[piece] = member
            continue
        key = result_key(spec, member)
        members[piece] = _cached_or(tally, cache, piece, key, lambda m=member, k=key: run_piece(spec, m, k))
    tally.removed = len(cache.keys() - members.keys())
    _log_quarantine(spec.name, members, tally)
    write_archive(output, members)


def _changed(cache: dict[str, Member], piece: str, key: str) -> bool:
    return piece not in cache or cache[piece].key != key


def _cached_or(
    tally: Tally, cache: dict[str, Member], piece: str, key: str, compute: Callable[[], Member]
) -> Member:
    if not _changed(cache, piece, key):
        tally.reused += 1
        return cache[piece]
    tally.computed.append(piece)
    return compute()


def _log_quarantine(stage: str, members: dict[str, Member], tally: Tally) -> None:
    for piece, member in members.items():
        quarantine = member.record.get("quarantine")
        if quarantine and quarantine["stage"] == stage:
            tally.quarantined += 1
            log.warning("%s: in quarantine: %s", piece, quarantine["reason"])


def deliver_shard(
    spec: StageSpec | None, previous: Path, output_folder: Path, manifest: Path, records: Path, tally: Tally
) -> None:
    """Deliver a shard: finished MIDI, record and, unless `spec` is None, audio, into the output folder.

    A file that is present and whose key is unchanged stays; a file of a piece that is gone, or that this
    run no longer makes, is removed.
    """
    known = read_manifest(manifest)
    known_records = _read_records(records)
    rows: list[str] = []
    lines: list[str] = []
    kept: set[str] = set()
    kept_pieces: set[str] = set()
    for piece, member in sorted(read_archive(previous).items()):
        if member.midi is None:
            lines.append(to_json(member.record) + "\n")
            continue
        key = result_key(spec, member) if spec else "midi " + str(member.record.get("midi_sha256"))
        row = known.get(piece)
        whole = row and row["key"] == key and all((output_folder / n).is_file() for n in row["files"])
        if whole and piece in known_records:
            tally.reused += 1
            record = known_records[piece]
        else:
            tally.computed.append(piece)
            record, names = _deliver(spec, piece, member, output_folder)
            row = {"id": piece, "key": key, "files": names}
        kept.update(row["files"])
        kept_pieces.add(piece)
        if record.get("quarantine", {}).get("stage") == "render":
            tally.quarantined += 1
        rows.append(to_json(row) + "\n")
        lines.append(to_json(record) + "\n")
    for row in known.values():
        for name in set(row["files"]) - kept:
            (output_folder / name).unlink(missing_ok=True)
            _remove_empty_parents(output_folder, name)
    tally.removed = len(known) - sum(piece in kept_pieces for piece in known)
    write_atomically(records, "".join(lines).encode())
    write_atomically(manifest, "".join(rows).encode())


def _read_records(path: Path) -> dict[str, dict]:
    try:
        rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
        return {row["id"]: row for row in rows}
    except (OSError, ValueError, KeyError):
        return {}


def _deliver(spec: StageSpec | None, piece: str, member: Member, folder: Path) -> tuple[dict, list[str]]:
    """Write the files of one piece; its final record and the names, relative to the output folder."""
    record, audio = dict(member.record), None
    if spec is not None:
        audio, suffix, record = render_piece(spec, member)
    files = {f"{piece}.mid": member.midi, f"{piece}.json": (to_json(record) + "\n").encode()}
    if audio is not None:
        files[f"{piece}{suffix}"] = audio
    for name, data in files.items():
        write_atomically(folder / name, data)
    return record, sorted(files)


def render_piece(spec: StageSpec, member: Member) -> tuple[bytes | None, str, dict]:
    """Audio (None where it failed), file suffix and final record of one piece.

    A piece that cannot be rendered keeps its finished MIDI; the reason is in its record.
    """
    record = member.record
    seed = piece_seed(record["source"]["sha256"], spec.name, spec.seed)
    try:
        score, _ = read_midi(member.midi or b"")
        result = import_module("segue.render").apply(score, record, spec.settings, {}, seed)
    except StageError as error:
        reason = str(error)
    except Exception as error:  # A defect must not cost the other pieces.
        log.exception("%s: render failed", record["id"])
        reason = describe(error)
    else:
        report = {"version": spec.version, **result.report}
        stages = {**record.get("stages", {}), spec.name: report}
        return result.audio, result.suffix, {**record, "stages": stages}
    log.warning("%s: no audio: %s", record["id"], reason)
    failed = {"stage": "render", "reason": f"no audio, the MIDI is there: {reason}"}
    return None, "", {**record, "quarantine": failed}


def _remove_empty_parents(folder: Path, name: str) -> None:
    parent = (folder / name).parent
    while parent != folder and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent
