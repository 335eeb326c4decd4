"""Tunes of the tunebooks from ABC text: one voice, every repeated section once with its last ending.

Written for this because note-seq's reader refuses tunes with chords, voices or unbalanced repeats, which are
a third of these books. Grace notes, ornaments, chord symbols and words are passed over; of a chord the top
note is kept. A tune is left out, with the reason, when its bars do not add up or it changes meter early.

Source of the notation: the ABC music standard 2.1, Chris Walshaw and others, 2011.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from training.melody.tune import Tune

_LETTER = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARPS = ("F", "C", "G", "D", "A", "E", "B")
#: Sharps of the major key on each natural letter.
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "phr": -4, "loc": -5, "lyd": 1}
_MINOR = {"min", "aeo", "dor", "phr", "loc"}
_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)(\d*)(/*)(\d*)")
_REST = re.compile(r"([zxZ])(\d*)(/*)(\d*)")
_TUPLET = re.compile(r"\((\d)(?::(\d*))?(?::(\d*))?")
_BAR = re.compile(r"[:|\[\]]*\|[:|\]]*|::+|:\||\|:")
_ENDING = re.compile(r"\[?\s*([1-9])(?:[,.\-][1-9])*(?=[^0-9/:])")


class AbcError(ValueError):
    """A tune that cannot be used, with the reason."""


@dataclass
class _Reader:
    """State while the body of one tune is read; times in quarters from the start."""

    unit: Fraction
    bar: Fraction
    signature: dict[str, int]
    notes: list[list] = field(default_factory=list)
    now: Fraction = Fraction(0)
    bar_began: Fraction = Fraction(0)
    accidentals: dict[tuple[str, int], int] = field(default_factory=dict)
    broken: int = 0
    last: int | None = None
    tuplet: tuple[Fraction, int] = (Fraction(1), 0)
    tied: bool = False
    measures: list[tuple[Fraction, Fraction, bool]] = field(default_factory=list)
    section_ends: list[int] = field(default_factory=list)
    skipping: bool = False


def parse_key(text: str) -> tuple[int, str, dict[str, int]]:
    """Tonic 0..11, "major" or "minor" (the third decides), and the accidental of each letter."""
    text = text.split("%")[0].strip()
    if text[:2] in ("HP", "Hp"):
        return 9, "major", {"F": 1, "C": 1}
    match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not match:
        raise AbcError("no key")
    letter, accidental, word = match.groups()
    mode = "min" if word in ("m", "M") and word == "m" else word[:3].lower()
    if mode not in _MODES:
        mode = "maj"
    shift = {"#": 1, "b": -1, "": 0}[accidental]
    fifths = _FIFTHS[letter] + 7 * shift + _MODES[mode]
    signature = dict.fromkeys(_SHARPS[: max(fifths, 0)], 1)
    signature |= dict.fromkeys(_SHARPS[::-1][: max(-fifths, 0)], -1)
    return (_LETTER[letter] + shift) % 12, "minor" if mode in _MINOR else "major", signature


def parse_meter(text: str) -> tuple[int, int]:
    """Numerator and denominator."""
    text = text.split("%")[0].strip()
    if text in ("C", "C|"):
        return 4, 4
    match = re.match(r"(\d+)/(\d+)", text)
    if not match:
        raise AbcError("no meter")
    return int(match[1]), int(match[2])


def _length(number: str, slashes: str, divisor: str) -> Fraction:
    value = Fraction(int(number or 1))
    if slashes:
        value /= int(divisor) if divisor else 2 ** len(slashes)
    return value


def _bar_line(r: _Reader, token: str) -> None:
    length = r.now - r.bar_began
    closes = ":" in token or "||" in token or "]" in token
    if length > 0:
        if length > r.bar:
            raise AbcError("a bar is too long")
        r.measures.append((r.bar_began, length, closes))
        r.bar_began = r.now
    if closes and r.notes and not r.skipping:
        r.section_ends.append(len(r.notes) - 1)
    if closes and r.skipping:
        # The second ending takes the first one's place.
        r.skipping = False
    r.accidentals = {}


def _note(r: _Reader, match: re.Match, chord: bool) -> tuple[int, Fraction]:
    accidental, letter, octave, number, slashes, divisor = match.groups()
    name = letter.upper()
    height = 5 + letter.islower() + octave.count("'") - octave.count(",")
    if accidental:
        r.accidentals[(name, height)] = {"^^": 2, "^": 1, "__": -2, "_": -1, "=": 0}[accidental]
    alter = r.accidentals.get((name, height), r.signature.get(name, 0))
    return 12 * height + _LETTER[name] + alter, _length(number, slashes, divisor)


def _place(r: _Reader, pitch: int | None, length: Fraction) -> None:
    duration = length * r.unit
    factor, left = r.tuplet
    if left:
        duration *= factor
        r.tuplet = (factor, left - 1)
    if r.broken and r.last is not None:
        step = Fraction(1, 2 ** abs(r.broken))
        first, second = (2 - step, step) if r.broken > 0 else (step, 2 - step)
        before = r.notes[r.last]
        r.now += before[1] * (first - 1)
        before[1] *= first
        duration *= second
    r.broken = 0
    if pitch is not None and r.tied and r.notes and r.notes[-1][2] == pitch:
        r.notes[-1][1] += duration
    elif pitch is not None:
        r.notes.append([r.now, duration, pitch])
    r.last = len(r.notes) - 1 if pitch is not None else None
    r.tied = False
    r.now += duration


def _read_body(body: str, r: _Reader) -> None:
    body = re.sub(r'"[^"]*"|\{[^}]*\}|![^!\n]*!|\+[a-z0-9]+\+', "", body)
    at = 0
    while at < len(body):
        char = body[at]
        if char == "[" and re.match(r"\[[A-Za-z]:", body[at:]):
            stop = body.find("]", at)
            kind, value = body[at + 1], body[at + 3 : stop]
            _field(r, kind, value)
            at = stop + 1
        elif bar := _BAR.match(body, at):
            _bar_line(r, bar[0])
            at = bar.end()
            ending = _ENDING.match(body, at)
            if ending:
                r.skipping = ending[1] == "1" and _has_second(body, at)
                at = ending.end()
        elif char == "[" and (ending := _ENDING.match(body, at)):
            r.skipping = ending[1] == "1" and _has_second(body, at)
            at = ending.end()
        elif char == "[":
            stop = body.find("]", at)
            chord = [_note(r, m, True) for m in _NOTE.finditer(body[at + 1 : stop])]
            if not chord:
                raise AbcError("a chord without notes")
            outer = re.compile(r"(\d*)(/*)(\d*)").match(body, stop + 1)
            pitch, length = max(chord)
            _maybe(r, pitch, length * _length(*outer.groups()))
            at = outer.end()
        elif note := _NOTE.match(body, at):
            _maybe(r, *_note(r, note, False))
            at = note.end()
        elif rest := _REST.match(body, at):
            kind, *length = rest.groups()
            value = _length(*length)
            _maybe(r, None, value * r.bar / r.unit if kind == "Z" else value)
            at = rest.end()
        elif tuplet := _TUPLET.match(body, at):
            count = int(tuplet[1])
            compound = r.bar.denominator == 2 or r.bar in (3, Fraction(9, 2), 6)
            given = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(count, 3 if compound else 2)
            inside = int(tuplet[2]) if tuplet[2] else given
            r.tuplet = (Fraction(inside, count), int(tuplet[3]) if tuplet[3] else count)
            at = tuplet.end()
        elif char in "<>":
            run = len(re.match(r"[<>]+", body[at:])[0])
            r.broken = run if char == ">" else -run
            at += run
        elif char == "-":
            r.tied = True
            at += 1
        elif char == "&":
            raise AbcError("several voices")
        else:
            at += 1


def _has_second(body: str, at: int) -> bool:
    return re.search(r"[|:\]\[]\s*\[?\s*2", body[at + 1 :]) is not None


def _maybe(r: _Reader, pitch: int | None, length: Fraction) -> None:
    if not r.skipping:
        _place(r, pitch, length)


def _field(r: _Reader, kind: str, value: str) -> None:
    if kind == "K":
        r.signature = parse_key(value)[2]
    elif kind == "L":
        r.unit = 4 * Fraction(value.split("%")[0].strip())
    elif kind == "M":
        top, bottom = parse_meter(value)
        if Fraction(4 * top, bottom) != r.bar:
            raise AbcError("the meter changes")
    elif kind == "V":
        raise AbcError("several voices")


def read_tune(text: str, name: str, corpus: str) -> Tune:
    """One tune from its ABC text. Raises `AbcError` with the reason why it cannot be used."""
    meter, unit, key = None, None, None
    reader: _Reader | None = None
    lines: list[str] = []
    for raw in text.splitlines():
        line = raw.rstrip()
        if line.startswith("%") or not line.strip():
            continue
        if re.match(r"[A-Za-z]:(?![|:\]])", line):
            kind, value = line[0], line[2:].strip()
            if reader is None:
                if kind == "M":
                    meter = parse_meter(value)
                elif kind == "L":
                    unit = 4 * Fraction(value.split("%")[0].strip())
                elif kind == "V":
                    raise AbcError("several voices")
                elif kind == "K":
                    key = parse_key(value)
                    if meter is None:
                        raise AbcError("no meter")
                    bar = Fraction(4 * meter[0], meter[1])
                    unit = unit or (Fraction(1, 4) if bar < 3 else Fraction(1, 2))
                    reader = _Reader(unit, bar, key[2])
            elif kind in "KLMV":
                lines.append(f"[{kind}:{value}]")
            continue
        lines.append(re.sub(r"(?<!\\)%.*", "", line).rstrip("\\"))
    if reader is None or key is None or meter is None:
        raise AbcError("no key")
    _read_body("\n".join(lines), reader)
    _bar_line(reader, "|]")
    return _tune(reader, name, corpus, meter, key)


def _tune(r: _Reader, name: str, corpus: str, meter: tuple[int, int], key: tuple) -> Tune:
    """Lay the measures on a grid of full bars: a short one joins its complement, else it is a pickup."""
    if len(r.notes) < 12:
        raise AbcError("fewer than 12 notes")
    shift_at: list[tuple[Fraction, Fraction]] = []
    shift = Fraction(0)
    filled = Fraction(0)
    odd = 0
    for i, (began, length, _) in enumerate(r.measures):
        if filled + length == r.bar:
            filled = Fraction(0)
        elif filled == 0 and i == 0:
            shift = r.bar - length
        elif filled == 0 and i + 1 < len(r.measures) and length + r.measures[i + 1][1] == r.bar:
            filled = length
        else:
            # A bar that does not add up: what follows starts a bar, at the cost of a rest.
            odd += 1
            if filled:
                shift += r.bar - filled
            filled = Fraction(0)
            if length < r.bar:
                shift_at.append((began, shift))
                shift += r.bar - length
                continue
        shift_at.append((began, shift))
    if odd > max(2, len(r.measures) // 8):
        raise AbcError("the bars do not add up")
    starts = [b for b, _ in shift_at]
    which = np.searchsorted(np.array(starts, float), [float(n[0]) + 1e-9 for n in r.notes], "right") - 1
    first_bar = r.bar if r.measures[0][1] < r.bar else Fraction(0)
    onset = [n[0] + shift_at[max(i, 0)][1] - first_bar for n, i in zip(r.notes, which, strict=True)]
    grid = np.array([round(12 * t) for t in onset], np.int64)
    stop = np.array([round(12 * (t + n[1])) for t, n in zip(onset, r.notes, strict=True)], np.int64)
    return Tune(
        name,
        corpus,
        "folk",
        meter,
        key[0],
        key[1],
        grid,
        np.maximum(stop - grid, 1),
        np.array([n[2] for n in r.notes], np.int64),
        tuple(sorted({*r.section_ends, len(r.notes) - 1})),
    )


def read_tunebooks(folder: Path) -> tuple[list[Tune], Counter]:
    """All usable tunes below `folder`, in order of file and number, and why the others were left out."""
    tunes: list[Tune] = []
    lost: Counter = Counter()
    for path in sorted(folder.rglob("*.abc")):
        text = path.read_bytes().decode("utf-8", "replace").replace("\r", "")
        for i, part in enumerate(re.split(r"(?m)^(?=X:)", text)[1:]):
            try:
                tunes.append(read_tune(part, f"{path.parent.name}/{path.stem}#{i}", path.parent.name))
            except (AbcError, ValueError, ZeroDivisionError) as error:
                lost[str(error)] += 1
    return tunes, lost
