"""Schedule, loudness, limiter and encoder by themselves, against hand-computed and independent figures."""

import io
import zlib

import numpy as np
import pyloudnorm
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segue.render import loudness
from segue.render.encode import encode, quantise, set_ogg_serial
from segue.render.mastering import attenuation, master
from segue.render.schedule import make_schedule
from segue.score import CONTROL, CONTROL_CHANGE, PROGRAM_CHANGE, Score, Tempo, Track, make_notes


def sine(hertz, seconds, amplitude, rate=48000):
    frames = round(seconds * rate / 64) * 64
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(frames) / rate)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def music(seconds=4, rate=44100, seed=0):
    """Noise with hits, louder and softer."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate / 64) * 64
    envelope = np.exp(-(np.arange(frames) % (rate // 3)) / 3000) * (1 + np.arange(frames) / frames)
    return (rng.standard_normal((frames, 2)) * envelope[:, None] * 0.02).astype(np.float32)


# Loudness


def measured(audio, rate):
    return loudness.integrated_loudness(loudness.block_power(audio, rate), rate)


def test_loudness_of_the_standard_tone():
    # EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS is -23 LUFS.
    assert measured(sine(1000, 20, 10 ** (-23 / 20)), 48000) == pytest.approx(-23, abs=0.1)


def test_the_gate_leaves_out_what_is_soft():
    # EBU Tech 3341, case 3: -36, -23, -36 dBFS for 10, 60, 10 s is -23 LUFS.
    parts = [sine(1000, s, 10 ** (db / 20)) for s, db in ((10, -36), (60, -23), (10, -36))]
    assert measured(np.concatenate(parts), 48000) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_loudness_agrees_with_pyloudnorm(rate):
    audio = music(6, rate)
    other = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio.astype(float))
    assert measured(audio, rate) == pytest.approx(other, abs=0.05)


def test_nothing_to_measure_and_music_shorter_than_a_window():
    assert measured(np.zeros((44160, 2), np.float32), 44100) is None
    short = sine(1000, 0.2, 0.1)
    assert measured(short, 48000) == pytest.approx(measured(sine(1000, 0.4, 0.1), 48000) - 3.01, abs=0.1)


def test_true_peak_between_the_samples():
    # A quarter of the sampling rate, sampled 45 degrees off its crests: 3.01 dB above every sample.
    wave = np.sin(np.pi / 2 * np.arange(6400) + np.pi / 4)
    audio = np.stack([wave, 0 * wave], axis=1).astype(np.float32)
    peaks = loudness.sample_peaks(audio)
    assert peaks.max() == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert np.median(loudness.true_peaks(audio, peaks, 0)) == pytest.approx(1, abs=0.01)


def test_true_peaks_are_exact_above_the_threshold():
    audio = music()
    peaks = loudness.sample_peaks(audio)
    full = loudness.true_peaks(audio, peaks, 0)
    some = loudness.true_peaks(audio, peaks, 0.05)
    np.testing.assert_array_equal(full[full > 0.05], some[full > 0.05])
    assert np.all(some >= peaks)
    assert np.all(full <= loudness.overshoot_bound() * np.abs(audio).max())


# Limiter


@given(
    need=arrays.arrays(np.int64, st.integers(1, 400), elements=st.integers(-20_000, 12_000)),
    rate=st.sampled_from([22050, 44100, 96000]),
)
@hypothesis_settings(deadline=None, max_examples=60)
def test_the_limiter_takes_what_every_block_needs_and_no_more_than_the_most(need, rate):
    taken = attenuation(need, rate)
    assert len(taken) == len(need) + 1
    assert np.all(np.minimum(taken[:-1], taken[1:]) >= need)
    assert taken.min() >= 0
    assert taken.max() <= max(need.max(), 0)


def test_the_limiter_rests_where_nothing_stands_out_and_recovers():
    need = np.zeros(2000, np.int64)
    need[500] = 6 * 1024
    taken = attenuation(need, 44100)
    assert np.all(taken[:490] == 0)
    assert np.all(taken[500:502] == 6 * 1024)
    # Back by 6 dB at 200 dB a second takes 30 ms, after 12 ms of hold.
    assert taken[500 + round(0.06 * 44100 / 64)] == 0
    assert taken[500 + round(0.025 * 44100 / 64)] > 2 * 1024


def test_a_limited_low_note_keeps_its_wave():
    audio = sine(55, 4, 0.01, 44100)
    audio[88_200:] *= 4
    level = master(audio, 44100, None, 36, -1)
    assert level.limited_db > 4
    part = audio[100_000:165_536, 0]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    tone = round(55 * len(part) / 44100)
    assert spectrum[tone - 3 : tone + 4].sum() > 0.9999 * spectrum.sum()


def test_loudness_and_peak_are_reached_and_soft_passages_only_multiplied():
    audio = music(8)
    audio[100_000] = 0.3
    before = audio.copy()
    level = master(audio, 44100, -16, 0, -1)
    assert level.reached_lufs == pytest.approx(-16, abs=0.1)
    assert -1.6 < level.true_peak_dbtp <= -1
    assert level.limited_db > 1
    factor = np.float32(10 ** (level.gain_db / 20))
    np.testing.assert_allclose(audio[:60_000], before[:60_000] * factor, rtol=1e-5)


def test_what_cannot_be_made_loud_stays_softer_and_says_so():
    audio = np.zeros((441_600, 2), np.float32)
    audio[::22050] = 0.5
    level = master(audio, 44100, -14, 0, -1)
    assert level.true_peak_dbtp <= -1
    assert level.reached_lufs < -20
    assert "softer than the target" in level.note
    assert level.limited_db <= 15.1


def test_without_a_target_the_gain_is_the_given_one():
    audio = music(2)
    before = audio.copy()
    level = master(audio, 44100, None, -6, -1)
    np.testing.assert_allclose(audio, before * 10 ** (-6 / 20), rtol=1e-5)
    assert level.gain_db == -6
    assert level.limited_db == 0


# Schedule


def rows(schedule, status=None):
    e = schedule.events
    return e[e["status"] == status] if status else e


def test_a_release_does_not_cut_another_note_of_its_pitch():
    two = (
        Track("left", 0, 0, make_notes([0], [960], [60], [90])),
        Track("right", 0, 0, make_notes([480], [960], [60], [90])),
    )
    schedule = make_schedule(Score(two), 44100)
    assert len(schedule.slots) == 1
    assert len(rows(schedule, 0x90)) == 2
    assert rows(schedule, 0x80)["frame"].tolist() == [round(0.75 * 44100 / 64) * 64]


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 900), st.integers(60, 63), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    )
)
@hypothesis_settings(deadline=None, max_examples=60)
def test_every_note_starts_once_and_every_voice_is_released(notes):
    tracks = []
    for program in range(3):
        own = [n for n in notes if n[3] == program]
        tracks.append(
            Track("", 0, program, make_notes(*zip(*[n[:3] for n in own], strict=True), 80))
            if own
            else Track()
        )
    schedule = make_schedule(Score(tuple(tracks), (Tempo(0, 400_000),)), 48000)
    events = rows(schedule)
    assert np.all(np.diff(events["frame"]) >= 0)
    assert np.all(events["frame"] % 64 == 0)
    assert len(rows(schedule, 0x90)) == len(notes) == schedule.notes
    last = {}
    for event in events:
        if event["status"] in (0x80, 0x90):
            last[event["slot"], event["data1"]] = event["status"]
    assert set(last.values()) == {0x80}
    assert schedule.end_frame == events["frame"].max()


def test_a_bank_select_comes_before_the_program():
    bank = np.array([(0, CONTROL_CHANGE, 0, 8), (0, CONTROL_CHANGE, 32, 0)], CONTROL)
    track = Track("", 2, 80, make_notes([0], [960], [60], [90]), bank)
    events = rows(make_schedule(Score((track,)), 44100))
    kinds = [(int(e["status"]), int(e["data1"])) for e in events]
    assert kinds.index((CONTROL_CHANGE, 0)) < len(kinds) - 1 - kinds[::-1].index((PROGRAM_CHANGE, 80))
    assert kinds.index((0x90, 60)) > len(kinds) - 1 - kinds[::-1].index((PROGRAM_CHANGE, 80))


def test_program_changes_stay_in_their_track():
    change = np.array([(480, PROGRAM_CHANGE, 40, 0), (480, CONTROL_CHANGE, 64, 127)], CONTROL)
    tracks = (
        Track("a", 0, 1, make_notes([0], [960], [60], [90]), change),
        Track("b", 0, 2, make_notes([0], [960], [64], [90])),
    )
    schedule = make_schedule(Score(tracks), 44100)
    later = rows(schedule)[rows(schedule)["frame"] > 0]
    assert later["slot"][later["status"] == PROGRAM_CHANGE].tolist() == [0]
    assert sorted(later["slot"][later["status"] == CONTROL_CHANGE].tolist()) == [0, 1]


# Encoder


def test_rounding_and_dither():
    half = np.full((4096, 2), 0.25 / 32768, np.float32)
    assert quantise(half, 16, None).any() == False  # noqa: E712
    noisy = quantise(half, 16, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(0.25, abs=0.03)
    assert set(np.unique(noisy)) <= {-1, 0, 1}
    full = np.array([[1.0, -1.0]], np.float32)
    assert quantise(full, 16, None).tolist() == [[32767, -32768]]
    assert quantise(full, 24, None).tolist() == [[(2**23 - 1) << 8, -(2**31)]]


def test_wav_and_flac_keep_every_sample():
    audio = music(1)
    expected = np.rint(audio * 32768).astype(np.int16)
    for kind in ("wav", "flac"):
        read, _ = soundfile.read(io.BytesIO(encode(audio, 44100, kind, 16, None)), dtype="int16")
        np.testing.assert_array_equal(read, expected)


def test_ogg_bytes_are_the_same_and_whole():
    audio = music(3)
    first, second = encode(audio, 44100, "ogg", 16, 0), encode(audio, 44100, "ogg", 16, 0)
    assert first == second
    read, _ = soundfile.read(io.BytesIO(first))
    assert len(read) == len(audio)
    # Setting a serial that is already there changes nothing, so the checksums are the format's own.
    assert set_ogg_serial(first) == first
    stream = io.BytesIO()
    soundfile.write(stream, audio, 44100, format="OGG", subtype="VORBIS")
    own = stream.getvalue()
    serial = int.from_bytes(own[14:18], "little")
    assert set_ogg_serial(own, serial) == own
    assert zlib.crc32(set_ogg_serial(own, serial ^ 1)) != zlib.crc32(own)
