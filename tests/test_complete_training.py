"""The melody's training data and floors: readers, near-duplicates, smoothing. Needs no PyTorch."""

from pathlib import Path

import numpy as np
import pytest

from segue.complete.encoding import REST
from segue.complete.features import COLUMN
from training.melody.abc import AbcError, parse_key, read_tune
from training.melody.data import clean, group_near_duplicates
from training.melody.examples import encode_tune
from training.melody.musicxml import read_sheet
from training.melody.pop909 import read_song
from training.melody.tune import Tune

DATA = Path("../shared/data")

JIG = """X:1
T:The Test Jig
M:6/8
L:1/8
K:G
D|GAB d2B|c>BA (3efg A|"G"[Gd]3 {a}B2 z|G3 G2:|
g|fed e^cA|1 d3 d2:|2 d6|]
"""


def test_abc_lengths_accidentals_chords_and_tuplets():
    tune = read_tune(JIG, "jig", "test")
    assert (tune.tonic, tune.mode, tune.meter, tune.bar) == (7, "major", (6, 8), 36)
    assert tune.onset[:4].tolist() == [-6, 0, 6, 12]
    assert tune.pitch[:4].tolist() == [62, 67, 69, 71]
    second_bar = (tune.onset >= 36) & (tune.onset < 72)
    assert tune.onset[second_bar].tolist() == [36, 45, 48, 54, 58, 62, 66]
    # F is sharp by the key; of a chord the top note counts, a grace note does not.
    assert tune.pitch[second_bar].tolist() == [72, 71, 69, 76, 78, 79, 69]
    third = (tune.onset >= 72) & (tune.onset < 108)
    assert tune.pitch[third].tolist() == [74, 71]
    assert tune.duration[third].tolist() == [18, 12]


def test_abc_takes_a_section_once_and_its_last_ending():
    tune = read_tune(JIG, "jig", "test")
    # The pickup g completes the first section's last bar; the ending is the long note of ending 2.
    assert tune.pitch[-1] == 74
    assert tune.duration[-1] == 36
    g = tune.pitch.tolist().index(79, 13)
    assert tune.onset[g] % 36 == 30
    # The sharp c holds for its bar only, and the bar after the pickup starts on a bar line.
    assert tune.pitch[tune.onset == tune.onset[g] + 6].tolist() == [78]
    assert {int(e) for e in tune.section_end} >= {g - 1, len(tune.pitch) - 1}


@pytest.mark.parametrize(
    ("text", "tonic", "mode", "sharps"),
    [
        ("G", 7, "major", 1),
        ("Am", 9, "minor", 0),
        ("D Mixolydian", 2, "major", 1),
        ("Edor", 4, "minor", 2),
        ("Bb", 10, "major", -2),
        ("E Minor", 4, "minor", 1),
        ("F#m % a comment", 6, "minor", 3),
        ("HP", 9, "major", 2),
        ("Bphr", 11, "minor", 1),
    ],
)
def test_abc_keys(text, tonic, mode, sharps):
    found = parse_key(text)
    assert found[:2] == (tonic, mode)
    assert sum(found[2].values()) == sharps


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (JIG.replace("GAB d2B", "GAB d2B d2B d2B"), "too long"),
        (JIG.replace("K:G", "K:G\nV:2"), "several voices"),
        ("X:1\nM:4/4\nK:C\nCDEF|]", "fewer than 12"),
        (JIG.replace("M:6/8\n", ""), "no meter"),
    ],
)
def test_abc_refuses_with_a_reason(text, reason):
    with pytest.raises(AbcError, match=reason):
        read_tune(text, "bad", "test")


def sheet(notes):
    body = "".join(
        f"<note>{'<chord/>' if chord else ''}"
        + (
            f"<pitch><step>{p[0]}</step><alter>{p[2:]}</alter><octave>{p[1]}</octave></pitch>"
            if p
            else "<rest/>"
        )
        + f"<duration>{d}</duration>{tie}</note>"
        for p, d, chord, tie in notes
    )
    return body


def test_musicxml_ties_chords_rests_and_pickup(tmp_path):
    scale = [(f"{n}50", 2, False, "") for n in "CDEFGABC"]
    first = sheet([("G40", 2, False, "")])
    second = sheet(scale[:4])
    third = sheet(
        [
            ("C50", 4, False, ""),
            ("E5-1", 4, True, ""),
            ("", 2, False, ""),
            ("A40", 2, False, "<tie type='start'/>"),
        ]
    )
    fourth = sheet([("A40", 4, False, "<tie type='stop'/>"), ("B40", 2, False, ""), ("C50", 2, False, "")])
    bars = [first, second, third, fourth, second, second]
    start = "<attributes><divisions>2</divisions>"
    start += "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    text = "".join(f"<measure>{start if i == 0 else ''}{bar}</measure>" for i, bar in enumerate(bars))
    path = tmp_path / "sheet.xml"
    path.write_text(f"<score-partwise><part id='P1'>{text}</part></score-partwise>")
    tune = read_sheet(path)
    assert (tune.style, tune.meter) == ("song", (4, 4))
    assert tune.onset[:5].tolist() == [-12, 0, 12, 24, 36]
    assert tune.pitch[5] == 75
    assert (tune.onset[6], tune.duration[6], tune.pitch[6]) == (48 + 36, 12 + 24, 69)


@pytest.mark.skipif(not (DATA / "pop909").is_dir(), reason="the POP909 data are not here")
def test_pop909_lies_on_the_beat():
    tune = read_song(DATA / "pop909" / "001")
    assert tune.meter == (4, 4)
    assert (tune.tonic, tune.mode) == (6, "major")
    # Sixteenths and triplets: hardly a note elsewhere.
    assert np.isin(tune.onset % 12, [0, 3, 4, 6, 8, 9]).mean() > 0.97


def tune_of(pitch, gap=12, name="t"):
    onset = gap * np.arange(len(pitch))
    return Tune(
        name,
        "test",
        "folk",
        (4, 4),
        0,
        "major",
        onset,
        np.full(len(pitch), gap),
        np.array(pitch),
        (len(pitch) - 1,),
    )


def test_near_duplicates_are_found_transposed_and_in_another_rhythm():
    rng = np.random.default_rng(0)
    tune = np.cumsum(rng.integers(-4, 5, 60)) + 60
    other = np.cumsum(rng.integers(-4, 5, 60)) + 60
    varied = tune.copy()
    varied[30:36] += 2
    dotted = tune_of(tune)
    onset = dotted.onset + 3 * (np.arange(60) % 2)
    dotted = Tune("d", "test", "folk", (4, 4), 0, "major", onset, dotted.duration, dotted.pitch, (59,))
    tunes = [tune_of(tune), tune_of(other), tune_of(tune + 5, 6), tune_of(varied), dotted]
    assert group_near_duplicates(tunes).tolist() == [0, 1, 0, 0, 0]


def test_a_tune_becomes_rows_in_step_with_its_events():
    tune = clean(read_tune(JIG, "jig", "test"))
    example = encode_tune(tune, 0, 0)
    assert example.rows.shape == (len(example.events) + 1, len(COLUMN))
    assert (example.events.pitch != REST).sum() == len(tune.pitch)
    assert example.end[-1]
    assert example.setting.origin == 0
