"""Play a schedule through a synthesizer, until the last sound has died away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.render.fluidsynth import BLOCK_FRAMES, Synthesizer
from segue.render.schedule import Schedule

#: The end of a sound: this far below the piece's peak.
_QUIET = 10 ** (-60 / 20)
#: The tail is rendered and judged in steps of this length.
_STEP_S = 0.25
#: Fade at the end: of a tail that has died away, and of one that has to be cut.
_SHORT_FADE_S, _LONG_FADE_S = 0.05, 1.0


@dataclass(frozen=True)
class Sound:
    """What a synthesizer played: float32, shape (frames, 2), a whole number of 64-frame blocks."""

    audio: np.ndarray
    tail_seconds: float
    #: True when the tail still rang at its limit and was faded out.
    cut_tail: bool
    #: Notes for which the SoundFont has nothing.
    refused_notes: int


def play(synth: Synthesizer, schedule: Schedule, sample_rate: int, tail_s: float) -> Sound:
    """Render a schedule from time zero on.

    After the last note-off the sound may ring on for `tail_s` seconds, and events that come then (a pedal
    that is lifted late) still count. The file ends when the sound has fallen 60 dB below its peak.
    """
    for slot in range(len(schedule.slots)):
        synth.set_drums(slot, schedule.is_drum(slot))
    step = _whole_blocks(_STEP_S * sample_rate)
    end = schedule.end_frame + BLOCK_FRAMES
    limit = end + _whole_blocks(tail_s * sample_rate)
    audio = np.empty((limit, 2), np.float32)
    events = schedule.events[schedule.events["frame"] < limit]
    refused = 0
    at = 0
    columns = (events[name].tolist() for name in ("frame", "status", "slot", "data1", "data2"))
    pending = zip(*columns, strict=True)
    event = next(pending, None)
    peak = 0.0
    while at < limit:
        stop = min(end if at < end else at + step, limit)
        first = at
        while event is not None and event[0] < stop:
            if event[0] > at:
                synth.write(audio, at, event[0])
                at = event[0]
            if not synth.send(*event[1:]) and event[1] == 0x90:
                refused += 1
            event = next(pending, None)
        synth.write(audio, at, stop)
        at = stop
        loudest = _peak(audio[first:stop])
        peak = max(peak, loudest)
        if first >= end and loudest <= peak * _QUIET:
            break
    audio = audio[:at]
    cut = at == limit and _peak(audio[-step:]) > peak * _QUIET
    length = at if cut else _sound_length(audio, peak * _QUIET, step)
    audio = audio[:length]
    fade_s = min(_LONG_FADE_S, tail_s) if cut else _SHORT_FADE_S
    _fade_out(audio, max(_whole_blocks(fade_s * sample_rate), BLOCK_FRAMES))
    return Sound(audio, max(length - end, 0) / sample_rate, cut, refused)


def _whole_blocks(frames: float) -> int:
    return round(frames / BLOCK_FRAMES) * BLOCK_FRAMES


def _peak(audio: np.ndarray) -> float:
    return max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))


def _sound_length(audio: np.ndarray, quiet: float, step: int) -> int:
    """Frames up to the last one that is louder than `quiet`, in whole blocks, and at least one block."""
    for stop in range(len(audio), 0, -step):
        start = max(stop - step, 0)
        loud = np.flatnonzero((np.abs(audio[start:stop]) > quiet).any(axis=1))
        if len(loud):
            return min(-(-(start + int(loud[-1]) + 1) // BLOCK_FRAMES) * BLOCK_FRAMES, len(audio))
    return BLOCK_FRAMES


def _fade_out(audio: np.ndarray, frames: int) -> None:
    """Let the last `frames` fall to zero, half a cosine wide."""
    frames = min(frames, len(audio))
    curve = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, frames))
    audio[-frames:] *= curve.astype(np.float32)[:, None]
