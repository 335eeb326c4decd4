"""The named styles: what is heard, who plays, which data stand behind each, and in which meters.

Their sound is in the models: a style vector by name in the front matter of a card. What is here is what a
musician is told, and the instruments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.transfer.ensemble import Player

PIANO = Player("Piano", 0, 21, 108)


@dataclass(frozen=True)
class Style:
    """A style that `style` may name.

    `meters` are those of at least ten pieces, the data's most frequent first; `players` stand from high to
    low, `lead` takes over the melody where it can play all of it (None: the melody keeps its instrument).
    """

    hears: str
    data: str
    meters: tuple[str, ...]
    players: tuple[Player, ...]
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

#: What the drum styles sound like; the data behind each are in the card of the drum network.
DRUM_STYLES: dict[str, str] = {
    "rock": "back beat, eighths on the hat",
    "latin": "bossa, samba, songo: even eighths",
    "jazz": "ride and a talking snare, often swung",
    "swing": "the swung ones of jazz: ride and off-beat",
    "funk": "sixteenths with ghost notes",
    "afrobeat": "broken kick over a steady pulse",
    "afrocuban": "rhumba, 6/8 feels, cascara and toms",
    "hiphop": "sparse kick, late sixteenths",
    "neworleans": "second line on the snare",
    "dance": "kick on the beat, open hats off it",
    "soul": "a plain, soft groove",
    "reggae": "one drop, rim and hats",
    "country": "train beat and two-step",
}


def listing(
    drums: Mapping[str, Mapping[str, Any]], presets: Mapping[str, str], broken: Mapping[str, str]
) -> str:
    """What `segue styles` prints: every style with its line, and the user's presets by name.

    `drums` are the drum styles of the card of the drum network.
    """
    lines = ["style:"]
    for name, style in STYLES.items():
        players = ", ".join(player.name for player in style.players)
        lines.append(f"  {name:<10} {style.hears}")
        lines.append(f"  {'':<10} {players}; from {style.data}; meters {', '.join(style.meters)}")
    lines.append("drum_style:")
    for name, facts in drums.items():
        lines.append(f"  {name:<10} {DRUM_STYLES[name]}")
        lines.append(
            f"  {'':<10} from {facts['bars']:,} bars by {facts['drummers']} drummers of the Groove MIDI "
            f"Dataset; meters {', '.join(facts['meters'])}"
        )
    lines.append("presets (style: NAME, from the folder styles/):")
    lines += [f"  {name:<10} {hears}" for name, hears in presets.items()]
    lines += [f"  {name:<10} cannot be used: {reason}" for name, reason in broken.items()]
    if not presets and not broken:
        lines.append("  none yet; segue style DIR -o styles/NAME.yaml makes one from a folder of MIDI files")
    return "\n".join(lines)
