"""Feels from recordings: sounds made here, at known times."""

import io

import numpy as np
import pytest
import soundfile

from segue.cli import main
from segue.humanize.feel.audio import feel_from_audio, find_downbeat, find_onsets, find_quarter, read_audio
from segue.humanize.feel.file import feel_from_json
from segue.score import Meter
from segue.stage import StageError

RATE = 44100


def sound_of(seconds, rate=RATE, channels=1, kind="WAV", seed=0):
    """The bytes of a recording with a short burst of noise at each of `seconds`."""
    rng = np.random.default_rng(seed)
    audio = rng.normal(0, 1e-4, (int((max(seconds) + 1) * rate), channels))
    length = int(0.08 * rate)
    decay = np.exp(-np.arange(length) / (0.015 * rate))[:, None]
    for second in seconds:
        at = round(second * rate)
        audio[at : at + length] += 0.4 * decay * rng.normal(0, 1, (length, 1))
    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1), rate, format=kind)
    return file.getvalue()


def loop(bpm, late_ms, bars=8, start=0.5):
    """Seconds of eighths, every second one `late_ms` behind."""
    seconds = start + np.arange(bars * 8) * 30 / bpm
    seconds[1::2] += late_ms / 1000
    return seconds


@pytest.mark.parametrize(
    ("rate", "kind", "channels"), [(44100, "WAV", 1), (48000, "FLAC", 2), (22050, "WAV", 2)]
)
def test_onsets_are_found_to_the_millisecond(rate, kind, channels):
    seconds = np.cumsum(np.random.default_rng(1).uniform(0.1, 0.4, 60))
    found, strength = find_onsets(*read_audio(sound_of(seconds, rate, channels, kind)))
    assert len(found) == len(strength) == 60
    error = (found - seconds) * 1000
    # What the bias leaves depends on how suddenly a sound begins; these begin at once.
    assert np.abs(np.median(error)) < 2
    assert np.abs(error - np.median(error)).mean() < 0.6


def test_long_recordings_are_heard_in_parts():
    seconds = np.arange(1, 75) * 1.0
    found, _ = find_onsets(*read_audio(sound_of(seconds)))
    assert len(found) == 74
    assert np.abs(found - seconds).max() < 0.004


@pytest.mark.parametrize("bpm", [96.5, 110, 128, 150])
def test_tempo_and_bars_are_found(bpm):
    seconds = loop(bpm, 6)
    quarter = find_quarter(seconds, np.ones(len(seconds)))
    assert 60 / quarter == pytest.approx(bpm, rel=0.002)
    downbeat = find_downbeat(seconds, np.ones(len(seconds)), quarter)
    assert downbeat == pytest.approx(0.503, abs=0.001), "as far before one eighth as behind the other"


def test_the_tempo_of_a_long_recording_is_found_to_its_end():
    seconds = np.arange(4800) * 0.1253 + np.random.default_rng(0).normal(0, 0.008, 4800)
    quarter = find_quarter(np.sort(seconds), np.ones(4800))
    assert quarter == pytest.approx(4 * 0.1253, rel=2e-5), "less than a sixteenth of drift in ten minutes"


def test_the_feel_of_a_recording():
    data = sound_of(loop(120, 15))
    feel = feel_from_audio(data, "take", 120, 0.5)
    assert (feel.source, feel.meter, feel.bpm) == ("audio", Meter(0, 4, 4), 120.0)
    assert not feel.knows_drums
    timing = feel.timing.mean[:, 0]
    assert timing[::12] == pytest.approx(0, abs=2)
    assert timing[6::12] - timing[::12] == pytest.approx(15, abs=0.5)
    assert np.isnan(feel.velocity.mean).all()
    alone = feel_from_audio(data, "take")
    assert alone.bpm == pytest.approx(120, abs=0.2)
    heard = alone.timing.mean[:, 0]
    assert heard[6::12] - heard[::12] == pytest.approx(15, abs=0.5)
    assert heard[::6].mean() == pytest.approx(0, abs=0.5)
    waltz = feel_from_audio(data, "take", 120, 0.5 + 0.5, Meter(0, 3, 4))
    assert len(waltz.count) == 36
    assert waltz.count.sum() == 64


def test_what_is_no_performance_is_refused():
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(RATE), RATE, format="WAV")
    with pytest.raises(StageError, match="only 0 hits"):
        feel_from_audio(silence.getvalue(), "")
    with pytest.raises(StageError, match="no WAV or FLAC"):
        feel_from_audio(b"RIFF....WAVE", "")
    free = np.cumsum(np.random.default_rng(2).uniform(0.06, 0.9, 300))
    with pytest.raises(StageError, match="do not keep to its beats"):
        feel_from_audio(sound_of(free), "", 120, 0.0)


def test_extract_from_a_recording(tmp_path, capsys):
    path = tmp_path / "take.wav"
    path.write_bytes(sound_of(loop(100, 10)))
    saved = tmp_path / "take.json"
    arguments = ["groove", "extract", str(path), "-o", str(saved), "--bpm", "100", "--first-downbeat", "0.5"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "take: 64 onsets at 8 places of a bar of 4/4 at 100 bpm" in out
    assert "heard in the recording" not in out
    assert main(arguments[:-2]) == 0
    assert "heard in the recording: its downbeat; set --first-downbeat" in capsys.readouterr().out
    assert main(arguments) == 0
    capsys.readouterr()
    feel = feel_from_json(saved.read_bytes())
    assert feel.timing.mean[6, 0] == pytest.approx(10, abs=2)
    for wrong, reason in (
        (["--bpm", "9999"], "9999 is no tempo"),
        (["--meter", "4"], "4 is no meter"),
        (["--first-downbeat", "nan"], "no second"),
        (["--first-downbeat", "1e9"], "no second"),
    ):
        assert main([*arguments[:5], *wrong]) == 2
        assert reason in capsys.readouterr().err
