"""Standard MIDI Files: bytes to `Score` and back, without loss of what musicians hear or read.

`read_midi` accepts types 0, 1 and 2, any resolution, SMPTE time, running status and RMID (RIFF)
wrappers; every position is rescaled to 960 ticks a quarter. `write_midi` writes type 1, one conductor
chunk and one chunk a track, in a fixed order, so that equal scores are equal bytes, and
`read_midi(write_midi(score)) == score` for every score that came from a file.

Texts of a first chunk without channel events (title, copyright) and all markers belong to the score, other
texts to their track. A track without a program change of its own has the program that another track gives
its channel, as it has when a sequencer plays the file.

Not kept: release velocities, sequencer-specific events, channel prefixes and SMPTE offsets.

Source: Standard MIDI Files 1.0 (RP-001), MIDI Manufacturers Association, 1996.
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace

import numpy as np

from segue.score import (
    CONTROL,
    CONTROL_CHANGE,
    DEFAULT_TEMPO_US,
    NOTE,
    PROGRAM_CHANGE,
    TICKS_PER_QUARTER,
    KeySignature,
    Meter,
    Score,
    SystemExclusive,
    Tempo,
    Text,
    Track,
    sort_notes,
)

_TRACK_NAME = 3
_MARKER = 6
#: The longest delta that four bytes hold, so that any two events of a piece can follow each other in a file.
_MAX_TICK = 2**28 - 1
_MAX_CHUNKS = 2**16 - 1
_BANK_SELECT = (0, 32)


class MidiError(ValueError):
    """The bytes are not a MIDI file that can be read; the message says why in one sentence."""


@dataclass
class _Chunk:
    """The raw events of one track chunk, positions in the ticks of the file."""

    channels: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    metas: list[tuple[int, int, bytes]] = field(default_factory=list)
    sysex: list[tuple[int, int, bytes]] = field(default_factory=list)
    end_tick: int = 0
    warnings: list[str] = field(default_factory=list)


def read_midi(data: bytes) -> tuple[Score, list[str]]:
    """Read a Standard MIDI File.

    Returns the score at 960 ticks a quarter and a list of warnings (each one sentence) about what had
    to be mended or left out. Raises `MidiError` when the bytes are no MIDI file or are cut short.
    """
    data = _unwrap_riff(data)
    if len(data) == 0:
        raise MidiError("the file is empty")
    if data[:4] != b"MThd":
        raise MidiError("the file does not begin with a MIDI header")
    if len(data) < 14:
        raise MidiError("the file is cut short within its header")
    length, kind, count, division = struct.unpack(">IHHH", data[4:14])
    if kind > 2:
        raise MidiError(f"the header names MIDI type {kind}, and only 0, 1 and 2 exist")
    if length < 6:
        raise MidiError(f"the header says that it is {length} bytes long, and 6 are needed")
    smpte = bool(division & 0x8000)
    if smpte:
        frames = 256 - (division >> 8)
        ticks_per_second = (30 * 1000 / 1001 if frames == 29 else frames) * (division & 0xFF)
        # At 120 quarters a minute, half a second is a quarter.
        resolution = ticks_per_second / 2
    else:
        resolution = float(division)
    if resolution <= 0:
        raise MidiError("the header gives a resolution of zero ticks")
    chunks, warnings = _read_chunks(data, 8 + length, count)
    if kind == 2:
        _lay_end_to_end(chunks)
        if len(chunks) > 1:
            warnings.append(f"the {len(chunks)} patterns of a type 2 file were laid end to end")
    score = _score_from_chunks(chunks, TICKS_PER_QUARTER / resolution, smpte, warnings)
    return score, list(dict.fromkeys(warnings))


def _unwrap_riff(data: bytes) -> bytes:
    """The MIDI file within a RIFF RMID wrapper, or the data as they are."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    at = 12
    while at + 8 <= len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        if data[at : at + 4] == b"data":
            return data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    raise MidiError("the RMID wrapper holds no MIDI data")


def _read_chunks(data: bytes, at: int, count: int) -> tuple[list[_Chunk], list[str]]:
    chunks: list[_Chunk] = []
    warnings: list[str] = []
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack(">I", data[at + 4 : at + 8])[0]
        at += 8
        beyond = len(chunks) >= count
        if beyond and (name != b"MTrk" or at + size > len(data)):
            break  # What follows the last track is no music.
        if name == b"MTrk":
            if at + size > len(data):
                raise MidiError(
                    f"track {len(chunks) + 1} is cut short: {size} bytes announced, {len(data) - at} present"
                )
            chunk = _read_track(data[at : at + size], len(chunks) + 1)
            warnings += chunk.warnings
            chunks.append(chunk)
        at += size
    if len(chunks) != count:
        if not chunks:
            raise MidiError(f"the header announces {count} tracks and none follows")
        warnings.append(f"the header announces {count} tracks and {len(chunks)} follow")
    return chunks, warnings


def _read_track(data: bytes, number: int) -> _Chunk:
    """The events of one chunk. Unknown system messages are passed over, as a sequencer does."""
    chunk = _Chunk()
    channels, metas = chunk.channels, chunk.metas
    at, tick, running, end = 0, 0, 0, len(data)
    try:
        while at < end:
            byte = data[at]
            at += 1
            if byte < 0x80:
                tick += byte
            else:
                delta, at = _variable_length(data, at - 1)
                tick += delta
            status = data[at]
            if status >= 0x80:
                at += 1
            else:
                status = running
            if 0x80 <= status < 0xF0:
                running = status
                kind = status & 0xF0
                if kind == 0xC0 or kind == 0xD0:
                    channels[status & 0x0F].append((tick, kind, data[at] & 0x7F, 0))
                    at += 1
                else:
                    channels[status & 0x0F].append((tick, kind, data[at] & 0x7F, data[at + 1] & 0x7F))
                    at += 2
            elif status == 0xFF:
                kind = data[at]
                size, at = _variable_length(data, at + 1)
                if kind == 0x2F:
                    break
                metas.append((tick, kind, data[at : at + size]))
                at += size
            elif status in (0xF0, 0xF7):
                size, at = _variable_length(data, at)
                chunk.sysex.append((tick, status, data[at : at + size]))
                at += size
            elif status == 0:
                raise MidiError(f"track {number} has a data byte where a message should begin")
            else:
                # System common and real-time messages do not belong in a file.
                at += {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0)
                chunk.warnings.append(
                    f"track {number} holds a message {status:#04x} that no file may hold; passed over"
                )
    except IndexError:
        raise MidiError(f"track {number} ends in the middle of an event") from None
    if at > end:
        raise MidiError(f"track {number} ends in the middle of an event")
    if tick > _MAX_TICK:
        raise MidiError(f"track {number} reaches tick {tick}, beyond what a file can hold")
    chunk.end_tick = tick
    return chunk


def _variable_length(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
        if value >= 1 << 21:
            raise MidiError("a length or a delta time takes more than four bytes")


def _lay_end_to_end(chunks: list[_Chunk]) -> None:
    """Shift the patterns of a type 2 file so that each begins where the one before it ends."""
    start = 0
    for chunk in chunks:
        for channel, events in chunk.channels.items():
            chunk.channels[channel] = [(t + start, *rest) for t, *rest in events]
        chunk.metas = [(t + start, *rest) for t, *rest in chunk.metas]
        chunk.sysex = [(t + start, *rest) for t, *rest in chunk.sysex]
        chunk.end_tick += start
        start = chunk.end_tick


def _score_from_chunks(chunks: list[_Chunk], scale: float, smpte: bool, warnings: list[str]) -> Score:
    def at(tick: int) -> int:
        return int(tick * scale + 0.5)

    tempos: list[Tempo] = []
    meters: list[Meter] = []
    keys: list[KeySignature] = []
    texts: list[Text] = []
    tracks: list[Track] = []
    end_tick = at(max((c.end_tick for c in chunks), default=0))
    # One tick is left for a note that is struck at the very end.
    if end_tick >= _MAX_TICK:
        raise MidiError("the piece is longer than a file at 960 ticks a quarter can hold")
    inherited = _programs(chunks)
    for number, chunk in enumerate(chunks):
        is_conductor = number == 0 and not chunk.channels
        name = ""
        own: list[Text] = []
        for tick, kind, body in chunk.metas:
            if kind == 0x51 and len(body) == 3:
                us = int.from_bytes(body, "big")
                if us > 0 and not smpte:
                    tempos.append(Tempo(at(tick), us))
            elif kind == 0x58 and len(body) >= 2:
                if body[0] > 0 and body[1] <= 6:
                    meters.append(Meter(at(tick), body[0], 1 << body[1]))
                else:
                    warnings.append(f"a meter of {body[0]} over 2^{body[1]} was left out")
            elif kind == 0x59 and len(body) == 2:
                sharps = body[0] - 256 if body[0] > 127 else body[0]
                if -7 <= sharps <= 7 and body[1] <= 1:
                    keys.append(KeySignature(at(tick), sharps, body[1] == 1))
                else:
                    warnings.append(f"a key signature of {sharps} sharps was left out")
            elif kind == _TRACK_NAME and not name and not is_conductor:
                name = _decode(body)
            elif kind == _MARKER:
                texts.append(Text(at(tick), kind, _decode(body)))
            elif 1 <= kind <= 0x0F:
                own.append(Text(at(tick), kind, _decode(body)))
        sysex = tuple(SystemExclusive(at(t), s, body) for t, s, body in chunk.sysex)
        if is_conductor:
            texts += own
            own = []
        parts = [
            _track_from_events(channel, chunk.channels[channel], scale, chunk.end_tick, inherited)
            for channel in sorted(chunk.channels)
        ]
        if not parts and (name or own or sysex):
            parts = [Track(channel=None)]
        for i, part in enumerate(parts):
            first = i == 0
            tracks.append(
                replace(part, name=name, texts=tuple(own) if first else (), sysex=sysex if first else ())
            )
    if smpte:
        tempos = [Tempo(0, DEFAULT_TEMPO_US)]
    score = Score(
        tracks=tuple(tracks),
        tempos=_last_at_each_tick(tempos),
        meters=_last_at_each_tick(meters),
        keys=_last_at_each_tick(keys),
        texts=tuple(sorted(texts, key=lambda t: t.tick)),
        end_tick=end_tick,
    )
    return replace(score, end_tick=score.last_tick)


def _programs(chunks: list[_Chunk]) -> dict[int, tuple[int, int]]:
    """(tick, program) of the first program change of each channel over all chunks."""
    first: dict[int, tuple[int, int]] = {}
    for chunk in chunks:
        for channel, events in chunk.channels.items():
            for tick, kind, program, _ in events:
                if kind == PROGRAM_CHANGE:
                    if channel not in first or tick < first[channel][0]:
                        first[channel] = (tick, program)
                    break
    return first


def _last_at_each_tick(events: list) -> tuple:
    return tuple(event for _, event in sorted({e.tick: e for e in events}.items()))


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _track_from_events(
    channel: int,
    events: list[tuple[int, int, int, int]],
    scale: float,
    end_tick: int,
    inherited: dict[int, tuple[int, int]],
) -> Track:
    """Pair note events first-in-first-out; a note that is never released ends with its track.

    The program change before the first note moves to the start of the track, and its bank with it.
    """
    onset: list[int] = []
    release: list[int] = []
    pitch: list[int] = []
    velocity: list[int] = []
    controls: list[tuple[int, int, int, int]] = []
    sounding: dict[int, deque[int]] = defaultdict(deque)
    program = 0
    has_program = False
    for event in events:
        tick, kind, data1, data2 = event
        if kind == 0x90 and data2 > 0:
            sounding[data1].append(len(onset))
            onset.append(tick)
            release.append(-1)
            pitch.append(data1)
            velocity.append(data2)
        elif kind <= 0x90:
            if sounding[data1]:
                release[sounding[data1].popleft()] = tick
        elif kind == PROGRAM_CHANGE and not has_program and not onset:
            program, has_program = data1, True
            controls = [_at_start(c) for c in controls]
            controls.sort(key=lambda c: c[0])
        else:
            controls.append(event)
    if not has_program and channel in inherited:
        since, elsewhere = inherited[channel]
        if not onset or since <= onset[0]:
            program = elsewhere
    notes = np.zeros(len(onset), NOTE)
    start = np.array(onset, np.float64)
    stop = np.array(release, np.float64)
    stop[stop < 0] = end_tick
    notes["onset_tick"] = (start * scale + 0.5).astype(np.int64)
    notes["duration_tick"] = np.maximum((stop * scale + 0.5).astype(np.int64) - notes["onset_tick"], 1)
    notes["pitch"] = pitch
    notes["velocity"] = velocity
    moved = np.array(controls, np.int64).reshape(-1, 4)
    array = np.zeros(len(moved), CONTROL)
    array["tick"] = (moved[:, 0] * scale + 0.5).astype(np.int64)
    for column, key in enumerate(("status", "data1", "data2"), start=1):
        array[key] = moved[:, column]
    return Track(channel=channel, program=program, notes=sort_notes(notes), controls=array)


def _at_start(control: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """A bank select at tick 0, any other control as it is."""
    is_bank = control[1] == CONTROL_CHANGE and control[2] in _BANK_SELECT
    return (0, *control[1:]) if is_bank else control


def write_midi(score: Score) -> bytes:
    """The score as a type 1 Standard MIDI File at 960 ticks a quarter; equal scores, equal bytes.

    Raises `ValueError` for a score that no file can hold: a pitch over 127, a velocity outside 1..127, a
    negative position, a note without duration, or more than 65,534 tracks.
    """
    if len(score.tracks) >= _MAX_CHUNKS:
        raise ValueError(f"{len(score.tracks)} tracks are more than a MIDI file can hold")
    chunks = [_conductor_chunk(score), *(_track_chunk(track) for track in score.tracks)]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(chunks), TICKS_PER_QUARTER)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(c)) + c for c in chunks)


def _conductor_chunk(score: Score) -> bytes:
    events: list[tuple[int, int, bytes]] = []
    for meter in score.meters:
        body = bytes([meter.numerator, meter.denominator.bit_length() - 1, 24, 8])
        events.append((meter.tick, 0, b"\xff\x58\x04" + body))
    for key in score.keys:
        events.append((key.tick, 1, b"\xff\x59\x02" + bytes([key.sharps & 0xFF, key.is_minor])))
    for tempo in score.tempos:
        body = min(tempo.us_per_quarter, 0xFFFFFF).to_bytes(3, "big")
        events.append((tempo.tick, 2, b"\xff\x51\x03" + body))
    for text in score.texts:
        events.append((text.tick, 3, _meta(text.kind, _encode(text.text))))
    return _join_events(events, score.last_tick)


def _meta(kind: int, body: bytes) -> bytes:
    return b"\xff" + bytes([kind]) + _encode_variable_length(len(body)) + body


def _track_chunk(track: Track) -> bytes:
    """Order at one tick: texts, system exclusive, controls, note-offs, note-ons.

    The program stands behind the controls of tick 0, since a bank select acts on the next program change.
    A note that starts where another of its pitch ends is released first; a note's own release never
    comes before its start, since every duration is at least one tick.
    """
    head: list[tuple[int, int, bytes]] = []
    if track.name:
        head.append((0, 0, _meta(_TRACK_NAME, _encode(track.name))))
    for text in track.texts:
        head.append((text.tick, 1, _meta(text.kind, _encode(text.text))))
    for message in track.sysex:
        body = _encode_variable_length(len(message.data)) + message.data
        head.append((message.tick, 2, bytes([message.status]) + body))
    if track.channel is None:
        return _join_events(head, max((e[0] for e in head), default=0))
    channel = track.channel
    _check_notes(track)
    has_program = False
    for tick, status, data1, data2 in track.controls.tolist():
        if not has_program and (tick > 0 or status == PROGRAM_CHANGE):
            head.append((0, 4, bytes((PROGRAM_CHANGE | channel, track.program))))
            has_program = True
        short = status in (0xC0, 0xD0)
        body = bytes((status | channel, data1)) if short else bytes((status | channel, data1, data2))
        head.append((tick, 4, body))
    if not has_program:
        head.append((0, 4, bytes((PROGRAM_CHANGE | channel, track.program))))
    on, off = 0x90 | channel, 0x80 | channel
    for tick, duration, pitch, velocity in track.notes.tolist():
        head.append((tick, 6, bytes((on, pitch, velocity))))
        head.append((tick + duration, 5, bytes((off, pitch, 64))))
    return _join_events(head, 0)


def _check_notes(track: Track) -> None:
    notes = track.notes
    if len(notes) == 0:
        return
    if int(notes["pitch"].max()) > 127 or int(notes["velocity"].max()) > 127:
        raise ValueError(f"track {track.name!r} has a pitch or a velocity over 127")
    if int(notes["velocity"].min()) == 0 or int(notes["duration_tick"].min()) < 1:
        raise ValueError(f"track {track.name!r} has a note without velocity or duration")
    if int(notes["onset_tick"].min()) < 0:
        raise ValueError(f"track {track.name!r} has a note before the start of the piece")


def _join_events(events: list[tuple[int, int, bytes]], end_tick: int) -> bytes:
    events.sort(key=lambda e: (e[0], e[1]))
    parts: list[bytes] = []
    now = 0
    for tick, _, body in events:
        delta = tick - now
        parts.append(bytes((delta,)) if delta < 0x80 else _encode_variable_length(delta))
        parts.append(body)
        now = tick
    parts.append(_encode_variable_length(max(end_tick - now, 0)))
    parts.append(b"\xff\x2f\x00")
    return b"".join(parts)


def _encode_variable_length(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
