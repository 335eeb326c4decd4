"""One job: one stage over one shard, computing only the pieces whose key changed.

The shard's own previous output is its cache. The new output is written beside it and renamed, so a job that
is killed leaves the old one whole. A lock a shard keeps a job that outlived a killed run from racing the job
of the next run; the operating system drops it with the process.
"""

from __future__ import annotations

import fcntl
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from segue.archive import Member, read_archive, read_cache, write_archive, write_atomically
from segue.ingest import Reader
from segue.process import (
    StageSpec,
    ingest_key,
    quarantined,
    result_key,
    run_ingested,
    run_piece,
)
from segue.shards import read_list
from segue.stage import StageError

log = logging.getLogger(__name__)

_PROGRESS_S = 15.0


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
    _told: float = field(default_factory=time.monotonic, repr=False)

    def tell_progress(self, done: int, total: int) -> None:
        """Print how far a long job is, every quarter of a minute."""
        if time.monotonic() - self._told > _PROGRESS_S:
            self._told = time.monotonic()
            print(f"{self.stage:<10} ... {done} of {total} pieces of a shard", file=sys.stderr, flush=True)

    def write(self, path: Path) -> None:
        """Write the tally as JSON."""
        self.finished = time.time()
        body = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        write_atomically(path, (json.dumps(body) + "\n").encode())


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
    sources = read_list(listed)
    with Reader(spec.settings) as reader:
        for source in sources:
            tally.tell_progress(len(members), len(sources))
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
    return replace(member, record={**member.record, "id": piece})


def _rejected(spec: StageSpec, piece: str, path: str, reason: str, key: str) -> Member:
    return quarantined({"id": piece, "source": {"path": path}}, spec.name, reason, key)


def stage_shard(spec: StageSpec, previous: Path, output: Path, tally: Tally) -> None:
    """Run one symbolic stage over the archive `previous` into the archive `output`."""
    cache = read_cache(output)
    members: dict[str, Member] = {}
    pieces = read_archive(previous)
    for piece, member in pieces.items():
        tally.tell_progress(len(members), len(pieces))
        if member.midi is None:
            members[piece] = member
            continue
        key = result_key(spec, member)
        done = _cached_or(tally, cache, piece, key, lambda m=member, k=key: run_piece(spec, m, k))
        members[piece] = _hand_on(spec.name, member, done)
    tally.removed = len(cache.keys() - members.keys())
    _log_quarantine(spec.name, members, tally)
    write_archive(output, members)


def _hand_on(stage: str, member: Member, done: Member) -> Member:
    """`done` with the extra files that `stage` made and those that the piece brought along."""
    if done.midi is None:
        return done
    made = {name: data for name, data in done.extras.items() if re.split("[-.]", name)[0] == stage}
    return replace(done, extras=member.extras | made)


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
