"""Bring a piece to its loudness: one gain for the whole piece, and a limiter for the peaks that stand out.

The limiter works on blocks of 64 frames and in whole 1/1024 dB, so that its result does not depend on how a
machine rounds. It looks 6 ms ahead, holds 12 ms (half a period of 41 Hz, so that low notes are not bent) and
recovers by 200 dB a second; its attenuation is smooth in dB. Music that needs no limiting is only multiplied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segue.render.fluidsynth import BLOCK_FRAMES
from segue.render.loudness import block_power, integrated_loudness, sample_peaks, true_peaks

#: Levels are whole numbers of this many parts of a dB.
_PARTS = 1024
#: More limiting than this is heard; beyond it the piece stays softer than its target.
MAX_REDUCTION_DB = 15.0
#: Gain, beyond what the loudness asks for, that makes up for what the limiter takes: tried in this order,
#: since the first is enough for most music and needs the true peak of fewer blocks.
_MAKEUP_DB = (3.0, 12.0)
_LOOKAHEAD_S, _HOLD_S, _RELEASE_DB_PER_S = 0.006, 0.012, 200.0
#: Kept under the limit: other meters interpolate a little differently, rounding to 16 bit adds a little, and
#: a lossy file's peaks differ from those that went in (by up to 0.4 dB on 13 songs and grooves).
MARGIN_DB, LOSSY_MARGIN_DB = 0.1, 0.6
#: Below this (-120 dBFS) no sample sounds.
_SILENCE = 1e-6
_TABLE = (10.0 ** (-np.arange(64 * _PARTS + 1) / (20 * _PARTS))).astype(np.float32)


@dataclass(frozen=True)
class Mastering:
    """What was done to a piece's level. Loudness None: nothing could be measured."""

    measured_lufs: float | None
    reached_lufs: float | None
    gain_db: float
    true_peak_dbtp: float | None
    limited_db: float
    #: Share of the time in which the limiter took more than half a dB.
    limited_share: float
    note: str | None


def master(
    audio: np.ndarray, sample_rate: int, target_lufs: float | None, gain_db: float, ceiling_dbtp: float
) -> Mastering:
    """Set the level of `audio` in place: float32, shape (frames, 2), a whole number of 64-frame blocks.

    With `target_lufs` the integrated loudness becomes that (`gain_db` is then not used); with None the gain
    is `gain_db`. The true peak stays under `ceiling_dbtp` either way.
    """
    peaks = sample_peaks(audio)
    if not len(peaks) or peaks.max() < _SILENCE:
        return Mastering(None, None, 0.0, None, 0.0, 0.0, "the music is silent: its level is left as it is")
    power = block_power(audio, sample_rate)
    if target_lufs is None:
        gain = round(_PARTS * gain_db)
    else:
        gain = _plain_gain(power, float(peaks.max()), target_lufs, sample_rate)
    synthesizer_lufs = _loudness(power, gain, sample_rate)
    measured = None if synthesizer_lufs is None else synthesizer_lufs - gain / _PARTS
    note = envelope = None
    plain_gain = gain
    for makeup_db in _MAKEUP_DB:
        threshold = 10 ** ((ceiling_dbtp - plain_gain / _PARTS - makeup_db) / 20)
        tops = np.maximum(true_peaks(audio, peaks, threshold), 1e-9)
        need = np.ceil(_PARTS * (20 * np.log10(tops) - ceiling_dbtp)).astype(np.int64)
        if need.max() + plain_gain <= 0:
            break
        if target_lufs is not None:
            most = plain_gain + round(makeup_db * _PARTS)
            gain, note = _search_gain(power, need, plain_gain, most, target_lufs, sample_rate)
        envelope = attenuation(need + gain, sample_rate)
        if note is None:
            break
    _apply(audio, gain, envelope)
    if envelope is None:
        reached = synthesizer_lufs
    else:
        reached = integrated_loudness(block_power(audio, sample_rate), sample_rate)
    peaks = sample_peaks(audio)
    top = float(true_peaks(audio, peaks, float(peaks.max())).max())
    return Mastering(
        measured_lufs=measured,
        reached_lufs=reached,
        gain_db=gain / _PARTS,
        true_peak_dbtp=20 * math.log10(top) if top > 0 else None,
        limited_db=0.0 if envelope is None else float(envelope.max()) / _PARTS,
        limited_share=0.0 if envelope is None else float((envelope > _PARTS // 2).mean()),
        note=note,
    )


def _loudness(power: np.ndarray, gain: int, sample_rate: int) -> float | None:
    return integrated_loudness(power * 10 ** (gain / (10 * _PARTS)), sample_rate)


def _plain_gain(power: np.ndarray, peak: float, target_lufs: float, sample_rate: int) -> int:
    """The gain, in 1/1024 dB, that alone makes the loudness; again, since the absolute gate moves with it."""
    gain = round(-20 * _PARTS * math.log10(peak))
    for _ in range(4):
        loudness = _loudness(power, gain, sample_rate)
        if loudness is None:
            break
        gain += round(_PARTS * (target_lufs - loudness))
    return gain


def _search_gain(
    power: np.ndarray, need: np.ndarray, gain: int, most: int, target_lufs: float, sample_rate: int
) -> tuple[int, str | None]:
    """The gain in 1/1024 dB, up to `most`, that makes the limited audio as loud as the target, and a note."""
    most = min(most, round(MAX_REDUCTION_DB * _PARTS) - int(need.max()))
    gain = min(gain, most)
    for _ in range(20):
        linear = _linear(attenuation(need + gain, sample_rate)).astype(np.float64)
        left, right = linear[:-1], linear[1:]
        energy = power * ((left * left + left * right + right * right) / 3)
        loudness = _loudness(energy, gain, sample_rate)
        if loudness is None:
            break
        step = round(_PARTS * (target_lufs - loudness))
        if abs(step) <= _PARTS // 100:
            return gain, None
        if step > 0 and gain == most:
            break
        gain = min(gain + step, most)
    if gain < most:
        return gain, None
    return gain, "the peaks stand out too far for the limiter: the piece is softer than the target"


def attenuation(need: np.ndarray, sample_rate: int) -> np.ndarray:
    """The limiter's attenuation at the borders of the blocks, whole 1/1024 dB, int64, shape (blocks + 1,).

    `need` (blocks,): what each block needs at least, in the same unit; not positive where it needs nothing.
    Between two borders the gain runs straight, so both borders of a block take at least its need.
    """
    block_s = BLOCK_FRAMES / sample_rate
    ahead = max(round(_LOOKAHEAD_S / block_s), 2)
    hold = max(round(_HOLD_S / block_s), 1)
    slope = round(_RELEASE_DB_PER_S * block_s * _PARTS)
    pad = np.zeros(1, np.int64)
    need = np.maximum(need, 0)
    level = np.maximum(np.concatenate([pad, need]), np.concatenate([need, pad]))
    level = _trailing_max(level, hold)
    fall = slope * np.arange(len(level))
    level = np.maximum(np.maximum.accumulate(level + fall) - fall, 0)
    # The greatest of the next `ahead` blocks, then two running means that together look back as far.
    level = _trailing_max(level[::-1], ahead)[::-1]
    first = ahead // 2 + 1
    for width in (first, ahead - first + 1):
        # Rounded up, so that the mean never takes less than it must.
        total = np.cumsum(np.concatenate([np.full(width, level[0]), level]))
        level = -(-(total[width:] - total[:-width]) // width)
    return level


def _trailing_max(values: np.ndarray, width: int) -> np.ndarray:
    """The greatest of each value and the `width - 1` before it."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = np.concatenate([values[:step], np.maximum(values[step:], values[:-step])])
        done += step
    return values


def _linear(attenuated: np.ndarray) -> np.ndarray:
    return _TABLE[np.minimum(attenuated, len(_TABLE) - 1)]


def _apply(audio: np.ndarray, gain: int, envelope: np.ndarray | None) -> None:
    factor = np.float32(10 ** (gain / (20 * _PARTS)))
    blocks = audio.reshape(-1, BLOCK_FRAMES, 2)
    ramp = (np.arange(BLOCK_FRAMES, dtype=np.float32) / BLOCK_FRAMES)[None, :]
    for start in range(0, len(blocks), 1024):
        part = blocks[start : start + 1024]
        if envelope is None:
            part *= factor
            continue
        nodes = _linear(envelope[start : start + len(part) + 1]) * factor
        part *= (nodes[:-1, None] + (nodes[1:] - nodes[:-1])[:, None] * ramp)[:, :, None]
