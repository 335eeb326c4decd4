"""The isolated worker: crashes, hangs and greed cost one piece."""

import ctypes
import faulthandler
import os
import signal
import time

import pytest

from segue.ingest import Reader
from segue.score import Score
from segue.stage import StageError, StageResult

SETTINGS = {"timeout_s": 1, "memory_mb": 512}


def misbehave(data: bytes, path: str, settings: dict) -> StageResult:
    """A parser that does what the file tells it to."""
    match data:
        case b"segfault":
            faulthandler.disable()
            ctypes.string_at(0)
        case b"exit":
            os._exit(3)
        case b"abort":
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGABRT)
        case b"hang":
            time.sleep(60)
        case b"spin":
            while True:
                pass
        case b"greedy":
            bytearray(4 << 30)
        case b"refuse":
            raise StageError("the file is odd; export it again")
        case b"pid":
            return StageResult(Score(), {"pid": os.getpid(), "path": path})
    return StageResult(Score(end_tick=len(data)), {})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"segfault", "crashed .signal 11, SIGSEGV"),
        (b"abort", "crashed .signal 6, SIGABRT"),
        (b"exit", "crashed .exit status 3"),
        (b"greedy", "more than 512 MB of memory; raise ingest.memory_mb"),
        (b"refuse", "the file is odd; export it again"),
    ],
)
def test_a_bad_file_costs_itself_alone(data, says):
    with Reader(SETTINGS, misbehave) as reader:
        assert reader.read(b"good", "a.mid").score.end_tick == 4
        for _ in range(2):
            with pytest.raises(StageError, match=says):
                reader.read(data, "b.mid")
            assert reader.read(b"fine!", "c.mid").score.end_tick == 5


@pytest.mark.parametrize("data", [b"hang", b"spin"])
def test_a_hanging_parser_is_stopped(data):
    with Reader(SETTINGS, misbehave) as reader:
        reader.read(b"good", "a.mid")
        with pytest.raises(StageError, match=r"longer than 1 s; raise ingest\.timeout_s"):
            reader.read(data, "b.mid")
        assert reader.read(b"good", "c.mid").score.end_tick == 4


def test_one_worker_serves_many_files_and_ends_with_the_reader():
    with Reader(SETTINGS, misbehave) as reader:
        first, second = (reader.read(b"pid", path).report for path in ("a.mid", "b/c.mid"))
        assert first["pid"] == second["pid"] != os.getpid()
        assert (first["path"], second["path"]) == ("a.mid", "b/c.mid")
        with pytest.raises(StageError):
            reader.read(b"exit", "d.mid")
        third = reader.read(b"pid", "e.mid").report["pid"]
        assert third != first["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(third, 0)


def test_a_worker_killed_between_two_files_is_replaced():
    with Reader(SETTINGS, misbehave) as reader:
        os.kill(reader.read(b"pid", "a.mid").report["pid"], signal.SIGKILL)
        time.sleep(0.1)
        assert reader.read(b"good", "b.mid").score.end_tick == 4


def test_a_hanging_worker_ends_though_its_parent_was_killed(monkeypatch):
    monkeypatch.setattr("segue.ingest.reader._ORPHAN_S", 0.1)
    monkeypatch.setattr("segue.ingest.reader._START_S", 0.1)
    with Reader(SETTINGS, misbehave) as reader:
        # What a killed parent leaves behind: a file under way that nobody waits for.
        reader._start().send((b"spin", "a.mid"))
        reader._process.join(10)
        assert reader._process.exitcode == -signal.SIGALRM


def test_a_defect_of_the_parser_is_named_and_logged(capfd):
    def broken(data, path, settings):
        raise ZeroDivisionError("by nought")

    with Reader(SETTINGS, broken) as reader:
        for _ in range(2):
            with pytest.raises(StageError, match=r"failed .ZeroDivisionError: by nought., a defect of Segue"):
                reader.read(b"", "a.mid")
    assert "Traceback" in capfd.readouterr().err
