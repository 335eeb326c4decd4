"""The render stage on whole scores: real FluidSynth, real SoundFont, files read back."""

import hashlib
import io
import json
import os
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import yaml
from scipy.signal import resample_poly

from segue import render
from segue.midi import read_midi
from segue.score import (
    CONTROL,
    CONTROL_CHANGE,
    PITCH_BEND,
    PROGRAM_CHANGE,
    Score,
    Tempo,
    Track,
    make_notes,
)
from segue.stage import StageError

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared/data"
SCHEMA = yaml.safe_load((Path(render.__file__).parent / "settings.schema.yaml").read_text(encoding="utf-8"))
DEFAULTS = {name: entry["default"] for name, entry in SCHEMA["properties"].items()}
#: The synthesizer's own level at a low rate: quick, and comparable between pieces.
PLAIN = {"sample_rate": 22050, "normalize": False, "format": "wav", "dither": False}


def run(score, seed=1, **changes):
    return render.apply(score, {}, DEFAULTS | changes, {}, seed)


def decode(result):
    audio, rate = soundfile.read(io.BytesIO(result.audio), always_2d=True)
    return audio, rate


def controls(*rows):
    return np.array([(t, s, a, b) for t, s, a, b in rows], CONTROL)


def note(onset=0, duration=960, pitch=60, velocity=100):
    return make_notes([onset], [duration], [pitch], [velocity])


def true_peak_db(audio):
    """By 8x oversampling with another filter than the one under test, around the greatest samples."""
    loud = np.flatnonzero(np.abs(audio).max(axis=1) > 0.8 * np.abs(audio).max())
    near = np.unique((loud[:, None] + np.arange(-32, 33)).clip(0, len(audio) - 1))
    runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
    up = [np.abs(resample_poly(audio[r], 8, 1, axis=0, window=("kaiser", 12.0))).max() for r in runs]
    return 20 * np.log10(max(up))


def level_db(audio):
    return 20 * np.log10(np.sqrt(np.mean(audio**2)) + 1e-12)


def centroid_hz(audio, rate):
    mono = audio.sum(axis=1)
    spectrum = np.abs(np.fft.rfft(mono)) ** 2
    return float((np.fft.rfftfreq(len(mono), 1 / rate) * spectrum).sum() / spectrum.sum())


def demonstration(count):
    files = sorted((REPOSITORY / "input").rglob("*.mid"))
    return files[:: max(len(files) // count, 1)][:count]


def real_files():
    found = demonstration(3)
    if DATA.is_dir():
        found.append(DATA / "pop909/267/267.mid")
        found.append(DATA / "groove/drummer1/session1/91_funk-rock_92_fill_4-4.mid")
        # Soft drumming: the peaks stand out by far.
        found.append(DATA / "groove/drummer1/session1/154_soul_98_fill_4-4.mid")
    return [path for path in found if path.is_file()]


@lru_cache
def rendered(path, kind="flac"):
    return run(read_midi(path.read_bytes())[0], format=kind)


@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.stem)
def test_real_music_reaches_its_loudness_under_the_peak_limit(path):
    result = rendered(path)
    audio, rate = decode(result)
    level = result.report["level"]
    heard = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio)
    assert heard == pytest.approx(-14, abs=0.5)
    assert level["reached_lufs"] == pytest.approx(heard, abs=0.05)
    peak = true_peak_db(audio)
    assert peak < -1
    assert level["true_peak_dbtp"] == pytest.approx(peak, abs=0.1)
    assert audio.shape[1] == 2
    # The last sound dies away, and the file does not go on long after it.
    assert np.abs(audio[-rate // 100 :]).max() < 2e-3
    assert np.abs(audio[-rate * 2 :]).max() > 5e-4


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_every_format_is_read_back_and_is_the_same_music(kind):
    path = demonstration(1)[0]
    result = rendered(path, kind)
    audio, rate = decode(result)
    info = soundfile.info(io.BytesIO(result.audio))
    assert (info.format, info.channels, rate) == (kind.upper(), 2, 44100)
    assert result.suffix == f".{kind}"
    flac, _ = decode(rendered(path))
    assert abs(len(audio) - len(flac)) <= 64
    assert true_peak_db(audio) < -1
    assert level_db(audio) == pytest.approx(level_db(flac), abs=0.6)
    assert result.report["audio"]["seconds"] == pytest.approx(len(audio) / rate, abs=0.01)


@pytest.mark.parametrize(("bit_depth", "subtype"), [(16, "PCM_16"), (24, "PCM_24")])
def test_bit_depth(bit_depth, subtype):
    result = run(Score((Track(notes=note()),)), bit_depth=bit_depth, sample_rate=22050)
    assert soundfile.info(io.BytesIO(result.audio)).subtype == subtype


def test_the_same_bytes_again_and_in_another_process_on_another_processor():
    path = demonstration(1)[0]
    program = (
        "import hashlib, json, sys; from segue import render; from segue.midi import read_midi\n"
        "score = read_midi(open(sys.argv[1], 'rb').read())[0]\n"
        "for kind in ('ogg', 'flac', 'wav'):\n"
        "    data = render.apply(score, {}, json.loads(sys.argv[2]) | {'format': kind}, {}, 1).audio\n"
        "    print(hashlib.sha256(data).hexdigest())\n"
    )
    # Without the vector instructions that NumPy finds on this machine, as on an older one.
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(np._core._multiarray_umath.__cpu_dispatch__)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), json.dumps(DEFAULTS)],
        capture_output=True,
        text=True,
        env={**os.environ, **plain},
    )
    assert done.stderr == ""
    score = read_midi(path.read_bytes())[0]
    here = [hashlib.sha256(run(score, format=kind).audio).hexdigest() for kind in ("ogg", "flac", "wav")]
    assert done.stdout.split() == here
    # In the other order, after other music: nothing is left over from piece to piece.
    assert run(score, format="wav").audio == run(score, format="wav").audio


def test_more_than_sixteen_instruments_all_sound_with_their_own_program():
    programs = [0, 6, 11, 16, 19, 24, 30, 33, 40, 46, 48, 52, 56, 60, 65, 68, 71, 73, 80, 104]
    tracks = [
        Track(channel=i % 9, program=p, notes=note(i * 1920, 480, 60, 100)) for i, p in enumerate(programs)
    ]
    together = run(Score(tuple(tracks)), **PLAIN, reverb=False, chorus=False, tail_s=1)
    assert together.report["synthesizer"]["instruments"] == 20
    audio, rate = decode(together)
    sounds = {}
    for i, track in enumerate(tracks):
        alone, _ = decode(run(Score((track,)), **PLAIN, reverb=False, chorus=False, tail_s=1))
        # FluidSynth's first block depends on what its voice played before, and a release may still ring.
        part = slice(i * rate + 128, i * rate + rate // 4)
        assert np.corrcoef(audio[part, 0], alone[part, 0])[0, 1] > 0.99
        assert level_db(audio[part]) == pytest.approx(level_db(alone[part]), abs=0.2)
        sounds[track.program] = centroid_hz(audio[part], rate)
        assert level_db(audio[part]) > -60
    assert len({round(value) for value in sounds.values()}) > 15


def test_two_programs_on_one_channel_at_one_time_and_drums():
    parts = (
        Track(channel=0, program=0, notes=note()),
        Track(channel=0, program=56, notes=note(pitch=67)),
        Track(channel=9, program=0, notes=note(pitch=38)),
    )
    alone = [decode(run(Score((t,)), **PLAIN, tail_s=0, reverb=False, chorus=False))[0] for t in parts]
    both, _ = decode(run(Score(parts), **PLAIN, tail_s=0, reverb=False, chorus=False))
    count = min(len(a) for a in [*alone, both]) - 1200
    assert count > 3000
    np.testing.assert_allclose(both[:count], sum(a[:count] for a in alone), atol=1e-3)


def test_drums_are_drums_whatever_their_place():
    def colour(pitch, *before, program=0):
        drums = Track(channel=9, program=program, notes=note(pitch=pitch))
        audio, rate = decode(run(Score((*before, drums)), **PLAIN | {"sample_rate": 44100}))
        return centroid_hz(audio[:8000], rate)

    kick, hat = colour(36), colour(42)
    assert kick < 500
    assert hat > 6000
    silent = [Track(channel=i, program=i, notes=note(onset=9600 * 2)) for i in range(9)]
    assert colour(42, *silent) == pytest.approx(hat, rel=0.05)
    # A kit that the SoundFont does not have is played by the standard one.
    assert colour(42, program=101) > 6000


def test_louder_velocities_are_louder():
    def level(velocity):
        return level_db(decode(run(Score((Track(notes=note(velocity=velocity)),)), **PLAIN))[0][:11025])

    levels = [level(v) for v in (20, 50, 80, 110, 127)]
    assert all(b - a > 1.5 for a, b in pairwise(levels))


def test_channel_controls_reach_every_track_of_the_channel_and_no_other():
    quiet = controls((0, CONTROL_CHANGE, 7, 20))
    one, two = note(), note(pitch=72)

    def level(*tracks):
        return level_db(decode(run(Score(tracks), **PLAIN, tail_s=0))[0][:11025])

    piano, flute = Track(channel=0, program=0, notes=one), Track(channel=0, program=73, notes=two)
    assert level(piano, flute) - level(piano, flute, Track(channel=0, controls=quiet)) > 10
    assert level(piano, Track(channel=1, controls=quiet)) == pytest.approx(level(piano), abs=0.01)


def test_pitch_bend_and_program_change_within_a_track():
    def tone(*rows):
        organ = Track(channel=0, program=19, notes=note(duration=3840), controls=controls(*rows))
        audio, rate = decode(run(Score((organ,)), **PLAIN, reverb=False, chorus=False))
        part = audio[rate : rate + 16384, 0] * np.hanning(16384)
        return np.abs(np.fft.rfft(part)), rate

    def strength(spectrum, rate, hertz):
        i = round(hertz * 16384 / rate)
        return spectrum[i - 3 : i + 4].max()

    c, d = 261.63, 293.66
    plain, rate = tone()
    bent, _ = tone((480, PITCH_BEND, 127, 127))
    assert strength(plain, rate, c) > 5 * strength(plain, rate, d)
    assert strength(bent, rate, d) > 5 * strength(bent, rate, c)
    again = Track(
        channel=0,
        notes=make_notes([0, 960], [480, 480], [60, 60], 100),
        controls=controls((900, PROGRAM_CHANGE, 56, 0)),
    )
    audio, rate = decode(run(Score((again,)), **PLAIN, reverb=False, chorus=False))
    half = rate // 2
    assert centroid_hz(audio[half : half + 5000], rate) > 1.5 * centroid_hz(audio[:5000], rate)


def test_the_pedal_holds_and_tempo_changes_move_notes():
    down = controls((0, CONTROL_CHANGE, 64, 127))
    dry = run(Score((Track(notes=note(duration=240)),)), **PLAIN)
    held = run(Score((Track(notes=note(duration=240), controls=down),)), **PLAIN)
    assert held.report["audio"]["seconds"] > dry.report["audio"]["seconds"] + 1
    late = Track(channel=9, notes=note(onset=1920, pitch=37))
    for tempo, second in ((500_000, 1.0), (1_000_000, 2.0)):
        audio, rate = decode(run(Score((late,), (Tempo(0, tempo),)), **PLAIN))
        first = np.flatnonzero(np.abs(audio).max(axis=1) > 0.01)[0] / rate
        # FluidSynth starts a note at the border of a block; the sample begins with a little air.
        assert second <= first + 64 / rate < second + 0.02


def test_the_tail_is_kept_and_ends():
    short = note(duration=480)
    room = run(Score((Track(notes=short),)), **PLAIN)
    assert 0.2 < room.report["tail"]["seconds"] < 8
    assert not room.report["tail"]["faded_out"]
    # An organ under a pedal that is never lifted would sound for ever.
    endless = Track(program=19, notes=short, controls=controls((0, CONTROL_CHANGE, 64, 127)))
    cut = run(Score((endless,)), **PLAIN | {"tail_s": 2})
    audio, rate = decode(cut)
    assert cut.report["tail"] == {"seconds": pytest.approx(2, abs=0.01), "faded_out": True}
    assert np.abs(audio[-10:]).max() < 1e-3
    assert np.all(np.diff([level_db(p) for p in np.array_split(audio[-rate:], 4)]) < 0)
    # Rests at the end of the file are no sound.
    padded = run(Score((Track(notes=short),), end_tick=960_000), **PLAIN)
    assert padded.audio == room.audio


def test_a_piece_without_notes_has_no_audio_and_says_why():
    result = run(Score((Track(name="words", channel=None), Track(channel=3)), end_tick=9600))
    assert result.audio is None
    assert "no notes" in result.report["skipped"][0]["reason"]


def test_silent_music_stays_silent():
    muted = controls((0, CONTROL_CHANGE, 7, 0), (0, CONTROL_CHANGE, 11, 0))
    result = run(Score((Track(notes=note(), controls=muted),)), sample_rate=22050, reverb=False, chorus=False)
    audio, _ = decode(result)
    assert np.abs(audio).max() < 1e-4
    assert "silent" in result.report["level"]["note"]
    assert result.report["level"]["reached_lufs"] is None


@pytest.mark.parametrize("tail_s", [0, 8])
def test_a_very_short_piece(tail_s):
    click = Track(channel=9, notes=make_notes([0], [1], [37], [90]))
    result = run(Score((click,)), tail_s=tail_s)
    audio, _ = decode(result)
    assert len(audio) > 0
    assert true_peak_db(audio) < -1
    assert np.abs(audio).max() < 1


def test_missing_parts_say_what_to_do(tmp_path):
    score = Score((Track(notes=note()),))
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF    sfbk, but no more")
    for changes, words in (
        ({"soundfont": str(tmp_path / "none.sf2")}, r"render\.soundfont .*none\.sf2"),
        ({"soundfont": str(broken)}, r"cannot read the SoundFont .*render\.soundfont"),
        ({"library": str(broken)}, r"render\.library .* cannot be loaded"),
        ({"max_minutes": 0.001}, r"render\.max_minutes"),
    ):
        with pytest.raises(StageError, match=words):
            run(score, **changes)
    with pytest.raises(StageError):
        render.fingerprint(DEFAULTS | {"library": str(broken)})
    assert run(score).audio is not None


def test_the_fingerprint_follows_the_soundfont(tmp_path):
    from segue.render.fluidsynth import find_soundfont

    copy = tmp_path / "copy.sf2"
    copy.write_bytes(find_soundfont().read_bytes())
    assert render.fingerprint(DEFAULTS) == render.fingerprint(DEFAULTS | {"soundfont": str(copy)})
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert render.fingerprint(DEFAULTS) != render.fingerprint(DEFAULTS | {"soundfont": str(copy)})


def test_fluidsynth_writes_nothing_to_the_terminal(capfd):
    strange = Track(program=127, notes=note(), controls=controls((0, CONTROL_CHANGE, 0, 99), (0, 0xC0, 5, 0)))
    run(Score((strange,)), **PLAIN)
    with pytest.raises(StageError):
        run(Score((strange,)), soundfont=__file__)
    assert capfd.readouterr() == ("", "")
