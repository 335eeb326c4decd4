"""The last job of a shard: finished MIDI, records, extra files and audio into the output folder.

Audio is made by several processes at once, one piece each; a synthesizer that crashes costs its piece.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from pathlib import Path
from typing import Any

from segue.archive import Member, extra_files, is_extra, read_archive, to_json, write_atomically
from segue.midi import read_midi
from segue.process import StageSpec, describe, piece_seed, result_key
from segue.shard import Tally
from segue.shards import read_manifest
from segue.stage import StageError

log = logging.getLogger(__name__)

#: Audio bytes (None where there is none), suffix and final record of a piece.
Rendered = tuple[bytes | None, str, dict[str, Any]]


def deliver_shard(
    spec: StageSpec | None,
    previous: Path,
    output_folder: Path,
    manifest: Path,
    records: Path,
    tally: Tally,
    processes: int = 1,
) -> None:
    """Deliver a shard: finished MIDI, record, extra files and, unless `spec` is None, audio.

    A file that is present and whose key is unchanged stays; a file of a piece that is gone, or that this
    run no longer makes, is removed. Extra files are written by themselves: they cost no audio.
    """
    known, known_records = read_manifest(manifest), read_manifest(records)
    pieces = read_archive(previous)
    finished = {piece: member for piece, member in pieces.items() if member.midi is not None}
    rows: dict[str, dict[str, Any]] = {}
    final = {piece: member.record for piece, member in pieces.items()}
    changed: dict[str, Member] = {}
    for piece, member in finished.items():
        key = result_key(spec, member) if spec else _text_key(member)
        row = known.get(piece)
        files = [name for name in row["files"] if not is_extra(piece, name)] if row else []
        if piece in known_records and row and row["key"] == key and _all_there(output_folder, files):
            rows[piece], final[piece] = {**row, "files": files}, known_records[piece]
            tally.reused += 1
        else:
            rows[piece] = {"id": piece, "key": key, "files": []}
            changed[piece] = member
            tally.computed.append(piece)
    rendered = _render_all(spec, changed, processes) if spec else _without_audio(changed)
    for done, (piece, (audio, suffix, record)) in enumerate(rendered):
        tally.tell_progress(done, len(changed))
        final[piece] = record
        rows[piece]["files"] = _write_piece(output_folder, piece, changed[piece], audio, suffix, record)
    tally.quarantined = sum(r.get("quarantine", {}).get("stage") == "render" for r in final.values())
    for piece, member in finished.items():
        extras = _write_extras(output_folder, extra_files(piece, member))
        rows[piece]["files"] = sorted([*rows[piece]["files"], *extras])
    kept = {name for row in rows.values() for name in row["files"]}
    for row in known.values():
        for name in set(row["files"]) - kept:
            (output_folder / name).unlink(missing_ok=True)
            _remove_empty_parents(output_folder, name)
    tally.removed = len(known.keys() - rows.keys())
    _write_lines(records, final)
    _write_lines(manifest, rows)


def _all_there(folder: Path, names: list[str]) -> bool:
    return all((folder / name).is_file() for name in names)


def _write_lines(path: Path, rows: Mapping[str, Any]) -> None:
    write_atomically(path, "".join(to_json(rows[piece]) + "\n" for piece in sorted(rows)).encode())


def _text_key(member: Member) -> str:
    """The key of a piece without audio: its record, which holds the hash of its MIDI."""
    return "midi " + hashlib.sha256(to_json(member.record).encode()).hexdigest()


def _without_audio(members: Mapping[str, Member]) -> Iterator[tuple[str, Rendered]]:
    for piece, member in members.items():
        yield piece, (None, "", member.record)


def _write_piece(
    folder: Path, piece: str, member: Member, audio: bytes | None, suffix: str, record: dict[str, Any]
) -> list[str]:
    """Write the files of one piece; their names relative to the output folder."""
    files = {f"{piece}.mid": member.midi or b"", f"{piece}.json": (to_json(record) + "\n").encode()}
    if audio is not None:
        files[f"{piece}{suffix}"] = audio
    for name, data in files.items():
        write_atomically(folder / name, data)
    return sorted(files)


def _write_extras(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write those of the files that are missing or have changed; the names of all."""
    for name, data in files.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != data:
            write_atomically(folder / name, data)
    return list(files)


def _render_all(
    spec: StageSpec, members: Mapping[str, Member], processes: int
) -> Iterator[tuple[str, Rendered]]:
    """Render the pieces in their order, `processes` at a time."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    waiting = dict(members)
    workers = min(processes, len(waiting))
    while waiting:
        # After a crash nobody knows whose it was: from then on one piece a process.
        batch = dict(waiting) if workers > 0 else dict([next(iter(waiting.items()))])
        with ProcessPoolExecutor(max(workers, 1), mp_context=context) as pool:
            futures = {piece: pool.submit(render_piece, spec, member) for piece, member in batch.items()}
            for piece, future in futures.items():
                try:
                    result = future.result()
                except BrokenProcessPool:
                    if workers > 0:
                        workers = 0
                        break
                    result = _without_sound(members[piece], "the synthesizer crashed; try another SoundFont")
                del waiting[piece]
                yield piece, result


def render_piece(spec: StageSpec, member: Member) -> Rendered:
    """Audio (None where it failed), file suffix and final record of one piece.

    A piece that cannot be rendered keeps its finished MIDI; the reason is in its record.
    """
    record = member.record
    seed = piece_seed(record["source"]["sha256"], spec.name, spec.seed)
    try:
        score, _ = read_midi(member.midi or b"")
        result = import_module("segue.render").apply(score, record, spec.settings, {}, seed)
    except StageError as error:
        return _without_sound(member, str(error))
    except Exception as error:  # A defect must not cost the other pieces.
        log.exception("%s: render failed", record["id"])
        return _without_sound(member, describe(error))
    report = {"version": spec.version, **result.report}
    return result.audio, result.suffix, {**record, "stages": {**record.get("stages", {}), spec.name: report}}


def _without_sound(member: Member, reason: str) -> Rendered:
    log.warning("%s: no audio: %s", member.record["id"], reason)
    failed = {"stage": "render", "reason": f"no audio, the MIDI is there: {reason}"}
    return None, "", {**member.record, "quarantine": failed}


def _remove_empty_parents(folder: Path, name: str) -> None:
    parent = (folder / name).parent
    while parent != folder and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent
