"""The music of the demonstration pieces, as text.

Tunes are traditional or by composers long dead (the year is that of the tune). They are typed in a subset
of ABC: letters with octave marks, lengths in units of `unit` (1/8 unless said), `^_=` accidentals that hold
to the bar line, `z` rests, `-` ties. Everything else, arrangements included, was composed for this project.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tune:
    """A melody in ABC letters and what it needs; `pickup` counts units, `chords` has one word a bar."""

    title: str
    meter: tuple[int, int]
    sharps: int
    minor: bool
    bpm: float
    notes: str
    pickup: int = 0
    unit: int = 8
    chords: str = ""
    words: str = ""


# French round, printed about 1780.
FRERE_JACQUES = Tune(
    "Frère Jacques", (4, 4), 0, False, 112,
    "C2D2E2C2|C2D2E2C2|E2F2G4|E2F2G4|GAGFE2C2|GAGFE2C2|C2G,2C4|C2G,2C4|"
    "c2d2e2c2|c2d2e2c2|e2f2g4|e2f2g4|gagfe2c2|gagfe2c2|c2G2c4|c2G2c4",
)  # fmt: skip

# Percy Montrose, 1884. The pickup is written as rests, so that the first bar is full.
CLEMENTINE = Tune(
    "Oh My Darling, Clementine", (3, 4), -1, False, 126,
    "z4F3/2F/2|F2C2A3/2A/2|A2F2F3/2A/2|c2c2B3/2A/2|G4G3/2A/2|B2B2A3/2G/2|A2F2F3/2A/2|G2C2E3/2G/2|"
    "F4F3/2F/2|F2C2A3/2A/2|A2F2F3/2A/2|c2c2B3/2A/2|G4G3/2A/2|B2B2A3/2G/2|A2F2F3/2A/2|G2C2E3/2G/2|F6",
)  # fmt: skip

# English, 1580.
GREENSLEEVES = Tune(
    "Greensleeves", (6, 8), 0, True, 100,
    "z3z2A|c2de3/2^f/2e|d2BG3/2A/2B|c2AA3/2^G/2A|B2^GE2A|c2de3/2^f/2e|d2BG3/2A/2B|c3/2B/2A^G3/2^F/2^G|A3A3|"
    "g3g3/2^f/2e|d2BG3/2A/2B|c2AA3/2^G/2A|B2^GE3|g3g3/2^f/2e|d2BG3/2A/2B|c3/2B/2A^G3/2^F/2^G|A6",
)  # fmt: skip

# Ludwig van Beethoven, 1824; it stops in the middle of its third phrase.
ODE_TO_JOY_UNFINISHED = Tune(
    "Ode to Joy, unfinished", (4, 4), 2, False, 120,
    "F2F2G2A2|A2G2F2E2|D2D2E2F2|F3EE4|F2F2G2A2|A2G2F2E2|D2D2E2F2|E3DD4|E2E2F2D2|E2FGF2D2|E2FGF2",
)  # fmt: skip

# Stephen Foster, 1848.
OH_SUSANNA = Tune(
    "Oh! Susanna", (4, 4), 0, False, 104,
    "z4z2CD|E2G2G3A|G2E2C3D|E2E2D2C2|D6CD|E2G2G3A|G2E2C3D|E2E2D2D2|C6z2|"
    "F4F4|A2A4A2|G2G2E2C2|D6CD|E2G2G3A|G2E2C3D|E2E2D2D2|C8",
    chords="C C C C G7 C C C,G7 C F F C G7 C C C,G7 C",
)  # fmt: skip

# Scottish, printed 1799.
AULD_LANG_SYNE = Tune(
    "Auld Lang Syne", (4, 4), -1, False, 96,
    "C2|F3FF2A2|G3FG2A2|F3FA2c2|d6d2|c3AA2F2|G3FG2A2|F3DD2C2|F6d2|"
    "c3AA2F2|G3FG2d2|c3AA2c2|d6d2|c3AA2F2|G3FG2A2|F3DD2C2|F6",
    pickup=2,
    chords="F C7 F Bb F C7 Dm,C7 F F C7 F Bb F C7 Dm,C7 F",
)  # fmt: skip

# Franz Xaver Gruber, 1818.
SILENT_NIGHT = Tune(
    "Silent Night", (6, 8), 0, False, 72,
    "G3/2A/2GE3|G3/2A/2GE3|d2dB3|c2cG3|A2Ac3/2B/2A|G3/2A/2GE3|A2Ac3/2B/2A|G3/2A/2GE3|"
    "d2df3/2d/2B|c3e3|c3/2G/2EG3/2F/2D|C6",
    chords="C C G7 C F C F C G7 C C,G7 C",
)  # fmt: skip

# "New Britain", 1829, with the words of John Newton, 1779; * carries a syllable on.
AMAZING_GRACE = Tune(
    "Amazing Grace", (3, 4), 1, False, 84,
    "D2|G4BG|B4A2|G4E2|D4D2|G4BG|B4A2|d6-|d4Bd|d4BG|B4A2|G4E2|D4D2|G4BG|B4A2|G6-|G4",
    pickup=2,
    chords="G G7 C G G G D7 D7 G G7 C G G D7 G G",
    words="A- ma- zing * grace! how sweet the sound That saved a * wretch like me! "
    "I * once was * lost, but now am found, Was blind but * now I see.",
)  # fmt: skip

# French, 1761, with the words of Jane Taylor, 1806.
TWINKLE = Tune(
    "Twinkle, Twinkle, Little Star", (4, 4), 0, False, 100,
    "C2C2G2G2|A2A2G4|F2F2E2E2|D2D2C4|G2G2F2F2|E2E2D4|G2G2F2F2|E2E2D4|C2C2G2G2|A2A2G4|F2F2E2E2|D2D2C4",
    chords="C F,C F,C G7,C C,F C,G7 C,F C,G7 C F,C F,C G7,C",
    words="Twin- kle, twin- kle, lit- tle star, How I won- der what you are! "
    "Up a- bove the world so high, Like a dia- mond in the sky. "
    "Twin- kle, twin- kle, lit- tle star, How I won- der what you are!",
)  # fmt: skip

# Jig, printed in Aird's Airs in the 1780s; repeats and chord symbols are ABC's own.
IRISH_WASHERWOMAN_ABC = """\
X:1
T:The Irish Washerwoman
C:Trad.
R:jig
M:6/8
L:1/8
Q:3/8=116
K:G
dc|"G"BGG DGG|BGB dcB|"Am"cAA EAA|cAc edc|"G"BGG DGG|BGB dcB|"C"cBc "D7"Adc|"G"BGG G:|
|:ga|"G"gdg gdg|gdg bag|"D"fdf fdf|fdf agf|
"Em"egg "D"dgg|"C"cgg "G"Bgg|"C"cBc "D7"Adc|"G"BGG G:|
"""

# Composed for this project.
HARBOUR_LIGHTS = Tune(
    "Harbour Lights", (4, 4), 0, True, 104,
    "A2c2e3d|c2A2F4|G2c2e3d|d2B2G4|A2c2e3d|c2d2f4|e2d2c2G2|B6z2|"
    "A2c2f3e|d2B2d4|e2g2e2c2|A6z2|f2e2d2c2|d2B2G2B2|e2d2B2^G2|A8",
    chords="Am F C G Am F C E7 F G C Am F G E7 Am",
)  # fmt: skip

# Composed for this project: a piano piece with the timing (ticks early or late, 960 a quarter) and the
# velocity of every note set by hand, as a person plays: the melody leads, the left hand waits, phrases end
# late.
EVENING_WALK = Tune(
    "Evening Walk", (4, 4), 2, False, 88,
    "F2A2d3c|B2A2F4|G2B2e3d|c2A2E4|F2A2d3e|f2d2B4|G2F2E2A2|D6z2|"
    "d2c2B2A2|B2G2D4|E2F2G2B2|A6z2|F2A2d3e|f2d2B4|A2G2F2E2|D8",
)  # fmt: skip
EVENING_WALK_LEFT = (
    "D,2A,2F,2A,2|B,,2F,2D,2F,2|G,,2D,2B,,2D,2|A,,2E,2C,2E,2|D,2A,2F,2A,2|B,,2F,2D,2F,2|G,,2D,2A,,2E,2|D,8|"
    "D,2A,2F,2A,2|G,,2D,2B,,2D,2|E,2B,,2G,,2E,2|A,,2E,2C,2E,2|D,2A,2F,2A,2|B,,2F,2D,2F,2|A,,2E,2A,,2C,2|D,8"
)
EVENING_WALK_TIMING = """
 7 -13 -22  19   11  -9  41   6 -17 -26  13   9 -14  47   4 -19 -31  17  -7 -23  38  11  -8  26  31  53
-11   7  16 -18   3  22  44   -6 -21  -9  14   57    8 -16 -28  12  -4 -27  33   17  29  46  61   73
"""
EVENING_WALK_VELOCITY = """
62 68 81 70  72 66 58  64 71 84 73  69 63 55  66 74 88 79  92 80 67  70 66 62 68  57
78 74 71 66  69 61 52  58 63 68 76  70  65 73 87 82  95 83 71  68 61 56 50  44
"""
EVENING_WALK_LEFT_TIMING = """
22  9 31 14  18 -7 27 11  24 13 -9 33  17 28  6 21  26 11 37 -4  19  7 29 13  31 -8 22 41  46
14 23 -6 18  27  9 34 12  -7 21 16 38  24  8 19 43  17 26 -9 31  22 13 36  7  29 41 52 67  79
"""
EVENING_WALK_LEFT_VELOCITY = """
54 43 47 41  52 40 46 42  53 44 48 45  50 42 46 41  55 46 49 43  57 45 50 44  51 43 48 46  47
56 47 49 44  52 41 45 42  49 46 44 43  51 43 45 40  54 46 49 45  58 47 50 44  48 42 40 37  33
"""

#: Drum patterns: one character a sixteenth (a triplet eighth in the swing), `x` a stroke. GM percussion.
DRUM_LETTERS = {
    "K": 36, "S": 38, "R": 37, "H": 42, "P": 44, "O": 46, "D": 51, "C": 49, "1": 50, "2": 47, "3": 43,
}  # fmt: skip
ROCK_BARS = (
    "H x.x.x.x.x.x.x.x. S ....x.......x... K x......xx.x.....",
    "H x.x.x.x.x.x.x.x. S ....x.......x..x K x......xx.......",
    "H x.x.x.x.x.x.x.x. S ....x.......x... K x......xx.x.....",
    "H x.x.x.x.x.x.x... O ..............x. S ....x.......x.x. K x......xx.x..x..",
)
VERSE = "H x.x.x.x.x.x.x.x. S ....x.......x... K x.....x.x......."
VERSE_PUSHED = "H x.x.x.x.x.x.x.x. S ....x.......x... K x.....x.x......x"
CHORUS = "D x.x.x.x.x.x.x.x. S ....x.......x... K x..x..x.x..x...."
CHORUS_FIRST = "C x............... D ..x.x.x.x.x.x.x. S ....x.......x... K x..x..x.x..x...."
FILL_SHORT = "H x.x.x.x.x.x..... S ....x.......xxxx K x.....x.x......."
FILL_TOMS = "S xxxx............ 1 ....xxxx........ 2 ........xxxx.... 3 ............xxxx K x...x...x...x..."
FILL_SPARSE = "H x.x.x.x......... S ....x...x.x..... 1 ...........x.... 2 ............x.x. 3 .............x.x"
ENDING = "C x............... K x............... S x..............."
SONG_WITH_FILLS = (
    VERSE, VERSE_PUSHED, VERSE, FILL_SHORT, VERSE, VERSE_PUSHED, VERSE, FILL_TOMS,
    CHORUS_FIRST, CHORUS, CHORUS, FILL_SHORT, CHORUS_FIRST, CHORUS, CHORUS, FILL_SPARSE,
    CHORUS_FIRST, CHORUS, FILL_TOMS, ENDING,
)  # fmt: skip
BOSSA_BARS = (
    "H xxxxxxxxxxxxxxxx R x..x..x...x..x.. K x...x...x...x... P ....x.......x...",
    "H xxxxxxxxxxxxxxxx R ..x...x..x..x... K x..xx..xx..xx..x P ....x.......x...",
) * 4  # fmt: skip
#: Twelve triplet eighths a bar.
SWING_BARS = (
    "D x..x.xx..x.x P ...x.....x.. K x...........",
    "D x..x.xx..x.x P ...x.....x.. S .....x......",
    "D x..x.xx..x.x P ...x.....x.. K ........x...",
    "D x..x.xx..x.x P ...x.....x.. S ..x.....x..x K x...........",
) * 2
