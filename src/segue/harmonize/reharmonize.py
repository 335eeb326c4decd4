"""Substitutions on top of chords: other chords for the same melody.

Conventions
-----------
- A *place* is one chord of the progression. Protected are the first chord, the first tonic and the last
  cadence (the last chord and the one before it); at the very end only a Picardy third is put.
- A place gets at most one substitution: another chord in its stead, chords in its last beats that lead to the
  next one, or a supertonic before a dominant. A chord that a substitution leads to is not replaced any more.
- The places come in an order drawn from the seed, tonics after their dominants last, so that cadences go when
  little else is left; and each choice knows those before it. `amount` takes this share of the substitutions
  that are possible, from the first on, so that those at a smaller amount are among those at a larger one.

What the melody and an accompaniment allow is in `consonance`; of the chords that they do, the more consonant
ones are preferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import QUALITIES, Chord
from segue.harmonize.consonance import Accompaniment, Melody
from segue.harmonize.keys import Region, key_at, key_entry
from segue.harmonize.listening import Parts
from segue.harmonize.symbols import Symbol, stops_of
from segue.harmonize.voicing import Span
from segue.ingest.key import Key
from segue.stage import Settings

RELATIVE, MEDIANT, TRITONE = "relative", "mediant", "tritone"
SECONDARY, TWO_FIVE, INTERCHANGE = "secondary dominant", "ii-V", "modal interchange"
FULL, MAJMIN = "full", "majmin"
#: How much each rule is preferred, in the unit of the consonance.
_PREFERENCE = {RELATIVE: 0.0, MEDIANT: -0.3, TRITONE: 0.3, SECONDARY: 0.2, TWO_FIVE: 0.3, INTERCHANGE: 0.2}
#: Standard deviation of what is drawn for every rule at every place, in the same unit.
_DRAWN = 0.3

_DOMINANTS = {"7", "9", "13", "7b9", "7#9", "aug7", "7b5"}
#: Qualities of each kind of chord, the one of four tones first.
_KINDS = {
    "major": ("maj7", "maj"),
    "minor": ("min7", "min"),
    "diminished": ("hdim7", "dim"),
    "dominant": ("7", "maj"),
}
#: Chords from the parallel mode: (mode, semitones above the tonic, kind) to (semitones above the root, kind).
_BORROWED = {
    ("major", 5, "major"): ((0, "minor"),),
    ("major", 2, "minor"): ((0, "diminished"), (11, "major")),
    ("major", 9, "minor"): ((11, "major"),),
    ("major", 7, "major"): ((3, "major"),),
    ("major", 7, "dominant"): ((3, "dominant"),),
    ("minor", 5, "minor"): ((0, "major"), (8, "major")),
    ("minor", 2, "diminished"): ((11, "major"),),
    ("minor", 7, "minor"): ((0, "dominant"),),
}
#: Degrees that are led to by chords of their own, semitones above the tonic.
_TARGETS = {"major": {2, 4, 5, 7, 9}, "minor": {3, 5, 7, 8, 10}}


@dataclass(frozen=True)
class Substitution:
    """A chord that was put from `tick` on in the place of `before`, and the rule that it follows."""

    tick: int
    before: Chord
    after: Chord
    rule: str


@dataclass(frozen=True)
class _Offer:
    """A way of changing the chord at a place: from when to when (ticks) which chords would do, best first."""

    rule: str
    pieces: tuple[tuple[int, int, tuple[Chord, ...]], ...]
    #: Whether it leads to the next chord, which then has to stay.
    leads: bool = False


@dataclass
class _Progression:
    """The chords that each place begins and ends with, after what has been chosen."""

    first: list[Chord]
    last: list[Chord]
    #: Places that keep their chord: protected ones, and those that a chord before them leads to.
    stays: set[int]


def reharmonize(
    spans: Sequence[Span],
    keys: Sequence[Key],
    melody: np.ndarray,
    accompaniment: np.ndarray,
    grid: Grid,
    amount: float,
    vocabulary: str,
    seed: int,
) -> tuple[list[Span], list[Substitution]]:
    """The chords with substitutions, and these by tick.

    `spans` are the chords in order of time (some may be no chord) and `keys` the key at each; `melody` and
    `accompaniment` are NOTE arrays; `amount` is in 0..1. The new chords are of the `vocabulary` that the
    settings name: "full", "triads" or "majmin".
    """
    plan = _plan(spans, keys, melody, accompaniment, grid, vocabulary, seed) if amount > 0 else []
    taken = dict(plan[: int(np.ceil(round(amount * len(plan), 6)))])
    new: list[Span] = []
    done: list[Substitution] = []
    for place, span in enumerate(spans):
        if place not in taken:
            new.append(span)
            continue
        rule, pieces = taken[place]
        done += [Substitution(piece.start, span.chord, piece.chord, rule) for piece in pieces]
        whole = [
            Span(span.chord, span.start, pieces[0].start),
            *pieces,
            Span(span.chord, pieces[-1].end, span.end),
        ]
        new += [piece for piece in whole if piece.end > piece.start]
    return new, done


def substitute(
    symbols: Sequence[Symbol],
    keys: Sequence[Region],
    parts: Parts,
    grid: Grid,
    settings: Settings,
    seed: int,
) -> tuple[list[Symbol], list[dict[str, Any]]]:
    """The symbols of a piece with substitutions by the stage's settings, and these as the record has them."""
    stops = stops_of(symbols, int(grid.ticks[-1]))
    places = [
        (s, Span(s.chord, s.tick, stop)) for s, stop in zip(symbols, stops, strict=True) if stop > s.tick
    ]
    new, done = reharmonize(
        [span for _, span in places],
        [key_at(keys, span.start) for _, span in places],
        parts.melody,
        parts.accompaniment,
        grid,
        settings["reharmonize"],
        settings["vocabulary"],
        seed,
    )
    before = {symbol.tick: symbol for symbol, _ in places}
    starts = [span.start for _, span in places]

    def label(chord: Chord, tick: int) -> str:
        own = before[starts[int(np.searchsorted(starts, tick, "right")) - 1]]
        return own.label if own.chord == chord else chord.symbol(key_entry(key_at(keys, tick)))

    written = [Symbol(span.start, span.chord, label(span.chord, span.start)) for span in new]
    # Symbols behind the last note stay as they are.
    written += [s for s, stop in zip(symbols, stops, strict=True) if stop <= s.tick]
    changes = [
        {"tick": s.tick, "from": label(s.before, s.tick), "to": label(s.after, s.tick), "rule": s.rule}
        for s in done
    ]
    return sorted(written, key=lambda s: s.tick), changes


def _plan(
    spans: Sequence[Span],
    keys: Sequence[Key],
    melody: np.ndarray,
    accompaniment: np.ndarray,
    grid: Grid,
    vocabulary: str,
    seed: int,
) -> list[tuple[int, tuple[str, list[Span]]]]:
    """All substitutions that can be made, in the order of making: place, rule and the new chords."""
    above, below = Melody(melody, grid), Accompaniment(accompaniment)
    sounding = [i for i, span in enumerate(spans) if span.chord.is_chord]
    tonics = {i for i in sounding if _is_tonic(spans[i].chord, keys[i])}
    chords = [span.chord for span in spans]
    now = _Progression(chords, list(chords), {*sounding[:1], *sorted(tonics)[:1]})
    rng = np.random.default_rng(seed)
    plan = []
    order = rng.permutation(len(spans)).tolist()
    for place in sorted(order, key=lambda i: i in tonics and _is_cadence(spans, i)):
        # Drawn for every place, so that one place's choice cannot move what is drawn for another.
        drawn = dict(zip(_PREFERENCE, rng.normal(0, _DRAWN, len(_PREFERENCE)), strict=True))
        span, key = spans[place], keys[place]
        if not span.chord.is_chord:
            continue
        offers: list[_Offer] = []
        if place == sounding[-1]:
            offers = _picardy(span, key)
        elif place not in sounding[-2:]:
            offers = [
                *_replacements(now, span, key, place, vocabulary),
                *_tails(now, span, key, place, grid, vocabulary),
                *_heads(now, span, place, grid, vocabulary),
            ]
        best: tuple[float, _Offer, list[Span]] | None = None
        for offer in offers:
            pieces, gain = _fitting(offer, span.chord, above, below)
            rating = gain + _PREFERENCE[offer.rule] + drawn[offer.rule]
            if pieces and (best is None or rating > best[0]):
                best = rating, offer, pieces
        if best is not None:
            _, offer, pieces = best
            plan.append((place, (offer.rule, pieces)))
            # Chords in the last beats leave the beginning as it is, and the other way round.
            if pieces[0].start == span.start:
                now.first[place] = pieces[0].chord
            if pieces[-1].end == span.end:
                now.last[place] = pieces[-1].chord
            if offer.leads:
                now.stays.add(place + 1)
    return plan


def _replacements(now: _Progression, span: Span, key: Key, place: int, vocabulary: str) -> Iterator[_Offer]:
    """Other chords for the whole time of a place."""
    if place in now.stays:
        return
    chord, following = span.chord, now.first[place + 1]
    kind, degree = _kind(chord), (chord.root - key.tonic) % 12
    four = vocabulary == FULL and len(QUALITIES[chord.quality].intervals) > 3
    is_dominant = kind == "dominant" or (kind == "major" and degree == 7)
    found: list[tuple[str, int, str]] = []
    if kind == "minor":
        found.append((RELATIVE, 3, "major"))
    elif kind == "major" and not is_dominant:
        found.append((RELATIVE, 9, "minor"))
    if degree == 0 and kind == key.mode:
        found.append((MEDIANT, 4, "minor") if kind == "major" else (MEDIANT, 8, "major"))
    for up, other in _BORROWED.get((key.mode, degree, kind), ()):
        # In the place of a dominant only before the tonic, as in bVII-I.
        is_open = degree != 7 or _is_tonic(following, key)
        if is_open and not (other == "diminished" and vocabulary == MAJMIN):
            found.append((INTERCHANGE, up, other))
    around = {_root_and_kind(now.last[place - 1]), _root_and_kind(following)}
    for rule, up, other in found:
        options = tuple(c for c in _chords(chord.root + up, other, four) if _root_and_kind(c) not in around)
        leads = rule == INTERCHANGE and degree == 7
        yield _Offer(rule, ((span.start, span.end, options),), leads)
    if is_dominant and vocabulary == FULL and _resolves(chord, following):
        yield _Offer(TRITONE, ((span.start, span.end, (Chord((chord.root + 6) % 12, "7"),)),), leads=True)


def _tails(
    now: _Progression, span: Span, key: Key, place: int, grid: Grid, vocabulary: str
) -> Iterator[_Offer]:
    """Chords in the last beats of a place that lead to the next one."""
    following = now.first[place + 1]
    kind = _kind(following)
    led_to = (
        kind in ("major", "minor", "dominant") and (following.root - key.tonic) % 12 in _TARGETS[key.mode]
    )
    if not led_to or _resolves(span.chord, following):
        return
    inside, strong = _beats_inside(span, grid)
    dominants = _chords(following.root + 7, "dominant", vocabulary == FULL)
    if _root_and_kind(span.chord) == _root_and_kind(dominants[0]):
        return
    supertonic = _supertonic(following.root + 2, kind)
    for start in sorted({*inside[-1:], *strong[-1:]}):
        # The chord itself keeps at least half of its time.
        if 2 * start < span.start + span.end:
            continue
        yield _Offer(SECONDARY, ((start, span.end, dominants),), leads=True)
        after = [tick for tick in inside if tick > start]
        if after and vocabulary == FULL:
            turn = after[(len(after) - 1) // 2]
            pieces = (start, turn, (supertonic,)), (turn, span.end, dominants[:1])
            yield _Offer(TWO_FIVE, pieces, leads=True)


def _heads(now: _Progression, span: Span, place: int, grid: Grid, vocabulary: str) -> Iterator[_Offer]:
    """A supertonic before a dominant seventh, in the first half of its time at most."""
    chord, following = span.chord, now.first[place + 1]
    if place in now.stays or vocabulary != FULL:
        return
    if _kind(chord) != "dominant" or not _resolves(chord, following):
        return
    supertonic = _supertonic(chord.root + 7, _kind(following))
    if now.last[place - 1].root == supertonic.root:
        return
    inside, strong = _beats_inside(span, grid)
    for turn in (strong or inside)[:1]:
        if 2 * turn <= span.start + span.end:
            yield _Offer(TWO_FIVE, ((span.start, turn, (supertonic,)),))


def _beats_inside(span: Span, grid: Grid) -> tuple[list[int], list[int]]:
    """The beats after the first tick of a span, and those of them that begin a bar or its second half."""
    first, stop = np.searchsorted(grid.ticks[:-1], [span.start + 1, span.end])
    number, count = grid.number[first:stop], grid.count[first:stop]
    ticks = grid.ticks[first:stop]
    return ticks.tolist(), ticks[(number == 0) | (2 * number == count)].tolist()


def _supertonic(root: int, kind: str) -> Chord:
    """The chord before a dominant that leads to a chord of this kind."""
    return Chord(root % 12, "hdim7" if kind == "minor" else "min7")


def _picardy(span: Span, key: Key) -> list[_Offer]:
    if key.mode != "minor" or not _is_tonic(span.chord, key):
        return []
    return [_Offer(INTERCHANGE, ((span.start, span.end, (Chord(key.tonic, "maj"),)),))]


def _chords(root: int, kind: str, four: bool) -> tuple[Chord, ...]:
    """The chords of a kind, the one of four tones first where `four` are wanted."""
    return tuple(Chord(root % 12, quality) for quality in _KINDS[kind][0 if four else 1 :])


def _kind(chord: Chord) -> str:
    """The kind of a chord by third, fifth and seventh; "" for suspended and augmented ones and no chord."""
    if not chord.is_chord:
        return ""
    if chord.quality in _DOMINANTS:
        return "dominant"
    triad = QUALITIES[chord.quality].intervals[:3]
    return {(0, 4, 7): "major", (0, 3, 7): "minor", (0, 3, 6): "diminished"}.get(triad, "")


def _root_and_kind(chord: Chord) -> tuple[int | None, str]:
    return chord.root, _kind(chord)


def _is_tonic(chord: Chord, key: Key) -> bool:
    return chord.root == key.tonic and _kind(chord) == key.mode


def _is_cadence(spans: Sequence[Span], place: int) -> bool:
    """Whether a dominant leads to the chord of a place."""
    before = spans[place - 1].chord if place else spans[place].chord
    return _kind(before) in ("major", "dominant") and _resolves(before, spans[place].chord)


def _resolves(chord: Chord, following: Chord) -> bool:
    return following.is_chord and following.root == (chord.root + 5) % 12


def _fitting(offer: _Offer, before: Chord, above: Melody, below: Accompaniment) -> tuple[list[Span], float]:
    """The chords of an offer that the music allows, none where one of them finds no chord; and the gain."""
    spans: list[Span] = []
    gains: list[float] = []
    for start, end, options in offer.pieces:
        for chord in options:
            gain = above.gain(before, chord, start, end)
            if gain is not None and below.allows(before, chord, start, end):
                spans.append(Span(chord, start, end))
                gains.append(gain)
                break
        else:
            return [], 0.0
    return spans, float(np.mean(gains))
