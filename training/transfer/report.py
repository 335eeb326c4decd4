"""What both cards and both training scripts have in common."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from segue.runtime import Model
from training.transfer.points import KINDS

RUNS = Path(__file__).resolve().parents[1] / "runs" / "transfer"


def arguments(name: str) -> argparse.Namespace:
    """Command line of a training script."""
    parser = argparse.ArgumentParser(description=f"Train, measure and export the model {name}.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("models") / name, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=RUNS / name, help="folder of checkpoints and caches")
    parser.add_argument(
        "--keep-weights", action="store_true", help="measure and export the weights of the last run"
    )
    return parser.parse_args()


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


def metrics_of(summary: dict[str, dict], figures: dict[str, Any]) -> dict[str, Any]:
    """The figures for the card's front matter: means over styles, and points by style."""
    out: dict[str, Any] = {
        kind: {key: mean_point(summary, kind, key) for key in ("content", "fit")} for kind in KINDS
    }
    out["not_dominated"] = {s: not entry["dominated_by"] for s, entry in summary.items()}
    return out | figures


def verdict(summary: dict[str, dict]) -> str:
    """One sentence on dominance."""
    bad = {s: e["dominated_by"] for s, e in summary.items() if e["dominated_by"]}
    if not bad:
        return "No target style's transfer point is dominated by identity or copy."
    return "Dominated: " + "; ".join(f"{s} by {' and '.join(kinds)}" for s, kinds in bad.items()) + "."
