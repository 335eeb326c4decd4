"""Order-2 Markov chains of melodies, the floor of METRICS' melody row.

A chain is interpolated Kneser-Ney (Chen and Goodman 1999) with one discount an order, estimated from the
counts of counts. `MarkovChain("joint")` has one token an event, pitch and duration together; `"factored"`
gives p(pitch | two events) p(duration | pitch, two events), which shares more and is the stronger of the two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np

_START = -1

#: Pitch and duration tokens of events.
Pairs = list[tuple[int, int]]


class KneserNey:
    """p(symbol | contexts), contexts from the longest to the empty one, interpolated, uniform at the end."""

    def __init__(self, symbols: int, orders: int) -> None:
        self._symbols = symbols
        self._counts: list[dict[Hashable, Counter]] = [defaultdict(Counter) for _ in range(orders)]
        self._totals: list[dict[Hashable, int]] = []
        self._discounts: list[float] = []

    def add(self, contexts: Sequence[Hashable], symbol: int) -> None:
        """Count one observation. A shorter context counts distinct longer ones (continuation counts)."""
        for table, context in zip(self._counts, contexts, strict=True):
            seen = table[context]
            seen[symbol] += 1
            if seen[symbol] > 1:
                break

    def close(self) -> None:
        """Estimate the discounts; call once after the last `add`."""
        for table in self._counts:
            of = Counter(n for seen in table.values() for n in seen.values())
            self._discounts.append(of[1] / (of[1] + 2 * of[2]) if of[1] and of[2] else 0.5)
            self._totals.append({c: sum(seen.values()) for c, seen in table.items()})

    def _known(self, contexts: Sequence[Hashable]) -> Iterator[tuple[Counter, int, float]]:
        """Counts, their sum and the discount of each context that has been seen, the shortest one first."""
        rows = zip(self._counts, self._totals, self._discounts, contexts, strict=True)
        for table, totals, discount, context in reversed(list(rows)):
            if seen := table.get(context):
                yield seen, totals[context], discount

    def distribution(self, contexts: Sequence[Hashable]) -> np.ndarray:
        """Probabilities of all symbols, float, shape (symbols,)."""
        p = np.full(self._symbols, 1.0 / self._symbols)
        for seen, total, discount in self._known(contexts):
            p *= discount * len(seen) / total
            index = np.fromiter(seen.keys(), np.int64, len(seen))
            p[index] += (np.fromiter(seen.values(), float, len(seen)) - discount) / total
        return p

    def probability(self, contexts: Sequence[Hashable], symbol: int) -> float:
        """Probability of one symbol."""
        p = 1.0 / self._symbols
        for seen, total, discount in self._known(contexts):
            p *= discount * len(seen) / total
            if symbol in seen:
                p += (seen[symbol] - discount) / total
        return p


class MarkovChain:
    """An order-2 chain of events, `kind` "joint" or "factored", over `pitches` and `durations` tokens."""

    def __init__(self, kind: str, pitches: int, durations: int, order: int = 2) -> None:
        self.kind, self.order, self._durations = kind, order, durations
        if kind == "joint":
            self._joint = KneserNey(pitches * durations, order + 1)
        else:
            self._pitch = KneserNey(pitches, order + 1)
            self._duration = KneserNey(durations, order + 3)

    def _contexts(self, past: Pairs) -> list[Hashable]:
        history = ([(_START, _START)] * self.order + past)[-self.order :]
        return [tuple(history[k:]) for k in range(self.order + 1)]

    def _duration_contexts(self, past: Pairs, pitch: int) -> list[Hashable]:
        last = past[-1][1] if past else _START
        return [*((pitch, c) for c in self._contexts(past)[:-1]), ("d", pitch, last), ("last", last), ()]

    def fit(self, melodies: Iterable[Pairs]) -> MarkovChain:
        """Count all melodies."""
        for melody in melodies:
            past: Pairs = []
            for event in melody:
                if self.kind == "joint":
                    self._joint.add(self._contexts(past), event[0] * self._durations + event[1])
                else:
                    self._pitch.add(self._contexts(past), event[0])
                    self._duration.add(self._duration_contexts(past, event[0]), event[1])
                past = [*past[-self.order :], event]
        for part in (self._joint,) if self.kind == "joint" else (self._pitch, self._duration):
            part.close()
        return self

    def log_probability(self, past: Pairs, events: Pairs) -> np.ndarray:
        """Natural log-probability of each of `events` (pitch, duration) after `past`, shape (events, 2).

        For the joint chain the first column holds all.
        """
        past = past[-self.order :]
        out = np.zeros((len(events), 2))
        for i, event in enumerate(events):
            if self.kind == "joint":
                out[i, 0] = np.log(
                    self._joint.probability(self._contexts(past), event[0] * self._durations + event[1])
                )
            else:
                out[i, 0] = np.log(self._pitch.probability(self._contexts(past), event[0]))
                out[i, 1] = np.log(
                    self._duration.probability(self._duration_contexts(past, event[0]), event[1])
                )
            past = [*past[-self.order + 1 :], event]
        return out

    def top(self, past: Pairs) -> tuple[int, int]:
        """The most likely pitch, and the most likely duration with it (factored chain only)."""
        pitch = int(self._pitch.distribution(self._contexts(past)).argmax())
        return pitch, int(self._duration.distribution(self._duration_contexts(past, pitch)).argmax())

    def sample(self, past: Pairs, rng: np.random.Generator) -> tuple[int, int]:
        """A random next event (factored chain only)."""
        pitch = self._pitch.distribution(self._contexts(past))
        token = int(rng.choice(len(pitch), p=pitch / pitch.sum()))
        duration = self._duration.distribution(self._duration_contexts(past, token))
        return token, int(rng.choice(len(duration), p=duration / duration.sum()))
