"""Command line, figures and card that both training scripts have in common."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.runtime import Model
from segue.transfer.plane import KINDS, NAMED
from training.transfer.network import Fitted, evaluate_network
from training.transfer.points import unigram_nats
from training.transfer.settings import stage_settings

RUNS = Path(__file__).resolve().parents[1] / "runs" / "transfer"


def prepare(name: str) -> argparse.Namespace:
    """Command line of a training script; one thread, and an empty run folder unless its weights are kept."""
    parser = argparse.ArgumentParser(description=f"Train, measure and export the model {name}.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("models") / name, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=RUNS / name, help="folder of checkpoints and caches")
    parser.add_argument(
        "--keep-weights", action="store_true", help="measure and export the weights of the last run"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.keep_weights and args.run.exists():
        shutil.rmtree(args.run)
    return args


def measuring(description: str, pieces: int, counted: str) -> argparse.ArgumentParser:
    """Command line of a measurement of `pieces` pieces; `counted` says which."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--run", type=Path, default=RUNS, help="folder of pieces read before")
    parser.add_argument("--pieces", type=int, default=pieces, help=counted)
    return parser


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options for settings of the stage, and for a file of figures."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    parser.add_argument("--json", type=Path, help="file for the figures as JSON")


def training_seconds(run: Path, begin: float) -> int:
    """CPU seconds since `begin`, kept in the run folder; those of the run that trained, where it says so."""
    record = run / "seconds.json"
    if record.is_file():
        return json.loads(record.read_text())
    seconds = round(time.process_time() - begin)
    record.write_text(json.dumps(seconds))
    return seconds


@dataclass(frozen=True)
class Figures:
    """What was measured: nats a pattern and their floor, points by target style (see `Plane.summary`), the
    classifier's figures, points under other settings by name, and milliseconds a step by backend.
    """

    nats: float
    floor: float
    summary: dict[str, dict]
    classifier: dict[str, Any]
    variants: dict[str, dict[str, dict]]
    latency: dict[str, float]


def measure(
    fitted: Fitted,
    export: Callable[[Fitted, Path, dict[str, Any], str], None],
    draft: Path,
    evaluate: Callable[..., tuple[dict, dict]],
    measures: Sequence[str],
    variants: dict[str, dict[str, Any]],
) -> Figures:
    """Measure a trained network and print the figures.

    The network is exported to `draft` first, so that the stage is measured as it runs. `evaluate` takes the
    model and settings; `variants` are further settings by name.
    """
    network = evaluate_network(fitted.network, fitted.validation)
    floor = unigram_nats(
        fitted.train.codes, fitted.train.style, fitted.validation.codes, fitted.validation.style
    )
    print(f"nats {network} floor {floor:.4f}", flush=True)
    headline = {"metric": "draft", "value": 0, "floor": 0, "better": "higher"}
    export(fitted, draft, {"headline": headline}, "Draft.")
    model = Model(draft, "onnx")
    summary, classifier = evaluate(model)
    print(table(summary, measures), verdict(summary), json.dumps(classifier), sep="\n", flush=True)
    others = {name: evaluate(model, **settings)[0] for name, settings in variants.items()}
    for name, other in others.items():
        print(f"{name.replace('_', ' ')}:", verdict(other), means(other), flush=True)
    latency = {backend: step_latency_ms(Model(draft, backend)) for backend in ("onnx", "tflite")}
    return Figures(network["nats"], floor, summary, classifier, others, latency)


def step_latency_ms(model: Model) -> float:
    """Median time of one step, batch of one, one thread, after warm-up, in milliseconds."""
    shapes = {k: tuple(v) for k, v in model.card["inputs"].items()}
    inputs = {k: np.zeros(s, np.float32) for k, s in shapes.items()}
    times = []
    for i in range(2200):
        begin = time.perf_counter()
        model(**inputs)
        if i >= 200:
            times.append(time.perf_counter() - begin)
    return round(float(np.median(times)) * 1e3, 4)


def mean_point(summary: dict[str, dict], kind: str, key: str) -> float:
    """Mean over target styles of one figure of one kind of point."""
    return round(float(np.mean([entry[kind][key] for entry in summary.values()])), 3)


def means(summary: dict[str, dict]) -> dict[str, Any]:
    """The points for the card's front matter: means over styles, and dominance by style."""
    out: dict[str, Any] = {
        kind: {key: mean_point(summary, kind, key) for key in ("content", "fit")} for kind in KINDS
    }
    out["not_dominated"] = {s: not entry["dominated_by"] for s, entry in summary.items()}
    return out


def verdict(summary: dict[str, dict]) -> str:
    """One sentence on dominance."""
    bad = {s: e["dominated_by"] for s, e in summary.items() if e["dominated_by"]}
    if not bad:
        return "No target style's transfer point is dominated by template, identity, copy or a random piece."
    return "Dominated: " + "; ".join(f"{s} by {' and '.join(kinds)}" for s, kinds in bad.items()) + "."


def _with_range(mean: float, ends: Sequence[float]) -> str:
    return f"{mean:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def table(summary: dict[str, dict], measures: Sequence[str]) -> str:
    """The summary as a Markdown table, baselines beneath each transfer."""
    lines = [
        "| target style | point | content [95 %] | fit [95 %] | " + " | ".join(measures) + " |",
        "|---|---|---|---|" + "---|" * len(measures),
    ]
    for style, entry in summary.items():
        for kind in (k for k in (*KINDS, NAMED) if k in entry):
            p = entry[kind]
            cells = [_with_range(p[key], p[f"{key}_interval"]) for key in ("content", "fit")]
            cells += [f"{p[m]:.3f}" for m in measures]
            lines.append(f"| {style} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def front_matter(
    task: str,
    data: list[dict[str, str]],
    figures: Figures,
    training: dict[str, Any],
    headline: Sequence[str],
    pattern: str,
    step: str,
) -> dict[str, Any]:
    """The card's front matter, beyond what the export adds.

    `headline` are the measures whose mean is the fit; `pattern` and `step` say what nats and latency are per.
    """
    summary = figures.summary
    return {
        "task": task,
        "data": data,
        "headline": {
            "metric": f"style fit ({' + '.join(headline)} histogram cosines) at content "
            f"{mean_point(summary, 'transfer', 'content')}",
            "value": mean_point(summary, "transfer", "fit"),
            "floor": mean_point(summary, "identity", "fit"),
            "better": "higher",
        },
        "metrics": {
            f"nats_per_{pattern}": round(figures.nats, 4),
            "nats_floor_style_frequencies": round(figures.floor, 4),
            **means(summary),
            **figures.classifier,
            **{name: means(other) for name, other in figures.variants.items()},
        },
        "training": training,
        "latency_ms": {f"per_{step}": figures.latency},
    }


def prose_fields(fitted: Fitted, figures: Figures, measures: Sequence[str]) -> dict[str, Any]:
    """What the prose of both cards fills in."""
    settings = stage_settings()
    return {
        "parameters": sum(p.numel() for p in fitted.network.parameters()),
        "nats": figures.nats,
        "floor": figures.floor,
        "sources": sum(entry["transfers"] for entry in figures.summary.values()),
        "table": table(figures.summary, measures),
        "verdict": verdict(figures.summary),
        "classifier_accuracy": figures.classifier["classifier_accuracy"],
        "taken": ", ".join(f"{k} {v}" for k, v in figures.classifier["taken_for_target"].items()),
        "strength_S": figures.classifier["strength_S"],
        "strength_interval": figures.classifier["strength_interval"],
        "temperature": settings["temperature"],
        "strength": settings["strength"],
        **figures.latency,
    }
