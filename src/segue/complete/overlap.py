"""Overlap areas between what is written after a place and what stands there (Yang and Lerch 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from segue.complete.encoding import DURATIONS, REST
from segue.complete.evaluate import Candidate, told, told_prompt, tracked
from segue.complete.judge import Prompt
from segue.complete.places import CONTINUATION_BARS, Cut, Pairs, Tune, before, pairs, shifted
from segue.metrics.markov import MarkovChain
from segue.metrics.melody import histograms, overlap_areas

#: Starts and tokens of a line.
_Line = tuple[list[int], Pairs]


def overlaps(
    candidates: Mapping[str, Candidate],
    chain_of: Callable[[Tune], MarkovChain],
    places: Sequence[Cut],
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Overlap areas with the true four bars, by approach and histogram, (places,): networks and Markov chain
    drawn from at temperature 1, and repetition of the four bars before.
    """
    stops = [cut.start + CONTINUATION_BARS * cut.tune.setting.bar for cut in places]
    truth = [_line_histograms(shifted(cut, cut.start)) for cut in places]
    lines: dict[str, list[_Line]] = {
        name: written(candidate, places, stops, np.random.default_rng(seed))
        for name, candidate in candidates.items()
    }
    rng = np.random.default_rng(seed)
    lines["markov"] = [_from_chain(chain_of(c.tune), c, s, rng) for c, s in zip(places, stops, strict=True)]
    lines["repetition"] = [shifted(before(cut, CONTINUATION_BARS), cut.start) for cut in places]
    out = {}
    for name, own in lines.items():
        areas = [overlap_areas(_line_histograms(a), b) for a, b in zip(own, truth, strict=True)]
        out[name] = {key: np.array([area[key] for area in areas]) for key in truth[0]}
    return out


def written(
    candidate: Candidate, places: Sequence[Cut], stops: Sequence[int], rng: np.random.Generator
) -> list[_Line]:
    """What a network writes from each place on up to a unit, drawn from all that it holds for possible."""
    trackers = [tracked(cut.tune, cut.first) for cut in places]
    heard = candidate.judge.start(
        [told_prompt(candidate, Prompt(cut.tune.rows[: cut.first])) for cut in places]
    )
    at = [cut.start for cut in places]
    lines: list[_Line] = [([], []) for _ in places]
    while any(a < stop for a, stop in zip(at, stops, strict=True)):
        rows = told(candidate, np.array([t.row(a) for t, a in zip(trackers, at, strict=True)]))
        pitch, duration, heard = candidate.judge.expect(heard, rows)
        tokens = _draw(pitch, rng)
        lengths = _draw(duration[np.arange(len(tokens)), tokens], rng)
        for i, event in enumerate(zip(tokens.tolist(), lengths.tolist(), strict=True)):
            if at[i] < stops[i]:
                lines[i][0].append(at[i])
                lines[i][1].append(event)
                trackers[i].push(at[i], *event)
                at[i] += DURATIONS[event[1]]
    return lines


def _draw(log_probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index a row (n, choices)."""
    total = np.exp(log_probability).cumsum(1)
    return (total < rng.random((len(total), 1)) * total[:, -1:]).sum(1)


def _from_chain(chain: MarkovChain, cut: Cut, stop: int, rng: np.random.Generator) -> _Line:
    past = pairs(cut.tune, 0, cut.first)
    at, line = cut.start, ([], [])
    while at < stop:
        event = chain.sample([*past, *line[1]][-chain.order :], rng)
        line[0].append(at)
        line[1].append(event)
        at += DURATIONS[event[1]]
    return line


def _line_histograms(line: _Line) -> dict[str, np.ndarray]:
    notes = [(s, DURATIONS[d], p) for s, (p, d) in zip(*line, strict=True) if p != REST]
    return histograms(*(np.array(notes, np.int64).reshape(-1, 3).T))
