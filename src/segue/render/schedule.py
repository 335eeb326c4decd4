"""From a score to the list of events that a synthesizer gets, in order, with their time in frames.

Conventions
-----------
- Every (MIDI channel, program) that plays notes gets a synthesizer channel of its own, a *slot*, so that
  more than 16 instruments, or several programs on one MIDI channel, sound together.
- Controls of a MIDI channel (pedal, volume, expression, bend, RPN ...) go to all its slots; program changes
  and bank selects of a track go to the slot of that track only. Those of a track without notes go to all.
- Order at one tick: program, controls, note-offs, note-ons, as in `segue.midi.write_midi`, so the audio and
  the MIDI file tell the same.
- Time is rounded to FluidSynth's blocks of 64 frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.render.fluidsynth import BLOCK_FRAMES
from segue.score import CONTROL_CHANGE, DRUM_CHANNEL, PROGRAM_CHANGE, Score, Track, seconds_from_ticks

#: One event: frame (a multiple of 64), MIDI status nibble, slot, data bytes.
EVENT = np.dtype([("frame", "<i8"), ("status", "u1"), ("slot", "<i2"), ("data1", "u1"), ("data2", "u1")])

_BANK_SELECT = (0, 32)
#: Omni, mono and poly mode concern a whole MIDI instrument, not one part of it, and are not sent.
_FIRST_MODE_CONTROLLER = 124
_ORDER = {"program": 0, "control": 1, "program again": 2, "off": 3, "on": 4}


@dataclass(frozen=True)
class Schedule:
    """What to play: events in order (EVENT array), the slots, and the frame of the last note-off."""

    events: np.ndarray
    #: (MIDI channel, program) of each slot.
    slots: tuple[tuple[int, int], ...]
    notes: int
    end_frame: int

    def is_drum(self, slot: int) -> bool:
        """True for a slot that stands for the percussion channel."""
        return self.slots[slot][0] == DRUM_CHANNEL


def make_schedule(score: Score, sample_rate: int) -> Schedule:
    """The events of a score for a synthesizer at `sample_rate` Hz."""
    played = [t for t in score.tracks if t.channel is not None and len(t.notes)]
    slots = tuple(sorted({(t.channel, t.program) for t in played}))
    number = {key: i for i, key in enumerate(slots)}
    parts = [_program_events(slots, played)]
    parts += [_control_events(t, number) for t in score.tracks if t.channel is not None and len(t.controls)]
    parts.append(_note_events(played, number))
    rows = np.concatenate([p for p in parts if len(p)] or [np.zeros((0, 6), np.int64)])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    frames = seconds_from_ticks(score, rows[:, 0]) * sample_rate
    events = np.zeros(len(rows), EVENT)
    # Rounded a little first, so that a tempo map's rounding noise never decides on a block.
    events["frame"] = np.round(np.round(frames, 3) / BLOCK_FRAMES).astype(np.int64) * BLOCK_FRAMES
    for column, name in enumerate(("status", "slot", "data1", "data2"), start=2):
        events[name] = rows[:, column]
    offs = events["frame"][events["status"] == 0x80]
    notes = sum(len(t.notes) for t in played)
    return Schedule(events, slots, notes, int(offs.max()) if len(offs) else 0)


def _rows(count: int, order: str, status: int) -> np.ndarray:
    """Columns: tick, order at the tick, status, slot, data1, data2."""
    rows = np.zeros((count, 6), np.int64)
    rows[:, 1], rows[:, 2] = _ORDER[order], status
    return rows


def _program_events(slots: tuple[tuple[int, int], ...], played: list[Track]) -> np.ndarray:
    """The program of each slot at the start, and again after the bank selects that precede its first note."""
    rows = _rows(len(slots), "program", PROGRAM_CHANGE)
    rows[:, 3] = np.arange(len(slots))
    rows[:, 4] = [program for _, program in slots]
    again = rows.copy()
    again[:, 1] = _ORDER["program again"]
    keep = np.zeros(len(slots), bool)
    for i, key in enumerate(slots):
        for track in played:
            if (track.channel, track.program) != key:
                continue
            c = track.controls
            bank = (c["status"] == CONTROL_CHANGE) & np.isin(c["data1"], _BANK_SELECT)
            changes = c["tick"][c["status"] == PROGRAM_CHANGE]
            first_note = int(track.notes["onset_tick"][0])
            last = min([first_note, *(changes - 1).tolist()])
            ticks = c["tick"][bank & (c["tick"] <= last)]
            if len(ticks):
                again[i, 0] = max(int(again[i, 0]), int(ticks.max()))
                keep[i] = True
    return np.concatenate([rows, again[keep]])


def _control_events(track: Track, number: dict[tuple[int, int], int]) -> np.ndarray:
    controls = track.controls
    is_control = controls["status"] == CONTROL_CHANGE
    controls = controls[~is_control | (controls["data1"] < _FIRST_MODE_CONTROLLER)]
    is_control = controls["status"] == CONTROL_CHANGE
    own = (controls["status"] == PROGRAM_CHANGE) | (is_control & np.isin(controls["data1"], _BANK_SELECT))
    parts = []
    for key, slot in number.items():
        if key[0] != track.channel:
            continue
        is_own_slot = not len(track.notes) or key[1] == track.program
        chosen = controls if is_own_slot else controls[~own]
        rows = _rows(len(chosen), "control", 0)
        rows[:, 0], rows[:, 3] = chosen["tick"], slot
        for column, name in ((2, "status"), (4, "data1"), (5, "data2")):
            rows[:, column] = chosen[name]
        parts.append(rows)
    return np.concatenate(parts) if parts else np.zeros((0, 6), np.int64)


def _note_events(played: list[Track], number: dict[tuple[int, int], int]) -> np.ndarray:
    """Note-ons and note-offs; of overlapping notes of one pitch in one slot the last release counts."""
    count = sum(len(t.notes) for t in played)
    on, off = _rows(count, "on", 0x90), _rows(count, "off", 0x80)
    if not count:
        return on
    notes = np.concatenate([t.notes for t in played])
    on[:, 0] = notes["onset_tick"]
    off[:, 0] = notes["onset_tick"].astype(np.int64) + notes["duration_tick"]
    on[:, 3] = off[:, 3] = np.repeat(
        [number[t.channel, t.program] for t in played], [len(t.notes) for t in played]
    )
    on[:, 4] = off[:, 4] = notes["pitch"]
    on[:, 5] = notes["velocity"]
    rows = np.concatenate([on, off])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0], rows[:, 4], rows[:, 3]))]
    sounding = np.cumsum(np.where(rows[:, 2] == 0x90, 1, -1))
    # Every voice (slot, pitch) begins and ends at zero, so one running sum over all of them will do. A
    # release is left out while another note of its voice sounds: it would cut that one short.
    return rows[(rows[:, 2] == 0x90) | (sounding == 0)]
