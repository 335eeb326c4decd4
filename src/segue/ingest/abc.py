"""ABC notation to `Score`, through abc2midi, which the symusic package carries.

Conventions: a collection of tunes gives its first tune, as most players open it, with a warning that says
how many were left out. Repeats and endings are played out. Chord symbols become marker events and are not
played, so that harmony stays the work of the later stages. Words become lyric events.

abc2midi plays chord symbols or drops them, and forgets the bar lines. It does keep the place of a
controller among notes of full length. So undefined controllers take the place of chord symbols (the value
numbers the symbol in a list) and of staccato dots, and stand before bar lines, and rests are played very
low. What comes back is turned into markers, short notes, rests, and meters with their pickup bars.
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
from segue.score import CONTROL_CHANGE, LYRIC, MARKER, KeySignature, Score, Text, Track, meter_at, sort_notes

#: Controller 20 is undefined in MIDI; values 1..127 number the chord symbols.
_CHORD_CONTROLLER, _BAR_CONTROLLER, _STACCATO_CONTROLLER, _REST_CONTROLLER = 20, 21, 22, 23
_MOST_CHORDS = 127
#: abc2midi begins each note one tick of its 480 late; one of its ticks is two of ours.
_LATE_TICKS = 2

#: Each voice as written: no accents of abc2midi's own, and the notes of a chord together.
_PLAIN = ("%%MIDI nobeataccents", "%%MIDI chordattack 0")
#: The note that stands for a rest: below any tune, and far enough from either end to be transposed.
_REST_NOTE = "D,,,"
#: What stands between notes: texts, inline fields, decorations, bar lines, staccato dots, rests. Letters
#: that decorate what follows go with it, since nothing may come between them and a note.
_SIGN = re.compile(
    r"(?P<letters>[~HLMOPSTuv]*)(?:"
    r'"(?P<text>[^"\n]*)"|\[[A-Za-z]:[^\]\n]*\]|!(?P<decoration>[^!\n|]*)!'
    r"|(?P<bar>:*(?:\[?\|)[|:\]]*|::+)|(?P<dot>\.)(?=[\s(~HLMOPSTuv]*\[?[\^_=]*[A-Ga-g])|(?P<rest>[zx])"
    r")"
)
_RHYTHM = re.compile(r"^R:.*\n?|\[R:[^\]\n]*\]", re.M)
_WORDS = re.compile(r"^[wW]:", re.M)
_CHORD = re.compile(r"[A-G][#b]?|[Nn]\.?[Cc]\.?$")
_ALTERNATIVE = re.compile(r"\s*\([A-G][^()]*\)$")
_COMMENT = re.compile(r"(?<!\\)%.*$")
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
    # By the kind of tune abc2midi would swing a hornpipe; and a fermata would move every bar line after it.
    tune = _with_settings(head, _RHYTHM.sub("", tune))
    marked, chords = _mark(tune)
    score, read_warnings = read_midi(_run_abc2midi(marked, timeout_s))
    words: list[tuple[Text, ...]] = []
    if _WORDS.search(tune):
        # The syllables would fall on the rests that became notes, so they come from a second reading.
        sung, _ = read_midi(_run_abc2midi(tune, timeout_s))
        words = [_syllables(track) for track in sung.tracks if len(track.notes)]
    return _mend(score, chords, words), warnings + read_warnings


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _with_settings(head: str, tune: str) -> str:
    """The tune with the fields before the first tune that hold for every tune (M:, L:, Q:)."""
    number, _, rest = tune.partition("\n")
    fields = "".join(f"{line}\n" for line in head.split("\n") if re.match(r"%%|[MLQI]:", line))
    return f"{number}\n{fields}{rest}\n"


def _mark(tune: str) -> tuple[str, list[str]]:
    """The tune with controllers for its signs and notes for its rests, and the chord symbols by number."""
    chords: list[str] = []

    def mark(match: re.Match[str]) -> str:
        sign = match.group(0)
        if match["text"] is not None:
            # Another chord to choose may follow in parentheses.
            label = _ALTERNATIVE.sub("", match["text"].strip().replace("♯", "#").replace("♭", "b"))
            if not _CHORD.match(label):
                return sign
            if label not in chords and len(chords) == _MOST_CHORDS:
                return sign
            if label not in chords:
                chords.append(label)
            return _controller(_CHORD_CONTROLLER, chords.index(label) + 1) + match["letters"]
        if match["bar"] is not None:
            return _controller(_BAR_CONTROLLER, 1) + match["bar"]
        if match["dot"] is not None or match["decoration"] == "staccato":
            return _controller(_STACCATO_CONTROLLER, 1) + match["letters"]
        if match["rest"] is not None:
            return _controller(_REST_CONTROLLER, 1) + _REST_NOTE
        return sign

    lines: list[str] = []
    in_head = True
    for line in tune.split("\n"):
        is_music = not in_head and not _FIELD.match(line) and not line.startswith("%")
        if not _WORDS.match(line):
            lines.append(_SIGN.sub(mark, _COMMENT.sub("", line)) if is_music else line)
        if in_head and line.startswith("K:"):
            in_head = False
            lines += ["%%MIDI gchordoff", *_PLAIN]
        elif not in_head and line.startswith("V:"):
            lines += _PLAIN
    return "\n".join(lines), chords


def _controller(number: int, value: int) -> str:
    return f"[I:MIDI control {number} {value}]"


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
                [program, source, "-silent", "-NCOM", "-NFER", "-o", target],
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


def _mend(score: Score, chords: list[str], words: list[tuple[Text, ...]]) -> Score:
    """Take out what abc2midi adds, and put chord symbols, bar lines and words where they belong."""
    markers: dict[tuple[int, str], None] = {}
    bars: set[int] = {0}
    tracks: list[Track] = []
    for track in score.tracks:
        if not len(track.notes):
            continue
        is_control_change = track.controls["status"] == CONTROL_CHANGE
        ours = is_control_change & np.isin(
            track.controls["data1"], range(_CHORD_CONTROLLER, _REST_CONTROLLER + 1)
        )
        ticks: dict[int, list[int]] = {
            number: [] for number in range(_CHORD_CONTROLLER, _REST_CONTROLLER + 1)
        }
        for tick, _, controller, value in track.controls[ours].tolist():
            ticks[controller].append(tick)
            if controller == _CHORD_CONTROLLER and value <= len(chords):
                markers[tick, chords[value - 1]] = None
        bars.update(ticks[_BAR_CONTROLLER])
        notes = track.notes.copy()
        late = (notes["onset_tick"] >= _LATE_TICKS) * _LATE_TICKS
        notes["onset_tick"] -= late
        notes["duration_tick"] += late
        # Notes are sorted by pitch within a tick: the first one at a rest's tick is the rest.
        is_lowest = np.concatenate([[True], np.diff(notes["onset_tick"]) > 0])
        notes = notes[~(is_lowest & np.isin(notes["onset_tick"], ticks[_REST_CONTROLLER]))]
        is_short = np.isin(notes["onset_tick"], ticks[_STACCATO_CONTROLLER])
        notes["duration_tick"][is_short] = np.maximum(notes["duration_tick"][is_short] // 2, 1)
        sung = words[len(tracks)] if len(tracks) < len(words) else ()
        name = "" if track.name.startswith("note") else track.name
        tracks.append(
            replace(track, name=name, notes=sort_notes(notes), controls=track.controls[~ours], texts=sung)
        )
    whole = replace(
        score,
        tracks=tuple(tracks),
        tempos=_from_zero(score.tempos),
        meters=_from_zero(score.meters),
        keys=_changes(_from_zero(score.keys)),
        texts=tuple(Text(tick, MARKER, label) for tick, label in sorted(markers, key=lambda m: m[0])),
        end_tick=0,
    )
    if whole.note_count == 0:
        return whole
    whole = replace(whole, end_tick=whole.last_tick)
    starts = sorted(tick for tick in bars if tick < whole.last_tick)
    written = [meter_at(whole, tick) for tick in starts]
    return replace(whole, meters=meters_from_bars(starts, written, whole.last_tick))


def _syllables(track: Track) -> tuple[Text, ...]:
    """The words; abc2midi marks the beginning of a line or verse with a stroke, as karaoke files do."""
    return tuple(
        Text(max(text.tick - _LATE_TICKS, 0), LYRIC, text.text.lstrip("/\\"))
        for text in track.texts
        if text.kind == 1 and text.tick > 0
    )


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
