"""Train, measure and export the model `drums-style`.

`PYTHONPATH=src:. python -m training.transfer.drums.train --data ../shared/data --out models/drums-style`
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.transfer.kit import STYLES
from segue.transfer.plane import KINDS, all_together, by_target
from training.transfer.drums.data import DrumPiece, load_drums
from training.transfer.drums.evaluate import MEASURES, PAIRS, measure_drums, transferred
from training.transfer.drums.export import export, styles_of
from training.transfer.drums.fit import CODEBOOK, HIDDEN, Fitted, fit
from training.transfer.drums.network import evaluate_network
from training.transfer.protocol import Measurement
from training.transfer.report import prepare, step_latency_ms, table, training_seconds, verdict
from training.transfer.settings import stage_settings

COMMAND = (
    "PYTHONPATH=src:. python -m training.transfer.drums.train "
    "--data ../shared/data --out models/drums-style --seed 0"
)
DATA = [
    {
        "name": "Groove MIDI Dataset v1.0.0",
        "licence": "CC BY 4.0",
        "attribution": "Gillick, Roberts, Engel, Eck, Bamman 2019; Google Magenta",
    }
]
PIECES = 12
#: Points under other settings, by name.
VARIANTS: dict[str, dict[str, Any]] = {
    "skeleton withheld": {"drum_skeleton": False},
    "temperature 0": {"temperature": 0.0},
    "strength 1": {"strength": 1.0},
    "intensity 0.9": {"intensity": 0.9},
    "intensity 0.8": {"intensity": 0.8},
    "intensity 0.6": {"intensity": 0.6},
    "intensity 0.4": {"intensity": 0.4},
}
PROSE = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")


def floor_nats(fitted: Fitted) -> float:
    """Nats a pattern by each style's own frequencies (add one half), the style given."""
    train, held = fitted.train, fitted.validation
    counts = np.full((len(STYLES), CODEBOOK), 0.5)
    np.add.at(counts, (np.repeat(train.style, np.diff(train.start)), train.codes), 1)
    log = np.log(counts / counts.sum(axis=1, keepdims=True))
    return float(-log[np.repeat(held.style, np.diff(held.start)), held.codes].mean())


def measured(pieces: list[DrumPiece], model: Model, **settings: Any) -> Measurement:
    """The transfers of validation recordings by the stage with these settings."""

    def transfer(piece: DrumPiece, style: str, seed: int) -> DrumPiece:
        return transferred(piece, {"drums": model}, style, seed, **settings)

    return measure_drums(pieces, STYLES, transfer, PIECES)


def points(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Content and fit by kind of point."""
    return {kind: {k: summary[kind][k] for k in ("content", "fit")} for kind in KINDS}


def variant(found: Measurement) -> dict[str, Any]:
    """What the card says of transfers under other settings: the point, how it stands against the template,
    and S of each way.
    """
    entry, pair = found.plane().summary(all_together)["all"], found.pair(*PAIRS[0])
    return {
        "transfer": {k: entry["transfer"][k] for k in ("content", "fit")},
        "over_template": entry["over_template"],
        "S": {way: v["S"] for way, v in pair.items() if isinstance(v, dict)},
    }


def variant_row(name: str, found: dict[str, Any]) -> str:
    """A row of the card's table of settings."""
    cells = [found["transfer"][k] for k in ("content", "fit")]
    cells += [
        f"{d[0]:+.3f} [{d[1]:+.3f}, {d[2]:+.3f}]"
        for d in (found["over_template"][k] for k in ("content", "fit"))
    ]
    return "| " + " | ".join(str(c) for c in [name, *cells, *found["S"].values()]) + " |"


def main() -> None:
    """The whole of it."""
    args = prepare("drums-style")
    begin = time.process_time()
    pieces = load_drums(args.data)
    fitted = fit(pieces, args.run, args.seed)
    seconds = training_seconds(args.run, begin)
    nats = evaluate_network(fitted.network, fitted.validation, fitted.named)[0]
    by_rest = evaluate_network(fitted.network, fitted.validation, None)[0]
    floor = floor_nats(fitted)
    print(f"nats {nats:.3f}, style of the rest of the recording {by_rest:.3f}, floor {floor:.3f}", flush=True)
    draft = {"headline": {"metric": "draft", "value": 0, "floor": 0, "better": "higher"}}
    export(fitted, pieces, args.run / "draft", draft, "Draft.")
    model = Model(args.run / "draft", "onnx")
    found = measured(pieces, model)
    plane = found.plane()
    overall, summary = plane.summary(all_together)["all"], plane.summary(by_target)
    every, pair, cost = found.all_styles(), found.pair(*PAIRS[0]), found.cost()
    copies = {style: [e["written"], e["held out"]] for style, e in found.copies().items()}
    selves = {s: [e["density_change"], *e["probability"]] for s, e in found.selves().items()}
    others = {"as it is": variant(found)}
    others |= {name: variant(measured(pieces, model, **s)) for name, s in VARIANTS.items()}
    latency = {backend: step_latency_ms(Model(args.run / "draft", backend)) for backend in ("onnx", "tflite")}
    print(json.dumps([overall, every, pair, cost, copies, selves, others, latency], indent=1), flush=True)
    transfer = overall["transfer"]
    card = {
        "task": "style transfer of drums",
        "data": DATA,
        "headline": {
            "metric": f"style fit ({' + '.join(MEASURES)} cosines) at content {transfer['content']}",
            "value": transfer["fit"],
            "floor": overall["identity"]["fit"],
            "better": "higher",
        },
        "metrics": {
            "nats_per_beat": round(float(nats), 4),
            "nats_per_beat_style_of_the_recording": round(float(by_rest), 4),
            "nats_floor_style_frequencies": round(floor, 4),
            **points(overall),
            "over_template": overall["over_template"],
            "dominated": {style: e["dominated_by"] for style, e in summary.items()},
            "S_rock_and_jazz": pair,
            "all_styles": every,
            "copied_bars_written_and_held_out": copies,
            "own_style_density_change_and_opinion": selves,
            **{name.replace(" ", "_"): others[name] for name in VARIANTS},
        },
        "training": {"command": COMMAND, "seconds": seconds, "seed": args.seed},
        "latency_ms": {"per_beat": latency, "per_4_bars": cost["mean"]},
    }
    styles = styles_of(pieces, fitted.named)
    rows = [
        f"| {n} | {s['recordings']} | {s['bars']} | {s['drummers']} | {', '.join(s['meters'])} |"
        for n, s in styles.items()
    ]
    ways = "\n".join(
        f"| {way} | {v['S']} {v['interval']} | {v['P'][0]} | {v['P'][1]} | {v['P'][2]} |"
        for way, v in pair.items()
        if isinstance(v, dict)
    )
    settings = stage_settings()
    prose = PROSE.format(
        hidden=HIDDEN,
        patterns=CODEBOOK,
        parameters=sum(p.numel() for p in fitted.network.parameters()),
        styles="\n".join(rows),
        nats=nats,
        by_rest=by_rest,
        floor=floor,
        sources=overall["transfers"],
        temperature=settings["temperature"],
        strength=settings["strength"],
        table=table({"all": overall} | summary, MEASURES),
        verdict=verdict(summary),
        over=overall["over_template"],
        accuracy=pair["classifier_accuracy"],
        ways=ways,
        S=pair["S"],
        S_interval=pair["interval"],
        every=every,
        taken=", ".join(f"{k} {v}" for k, v in every["taken_for_target"].items()),
        copies=", ".join(f"{k} {100 * a:.1f} % ({100 * b:.1f} %)" for k, (a, b) in copies.items()),
        opinions=", ".join(f"{k} {v[1]:.2f} to {v[2]:.2f}" for k, v in selves.items()),
        selves=", ".join(f"{k} {100 * v[0]:+.0f} %" for k, v in selves.items()),
        variants="\n".join(variant_row(n, p) for n, p in others.items()),
        cost=cost,
        **latency,
    )
    export(fitted, pieces, args.out, card, prose)


if __name__ == "__main__":
    main()
