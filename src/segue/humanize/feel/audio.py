"""The feel of a recording: onsets from its sound, and the tempo and bars that they keep to.

Onsets are peaks of the spectral flux (Böck and Widmer, "Maximum filter vibrato suppression for onset
detection", DAFx 2013, as librosa has it) at a hop of 64 samples, less a constant bias that was measured on
takes with known onsets (`python -m benchmarks.feel`). Which drum sounds is not told apart, so the feel knows
places alone, and how loud each is it does not know.

The tempo must be steady. Unless it is given, it is the one on whose beats and sixteenths the onsets agree
best; unless the first downbeat is given, the first onset is on one, and the grid lies where the onsets are in
time on average, as nothing else tells early from late.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from segue.humanize.feel import Feel, Moments
from segue.humanize.feel.extract import FEWEST_HITS, feel_of
from segue.score import TICKS_PER_QUARTER, Meter, Score, Tempo, Track, make_notes
from segue.stage import StageError

RATE = 44100
HOP = 64
FFT = 256
BANDS = 24
#: What onsets are found too late by, in ms: measured, see above.
BIAS_MS = 0.1
#: A peak counts that stands this far above its surroundings, as a share of the highest, ...
PEAK = 0.1
#: ... is the highest within so many ms, and comes this long after the last one.
PEAK_MS, SURROUNDINGS_MS, APART_MS = 20, 100, 30
#: No more than this of a recording is listened to, so much at a time.
MOST_S, PART_S = 600, 30
#: Tempos that are looked for, around the one that listeners tap most readily, and how far from it in octaves
#: a tempo is half as likely.
SLOWEST_BPM, FASTEST_BPM, USUAL_BPM, OCTAVES = 50, 220, 115, 0.9
#: So much is searched for them, and what is found may be wrong by this share.
SEARCHED_S, CLOSE = 60, 0.005
#: So many pairs of a tempo and an onset are compared at a time.
PART_SIZE = 1_000_000


def feel_from_audio(
    data: bytes,
    name: str,
    bpm: float | None = None,
    first_downbeat_s: float | None = None,
    meter: Meter | None = None,
) -> Feel:
    """The feel of the performance in a WAV or FLAC file. Raises `StageError`."""
    audio, rate = read_audio(data)
    onsets, strength = find_onsets(audio, rate)
    if len(onsets) < FEWEST_HITS:
        raise StageError(
            f"only {len(onsets)} hits are heard in it, too few for a feel; name a longer recording"
        )
    quarter_s = 60 / bpm if bpm else find_quarter(onsets, strength)
    start_s = find_downbeat(onsets, strength, quarter_s) if first_downbeat_s is None else first_downbeat_s
    score = score_of(onsets, quarter_s, start_s, meter or Meter(0, 4, 4))
    feel = feel_of(score, name, "audio")
    unknown = np.full(feel.count.shape, np.nan)
    return replace(feel, velocity=Moments(unknown, unknown))


def read_audio(data: bytes) -> tuple[np.ndarray, int]:
    """One channel of sound, float32, and its sample rate."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
            audio = file.read(MOST_S * rate, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise StageError(f"it is no WAV or FLAC file that can be read ({reason})") from error
    return np.nan_to_num(audio.mean(1)), rate


def find_onsets(audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and strengths of the onsets in a sound (samples,), (n,) each."""
    import librosa

    if rate != RATE:
        audio = librosa.resample(audio, orig_sr=rate, target_sr=RATE)
    if len(audio) < FFT or not np.any(audio):
        return np.zeros(0), np.zeros(0)
    audio = audio / np.abs(audio).max()
    bands = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS)
    padded = np.pad(audio, FFT // 2)
    parts = []
    frames = 1 + (len(padded) - FFT) // HOP
    step = PART_S * RATE // HOP
    for first in range(0, frames, step):
        # Parts, because the spectrum of ten minutes at this hop takes a gigabyte.
        part = padded[first * HOP : (min(first + step, frames) - 1) * HOP + FFT]
        power = np.abs(librosa.stft(part, n_fft=FFT, hop_length=HOP, center=False)) ** 2
        parts.append(librosa.power_to_db(bands @ power, amin=1e-6, top_db=None))
    flux = librosa.onset.onset_strength(
        S=np.concatenate(parts, axis=1), sr=RATE, hop_length=HOP, center=False
    )
    near, wide, apart = (round(ms / 1000 * RATE / HOP) for ms in (PEAK_MS, SURROUNDINGS_MS, APART_MS))
    peaks = librosa.onset.onset_detect(
        onset_envelope=flux,
        sr=RATE,
        hop_length=HOP,
        delta=PEAK,
        wait=apart,
        pre_max=near,
        post_max=near,
        pre_avg=wide,
        post_avg=wide,
    )
    return np.maximum(peaks * HOP / RATE - BIAS_MS / 1000, 0.0), flux[peaks]


def agreement(onsets: np.ndarray, strength: np.ndarray, period_s: np.ndarray) -> np.ndarray:
    """How well onsets (n,) agree on a grid of each period (m,), in [0, 1], (m,); 1: all on one grid."""
    turns = np.exp(2j * np.pi * onsets[None] / period_s[:, None])
    return np.abs(turns @ strength) / strength.sum()


def find_quarter(onsets: np.ndarray, strength: np.ndarray) -> float:
    """The length of a quarter in seconds that fits onsets (n,) of some strength (n,) best.

    Looked for among all tempos in the first minute, and in the whole close to what is found there.
    """
    first = max(int(np.searchsorted(onsets, onsets[0] + SEARCHED_S, "right")), FEWEST_HITS)
    quarter_s = _best_quarter(onsets[:first], strength[:first], SLOWEST_BPM, FASTEST_BPM)
    if first >= len(onsets):
        return quarter_s
    return _best_quarter(onsets, strength, 60 / quarter_s / (1 + CLOSE), 60 / quarter_s * (1 + CLOSE))


def _best_quarter(onsets: np.ndarray, strength: np.ndarray, slowest: float, fastest: float) -> float:
    """The quarter in seconds of those from `slowest` to `fastest`, in bpm, that fits the onsets best."""
    length = onsets[-1] - onsets[0]
    # From one to the next the last onset moves by a twentieth of a sixteenth.
    count = int(np.ceil(np.log(fastest / slowest) * length * fastest / 60 * 4 * 20))
    bpm = np.geomspace(slowest, fastest, max(count, 2))
    score = np.zeros(len(bpm))
    # Parts, as all together would not fit into memory.
    for part in np.array_split(np.arange(len(bpm)), len(bpm) * len(onsets) // PART_SIZE + 1):
        quarter = 60 / bpm[part]
        score[part] = sum(agreement(onsets, strength, quarter / k) for k in (1, 2, 4))
    usual = 0.5 ** ((np.log2(bpm / USUAL_BPM) / OCTAVES) ** 2)
    return float(60 / bpm[np.argmax(score * usual)])


def find_downbeat(onsets: np.ndarray, strength: np.ndarray, quarter_s: float) -> float:
    """The second of a bar line: at the first onset, moved to where the sixteenths are on average."""
    sixteenth = quarter_s / 4
    turn = np.angle(np.exp(2j * np.pi * onsets / sixteenth) @ strength) / (2 * np.pi)
    first = onsets[0] / sixteenth - turn
    return float((np.rint(first) + turn) * sixteenth)


def score_of(onsets: np.ndarray, quarter_s: float, downbeat_s: float, meter: Meter) -> Score:
    """Onsets (n,) in seconds as the notes of a score whose bars begin at `downbeat_s`."""
    ticks = (onsets - downbeat_s) / quarter_s * TICKS_PER_QUARTER
    # Whole bars before the downbeat, so that no note lies before the score.
    bars = max(int(np.ceil(-ticks.min() / meter.bar_ticks)), 0) if len(ticks) else 0
    onset = np.rint(ticks + bars * meter.bar_ticks).astype(np.int64)
    notes = make_notes(onset, np.ones(len(onset)), np.full(len(onset), 60), 64)
    return Score((Track(notes=notes),), (Tempo(0, round(quarter_s * 1e6)),), (meter,))
