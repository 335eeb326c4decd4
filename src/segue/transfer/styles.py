"""The named styles: what is heard, who plays, which data stand behind each, and in which meters.

Their sound is in the models: a style vector by name in the front matter of a card. What is here is what a
musician is told, and the instruments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segue.transfer.ensemble import Player

PIANO = Player("Piano", 0, 21, 108)


@dataclass(frozen=True)
class Style:
    """A style that `style` or `drum_style` may name.

    `meters` are those of at least ten pieces, the data's most frequent first; `players` stand from high to
    low, `lead` takes over the melody where it can play all of it (None: the melody keeps its instrument).
    """

    hears: str
    data: str
    meters: tuple[str, ...]
    players: tuple[Player, ...] = ()
    lead: Player | None = None


STYLES: dict[str, Style] = {
    "pop": Style(
        "a pop pianist: bass and broken chords, syncopated, with the pedal's long notes",
        "819 songs of POP909",
        ("4/4", "3/4"),
        (PIANO,),
    ),
    "hymn": Style(
        "an organ in four parts under the tune, mostly a chord a beat",
        "253 hymns of the Open Hymnal",
        ("4/4", "3/4"),
        (Player("Organ", 19, 36, 96),),
    ),
    "chorale": Style(
        "alto, tenor and bass of a choir under the melody, in moving voices",
        "304 chorales of J. S. Bach",
        ("4/4",),
        (
            Player("Alto", 52, 53, 76, line=True),
            Player("Tenor", 52, 47, 69, line=True),
            Player("Bass", 52, 36, 64, line=True),
        ),
        Player("Soprano", 52, 57, 84),
    ),
    "lied": Style(
        "the piano of a romantic song: figures that go on, wide chords, a bass of its own",
        "640 songs of the OpenScore Lieder Corpus",
        ("4/4", "3/4", "2/4", "6/8", "2/2", "3/8", "9/8"),
        (PIANO,),
    ),
    "quartet": Style(
        "second violin, viola and cello under the first violin",
        "109 movements of OpenScore String Quartets",
        ("4/4", "3/4", "2/2", "6/8"),
        (
            Player("Violin II", 40, 55, 93, line=True),
            Player("Viola", 41, 48, 86, line=True),
            Player("Cello", 42, 36, 72, line=True),
        ),
        Player("Violin I", 40, 55, 100),
    ),
    "swing": Style(
        "a jazz trio's walking bass and piano, swung as its tempo asks for; add drum_style swing",
        "rules; bass lines and swing of 422 solos of the Weimar Jazz Database",
        ("4/4",),
        (PIANO, Player("Bass", 32, 28, 60, line=True)),
    ),
}

_GROOVE = "of the Groove MIDI Dataset"
DRUM_STYLES: dict[str, Style] = {
    "rock": Style("back beat, eighths on the hat", f"167 beats {_GROOVE}, 9 drummers", ("4/4",)),
    "latin": Style("bossa, samba, songo: even eighths", f"36 beats {_GROOVE}, 4 drummers", ("4/4",)),
    "jazz": Style("ride and a talking snare, often swung", f"39 beats {_GROOVE}, 5 drummers", ("4/4",)),
    "swing": Style("the swung ones of jazz: ride and off-beat", f"17 beats {_GROOVE}, 3 drummers", ("4/4",)),
    "funk": Style("sixteenths with ghost notes", f"31 beats {_GROOVE}, 4 drummers", ("4/4",)),
    "afrobeat": Style("broken kick over a steady pulse", f"10 beats {_GROOVE}, 2 drummers", ("4/4",)),
    "afrocuban": Style("rhumba, 6/8 feels, cascara and toms", f"7 beats {_GROOVE}, 2 drummers", ("4/4",)),
    "hiphop": Style("sparse kick, late sixteenths", f"26 beats {_GROOVE}, 3 drummers", ("4/4",)),
    "neworleans": Style("second line on the snare", f"13 beats {_GROOVE}, 4 drummers", ("4/4",)),
    "dance": Style("kick on the beat, open hats off it", f"7 beats {_GROOVE}, 2 drummers", ("4/4",)),
    "soul": Style("a plain, soft groove", f"10 beats {_GROOVE}, 2 drummers", ("4/4",)),
    "reggae": Style("one drop, rim and hats", f"3 beats {_GROOVE}, 2 drummers", ("4/4",)),
    "country": Style("train beat and two-step", f"2 beats {_GROOVE}, 2 drummers", ("4/4",)),
}


def listing(presets: Mapping[str, str], broken: Mapping[str, str]) -> str:
    """What `segue styles` prints: every style with its line, and the user's presets by name."""
    lines: list[str] = []
    for title, styles in (("style", STYLES), ("drum_style", DRUM_STYLES)):
        lines.append(f"{title}:")
        for name, style in styles.items():
            players = ", ".join(player.name for player in style.players)
            lines.append(f"  {name:<10} {style.hears}")
            facts = [*([f"played by {players}"] if players else []), f"learned from {style.data}"]
            lines.append(f"  {'':<10} {'; '.join(facts)}; meters {', '.join(style.meters)}")
    lines.append("presets (style: NAME, from the folder styles/):")
    lines += [f"  {name:<10} {hears}" for name, hears in presets.items()]
    lines += [f"  {name:<10} cannot be used: {reason}" for name, reason in broken.items()]
    if not presets and not broken:
        lines.append("  none yet; segue style DIR -o styles/NAME.yaml makes one from a folder of MIDI files")
    return "\n".join(lines)
