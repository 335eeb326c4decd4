"""The melody's corpora as tunes: solos, vocal lines, lead sheets, chords and the split. Needs no PyTorch."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segue.chords import parse_chord
from training.melody.lieder import read_lieder, read_song, vocal_part
from training.melody.musicxml import longest_line, read_bars, read_openewld, read_root, read_sheet
from training.melody.pop909 import read_song as read_pop
from training.melody.tune import Tune, chord_changes, nearest_key, without_long_silence
from training.melody.weimar import parse_key, read_solo, read_weimar, title

DATA = Path("../shared/data")


def here(name):
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"the data of {name} are not here")


def note(pitch, length, words="", tie="", voice="1", chord=False):
    inner = "<chord/>" if chord else ""
    if pitch is None:
        inner += "<rest/>"
    else:
        step, octave, alter = pitch[0], pitch[1], pitch[2:] or 0
        inner += f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
    lyric = f"<lyric><text>{words}</text></lyric>" if words else ""
    return f"<note>{inner}<duration>{length}</duration>{tie}<voice>{voice}</voice>{lyric}</note>"


def attributes(meter=None, fifths=None):
    text = "<attributes><divisions>2</divisions>"
    text += f"<key><fifths>{fifths}</fifths></key>" if fifths is not None else ""
    if meter:
        text += f"<time><beats>{meter[0]}</beats><beat-type>{meter[1]}</beat-type></time>"
    return text + "</attributes>"


def harmony(step, kind, alter=0):
    root = f"<root><root-step>{step}</root-step><root-alter>{alter}</root-alter></root>"
    return f"<harmony>{root}<kind>{kind}</kind></harmony>"


def score(path, *parts):
    """A MusicXML file of parts, each a list of measures as text."""
    text = "".join(
        f"<part id='P{i}'>{''.join(f'<measure>{m}</measure>' for m in part)}</part>"
        for i, part in enumerate(parts)
    )
    path.write_text(f"<score-partwise>{text}</score-partwise>")
    return path


def bar_of(names, length=2, **kwargs):
    return "".join(note(name, length, **kwargs) for name in names.split())


FOUR = "C5 D5 E5 F5"


# --- chords and keys


def test_chords_are_kept_where_they_change_and_can_be_read():
    given = [(0, "C"), (12, "C:maj"), (24, "NC"), (36, "Bb79b13b"), (36, "Bb7"), (48, ""), (60, "what?")]
    found = chord_changes([*given, (96, "D-7"), (72, "H7")])
    assert found == ((0, "C"), (24, "N.C."), (36, "Bb7"), (96, "Dm7"))
    # Read as far as it can be: a seventh chord, whatever becomes of its colours.
    assert set(parse_chord(chord_changes([(0, "D79#11#")])[0][1]).pitch_classes) >= {2, 6, 9, 0}


def test_the_nearest_key_is_the_scales():
    scale = np.zeros(12)
    scale[[2, 4, 6, 7, 9, 11, 1]] = 1
    scale[[2, 9, 6]] += 2
    assert nearest_key(scale) == (2, "major")
    # Of a key and its relative minor the tonic triad decides.
    scale[[2, 9, 6]] -= 2
    scale[[11, 2, 6]] += 3
    assert nearest_key(scale, (2, 12 + 11)) == (11, "minor")
    assert nearest_key(np.zeros(12), (5,)) == (5, "major")


def test_long_silence_is_cut_by_whole_bars_with_its_chords():
    onset = np.array([0, 12, 24 + 48 * 5, 36 + 48 * 5])
    chords = ((0, "C"), (48, "F"), (24 + 48 * 4, "G"), (48 * 5, "Am"), (36 + 48 * 5, "Dm"))
    tune = Tune(
        "t", "test", "lied", (4, 4), 0, "major", onset, np.full(4, 12), np.arange(60, 64), (3,), chords
    )
    short = without_long_silence(tune)
    silence = short.onset[2] - (short.onset[1] + 12)
    assert 48 <= silence < 96
    assert ((short.onset - tune.onset) % 48 == 0).all()
    assert (short.onset[:2] == onset[:2]).all()
    assert np.diff(short.onset)[[0, 2]].tolist() == [12, 12]
    # The chord under a note is still the one under it.
    for at, was in zip(short.onset, tune.onset, strict=True):
        under = [
            [label for place, label in t.chords if place <= w][-1] for t, w in ((short, at), (tune, was))
        ]
        assert under[0] == under[1]
    assert without_long_silence(short) is short


# --- OpenEWLD


def test_a_sheet_gives_its_chords_and_its_key(tmp_path):
    first = attributes((4, 4), 0) + note(None, 6) + note("D5", 2)
    bars = [
        harmony("G", "major") + bar_of("G4 A4 B4 D5"),
        harmony("D", "dominant") + bar_of("F41 A4") + harmony("D", "dominant") + bar_of("C5 A4"),
        harmony("G", "major") + bar_of("B4 D5 G4 G4"),
        harmony("E", "minor-seventh") + bar_of("G4 E4 B4") + note("G4", 2),
    ]
    tune = read_sheet(score(tmp_path / "sheet.xml", [first[: first.index("<note>")] + note("D5", 2), *bars]))
    assert (tune.tonic, tune.mode, tune.style, tune.corpus) == (7, "major", "song", "openewld")
    assert tune.onset[:3].tolist() == [-12, 0, 12]
    assert tune.chords == ((0, "G"), (48, "D7"), (96, "G"), (144, "Em7"))
    assert tune.section_end == (len(tune.pitch) - 1,)


def test_bars_that_do_not_add_up_keep_what_follows_on_the_bar_line(tmp_path):
    half = bar_of("C5 D5")
    measures = [
        attributes((4, 4)) + bar_of(FOUR),
        half,
        half,
        half,
        bar_of(FOUR),
        bar_of(FOUR + " G5"),
        bar_of(FOUR),
    ]
    line = longest_line(read_bars(read_root(score(tmp_path / "s.xml", measures)).find("part")))
    # Two halves make a bar, a half alone is filled up, and so is a bar that is too long.
    starts = [0, 48, 72, 96, 144, 192, 288]
    assert set(starts) <= set(line.onset.tolist())
    assert line.onset.tolist() == sorted({*range(0, 120, 12), *range(144, 252, 12), *range(288, 336, 12)})


def test_the_longest_stretch_in_one_meter_is_taken(tmp_path):
    waltz = bar_of("C5 D5 E5")
    measures = [attributes((4, 4)) + bar_of(FOUR)] * 3
    measures += [attributes((3, 4)) + waltz, *[waltz] * 5, attributes((4, 4)) + bar_of(FOUR)]
    line = longest_line(read_bars(read_root(score(tmp_path / "s.xml", measures)).find("part")))
    assert line.meter == (3, 4)
    assert (line.first, line.stop, line.complete) == (3, 9, False)
    assert line.onset.tolist() == list(range(0, 6 * 36, 12))
    with pytest.raises(ValueError, match="fewer than 12"):
        longest_line(read_bars(read_root(score(tmp_path / "t.xml", measures[:2])).find("part")))


# --- OpenScore Lieder


def lied(tmp_path, *vocal, piano="C3 E3 G3 C4"):
    sung = [m if "<note>" in m else bar_of(m, words="la") for m in vocal]
    sung[0] = attributes((4, 4), 0) + sung[0]
    piano_bars = [bar_of(piano)] * len(sung)
    piano_bars[0] = attributes((4, 4), 0) + piano_bars[0]
    return score(tmp_path / "song.xml", piano_bars, sung)


def test_the_vocal_line_of_a_song(tmp_path):
    rest = note(None, 8)
    grace = "<note><grace/><pitch><step>B</step><octave>5</octave></pitch></note>"
    second = bar_of("G4 A4", words="la", voice="2")
    backed = bar_of(FOUR, words="la") + "<backup><duration>8</duration></backup>" + second
    tied = note("C5", 8, words="a", tie="<tie type='start'/>")
    held = note("C5", 4, tie="<tie type='stop'/>") + bar_of("E5 D5", words="la")
    path = lied(
        tmp_path, rest, FOUR, grace + bar_of(FOUR, words="la"), backed, tied, held, *[FOUR] * 3, "C5 B4 C5 C5"
    )
    tune = read_song(path)
    assert (tune.style, tune.meter, tune.tonic, tune.mode) == ("lied", (4, 4), 0, "major")
    assert 95 not in tune.pitch
    assert tune.pitch.min() >= 71
    assert tune.onset[0] == 48
    long = int(np.flatnonzero(tune.duration == 72)[0])
    assert tune.onset[long] == 4 * 48
    assert tune.section_end == (len(tune.pitch) - 1,)
    part, voice = vocal_part(read_root(path))
    assert (part.get("id"), voice) == ("P1", "1")


def test_the_mode_of_a_song_is_that_of_all_parts(tmp_path):
    major = read_song(lied(tmp_path, *["E5 E5 C5 E5"] * 8))
    minor = read_song(lied(tmp_path, *["E5 E5 C5 E5"] * 8, piano="A2 E3 A3 C4"))
    assert (major.tonic, major.mode) == (0, "major")
    assert (minor.tonic, minor.mode) == (9, "minor")


def test_a_song_is_cut_where_the_key_signature_changes(tmp_path):
    changed = attributes(fifths=-3) + bar_of("C5 D5 E5-1 F5", words="la")
    tune = read_song(lied(tmp_path, *[FOUR] * 2, changed, *["C5 D5 E5-1 G5"] * 7))
    assert len(tune.pitch) == 32
    assert tune.onset[0] == 0
    assert (tune.tonic, tune.mode) in ((3, "major"), (0, "minor"))
    with pytest.raises(ValueError, match="fewer than 24"):
        read_song(lied(tmp_path, *[FOUR] * 5))


def test_music_without_words_is_no_song(tmp_path):
    with pytest.raises(ValueError, match="no words"):
        read_song(score(tmp_path / "s.xml", [attributes((4, 4)) + bar_of(FOUR)] * 8))


# --- Weimar Jazz Database


def solo_rows(places, period=4, key="Bb-maj", phrase=()):
    """Rows of one solo from (bar, beat, tatum, division) of each note; notes in `phrase` begin a phrase."""
    solo = {"melid": "7", "title": "So What", "key": key, "signature": f"{period}/4"}
    notes = [
        {
            "bar": str(bar),
            "beat": str(beat),
            "tatum": str(tatum),
            "division": str(division),
            "pitch": str(60 + i % 7),
            "period": str(period),
            "phrase_begin": "1.000000" if i == 0 or i in phrase else "0.000000",
        }
        for i, (bar, beat, tatum, division) in enumerate(places)
    ]
    beats = [
        {"bar": str(bar), "beat": str(beat), "period": str(period), "chord": "NC" if bar < 1 else "D-7"}
        for bar in range(-1, 20)
        for beat in range(1, period + 1)
    ]
    return solo, notes, beats


def test_a_solo_lies_on_its_tatums():
    places = [
        (0, 4, 1, 1),
        (1, 1, 1, 2),
        (1, 1, 2, 2),
        (1, 2, 1, 3),
        (1, 2, 2, 3),
        (1, 2, 3, 3),
        (1, 3, 4, 4),
    ]
    places += [(3, 1, 1, 1)] + [(bar, beat, 1, 1) for bar in range(5, 10) for beat in (1, 2, 3, 4)]
    tune = read_solo(*solo_rows(places, phrase=(7, 8)))
    assert tune.onset[:7].tolist() == [-12, 0, 6, 12, 16, 20, 33]
    assert (tune.tonic, tune.mode, tune.meter, tune.style) == (10, "major", (4, 4), "jazz")
    # Legato within a phrase; a phrase's last note sounds for a quarter at most, and ends a section.
    assert tune.duration[:8].tolist() == [12, 6, 6, 4, 4, 13, 12, 12]
    assert tune.section_end == (6, 7, len(tune.pitch) - 1)
    assert tune.chords == ((-96, "N.C."), (0, "Dm7"))
    assert title(tune) == "So What"


def test_a_solo_keeps_its_longest_stretch_in_one_meter_and_free_time_is_left_out():
    waltz = [(bar, beat, 1, 1) for bar in range(1, 11) for beat in (1, 2, 3)]
    solo, notes, beats = solo_rows(waltz, period=3)
    _, others, _ = solo_rows([(bar, 1, 1, 1) for bar in range(11, 16)])
    tune = read_solo(solo, notes + others, beats)
    assert (tune.meter, len(tune.pitch)) == ((3, 4), 30)
    assert len(tune.pitch) - 1 not in tune.section_end
    with pytest.raises(ValueError, match="free time"):
        read_solo(*solo_rows([(bar, 1, 1, 1) for bar in range(40)], period=1))
    with pytest.raises(ValueError, match="fewer than 24"):
        read_solo(*solo_rows([(bar, 1, 1, 1) for bar in range(20)]))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bb-maj", (10, "major")),
        ("F#-min", (6, "minor")),
        ("D-dor", (2, "minor")),
        ("Ab", (8, "major")),
        ("Ab-mix", (8, "major")),
        ("D-chrom", None),
        ("", None),
    ],
)
def test_keys_of_solos(text, key):
    assert parse_key(text) == key


def test_a_solo_without_a_key_takes_that_of_its_notes():
    places = [(bar, beat, 1, 1) for bar in range(1, 9) for beat in (1, 2, 3, 4)]
    solo, notes, beats = solo_rows(places, key="")
    for i, row in enumerate(notes):
        row["pitch"] = str([65, 69, 72, 65, 67, 70, 64, 72][i % 8])
    tune = read_solo(solo, notes, beats)
    assert (tune.tonic, tune.mode) == (5, "major")


# --- the real corpora


def sound(tunes, style):
    """What must hold for tunes of any corpus."""
    for tune in tunes:
        assert tune.style == style
        assert (np.diff(tune.onset) >= 0).all(), tune.name
        assert (tune.duration > 0).all(), tune.name
        assert 0 <= tune.tonic < 12
        assert tune.mode in ("major", "minor")
        assert all(0 <= e < len(tune.pitch) for e in tune.section_end)
        places = [place for place, _ in tune.chords]
        assert places == sorted(set(places)), tune.name
        assert all(parse_chord(label) is not None for _, label in tune.chords)


def chord_tones(tunes):
    """Share of sounding time on tones of the chord that holds."""
    inside = whole = 0
    for tune in tunes:
        chords = [parse_chord(label) for _, label in tune.chords]
        at = np.searchsorted([place for place, _ in tune.chords], tune.onset, "right") - 1
        for i, pitch, length in zip(at, tune.pitch, tune.duration, strict=True):
            if i >= 0 and chords[i].is_chord:
                whole += length
                inside += length * (pitch % 12 in chords[i].pitch_classes)
    return inside / whole


@here("weimar-jazz")
def test_the_weimar_solos():
    tunes, lost = read_weimar(DATA / "weimar-jazz")
    sound(tunes, "jazz")
    assert len(tunes) > 400
    assert lost == {"free time": 6}
    assert all(t.chords for t in tunes)
    # Improvised lines hold a chord tone half of the time; with chords a beat late it is less.
    late = [
        Tune(
            *[getattr(t, f) for f in list(Tune.__dataclass_fields__)[:-1]],
            tuple((p + 24, c) for p, c in t.chords),
        )
        for t in tunes[::8]
    ]
    assert chord_tones(tunes[::8]) > max(0.5, chord_tones(late) + 0.01)
    first = next(t for t in tunes if t.name == "weimar-jazz/001 Anthropology")
    assert first.onset[:5].tolist() == [-48, -36, -27, -24, -12]
    assert first.pitch[:5].tolist() == [65, 63, 58, 61, 63]
    assert [c for p, c in first.chords if 0 <= p < 192][:4] == ["G7", "Cm7", "F7", "Bb"]


@here("openscore-lieder")
def test_the_lieder(tmp_path):
    folder = tmp_path / "lieder"
    folder.mkdir()
    for path in sorted((DATA / "openscore-lieder").glob("*.mxl"))[::20]:
        (folder / path.name).symlink_to(path.resolve())
    tunes, lost = read_lieder(folder)
    sound(tunes, "lied")
    assert len(tunes) > 60
    assert sum(lost.values()) <= 3
    # Songs end on the tonic more often than on all else together; a wrong key would show.
    ends = Counter(int(t.pitch[-1] - t.tonic) % 12 for t in tunes if t.section_end)
    assert ends[0] > 0.5 * ends.total()
    on_beat = np.concatenate([t.onset % t.bar == 0 for t in tunes]).mean()
    assert on_beat > 0.2


@here("openewld")
def test_the_lead_sheets():
    tunes, lost = read_openewld(DATA / "openewld")
    sound(tunes, "song")
    assert len(tunes) > 350
    assert not lost
    assert chord_tones(tunes) > 0.75
    last = [(t, parse_chord(t.chords[-1][1])) for t in tunes]
    assert sum(c.root == t.tonic for t, c in last) > 0.75 * len(tunes)


@here("pop909")
def test_pop_songs_have_chords_in_the_key_of_their_notes():
    tunes = [read_pop(path) for path in sorted((DATA / "pop909").iterdir())[:120:4] if path.is_dir()]
    sound(tunes, "pop")
    assert chord_tones(tunes) > 0.65
    assert all((np.array([p for p, _ in t.chords]) % 12 == 0).all() for t in tunes)
    # In songs that change key the later chords are moved with the notes.
    moved = [p for p in sorted((DATA / "pop909").iterdir()) if p.is_dir() and len(keys_of(p)) > 1]
    assert moved
    later = [second_half(read_pop(p)) for p in moved[:25]]
    assert chord_tones(later) > 0.62


def keys_of(folder):
    return {line.split()[2].split(":")[0] for line in (folder / "key_audio.txt").read_text().splitlines()}


def second_half(tune):
    n = len(tune.pitch) // 2
    values = [getattr(tune, f) for f in Tune.__dataclass_fields__]
    values[6:9] = [v[n:] for v in values[6:9]]
    return Tune(*values[:9], (), values[10])


def test_the_split_keeps_groups_together():
    from training.melody.data import VALIDATION_SHARE, split_tunes

    rng = np.random.default_rng(0)
    tunes = []
    for i in range(120):
        pitch = np.cumsum(rng.integers(-4, 5, 60)) + 60
        for name, up in (("tune", 0), ("again", 5)):
            tunes.append(
                Tune(
                    f"{name}{i}",
                    "test",
                    "folk",
                    (4, 4),
                    0,
                    "major",
                    6 * np.arange(60),
                    np.full(60, 6),
                    pitch + up,
                )
            )
    for i in range(40):
        pitch = np.cumsum(rng.integers(-4, 5, 60)) + 60
        tunes.append(
            Tune(
                f"weimar-jazz/{i:03d} Piece {i // 4}", "weimar-jazz", "jazz", (4, 4), 0, "major",
                6 * np.arange(60), np.full(60, 6), pitch,
            )
        )  # fmt: skip
    train, valid, told = split_tunes(tunes)
    assert len(train) + len(valid) == len(tunes)
    assert told["groups"] == 130
    assert told["largest_group"] == 4
    numbers = [
        {t.name.removeprefix("tune").removeprefix("again") for t in part if t.corpus == "test"}
        for part in (train, valid)
    ]
    assert not numbers[0] & numbers[1]
    assert numbers[1]
    pieces = [{title(t) for t in part if t.corpus == "weimar-jazz"} for part in (train, valid)]
    assert not pieces[0] & pieces[1]
    # The hash of the first tune's name decides, as it always has.
    for i in range(120):
        number = int.from_bytes(hashlib.sha256(f"tune{i}".encode()).digest()[:4], "little") / 2**32
        assert (str(i) in numbers[1]) == (number < VALIDATION_SHARE)


def test_tunes_that_recite_on_one_note_are_no_near_duplicates():
    from training.melody.data import group_near_duplicates

    rng = np.random.default_rng(1)
    tunes = []
    for i in range(4):
        pitch = np.concatenate([np.full(30, 60), np.cumsum(rng.integers(-4, 5, 20)) + 60, np.full(30, 65)])
        tunes.append(
            Tune(str(i), "test", "lied", (4, 4), 0, "major", 6 * np.arange(80), np.full(80, 6), pitch)
        )
    assert group_near_duplicates(tunes).tolist() == [0, 1, 2, 3]
