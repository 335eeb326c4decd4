"""What instruments can play: the range of every General MIDI program, in MIDI pitches (C4 is 60).

Ranges are those of orchestration manuals for good players, or what the keyboard of an electric instrument
has. Programs count from 0, as in the file.
"""

from __future__ import annotations

#: The range of a family of eight programs, by the program's number divided by eight.
_FAMILIES = (
    (21, 108),  # pianos
    (53, 96),  # tuned percussion
    (36, 96),  # organs
    (40, 86),  # guitars
    (28, 67),  # basses
    (28, 96),  # strings
    (28, 96),  # ensembles
    (34, 86),  # brass
    (44, 91),  # reeds
    (60, 96),  # pipes
    (21, 108),  # synthetic leads
    (21, 108),  # pads
    (21, 108),  # effects
    (48, 84),  # of the world
    (36, 96),  # percussive
    (21, 108),  # sounds
)
#: Instruments whose range is not that of their family.
_PROGRAMS = {
    8: (60, 108),
    9: (79, 108),
    12: (45, 96),
    13: (65, 108),
    21: (53, 89),
    22: (60, 84),
    40: (55, 96),
    41: (48, 86),
    42: (36, 76),
    43: (28, 60),
    46: (24, 103),
    47: (36, 57),
    52: (36, 81),
    53: (36, 81),
    54: (36, 81),
    56: (54, 86),
    57: (40, 74),
    58: (28, 58),
    59: (54, 82),
    60: (34, 77),
    64: (56, 88),
    65: (49, 81),
    66: (44, 76),
    67: (36, 69),
    68: (58, 91),
    69: (52, 81),
    70: (34, 75),
    71: (50, 91),
    72: (74, 108),
    75: (60, 96),
    77: (55, 84),
    110: (55, 96),
}


def program_range(program: int) -> tuple[int, int]:
    """Lowest and highest pitch of a General MIDI program (0..127)."""
    return _PROGRAMS.get(program, _FAMILIES[program // 8])
