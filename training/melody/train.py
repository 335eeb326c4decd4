"""Train, measure and export `models/melody`.

    PYTHONPATH=src:. python -m training.melody.train --data ../shared/data --out models/melody [--seed 0]

The reference is trained before, by `training.melody.reference`. `--evaluate-only` measures the last
checkpoint again and exports it, without training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from segue.complete.copies import FILE
from segue.complete.encoding import PITCH_TOKENS, Events
from segue.complete.features import OFFSETS, WIDTH, multi_hot
from segue.complete.judge import hidden
from segue.complete.plan import FINISHED, FINISHED_STABLE
from segue.complete.sampler import MEMORY, Place, Taste, Walker, write
from segue.runtime import Model
from training.common.export import export_model
from training.common.weights import round_weights
from training.melody import evaluate, reference
from training.melody.card import front_matter, prose
from training.melody.copies import write_copies
from training.melody.data import load_tunes
from training.melody.examples import Example, load
from training.melody.fit import fit, window
from training.melody.judge import NetworkJudge
from training.melody.network import MelodyNetwork, MelodyStep

RUNS = Path("training/runs/melody")
EPOCHS, RATE, DROPOUT = 18, 3e-3, 0.2
#: How coarse the weights are stored; see `training.common.weights`.
WEIGHTS = "int8"
STORED_EXAMPLES, STORED_STEPS = 4, 10
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
T = TypeVar("T")


def stored_examples(network: MelodyNetwork, valid: list[Example]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs (examples, steps, 1, ...) and true durations of the true pitches (examples, steps, 1, P), -1 for
    all others, from validation tunes; in every other one the music ahead has been read.
    """
    chosen = valid[:: max(len(valid) // STORED_EXAMPLES, 1)][:STORED_EXAMPLES]
    x, ahead, target = [], [], []
    for i, example in enumerate(chosen):
        rows = hidden(example.rows[:STORED_STEPS], True, True)
        x.append(np.stack([multi_hot([row]) for row in rows]))
        read = window(example, 0, STORED_STEPS, 0).reading[None]
        with torch.no_grad():
            summary = network.read(torch.from_numpy(read))[0, -1:].numpy()
        ahead.append(np.repeat((summary * (i % 2))[None], STORED_STEPS, 0))
        durations = np.full((STORED_STEPS, 1, PITCH_TOKENS), -1)
        steps = np.arange(STORED_STEPS)
        durations[steps, 0, example.events.pitch[:STORED_STEPS]] = example.events.duration[:STORED_STEPS]
        target.append(durations)
    return {"x": np.stack(x), "ahead": np.stack(ahead)}, np.stack(target)


def export(
    network: MelodyNetwork, valid: list[Example], folder: Path, card: dict[str, Any], text: str
) -> None:
    """Write the model folder; see `training.common.export`."""
    examples, target = stored_examples(network, valid)
    export_model(
        MelodyStep(network),
        "melody",
        {"x": (1, WIDTH), "h": (1, network.hidden), "ahead": (1, network.ahead)},
        ["pitch", "interval", "duration", "end", "h_next", "ahead_next"],
        folder,
        examples,
        target,
        {"kind": "cross_entropy", "output": "duration"},
        {**card, "extras": [FILE]},
        text,
        state={"h_next": "h"},
        weights=WEIGHTS,
        batch=True,
    )


def latency(model: Model, example: Example, rounds: int = 100) -> dict[str, float]:
    """Median milliseconds of CPU: of one call, for one continuation and for eight at once; of hearing 64
    events; and of writing 16 notes, about two bars, after them: tracking, calls and choice.
    """
    taste = Taste(0.7, 0.9, np.ones(PITCH_TOKENS, bool), longest_rest=0)
    columns = (getattr(example.events, field.name)[:MEMORY] for field in fields(Events))
    past, start = Events(*columns), int(example.events.start[MEMORY])
    place = Place(example.setting, past, start, start + 2 * example.setting.bar)
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 10):
        for batch in (1, 8):
            sizes = {name: shape[1] for name, shape in model.card["inputs"].items()}
            inputs = {name: np.zeros((batch, size), np.float32) for name, size in sizes.items()}
            inputs["x"] = np.repeat(multi_hot([list(OFFSETS.values())]), batch, 0)
            seconds, _ = _timed(lambda inputs=inputs: [model(**inputs) for _ in range(16)])
            times["call" if batch == 1 else "call_of_8"].append(seconds / 16)
        heard, _ = _timed(lambda: Walker(model, example.setting, past).follow(len(past)))
        times["context_of_64_events"].append(heard)
        for batch in (1, 8):
            rngs = [np.random.default_rng(turn * batch + i) for i in range(batch)]
            seconds, made = _timed(lambda rngs=rngs: write(model, place, taste, rngs))
            events = np.mean([len(one.events) for one in made])
            name = "two_bars_16_notes" if batch == 1 else "two_bars_16_notes_8_times"
            times[name].append((seconds - heard) / events * 16)
    return {name: round(float(np.median(values[10:])) * 1e3, 4) for name, values in times.items()}


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    began = time.thread_time()
    result = action()
    return time.thread_time() - began, result


def trained(seed: int = 0) -> MelodyNetwork:
    """The trained network, weights as they are shipped."""
    network = MelodyNetwork(dropout=DROPOUT)
    network.load_state_dict(torch.load(RUNS / f"seed-{seed}.pt"))
    return round_weights(network, WEIGHTS).eval()


def measure(network: MelodyNetwork, train: list[Example], valid: list[Example], seed: int) -> dict[str, Any]:
    """Every figure of the card, on validation tunes."""
    ours = NetworkJudge(network)
    metrics = evaluate.measure(ours, NetworkJudge(reference.trained(seed)), train, valid, seed)
    ends = ours.ends([hidden(example.rows, True, True) for example in valid])
    thresholds = sorted({*THRESHOLDS, FINISHED, FINISHED_STABLE})
    return {**metrics, "endings": evaluate.endings(valid, ends, thresholds, seed)}


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description="Train, measure and export the melody model.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("models/melody"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train, valid, summary = load(args.data, RUNS)
    print(json.dumps(summary, indent=1), flush=True)
    checkpoint = RUNS / f"seed-{args.seed}.pt"
    if not args.evaluate_only:
        fit(MelodyNetwork(dropout=DROPOUT), train, valid, args.seed, EPOCHS, checkpoint, RATE)
    seconds = torch.load(checkpoint.with_suffix(".resume.pt"), weights_only=False)["state"]["seconds"]
    network = trained(args.seed)
    tunes, others, _ = load_tunes(args.data, RUNS)
    copies = write_copies(tunes, args.out, others)
    metrics = measure(network, train, valid, args.seed)
    print(json.dumps(metrics, indent=1), flush=True)
    # The latency needs the model as it is shipped, the card the latency: so it is exported twice.
    write_copies(tunes, RUNS / "draft")
    draft = {"task": "melody", "headline": {"metric": "draft", "value": 0, "floor": 0, "better": "lower"}}
    export(network, valid, RUNS / "draft", draft, "Draft.")
    song = next(e for e in valid if e.corpus == "pop909" and len(e.events) > 2 * MEMORY)
    times = {backend: latency(Model(RUNS / "draft", backend), song) for backend in ("onnx", "tflite")}
    training = {
        "command": "python -m training.melody.train --data ../shared/data --out models/melody "
        f"--seed {args.seed}",
        "epochs": EPOCHS,
        "seconds": round(seconds),
        "seed": args.seed,
        "seeds": 1,
    }
    front = front_matter(metrics, summary, training, times, copies)
    export(network, valid, args.out, front, prose(metrics, summary, front))
    print(f"written to {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
