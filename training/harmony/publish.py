"""Measure a trained network, print every figure, and export it with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segue.harmonize.decode import Progression
from segue.harmonize.encoding import FEATURES, WINDOW
from training.common.export import export_model
from training.common.weights import round_weights
from training.harmony.batches import MELODY_ALONE, epoch, move_counts
from training.harmony.data import Song, is_validation
from training.harmony.evaluate import (
    HEARD,
    answers_of,
    choose_weight,
    chord_figures,
    floor_figures,
    heard_by,
    human_quality,
)
from training.harmony.network import OUTPUTS, HarmonyEnsemble, norms_folded

_EXAMPLES = 6
#: How the weights are stored; the figures are those of the network so rounded.
_WEIGHTS = "int8"
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
    {
        "name": "Weimar Jazz Database",
        "licence": "MIT (jazzodata) over ODbL 1.0",
        "attribution": "Pfleiderer, Frieler, Abeßer, Zaddach and Burkhart 2017 (Jazzomat)",
    },
    {
        "name": "Open Hymnal",
        "licence": "public domain",
        "attribution": "the transcribers named in the files",
    },
    {
        "name": "Bach chorales",
        "licence": "public domain; the collection states no licence",
        "attribution": "Boulanger-Lewandowski, Bengio and Vincent 2012",
    },
]
_CORPORA = {
    "pop": "pop909",
    "sheets": "openewld",
    "solos": "weimar-jazz",
    "hymns": "openhymnal",
    "chorales": "jsb-chorales",
}
#: What is measured on which corpora and by what is heard of them, beside the songs of POP909.
_BESIDE = {
    "OpenEWLD, melody": (("openewld",), (True, None)),
    "OpenEWLD, melody and block chords": (("openewld",), (True, "block")),
    "hymns and chorales, melody": (("openhymnal", "jsb-chorales"), (True, None)),
    "hymns and chorales, four voices": (("openhymnal", "jsb-chorales"), (True, "both")),
    "jazz solos, melody": (("weimar-jazz",), (True, None)),
}


def publish(network: HarmonyEnsemble, songs: list[Song], out: Path, seed: int, seconds: int) -> None:
    """Print the figures of METRICS.md's harmony section beside their floors; write `out`."""
    network = round_weights(norms_folded(network), _WEIGHTS).eval()
    run = answers_of(network)
    training = [s for s in songs if not is_validation(s)]
    validation = [s for s in songs if is_validation(s)]
    pop = [s for s in validation if s.corpus == "pop909"]
    counts = move_counts([s for s in training if s.corpus in ("pop909", "openewld")])
    hearings = {name: [heard_by(run, s, heard) for s in pop] for name, heard in HEARD.items()}
    weight = choose_weight(pop, hearings["melody"], counts)
    entry = {"counts": counts.astype(int).tolist(), "weight": weight}
    progression = Progression.from_card(entry)
    figures: dict[str, Any] = {
        f"POP909, {name}": chord_figures(pop, heard, progression, HEARD[name] == MELODY_ALONE)
        for name, heard in hearings.items()
    }
    for name, (corpora, heard) in _BESIDE.items():
        some = [s for s in validation if s.corpus in corpora]
        hearings_of_some = [heard_by(run, s, heard) for s in some]
        figures[name] = chord_figures(some, hearings_of_some, progression, heard == MELODY_ALONE)
    figures["human chords"] = {
        name: human_quality([s for s in validation if s.corpus == corpus])
        for name, corpus in (("POP909", "pop909"), ("OpenEWLD", "openewld"))
    }
    floors = floor_figures([s for s in training if s.corpus == "pop909"], pop)
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
        weights=_WEIGHTS,
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
        prose=card_prose(figures, floors, training, validation),
    )


def card_prose(
    figures: dict[str, Any], floors: dict[str, Any], training: list[Song], validation: list[Song]
) -> str:
    """The text of the card."""
    counts = {
        f"{part}_{name}": sum(s.corpus == corpus for s in songs)
        for part, songs in (("training", training), ("validation", validation))
        for name, corpus in _CORPORA.items()
    }
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
        training=len(training),
        **counts,
    )


def _row(name: str, figures: dict[str, Any]) -> str:
    """One row of the card's first table; empty where there is no such figure."""
    cells = [figures.get(k, "") for k in ("accuracy", "accuracy_all_beats", "sevenths", "nll", "key")]
    if "interval" in figures:
        cells[0] = "**{}** ({} to {})".format(cells[0], *figures["interval"])
    return f"| {name} | " + " | ".join(map(str, [*cells, figures.get("key_weighted", "")])) + " |"
