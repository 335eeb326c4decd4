"""Train, measure and export the models `accompaniment` and `style-encoder`, which learn together.

`PYTHONPATH=src:. python -m training.transfer.accompaniment.train --data ../shared/data` writes the player;
`training.transfer.accompaniment.encoder` writes the encoder of the same run.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from training.transfer.accompaniment.export import export_accompaniment, export_encoder
from training.transfer.accompaniment.fit import Fitted, fit
from training.transfer.harmonized import load_harmonized
from training.transfer.measure import Figures, pitched_figures, text_of
from training.transfer.report import prepare, training_seconds

EPOCHS = 14
#: Sources of each style that are measured at most.
PIECES = 10
COMMAND = (
    "PYTHONPATH=src:. python -m training.transfer.accompaniment.train "
    "--data ../shared/data --out models/accompaniment --seed 0"
)
DATA = [
    {"name": "POP909", "licence": "MIT", "attribution": "Wang et al. 2020, Music X Lab"},
    {"name": "OpenScore Lieder Corpus", "licence": "CC0 1.0", "attribution": "OpenScore"},
    {"name": "OpenScore String Quartets", "licence": "CC0 1.0", "attribution": "OpenScore"},
    {
        "name": "JSB chorales",
        "licence": "public domain music, repository states none",
        "attribution": "J. S. Bach; Boulanger-Lewandowski et al. 2012",
    },
    {"name": "Open Hymnal", "licence": "public domain", "attribution": "Brian J. Dumont"},
]
#: What of the figures is kept in the front matter.
METRICS = ("overall", "pairs", "chord agreement", "range", "copies", "selves", "cost_ms_per_4_bars")
PROSE = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")


def trained(data: Path, run: Path, seed: int) -> tuple[Fitted, list[Any]]:
    """Both networks, trained or from an earlier run in `run`, and the pieces."""
    pieces = load_harmonized(data, run.parent)
    return fit(pieces, run, seed, EPOCHS), pieces


def front_matter(figures: Figures, seconds: float, seed: int) -> dict[str, Any]:
    """What the card of the player says beyond what the export adds."""
    plane = figures["overall"]["all"] if "all" in figures["overall"] else figures["overall"]
    transfer, template = plane["transfer"], plane["template"]
    return {
        "task": "style transfer of the pitched accompaniment",
        "data": DATA,
        "headline": {
            "metric": f"content kept (chroma cosine) at style fit {transfer['fit']}, "
            f"beside the nearest-bar template at {template['fit']}",
            "value": transfer["content"],
            "floor": template["content"],
            "better": "higher",
        },
        "metrics": {name: figures[name] for name in METRICS},
        "training": {"command": COMMAND, "seconds": round(seconds), "seed": seed},
    }


def prose(figures: Figures) -> str:
    """The card's text with its tables."""
    return PROSE.format(figures=text_of("Measured", figures))


def main() -> None:
    """The whole of it."""
    args = prepare("accompaniment")
    begin = time.process_time()
    fitted, pieces = trained(args.data, args.run, args.seed)
    seconds = training_seconds(args.run, begin)
    draft = {
        "task": "",
        "data": [],
        "headline": {"metric": "draft", "value": 1, "floor": 0, "better": "higher"},
    }
    folders = {"accompaniment": args.run / "accompaniment", "style": args.run / "style-encoder"}
    export_accompaniment(fitted, pieces, folders["accompaniment"], draft, "")
    export_encoder(fitted, folders["style"], draft, "")
    models = {"models": {role: str(folder) for role, folder in folders.items()}}
    figures = pitched_figures(args.data, args.run.parent, PIECES, models)
    (args.run / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    export_accompaniment(fitted, pieces, args.out, front_matter(figures, seconds, args.seed), prose(figures))


if __name__ == "__main__":
    main()
