"""The style of the drummer: given, heard in the pattern, told in the record; and how spreads are matched."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from segue.config import ConfigError, check_stage, stage_presets, stage_schema
from segue.humanize import apply
from segue.humanize.encoding import (
    BEAT,
    CLASS_COUNT,
    FEATURES,
    PATTERN,
    PLACE,
    STYLE,
    STYLES,
    TEMPO,
    window_features,
)
from segue.metrics.groove import gaussian_kl
from segue.midi import write_midi
from segue.runtime import MODELS_FOLDER, load_model, read_card
from segue.score import Score, Track, make_notes
from training.groove.data import Windows, as_played, holdings, load_windows
from training.groove.matching import OFFSET_RANGE, VELOCITY_RANGE, apply_factors, fit_factors

GROOVE = Path(__file__).parents[2] / "shared/data/groove"
MODELS = {"drums": load_model("groove"), "pitched": load_model("dynamics")}


def kit(*voices, bars=4):
    """A drum track with hits of (pitch, sixteenths of a bar) in every bar, all at velocity 90."""
    onset = [960 * 4 * bar + 240 * step for bar in range(bars) for _, steps in voices for step in steps]
    pitch = [pitch for _ in range(bars) for pitch, steps in voices for _ in steps]
    notes = make_notes(np.array(onset), np.full(len(onset), 60), np.array(pitch), 90)
    return Score((Track("kit", 9, notes=notes),))


ROCK = kit((36, (0, 7, 8)), (38, (4, 12)), (42, range(0, 16, 2)))


def play(score, **given):
    return apply(score, {"tracks": []}, check_stage("humanize", {"variation": 0, **given}), MODELS, 1)


class Listener:
    """A groove model that keeps what it was asked and guesses jazz."""

    def __init__(self):
        self.asked = []

    def __call__(self, features):
        self.asked.append(features)
        full = np.full((1, 32, CLASS_COUNT), 0.1)
        names = ("offset", "velocity", "offset_spread", "velocity_spread")
        guess = np.where(np.array(STYLES) == "jazz", 0.55, 0.05)[None]
        return dict.fromkeys(names, full) | {"style": guess}


def test_the_columns_of_the_inputs_follow_each_other():
    columns = np.r_[:CLASS_COUNT, PATTERN, BEAT, PLACE, TEMPO, STYLE]
    assert columns.tolist() == list(range(FEATURES))


def test_features_hold_what_their_columns_say():
    hits = np.zeros((1, 32, CLASS_COUNT))
    hits[0, 17, 2] = 1
    pattern = np.arange(16 * CLASS_COUNT).reshape(16, CLASS_COUNT) / 144
    style = np.linspace(0, 1, len(STYLES))
    row = window_features(hits, np.array([110.0]), pattern, style)[0, 17]
    assert row[:CLASS_COUNT].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(row[PATTERN], pattern[1], atol=1e-6)
    assert row[BEAT].tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(row[PLACE], [np.sin(np.pi / 8), np.cos(np.pi / 8)], atol=1e-6)
    np.testing.assert_allclose(row[TEMPO], [0, 100 / 110 - 1], atol=1e-6)
    np.testing.assert_allclose(row[STYLE], style, atol=1e-6)
    assert not window_features(hits, np.array([110.0]), pattern)[..., STYLE].any()


@pytest.mark.parametrize("style", ["auto", *STYLES])
def test_the_network_is_told_the_style_that_was_given(style):
    listener = Listener()
    settings = check_stage("humanize", {"style": style})
    result = apply(ROCK, {"tracks": []}, settings, {"drums": listener, "pitched": MODELS["pitched"]}, 1)
    expected = [float(name == style) for name in STYLES]
    assert listener.asked
    for features in listener.asked:
        assert (features[0, :, STYLE] == expected).all()
    name, probability = ("jazz", 0.55) if style in ("auto", "jazz") else (style, 0.05)
    report = {"name": name, "inferred": style == "auto", "probability": probability}
    assert result.report["drums"]["style"] == report


def test_styles_play_differently():
    played = {style: write_midi(play(ROCK, style=style).score) for style in ("auto", *STYLES)}
    assert len(set(played.values())) == len(played)


def test_the_same_style_is_the_same_music():
    once, again = (play(ROCK, style="soul") for _ in range(2))
    assert write_midi(once.score) == write_midi(again.score)


def test_a_plain_backbeat_is_rock():
    report = play(ROCK).report["drums"]["style"]
    assert report["name"] == "rock"
    assert report["inferred"]
    assert 0.3 < report["probability"] <= 1


def test_drums_of_no_class_have_no_style():
    report = play(kit((60, (0, 4)), (61, (2, 6)))).report["drums"]["style"]
    assert report == {"name": None, "inferred": True, "probability": None}


def test_a_wrong_style_is_named():
    with pytest.raises(ConfigError, match=r"style.*did you mean|style.*jazz"):
        check_stage("humanize", {"style": "jaz"})


def test_every_style_is_offered_and_has_a_preset():
    assert stage_schema("humanize")["properties"]["style"]["enum"] == ["auto", *STYLES]
    presets = [preset["settings"].get("style") for preset in stage_presets("humanize").values()]
    assert sorted(style for style in presets if style) == sorted(STYLES)


@pytest.mark.skipif(not GROOVE.is_dir(), reason="the Groove MIDI Dataset is not here")
def test_the_guess_hears_the_style_of_takes_that_it_never_saw():
    takes = load_windows(GROOVE, "validation")
    _, first = np.unique(takes.piece, return_index=True)
    first = first[takes.style[first].any(1)]
    features = window_features(takes.hits[first], takes.bpm[first], takes.pattern[0, first])
    guess = [MODELS["drums"](features=row[None])["style"][0].argmax() for row in features]
    right = np.mean(np.array(guess) == takes.style[first].argmax(1))
    # Rock, the commonest, is 16 of the 39.
    assert right > 0.65


@pytest.mark.skipif(not GROOVE.is_dir(), reason="the Groove MIDI Dataset is not here")
def test_offered_styles_have_ten_minutes_by_two_drummers():
    enough = {
        name
        for name, have in holdings(GROOVE, "train").items()
        if have.minutes >= 10 and len(have.drummers) > 1
    }
    assert enough == set(STYLES)


def test_factors_reach_the_divergence_where_it_costs_least():
    rng = np.random.default_rng(0)
    # Step 2 of each four is hit in one window of ten: its errors hardly count in the mean over hits.
    hits = np.ones((400, 32, CLASS_COUNT), bool)
    hits[40:, 2::4] = False
    true = rng.normal(0.02, 0.15, hits.shape).clip(-0.5, 0.5)
    # The best answer by squared error: it has half the variance, and factor 1 costs least.
    answer = 0.5 * true + rng.normal(0, 0.075, hits.shape)
    centre, factor = fit_factors(hits, true, answer, OFFSET_RANGE, 0.1)
    moved = apply_factors(answer, OFFSET_RANGE, centre, factor)
    groups = [(true[:, g::4][hits[:, g::4]], moved[:, g::4][hits[:, g::4]]) for g in range(4)]
    reached = np.mean([gaussian_kl(t.mean(), t.std(), p.mean(), p.std()) for t, p in groups])
    assert 0.09 < reached <= 0.1
    assert factor[2] > 1.05 * factor[[0, 1, 3]].max()
    np.testing.assert_allclose(centre, [answer[:, g::4][hits[:, g::4]].mean() for g in range(4)])


def test_factors_of_answers_that_vary_enough_are_one():
    rng = np.random.default_rng(0)
    true = rng.uniform(0.2, 0.8, (50, 32, CLASS_COUNT))
    hits = np.ones(true.shape, bool)
    _, factor = fit_factors(hits, true, true + 0.01, VELOCITY_RANGE, 0.05)
    assert factor.tolist() == [1, 1, 1, 1]


def test_moved_answers_stay_in_their_range():
    answer = np.linspace(0, 1, 64).reshape(2, 32, 1)
    moved = apply_factors(answer, VELOCITY_RANGE, np.full(4, 0.5), np.full(4, 3.0))
    assert moved.min() == 0
    assert moved.max() == 1


def test_a_bar_is_played_as_the_mean_of_the_windows_that_hold_it():
    """Two takes; in the second no window begins in bar 1, as where nothing is hit."""
    piece, bar = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 2])
    answer = np.repeat(np.array([[1, 2], [4, 8], [16, 32], [64, 128], [256, 512.0]]), 16, axis=1)
    answer = np.repeat(answer[:, :, None], CLASS_COUNT, axis=2)
    empty = np.zeros(answer.shape)
    windows = Windows(empty > 0, empty, empty, bar, piece, bar, empty, empty, (), ())
    played = as_played(windows, answer)
    assert played[:, ::16, 0].tolist() == [[1, 3], [3, 12], [12, 32], [64, 128], [256, 512]]
    assert (played == np.repeat(played[:, ::16], 16, axis=1)).all()


def test_the_card_shows_the_five_seeds():
    seeds = yaml.safe_load((MODELS_FOLDER.parent / "training/groove/seeds.yaml").read_text())
    card = read_card(MODELS_FOLDER / "groove")
    for key, value in seeds["groove"].items():
        assert card["five_seeds"][key] == {"mean": value["mean"], "sd": value["sd"]}
        assert value["mean"] == pytest.approx(np.mean(value["seeds"]), abs=1e-4)
        # The network here is one of them.
        assert card["metrics"]["groove"][key] == pytest.approx(value["seeds"][0], abs=2e-4)
