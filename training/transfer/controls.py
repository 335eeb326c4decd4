"""How far the controls of the transfer stage move what they name, on validation pieces.

    PYTHONPATH=src:. python -m training.transfer.controls --data ../shared/data --pieces 12

Each piece (48 bars at most) is played in two styles that are not its own. What is measured is the new
accompaniment alone: with one control at a time, the others at 0, what it names (`part_figures`); with
`intensity`, content, which must fall, and the fit to the style, which must rise; with `blend` from the first
of the two styles to the second, the fit to either: the one must fall, the other rise. Content and fit are
those of the protocol; a style's histograms are those that the accompaniment model carries, of its training
pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch

from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.style import chroma_similarity, cosine
from segue.runtime import Model
from segue.transfer.controls import CONTROLS
from segue.transfer.profiles import part_chroma, part_histograms
from segue.transfer.target import named_sound
from training.transfer.accompaniment.evaluate import shorten, transferred
from training.transfer.harmonized import load_harmonized
from training.transfer.measure import stage_models
from training.transfer.part_figures import figures
from training.transfer.pieces import Piece
from training.transfer.report import measuring

VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)
INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STYLES = ("pop", "hymn", "lied", "quartet")

#: A piece in a style with settings.
Play = Callable[..., Piece]


def player(models: Mapping[str, Model]) -> Play:
    """The stage with these models, always the same seed: (piece, style, **settings) to the piece played."""
    return lambda piece, style, **settings: transferred(piece, models, style, 1, **settings)


def two_styles(number: int, piece: Piece) -> tuple[str, str]:
    """The styles that piece `number` is played in, neither its own."""
    styles = [s for s in STYLES if s != piece.style]
    return styles[number % len(styles)], styles[(number + 1) % len(styles)]


def by_control(pieces: Sequence[Piece], play: Play) -> dict[str, np.ndarray]:
    """By control the figure it names, (pieces, two styles, VALUES)."""

    def measured(piece: Piece, style: str, **settings: float) -> dict[str, float]:
        return figures(play(piece, style, **settings).accompaniment, piece)

    rows: dict[str, list] = {name: [] for name in CONTROLS}
    for i, piece in enumerate(pieces):
        neutral = {style: measured(piece, style) for style in two_styles(i, piece)}
        for name in CONTROLS:
            played = [
                [measured(piece, style, **{name: v}) if v else at_0 for v in VALUES]
                for style, at_0 in neutral.items()
            ]
            rows[name].append([[p[name] for p in row] for row in played])
    return {name: np.array(values) for name, values in rows.items()}


def fit(played: Piece, style: Sequence[np.ndarray]) -> float:
    """Mean cosine of the accompaniment's histograms with the two of a style."""
    own = part_histograms(played.accompaniment, played.score)
    return float(np.mean([cosine(a, b) for a, b in zip(own, style, strict=False)]))


def by_intensity(
    pieces: Sequence[Piece], play: Play, sound: Callable[[str], Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """Content and fit, each (pieces, two styles, INTENSITIES); `sound` gives a style's histograms."""
    rows: dict[str, list] = {"content": [], "fit": []}
    for i, piece in enumerate(pieces):
        content = part_chroma(piece.accompaniment, piece.score)
        played = {
            style: [play(piece, style, intensity=v) if v else piece for v in INTENSITIES]
            for style in two_styles(i, piece)
        }
        rows["content"].append(
            [
                [chroma_similarity(content, part_chroma(p.accompaniment, p.score)) for p in row]
                for row in played.values()
            ]
        )
        rows["fit"].append([[fit(p, sound(style)) for p in row] for style, row in played.items()])
    return {name: np.array(values) for name, values in rows.items()}


def by_blend(
    pieces: Sequence[Piece], play: Play, sound: Callable[[str], Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """The fit to the first style and to the second, each (pieces, 1, SHARES)."""
    rows: dict[str, list] = {"fit to the first style": [], "fit to the second": []}
    for i, piece in enumerate(pieces):
        styles = two_styles(i, piece)
        played = [play(piece, styles[0], blend=[styles[1], share]) for share in SHARES]
        for name, style in zip(rows, styles, strict=True):
            rows[name].append([[fit(p, sound(style)) for p in played]])
    return {name: np.array(values) for name, values in rows.items()}


def table(head: str, values: Sequence[float], rows: Mapping[str, np.ndarray], falling: Sequence[str]) -> str:
    """A Markdown table of means over pieces with their intervals.

    Beside them the difference from end to end, in how many cases it goes the right way (up, down for the rows
    named `falling`), and how many of the steps of the means do.
    """
    lines = [
        f"| {head} | "
        + " | ".join(f"{v:g}" for v in values)
        + " | last less first | ends that go so | steps |",
        "|---" * (len(values) + 4) + "|",
    ]
    for name, found in rows.items():
        way = -1 if name in falling else 1
        change = found[..., -1] - found[..., 0]
        steps = np.diff(found.mean(axis=(0, 1)))
        cells = [_cell(column.mean(axis=1)) for column in np.moveaxis(found, -1, 0)]
        cells += [_cell(change.mean(axis=1), "+"), f"{(way * change > 0).sum()} of {change.size}"]
        cells.append(f"{(way * steps > 0).sum()} of {len(steps)}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: np.ndarray, sign: str = "") -> str:
    """Mean of values (pieces,) and its interval."""
    ends = ", ".join(f"{v:{sign}.3f}" for v in interval_of_mean(values))
    return f"{values.mean():{sign}.3f} [{ends}]"


def main() -> None:
    """Print a table for the controls, for intensity and for blends."""
    parser = measuring("Measure the controls, intensity and blends.", 12, "pieces")
    parser.add_argument("--only", choices=["controls", "intensity", "blend"], help="one of the tables")
    args = parser.parse_args()
    torch.set_num_threads(1)
    held = [p for p in load_harmonized(args.data, args.run) if p.is_validation]
    pieces = [shorten(held[i]) for i in np.linspace(0, len(held) - 1, args.pieces).astype(int)]
    models = stage_models({})
    play = player(models)
    sound = cache(lambda style: named_sound(models["accompaniment"], style)[1])
    if args.only in (None, "controls"):
        print(table("control", VALUES, by_control(pieces, play), ()) + "\n", flush=True)
    if args.only in (None, "intensity"):
        rows = by_intensity(pieces, play, sound)
        print(table("intensity", INTENSITIES, rows, ("content",)) + "\n", flush=True)
    if args.only in (None, "blend"):
        rows = by_blend(pieces, play, sound)
        print(table("blend", SHARES, rows, ("fit to the first style",)), flush=True)


if __name__ == "__main__":
    main()
