"""The training set: tunes read, cleaned, grouped by near-duplicates, split by group, encoded and cached.

Near-duplicates (a tune under another name, in another key, book or setting) are found by interval n-grams,
which no key changes, of two kinds: runs of 6 intervals with the rounded log ratios of the durations between
them, and runs of 8 intervals alone, which find a reel that was made a clog. A run that more than 40 tunes
share is a common figure and says nothing. Two tunes belong together when they share, of either kind, at
least 18 % of the rarer tune's remaining runs, and at least 6; groups are the connected components. The split
falls by a hash of the name of the group's first tune.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.complete.encoding import (
    Events,
    Setting,
    encode,
    events_from_notes,
    first_bar,
    reference_tonic,
    snap,
)
from training.melody.abc import read_tunebooks
from training.melody.musicxml import read_openewld
from training.melody.pop909 import read_pop909
from training.melody.tune import Tune

#: Raised whenever the encoding changes, so that a stale cache is not used.
CACHE_VERSION = 4
VALIDATION_SHARE = 0.12


@dataclass(frozen=True)
class Example:
    """One tune, encoded. `rows` (events + 1, features) int16; `end` marks events that end a section."""

    name: str
    corpus: str
    setting: Setting
    events: Events
    rows: np.ndarray
    end: np.ndarray


def fingerprints(tune: Tune, size: int, rhythm: bool) -> set[int]:
    """Hashes of the runs of `size` intervals of a tune, with the rhythm between them or without."""
    interval = np.diff(tune.pitch)
    gap = np.maximum(np.diff(tune.onset), 1)
    ratio = np.round(2 * np.log2(gap[1:] / gap[:-1])).astype(np.int64)
    found = set()
    for i in range(len(interval) - size + 1):
        run = interval[i : i + size].tolist() + (ratio[i : i + size - 1].tolist() if rhythm else [])
        found.add(int.from_bytes(hashlib.blake2b(repr(run).encode(), digest_size=8).digest(), "little"))
    return found


def _pairs(prints: list[set[int]], common: int, share: float) -> list[tuple[int, int]]:
    """Pairs of tunes that share enough of their rarer fingerprints."""
    where: dict[int, list[int]] = defaultdict(list)
    for i, found in enumerate(prints):
        for value in found:
            where[value].append(i)
    rare = [sum(len(where[v]) <= common for v in found) for found in prints]
    shared: Counter = Counter()
    for holders in where.values():
        if 1 < len(holders) <= common:
            shared.update((a, b) for k, a in enumerate(holders) for b in holders[k + 1 :])
    return sorted((a, b) for (a, b), n in shared.items() if n >= 6 and n >= share * min(rare[a], rare[b]))


def group_near_duplicates(tunes: list[Tune], common: int = 40, share: float = 0.18) -> np.ndarray:
    """Group number of each tune, int64, shape (tunes,): the smallest index in its group."""
    pairs = []
    for size, rhythm in ((6, True), (8, False)):
        pairs += _pairs([fingerprints(t, size, rhythm) for t in tunes], common, share)
    parent = list(range(len(tunes)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        first, second = sorted((find(a), find(b)))
        parent[second] = first
    return np.array([find(i) for i in range(len(tunes))])


def clean(tune: Tune) -> Tune | None:
    """The tune on the grid, one note a position; None where fewer than 12 notes are left."""
    onset = snap(tune.onset)
    keep = np.concatenate([np.diff(onset) > 0, [True]])
    index = np.flatnonzero(keep)
    if len(index) < 12:
        return None
    ends = {int(np.searchsorted(index, e)) for e in tune.section_end}
    stop = tune.onset + tune.duration
    return Tune(
        tune.name,
        tune.corpus,
        tune.style,
        tune.meter,
        tune.tonic,
        tune.mode,
        onset[index],
        np.maximum(stop[index] - onset[index], 1),
        tune.pitch[index],
        tuple(sorted(min(e, len(index) - 1) for e in ends)),
    )


def encode_tune(tune: Tune) -> Example:
    """Events and rows of a clean tune; sections end where the notation says so or a bar of rest follows."""
    origin = first_bar(int(tune.onset[0]), tune.bar)
    setting = Setting(
        reference_tonic(tune.tonic, tune.pitch), tune.mode == "minor", tune.meter, tune.style, origin
    )
    events = events_from_notes(tune.onset, tune.duration, tune.pitch, setting)
    ends = np.isin(events.note, tune.section_end)
    rest_next = np.concatenate([events.note[1:] < 0, [False]])
    long_next = np.concatenate([events.length[1:] >= setting.bar, [False]])
    return Example(
        tune.name, tune.corpus, setting, events, encode(events, setting), ends | (rest_next & long_next)
    )


def load(data: Path, cache: Path) -> tuple[list[Example], list[Example], dict]:
    """Training and validation examples and a summary, from `cache` where it holds the same data."""
    path = cache / f"melody-{CACHE_VERSION}.pickle"
    if path.is_file():
        with open(path, "rb") as stream:
            return pickle.load(stream)
    tunes: list[Tune] = []
    lost: dict[str, dict[str, int]] = {}
    for name, reader in (
        ("tunebooks", read_tunebooks),
        ("pop909", read_pop909),
        ("openewld", read_openewld),
    ):
        found, out = reader(data / name)
        tunes += found
        lost[name] = dict(out.most_common())
    tunes = [t for t in map(clean, tunes) if t is not None]
    group = group_near_duplicates(tunes)
    names = [tunes[g].name for g in group]
    share = [int.from_bytes(hashlib.sha256(n.encode()).digest()[:4], "little") / 2**32 for n in names]
    examples = [encode_tune(t) for t in tunes]
    train = [e for e, s in zip(examples, share, strict=True) if s >= VALIDATION_SHARE]
    valid = [e for e, s in zip(examples, share, strict=True) if s < VALIDATION_SHARE]
    sizes = Counter(group.tolist())
    summary = {
        "tunes": dict(Counter(t.corpus for t in tunes)),
        "left_out": lost,
        "groups": len(sizes),
        "tunes_with_a_near_duplicate": sum(n for n in sizes.values() if n > 1),
        "largest_group": max(sizes.values()),
        "training_tunes": len(train),
        "validation_tunes": len(valid),
        "training_events": sum(len(e.events) for e in train),
        "validation_events": sum(len(e.events) for e in valid),
    }
    cache.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as stream:
        pickle.dump((train, valid, summary), stream)
    return train, valid, summary
