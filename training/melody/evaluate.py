"""Every figure of the melody row of METRICS.md on the validation tunes, beside its floors.

Completion ranking: at a bar line with at least eight bars before it, the true next four bars and four bars
of 49 other validation tunes in the same meter, all relative to their keys (which is the transposition), are
scored by their mean log-probability an event after the context. Infilling: two bars are taken out, and the
model knows the note after them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from segue.complete.encoding import CENTRE, COLUMN, DURATIONS, OFFSETS, REST, STYLES, Tracker
from segue.complete.plan import sounds_finished
from segue.complete.sampler import Taste, Walker, walk
from segue.metrics.bootstrap import interval_of_ratio
from segue.metrics.melody import (
    accuracy,
    histograms,
    hits_at,
    mean_average_precision,
    overlap_areas,
    ranks,
)
from segue.runtime import Model
from training.melody.data import Example
from training.melody.fit import collate, window
from training.melody.floors import MarkovChain
from training.melody.network import MelodyNetwork
from training.melody.places import (
    CANDIDATES,
    CONTINUATION_BARS,
    GAP_BARS,
    Cut,
    Pairs,
    closes_on_note,
    cuts,
    is_note,
    pairs,
    shifted,
    tracked,
)

_STYLE_UNKNOWN = OFFSETS["style"] + len(STYLES)


@dataclass(frozen=True)
class Scores:
    """Log-probabilities (events, 2) of pitch and duration of one tune, the likeliest tokens (events, 2), and
    the likelihood that each event ends a section (events,).
    """

    log_probability: np.ndarray
    top: np.ndarray
    end: np.ndarray


@torch.no_grad()
def score_tunes(network: MelodyNetwork, examples: list[Example], style: bool) -> list[Scores]:
    """The network's scores of whole tunes, each from its first event; `style` tells it the style."""
    out: list[Scores | None] = [None] * len(examples)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].rows))
    for k in range(0, len(order), 32):
        part = order[k : k + 32]
        batch = collate([window(examples[i], 0, len(examples[i].rows), None) for i in part])
        if style:
            for j, i in enumerate(part):
                batch.rows[j, : len(examples[i].rows), COLUMN["style"]] = int(
                    examples[i].rows[0, COLUMN["style"]]
                )
        context, _ = network.encode(batch.rows)
        pitch, duration, end = network.heads(context, batch.pitch.clamp(min=0))
        best = pitch.argmax(-1)
        _, given, _ = network.heads(context, best)
        pitch = torch.log_softmax(pitch, -1).gather(-1, batch.pitch.clamp(min=0)[..., None])[..., 0]
        duration = torch.log_softmax(duration, -1).gather(-1, batch.duration.clamp(min=0)[..., None])[..., 0]
        for j, i in enumerate(part):
            n = len(examples[i].events)
            out[i] = Scores(
                torch.stack([pitch[j, :n], duration[j, :n]], -1).numpy().astype(np.float64),
                torch.stack([best[j, :n], given.argmax(-1)[j, :n]], -1).numpy(),
                torch.sigmoid(end[j, 1 : n + 1]).numpy(),
            )
    return [s for s in out if s is not None]


def likelihood(examples: list[Example], log_probability: list[np.ndarray]) -> dict:
    """Nats a note, in parts and by corpus, with a bootstrap interval over tunes."""
    cost = np.array([-lp.sum(axis=0) for lp in log_probability])
    notes = np.array([is_note(e).sum() for e in examples])
    by_corpus = {}
    for corpus in sorted({e.corpus for e in examples}):
        chosen = np.array([e.corpus == corpus for e in examples])
        by_corpus[corpus] = round(float(cost[chosen].sum() / notes[chosen].sum()), 4)
    low, high = interval_of_ratio(cost.sum(axis=1), notes, draws=1000)
    return {
        "nats_per_note": round(float(cost.sum() / notes.sum()), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "pitch": round(float(cost[:, 0].sum() / notes.sum()), 4),
        "duration": round(float(cost[:, 1].sum() / notes.sum()), 4),
        "by_corpus": by_corpus,
    }


def top_1(examples: list[Example], tops: list[np.ndarray]) -> dict[str, float]:
    """Share of notes whose likeliest pitch, duration and both are right."""
    truth = np.concatenate([np.array(pairs(e))[is_note(e)] for e in examples])
    top = np.concatenate([t[is_note(e)] for e, t in zip(examples, tops, strict=True)])
    return {
        "pitch": round(accuracy(top[:, 0], truth[:, 0]), 4),
        "duration": round(accuracy(top[:, 1], truth[:, 1]), 4),
        "both": round(accuracy(top, truth), 4),
    }


def repeated(example: Example, bars: int = CONTINUATION_BARS) -> np.ndarray:
    """For each event the event that began `bars` earlier (pitch, duration), -1 where none did."""
    at = {s: i for i, s in enumerate(example.events.start.tolist())}
    lag = bars * example.setting.bar
    tokens = np.array(pairs(example))
    found = [at.get(s - lag, -1) for s in example.events.start.tolist()]
    return np.array([tokens[i] if i >= 0 else (-1, -1) for i in found])


def rows_of(tracker: Tracker, starts: list[int], tokens: Pairs, goal: tuple[int, int] | None) -> np.ndarray:
    """Rows of events that follow what `tracker` (left as it is) has seen."""
    tracker = tracker.copy()
    rows = []
    for start, (pitch, duration) in zip(starts, tokens, strict=True):
        rows.append(tracker.row(start, goal))
        tracker.push(start, pitch, duration)
    rows = np.array(rows)
    rows[:, COLUMN["style"]] = _STYLE_UNKNOWN
    return rows


@torch.no_grad()
def score_candidates(
    network: MelodyNetwork,
    truth: Cut,
    candidates: list[tuple[list[int], Pairs]],
    goal: tuple[int, int] | None = None,
) -> list[np.ndarray]:
    """Log-probability (events, 2) of each candidate (starts, tokens) after the context of `truth`."""
    context = truth.example.rows[: truth.first].astype(np.int64)
    context[:, COLUMN["style"]] = _STYLE_UNKNOWN
    _, state = network.encode(torch.from_numpy(context)[None])
    tracker = tracked(truth.example, truth.first)
    windows = []
    for starts, tokens in candidates:
        rows = rows_of(tracker, starts, tokens, goal)
        windows.append((rows, *np.array(tokens).T, np.full(len(tokens), -1)))
    batch = collate(windows)
    inner, _ = network.encode(batch.rows, state.expand(1, len(windows), -1).contiguous())
    pitch, duration, _ = network.heads(inner, batch.pitch.clamp(min=0))
    pitch = torch.log_softmax(pitch, -1).gather(-1, batch.pitch.clamp(min=0)[..., None])[..., 0]
    duration = torch.log_softmax(duration, -1).gather(-1, batch.duration.clamp(min=0)[..., None])[..., 0]
    both = torch.stack([pitch, duration], -1).numpy().astype(np.float64)
    return [both[i, : len(tokens)] for i, (_, tokens) in enumerate(candidates)]


def _sounding(starts: list[int], tokens: Pairs, origin: int) -> set[tuple[int, int]]:
    return {(s - origin, p) for s, (p, _) in zip(starts, tokens, strict=True) if p != REST}


def ranking(network: MelodyNetwork, chain: MarkovChain, queries: list[list[Cut]]) -> dict:
    """HITS@1, HITS@5 and MAP of the network, the Markov chain and likeness to the four bars before."""
    scores: dict[str, list[list[float]]] = {"model": [], "markov": [], "repetition": []}
    for query in queries:
        truth = query[0]
        candidates = [shifted(c, truth.start) for c in query]
        scores["model"].append(
            [float(lp.sum(1).mean()) for lp in score_candidates(network, truth, candidates)]
        )
        past = pairs(truth.example, 0, truth.first)
        scores["markov"].append([float(chain.log_probability(past, t).sum(1).mean()) for _, t in candidates])
        lag = CONTINUATION_BARS * truth.example.setting.bar
        events = truth.example.events
        first = int(np.searchsorted(events.start, truth.start - lag))
        before = _sounding(
            events.start[first : truth.first].tolist(),
            pairs(truth.example, first, truth.first),
            truth.start - lag,
        )
        likeness = []
        for starts, tokens in candidates:
            now = _sounding(starts, tokens, truth.start)
            likeness.append(len(now & before) / max(len(now | before), 1))
        scores["repetition"].append(likeness)
    out: dict = {"queries": len(queries)}
    for name, table in scores.items():
        rank = ranks(np.array(table))
        out[name] = {
            "hits@1": round(hits_at(rank, 1), 4),
            "hits@5": round(hits_at(rank, 5), 4),
            "map": round(mean_average_precision(rank), 4),
        }
    return out


def _line_histograms(starts: list[int], tokens: Pairs, lengths: list[int]) -> dict[str, np.ndarray]:
    notes = [(s, length, p) for s, (p, _), length in zip(starts, tokens, lengths, strict=True) if p != REST]
    onset, duration, pitch = np.array(notes).T if notes else np.zeros((3, 0), np.int64)
    return histograms(onset, duration, pitch)


def _open_taste(temperature: float) -> Taste:
    return Taste(temperature, 1.0 if temperature == 1 else 0.9, np.ones(REST + 1, bool), longest_rest=192)


def overlap(
    model: Model, chain: MarkovChain, queries: list[list[Cut]], seed: int, temperature: float
) -> dict:
    """Mean overlap areas between four bars written and the truth: model, Markov chain, repetition."""
    areas: dict[str, list[dict[str, float]]] = {"model": [], "markov": [], "repetition": []}
    rng = np.random.default_rng(seed)
    for query in queries:
        cut = query[0]
        example, setting = cut.example, cut.example.setting
        starts, tokens = shifted(cut, cut.start)
        stop = cut.start + CONTINUATION_BARS * setting.bar
        truth = _line_histograms(starts, tokens, [DURATIONS[d] for _, d in tokens])
        walker = Walker(model, setting, example.events, 10**6)
        walker.follow(cut.first)
        made = walk(walker, cut.start, stop, None, stop, _open_taste(temperature), rng)
        s, p, lengths = zip(*made, strict=True)
        written = _line_histograms(list(s), [(q, 0) for q in p], list(lengths))
        areas["model"].append(overlap_areas(written, truth))
        s, t = _sample_chain(chain, pairs(example, 0, cut.first), cut.start, stop, rng)
        areas["markov"].append(overlap_areas(_line_histograms(s, t, [DURATIONS[d] for _, d in t]), truth))
        first = int(np.searchsorted(example.events.start, cut.start - CONTINUATION_BARS * setting.bar))
        t = pairs(example, first, cut.first)
        s = example.events.start[first : cut.first].tolist()
        areas["repetition"].append(overlap_areas(_line_histograms(s, t, [DURATIONS[d] for _, d in t]), truth))
    return {
        name: {key: round(float(np.nanmean([r[key] for r in rows])), 4) for key in rows[0]}
        for name, rows in areas.items()
    }


def _sample_chain(
    chain: MarkovChain, past: Pairs, start: int, stop: int, rng: np.random.Generator
) -> tuple[list[int], Pairs]:
    starts, made = [], []
    while start < stop:
        event = chain.sample([*past[-2:], *made[-2:]], rng)
        starts.append(start)
        made.append(event)
        start += DURATIONS[event[1]]
    return starts, made


def infilling(network: MelodyNetwork, model: Model, examples: list[Example], count: int, seed: int) -> dict:
    """Two-bar gaps: nats a note of what stood there with and without the goal, the rank of the truth among 50
    fills, and the step (semitones) from the last written note to the note after the gap.
    """
    rng = np.random.default_rng(seed)
    by_meter: dict[tuple[int, int], list[list[Cut]]] = defaultdict(list)
    for example in examples:
        found = [c for c in cuts(example, GAP_BARS, 4, 4) if closes_on_note(c)]
        if found:
            by_meter[example.setting.meter].append(found)
    usable = [(m, i) for m, t in sorted(by_meter.items()) if len(t) >= CANDIDATES for i in range(len(t))]
    cost = {"with_goal": 0.0, "without_goal": 0.0}
    notes = 0
    table: dict[str, list[list[float]]] = {"with_goal": [], "without_goal": []}
    steps: dict[str, list[int]] = {"truth": [], "with_goal": [], "without_goal": []}
    for k in rng.permutation(len(usable))[:count]:
        meter, own = usable[k]
        tunes = by_meter[meter]
        cut = tunes[own][rng.integers(len(tunes[own]))]
        example, events = cut.example, cut.example.events
        goal = int(events.pitch[cut.last]), int(events.start[cut.last])
        others = rng.permutation([i for i in range(len(tunes)) if i != own])[: CANDIDATES - 1]
        fills = [
            shifted(c, cut.start) for c in [cut, *(tunes[i][rng.integers(len(tunes[i]))] for i in others)]
        ]
        notes += int((events.pitch[cut.first : cut.last] != REST).sum())
        for name, given in (("with_goal", goal), ("without_goal", None)):
            found = score_candidates(network, cut, fills, given)
            cost[name] -= float(found[0].sum())
            table[name].append([float(lp.sum(1).mean()) for lp in found])
            walker = Walker(model, example.setting, events, 64)
            walker.follow(cut.first)
            made = walk(walker, cut.start, goal[1], given, cut.start, _open_taste(0.7), rng)
            last = [p for _, p, _ in made if p != REST]
            steps[name] += [abs(last[-1] - goal[0])] if last else []
        true = [p for p, _ in pairs(example, cut.first, cut.last) if p != REST]
        steps["truth"].append(abs(true[-1] - goal[0]))
    out: dict = {"gaps": len(table["with_goal"]), "step_to_next_note": {}}
    for name, values in steps.items():
        out["step_to_next_note"][name] = {
            "mean": round(float(np.mean(values)), 3),
            "over_a_fifth": round(float(np.mean(np.array(values) > 7)), 4),
        }
    for name, rows in table.items():
        rank = ranks(np.array(rows))
        out[name] = {
            "nats_per_note": round(cost[name] / notes, 4),
            "hits@1": round(hits_at(rank, 1), 4),
            "hits@5": round(hits_at(rank, 5), 4),
            "map": round(mean_average_precision(rank), 4),
        }
    return out


def endings(examples: list[Example], scores: list[Scores], thresholds: list[float], seed: int) -> dict:
    """How well a finished tune is told from one that breaks off.

    True last notes against random inner notes (the end of no section, no rest of a bar after them): area
    under the ROC of the end likelihood, shares of both that fall under each threshold, and that the stage
    calls open.
    """
    rng = np.random.default_rng(seed)
    last, inner, called = [], [], {"last": [], "inner": []}
    for example, score in zip(examples, scores, strict=True):
        notes = np.flatnonzero(is_note(example))
        within = [i for i in notes[8:-1] if not example.end[i]]
        picks = [("last", last, int(notes[-1]))]
        if within:
            picks.append(("inner", inner, int(rng.choice(within))))
        for name, into, i in picks:
            step = (int(example.events.pitch[i]) - CENTRE) % 12
            into.append(float(score.end[i]))
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
