"""ABC notation to `Score`, through abc2midi, which the symusic package carries.

Conventions: a collection of tunes gives its first tune, as most players open it, with a warning that says
how many were left out. Repeats and endings are played out. Chord symbols become marker events and are not
played, so that harmony stays the work of the later stages. Words become lyric events.

abc2midi plays chord symbols or drops them, and forgets the bar lines. It does keep the place of a
controller that stands among the notes, so each chord symbol and each bar line is preceded by an undefined
controller; those that come back become markers (the value numbers the chord symbol in a list) and the
meters' pickup bars.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from segue.ingest.barlines import meters_from_bars
from segue.midi import read_midi
from segue.score import CONTROL_CHANGE, KeySignature, Score, Text, Track, meter_at, sort_notes

_MARKER, _LYRIC = 6, 5
#: Controller 20 is undefined in MIDI; values 1..127 number the chord symbols.
_CHORD_CONTROLLER, _BAR_CONTROLLER = 20, 21
_MOST_CHORDS = 127
#: abc2midi begins each note one tick of its 480 late; one of its ticks is two of ours.
_LATE_TICKS = 2

_CHORD = re.compile(r'"([A-G](?:[#b♯♭])?[^"\n]*)"')
#: A text in quotation marks, an inline field or a decoration, which may hold bars, or a bar line (group 1).
_BAR_LINE = re.compile(r'"[^"\n]*"|\[[A-Za-z]:[^\]\n]*\]|![^!\n|]*!|(:*(?:\[?\|)[|:\]]*|::+)')
_FIELD = re.compile(r"^[A-Za-z+]:")
_TUNE_START = re.compile(r"^X:", re.M)


class AbcError(ValueError):
    """The text is no ABC tune that can be read; the message says why in one sentence."""


def read_abc(data: bytes, timeout_s: float = 30) -> tuple[Score, list[str]]:
    """Read the first tune of an ABC file: the score, and warnings (each one sentence)."""
    text = _decode(data).replace("\r\n", "\n").replace("\r", "\n")
    starts = [match.start() for match in _TUNE_START.finditer(text)]
    if not starts:
        raise AbcError("the file holds no ABC tune: no line begins with X:")
    warnings: list[str] = []
    head = text[: starts[0]]
    tune = text[starts[0] : starts[1]] if len(starts) > 1 else text[starts[0] :]
    # A blank line ends a tune; free text may follow it.
    tune = re.split(r"\n[ \t]*\n", tune.strip("\n"), maxsplit=1)[0]
    if len(starts) > 1:
        warnings.append(f"the file holds {len(starts)} tunes; the first was taken")
    numbered, chords = _number_chords(tune)
    score, read_warnings = read_midi(_run_abc2midi(_settings_of(head) + numbered, timeout_s))
    return _mend(score, chords), warnings + read_warnings


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _settings_of(head: str) -> str:
    """The fields before the first tune that hold for every tune (M:, L:, Q:), without free text."""
    return "".join(f"{line}\n" for line in head.split("\n") if re.match(r"^(%%|[MLQI]:)", line))


def _number_chords(tune: str) -> tuple[str, list[str]]:
    """The tune with controllers before its chord symbols and bar lines, and the symbols in their order."""
    chords: list[str] = []

    def number(match: re.Match[str]) -> str:
        label = match.group(1).strip().replace("♯", "#").replace("♭", "b")
        if label not in chords:
            if len(chords) == _MOST_CHORDS:
                return match.group(0)
            chords.append(label)
        return f"[I:MIDI control {_CHORD_CONTROLLER} {chords.index(label) + 1}]"

    def mark(match: re.Match[str]) -> str:
        line = match.group(0)
        return f"[I:MIDI control {_BAR_CONTROLLER} 1]{line}" if match.group(1) else line

    lines: list[str] = []
    in_head = True
    for line in tune.split("\n"):
        is_music = not _FIELD.match(line) and not line.startswith("%")
        lines.append(_BAR_LINE.sub(mark, _CHORD.sub(number, line)) if is_music and not in_head else line)
        if in_head and line.startswith("K:"):
            in_head = False
            lines += ["%%MIDI gchordoff", "%%MIDI nobeataccents"]
    return "\n".join(lines) + "\n", chords


def _abc2midi() -> Path:
    import symusic

    folder = Path(symusic.__file__).parent / "bin"
    for name in ("abc2midi", "abc2midi.exe"):
        if (folder / name).is_file():
            return folder / name
    raise AbcError(
        "this installation of symusic carries no abc2midi, which reads ABC; convert the file to MIDI"
    )


def _run_abc2midi(tune: str, timeout_s: float) -> bytes:
    program = _abc2midi()
    with tempfile.TemporaryDirectory(prefix="segue-abc-") as folder:
        source, target = Path(folder, "tune.abc"), Path(folder, "tune.mid")
        source.write_text(tune, encoding="utf-8")
        try:
            done = subprocess.run(
                [program, source, "-silent", "-NCOM", "-o", target],
                capture_output=True,
                timeout=timeout_s,
                check=False,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            raise AbcError(f"the ABC tune took longer than {timeout_s:g} s to read") from None
        if done.returncode < 0:
            raise AbcError(
                f"abc2midi crashed on the tune (signal {-done.returncode}); repair it or leave it out"
            )
        if not target.is_file():
            said = done.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
            raise AbcError(f"the ABC tune cannot be read: {said or 'it holds no notes'}")
        return target.read_bytes()


def _mend(score: Score, chords: list[str]) -> Score:
    """Take out what abc2midi adds, and put chord symbols, bar lines and words where they belong."""
    markers: dict[tuple[int, str], None] = {}
    bars: set[int] = {0}
    tracks: list[Track] = []
    for track in score.tracks:
        if not len(track.notes):
            continue
        ours = (track.controls["status"] == CONTROL_CHANGE) & np.isin(
            track.controls["data1"], (_CHORD_CONTROLLER, _BAR_CONTROLLER)
        )
        for tick, _, controller, value in track.controls[ours].tolist():
            if controller == _BAR_CONTROLLER:
                bars.add(tick)
            elif value <= len(chords):
                markers[tick, chords[value - 1]] = None
        notes = track.notes.copy()
        late = (notes["onset_tick"] >= _LATE_TICKS) * _LATE_TICKS
        notes["onset_tick"] -= late
        notes["duration_tick"] += late
        words = tuple(_word(text) for text in track.texts if text.kind == 1 and text.tick > 0)
        name = "" if track.name.startswith("note") else track.name
        tracks.append(
            replace(track, name=name, notes=sort_notes(notes), controls=track.controls[~ours], texts=words)
        )
    whole = replace(
        score,
        tracks=tuple(tracks),
        tempos=_from_zero(score.tempos),
        meters=_from_zero(score.meters),
        keys=_changes(_from_zero(score.keys)),
        texts=tuple(Text(tick, _MARKER, label) for tick, label in sorted(markers, key=lambda m: m[0])),
        end_tick=0,
    )
    whole = replace(whole, end_tick=whole.last_tick)
    starts = sorted(tick for tick in bars if tick < whole.last_tick)
    written = [meter_at(whole, tick) for tick in starts]
    return replace(whole, meters=meters_from_bars(starts, written, whole.last_tick))


def _word(text: Text) -> Text:
    """A syllable; abc2midi marks the beginning of a line or verse with a stroke, as karaoke files do."""
    return Text(max(text.tick - _LATE_TICKS, 0), _LYRIC, text.text.lstrip("/\\"))


def _from_zero(events: tuple) -> tuple:
    """The events with those of the first tick moved to zero; of several at one tick the last holds."""
    moved = {0 if e.tick <= _LATE_TICKS else e.tick: e for e in events}
    return tuple(replace(e, tick=tick) for tick, e in sorted(moved.items()))


def _changes(keys: tuple[KeySignature, ...]) -> tuple[KeySignature, ...]:
    """The key signatures without those that say again what holds already."""
    kept: list[KeySignature] = []
    for key in keys:
        if not kept or (kept[-1].sharps, kept[-1].is_minor) != (key.sharps, key.is_minor):
            kept.append(key)
    return tuple(kept)
