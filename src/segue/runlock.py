"""One run at a time in a work folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class RunLockError(RuntimeError):
    """Another run is alive in the same work folder."""


class RunLock:
    """An advisory lock on a file, held until the process ends however it ends.

    It stands in for Snakemake's own lock, which outlives a killed run and has to be removed by hand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        #: Whether `acquire` was called, with or without success.
        self.was_tried = False

    def acquire(self) -> None:
        """Take the lock. Raises `RunLockError` naming the process that holds it."""
        self.was_tried = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise RunLockError(
                f"another run (process {holder}) is at work in {self.path.parent}/; wait for it or stop it, "
                "or give this one a work folder of its own (--config work=...)"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
