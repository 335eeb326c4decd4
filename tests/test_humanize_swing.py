"""`swing: jazz`: the ratio of jazz soloists at the tempo of each place."""

from pathlib import Path

import numpy as np
import pytest
from test_humanize_controls import eighths, onsets, piece, play

from segue.config import ConfigError, check_run, check_stage
from segue.humanize import jazz_swing
from segue.humanize.swing import jazz_ratio, swing_moves
from segue.score import Meter, Score, Tempo

DATA = Path(__file__).parents[2] / "shared/data"


def tempo_us(bpm):
    return round(60e6 / bpm)


def test_slow_tempos_swing_wider_than_fast_ones():
    ratios = [jazz_ratio(piece(us=tempo_us(bpm)), np.array([0]))[0] for bpm in (60, 120, 180, 240, 310, 400)]
    assert ratios[0] == ratios[1] == jazz_swing.OFF_BEAT[0]
    assert ratios[-1] == ratios[-2] == jazz_swing.OFF_BEAT[-1]
    assert (np.diff(ratios[1:-1]) < -0.02).all()
    assert all(0.5 < r < 0.75 for r in ratios)


@pytest.mark.parametrize("bpm", [90, 160, 250])
def test_jazz_is_the_number_for_the_tempo(bpm):
    score = piece(eighths(), us=tempo_us(bpm))
    ratio = float(jazz_ratio(score, np.array([0]))[0])
    assert onsets(play(score, amount=0, swing="jazz")) == onsets(play(score, amount=0, swing=ratio))
    assert onsets(play(score, amount=0, swing="jazz"))[1] == round(960 * ratio)


def test_the_ratio_follows_a_tempo_change():
    score = Score((eighths(),), (Tempo(0, tempo_us(120)), Tempo(3840, tempo_us(300))), (Meter(0, 4, 4),))
    moves, _ = swing_moves(score, np.array([480, 3840 + 480]), np.array([100, 100]), "jazz")
    assert moves[0] > 150 > 80 > moves[1] > 0


def test_tracks_of_their_own_swing():
    score = piece(eighths("lead"), eighths("keys"))
    result = play(score, amount=0, tracks={"lead": {"swing": "jazz"}})
    assert onsets(result)[1] > 480 == onsets(result, 1)[1]
    result = play(score, amount=0, swing="jazz", tracks={"lead": {"swing": "0.5"}})
    assert onsets(result)[1] == 480 < onsets(result, 1)[1]


def test_numbers_and_the_word_from_a_command_line():
    assert check_run({"humanize.swing": "jazz"})["humanize"]["swing"] == "jazz"
    assert check_run({"humanize.swing": "0.6"})["humanize"]["swing"] == 0.6
    for wrong in ("jazzy", 0.8, "0.4"):
        with pytest.raises(ConfigError, match=r"swing is .*a number from 0.5 to 0.75 or jazz is allowed"):
            check_stage("humanize", {"swing": wrong})


@pytest.mark.skipif(not (DATA / "weimar-jazz").is_dir(), reason="the training data are not here")
def test_the_table_is_what_the_committed_command_finds():
    from training.swing import fit
    from training.swing.data import load

    solos = load(DATA / "weimar-jazz")
    train, validation = ([s for s in solos if s.validates == v] for v in (False, True))
    assert {s.title for s in train}.isdisjoint(s.title for s in validation)
    found = fit.fit(train, "place")
    assert np.round(found, 3).tolist() == list(jazz_swing.OFF_BEAT)
    assert fit.KNOTS_BPM == jazz_swing.TEMPO_BPM
    error = {
        name: fit.errors(validation, "place", answer)[0]
        for name, answer in {
            "tempo": lambda bpm: np.interp(bpm, fit.KNOTS_BPM, found),
            "triplet": lambda bpm: np.full(len(bpm), 2 / 3),
            "straight": lambda bpm: np.full(len(bpm), 0.5),
        }.items()
    }
    assert error["tempo"] < 0.8 * error["triplet"] < error["straight"]
