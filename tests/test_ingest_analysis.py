"""Key, roles and human timing: hand-made cases, and what real music says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.ingest.chords import chord_markers
from segue.ingest.key import Key, find_key, key_of_signature, pitch_class_profile
from segue.ingest.roles import describe_playing, find_roles
from segue.ingest.timing import is_human, metric_levels, nomml
from segue.midi import read_midi
from segue.score import KeySignature, Score, Text, Track, make_notes

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not here")


def line(pitches, step=960, **track) -> Track:
    onsets = np.arange(len(pitches)) * step
    return Track(notes=make_notes(onsets, [step] * len(pitches), pitches, 80), **track)


# --- key ---------------------------------------------------------------------------------------------------

# Do re mi fa sol la ti do sol mi do, and the minor tune that goes with it.
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0])
MINOR = np.array([0, 2, 3, 5, 7, 8, 7, 11, 12, 7, 3, 0])


@pytest.mark.parametrize("tonic", range(12))
def test_every_key_is_found(tonic):
    assert find_key(Score(tracks=(line(60 + tonic + MAJOR),))) == Key(tonic, "major")
    assert find_key(Score(tracks=(line(60 + tonic + MINOR),))) == Key(tonic, "minor")


def test_long_notes_weigh_more_and_drums_nothing():
    # As many notes of F sharp major as of C major, but short ones.
    short = make_notes(np.arange(11) * 10, [5] * 11, 66 + MAJOR, 80)
    drums = line([42] * 500, channel=9)
    assert find_key(Score(tracks=(line(60 + MAJOR), Track(notes=short), drums))) == Key(0, "major")
    assert find_key(Score(tracks=(drums,))) is None


def test_profile_by_hand():
    track = Track(notes=make_notes([0, 0, 960], [960, 960, 1920], [60, 67, 72], 80))
    expected = np.zeros(12)
    expected[[0, 7]] = 0.75, 0.25
    assert pitch_class_profile(Score(tracks=(track,))) == pytest.approx(expected)


def test_a_key_signature_settles_major_against_relative_minor_only():
    # The notes of a pentatonic scale fit G major and E minor nearly alike.
    vague = Score(tracks=(line([74, 74, 76, 64, 71, 76, 74, 67]),))
    minor, major = KeySignature(0, 1, True), KeySignature(0, 1, False)
    assert find_key(replace(vague, keys=(minor,))) == Key(4, "minor")
    assert find_key(replace(vague, keys=(major,))) == Key(7, "major")
    clear = Score(tracks=(line(60 + MAJOR),), keys=(KeySignature(0, 5, False),))
    assert find_key(clear) == Key(0, "major")


@given(st.integers(-7, 7), st.booleans())
def test_relative_keys_share_their_signature(sharps, is_minor):
    key = key_of_signature(KeySignature(0, sharps, is_minor))
    assert key.relative.relative == key
    assert key.relative == key_of_signature(KeySignature(0, sharps, not is_minor))


def test_key_names():
    assert Key(3, "major").name == "Eb major"
    assert Key(6, "minor").name == "F# minor"
    assert key_of_signature(KeySignature(0, -3, True)).name == "C minor"


@needs_data
def test_keys_of_pop909():
    """The whole folder gives 88.0 %; this sample of it must not fall far below."""
    right = []
    names = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    for path in sorted((DATA / "pop909").glob("*/*.mid"))[::14]:
        spans = [row.split() for row in (path.parent / "key_audio.txt").read_text().splitlines()]
        longest = max(spans, key=lambda row: float(row[1]) - float(row[0]))[2]
        tonic, mode = longest.split(":")
        pitch = (names[tonic[0]] + tonic.count("#") - tonic.count("b")) % 12
        found = find_key(read_midi(path.read_bytes())[0])
        right.append((found.tonic, found.mode[:3]) == (pitch, mode[:3]))
    assert len(right) > 50
    assert np.mean(right) > 0.8


# --- human timing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tick", "level"),
    [
        (0, 0), (960, 0), (480, 2), (240, 4), (120, 6), (60, 8), (30, 10),
        (640, 1), (320, 3), (160, 5), (80, 7), (40, 9), (20, 11),
        (15, 12), (7, 12), (961, 12), (1920 + 640, 1), (960 + 320, 1), (960 + 160, 5),
    ],
)  # fmt: skip
def test_metric_levels_by_hand(tick, level):
    assert metric_levels(np.array([tick])).tolist() == [level]


def test_nomml_is_the_median_rounded_down():
    assert nomml(np.array([0, 480, 961])) == 2
    assert nomml(np.array([0, 480])) == 1
    assert nomml(np.array([], int)) is None
    assert not is_human(None)
    assert not is_human(11)
    assert is_human(12)


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=50))
def test_what_is_on_a_grid_is_not_human(sixteenths):
    assert not is_human(nomml(np.array(sixteenths) * 240))
    assert not is_human(nomml(np.array(sixteenths) * 320))


@needs_data
def test_recorded_drums_are_human_and_the_same_on_a_grid_are_not():
    files = sorted((DATA / "groove").rglob("*_beat_*.mid"))[::60]
    assert files
    for path in files:
        score, _ = read_midi(path.read_bytes())
        onsets = np.concatenate([track.notes["onset_tick"] for track in score.tracks])
        assert is_human(nomml(onsets)), path.name
        assert not is_human(nomml((onsets + 120) // 240 * 240))


# --- roles -------------------------------------------------------------------------------------------------

TUNE = line([60, 62, 64, 65, 67, 65, 64, 62] * 4)
CHORDS = Track(notes=make_notes(np.repeat(np.arange(8) * 3840, 3), [3840] * 24, [48, 52, 55] * 8, 80))
LOW = line([36, 36, 43, 43] * 8)
DRUMS = line([36, 42, 38, 42] * 8, channel=9)


def test_roles_by_what_is_played():
    score = Score(tracks=(DRUMS, LOW, CHORDS, TUNE))
    assert find_roles(score) == ["drums", "bass", "chords", "melody"]
    assert find_roles(Score(tracks=tuple(reversed(score.tracks)))) == ["melody", "chords", "bass", "drums"]


def test_roles_of_lone_tracks():
    assert find_roles(Score(tracks=(TUNE,))) == ["melody"]
    assert find_roles(Score(tracks=(CHORDS,))) == ["chords"]
    assert find_roles(Score(tracks=(Track(),))) == ["other"]
    # A low tune alone is a tune.
    assert find_roles(Score(tracks=(replace(TUNE, notes=LOW.notes),))) == ["melody"]
    # Two hands in one track hold tune and chords: no stage may take it for accompaniment.
    both = Track(notes=np.concatenate([TUNE.notes, CHORDS.notes]))
    assert find_roles(Score(tracks=(both.with_notes(both.notes),))) == ["other"]


def test_names_and_programs_speak():
    tracks = (replace(TUNE, name="Second guitar"), replace(TUNE, name="Lead Vocal"))
    assert find_roles(Score(tracks=tracks)) == ["other", "melody"]
    assert find_roles(Score(tracks=(TUNE, replace(TUNE, program=33)))) == ["melody", "bass"]
    assert find_roles(Score(tracks=(TUNE, replace(LOW, name="Bass drum line")))) == ["melody", "bass"]
    sung = replace(TUNE, texts=(Text(0, 5, "la"),))
    assert find_roles(Score(tracks=(TUNE, sung))) == ["other", "melody"]


def test_of_voices_that_move_together_the_highest_is_the_melody():
    voices = [line(np.array([60, 60, 62, 60] * 4) + shift) for shift in (0, -5, 4, -9)]
    voices[2] = line([64, 67, 72, 69] * 4)
    assert find_roles(Score(tracks=tuple(voices)))[2] == "melody"


def test_playing_by_hand():
    notes = make_notes([0, 0, 960, 2880], [960, 960, 960, 960], [60, 64, 62, 62], 80)
    figures = describe_playing(notes, 3840)
    assert figures.notes == 4
    assert figures.register == 62
    assert figures.polyphony == pytest.approx(4 / 3)
    assert figures.chord_size == pytest.approx(4 / 3)
    assert figures.activity == 0.75
    assert figures.steps == pytest.approx(2 / 3)
    assert figures.pitches == 3


@needs_data
def test_melodies_of_pop909_are_found_without_names():
    """The whole folder gives 98.8 %; this sample of it must not fall far below."""
    right = []
    for path in sorted((DATA / "pop909").glob("*/*.mid"))[::16]:
        score, _ = read_midi(path.read_bytes())
        hidden = tuple(replace(track, name="", program=0) for track in score.tracks)
        roles = find_roles(replace(score, tracks=hidden))
        right.append("melody" in roles and score.tracks[roles.index("melody")].name == "MELODY")
    assert len(right) > 40
    assert np.mean(right) > 0.92


# --- chord markers -----------------------------------------------------------------------------------------


def test_chord_markers_are_told_from_sections():
    def found(*marks):
        score = Score(tracks=(TUNE,), texts=tuple(Text(tick, 6, text) for tick, text in marks))
        return [mark.text for mark in chord_markers(score)]

    assert found((0, "C"), (3840, "F"), (7680, "G")) == ["C", "F", "G"]
    assert found((0, "Verse"), (0, "Cmaj7"), (30720, "G")) == ["Cmaj7", "G"]
    assert found((0, "A"), (30720, "B"), (61440, "A")) == []
    assert found((0, "Chorus"), (3840, "D.C.")) == []
