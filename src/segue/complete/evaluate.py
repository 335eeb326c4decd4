"""Every figure of METRICS' melody row, of several networks at the same places of the same tunes.

Likelihood and top-1 are of whole tunes, each from its first event. Completion ranking: at a bar line with
at least eight bars before it, the true next four bars and four bars of other tunes in the same meter,
relative to their keys (which is the transposition), are scored by their mean log-probability an event after
the context; and, as a second ranking, by how much more likely the context makes them than they are by
themselves (the mutual information of Li et al. 2016, "A diversity-promoting objective function for neural
conversation models"), which does not prefer what is likely anywhere. Infilling: two bars before a note are
taken out; likelihood, top-1 and ranking of what stood there, given what goes before and comes after. A
network that goes one way is asked twice: for the fill after what goes before, and for the fill and the two
bars after it.

Repetition says again what stood four bars before (in a gap: two); the Markov chain is `segue.metrics.markov`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segue.complete.book import Book
from segue.complete.encoding import REST, Events
from segue.complete.judge import Judge, Judgement, Prompt, Window, hidden, hidden_style
from segue.complete.places import (
    CONTINUATION_BARS,
    GAP_BARS,
    Cut,
    Pairs,
    Query,
    Tune,
    before,
    is_note,
    pairs,
    shifted,
)
from segue.complete.sampler import AHEAD_MEMORY
from segue.complete.tracker import Tracker, reading_rows
from segue.metrics.markov import MarkovChain
from segue.metrics.melody import hits_at, mean_average_precision, ranks

#: Queries whose candidates are scored together.
_TOGETHER = 24
#: Figures that are better when lower; all others when higher.
LOWER = ("nats_per_note", "pitch", "duration")
#: Share of notes whose likeliest pitch, duration, and both are right.
TOPS = ("top_1_pitch", "top_1_duration", "top_1")
RANKS = ("hits@1", "hits@5", "map")
#: What the names of the second ranking begin with.
GAIN = "gain_"


@dataclass(frozen=True)
class Candidate:
    """A network that is measured, whether it is told `style` and `chords`, and whether it knows what comes
    after a gap (`ahead`).
    """

    judge: Judge
    style: bool = False
    chords: bool = False
    ahead: bool = False


@dataclass(frozen=True)
class Figures:
    """What one approach does, an entry for each place (a whole tune, or a query): the number of its tune, its
    notes, `cost` in nats of pitch and of duration, (places, 2), how many notes' pitch, duration, and both are
    the likeliest, (places, 3), the truth's rank, and its rank by what is gained through the context; None
    where the approach has no such.
    """

    tune: np.ndarray
    notes: np.ndarray
    cost: np.ndarray | None = None
    right: np.ndarray | None = None
    rank: np.ndarray | None = None
    gain: np.ndarray | None = None


def summary(figures: Figures, chosen: np.ndarray | None = None) -> dict[str, float]:
    """The row of METRICS' table over the `chosen` places, bool (places,), all if not given."""
    chosen = np.ones(len(figures.tune), bool) if chosen is None else chosen
    notes = figures.notes[chosen].sum()
    row: dict[str, float] = {}
    if figures.cost is not None:
        pitch, duration = (figures.cost[chosen].sum(0) / notes).tolist()
        row |= {"nats_per_note": pitch + duration, "pitch": pitch, "duration": duration}
    if figures.right is not None:
        row |= dict(zip(TOPS, (figures.right[chosen].sum(0) / notes).tolist(), strict=True))
    for prefix, ranked in (("", figures.rank), (GAIN, figures.gain)):
        if ranked is not None:
            rank = ranked[chosen]
            found = hits_at(rank, 1), hits_at(rank, 5), mean_average_precision(rank)
            row |= {f"{prefix}{name}": v for name, v in zip(RANKS, found, strict=True)}
    return row


def better_of(key: str, values: Sequence[float]) -> float:
    """The better one of several values of a figure."""
    return (min if key in LOWER else max)(values)


def better(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure the better one of several rows."""
    return {key: better_of(key, [row[key] for row in rows]) for key in rows[0]}


# ---- whole tunes ---------------------------------------------------------------------------------------


def whole_tunes(candidate: Candidate, tunes: Sequence[Tune]) -> Figures:
    """Likelihood and top-1 of a network on whole tunes."""
    nothing = Prompt(np.zeros((0, tunes[0].rows.shape[1]), np.int64))
    heard = candidate.judge.start([nothing])
    windows = [Window(0, told(candidate, tune.rows[:-1]), np.array(pairs(tune))) for tune in tunes]
    return _figures_of_tunes(tunes, candidate.judge.judge(heard, windows))


def chain_on_tunes(chain_of: Callable[[Tune], MarkovChain], tunes: Sequence[Tune]) -> Figures:
    """The same of a Markov chain, which may be another one for each tune; a joint one has no top-1."""
    cost, right = [], []
    for tune in tunes:
        chain, tokens = chain_of(tune), pairs(tune)
        cost.append(-chain.log_probability([], tokens).sum(0))
        if chain.kind == "factored":
            top = [chain.top(tokens[max(i - chain.order, 0) : i]) for i in range(len(tokens))]
            right.append(_right(np.array(tokens), np.array(top)))
    return Figures(np.arange(len(tunes)), _notes(tunes), np.array(cost), np.array(right) if right else None)


def repetition_on_tunes(tunes: Sequence[Tune]) -> Figures:
    """Top-1 of repeating the four bars before."""
    right = [_right(np.array(pairs(tune)), repeated(tune, CONTINUATION_BARS)) for tune in tunes]
    return Figures(np.arange(len(tunes)), _notes(tunes), None, np.array(right))


def repeated(tune: Tune, bars: int) -> np.ndarray:
    """For each event the event that began `bars` earlier (pitch, duration), -1 where none did."""
    at = {s: i for i, s in enumerate(tune.events.start.tolist())}
    tokens = np.array(pairs(tune))
    found = [at.get(s - bars * tune.setting.bar, -1) for s in tune.events.start.tolist()]
    return np.array([tokens[i] if i >= 0 else (-1, -1) for i in found])


def _figures_of_tunes(tunes: Sequence[Tune], judged: list[Judgement]) -> Figures:
    truth = [np.array(pairs(tune)) for tune in tunes]
    return Figures(
        np.arange(len(tunes)),
        _notes(tunes),
        np.array([-j.log_probability.sum(0) for j in judged]),
        np.array([_right(t, j.top) for t, j in zip(truth, judged, strict=True)]),
    )


def _notes(tunes: Sequence[Tune]) -> np.ndarray:
    return np.array([is_note(tune).sum() for tune in tunes])


def _right(truth: np.ndarray, top: np.ndarray) -> list[int]:
    """Notes (of the true tokens, (events, 2)) whose pitch, duration, both are right."""
    same = (truth == top)[truth[:, 0] != REST]
    return [int(same[:, 0].sum()), int(same[:, 1].sum()), int(same.all(1).sum())]


def told(candidate: Candidate, rows: np.ndarray) -> np.ndarray:
    """Rows without what the network is not told."""
    return hidden(rows, not candidate.style, not candidate.chords)


# ---- places --------------------------------------------------------------------------------------------


def tracked(tune: Tune, stop: int) -> Tracker:
    """A tracker that has followed the first `stop` events."""
    tracker = Tracker(tune.setting)
    for start, (pitch, duration) in zip(tune.events.start[:stop].tolist(), pairs(tune, 0, stop), strict=True):
        tracker.push(start, pitch, duration)
    return tracker


def rows_of(
    tracker: Tracker, starts: Sequence[int], tokens: Pairs, goal: tuple[int, int] | None = None
) -> np.ndarray:
    """Rows (steps, features) of events that follow what `tracker` (left as it is) has seen."""
    tracker = tracker.copy()
    rows = []
    for start, (pitch, duration) in zip(starts, tokens, strict=True):
        rows.append(tracker.row(start, goal))
        tracker.push(start, pitch, duration)
    return np.array(rows, np.int64)


@dataclass(frozen=True)
class Asked:
    """A query as it is put to networks: the prompt, and rows and tokens of each of its candidates."""

    prompt: Prompt
    rows: list[np.ndarray]
    tokens: list[np.ndarray]


def asked_to_continue(query: Query) -> Asked:
    """What might come next, or stand in the gap, after what goes before alone."""
    cut = query.cut
    return _asked(
        cut, [shifted(other, cut.start) for other in query.candidates], tracked(cut.tune, cut.first)
    )


def asked_to_fill(query: Query) -> Asked:
    """What might stand in the gap, the music after it known."""
    cut = query.cut
    events = cut.tune.events
    columns = (events.start, events.pitch, events.duration, events.length, events.note)
    after = Events(*(column[cut.last :] for column in columns))
    tracker = tracked(cut.tune, cut.first)
    tracker.look_ahead(Book(after))
    goal = int(after.pitch[0]), int(after.start[0])
    reading = np.array(reading_rows(after, cut.tune.setting, AHEAD_MEMORY))[::-1]
    return _asked(cut, [shifted(other, cut.start) for other in query.candidates], tracker, goal, reading)


def asked_for_both(query: Query) -> Asked:
    """The fill and the two bars after the gap, for a network that goes one way."""
    cut = query.cut
    starts = cut.tune.events.start
    until = int(np.searchsorted(starts, starts[cut.last] + GAP_BARS * cut.tune.setting.bar))
    after = starts[cut.last : until].tolist(), pairs(cut.tune, cut.last, until)
    found = [shifted(other, cut.start) for other in query.candidates]
    found = [(own + after[0], tokens + after[1]) for own, tokens in found]
    return _asked(cut, found, tracked(cut.tune, cut.first))


def asked_alone(query: Query) -> Asked:
    """What the candidates are by themselves, after nothing."""
    cut = query.cut
    found = [shifted(other, cut.start) for other in query.candidates]
    asked = _asked(cut, found, Tracker(cut.tune.setting))
    return replace(asked, prompt=Prompt(cut.tune.rows[:0]))


def _asked(
    cut: Cut,
    found: list[tuple[list[int], Pairs]],
    tracker: Tracker,
    goal: tuple[int, int] | None = None,
    reading: np.ndarray | None = None,
) -> Asked:
    rows = [rows_of(tracker, starts, tokens, goal) for starts, tokens in found]
    return Asked(Prompt(cut.tune.rows[: cut.first], reading), rows, [np.array(t) for _, t in found])


def at_continuations(
    candidates: Mapping[str, Candidate], queries: Sequence[Query]
) -> dict[str, tuple[Figures, ...]]:
    """Figures of each network where tunes go on."""
    asked = {"plain": asked_to_continue}
    return _at_places(candidates, queries, asked, lambda _: ("plain",))


def at_gaps(candidates: Mapping[str, Candidate], queries: Sequence[Query]) -> dict[str, tuple[Figures, ...]]:
    """Figures of each network in gaps. One that does not know what comes after has two: by what goes before
    alone, and with the ranking by the fill and the two bars after it.
    """
    asked = {"plain": asked_to_continue, "ahead": asked_to_fill, "both": asked_for_both}
    return _at_places(candidates, queries, asked, lambda c: ("ahead",) if c.ahead else ("plain", "both"))


def _at_places(
    candidates: Mapping[str, Candidate],
    queries: Sequence[Query],
    asked: Mapping[str, Callable[[Query], Asked]],
    ways: Callable[[Candidate], tuple[str, ...]],
) -> dict[str, tuple[Figures, ...]]:
    answers: dict[tuple[str, str], list[Answer]] = {}
    used = sorted({way for candidate in candidates.values() for way in ways(candidate)})
    for k in range(0, len(queries), _TOGETHER):
        part = queries[k : k + _TOGETHER]
        put = {way: [asked[way](query) for query in part] for way in used}
        alone = [asked_alone(query) for query in part]
        for name, candidate in candidates.items():
            base = answers_to(candidate, alone)
            for way in ways(candidate):
                told_all = answers_to(candidate, put[way])
                answers.setdefault((name, way), []).extend(
                    replace(own, alone=by_itself.total) for own, by_itself in zip(told_all, base, strict=True)
                )
    return {
        name: tuple(figures_of_queries(queries, answers[name, way]) for way in ways(candidate))
        for name, candidate in candidates.items()
    }


@dataclass(frozen=True)
class Answer:
    """Log-probability in all of each candidate, (candidates,), and the number of its events; what is thought
    of the truth; and the log-probability of each candidate by itself, if asked for.
    """

    total: np.ndarray
    events: np.ndarray
    truth: Judgement
    alone: np.ndarray | None = None


def answers_to(candidate: Candidate, asked: Sequence[Asked]) -> list[Answer]:
    """What a network answers to queries."""
    heard = candidate.judge.start([told_prompt(candidate, a.prompt) for a in asked])
    windows = [
        Window(i, told(candidate, rows), tokens)
        for i, a in enumerate(asked)
        for rows, tokens in zip(a.rows, a.tokens, strict=True)
    ]
    judged = iter(candidate.judge.judge(heard, windows))
    out = []
    for a in asked:
        own = [next(judged) for _ in a.rows]
        total = np.array([j.log_probability.sum() for j in own])
        out.append(Answer(total, np.array([len(tokens) for tokens in a.tokens]), own[0]))
    return out


def told_prompt(candidate: Candidate, prompt: Prompt) -> Prompt:
    """A prompt without what the network is not told."""
    reading = prompt.reading if candidate.ahead else None
    if reading is not None and not candidate.style:
        reading = hidden_style(reading)
    return Prompt(told(candidate, prompt.rows), reading)


def figures_of_queries(queries: Sequence[Query], answers: Sequence[Answer]) -> Figures:
    """Figures from the answers to queries."""
    notes, cost, right, rank, gain = [], [], [], [], []
    for query, answer in zip(queries, answers, strict=True):
        truth = np.array(pairs(query.cut.tune, query.cut.first, query.cut.last))
        own = slice(0, len(truth))
        notes.append(int((truth[:, 0] != REST).sum()))
        cost.append(-answer.truth.log_probability[own].sum(0))
        right.append(_right(truth, answer.truth.top[own]))
        rank.append(ranks((answer.total / answer.events)[None])[0])
        if answer.alone is not None:
            events = np.array([cut.last - cut.first for cut in query.candidates])
            gain.append(ranks(((answer.total - answer.alone) / events)[None])[0])
    columns = (np.array(values) for values in (notes, cost, right, rank))
    return Figures(_tune_numbers(queries), *columns, np.array(gain) if gain else None)


def _tune_numbers(queries: Sequence[Query]) -> np.ndarray:
    known: dict[int, int] = {}
    return np.array([known.setdefault(id(query.cut.tune), len(known)) for query in queries])


# ---- floors --------------------------------------------------------------------------------------------


def chain_at_places(chain_of: Callable[[Tune], MarkovChain], queries: Sequence[Query]) -> Figures:
    """Figures of a Markov chain, which knows what goes before alone."""
    answers = []
    for query in queries:
        cut = query.cut
        chain, past = chain_of(cut.tune), pairs(cut.tune, 0, cut.first)
        found = [pairs(c.tune, c.first, c.last) for c in query.candidates]
        likely = [chain.log_probability(past, tokens) for tokens in found]
        alone = [chain.log_probability([], tokens).sum() for tokens in found]
        true = past[-chain.order :] + found[0]
        first = len(true) - len(found[0])
        top = [chain.top(true[max(i - chain.order, 0) : i]) for i in range(first, len(true))]
        answers.append(
            Answer(
                np.array([own.sum() for own in likely]),
                np.array([len(tokens) for tokens in found]),
                Judgement(likely[0], np.array(top)),
                np.array(alone),
            )
        )
    return figures_of_queries(queries, answers)


def repetition_at_places(queries: Sequence[Query], bars: int) -> Figures:
    """Ranking by likeness to the bars before (share of equal notes at equal places), and top-1 of saying them
    again.
    """
    notes, right, rank = [], [], []
    for query in queries:
        cut = query.cut
        earlier = before(cut, bars)
        old = _sounding(earlier, cut.start - bars * cut.tune.setting.bar)
        found = [_sounding(c, c.start) for c in query.candidates]
        rank.append(ranks(np.array([[len(new & old) / max(len(new | old), 1) for new in found]]))[0])
        truth = np.array(pairs(cut.tune, cut.first, cut.last))
        notes.append(int((truth[:, 0] != REST).sum()))
        right.append(_right(truth, repeated(cut.tune, bars)[cut.first : cut.last]))
    return Figures(_tune_numbers(queries), np.array(notes), None, np.array(right), np.array(rank))


def _sounding(cut: Cut, origin: int) -> set[tuple[int, int]]:
    events = cut.tune.events
    starts, pitches = (c[cut.first : cut.last].tolist() for c in (events.start, events.pitch))
    return {(s - origin, p) for s, p in zip(starts, pitches, strict=True) if p != REST}
