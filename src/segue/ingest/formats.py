"""Which format a file has, by content first and by extension second, and the reader for it.

Every reader takes bytes and gives a `Score` and a list of warnings; whatever is wrong with the bytes comes
out as one `StageError` that says so in a sentence.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from segue.midi import MidiError, read_midi
from segue.score import Score
from segue.stage import StageError

#: Extensions of the files that are read, lower case.
SUFFIXES = (".mid", ".midi", ".kar", ".smf", ".rmi", ".musicxml", ".mxl", ".xml", ".abc")
_MUSICXML = (".musicxml", ".mxl", ".xml")


def format_of(data: bytes, path: str) -> str:
    """What the bytes are ("midi", "musicxml", "abc"), whatever the name says; else what the name says."""
    suffix = PurePosixPath(path).suffix.lower()
    if data[:4] == b"MThd" or (data[:4] == b"RIFF" and data[8:12] == b"RMID"):
        return "midi"
    head = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip()
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    if head[:5] == b"<?xml" or head[:6] == b"<score" or head[:9] == b"<!DOCTYPE" or data[:4] == b"PK\x03\x04":
        return "musicxml"
    if suffix in _MUSICXML or (utf16 and suffix != ".abc"):
        return "musicxml"
    if suffix == ".abc" or head[:4] == b"%abc" or head[:2] == b"X:":
        return "abc"
    return "midi"


def read(data: bytes, path: str, timeout_s: float) -> tuple[Score, list[str], str]:
    """The score, the warnings and the format of a file. Raises `StageError`."""
    kind = format_of(data, path)
    if not data:
        raise StageError("the file is empty; export it again")
    try:
        if kind == "midi":
            return *read_midi(data), kind
        if kind == "musicxml":
            from segue.ingest.musicxml import MusicXmlError, read_musicxml

            try:
                return *read_musicxml(data), kind
            except MusicXmlError as error:
                raise StageError(str(error)) from None
        from segue.ingest.abc import AbcError, read_abc

        try:
            # abc2midi is a process of its own; it must end before the worker that waits for it.
            return *read_abc(data, 0.8 * timeout_s), kind
        except AbcError as error:
            raise StageError(str(error)) from None
    except MidiError as error:
        raise StageError(str(error)) from None
