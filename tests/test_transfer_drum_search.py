"""The search for drums by itself: what favours a pattern, which draft is kept, silence and repeats."""

import csv
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from test_transfer_drums import GROOVE, model, run

from segue.metrics.style import DRUM_GROUPS, rhythm_groups, rhythm_similarity
from segue.midi import read_midi
from segue.score import DRUM_CHANNEL, Meter, Score, Tempo, Track
from segue.transfer.drum_search import DRAWS, Drafts, Judge, Task, write_drums
from segue.transfer.drum_tilt import (
    agreement,
    read_patterns,
    struck_once,
    telling,
    telling_loudness,
)
from segue.transfer.drums import named_style
from segue.transfer.grid import beat_grid
from segue.transfer.kit import (
    CLASS_OF_PITCH,
    CLASSES,
    DRUM_BINS,
    FEATURES,
    GRID_BITS,
    STYLES,
    histograms,
    hit_grid,
    hits_to_notes,
    on_beats,
    profile_of,
    sixteenths,
    style_profile,
)
from segue.transfer.patterns import unpack_patterns

KICK, SNARE, HAT, RIDE = 0, 1, 2, 8
needs_groove = pytest.mark.skipif(not (GROOVE / "info.csv").is_file(), reason="the Groove data are not here")


@lru_cache(maxsize=1)
def codebook():
    return unpack_patterns(model().card["patterns"]["pattern"], GRID_BITS)


@lru_cache(maxsize=1)
def known():
    return [named_style(model(), name) for name in STYLES]


def pattern(*hits):
    """One pattern of (step, drum) hits, bool (GRID_BITS,)."""
    out = np.zeros((12, len(CLASSES)), bool)
    for step, drum in hits:
        out[step, drum] = True
    return out.ravel()


BACK_BEAT = (
    pattern(),
    pattern((0, KICK), (0, HAT), (6, HAT)),
    pattern((0, SNARE), (0, HAT), (6, HAT)),
    pattern((0, HAT), (6, HAT)),
    pattern((0, HAT), (3, HAT), (6, HAT), (9, HAT)),
    pattern((0, SNARE), (0, RIDE), (8, RIDE)),
)


def grid_of(bars):
    return beat_grid(Score(meters=(Meter(0, 4, 4),), end_tick=bars * 3840))


def task_of(book, played, swung=False, **changes):
    """A task over whole bars whose source plays the patterns `played` (units,) of `book`."""
    book = np.array(book)
    hits = book[played].reshape(len(played), 12, -1)
    source = sixteenths(hits, False).astype(float) @ DRUM_GROUPS
    grid = grid_of(len(played) // 4)
    notes = hits_to_notes(hits, np.full((*source.shape[:2], 9), 90), np.zeros((*source.shape[:2], 9)), grid)
    fields = {
        "features": np.zeros((len(played), FEATURES), np.float32),
        "profile": profile_of(histograms(notes, grid)),
        "codebook": book,
        "tilt": np.zeros((len(played), len(book)), np.float32),
        "loudness": np.zeros((24, 8)),
        "source": source,
        "swung": swung,
        "follow": True,
        "wished": hits.sum(axis=(1, 2)).astype(float),
        "silent": np.zeros(len(played), bool),
        "same_as": np.full(len(played), -1),
        "grid": grid,
    }
    return Task(**fields | changes)


def drafts(codes, begin=0, loudness=90):
    codes = np.array(codes)
    shape = (*codes.shape, 4, len(CLASSES))
    states = (np.zeros((len(codes), 2)), np.zeros((len(codes), 2)))
    return Drafts(begin, begin + codes.shape[1], codes, np.full(shape, loudness), np.zeros(shape), states)


def test_the_judge_keeps_the_draft_that_plays_the_source_in_the_style():
    task = task_of(BACK_BEAT, np.array([1, 2, 1, 2]))
    own, other = [1, 2, 1, 2], [2, 1, 2, 1]
    assert Judge(task).keep(drafts([other, own, [3, 3, 3, 3]])) == 1
    assert Judge(task).keep(drafts([own, other, [4, 4, 4, 4]])) == 0
    # Of drafts that are the same the first is kept.
    assert Judge(task).keep(drafts([other, own, own])) == 1


def test_without_the_skeleton_sounding_like_the_source_counts_nothing():
    # The style is a back beat on one and three, the source's lies on two and four.
    style = task_of(BACK_BEAT, np.array([2, 1, 2, 1])).profile
    task = task_of(BACK_BEAT, np.array([1, 2, 1, 2]), profile=style)
    other, style_itself = [1, 2, 1, 2], [2, 1, 2, 1]
    assert Judge(replace(task, follow=False)).keep(drafts([other, style_itself])) == 1
    both = [1, 3, 1, 3], [3, 3, 3, 3]
    assert Judge(task).keep(drafts(both)) == 0


def test_the_judge_counts_the_density():
    flat = profile_of((np.ones((48, 9)), np.ones((24, 8))))
    sparse, full = [3, 3, 3, 3], [4, 4, 4, 4]
    task = task_of(BACK_BEAT, np.array(sparse), profile=flat, follow=False)
    assert Judge(task).keep(drafts([full, sparse])) == 1
    assert Judge(replace(task, wished=2 * task.wished)).keep(drafts([sparse, full])) == 1


def test_later_bars_make_up_for_what_earlier_ones_lack():
    task = task_of(BACK_BEAT, np.array([1, 2, 1, 2] * 2), follow=False)
    judge = Judge(task)
    first, _ = judge.lacks()
    # Nothing is written: all that the style has is wanted, nothing is too much.
    assert first.min() >= 0
    assert first[1, 3] > 0
    judge.keep(drafts([[1, 4, 1, 4]]))
    lacks, loudness = judge.lacks()
    # The snare on two is missing, the hats between the eighths are none of the style's.
    assert lacks[1, 2] > lacks[1, 3] > lacks[1, 4]
    assert lacks[1, 4] - lacks[1, 3] < 0 == first[1, 4] - first[1, 3]
    assert loudness.shape == (24, 8)
    quiet = Judge(task)
    quiet.keep(drafts([[1, 2, 1, 2]], loudness=20))
    _, loudness = quiet.lacks()
    assert loudness[0, 90 // 16] > 0 >= loudness[0, 20 // 16]


def test_the_judge_counts_what_the_measure_of_fit_counts():
    rng = np.random.default_rng(0)
    grid = grid_of(4)
    # On odd twelfths the touch decides which sixth is counted.
    steps = codebook().reshape(-1, 12, len(CLASSES))
    book = codebook()[~steps[:, 1::2].any(axis=(1, 2))]
    task = task_of(book, rng.integers(0, len(book), 16))
    codes = rng.integers(0, len(book), (1, 16))
    velocity = rng.integers(1, 128, (1, 16, 4, len(CLASSES)))
    found = replace(drafts(codes), velocity=velocity)
    judge = Judge(task)
    judge.keep(found)
    hits = book[codes[0]].reshape(16, 12, -1)
    notes = hits_to_notes(hits, velocity[0], np.zeros((16, 4, 9)), grid)
    drums, loudness = histograms(notes, grid)
    assert len(book) > 100
    assert np.array_equal(judge.counts[0], on_beats(drums.ravel()))
    assert np.array_equal(judge.counts[1], loudness.ravel())


def test_swung_eighths_are_read_as_eighths():
    straight, swung = (read_patterns(np.array([pattern((0, RIDE), (at, RIDE))]), swing)[0]
                       for at, swing in ((6, False), (8, True)))  # fmt: skip
    assert np.array_equal(straight, swung)
    read, lost = read_patterns(np.array([pattern((0, SNARE), (1, SNARE)), pattern((11, KICK))]), False)
    assert lost.tolist() == [1, 0]
    assert read[1, 4].tolist() == [1, 0, 0]
    assert read[1, :4].sum() == 0


@pytest.mark.parametrize("seed", range(4))
def test_agreement_is_the_change_of_the_cosine(seed):
    rng = np.random.default_rng(seed)
    read, lost = read_patterns(codebook(), False)
    # Patterns that the reading leaves whole, and that lead nowhere.
    whole = np.flatnonzero((lost == 0) & ~read[:, 4].any(axis=1) & (read.sum(axis=(1, 2)) > 1))
    own = rng.choice(whole, 4)
    source = read[own, :4]
    gain = agreement(source, codebook(), grid_of(1), False)
    for unit in range(4):
        # To play what the source plays is best.
        assert gain[unit, own[unit]] == gain[unit, whole].max()
        bars = np.repeat(source[None], len(whole), axis=0)
        bars[:, unit] = read[whole, :4]
        flat = bars.reshape(len(whole), -1)
        cosines = flat @ source.ravel() / np.linalg.norm(flat, axis=1) / np.linalg.norm(source)
        assert np.corrcoef(cosines, gain[unit, whole])[0, 1] > 0.95


def test_telling_is_what_a_style_has_more_than_others():
    profiles = dict(zip(STYLES, known(), strict=True))
    book = np.array([pattern(), pattern((0, RIDE)), pattern((0, HAT)), pattern((0, RIDE), (1, RIDE))])
    jazz = telling(profiles["jazz"], known(), book)
    assert jazz.shape == (4, 4)
    assert (jazz[:, 0] == 0).all()
    assert (jazz[:, 1] > jazz[:, 2]).all()
    # A flam is no two hits on the beat.
    assert np.array_equal(jazz[:, 1], jazz[:, 3])
    assert struck_once(book).sum(axis=1).tolist() == [0, 1, 1, 1]
    loud = telling_loudness(profiles["jazz"], known())
    assert loud.shape == (24, 8)
    shares = np.square(np.array([profiles["jazz"], *known()])[:, DRUM_BINS:].astype(float)).reshape(-1, 24, 8)
    assert np.array_equal(loud > 0.01, np.log((shares[0] + 1e-3) / (shares[1:].mean(axis=0) + 1e-3)) > 0.01)
    assert np.allclose(telling_loudness(np.sqrt(np.mean(np.square(known()), axis=0)), known()), 0, atol=1e-2)


def real_task(bars, **changes):
    task = task_of(codebook(), np.arange(1, 4 * bars + 1))
    fields = {"profile": named_style(model(), "funk")}
    return replace(task, **fields | changes)


def test_the_search_is_drawn_by_the_seed_and_rests_where_the_source_rests():
    silent = np.repeat([False, True, False, True], 4)
    task = real_task(4, silent=silent)
    first, second = (write_drums(model(), task, 1.0, 1.3, np.random.default_rng(s)) for s in (5, 5))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)
    other = write_drums(model(), task, 1.0, 1.3, np.random.default_rng(6))[0]
    assert not np.array_equal(first[0], other)
    for hits in (first[0], other):
        assert not hits[silent].any()
        assert hits[~silent].any(axis=(1, 2)).sum() >= 6
        # Nothing leads into a bar that rests.
        assert not hits[[3, 11], -1].any()


def test_bars_that_are_taken_over_are_the_same_in_every_respect():
    same = np.concatenate([np.full(8, -1), np.arange(8), [-1] * 4])
    hits, velocity, offset = write_drums(
        model(), real_task(5, same_as=same), 1.0, 1.3, np.random.default_rng(1)
    )
    for part in (hits, velocity, offset):
        # The last step before a rest is the rest's.
        assert np.array_equal(part[:8], part[8:16])
    assert not np.array_equal(hits[:4], hits[4:8])


def test_the_kept_draft_is_worth_more_than_the_first():
    """Sixteen draws come nearer to the profile than one."""
    task = real_task(8, follow=False)
    wanted = [
        np.square(task.profile[part].astype(float)) for part in (slice(DRUM_BINS), slice(DRUM_BINS, None))
    ]
    fits = {}
    for draws in (1, DRAWS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("segue.transfer.drum_search.DRAWS", draws)
            found = [write_drums(model(), task, 1.0, 1.3, np.random.default_rng(s)) for s in range(3)]
        counts = [histograms(hits_to_notes(*parts, task.grid), task.grid) for parts in found]
        fits[draws] = np.mean(
            [
                c.ravel() @ w / np.linalg.norm(c) / np.linalg.norm(w)
                for own in counts
                for c, w in zip(own, wanted, strict=True)
            ]
        )
    assert fits[DRAWS] > fits[1] + 0.01


def validation(style, bars=16, least=8):
    """Beginnings of validation recordings of a style as scores."""
    with (GROOVE / "info.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["split"], row["beat_type"], row["time_signature"]) == ("validation", "beat", "4-4")
            and row["style"].split("/")[0] == style
        ]
    found = []
    for row in rows:
        notes = read_midi((GROOVE / row["midi_filename"]).read_bytes())[0].tracks[0].notes
        notes = notes[(CLASS_OF_PITCH[notes["pitch"]] >= 0) & (notes["onset_tick"] < bars * 3840)]
        if notes["onset_tick"].max(initial=0) < least * 3840:
            continue
        found.append(
            Score(
                tracks=(Track(name="Kit", channel=DRUM_CHANNEL, notes=notes),),
                tempos=(Tempo(0, round(60e6 / float(row["bpm"]))),),
                meters=(Meter(0, 4, 4),),
            )
        )
    return found


def bars_of(score):
    return sixteenths(hit_grid(score.tracks[0].notes, beat_grid(score))[..., 0]).reshape(-1, 16, 9) > 0


@needs_groove
def test_recordings_keep_their_rhythm_and_take_on_the_style():
    """Content of 0.7 and more, with a profile that is nearer to the style's than the source's by 0.15."""
    kept, nearer, withheld = [], [], []
    for score, target in product(validation("rock")[:5], ("latin", "funk", "afrobeat", "hiphop")):
        wanted = np.square(named_style(model(), target).astype(float))
        new = run(score, target).score
        fits = []
        for one in (score, new):
            own = np.square(style_profile(one.tracks[0].notes, beat_grid(one)).astype(float))
            parts = (slice(DRUM_BINS), slice(DRUM_BINS, None))
            fits.append(
                np.mean(
                    [own[p] @ wanted[p] / np.linalg.norm(own[p]) / np.linalg.norm(wanted[p]) for p in parts]
                )
            )
        kept.append(rhythm_similarity(bars_of(score), bars_of(new)))
        nearer.append(fits[1] - fits[0])
        free = run(score, target, drum_skeleton=False).score
        withheld.append(rhythm_similarity(bars_of(score), bars_of(free)))
    assert np.mean(kept) > 0.7
    assert np.mean(nearer) > 0.15
    assert np.mean(withheld) < np.mean(kept) - 0.1


@needs_groove
@pytest.mark.parametrize("style", ["hiphop", "jazz", "funk", "latin", "rock"])
def test_the_own_style_keeps_the_density(style):
    sources = validation(style)[:5]
    told = [run(score, style).report["drums"]["hits_a_beat"] for score in sources]
    assert np.mean([t["written"] for t in told]) == pytest.approx(
        np.mean([t["source"] for t in told]), rel=0.2
    )


@needs_groove
def test_the_record_says_how_dense_the_drums_were_and_are():
    score = validation("rock")[0]
    for settings in ({}, {"density": -1.0}, {"density": 1.0}):
        result = run(score, "funk", **settings)
        told = result.report["drums"]["hits_a_beat"]
        sounding = rhythm_groups(bars_of(score)).any(axis=1).sum() * 4
        written = result.score.tracks[0].notes
        assert told["source"] == pytest.approx(len(score.tracks[0].notes) / sounding, abs=0.01)
        assert told["written"] == pytest.approx(len(written) / sounding, abs=0.01)
        again = run(score, "funk", **settings)
        assert again.report == result.report
        assert np.array_equal(again.score.tracks[0].notes, written)
