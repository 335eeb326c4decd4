"""Write the demonstration pieces: `python scripts/write_demonstration.py input`.

The same files, byte for byte, every time. The music is in `demonstration_music.py`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from xml.sax.saxutils import escape

import demonstration_music as music
import numpy as np
from demonstration_music import Tune

from segue.midi import write_midi
from segue.score import (
    CONTROL,
    CONTROL_CHANGE,
    DRUM_CHANNEL,
    TICKS_PER_QUARTER,
    KeySignature,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    make_notes,
)

WHOLE = 4 * TICKS_PER_QUARTER
LYRIC, MARKER = 5, 6
VELOCITY = 80
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHARP_ORDER = "FCGDAEB"
CHORD_TONES = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10)}
NOTE = re.compile(r"([\^_=]?)([A-Ga-gz])([,']*)(\d*)(?:/(\d+))?(-?)")


def read_letters(letters: str, sharps: int, unit: int = 8) -> list[tuple[int, int, int]]:
    """(onset tick, duration in ticks, pitch) of the notes of an ABC line; see `demonstration_music`."""
    altered = SHARP_ORDER[:sharps] if sharps > 0 else SHARP_ORDER[::-1][:-sharps]
    sign = 1 if sharps > 0 else -1
    notes: list[tuple[int, int, int]] = []
    at = 0
    tied = False
    for bar in letters.split("|"):
        in_bar: dict[str, int] = {}
        for accidental, letter, octave, length, divisor, tie in NOTE.findall(bar):
            ticks = int(Fraction(int(length or 1), int(divisor or 1)) * WHOLE / unit)
            if letter != "z":
                if accidental:
                    in_bar[letter + octave] = {"^": 1, "_": -1, "=": 0}[accidental]
                alter = in_bar.get(letter + octave, sign * (letter.upper() in altered))
                pitch = 60 + STEPS[letter.upper()] + 12 * letter.islower() + alter
                pitch += 12 * (octave.count("'") - octave.count(","))
                if tied and notes[-1][2] == pitch:
                    notes[-1] = (notes[-1][0], notes[-1][1] + ticks, pitch)
                else:
                    notes.append((at, ticks, pitch))
                tied = bool(tie)
            at += ticks
    return notes


def melody_notes(tune: Tune) -> list[tuple[int, int, int]]:
    return read_letters(tune.notes, tune.sharps, tune.unit)


def pickup_ticks(tune: Tune) -> int:
    return tune.pickup * WHOLE // tune.unit


def bar_ticks(tune: Tune) -> int:
    return Meter(0, *tune.meter).bar_ticks


def chord_places(tune: Tune) -> list[tuple[int, int, str]]:
    """(tick, duration, symbol) of the chords; those of one bar divide it evenly."""
    places = []
    at = pickup_ticks(tune)
    for bar in tune.chords.split():
        symbols = bar.split(",")
        for i, symbol in enumerate(symbols):
            part = bar_ticks(tune) // len(symbols)
            places.append((at + i * part, part, symbol))
        at += bar_ticks(tune)
    return places


def chord_pitches(symbol: str, lowest: int) -> list[int]:
    """The chord in close position with its root at or just above `lowest`."""
    root, flat, quality = re.fullmatch(r"([A-G])(b?)(.*)", symbol).groups()
    pitch = STEPS[root] - len(flat)
    pitch += 12 * -((pitch - lowest) // 12)
    return [pitch + tone for tone in CHORD_TONES[quality]]


def track(name: str, program: int, channel: int, notes: list[tuple[int, int, int]], velocity: int) -> Track:
    onset, duration, pitch = zip(*notes, strict=True)
    return Track(name, channel, program, make_notes(onset, duration, pitch, velocity))


def score(tune: Tune, tracks: list[Track], tempos: list[tuple[int, float]] | None = None) -> Score:
    meters = [Meter(pickup_ticks(tune), *tune.meter)]
    if tune.pickup:
        meters.insert(0, Meter(0, tune.pickup * 4 // tune.unit, 4))
    places = chord_places(tune)
    changes = [p for i, p in enumerate(places) if i == 0 or places[i - 1][2] != p[2]]
    whole = Score(
        tracks=tuple(tracks),
        tempos=tuple(Tempo(tick, round(60e6 / bpm)) for tick, bpm in tempos or [(0, tune.bpm)]),
        meters=tuple(meters),
        keys=(KeySignature(0, tune.sharps, tune.minor),),
        texts=tuple(Text(tick, MARKER, symbol) for tick, _, symbol in changes),
    )
    return Score(**{**vars(whole), "end_tick": whole.last_tick})


def melody_alone(tune: Tune, program: int) -> Score:
    return score(tune, [track("Melody", program, 0, melody_notes(tune), VELOCITY)])


def melody_with_chords(tune: Tune, program: int) -> Score:
    """The tune over held chords on a piano."""
    held = [
        (tick, duration, pitch)
        for tick, duration, symbol in chord_places(tune)
        for pitch in chord_pitches(symbol, 48)
    ]
    melody = track("Melody", program, 0, melody_notes(tune), VELOCITY)
    return score(tune, [melody, track("Chords", 0, 1, held, 64)])


def broken_chords(tune: Tune, step: int, lowest: int, order: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """The chords note by note, `step` ticks apart; `order` counts chord tones from the root."""
    notes = []
    for tick, duration, symbol in chord_places(tune):
        tones = chord_pitches(symbol, lowest)
        for i in range(duration // step):
            notes.append((tick + i * step, step, tones[order[i % len(order)] % len(tones)]))
    return notes


def silent_night() -> Score:
    """A tempo that gives way at the ends of phrases."""
    tune = music.SILENT_NIGHT
    bar = bar_ticks(tune)
    accompaniment = broken_chords(tune, WHOLE // 8, 48, (0, 1, 2, 1, 2, 1))
    tempos = [
        (0, 72), (3 * bar + bar // 2, 62), (4 * bar, 75), (7 * bar, 69), (7 * bar + bar // 2, 58),
        (8 * bar, 80), (9 * bar + bar // 2, 66), (10 * bar, 60), (10 * bar + bar // 2, 48), (11 * bar, 40),
    ]  # fmt: skip
    melody = track("Melody", 73, 0, melody_notes(tune), VELOCITY)
    return score(tune, [melody, track("Harp", 46, 1, accompaniment, 60)], tempos)


def amazing_grace() -> Score:
    """Words under the notes, section markers, and a piano that holds its pedal through each bar."""
    tune = music.AMAZING_GRACE
    sung = melody_notes(tune)
    words = [
        Text(onset, LYRIC, word[:-1] if word.endswith("-") else word + " ")
        for (onset, _, _), word in zip(sung, tune.words.split(), strict=True)
        if word != "*"
    ]
    voice = track("Voice", 52, 0, sung, VELOCITY)
    voice = Track(**{**vars(voice), "texts": tuple(words)})
    chords = chord_places(tune)
    rolled = broken_chords(tune, WHOLE // 4, 43, (0, 1, 2))
    pedal = [(tick, 127) for tick, _, _ in chords] + [(t + d - 60, 0) for t, d, _ in chords]
    controls = np.array([(t, CONTROL_CHANGE, 64, value) for t, value in sorted(pedal)], CONTROL)
    piano = track("Piano", 0, 1, rolled, 62)
    piano = Track(**{**vars(piano), "controls": controls})
    whole = score(tune, [voice, piano])
    sections = (Text(0, MARKER, "Verse, first half"), Text(chords[8][0], MARKER, "Verse, second half"))
    texts = sorted([*whole.texts, *sections], key=lambda text: text.tick)
    return Score(**{**vars(whole), "texts": tuple(texts)})


def drum_notes(bars: tuple[str, ...], steps_a_bar: int = 16, start: int = 0) -> list[tuple[int, int, int]]:
    step = WHOLE // steps_a_bar
    notes = []
    for number, bar in enumerate(bars):
        words = bar.split()
        for letter, pattern in zip(words[::2], words[1::2], strict=True):
            for i, stroke in enumerate(pattern):
                if stroke == "x":
                    notes.append((start + number * WHOLE + i * step, step, music.DRUM_LETTERS[letter]))
    return notes


def drums_alone(bars: tuple[str, ...], bpm: float, steps_a_bar: int = 16) -> Score:
    notes = drum_notes(bars, steps_a_bar)
    drums = track("Drums", 0, DRUM_CHANNEL, notes, VELOCITY)
    return Score((drums,), (Tempo(0, round(60e6 / bpm)),), (Meter(0, 4, 4),), end_tick=len(bars) * WHOLE)


def harbour_lights() -> Score:
    """A band: melody, electric piano, bass and drums, sixteen bars."""
    tune = music.HARBOUR_LIGHTS
    quarter = TICKS_PER_QUARTER
    keys, bass = [], []
    for tick, _, symbol in chord_places(tune):
        for offset, length in (
            (0, 3 * quarter // 2),
            (3 * quarter // 2, quarter // 2),
            (2 * quarter, 2 * quarter),
        ):
            keys += [(tick + offset, length, pitch) for pitch in chord_pitches(symbol, 52)]
        root = chord_pitches(symbol, 33)[0]
        for offset, length, interval in ((0, 3, 0), (3, 1, 0), (4, 2, 0), (6, 1, 7), (7, 1, 12)):
            bass.append((tick + offset * quarter // 2, length * quarter // 2, root + interval))
    bars = tuple(
        music.FILL_SHORT if i in (7, 14) else music.CHORUS_FIRST if i in (0, 8) else music.VERSE
        for i in range(15)
    )
    tracks = [
        track("Melody", 80, 0, melody_notes(tune), VELOCITY),
        track("Keys", 4, 1, keys, 66),
        track("Bass", 33, 2, bass, 78),
        track("Drums", 0, DRUM_CHANNEL, drum_notes((*bars, music.ENDING)), VELOCITY),
    ]
    return score(tune, tracks)


def evening_walk() -> Score:
    """A piano piece as a person plays it: the deviations were set note by note."""
    tune = music.EVENING_WALK
    hands = (
        ("Right hand", tune.notes, music.EVENING_WALK_TIMING, music.EVENING_WALK_VELOCITY),
        (
            "Left hand",
            music.EVENING_WALK_LEFT,
            music.EVENING_WALK_LEFT_TIMING,
            music.EVENING_WALK_LEFT_VELOCITY,
        ),
    )
    tracks = []
    for channel, (name, letters, timing, velocity) in enumerate(hands):
        onset, duration, pitch = np.array(read_letters(letters, tune.sharps)).T
        late = np.array(timing.split(), int)
        # The hand leaves each key a little before the next one is due.
        release = onset + duration - 60 + late // 2
        release[-1] = onset[-1] + duration[-1]
        played = make_notes(onset + late, release - onset - late, pitch, np.array(velocity.split(), int))
        tracks.append(Track(name, channel, 0, played))
    return score(tune, tracks)


def musicxml(tune: Tune) -> bytes:
    """The tune as a lead sheet: melody, chord symbols and words, in MusicXML."""
    divisions = TICKS_PER_QUARTER // 480
    symbols = {tick: symbol for tick, _, symbol in chord_places(tune)}
    words = iter(tune.words.split())
    bars: list[list[str]] = []
    for onset, duration, pitch in melody_notes(tune):
        if onset // bar_ticks(tune) == len(bars):
            bars.append([])
        if onset in symbols:
            bars[-1].append(_harmony_xml(symbols[onset]))
        bars[-1].append(_note_xml(pitch, duration * divisions // TICKS_PER_QUARTER, next(words)))
    head = (
        f"<attributes><divisions>{divisions}</divisions>"
        f"<key><fifths>{tune.sharps}</fifths><mode>major</mode></key>"
        f"<time><beats>{tune.meter[0]}</beats><beat-type>{tune.meter[1]}</beat-type></time>"
        "<clef><sign>G</sign><line>2</line></clef></attributes>"
        f'<direction><sound tempo="{tune.bpm:g}"/></direction>'
    )
    bars[0].insert(0, head)
    measures = "\n".join(f'<measure number="{n}">{"".join(bar)}</measure>' for n, bar in enumerate(bars, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">\n'
        f'<score-partwise version="4.0"><work><work-title>{escape(tune.title)}</work-title></work>\n'
        '<part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list>\n'
        f'<part id="P1">\n{measures}\n</part></score-partwise>\n'
    ).encode()


def _harmony_xml(symbol: str) -> str:
    root, quality = symbol[0], symbol[1:]
    kind = {"": "major", "7": "dominant", "m": "minor"}[quality]
    return (
        f'<harmony><root><root-step>{root}</root-step></root><kind text="{quality}">{kind}</kind></harmony>\n'
    )


def _note_xml(pitch: int, duration: int, word: str) -> str:
    step = {number: letter for letter, number in STEPS.items()}[pitch % 12]
    kind = {1: "eighth", 2: "quarter", 4: "half"}[duration]
    syllabic = "begin" if word.endswith("-") else "single"
    return (
        f"<note><pitch><step>{step}</step><octave>{pitch // 12 - 1}</octave></pitch>"
        f"<duration>{duration}</duration>"
        f"<voice>1</voice><type>{kind}</type><lyric><syllabic>{syllabic}</syllabic>"
        f"<text>{escape(word.rstrip('-'))}</text></lyric></note>\n"
    )


#: Path below the input folder, and what makes the piece.
PIECES: dict[str, Callable[[], Score | bytes]] = {
    "drums/rock_loop.mid": lambda: drums_alone(music.ROCK_BARS, 112),
    "drums/song_with_fills.mid": lambda: drums_alone(music.SONG_WITH_FILLS, 124),
    "drums/bossa_loop.mid": lambda: drums_alone(music.BOSSA_BARS, 132),
    "drums/swing_loop.mid": lambda: drums_alone(music.SWING_BARS, 144, steps_a_bar=12),
    "melodies/frere_jacques.mid": lambda: melody_alone(music.FRERE_JACQUES, 73),
    "melodies/clementine.mid": lambda: melody_alone(music.CLEMENTINE, 71),
    "melodies/greensleeves.mid": lambda: melody_alone(music.GREENSLEEVES, 24),
    "melodies/ode_to_joy_unfinished.mid": lambda: melody_alone(music.ODE_TO_JOY_UNFINISHED, 40),
    "songs/oh_susanna.mid": lambda: melody_with_chords(music.OH_SUSANNA, 105),
    "songs/auld_lang_syne.mid": lambda: melody_with_chords(music.AULD_LANG_SYNE, 110),
    "songs/silent_night.mid": silent_night,
    "songs/amazing_grace.mid": amazing_grace,
    "songs/harbour_lights.mid": harbour_lights,
    "performances/evening_walk.mid": evening_walk,
    "notation/irish_washerwoman.abc": lambda: music.IRISH_WASHERWOMAN_ABC.encode(),
    "notation/twinkle.musicxml": lambda: musicxml(music.TWINKLE),
}


def main(folder: Path) -> None:
    for name, make in PIECES.items():
        made = make()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_midi(made) if isinstance(made, Score) else made)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "input"))
