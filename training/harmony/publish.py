"""Measure a trained network, print every figure, and export it with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segue.harmonize.decode import Progression
from segue.harmonize.encoding import FEATURES, WINDOW
from training.common.export import export_model
from training.harmony.batches import epoch, move_counts
from training.harmony.data import Song, is_validation
from training.harmony.evaluate import (
    HEARD,
    choose_weight,
    chord_figures,
    floor_figures,
    heard_by,
    human_quality,
)
from training.harmony.network import OUTPUTS, HarmonyNetwork

_EXAMPLES = 16
_TEMPLATE = Path(__file__).with_name("card_template.md")
_SOURCES = [
    {
        "name": "POP909",
        "licence": "MIT",
        "attribution": "Wang, Chen, Jiang, Zhang, Xu, Dai, Bin and Xia, ISMIR 2020 (Music X Lab)",
    },
    {
        "name": "OpenEWLD, public-domain sheets",
        "licence": "MIT collection of public-domain songs",
        "attribution": "Simonetta, Carnovalini, Orio and Rodà, 2018",
    },
]


def publish(network: HarmonyNetwork, songs: list[Song], out: Path, seed: int, seconds: int) -> None:
    """Print the figures of METRICS.md's harmony section beside their floors; write `out`."""
    training = [s for s in songs if not is_validation(s)]
    validation = [s for s in songs if is_validation(s)]
    pop = [s for s in validation if not s.is_sheet]
    sheets = [s for s in validation if s.is_sheet]
    counts = move_counts(training)
    hearings = {name: [heard_by(network, s, heard) for s in pop] for name, heard in HEARD.items()}
    weight = choose_weight(pop, hearings["melody"], counts)
    entry = {"counts": counts.astype(int).tolist(), "weight": weight}
    progression = Progression.from_card(entry)
    figures: dict[str, Any] = {
        f"POP909, {name}": chord_figures(pop, heard, progression) for name, heard in hearings.items()
    }
    figures["OpenEWLD, melody"] = chord_figures(
        sheets, [heard_by(network, s, HEARD["melody"]) for s in sheets], progression
    )
    block = (True, "block")
    figures["OpenEWLD, melody and block chords"] = chord_figures(
        sheets, [heard_by(network, s, block) for s in sheets], progression
    )
    figures["human chords"] = {
        "POP909": human_quality(pop),
        "OpenEWLD": human_quality(sheets),
    }
    floors = floor_figures([s for s in training if not s.is_sheet], pop)
    for name, values in {**figures, **floors}.items():
        print(f"{name}: {values}")
    melody = figures["POP909, melody"]
    examples, labels = next(epoch(pop, _EXAMPLES, np.random.default_rng(seed)))
    export_model(
        network,
        "harmony",
        inputs={"features": (1, WINDOW, FEATURES)},
        outputs=OUTPUTS,
        folder=out,
        examples={"features": examples[:, None]},
        target=labels["chord"][:, None],
        probe={"kind": "cross_entropy", "output": "chord"},
        card={
            "task": "chords and key from whatever notes there are",
            "data": _SOURCES,
            "headline": {
                "metric": "chord accuracy from the melody alone, POP909, 24 classes and no chord, % of beats",
                "value": melody["accuracy"],
                "floor": 37.8,
                "better": "higher",
            },
            "metrics": {**figures, "floors": floors},
            "training": {
                "command": "python -m training.harmony.train --data ../shared/data --out models/harmony",
                "seconds": seconds,
                "seed": seed,
            },
            "progression": entry,
        },
        prose=card_prose(figures, floors, len(training), len(pop), len(sheets)),
    )


def card_prose(figures: dict[str, Any], floors: dict[str, Any], training: int, pop: int, sheets: int) -> str:
    """The text of the card."""
    names = {name: f for name, f in figures.items() if "accuracy" in f}
    rows = [_row(f"**{name}**", f) for name, f in names.items()]
    rows += [_row(f"floor: {name}", f) for name, f in floors.items()]
    quality = {n: f["quality"] for n, f in names.items()}
    quality |= {f"{n}, human chords": q for n, q in figures["human chords"].items()}
    columns = ("CHE", "CC", "CTD", "CTnCTR", "PCS", "MCTD")
    table = [f"| {n} | " + " | ".join(str(q[c]) for c in columns) + " |" for n, q in quality.items()]
    return _TEMPLATE.read_text(encoding="utf-8").format(
        figures="\n".join(rows),
        quality="\n".join(table),
        undecoded=figures["POP909, melody"]["accuracy_undecoded"],
        training=training,
        pop=pop,
        sheets=sheets,
    )


def _row(name: str, figures: dict[str, Any]) -> str:
    """One row of the card's first table; empty where there is no such figure."""
    cells = [figures.get(k, "") for k in ("accuracy", "accuracy_all_beats", "sevenths", "nll", "key")]
    if "interval" in figures:
        cells[0] = "**{}** ({} to {})".format(cells[0], *figures["interval"])
    return f"| {name} | " + " | ".join(map(str, [*cells, figures.get("key_weighted", "")])) + " |"
