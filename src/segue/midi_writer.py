"""`Score` to Standard MIDI File; `segue.midi` has the conventions and the way back."""

from __future__ import annotations

import struct

import numpy as np

from segue.score import PROGRAM_CHANGE, TICKS_PER_QUARTER, Score, Track

TRACK_NAME = 3
_CHANNEL_PRESSURE = 0xD0
_MAX_CHUNKS = 2**16 - 1


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
    return _join_events(events, np.zeros((0, 6), np.int64), score.last_tick)


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
        head.append((0, 0, _meta(TRACK_NAME, _encode(track.name))))
    for text in track.texts:
        head.append((text.tick, 1, _meta(text.kind, _encode(text.text))))
    for message in track.sysex:
        body = _encode_variable_length(len(message.data)) + message.data
        head.append((message.tick, 2, bytes([message.status]) + body))
    if track.channel is None:
        return _join_events(head, np.zeros((0, 6), np.int64), max((e[0] for e in head), default=0))
    _check_notes(track)
    return _join_events(head, _channel_messages(track, track.channel), 0)


def _channel_messages(track: Track, channel: int) -> np.ndarray:
    """The messages of a track, int64, shape (n, 6): tick, order at its tick, length, three bytes."""
    controls, notes = track.controls, track.notes
    c, n = len(controls), len(notes)
    first = np.flatnonzero((controls["tick"] > 0) | (controls["status"] == PROGRAM_CHANGE))
    program_at = int(first[0]) if len(first) else c
    control_rows = np.empty((c, 6), np.int64)
    control_rows[:, 0] = controls["tick"]
    control_rows[:, 1] = 3
    control_rows[:, 2] = np.where(np.isin(controls["status"], (PROGRAM_CHANGE, _CHANNEL_PRESSURE)), 2, 3)
    control_rows[:, 3] = controls["status"] | channel
    control_rows[:, 4] = controls["data1"]
    control_rows[:, 5] = controls["data2"]
    program_row = np.array([[0, 3, 2, PROGRAM_CHANGE | channel, track.program, 0]])
    on_rows, off_rows = np.empty((n, 6), np.int64), np.empty((n, 6), np.int64)
    on_rows[:, 0] = notes["onset_tick"]
    off_rows[:, 0] = on_rows[:, 0] + notes["duration_tick"]
    off_rows[:, 1:4] = (4, 3, 0x80 | channel)
    on_rows[:, 1:4] = (5, 3, 0x90 | channel)
    on_rows[:, 4] = off_rows[:, 4] = notes["pitch"]
    on_rows[:, 5] = notes["velocity"]
    off_rows[:, 5] = 64
    return np.concatenate(
        [control_rows[:program_at], program_row, control_rows[program_at:], off_rows, on_rows]
    )


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


def _join_events(head: list[tuple[int, int, bytes]], messages: np.ndarray, end_tick: int) -> bytes:
    """A chunk's bytes: events of any length (tick, order, bytes) and channel messages, merged by time."""
    rows = np.zeros((len(head) + len(messages), 6), np.int64)
    rows[: len(head), :2] = [event[:2] for event in head] or np.zeros((0, 2))
    rows[len(head) :] = messages
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows = rows[order]
    tick = rows[:, 0]
    delta = np.diff(tick, prepend=0)
    # Four columns of a delta time and three of a message; the mask tells which of them are written.
    table = np.empty((len(rows), 7), np.uint8)
    table[:, 0] = delta >> 21 & 0x7F | 0x80
    table[:, 1] = delta >> 14 & 0x7F | 0x80
    table[:, 2] = delta >> 7 & 0x7F | 0x80
    table[:, 3] = delta & 0x7F
    table[:, 4:] = rows[:, 3:]
    written = np.ones(table.shape, bool)
    written[:, :3] = delta[:, None] >= (1 << 21, 1 << 14, 1 << 7)
    written[:, 4:] = np.arange(3) < rows[:, 2, None]
    short = table[written].tobytes()
    parts: list[bytes] = []
    done = 0
    if head:
        # Behind the delta time of each event of any length stands its body.
        ends = np.cumsum(written.sum(axis=1))
        for row in np.flatnonzero(order < len(head)).tolist():
            stop = int(ends[row])
            parts += (short[done:stop], head[order[row]][2])
            done = stop
    parts.append(short[done:])
    now = int(tick[-1]) if len(rows) else 0
    parts.append(_encode_variable_length(max(end_tick - now, 0)))
    parts.append(b"\xff\x2f\x00")
    return b"".join(parts)


def _encode_variable_length(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
