"""The keys of a piece: where it modulates, the key that counts as its own, and its key signatures.

Conventions
-----------
- A *key class* is 0..11 major from C up, 12..23 minor. `log_p` are log probabilities of key classes by beat,
  (beats, 24).
- A `Region` is a key with the tick from which it holds, up to the next region's. The first one begins at
  tick 0, later ones at bar lines of the beat grid.
- What the model says of the keys is heard together with the pitch classes of each beat, as likely as the key
  profiles of `segue.ingest.key` make them: the model listens to the whole piece, the profiles to the place.
- Keys are the best path over the whole piece: every modulation costs something, the most one to the relative
  key, whose notes are the same, and a key holds for some bars at least. So a passing secondary dominant is
  none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.harmonize.decode import Hearing, cells_of
from segue.ingest.key import KEY_PROFILES, Key, class_of_key, key_of_class, key_of_signature, signature_of
from segue.score import KeySignature, Score, bar_starts
from segue.stage import Record

KEYS = 24
#: What a modulation costs, in nats that the other key has to be likelier, summed over the beats; and one to
#: the relative key. Chosen on validation songs (docs/harmonize.md).
_MODULATION = 40.0
_TO_RELATIVE = 160.0
#: What the log probability of a beat's pitch classes counts beside the model's own; chosen likewise.
_PROFILE = 6.0
#: Beats that a key holds at least, between two modulations and at both ends of a piece.
_LEAST_BEATS = 16
#: What a key signature that the notes bear out adds to its key at every beat, in nats.
_WRITTEN = 2.0
#: Mean log probability of the keys that were found, below which no key is heard clearly enough to be written.
_CLEAR = -1.3
_NEVER = -1e9


@dataclass(frozen=True)
class Region:
    """A key that holds from `tick` on."""

    tick: int
    key: Key

    @property
    def entry(self) -> dict[str, Any]:
        """As it stands in the record's `keys`."""
        return {"tick": self.tick, **key_entry(self.key)}


def key_entry(key: Key) -> dict[str, Any]:
    """As a key stands in the record."""
    return {"tonic": key.tonic, "mode": key.mode, "name": key.name}


def find_keys(hearing: Hearing, chroma: np.ndarray, grid: Grid, score: Score, record: Record) -> list[Region]:
    """The keys of a piece, at least one. `chroma` says how much each pitch class sounds, (beats, 12).

    Where a key signature of the file says what the notes say (the record's key), it decides between its key
    and the relative one, and any other key has to be heard clearly.
    """
    log_p = with_profiles(hearing.key, chroma)
    given = record.get("key")
    written = [key_of_signature(signature) for signature in score.keys]
    if given and Key(given["tonic"], given["mode"]) in written:
        index = np.searchsorted([s.tick for s in score.keys], grid.ticks[:-1], "right") - 1
        for i, key in enumerate(written):
            # Nothing is written before the first signature; most files mean it from the start.
            beats = np.flatnonzero(np.maximum(index, 0) == i)
            own, relative = class_of_key(key), class_of_key(key.relative)
            log_p[beats, own] = np.logaddexp(log_p[beats, own], log_p[beats, relative]) + _WRITTEN
            log_p[beats, relative] += _NEVER
    path = keys_by_beat(log_p, grid)
    first = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    ticks = np.append(0, grid.ticks[first[1:]])
    return [Region(int(t), key_of_class(int(path[i]))) for t, i in zip(ticks, first, strict=True)]


def with_profiles(log_p: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Log scores of key classes, (beats, 24): the model's with those of the pitch classes that sound.

    Silence before the first note says nothing. Rounded, so that the last digits cannot decide.
    """
    total = chroma.sum(axis=1, keepdims=True)
    share = chroma / np.maximum(total, 1e-9)
    log_p = np.where(np.maximum.accumulate(total > 0), log_p, 0)
    return np.round(log_p + _PROFILE * share @ np.log(KEY_PROFILES).T, 6)


def keys_by_beat(log_p: np.ndarray, grid: Grid) -> np.ndarray:
    """The key class of every beat, int64, shape (beats,); it changes at bar lines alone."""
    bars = cells_of(grid, "bar")
    beats = np.diff(np.append(bars, len(grid)))
    return np.repeat(key_path(np.add.reduceat(log_p, bars), beats), beats)


def key_path(log_p: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """The best key class of every bar, int64, shape (bars,), from log scores (bars, 24).

    `beats` (bars,) are their lengths. A key that changes holds for `_LEAST_BEATS` at least.
    """
    bars = len(log_p)
    cost = _modulation_costs()
    total = np.vstack([np.zeros(KEYS), np.cumsum(log_p, axis=0)])
    position = np.append(0, np.cumsum(beats))
    # best[t]: the best score of bars before t whose last key ends there; begun[t]: where that key began.
    best = np.zeros((bars + 1, KEYS))
    begun = np.zeros((bars + 1, KEYS), np.int64)
    before = np.full((bars + 1, KEYS), -1)
    # The best score that a key may go on from, less what was heard up to there, and the bar where it began.
    entry, entered = np.zeros(KEYS), np.zeros(KEYS, np.int64)
    candidate = 1
    for t in range(1, bars + 1):
        while candidate < t and position[t] - position[candidate] >= _LEAST_BEATS:
            if position[candidate] >= _LEAST_BEATS:
                moved = best[candidate][:, None] - cost
                before[candidate] = moved.argmax(axis=0)
                score = moved.max(axis=0) - total[candidate]
                better = score > entry
                entry, entered = np.where(better, score, entry), np.where(better, candidate, entered)
            candidate += 1
        best[t], begun[t] = total[t] + entry, entered
    path = np.empty(bars, np.int64)
    stop, key = bars, int(best[bars].argmax())
    while stop > 0:
        start = int(begun[stop, key])
        path[start:stop] = key
        stop, key = start, int(before[start, key])
    return path


def _modulation_costs() -> np.ndarray:
    """Cost of going from one key class to another, (24, 24)."""
    cost = np.full((KEYS, KEYS), _MODULATION)
    major = np.arange(12)
    minor = 12 + (major + 9) % 12
    cost[major, minor] = cost[minor, major] = _TO_RELATIVE
    np.fill_diagonal(cost, -_NEVER)
    return cost


def main_key(regions: Sequence[Region], first_tick: int, end_tick: int) -> Key:
    """The key that holds longest from the first note on, the first one of several."""
    held: dict[Key, int] = {}
    for region, stop in zip(regions, [*(r.tick for r in regions[1:]), end_tick], strict=True):
        held[region.key] = held.get(region.key, 0) + max(stop - max(region.tick, first_tick), 0)
    return max(held, key=lambda key: held[key])


def key_at(regions: Sequence[Region], tick: int) -> Key:
    """The key that holds at a tick."""
    index = int(np.searchsorted([r.tick for r in regions], tick, "right")) - 1
    return regions[max(index, 0)].key


def is_clear(regions: Sequence[Region], hearing: Hearing, grid: Grid, first_tick: int) -> bool:
    """Whether the keys were heard clearly enough to be written down; atonal music has none.

    What counts are the beats from the first note on.
    """
    beats = np.flatnonzero(grid.ticks[1:] > first_tick)
    classes = [class_of_key(key_at(regions, int(tick))) for tick in grid.ticks[beats]]
    return float(hearing.key[beats, classes].mean()) > _CLEAR


def with_signatures(
    score: Score, regions: Sequence[Region], choice: str, clear: bool
) -> tuple[Score, dict[str, Any]]:
    """The score with key signatures by the setting `key_signatures`, and what the report says of them."""
    report: dict[str, Any] = {"written": 0, "removed": 0}
    if choice == "never":
        return score, report | {"reason": "key_signatures is never"}
    if not clear:
        return score, report | {"reason": "no key is heard clearly enough to be written"}
    own = score.keys
    kept: tuple[KeySignature, ...] = ()
    if choice == "auto" and own:
        if len({(s.sharps, s.is_minor) for s in own}) > 1:
            return score, report | {"reason": "the file's own changes of key were kept"}
        contradicted = not _sound_alike(own[0], signature_of(regions[0].key, 0))
        # No signature and C major are the same in many programs.
        if not (contradicted and own[0].sharps == 0 and not own[0].is_minor):
            kept = own
            if contradicted:
                heard = regions[0].key.name
                report["reason"] = f"the file's own key signature was kept, though {heard} is heard"
    new = _signatures(score, regions, kept)
    if kept + new == own:
        return score, report
    report |= {"written": len(new), "removed": len(own) - len(kept)}
    return replace(score, keys=kept + new), report


def _signatures(
    score: Score, regions: Sequence[Region], kept: tuple[KeySignature, ...]
) -> tuple[KeySignature, ...]:
    """A signature for each region that needs another one than is in force, behind those that are kept.

    They stand at bar lines of the score, also where the beats of its notes lie beside them.
    """
    bars = bar_starts(score, regions[-1].tick + 1)
    last = kept[-1] if kept else None
    new = []
    for region in regions[1:] if kept else regions:
        tick = int(bars[np.abs(bars - region.tick).argmin()])
        signature = signature_of(region.key, tick)
        if last is None or (tick > last.tick and not _sound_alike(signature, last)):
            new.append(signature)
            last = signature
    return tuple(new)


def _sound_alike(one: KeySignature, other: KeySignature) -> bool:
    """Whether two signatures name the same notes, as six flats and six sharps do."""
    return (one.sharps - other.sharps) % 12 == 0
