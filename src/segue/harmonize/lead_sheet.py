"""A lead sheet as MusicXML: one part with the melody, chord symbols above it, key, meters and tempo.

Source: MusicXML 4.0, W3C Music Notation Community Group, 2021. The same sheet is the same text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from segue.chords import QUALITIES, Chord, note_name
from segue.complete.encoding import TICKS_PER_UNIT, UNITS_PER_QUARTER
from segue.harmonize.note_values import Value, note_values, triplets
from segue.harmonize.sheet import Bar, Sheet
from segue.ingest.key import Key, signature_of
from segue.score import Meter, Tempo

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">\n'
)
#: MusicXML's kind of each quality, and the degrees that make the rest of it: (number, alter, type).
_KINDS: dict[str, tuple[str, tuple[tuple[int, int, str], ...]]] = {
    "maj": ("major", ()),
    "min": ("minor", ()),
    "7": ("dominant", ()),
    "maj7": ("major-seventh", ()),
    "min7": ("minor-seventh", ()),
    "dim": ("diminished", ()),
    "hdim7": ("half-diminished", ()),
    "dim7": ("diminished-seventh", ()),
    "aug": ("augmented", ()),
    "sus4": ("suspended-fourth", ()),
    "sus2": ("suspended-second", ()),
    "maj6": ("major-sixth", ()),
    "min6": ("minor-sixth", ()),
    "minmaj7": ("major-minor", ()),
    # A seventh that is added is a minor one, unless it is altered.
    "7sus4": ("suspended-fourth", ((7, 0, "add"),)),
    "9sus4": ("suspended-fourth", ((7, 0, "add"), (9, 0, "add"))),
    "aug7": ("augmented-seventh", ()),
    "7b5": ("dominant", ((5, -1, "alter"),)),
    "9": ("dominant-ninth", ()),
    "maj9": ("major-ninth", ()),
    "min9": ("minor-ninth", ()),
    "7b9": ("dominant", ((9, -1, "add"),)),
    "7#9": ("dominant", ((9, 1, "add"),)),
    "13": ("dominant-13th", ()),
    "add9": ("major", ((9, 0, "add"),)),
    "madd9": ("minor", ((9, 0, "add"),)),
    "69": ("major-sixth", ((9, 0, "add"),)),
    "5": ("power", ()),
}
_LINE_OF_FIFTHS = "FCGDAEB"
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
#: Fb, the farthest flat that a reader meets.
_LAST_FLAT = -8
#: Melodies whose middle pitch is lower are written in the bass clef.
_BASS_BELOW = 55
#: Note value and dots of the beat that a tempo is told in, by its length in units.
_BEATS = {48: ("whole", 0), 24: ("half", 0), 12: ("quarter", 0), 18: ("quarter", 1), 9: ("eighth", 1)}


def lead_sheet(sheet: Sheet, keys: Sequence[Mapping[str, Any]], title: str, tempo: Tempo) -> str:
    """The MusicXML of a sheet whose bars are in `keys` (a record's), with the tempo that it begins in."""
    root = Element("score-partwise", version="4.0")
    # A title comes from a file's name, which may hold what XML cannot.
    clean = "".join(c if c.isprintable() else " " for c in title)
    _text(SubElement(root, "work"), "work-title", clean)
    _text(SubElement(SubElement(root, "identification"), "encoding"), "software", "Segue")
    entry = SubElement(SubElement(root, "part-list"), "score-part", id="P1")
    _text(entry, "part-name", "Melody")
    writer = _Writer(SubElement(root, "part", id="P1"), sheet, keys)
    writer.write(tempo)
    ElementTree.indent(root, " ")
    return _HEAD + ElementTree.tostring(root, encoding="unicode") + "\n"


def title_of(piece: str) -> str:
    """The title of a piece with this id: the last part of its path as words with capitals."""
    words = piece.rpartition("/")[2].replace("_", " ").split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def signature(key: Mapping[str, Any]) -> int:
    """Sharps of a key's signature, negative for flats."""
    return signature_of(Key(int(key["tonic"]), key["mode"]), 0).sharps


def spelled(pitch: int, key: Mapping[str, Any]) -> tuple[str, int, int]:
    """A MIDI pitch as step, alter and octave, spelt as near to the key as the line of fifths allows.

    Major keys reach from their flat second to their raised fourth, minor keys from their flat fifth to their
    raised seventh. Chord symbols avoid names such as E# (`segue.chords.note_name`); written notes do not.
    """
    tonic = _fifths(note_name(int(key["tonic"]), key))
    low = max(tonic - (6 if key["mode"] == "minor" else 5), _LAST_FLAT)
    alter, letter = divmod(low + (pitch * 7 - low) % 12 + 1, 7)
    step = _LINE_OF_FIFTHS[letter]
    return step, alter, (pitch - alter - _STEPS[step]) // 12 - 1


def _fifths(name: str) -> int:
    """Place of a note name on the line of fifths, from C."""
    return _LINE_OF_FIFTHS.index(name[0]) - 1 + 7 * _alter(name)


def _alter(name: str) -> int:
    return name.count("#") - name.count("b")


def _text(parent: Element, tag: str, text: object) -> Element:
    child = SubElement(parent, tag)
    child.text = str(text)
    return child


class _Writer:
    """Writes the measures of a part; holds what carries over from one to the next."""

    def __init__(self, part: Element, sheet: Sheet, keys: Sequence[Mapping[str, Any]]) -> None:
        self._part, self._sheet, self._keys = part, sheet, keys
        self._key: Mapping[str, Any] = {}
        self._meter: Meter | None = None
        self._next_note = 0
        #: Alterations of letters by the signature.
        self._signed: dict[str, int] = {}
        #: Alterations in force in the bar by (step, octave), beside those of the signature.
        self._altered: dict[tuple[str, int], int] = {}

    def write(self, tempo: Tempo) -> None:
        pickup = self._sheet.bars[0].is_odd
        bars = zip(self._sheet.bars, self._keys, strict=True)
        for number, (bar, key) in enumerate(bars, start=0 if pickup else 1):
            measure = SubElement(self._part, "measure", number=str(number))
            if bar.is_odd:
                measure.set("implicit", "yes")
            self._altered = {}
            self._attributes(measure, bar, key)
            if bar is self._sheet.bars[0]:
                _tempo(measure, tempo, bar.meter)
            self._music(measure, bar)
        line = SubElement(measure, "barline", location="right")
        _text(line, "bar-style", "light-heavy")

    def _attributes(self, measure: Element, bar: Bar, key: Mapping[str, Any]) -> None:
        first = self._meter is None
        new_key = first or signature(key) != signature(self._key)
        new_meter = first or self._meter.name != bar.meter.name
        self._key, self._meter = key, bar.meter
        if not new_key and not new_meter:
            return
        attributes = SubElement(measure, "attributes")
        if first:
            _text(attributes, "divisions", UNITS_PER_QUARTER)
        if new_key:
            sharps = signature(key)
            letters = _LINE_OF_FIFTHS[:sharps] if sharps > 0 else _LINE_OF_FIFTHS[sharps:] if sharps else ""
            self._signed = dict.fromkeys(letters, 1 if sharps > 0 else -1)
            written = SubElement(attributes, "key")
            _text(written, "fifths", sharps)
            _text(written, "mode", key["mode"])
        if new_meter:
            time = SubElement(attributes, "time")
            _text(time, "beats", bar.meter.numerator)
            _text(time, "beat-type", bar.meter.denominator)
        if first:
            pitches = [pitch for _, _, pitch in self._sheet.notes]
            low = bool(pitches) and float(np.median(pitches)) < _BASS_BELOW
            clef = SubElement(attributes, "clef")
            _text(clef, "sign", "F" if low else "G")
            _text(clef, "line", 4 if low else 2)

    def _music(self, measure: Element, bar: Bar) -> None:
        """The notes, rests and chord symbols of a bar."""
        spans = self._spans(bar)
        length = bar.stop - bar.start
        compound = bar.meter.beat_ticks == 18 * TICKS_PER_UNIT
        bounds = [edge - bar.start for start, stop, _ in spans for edge in (max(start, bar.start), stop)]
        groups = triplets([b for b in bounds if b < length], length, compound)
        for start, stop, pitch in spans:
            first, last = max(start, bar.start), min(stop, bar.stop)
            if pitch is None and last - first == length:
                self._chords(measure, first, last)
                rest = SubElement(measure, "note")
                SubElement(rest, "rest", measure="yes")
                _text(rest, "duration", length)
                _text(rest, "voice", 1)
                continue
            for value in note_values(first - bar.start, last - bar.start, groups, length, compound):
                at = bar.start + value.start
                self._chords(measure, at, at + value.length)
                note = SubElement(measure, "note")
                if pitch is None:
                    SubElement(note, "rest")
                    _written(note, value, None, False, False)
                else:
                    tied = at > start, at + value.length < stop
                    _written(note, value, self._pitch(note, pitch, tied[0]), *tied)

    def _spans(self, bar: Bar) -> list[tuple[int, int, int | None]]:
        """What sounds in a bar, and the rests between: (start, stop, pitch), notes with their full length."""
        spans: list[tuple[int, int, int | None]] = []
        notes, at = self._sheet.notes, bar.start
        while self._next_note < len(notes) and notes[self._next_note][0] < bar.stop:
            start, stop, pitch = notes[self._next_note]
            if start > at:
                spans.append((at, start, None))
            spans.append((start, stop, pitch))
            at = stop
            if stop > bar.stop:
                break  # It sounds in the next bar, too.
            self._next_note += 1
        if at < bar.stop:
            spans.append((at, bar.stop, None))
        return spans

    def _pitch(self, note: Element, pitch: int, tied: bool) -> str | None:
        """Write the pitch; the accidental that it needs in its bar. What is tied over needs none."""
        step, alter, octave = spelled(pitch, self._key)
        written = SubElement(note, "pitch")
        _text(written, "step", step)
        if alter:
            _text(written, "alter", alter)
        _text(written, "octave", octave)
        known = self._altered.get((step, octave), self._signed.get(step, 0))
        if alter == known or tied:
            return None
        self._altered[step, octave] = alter
        return _ACCIDENTALS[alter]

    def _chords(self, measure: Element, start: int, stop: int) -> None:
        for unit, chord in self._sheet.chords_between(start, stop):
            _harmony(measure, chord, self._key, unit - start)


def _written(note: Element, value: Value, accidental: str | None, tied_from: bool, tied_to: bool) -> None:
    """Everything of a note behind its pitch, in the order that the schema asks for."""
    ties = ["stop"] * tied_from + ["start"] * tied_to
    _text(note, "duration", value.length)
    for tie in ties:
        SubElement(note, "tie", type=tie)
    _text(note, "voice", 1)
    _text(note, "type", value.kind)
    for _ in range(value.dots):
        SubElement(note, "dot")
    if accidental:
        _text(note, "accidental", accidental)
    tuplets: Sequence[str] = ()
    if value.group:
        start, stop = value.group
        modification = SubElement(note, "time-modification")
        _text(modification, "actual-notes", 3)
        _text(modification, "normal-notes", 2)
        _text(modification, "normal-type", "eighth" if stop - start == UNITS_PER_QUARTER else "16th")
        opens, closes = value.start == start, value.start + value.length == stop
        tuplets = ["start"] * opens + ["stop"] * closes
    if ties or tuplets:
        notations = SubElement(note, "notations")
        for tie in ties:
            SubElement(notations, "tied", type=tie)
        for tuplet in tuplets:
            SubElement(notations, "tuplet", type=tuplet)


def _harmony(measure: Element, chord: Chord, key: Mapping[str, Any], offset: int) -> None:
    """A chord symbol that begins `offset` units after what is written next."""
    harmony = SubElement(measure, "harmony")
    if chord.is_chord:
        kind, degrees = _KINDS[chord.quality]
        _named(harmony, "root", note_name(chord.root, key))
        _text(harmony, "kind", kind).set("text", QUALITIES[chord.quality].suffix)
        if chord.bass != chord.root:
            _named(harmony, "bass", note_name(chord.bass, key))
        for number, alter, what in degrees:
            # The text of the kind names them already.
            degree = SubElement(harmony, "degree", {"print-object": "no"})
            _text(degree, "degree-value", number)
            _text(degree, "degree-alter", alter)
            _text(degree, "degree-type", what)
    else:
        # The schema wants a root here, too; its text is what is shown.
        _text(SubElement(harmony, "root"), "root-step", "C").set("text", "")
        _text(harmony, "kind", "none").set("text", chord.symbol())
    if offset:
        _text(harmony, "offset", offset)


def _named(harmony: Element, tag: str, name: str) -> None:
    element = SubElement(harmony, tag)
    _text(element, f"{tag}-step", name[0])
    if alter := _alter(name):
        _text(element, f"{tag}-alter", alter)


def _tempo(measure: Element, tempo: Tempo, meter: Meter) -> None:
    beat = meter.beat_ticks // TICKS_PER_UNIT
    beat = beat if beat in _BEATS else UNITS_PER_QUARTER
    kind, dots = _BEATS[beat]
    direction = SubElement(measure, "direction", placement="above")
    metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
    _text(metronome, "beat-unit", kind)
    for _ in range(dots):
        SubElement(metronome, "beat-unit-dot")
    _text(metronome, "per-minute", max(round(tempo.bpm * UNITS_PER_QUARTER / beat), 1))
    SubElement(direction, "sound", tempo=f"{tempo.bpm:.3f}".rstrip("0").rstrip("."))
