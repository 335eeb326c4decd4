"""Reading in a process of its own, so that a parser which crashes or hangs costs one piece.

One worker serves many pieces; it is started again after a crash, a time-out or an exhausted memory. On
Linux the worker is forked, so starting it costs a few milliseconds; elsewhere it is spawned.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

from segue.stage import Settings, StageError, StageResult

Parse = Callable[[bytes, str, Settings], StageResult]

#: Time that a worker on its first file may need beyond the file's own: a spawned one imports the library.
_START_S = 30.0 if sys.platform != "linux" else 5.0
#: How long beyond a file's time a worker lives whose parent was killed and cannot end it.
_ORPHAN_S = 10.0


class Reader:
    """Reads files through one isolated worker process; a context manager.

    `parse` is the function that the worker runs (by default `segue.ingest.apply`).
    """

    def __init__(self, settings: Settings, parse: Parse | None = None) -> None:
        if parse is None:
            from segue.ingest import apply as parse
        self._settings = dict(settings)
        self._parse = parse
        self._context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, data: bytes, path: str) -> StageResult:
        """`apply(data, path, settings)` in the worker. Raises `StageError`, after a crash or time-out too."""
        if self._process is not None and not self._process.is_alive():
            self._stop()  # It ended between two files, so this one is not to blame.
        is_new = self._process is None
        pipe = self._start() if self._pipe is None else self._pipe
        allowed = self._settings["timeout_s"]
        try:
            pipe.send((data, path))
            if not pipe.poll(allowed + (_START_S if is_new else 0)):
                self._stop()
                raise StageError(
                    f"reading took longer than {allowed:g} s; raise ingest.timeout_s or repair the file"
                )
            answer = pipe.recv()
        except (EOFError, OSError):
            how = self._stop()
            raise StageError(f"the parser crashed ({how}); repair the file or leave it out") from None
        if isinstance(answer, MemoryError):
            # The worker's heap may be in pieces; a fresh one is cheap.
            self._stop()
            raise StageError(
                f"reading needs more than {self._settings['memory_mb']} MB of memory; raise ingest.memory_mb"
            )
        if isinstance(answer, str):
            self._stop()
            raise StageError(f"the parser failed ({answer}), a defect of Segue; report it with the file")
        if isinstance(answer, StageError):
            raise answer
        return answer

    def close(self) -> None:
        """End the worker."""
        self._stop()

    def _start(self) -> Connection:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=_serve, args=(theirs, self._pipe, self._parse, self._settings), daemon=True
        )
        self._process.start()
        theirs.close()
        return self._pipe

    def _stop(self) -> str:
        """End the worker if it is alive, and say how it ended."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return "it had not started"
        process.join(0.2)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode or 0
        process.close()
        return _say_exit(code)


def _say_exit(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _serve(pipe: Connection, theirs: Connection, parse: Parse, settings: Settings) -> None:
    """The worker: answers each (data, path) with a result, an error, or the name of a defect."""
    theirs.close()
    # An interrupt at the terminal is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit_memory(settings["memory_mb"])
    while True:
        try:
            data, path = pipe.recv()
        except (EOFError, OSError):
            return
        answer: object = None
        _end_after(settings["timeout_s"] + _START_S + _ORPHAN_S)
        try:
            answer = parse(data, path, settings)
        except (StageError, MemoryError) as error:
            answer = error
        finally:
            # Anything else ends the worker with a traceback in the log; the parent hears its name.
            _end_after(0)
            pipe.send(_say_error() if answer is None else answer)


def _end_after(seconds: float) -> None:
    """Have the system end this process in so many seconds; 0 takes that back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _say_error() -> str:
    kind, error, _ = sys.exc_info()
    return f"{kind.__name__ if kind else 'no answer'}: {error}"


def _limit_memory(megabytes: int) -> None:
    """Let the worker's address space grow by this much beyond what it inherits; Linux alone enforces it."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + megabytes * 1_000_000
    # A scheduler may have set a lower limit, which only it may raise.
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )
