"""The search by itself: drafts of a phrase, which of them is kept, and how many notes it writes."""

from dataclasses import replace

import numpy as np
import pytest
from test_transfer import DEFAULTS, band, models

import segue.transfer.accompaniment as accompaniment
from segue.metrics.style import duration_histogram, interval_histogram
from segue.runtime import load_model
from segue.transfer import apply
from segue.transfer.encoding import CELLS, LENGTHS
from segue.transfer.grid import PITCHED_STEPS
from segue.transfer.phrases import _Judge, duration_counts, interval_counts, write_phrases
from segue.transfer.target import named_sound


@pytest.fixture(scope="module")
def planned():
    """The plan that the stage makes for a piece of 32 bars in pop, and the style's profiles."""
    caught = {}

    def catch(model, plan, profiles, *rest):
        caught.update(plan=plan, profiles=profiles)
        return write_phrases(model, plan, profiles, *rest)

    score, record = band(bars=32, drums=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accompaniment, "write_phrases", catch)
        apply(score, record, DEFAULTS | {"style": "pop"}, models(), 1)
    return caught["plan"], caught["profiles"]


def write(plan, profiles, seed=0, temperature=1.1, **given):
    model = load_model("accompaniment", "onnx")
    return write_phrases(model, plan, profiles, temperature, 2.0, np.random.default_rng(seed), **given)


def test_the_same_seed_writes_the_same_and_another_one_not(planned):
    first, again, other = write(*planned), write(*planned), write(*planned, seed=1)
    for name in ("onsets", "velocity", "lengths"):
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (first.onsets != other.onsets).any()


def test_what_is_silent_stays_silent_and_the_rest_is_played(planned):
    plan, profiles = planned
    silent = plan.silent.copy()
    silent[16:24] = True
    written = write(replace(plan, silent=silent), profiles)
    assert not written.onsets[silent].any()
    assert written.onsets[~silent].any(axis=(1, 2)).mean() > 0.5


@pytest.mark.parametrize("density", [2.0, 3.0, 5.0])
def test_as_many_notes_are_written_as_are_wanted(planned, density):
    plan, profiles = planned
    written = write(replace(plan, density=density), profiles)
    assert written.onsets.sum() / (~plan.silent).sum() == pytest.approx(density, rel=0.2)


def test_lengths_are_those_that_there_are(planned):
    written = write(*planned)
    assert np.isin(written.lengths, LENGTHS).all()
    assert len(np.unique(written.lengths)) > 8


def test_a_tilt_moves_lengths_and_figures(planned):
    plan, profiles = planned
    towards = np.zeros((plan.grid.units, CELLS, len(LENGTHS)))
    towards[..., LENGTHS.tolist().index(4.0)] = 50
    written = write(replace(plan, length_tilt=towards), profiles)
    struck = written.onsets[:, :, :14].any(axis=2)
    assert (written.lengths[:, :PITCHED_STEPS][struck] == 4).all()
    only = np.full_like(plan.tilt["low"], -1e3)
    only[:, 5] = 0
    written = write(replace(plan, tilt={**plan.tilt, "low": only}, density=None), profiles)
    low = written.onsets[~plan.silent][:, :, :14]
    assert (low == low[0]).all()


def test_more_drafts_come_nearer_to_the_profiles(planned):
    plan, profiles = planned
    likeness = []
    for drafts in (2, 40):
        values = []
        for seed in range(3):
            written = write(plan, profiles, seed=seed, drafts=drafts)
            judge = _Judge(plan, profiles)
            judge.best(0, np.stack([written.onsets] * 2), np.stack([written.lengths] * 2), np.zeros(2))
            values.append(
                sum(
                    float(k @ w.ravel()) / np.linalg.norm(k) / np.linalg.norm(w)
                    for k, w in zip(judge.kept, profiles, strict=True)
                )
            )
        likeness.append(np.mean(values))
    assert likeness[1] > likeness[0]


def test_the_judge_keeps_the_draft_that_is_right(planned):
    plan, _ = planned
    good = write(*planned)
    model = load_model("accompaniment", "onnx")
    units = slice(0, 16)
    wrong = good.onsets[units].copy()
    # All that is struck goes up a degree, so that it is not of the chord.
    wrong[:, :, 1:] = good.onsets[units][:, :, :-1]
    drafts = np.stack([wrong, good.onsets[units], wrong])
    lengths = np.stack([good.lengths[units]] * 3)
    judge = _Judge(plan, named_sound(model, "pop")[1])
    assert judge.best(0, drafts, lengths, np.zeros(3)) == 1
    assert judge.units == 16
    assert judge.notes == good.onsets[units].sum()


def test_counts_of_drafts_are_the_histograms_of_the_measure():
    rng = np.random.default_rng(0)
    onset = np.sort(rng.integers(0, 32, 40)) * 240
    pitch, held = rng.integers(40, 80, 40), rng.integers(1, 16, 40) * 240
    draft = rng.integers(0, 3, 40)
    intervals = interval_counts(draft, onset, pitch, 3)
    lengths = duration_counts(draft, onset % 3840, held, 3)
    for k in range(3):
        own = draft == k
        expected = interval_histogram(onset[own] / 960, pitch[own])
        assert (intervals[k] == expected.ravel()).all()
        expected = duration_histogram(onset[own] % 3840 / 960, held[own] / 960)
        assert (lengths[k] == expected.ravel()).all()
