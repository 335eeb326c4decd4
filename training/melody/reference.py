"""Train, measure and export `models/melody-reference`: what the melody model is to be better than.

    PYTHONPATH=src:. python -m training.melody.reference --data ../shared/data --out models/melody-reference

The architecture is MelodyRNN's (`training.melody.attention`); data, split, batches, optimiser, schedule and
early stopping are those of the melody model (`training.melody.fit`). A training that broke off goes on where
it was; `--evaluate-only` measures and exports the last checkpoint.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.complete.encoding import DURATIONS, PITCH_TOKENS
from segue.complete.evaluate import Candidate, Figures, chain_on_tunes, summary, whole_tunes
from segue.complete.judge import hidden, narrowed
from segue.complete.places import pairs
from segue.metrics.markov import MarkovChain
from segue.runtime import Model
from training.common.export import export_model
from training.common.weights import round_weights
from training.melody.attention import COLUMNS, STATE, ReferenceNetwork, ReferenceStep
from training.melody.card import DATA
from training.melody.evaluate import brief, by_corpus, interval_of_nats
from training.melody.examples import Example, load
from training.melody.fit import fit
from training.melody.judge import NetworkJudge
from training.melody.tables import markdown

RUNS = Path("training/runs/melody-reference")
MELODY_RUNS = Path("training/runs/melody")
EPOCHS, DROPOUT, RATE = 16, 0.25, 3e-3
WEIGHTS = "int8"
STORED_EXAMPLES, STORED_STEPS = 8, 12
NAME = "melody-reference"


def trained(seed: int = 0) -> ReferenceNetwork:
    """The trained reference, with the weights that are shipped."""
    network = ReferenceNetwork(dropout=DROPOUT)
    network.load_state_dict(torch.load(RUNS / f"seed-{seed}.pt"))
    return round_weights(network, WEIGHTS).eval()


def stored_examples(valid: list[Example]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs (examples, steps, 1, width) and true pitch tokens (examples, steps, 1) from validation tunes."""
    chosen = valid[:: max(len(valid) // STORED_EXAMPLES, 1)][:STORED_EXAMPLES]
    x, target = [], []
    for example in chosen:
        rows, width = narrowed(hidden(example.rows[:STORED_STEPS], True, True), COLUMNS)
        x.append(np.zeros((len(rows), 1, width), np.float32))
        np.put_along_axis(x[-1], rows[:, None], 1.0, 2)
        target.append(example.events.pitch[:STORED_STEPS, None])
    return {"x": np.stack(x)}, np.stack(target)


def export(
    network: ReferenceNetwork, valid: list[Example], folder: Path, card: dict[str, Any], text: str
) -> None:
    """Write the model folder; see `training.common.export`."""
    examples, target = stored_examples(valid)
    export_model(
        ReferenceStep(network),
        NAME,
        {"x": (1, network.width), **{name: (1, *shape) for name, shape in STATE.items()}},
        ["pitch", "duration", "end", *(f"{name}_next" for name in STATE)],
        folder,
        examples,
        target,
        {"kind": "cross_entropy", "output": "pitch"},
        {**card, "features": list(COLUMNS)},
        text,
        state={f"{name}_next": name for name in STATE},
        weights=WEIGHTS,
        batch=True,
    )


def latency(model: Model, rounds: int = 2000) -> float:
    """Median milliseconds of CPU of one call."""
    x, state = np.zeros(model.card["inputs"]["x"], np.float32), model.zero_state()
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        model(x=x, **state)
        times.append(time.thread_time() - began)
    return round(float(np.median(times[100:])) * 1e3, 4)


def front_matter(
    rows: dict[str, dict[str, dict[str, float]]], tunes: Figures, seconds: float, seed: int
) -> dict[str, Any]:
    """The card's front matter beside what the exporter adds."""
    reference = rows["reference"]["all"]
    return {
        "task": "the reference of melody completion: MelodyRNN's architecture on the same tunes",
        "data": DATA,
        "headline": {
            "metric": "NLL in nats a note (pitch and duration, validation)",
            "value": reference["nats_per_note"],
            "interval_95": interval_of_nats(tunes),
            "floor": min(rows[name]["all"]["nats_per_note"] for name in ("markov", "markov_joint")),
            "better": "lower",
        },
        "metrics": brief({"whole_tunes": rows}),
        "training": {
            "command": f"python -m training.melody.reference --data ../shared/data --out models/{NAME} "
            f"--seed {seed}",
            "epochs": EPOCHS,
            "seconds": round(seconds),
            "seed": seed,
            "seeds": 1,
        },
    }


def prose(front: dict[str, Any], rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """The card's text."""
    names = {"reference": "this network", "reference_told_style": "this network, told the style"}
    names |= {"markov": "order-2 Markov, pitch then duration", "markov_joint": "order-2 Markov, joint events"}
    corpora = list(rows["reference"])
    lines = [
        [label, *(f"{rows[name][corpus]['nats_per_note']:.3f}" for corpus in corpora)]
        for name, label in names.items()
    ]
    table = markdown(["NLL, nats a note", *corpora], lines)
    times = front["latency_ms"]
    return f"""
# melody-reference: MelodyRNN's architecture on our tunes

What [melody](../melody/card.md) is measured against, shipped so that `segue evaluate melody` can show it on
any folder. No stage writes with it.

## Architecture
Two LSTM layers of 128 units, the first with attention over its last 40 outputs (Waite 2016; the cell as
TensorFlow's AttentionCellWrapper), dropout {DROPOUT} after each. It is told the last event, the place in bar
and among the bars, meter, mode and style (hidden in part of the training), what stood one and two bars ago
and whether the melody repeats it: what MelodyRNN's encodings tell, in the tokens of the melody model, with
pitches relative to the tonic and with the same heads for pitch, duration given pitch, and section end.

## Training
The same script, tunes, split, batches, optimiser, schedule and early stopping as the melody model, all data
that it gets included; the rate is {RATE}. Two things were tuned on validation tunes. The usual small weights
to begin with leave it at the frequencies of notes for hundreds of steps, so it begins with larger ones. Of
the dropouts 0.25 and 0.5 (the published configuration's) 0.25 was taken: in a training of four epochs on half
of the tunes it is ahead by 0.10 nats a note.
Licences and attribution: see above. Weights: eight bits a row.

## Figures on the validation tunes (one seed)
{table}

Everything else, place by place beside the melody model, is in that model's card.

## Latency
One thread, batch of one, median after warm-up, milliseconds of CPU a call: {times["onnx"]} (ONNX Runtime) and
{times["tflite"]} (TFLite).

## Intended use and limits
A yardstick. It knows no chords and nothing of what comes after a gap, and forgets what is longer ago than
its memory.
"""


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description="Train, measure and export the melody model's reference.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("models") / NAME)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train, valid, _ = load(args.data, MELODY_RUNS)
    checkpoint = RUNS / f"seed-{args.seed}.pt"
    if not args.evaluate_only:
        fit(ReferenceNetwork(dropout=DROPOUT), train, valid, args.seed, EPOCHS, checkpoint, RATE)
    seconds = torch.load(checkpoint.with_suffix(".resume.pt"), weights_only=False)["state"]["seconds"]
    network = trained(args.seed)
    judge = NetworkJudge(network)
    tunes = {
        "reference": whole_tunes(Candidate(judge), valid),
        "reference_told_style": whole_tunes(Candidate(judge, style=True), valid),
    }
    for name, kind in (("markov", "factored"), ("markov_joint", "joint")):
        chain = MarkovChain(kind, PITCH_TOKENS, len(DURATIONS)).fit(map(pairs, train))
        tunes[name] = chain_on_tunes(lambda _, chain=chain: chain, valid)
    rows = by_corpus({name: (own,) for name, own in tunes.items()}, [e.corpus for e in valid])
    front = front_matter(rows, tunes["reference"], seconds, args.seed)
    draft = RUNS / "draft"
    export(network, valid, draft, front, "Draft.")
    front["latency_ms"] = {backend: latency(Model(draft, backend)) for backend in ("onnx", "tflite")}
    export(network, valid, args.out, front, prose(front, rows))
    print(f"{summary(tunes['reference'])}\nwritten to {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
