"""Latency and size of the models: one thread, batch of one, median of many calls after warm-up."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from segue.models import model_names
from segue.runtime import BACKENDS, MODELS_FOLDER, Model, read_reference

#: Network calls that one two-bar window of 4/4 takes: the melody network runs once a note, the style networks
#: twice a beat (with and without the style, see `strength`).
CALLS_PER_WINDOW = {"melody": 16, "accompaniment": 16, "drums-style": 16}


def latency_ms(model: Model, calls: int = 200) -> float:
    """Median milliseconds of one call on a reference example."""
    stored = read_reference(model.folder)
    inputs = {k[6:]: v[0] for k, v in stored.items() if k.startswith("input.")}
    if model.card.get("state"):
        inputs = {k: v[0] for k, v in inputs.items()} | model.zero_state()
    for _ in range(20):
        model(**inputs)
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        model(**inputs)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def measure() -> dict[str, Any]:
    """Every model in every backend, and the sum of a two-bar window through all of them."""
    rows: dict[str, Any] = {}
    window = dict.fromkeys(BACKENDS, 0.0)
    size = dict.fromkeys(BACKENDS, 0)
    for name in model_names():
        row: dict[str, Any] = {}
        for backend in BACKENDS:
            started = time.perf_counter()
            model = Model(MODELS_FOLDER / name, backend)
            load = (time.perf_counter() - started) * 1e3
            one = latency_ms(model)
            calls = CALLS_PER_WINDOW.get(name, 1)
            window[backend] += one * calls
            size[backend] += model.path.stat().st_size
            row[backend] = {
                "call_ms": round(one, 4),
                "window_ms": round(one * calls, 4),
                "load_and_check_ms": round(load, 1),
                "kib": round(model.path.stat().st_size / 1024, 1),
            }
        row["parameters"] = model.card["parameters"]
        rows[name] = row
    return {
        "models": rows,
        "two_bar_window_ms": {backend: round(value, 3) for backend, value in window.items()},
        "total_kib": {backend: round(value / 1024, 1) for backend, value in size.items()},
        "numpy": np.__version__,
    }
