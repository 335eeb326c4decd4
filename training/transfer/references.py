"""How near `reference: FILE` comes to the style of a file that was never seen.

    PYTHONPATH=src:. python -m training.transfer.references --data ../shared/data --pieces 10

References are validation pieces with their own chords; each is given to validation pieces of two other
styles. Neither networks nor profiles of named styles were learned from any of them. Fit is the likeness to
the reference's own histograms, not to those of its corpus. Beside the transfer:

- named style: the source in the named style of the reference's corpus;
- template: the source in bars of the reference alone (`segue.transfer.template`);
- identity, copy (the reference itself, whose fit is 1 by definition) and random (another validation piece).

Intervals are over references.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from segue.config import parse_assignments
from segue.metrics.style import chroma_similarity, cosine
from segue.runtime import Model
from segue.transfer.plane import NAMED, TEMPLATE, TRANSFER, Plane, all_together, by_target
from segue.transfer.profiles import part_chroma, part_histograms
from segue.transfer.reference import example_of, example_to_dict
from segue.transfer.template import library
from training.transfer.accompaniment.evaluate import (
    HEADLINE,
    MEASURES,
    in_template,
    part_of,
    transferred,
    validation_sources,
)
from training.transfer.harmonized import load_harmonized
from training.transfer.measure import against, stage_models
from training.transfer.pieces import Piece
from training.transfer.report import add_settings, measuring, table

#: Sources of each reference.
_SOURCES = 2


def sources_of(number: int, pieces: Sequence[Piece]) -> list[tuple[int, Piece]]:
    """The sources of reference `number`: pieces of other styles by their number, each of another style."""
    styles = list(dict.fromkeys(p.style for p in pieces if p.style != pieces[number].style))
    found = []
    for k in range(min(_SOURCES, len(styles))):
        style = styles[(number + k) % len(styles)]
        own = [(i, p) for i, p in enumerate(pieces) if p.style == style]
        found.append(own[number % len(own)])
    return found


def plane_of(pieces: Sequence[Piece], models: Mapping[str, Model], **settings: object) -> Plane:
    """The points of all references among `pieces`, by the style of the source and that of the reference."""
    plane, rng = Plane(MEASURES, HEADLINE), np.random.default_rng(0)
    for number, reference in enumerate(pieces):
        wanted = part_histograms(reference.accompaniment, reference.score)
        example = example_to_dict(example_of(reference.score, reference.record, reference.name))
        bars = library([part_of(reference)])
        for index, source in sources_of(number, pieces):
            style = reference.style
            made = {
                TRANSFER: transferred(source, models, style, index, reference=example, **settings),
                NAMED: transferred(source, models, style, index, **settings),
                TEMPLATE: in_template(source, bars, style, index),
                "identity": source,
                "copy": reference,
                "random": pieces[int(rng.integers(len(pieces)))],
            }
            content = part_chroma(source.accompaniment, source.score)
            for kind, piece in made.items():
                like = chroma_similarity(content, part_chroma(piece.accompaniment, piece.score))
                own = part_histograms(piece.accompaniment, piece.score)
                fits = [cosine(a, b) for a, b in zip(own, wanted, strict=True)]
                plane.add(source.style, style, kind, number, like, fits)
    return plane


def main() -> None:
    """Print the tables, and write the figures as JSON."""
    parser = measuring(
        "Measure one-shot references on the validation split.", 10, "references of each style at most"
    )
    add_settings(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = parse_assignments(args.set)
    pieces = load_harmonized(args.data, args.run)
    chosen = validation_sources(pieces, list(dict.fromkeys(p.style for p in pieces)), args.pieces)
    plane = plane_of(chosen, stage_models(settings), **settings)
    summaries = {"all": plane.summary(all_together), "by style of the reference": plane.summary(by_target)}
    for name, summary in summaries.items():
        print(f"### References, {name}\n\n{table(summary, MEASURES)}\n")
        for kind in (TEMPLATE, NAMED):
            print(f"{against(summary, kind)}\n", flush=True)
    if args.json:
        args.json.write_text(json.dumps(summaries, indent=1) + "\n")


if __name__ == "__main__":
    main()
