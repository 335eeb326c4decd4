"""Integrated loudness and true peak of stereo audio, in blocks of 64 frames.

Conventions
-----------
- Audio is float32, shape (frames, 2), full scale 1.0; loudness is in LUFS, true peak in dBTP.
- A *block* is 64 frames. Power and peaks are kept per block, so that a gain that changes slowly can be
  applied to them afterwards without filtering the audio again.

Sources: ITU-R BS.1770-4 (K weighting, gating, true peak by 4x oversampling); the K filter at other rates than
48 kHz from its analogue parameters, after B. De Man, "Evaluation of Implementations of the EBU R128 Loudness
Measurement", AES 145th Convention, 2018.

Only NumPy: the usual packages for this import scipy.signal, which takes 1.4 s, and keep float64
copies of the audio, half a gigabyte for ten minutes. The tests compare with them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from segue.render.fluidsynth import BLOCK_FRAMES

#: Loudness is gated in windows of 400 ms that begin every 100 ms; quieter ones than -70 LUFS never count.
GATE_SECONDS, HOP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
_OFFSET_LUFS = -0.691
_FFT_FRAMES = 32768

_PHASES, _HALF_TAPS = 4, 6


def _biquads(sample_rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator of the two second-order sections of the K filter."""
    k = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    shelf_b = np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k])
    shelf_a = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    k = math.tan(math.pi * 38.13547087602444 / sample_rate)
    q = 0.5003270373238773
    pass_a = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return [(shelf_b, shelf_a), (np.array([1.0, -2.0, 1.0]) * pass_a[0], pass_a)]


@lru_cache(maxsize=4)
def _k_spectrum(sample_rate: int) -> tuple[np.ndarray, int]:
    """The K filter's response at the FFT's bins, and the length in frames of its impulse response.

    The impulse response falls below -150 dB within 85 ms, so a finite one is the filter.
    """
    size = _FFT_FRAMES
    z = np.exp(-2j * np.pi * np.arange(size) / size)
    response = np.ones(size, complex)
    for b, a in _biquads(sample_rate):
        response *= (b[0] + b[1] * z + b[2] * z * z) / (a[0] + a[1] * z + a[2] * z * z)
    length = 1 << math.ceil(math.log2(0.085 * sample_rate))
    impulse = np.fft.ifft(response).real
    impulse[length:] = 0
    return np.fft.fft(impulse).astype(np.complex64), length


def block_power(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """K-weighted energy of each block, both channels added: float64, shape (blocks,).

    `audio` has a whole number of blocks. Overlap-save convolution; left and right are the real and the
    imaginary part of one complex signal, which a real filter keeps apart.
    """
    spectrum, length = _k_spectrum(sample_rate)
    signal = audio.view(np.complex64)[:, 0]
    hop = _FFT_FRAMES - length
    power = np.zeros(len(signal) // BLOCK_FRAMES)
    window = np.zeros(_FFT_FRAMES, np.complex64)
    for start in range(0, len(signal), hop):
        stop = min(start + hop, len(signal))
        before = min(start, length)
        window[:] = 0
        window[length - before : length + stop - start] = signal[start - before : stop]
        weighted = np.fft.ifft(np.fft.fft(window) * spectrum)[length : length + stop - start]
        squares = weighted.view(np.float32).reshape(-1, BLOCK_FRAMES * 2)
        power[start // BLOCK_FRAMES : stop // BLOCK_FRAMES] = np.square(squares).sum(axis=1)
    return power


def integrated_loudness(power: np.ndarray, sample_rate: int) -> float | None:
    """Gated loudness in LUFS from `block_power`; None when nothing is louder than the absolute gate.

    Music shorter than one 400 ms window is measured as if silence followed. Windows begin at the block
    that is nearest to each 100 ms.
    """
    window = round(GATE_SECONDS * sample_rate / BLOCK_FRAMES)
    if len(power) < window:
        power = np.concatenate([power, np.zeros(window - len(power))])
    count = int((len(power) - window) * BLOCK_FRAMES / (HOP_SECONDS * sample_rate)) + 1
    start = np.round(np.arange(count) * (HOP_SECONDS * sample_rate / BLOCK_FRAMES)).astype(np.int64)
    total = np.concatenate([[0.0], np.cumsum(power)])
    mean = np.maximum(total[np.minimum(start + window, len(power))] - total[start], 0) / (
        window * BLOCK_FRAMES
    )
    kept = mean[mean > 10 ** ((ABSOLUTE_GATE_LUFS - _OFFSET_LUFS) / 10)]
    if not len(kept):
        return None
    kept = kept[kept > kept.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return _OFFSET_LUFS + 10 * math.log10(kept.mean())


@lru_cache(maxsize=1)
def _interpolator() -> np.ndarray:
    """Taps of the three phases between two samples: float32, shape (3, 12), a Kaiser-windowed sinc."""
    offsets = np.arange(-_HALF_TAPS + 1, _HALF_TAPS + 1)
    taps = []
    for phase in range(1, _PHASES):
        t = offsets - phase / _PHASES
        window = np.i0(6.0 * np.sqrt(1 - (t / (_HALF_TAPS + 0.5)) ** 2)) / np.i0(6.0)
        kernel = np.sinc(t) * window
        taps.append(kernel / kernel.sum())
    return np.array(taps, np.float32)


def overshoot_bound() -> float:
    """The most by which a true peak can exceed the greatest sample near it (a factor)."""
    return float(np.abs(_interpolator()).sum(axis=1).max())


def sample_peaks(audio: np.ndarray) -> np.ndarray:
    """Greatest absolute sample of each block, both channels: float32, shape (blocks,)."""
    peaks = np.empty(len(audio) // BLOCK_FRAMES, np.float32)
    flat = audio.reshape(-1, BLOCK_FRAMES * 2)
    for start in range(0, len(flat), 4096):
        peaks[start : start + 4096] = np.abs(flat[start : start + 4096]).max(axis=1)
    return peaks


def true_peaks(audio: np.ndarray, peaks: np.ndarray, threshold: float) -> np.ndarray:
    """True peak of each block: float32, shape (blocks,).

    Exact where it could exceed `threshold`; elsewhere the sample peak, which no one needs more exactly. The
    interpolated points after a block's last frame count for the block.
    """
    result = peaks.copy()
    near = peaks.copy()
    near[1:] = np.maximum(near[1:], peaks[:-1])
    near[:-1] = np.maximum(near[:-1], peaks[1:])
    wanted = np.flatnonzero(near * overshoot_bound() > threshold)
    taps = _interpolator()
    reach = np.arange(-_HALF_TAPS + 1, BLOCK_FRAMES + _HALF_TAPS)
    for start in range(0, len(wanted), 2048):
        some = wanted[start : start + 2048]
        index = some[:, None] * BLOCK_FRAMES + reach
        context = audio[np.clip(index, 0, len(audio) - 1)]
        for phase in taps:
            value = context[:, :BLOCK_FRAMES] * phase[0]
            for i in range(1, len(phase)):
                value += context[:, i : i + BLOCK_FRAMES] * phase[i]
            result[some] = np.maximum(result[some], np.abs(value).max(axis=(1, 2)))
    return result
