"""Train, measure and export `models/melody`.

    PYTHONPATH=src:. python -m training.melody.train --data ../shared/data --out models/melody [--seed 0]

`--evaluate-only` measures the last checkpoint again and exports it, without training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.complete.encoding import PITCH_TOKENS
from segue.complete.features import OFFSETS, WIDTH, multi_hot
from segue.complete.plan import FINISHED, FINISHED_STABLE
from segue.complete.sampler import Place, Taste, Walker, write
from segue.runtime import Model
from training.common.export import export_model

from training.melody.card import front_matter, prose
from training.melody.examples import Example, load
from training.melody.fit import fit, hide, window
from training.melody.floors import MarkovChain
from training.melody.network import MelodyNetwork, MelodyStep
from training.melody.places import draw_queries, pairs

RUNS = Path("training/runs/melody")
EPOCHS = 30
SIZE, HIDDEN, DROPOUT = 64, 192, 0.1
REFERENCE_EXAMPLES, REFERENCE_STEPS = 4, 10
QUERIES = 400
THRESHOLDS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5]


def reference(network: MelodyNetwork, valid: list[Example]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs (examples, steps, 1, ...) and true durations of the true pitches (examples, steps, 1, P), -1 for
    all others, from validation tunes; in every other one the music ahead has been read.
    """
    chosen = valid[:: max(len(valid) // REFERENCE_EXAMPLES, 1)][:REFERENCE_EXAMPLES]
    x, ahead, target = [], [], []
    for i, example in enumerate(chosen):
        rows = hide(example.rows[:REFERENCE_STEPS], True, True)
        x.append(np.stack([multi_hot([row]) for row in rows]))
        read = window(example, 0, REFERENCE_STEPS, 0).reading[None]
        with torch.no_grad():
            summary = network.read(torch.from_numpy(read))[0, -1:].numpy()
        ahead.append(np.repeat((summary * (i % 2))[None], REFERENCE_STEPS, 0))
        durations = np.full((REFERENCE_STEPS, 1, PITCH_TOKENS), -1)
        steps = np.arange(REFERENCE_STEPS)
        durations[steps, 0, example.events.pitch[:REFERENCE_STEPS]] = example.events.duration[:REFERENCE_STEPS]
        target.append(durations)
    return {"x": np.stack(x), "ahead": np.stack(ahead)}, np.stack(target)


def export(
    network: MelodyNetwork, valid: list[Example], folder: Path, card: dict[str, Any], text: str
) -> None:
    """Write the model folder; see `training.common.export`."""
    examples, target = reference(network, valid)
    export_model(
        MelodyStep(network),
        "melody",
        {"x": (1, WIDTH), "h": (1, network.hidden), "ahead": (1, network.ahead)},
        ["pitch", "interval", "duration", "end", "h_next", "ahead_next"],
        folder,
        examples,
        target,
        {"kind": "cross_entropy", "output": "duration"},
        card,
        text,
        state={"h_next": "h"},
        batch=True,
    )


def latency(model: Model, example: Example, rounds: int = 200) -> dict[str, float]:
    """Median milliseconds of CPU of one call, of hearing 64 events, and of writing 16 notes: tracking, calls
    and choice.
    """
    x, state = multi_hot(list(OFFSETS.values())), model.zero_state()
    taste = Taste(0.7, 0.9, np.ones(PITCH_TOKENS, bool), longest_rest=0)
    events, start = example.events, int(example.events.start[64])
    stop = start + 2 * example.setting.bar
    times: dict[str, list[float]] = {"call": [], "context_of_64_events": [], "two_bars_16_notes": []}
    for _ in range(rounds + 20):
        began = time.thread_time()
        for _ in range(16):
            model(x=x, **state)
        times["call"].append((time.thread_time() - began) / 16)
        began = time.thread_time()
        walker = Walker(model, example.setting, events, 64)
        walker.follow(64)
        times["context_of_64_events"].append(time.thread_time() - began)
        began = time.thread_time()
        made = walk(walker, start, stop, None, stop, taste, np.random.default_rng(0))
        times["two_bars_16_notes"].append((time.thread_time() - began) / len(made) * 16)
    return {name: round(float(np.median(values[20:])) * 1e3, 4) for name, values in times.items()}


def measure(
    network: MelodyNetwork, model: Model, train: list[Example], valid: list[Example], seed: int
) -> dict:
    """Every figure of the card, on validation tunes."""
    chain = MarkovChain("factored").fit(train)
    joint = MarkovChain("joint").fit(train)
    chain_scores = [chain.log_probability([], pairs(e)) for e in valid]
    scores = evaluate.score_tunes(network, valid, style=False)
    told = evaluate.score_tunes(network, valid, style=True)
    queries = draw_queries(valid, QUERIES, seed)
    chain_tops = [
        np.array([chain.top(p[max(i - 2, 0) : i]) for i in range(len(p))]) for p in map(pairs, valid)
    ]
    return {
        "nll": {
            "model": evaluate.likelihood(valid, [s.log_probability for s in scores]),
            "model_told_the_style": evaluate.likelihood(valid, [s.log_probability for s in told]),
            "markov_2_factored": evaluate.likelihood(valid, chain_scores),
            "markov_2_joint": evaluate.likelihood(
                valid, [joint.log_probability([], pairs(e)) for e in valid]
            ),
        },
        "top_1": {
            "model": evaluate.top_1(valid, [s.top for s in scores]),
            "markov_2": evaluate.top_1(valid, chain_tops),
            "repetition_4_bars": evaluate.top_1(valid, [evaluate.repeated(e) for e in valid]),
        },
        "ranking": evaluate.ranking(network, chain, queries),
        "overlap_area": evaluate.overlap(model, chain, queries, seed, 1.0),
        "overlap_area_default_taste": {
            "model": evaluate.overlap(model, chain, queries, seed, 0.7)["model"],
        },
        "infilling": evaluate.infilling(network, model, valid, QUERIES, seed),
        "endings": evaluate.endings(valid, scores, sorted({*THRESHOLDS, FINISHED, FINISHED_STABLE}), seed),
    }


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description="Train, measure and export the melody model.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("models/melody"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--evaluate-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train, valid, summary = load(args.data, RUNS)
    print(json.dumps(summary, indent=1), flush=True)
    network = MelodyNetwork(SIZE, HIDDEN, dropout=DROPOUT)
    checkpoint, history = RUNS / f"seed-{args.seed}.pt", RUNS / f"seed-{args.seed}.json"
    if args.evaluate_only:
        network.load_state_dict(torch.load(checkpoint))
        seconds = json.loads(history.read_text())["seconds"]
    else:
        began = time.process_time()
        fit(network, train, valid, args.seed, args.epochs, checkpoint)
        seconds = round(time.process_time() - began)
        history.write_text(json.dumps({"seconds": seconds}))
    network.eval()
    # The written figures need the model as it is shipped, the card needs the figures: so it is exported
    # twice.
    draft = {"task": "melody", "headline": {"metric": "draft", "value": 0, "floor": 0, "better": "lower"}}
    export(network, valid, RUNS / "draft", draft, "Draft.")
    model = Model(RUNS / "draft", "onnx")
    metrics = measure(network, model, train, valid, args.seed)
    print(json.dumps(metrics, indent=1), flush=True)
    song = next(e for e in valid if e.corpus == "pop909" and len(e.events) > 128)
    times = {b: latency(Model(RUNS / "draft", b), song) for b in ("onnx", "tflite")}
    command = f"python -m training.melody.train --data ../shared/data --out models/melody --seed {args.seed}"
    training = {"command": command, "seconds": seconds, "seed": args.seed, "seeds": 1}
    front = front_matter(metrics, summary, training, times)
    export(network, valid, args.out, front, prose(metrics, summary, front))
    print(f"written to {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
