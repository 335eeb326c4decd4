"""Every measure of the transfer stage on the validation split, beside its baselines.

Run as `PYTHONPATH=src:. python -m training.transfer.measure --data ../shared/data`. It prints Markdown and,
with `--json`, writes the same figures as JSON; the same files give the same figures, but for the cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from segue.config import parse_assignments
from segue.process import stage_spec
from segue.runtime import Model, load_model
from segue.transfer.plane import TEMPLATE, all_together, by_pair, by_target
from training.transfer.accompaniment.evaluate import (
    agreement,
    in_range,
    measure_accompaniment,
    swing_agreement,
    transferred,
    validation_sources,
)
from training.transfer.drums.data import load_drums
from training.transfer.drums.evaluate import measure_drums
from training.transfer.drums.evaluate import transferred as transferred_drums
from training.transfer.harmonized import load_harmonized
from training.transfer.protocol import Measurement
from training.transfer.report import add_settings, measuring, table
from training.transfer.settings import stage_settings

Figures = dict[str, Any]


def figures_of(measured: Measurement) -> Figures:
    """All that is measured of accompaniments and drums alike."""
    plane = measured.plane()
    return {
        "measures": list(measured.music.measures),
        "sources": {s: sum(p.style == s for p in measured.sources) for s in measured.music.styles},
        "overall": plane.summary(all_together),
        "by target": plane.summary(by_target),
        "by pair": plane.summary(by_pair),
        "pairs": {f"{a} and {b}": measured.pair(a, b) for a, b in measured.music.pairs},
        "all styles": measured.all_styles(),
        "copies": measured.copies(),
        "selves": measured.selves(),
        "cost_ms_per_4_bars": measured.cost(),
    }


def pitched_figures(data: Path, run: Path, per_style: int, settings: Mapping[str, Any]) -> Figures:
    """The figures of the pitched styles, of the stage with these settings."""
    models = stage_models(settings)
    pieces = load_harmonized(data, run)
    styles = list(dict.fromkeys(p.style for p in pieces))
    measured = measure_accompaniment(
        pieces,
        styles,
        lambda piece, style, seed: transferred(piece, models, style, seed, **settings),
        per_style,
    )
    return figures_of(measured) | {
        "chord agreement": agreement(measured, load_model("harmony")),
        "range": in_range(measured),
    }


def swing_figures(data: Path, run: Path, per_style: int, settings: Mapping[str, Any]) -> Figures:
    """How the chords are heard in what the band of the style `swing` plays, by style of the sources."""
    pieces = load_harmonized(data, run)
    styles = list(dict.fromkeys(p.style for p in pieces))
    sources = validation_sources(pieces, styles, per_style)
    return swing_agreement(sources, load_model("harmony"), **settings)


def drum_figures(data: Path, per_style: int, settings: Mapping[str, Any]) -> Figures:
    """The figures of the drum styles, of the stage with these settings."""
    models = stage_models(settings)
    pieces = load_drums(data)
    styles = list(dict.fromkeys(p.style for p in pieces))
    measured = measure_drums(
        pieces,
        styles,
        lambda piece, style, seed: transferred_drums(piece, models, style, seed, **settings),
        per_style,
    )
    return figures_of(measured)


def stage_models(settings: Mapping[str, Any]) -> Mapping[str, Model]:
    """The models of the stage with these settings, by role."""
    return stage_spec("transfer", stage_settings(**settings), 0).load_models()


def text_of(heading: str, figures: Figures) -> str:
    """The figures as Markdown."""
    sources = ", ".join(f"{n} {style}" for style, n in figures["sources"].items())
    blocks = [f"## {heading}", f"Sources: {sources}."]
    for name in ("overall", "by target", "by pair"):
        blocks += [
            f"### Plane, {name}",
            table(figures[name], figures["measures"]),
            against(figures[name], TEMPLATE),
        ]
    if figures["pairs"]:
        blocks += ["### S by a classifier of two styles, percent", _pairs(figures["pairs"])]
    every = figures["all styles"]
    blocks.append(
        f"Classifier of all styles: accuracy {every['classifier_accuracy']}; S {every['strength_S']} "
        f"{every['strength_interval']}; transfers taken for the target: "
        + ", ".join(f"{k} {v}" for k, v in every["taken_for_target"].items())
    )
    blocks += ["### Bars that a training piece has note for note", _rows("style", figures["copies"])]
    blocks += ["### To the own style", _rows("style", figures["selves"])]
    for name in ("chord agreement", "range"):
        if name in figures:
            blocks += [f"### {name.capitalize()}", _rows("style", figures[name])]
    cost = ", ".join(f"{k} {v}" for k, v in figures["cost_ms_per_4_bars"].items())
    return "\n\n".join([*blocks, f"Cost, process ms per 4 bars: {cost}."])


def against(summary: Mapping[str, Figures], kind: str) -> str:
    """How the transfer stands against the template, or against the named style, as Markdown."""
    over = {name: entry[f"over_{kind.replace(' ', '_')}"] for name, entry in summary.items()}
    rows = {
        name: {
            "content": entry["content"],
            "fit": entry["fit"],
            f"beats the {kind} in": " and ".join(entry["beaten_in"]) or "-",
            "dominated by": " and ".join(summary[name]["dominated_by"]) or "-",
        }
        for name, entry in over.items()
    }
    return f"Transfer less {kind}, mean and interval:\n\n" + _rows("", rows)


def _pairs(pairs: Mapping[str, Figures]) -> str:
    rows = {}
    for name, entry in pairs.items():
        for way, value in entry.items():
            if isinstance(value, dict):
                rows[way] = value
        rows[name] = {
            "S": entry["S"],
            "interval": entry["interval"],
            "accuracy": entry["classifier_accuracy"],
        }
    return _rows("", rows)


def _rows(head: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table with a column for every key."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [f"| {head} | " + " | ".join(columns).replace("_", " ") + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(key, "")) for key in columns) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else str(value)
    )


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = measuring(
        "Measure the transfer stage beside its baselines.", 24, "sources of each style at most"
    )
    parser.add_argument("--only", choices=["pitched", "swing", "drums"], help="one kind of styles")
    add_settings(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = parse_assignments(args.set)
    figures: dict[str, Figures] = {}
    if args.only in (None, "pitched"):
        figures["pitched"] = pitched_figures(args.data, args.run, args.pieces, settings)
        print(text_of("Pitched styles", figures["pitched"]), flush=True)
    if args.only in (None, "swing"):
        figures["swing"] = swing_figures(args.data, args.run, args.pieces, settings)
        print("## Swing: chords heard as meant\n\n" + _rows("sources", figures["swing"]), flush=True)
    if args.only in (None, "drums"):
        figures["drums"] = drum_figures(args.data, args.pieces, settings)
        print(text_of("Drum styles", figures["drums"]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
