"""Every figure of METRICS' melody row on the validation tunes, beside the reference and the floors.

What is measured and how is said in `segue.complete.evaluate`; here are the tunes, the training's floors, the
figures by corpus, and how sure the differences to the reference are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segue.complete.encoding import CENTRE, DURATIONS, PITCH_TOKENS
from segue.complete.evaluate import (
    GAIN,
    LOWER,
    RANKS,
    TOPS,
    Candidate,
    Figures,
    at_continuations,
    at_gaps,
    better,
    better_of,
    chain_at_places,
    chain_on_tunes,
    repetition_at_places,
    repetition_on_tunes,
    summary,
    whole_tunes,
)
from segue.complete.overlap import overlaps
from segue.complete.places import (
    CONTINUATION_BARS,
    GAP_BARS,
    Query,
    continuations,
    draw_queries,
    gaps,
    is_note,
    pairs,
)
from segue.complete.plan import sounds_finished
from segue.metrics.bootstrap import interval_of_ratio
from segue.metrics.markov import MarkovChain
from training.melody.examples import Example
from training.melody.judge import NetworkJudge

#: Places of each corpus, and of those how many are written on from.
PLACES, WRITTEN = 200, 60
#: The three books of folk tunes count as one corpus and are shown beside it.
BOOKS = ("airdsAirs", "oneills1850", "ryansMammoth")
SETTINGS = ("whole_tunes", "continuation", "infilling")

Rows = dict[str, dict[str, dict[str, float]]]


def group(corpus: str) -> str:
    """The corpus that a tune counts to."""
    return "tunebooks" if corpus in BOOKS else corpus


def measure(
    ours: NetworkJudge,
    reference: NetworkJudge,
    train: list[Example],
    valid: list[Example],
    seed: int,
    places: int = PLACES,
) -> dict[str, Any]:
    """All figures: by setting, approach and corpus, and the differences of ours to the reference.

    `ours` and the reference know neither style nor chords; rows of ours that know the one or the other are
    beside.
    """
    chain, joint = (
        MarkovChain(kind, PITCH_TOKENS, len(DURATIONS)).fit(map(pairs, train))
        for kind in ("factored", "joint")
    )
    networks = {
        "model": Candidate(ours, ahead=True),
        "reference": Candidate(reference),
        "model_told_chords": Candidate(ours, chords=True, ahead=True),
    }
    told = {
        "model_told_style": Candidate(ours, style=True, ahead=True),
        "reference_told_style": Candidate(reference, style=True),
    }
    asked = {
        name: draw_queries(valid, find, places, seed, group)
        for name, find in (("continuation", continuations), ("infilling", gaps))
    }
    tunes = {name: (whole_tunes(c, valid),) for name, c in {**networks, **told}.items()}
    tunes["markov"] = (chain_on_tunes(lambda _: chain, valid),)
    tunes["markov_joint"] = (chain_on_tunes(lambda _: joint, valid),)
    tunes["repetition"] = (repetition_on_tunes(valid),)
    found = {"whole_tunes": tunes}
    both = {name: networks[name] for name in ("model", "reference")}
    for name, at, bars, candidates in (
        ("continuation", at_continuations, CONTINUATION_BARS, networks),
        ("infilling", at_gaps, GAP_BARS, both),
    ):
        found[name] = at(candidates, asked[name])
        found[name]["markov"] = (chain_at_places(lambda _: chain, asked[name]),)
        found[name]["repetition"] = (repetition_at_places(asked[name], bars),)
    corpora = {
        "whole_tunes": [example.corpus for example in valid],
        **{name: [query.cut.tune.corpus for query in asked[name]] for name in asked},
    }
    return {
        **{name: by_corpus(found[name], corpora[name]) for name in SETTINGS},
        "interval_95": interval_of_nats(tunes["model"][0]),
        "against_reference": {
            name: differences(found[name]["model"], found[name]["reference"], corpora[name])
            for name in SETTINGS
        },
        "places": {name: _counts(asked[name]) for name in asked},
        "overlap_area": _overlap(networks, chain, asked["continuation"], seed),
    }


def interval_of_nats(figures: Figures) -> list[float]:
    """The 95 % interval over tunes of the nats a note."""
    return [round(bound, 4) for bound in interval_of_ratio(figures.cost.sum(1), figures.notes)]


def brief(metrics: dict[str, Any]) -> dict[str, Any]:
    """The figures that a card's front matter holds: of each setting the rows over all corpora, and the nats a
    note by corpus.
    """
    short: dict[str, Any] = {
        name: {approach: rows["all"] for approach, rows in metrics[name].items()}
        for name in SETTINGS
        if name in metrics
    }
    short["nats_by_corpus"] = {
        approach: {corpus: row["nats_per_note"] for corpus, row in rows.items()}
        for approach, rows in metrics["whole_tunes"].items()
        if "nats_per_note" in rows["all"]
    }
    return short


def _masks(corpora: list[str]) -> dict[str, np.ndarray]:
    """Which places belong to all, to each corpus, and to each book."""
    own = np.array(corpora)
    grouped = np.array([group(corpus) for corpus in corpora])
    masks = {"all": np.ones(len(own), bool)}
    masks |= {name: grouped == name for name in sorted(set(grouped.tolist()))}
    return masks | {name: own == name for name in BOOKS if (own == name).any()}


def by_corpus(found: dict[str, tuple[Figures, ...]], corpora: list[str]) -> Rows:
    """Rows by approach and corpus; where an approach was asked in two ways, the better figure of the two."""
    out: Rows = {}
    for name, ways in found.items():
        out[name] = {}
        for corpus, chosen in _masks(corpora).items():
            row = better([summary(figures, chosen) for figures in ways])
            out[name][corpus] = {key: round(value, 4) for key, value in row.items()}
    return out


def differences(
    ours: tuple[Figures, ...], reference: tuple[Figures, ...], corpora: list[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By corpus and figure: ours less the reference's (of the nats: as a share of them), its 95 %
    interval over tunes, and whether ours is better.
    """
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for corpus, chosen in _masks(corpora).items():
        out[corpus] = {}
        for key in summary(ours[0], chosen):
            if key in ("pitch", "duration"):
                continue
            values = [summary(way, chosen)[key] for way in reference]
            best = reference[values.index(better_of(key, values))]
            own, count = _parts(ours[0], key, chosen)
            other, _ = _parts(best, key, chosen)
            if key in LOWER:
                value = own.sum() / other.sum() - 1
                low, high = (bound - 1 for bound in interval_of_ratio(own, other))
            else:
                value = (own.sum() - other.sum()) / count.sum()
                low, high = interval_of_ratio(own - other, count)
            out[corpus][key] = {
                "value": round(float(value), 4),
                "interval_95": [round(low, 4), round(high, 4)],
                "better": bool(value < 0 if key in LOWER else value > 0),
            }
    return out


def _parts(figures: Figures, key: str, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of a figure, one entry a tune."""
    notes = figures.notes.astype(float)
    if key == "nats_per_note":
        value, count = figures.cost.sum(1), notes
    elif key.startswith("top_1"):
        value, count = figures.right[:, TOPS.index(key)], notes
    else:
        ranked = figures.gain if key.startswith(GAIN) else figures.rank
        hit = dict(zip(RANKS, (ranked <= 1, ranked <= 5, 1 / ranked), strict=True))
        value, count = hit[key.removeprefix(GAIN)].astype(float), np.ones(len(ranked))
    _, tune = np.unique(figures.tune[chosen], return_inverse=True)
    return np.bincount(tune, value[chosen]), np.bincount(tune, count[chosen])


def _counts(queries: list[Query]) -> dict[str, dict[str, Any]]:
    """How many places and tunes of each corpus there are, and the share of candidates of the same corpus."""
    out: dict[str, dict[str, Any]] = {}
    for name in sorted({group(query.cut.tune.corpus) for query in queries}):
        own = [query for query in queries if group(query.cut.tune.corpus) == name]
        same = [group(c.tune.corpus) == name for query in own for c in query.candidates[1:]]
        out[name] = {
            "places": len(own),
            "tunes": len({id(query.cut.tune) for query in own}),
            "candidates": round(float(np.mean([len(query.candidates) for query in own])), 1),
            "of_the_same_corpus": round(float(np.mean(same)), 3),
        }
    return out


def _overlap(
    networks: dict[str, Candidate], chain: MarkovChain, queries: list[Query], seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean overlap areas by approach and corpus, of the first places of each."""
    taken: dict[str, list[Any]] = {}
    for query in queries:
        own = taken.setdefault(group(query.cut.tune.corpus), [])
        if len(own) < WRITTEN:
            own.append(query.cut)
    cuts = [cut for own in taken.values() for cut in own]
    corpora = [name for name, own in taken.items() for _ in own]
    chosen = {name: networks[name] for name in ("model", "reference")}
    areas = overlaps(chosen, lambda _: chain, cuts, seed)
    masks = {"all": np.ones(len(cuts), bool), **{n: np.array(corpora) == n for n in taken}}
    return {
        name: {
            corpus: {key: round(float(np.nanmean(value[mask])), 4) for key, value in own.items()}
            for corpus, mask in masks.items()
        }
        for name, own in areas.items()
    }


def endings(examples: list[Example], end: list[np.ndarray], thresholds: list[float], seed: int) -> dict:
    """How well a finished tune is told from one that breaks off, from the likelihood that each of its events
    ends a section.

    True last notes against random inner notes (the end of no section, no rest of a bar after them): area
    under the ROC of the end likelihood, shares of both that fall under each threshold, and that the stage
    calls open.
    """
    rng = np.random.default_rng(seed)
    last, inner, called = [], [], {"last": [], "inner": []}
    for example, likelihood in zip(examples, end, strict=True):
        notes = np.flatnonzero(is_note(example))
        within = [i for i in notes[8:-1] if not example.end[i]]
        picks = [("last", last, int(notes[-1]))]
        if within:
            picks.append(("inner", inner, int(rng.choice(within))))
        for name, into, i in picks:
            step = (int(example.events.pitch[i]) - CENTRE) % 12
            into.append(float(likelihood[i]))
            called[name].append(not sounds_finished(step, example.setting.minor, into[-1]))
    last, inner = np.array(last), np.array(inner)
    higher = (last[:, None] > inner).mean() + (last[:, None] == inner).mean() / 2
    return {
        "area_under_roc": round(float(higher), 4),
        "finished_called_open": {str(t): round(float((last < t).mean()), 4) for t in thresholds},
        "open_called_open": {str(t): round(float((inner < t).mean()), 4) for t in thresholds},
        "stage_finished_called_open": round(float(np.mean(called["last"])), 4),
        "stage_open_called_open": round(float(np.mean(called["inner"])), 4),
    }
