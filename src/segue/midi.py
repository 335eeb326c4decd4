"""Standard MIDI Files: bytes to `Score` and back, without loss of what musicians hear or read.

`read_midi` accepts types 0, 1 and 2, any resolution, SMPTE time, running status and RMID (RIFF)
wrappers; every position is rescaled to 960 ticks a quarter. `write_midi` writes type 1, one conductor
chunk and one chunk a track, in a fixed order, so that equal scores are equal bytes, and
`read_midi(write_midi(score)) == score` for every score that came from a file.

Texts of a first chunk without channel events (title, copyright), all markers and the chords of Yamaha's XF
format belong to the score, other texts to their track. A track without a program change of its own has the
program that another track gives its channel, as it has when a sequencer plays the file.

Not kept: release velocities, other sequencer-specific events, channel prefixes and SMPTE offsets.

Source: Standard MIDI Files 1.0 (RP-001), MIDI Manufacturers Association, 1996.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from segue.midi_writer import TRACK_NAME, write_midi
from segue.score import (
    CONTROL,
    CONTROL_CHANGE,
    DEFAULT_TEMPO_US,
    MARKER,
    NOTE,
    PROGRAM_CHANGE,
    SEQUENCER_SPECIFIC,
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

__all__ = ["MidiError", "read_midi", "write_midi"]

#: The longest delta that four bytes hold, so that any two events of a piece can follow each other in a file.
_MAX_TICK = 2**28 - 1
_BANK_SELECT = (0, 32)
#: How the only sequencer-specific events begin that are kept: chords of the XF format (`segue.ingest.xf`).
XF_CHORD = b"\x43\x7b\x01"


class MidiError(ValueError):
    """The bytes are not a MIDI file that can be read; the message says why in one sentence."""


@dataclass
class _Chunk:
    """The raw events of one track chunk, positions in the ticks of the file."""

    #: Channel messages, int64, shape (n, 4): tick, status, two data bytes.
    events: np.ndarray
    metas: list[tuple[int, int, bytes]]
    sysex: list[tuple[int, int, bytes]]
    end_tick: int
    warnings: list[str]

    @property
    def channels(self) -> list[int]:
        """The channels that have messages, in order."""
        return np.flatnonzero(np.bincount(self.events[:, 1] & 0x0F, minlength=16)).tolist()


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
    # One flat list and few branches: this loop runs once an event.
    events: list[int] = []
    metas: list[tuple[int, int, bytes]] = []
    sysex: list[tuple[int, int, bytes]] = []
    warnings: list[str] = []
    add = events.extend
    at, tick, running, end = 0, 0, 0, len(data)
    try:
        while at < end:
            byte = data[at]
            if byte < 0x80:
                tick += byte
                at += 1
            elif data[at + 1] < 0x80:
                tick += (byte & 0x7F) << 7 | data[at + 1]
                at += 2
            else:
                delta, at = _variable_length(data, at)
                tick += delta
            status = data[at]
            if status >= 0x80:
                at += 1
            else:
                status = running
            if status < 0xF0:
                running = status
                if 0xC0 <= status < 0xE0:
                    add((tick, status, data[at], 0))
                    at += 1
                elif status:
                    add((tick, status, data[at], data[at + 1]))
                    at += 2
                else:
                    raise MidiError(f"track {number} has a data byte where a message should begin")
            elif status == 0xFF:
                kind = data[at]
                size, at = _variable_length(data, at + 1)
                if kind == 0x2F:
                    break
                metas.append((tick, kind, data[at : at + size]))
                at += size
            elif status in (0xF0, 0xF7):
                size, at = _variable_length(data, at)
                sysex.append((tick, status, data[at : at + size]))
                at += size
            else:
                # System common and real-time messages do not belong in a file.
                at += {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0)
                warnings.append(
                    f"track {number} holds a message {status:#04x} that no file may hold; passed over"
                )
    except IndexError:
        raise MidiError(f"track {number} ends in the middle of an event") from None
    if at > end:
        raise MidiError(f"track {number} ends in the middle of an event")
    if tick > _MAX_TICK:
        raise MidiError(f"track {number} reaches tick {tick}, beyond what a file can hold")
    array = np.array(events, np.int64).reshape(-1, 4)
    array[:, 2:] &= 0x7F
    return _Chunk(array, metas, sysex, tick, warnings)


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
        chunk.events[:, 0] += start
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
            elif kind == TRACK_NAME and not name and not is_conductor:
                name = _decode(body)
            elif kind == MARKER or (kind == SEQUENCER_SPECIFIC and body.startswith(XF_CHORD)):
                texts.append(Text(at(tick), kind, _decode(body)))
            elif 1 <= kind <= 0x0F:
                own.append(Text(at(tick), kind, _decode(body)))
        sysex = tuple(SystemExclusive(at(t), s, body) for t, s, body in chunk.sysex)
        if is_conductor:
            texts += own
            own = []
        parts = [
            _track_from_events(channel, chunk, scale, inherited.get(channel)) for channel in chunk.channels
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
        changes = chunk.events[(chunk.events[:, 1] & 0xF0) == PROGRAM_CHANGE]
        for tick, status, program, _ in changes.tolist():
            channel = status & 0x0F
            if channel not in first or tick < first[channel][0]:
                first[channel] = (tick, program)
    return first


def _last_at_each_tick(events: list) -> tuple:
    return tuple(event for _, event in sorted({e.tick: e for e in events}.items()))


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _track_from_events(channel: int, chunk: _Chunk, scale: float, inherited: tuple[int, int] | None) -> Track:
    """The notes, controls and program of one channel of a chunk.

    The program change before the first note moves to the start of the track, and its bank with it.
    `inherited` is (tick, program) of the first program change of the channel in any chunk.
    """
    events = chunk.events[(chunk.events[:, 1] & 0x0F) == channel]
    kind = events[:, 1] & 0xF0
    is_on = (kind == 0x90) & (events[:, 3] > 0)
    is_note = kind <= 0x90
    ons = np.flatnonzero(is_on)
    first_on = int(ons[0]) if len(ons) else len(events)
    changes = np.flatnonzero(kind[:first_on] == PROGRAM_CHANGE)
    is_control = ~is_note
    program = 0
    if len(changes):
        program = int(events[changes[0], 2])
        is_control[changes[0]] = False
        before = events[: changes[0]]
        is_bank = (kind[: changes[0]] == CONTROL_CHANGE) & np.isin(before[:, 2], _BANK_SELECT)
        before[is_bank, 0] = 0
    elif inherited is not None and (not len(ons) or inherited[0] <= events[first_on, 0]):
        program = inherited[1]
    controls = np.zeros(int(is_control.sum()), CONTROL)
    controls["tick"] = _rescale(events[is_control, 0], scale)
    controls["status"] = kind[is_control]
    controls["data1"] = events[is_control, 2]
    controls["data2"] = events[is_control, 3]
    if len(changes):
        controls = controls[np.argsort(controls["tick"], kind="stable")]
    notes = _pair_notes(events[is_note], is_on[is_note], scale, chunk.end_tick)
    return Track(channel=channel, program=program, notes=notes, controls=controls)


def _rescale(ticks: np.ndarray, scale: float) -> np.ndarray:
    return (ticks * scale + 0.5).astype(np.int64)


def _pair_notes(events: np.ndarray, is_on: np.ndarray, scale: float, end_tick: int) -> np.ndarray:
    """The sorted NOTE array of the note messages of one channel; `is_on` marks the strikes.

    Of the notes sounding on one pitch the first struck is the first released. A release without a note is
    passed over, a note without a release ends with its chunk.
    """
    order = np.argsort(events[:, 2], kind="stable")
    events, is_on = events[order], is_on[order]
    pitch = events[:, 2]
    sounding = np.cumsum(np.where(is_on, 1, -1))
    begins = np.searchsorted(pitch, np.arange(128))
    base = np.concatenate([[0], sounding])[begins]
    # A release is stray when it takes the count of its pitch to a new low below zero.
    level = sounding - base[pitch]
    if len(level) and level.min() < 0:
        apart = pitch * (2 * len(pitch) + 1)
        low = np.minimum.accumulate(np.minimum(level, 0) - apart)
        before = np.concatenate([[0], low[:-1] + apart[1:]])
        keep = is_on | (level >= np.minimum(before, 0))
        events, is_on, pitch = events[keep], is_on[keep], pitch[keep]
    ons, offs = np.flatnonzero(is_on), np.flatnonzero(~is_on)
    start_of_pitch = np.searchsorted(pitch[ons], np.arange(128))
    rank = np.arange(len(offs)) - np.searchsorted(pitch[offs], pitch[offs])
    stop = np.full(len(ons), end_tick, np.int64)
    stop[start_of_pitch[pitch[offs]] + rank] = events[offs, 0]
    notes = np.zeros(len(ons), NOTE)
    onset = _rescale(events[ons, 0], scale)
    notes["onset_tick"] = onset
    notes["duration_tick"] = np.maximum(_rescale(stop, scale) - onset, 1)
    notes["pitch"] = pitch[ons]
    notes["velocity"] = events[ons, 3]
    return sort_notes(notes)
