"""The training set: tunes read, cleaned, grouped by near-duplicates, split by group, encoded and cached.

Near-duplicates (a tune under another name, in another key, book or setting) are found by interval n-grams,
which no key changes, of two kinds: runs of 6 intervals with the rounded log ratios of the durations between
them, and runs of 8 intervals alone, which find a reel that was made a clog. A run that more than 40 tunes
share is a common figure and says nothing. Two tunes belong together when they share, of either kind, at
least 18 % of the rarer tune's remaining runs, and at least 6; all jazz solos over one piece belong together,
too. Groups are the connected components. The split falls by a hash of the name of the group's first tune.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from segue.complete.encoding import snap
from training.melody.abc import read_tunebooks
from training.melody.lieder import read_lieder
from training.melody.musicxml import read_openewld
from training.melody.pop909 import read_pop909
from training.melody.tune import Tune
from training.melody.weimar import read_weimar
from training.melody.weimar import title as solo_title

#: Raised whenever a reader or the split changes.
TUNES_VERSION = 1
VALIDATION_SHARE = 0.12
#: Few sheets, and forty are wanted to measure with.
OPENEWLD_SHARE = 0.14
T = TypeVar("T")
READERS = (
    ("tunebooks", read_tunebooks),
    ("pop909", read_pop909),
    ("openewld", read_openewld),
    ("weimar-jazz", read_weimar),
    ("openscore-lieder", read_lieder),
)


def fingerprints(tune: Tune, size: int, rhythm: bool) -> set[int]:
    """Hashes of the runs of `size` intervals of a tune, with the rhythm between them or without.

    Runs of which most intervals are repeated notes are passed over: tunes that recite are not alike by that.
    """
    interval = np.diff(tune.pitch)
    gap = np.maximum(np.diff(tune.onset), 1)
    ratio = np.round(2 * np.log2(gap[1:] / gap[:-1])).astype(np.int64)
    found = set()
    moves = np.concatenate([[0], np.cumsum(interval != 0)])
    for i in range(len(interval) - size + 1):
        if moves[i + size] - moves[i] < size / 2:
            continue
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
    first_over: dict[str, int] = {}
    for i, tune in enumerate(tunes):
        if tune.corpus == "weimar-jazz":
            pairs.append((first_over.setdefault(solo_title(tune), i), i))
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
    return replace(
        tune,
        onset=onset[index],
        duration=np.maximum(stop[index] - onset[index], 1),
        pitch=tune.pitch[index],
        section_end=tuple(sorted(min(e, len(index) - 1) for e in ends)),
    )


def cached(path: Path, make: Callable[[], T]) -> T:
    """What `make` gives, from the file where it has been made before."""
    if path.is_file():
        with open(path, "rb") as stream:
            return pickle.load(stream)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as stream:
        pickle.dump(made, stream)
    return made


def read_all(data: Path) -> tuple[list[Tune], dict[str, dict[str, int]]]:
    """All clean tunes of all corpora below `data`, and per corpus how many were left out for which reason."""
    tunes: list[Tune] = []
    lost: dict[str, dict[str, int]] = {}
    for name, reader in READERS:
        found, out = reader(data / name)
        cleaned = [t for t in map(clean, found) if t is not None]
        out["fewer than 12 places"] = len(found) - len(cleaned)
        tunes += cleaned
        lost[name] = {reason: n for reason, n in out.most_common() if n}
    return tunes, lost


def _is_validation(first: Tune) -> bool:
    """Whether the group whose first tune this is validates."""
    number = int.from_bytes(hashlib.sha256(first.name.encode()).digest()[:4], "little") / 2**32
    return number < (OPENEWLD_SHARE if first.corpus == "openewld" else VALIDATION_SHARE)


def split_tunes(tunes: list[Tune]) -> tuple[list[Tune], list[Tune], dict]:
    """Training and validation tunes, no group of near-duplicates in both, and counts."""
    group = group_near_duplicates(tunes)
    held = [_is_validation(tunes[g]) for g in group]
    train = [t for t, h in zip(tunes, held, strict=True) if not h]
    valid = [t for t, h in zip(tunes, held, strict=True) if h]
    sizes = Counter(group.tolist())
    return (
        train,
        valid,
        {
            "groups": len(sizes),
            "tunes_with_a_near_duplicate": sum(n for n in sizes.values() if n > 1),
            "largest_group": max(sizes.values()),
            **{
                f"{part}_{what}": count
                for part, chosen in (("training", train), ("validation", valid))
                for what, count in (
                    ("tunes", dict(Counter(t.corpus for t in chosen))),
                    ("notes", sum(len(t.pitch) for t in chosen)),
                )
            },
        },
    )


def load_tunes(data: Path, cache: Path) -> tuple[list[Tune], list[Tune], dict]:
    """Training and validation tunes and a summary, from `cache` where they have been read before."""

    def make() -> tuple[list[Tune], list[Tune], dict]:
        tunes, lost = read_all(data)
        train, valid, counts = split_tunes(tunes)
        return train, valid, {"tunes": dict(Counter(t.corpus for t in tunes)), "left_out": lost, **counts}

    return cached(cache / f"tunes-{TUNES_VERSION}.pickle", make)
