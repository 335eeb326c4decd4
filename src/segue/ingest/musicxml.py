"""MusicXML (.xml, .musicxml, .mxl) to `Score`.

Conventions: repeats and endings are played out, tied notes are one note, transposing instruments sound
where they sound, each staff is a track. Verse by verse the words become lyric events, chord symbols marker
events in plain spelling (`Am7`, `F#dim7/A`), rehearsal marks markers ("Section A"), dynamics velocities.
Grace and cue notes, and jumps (D.C., D.S., coda), are left out with a warning.

The readers among the dependencies drop ties, repeats and words, and fail on every fifth file of OpenEWLD.

Source: MusicXML 4.0, W3C Music Notation Community Group, 2021.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from fractions import Fraction
from xml.etree import ElementTree

from segue.chords import QUALITIES, note_name, parse_chord
from segue.ingest.unfold import Bar, Note, Part, lay_out
from segue.score import (
    DRUM_CHANNEL,
    TICKS_PER_QUARTER,
    Meter,
    Score,
)

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_UNIT_QUARTERS = {
    "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": Fraction(1, 2),
    "16th": Fraction(1, 4), "32nd": Fraction(1, 8),
}  # fmt: skip
_DYNAMICS = {
    "pppp": 16, "ppp": 24, "pp": 36, "p": 50, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 120, "ffff": 127,
    "sf": 104, "sfz": 108, "fp": 96, "fz": 104,
}  # fmt: skip
_KINDS = {
    "major": "", "minor": "m", "augmented": "aug", "diminished": "dim", "dominant": "7",
    "major-seventh": "maj7", "minor-seventh": "m7", "diminished-seventh": "dim7", "augmented-seventh":
    "aug7", "half-diminished": "m7b5", "major-minor": "mM7", "major-sixth": "6", "minor-sixth": "m6",
    "dominant-ninth": "9", "major-ninth": "maj9", "minor-ninth": "m9", "dominant-11th": "11",
    "major-11th": "maj11", "minor-11th": "m11", "dominant-13th": "13", "major-13th": "maj13",
    "minor-13th": "m13", "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5", "pedal": "5",
    # As they sound on the root that is named, which is the bass of the augmented sixths.
    "Neapolitan": "", "Italian": "7", "German": "7", "French": "7b5", "Tristan": "m7b5",
    # No kinds of the standard, but some programs write them.
    "minor-major": "mM7", "augmented-ninth": "9#5",
}  # fmt: skip
_ACCIDENTALS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
_MOST_XML_BYTES = 256 << 20
_DEFAULT_VELOCITY = 80
_UNPACK_ERRORS = (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError)
_SNARE = 38


class MusicXmlError(ValueError):
    """The bytes are no MusicXML that can be read; the message says why in one sentence."""


def read_musicxml(data: bytes) -> tuple[Score, list[str]]:
    """Read a MusicXML file, plain or compressed: the score, and warnings (each one sentence)."""
    if data[:2] == b"PK":
        data = _unpack(data)
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise MusicXmlError(f"the file is not well-formed XML: {error}") from None
    if root.tag == "score-timewise":
        raise MusicXmlError("the file is a time-wise score; export it again as a part-wise one")
    if root.tag != "score-partwise":
        raise MusicXmlError(f"the file is XML but not MusicXML: it begins with <{root.tag[:40]}>")
    warnings: list[str] = []
    try:
        parts = [_PartReader(root, part, warnings).read() for part in root.findall("part")]
        if any(part.bars for part in parts):
            return lay_out(parts), list(dict.fromkeys(warnings))
    except (ValueError, KeyError, ZeroDivisionError, OverflowError) as error:
        raise MusicXmlError(f"the MusicXML holds a value that cannot be read: {error}") from None
    raise MusicXmlError("the MusicXML holds no part with music")


def _unpack(data: bytes) -> bytes:
    """The score within a compressed MusicXML file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = _score_name(archive)
            if archive.getinfo(name).file_size > _MOST_XML_BYTES:
                raise MusicXmlError("the compressed MusicXML unpacks to more than 256 MB")
            return archive.read(name)
    except _UNPACK_ERRORS as error:
        raise MusicXmlError(f"the compressed MusicXML cannot be unpacked: {error}") from None


def _score_name(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if "META-INF/container.xml" in names:
        try:
            container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
        except ElementTree.ParseError:
            container = None  # Some programs forget to escape an ampersand in the name.
        if container is not None:
            for root in container.iter("rootfile"):
                if root.get("full-path") in names:
                    return root.attrib["full-path"]
    for name in names:
        if name.lower().endswith((".xml", ".musicxml")) and not name.startswith("META-INF/"):
            return name
    raise MusicXmlError("the archive holds no MusicXML")


class _PartReader:
    """Reads one part, measure by measure; holds what carries over from one measure to the next."""

    def __init__(self, root: ElementTree.Element, part: ElementTree.Element, warnings: list[str]) -> None:
        self._part, self._warnings = part, warnings
        self._divisions = Fraction(1)
        # A part has a handful of durations and thousands of notes.
        self._known_ticks: dict[str | None, int] = {}
        self._transpose = 0
        self._velocity = _DEFAULT_VELOCITY
        self._endings: tuple[int, ...] = ()
        self._unpitched: dict[str, int] = {}
        self._is_drum = False
        self._name, self._program = "", 0
        for entry in root.iterfind("part-list/score-part"):
            if entry.get("id") == part.get("id"):
                self._read_instrument(entry)

    def _read_instrument(self, entry: ElementTree.Element) -> None:
        self._name = (entry.findtext("part-name") or "").strip()
        for instrument in entry.iterfind("midi-instrument"):
            self._program = min(max(int(instrument.findtext("midi-program") or 1) - 1, 0), 127)
            self._is_drum |= int(instrument.findtext("midi-channel") or 1) == DRUM_CHANNEL + 1
            unpitched = instrument.findtext("midi-unpitched")
            if unpitched:
                self._unpitched[instrument.get("id", "")] = min(max(int(unpitched) - 1, 0), 127)

    def read(self) -> Part:
        bars = [self._read_bar(measure) for measure in self._part.iterfind("measure")]
        return Part(self._name, self._program, self._is_drum, bars)

    def _ticks(self, divisions: str | None) -> int:
        if divisions not in self._known_ticks:
            self._known_ticks[divisions] = round(
                Fraction(divisions or 0) / self._divisions * TICKS_PER_QUARTER
            )
        return self._known_ticks[divisions]

    def _read_bar(self, measure: ElementTree.Element) -> Bar:
        bar = Bar()
        at = chord_start = 0
        for element in measure:
            match element.tag:
                case "note":
                    if element.find("grace") is not None or element.find("cue") is not None:
                        self._warnings.append("grace notes and cue notes were left out")
                        continue
                    duration = self._ticks(element.findtext("duration"))
                    if element.find("chord") is None:
                        chord_start = at
                        at += duration
                    self._read_note(element, chord_start, duration, bar)
                case "backup":
                    at = max(at - self._ticks(element.findtext("duration")), 0)
                case "forward":
                    at += self._ticks(element.findtext("duration"))
                case "attributes":
                    self._read_attributes(element, bar)
                case "direction":
                    self._read_direction(element, at, bar)
                case "sound":
                    self._read_sound(element, at, bar)
                case "harmony":
                    label = chord_label(element)
                    if label:
                        place = max(at + self._ticks(element.findtext("offset")), 0)
                        bar.markers.append((place, label))
                case "barline":
                    self._read_barline(element, bar)
            bar.length = max(bar.length, at)
        bar.endings = bar.endings or self._endings
        return bar

    def _read_attributes(self, element: ElementTree.Element, bar: Bar) -> None:
        divisions = element.findtext("divisions")
        if divisions:
            self._divisions = Fraction(divisions)
            self._known_ticks.clear()
            if self._divisions <= 0:
                raise ValueError(f"divisions of {divisions}")
        time = element.find("time")
        if time is not None and time.findtext("beats"):
            beats = sum(int(x) for x in time.findtext("beats", "").split("+"))
            unit = int(time.findtext("beat-type") or 4)
            if 0 < beats < 256 and unit in (1, 2, 4, 8, 16, 32, 64):
                bar.meter = Meter(0, beats, unit)
        fifths = element.findtext("key/fifths")
        if fifths and -7 <= int(fifths) <= 7:
            bar.key = (int(fifths), (element.findtext("key/mode") or "").strip() == "minor")
        transpose = element.find("transpose")
        if transpose is not None:
            octaves = int(transpose.findtext("octave-change") or 0)
            self._transpose = round(float(transpose.findtext("chromatic") or 0)) + 12 * octaves

    def _read_note(self, element: ElementTree.Element, start: int, duration: int, bar: Bar) -> None:
        pitch = self._pitch(element)
        if pitch is None or duration <= 0:
            return
        ties = {tie.get("type") for tie in element.iterfind("tie")}
        words = {}
        for lyric in element.iterfind("lyric"):
            text = "".join(t.text or "" for t in lyric.iterfind("text")).strip()
            if text:
                ends = (lyric.findtext("syllabic") or "single") in ("single", "end")
                words[lyric.get("number", "1")] = text + (" " if ends else "")
        notations = element.find("notations")
        if notations is not None and notations.find("articulations/staccato") is not None:
            duration = max(duration // 2, 1)
        staff = int(element.findtext("staff") or 1)
        note = Note(start, duration, pitch, self._velocity, staff, "stop" in ties, "start" in ties, words)
        bar.notes.append(note)

    def _pitch(self, element: ElementTree.Element) -> int | None:
        written = element.find("pitch")
        if written is not None:
            alter = round(float(written.findtext("alter") or 0))
            octave = int(written.findtext("octave") or 4)
            pitch = 12 * (octave + 1) + _STEPS[(written.findtext("step") or "").strip()] + alter
            return min(max(pitch + self._transpose, 0), 127)
        if element.find("unpitched") is not None:
            instrument = element.find("instrument")
            self._is_drum = True
            return self._unpitched.get(instrument.get("id", "") if instrument is not None else "", _SNARE)
        return None

    def _read_direction(self, element: ElementTree.Element, at: int, bar: Bar) -> None:
        at = max(at + self._ticks(element.findtext("offset")), 0)
        for dynamics in element.iterfind("direction-type/dynamics"):
            for name in dynamics:
                self._velocity = _DYNAMICS.get(name.tag, self._velocity)
        for mark in element.iterfind("direction-type/rehearsal"):
            if mark.text and mark.text.strip():
                bar.markers.append((at, f"Section {mark.text.strip()}"))
        sound = element.find("sound")
        if sound is not None:
            self._read_sound(sound, at, bar)
        if sound is None or sound.get("tempo") is None:
            metronome = element.find("direction-type/metronome")
            if metronome is not None:
                self._read_metronome(metronome, at, bar)

    def _read_metronome(self, metronome: ElementTree.Element, at: int, bar: Bar) -> None:
        unit = _UNIT_QUARTERS.get((metronome.findtext("beat-unit") or "").strip())
        try:
            rate = float((metronome.findtext("per-minute") or "").strip())
        except ValueError:
            return  # Words such as "ca. 80" name no tempo.
        if unit and rate > 0:
            dots = len(metronome.findall("beat-unit-dot"))
            self._add_tempo(rate * float(unit) * (2 - 0.5**dots), at, bar)

    def _add_tempo(self, quarters_per_minute: float, at: int, bar: Bar) -> None:
        if 4 <= quarters_per_minute <= 1000:
            bar.tempos.append((at, round(60e6 / quarters_per_minute)))

    def _read_sound(self, sound: ElementTree.Element, at: int, bar: Bar) -> None:
        if sound.get("tempo"):
            self._add_tempo(float(sound.attrib["tempo"]), at, bar)
        if sound.get("dynamics"):
            # Per cent of a forte of 90, as the standard says.
            self._velocity = min(max(round(float(sound.attrib["dynamics"]) * 0.9), 1), 127)
        if any(sound.get(jump) for jump in ("dacapo", "dalsegno", "tocoda")):
            self._warnings.append("jumps (D.C., D.S., coda) are not played")

    def _read_barline(self, element: ElementTree.Element, bar: Bar) -> None:
        ending = element.find("ending")
        if ending is not None:
            if ending.get("type") == "start":
                numbers = (ending.get("number") or "").replace(" ", ",").split(",")
                self._endings = tuple(int(n) for n in numbers if n.strip().isdigit())
            bar.endings = self._endings
            if ending.get("type") in ("stop", "discontinue"):
                self._endings = ()
        repeat = element.find("repeat")
        if repeat is not None:
            if repeat.get("direction") == "forward":
                bar.forward = True
            else:
                bar.backward = min(max(int(repeat.get("times") or 2), 2), 16)


def chord_label(harmony: ElementTree.Element) -> str:
    """The chord symbol in plain spelling, or an empty string for one that names no root."""
    kind = harmony.find("kind")
    name = (kind.text or "").strip() if kind is not None else ""
    if harmony.find("numeral") is not None or harmony.find("function") is not None:
        return ""  # An analysis by degrees, whose kind is often "none".
    if name == "none":
        # Programs also write what they do not understand as no chord, with the text that was printed.
        printed = (kind.get("text") or "N.C.").strip()
        return printed if parse_chord(printed) is not None else ""
    root = _spelled(harmony.findtext("root/root-step"), harmony.findtext("root/root-alter"))
    if not root:
        return ""
    label = root + _KINDS.get(name, "")
    degrees = [_degree(degree) for degree in harmony.iterfind("degree")]
    if name == "other":
        label = _other(root, (kind.get("text") or "").strip(), [tone for _, tone in degrees])
    for suffix, _ in degrees if name != "other" else ():
        # A degree that has no place in a chord symbol is left out.
        label += suffix if parse_chord(label + suffix) is not None else ""
    bass = _spelled(harmony.findtext("bass/bass-step"), harmony.findtext("bass/bass-alter"))
    return f"{label}/{bass or _inverted(label, name, harmony.findtext('inversion'))}".rstrip("/")


def _degree(degree: ElementTree.Element) -> tuple[str, str]:
    """A degree as a suffix of a symbol (empty where it changes nothing), and as a tone in Harte notation."""
    number = (degree.findtext("degree-value") or "").strip()
    accidental = _ACCIDENTALS.get(round(float(degree.findtext("degree-alter") or 0)), "")
    what = (degree.findtext("degree-type") or "add").strip()
    if what == "subtract":
        return f"no{number}", ""
    if not accidental:
        return (f"add{number}" if what == "add" and number not in ("1", "3", "5") else ""), number
    named = number in ("5", "6", "9", "11", "13")
    return (f"{accidental}{number}" if named else f"add{accidental}{number}"), accidental + number


def _other(root: str, text: str, tones: list[str]) -> str:
    """A chord of kind "other": as the score prints it, or by the tones that it adds to the root."""
    if text and parse_chord(root + text) is not None:
        return root + text
    chord = parse_chord(f"{root}:({','.join(tone for tone in tones if tone)})")
    return root if chord is None else root + QUALITIES[chord.quality].suffix


def _inverted(label: str, kind: str, inversion: str | None) -> str:
    """The bass of a chord that only says which inversion it is; a Neapolitan sixth is a first one."""
    chord = parse_chord(label)
    place = int(inversion) if inversion and inversion.strip().isdigit() else int(kind == "Neapolitan")
    if chord is None or not chord.is_chord or not 0 < place < len(QUALITIES[chord.quality].intervals):
        return ""
    return note_name((chord.root + QUALITIES[chord.quality].intervals[place]) % 12)


def _spelled(step: str | None, alter: str | None) -> str:
    if not step or step.strip() not in _STEPS:
        return ""
    return step.strip() + _ACCIDENTALS.get(round(float(alter or 0)), "")
