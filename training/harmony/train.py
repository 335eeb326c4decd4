"""Train, measure and export the model `harmony`; what has been trained is only measured again.

`PYTHONPATH=src:. python -m training.harmony.train --data ../shared/data --out models/harmony`
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from training.harmony.batches import epoch
from training.harmony.data import IGNORE, Song, is_validation, load_songs
from training.harmony.evaluate import quick_figures
from training.harmony.network import OUTPUTS, HarmonyEnsemble, HarmonyNetwork

RUNS = Path("training/runs/harmony")
#: Networks that answer as one; each is trained by itself, with a seed of its own.
MEMBERS = 2
EPOCHS, BATCH = 40, 16
LEARNING_RATE = 2e-3
#: Weight of each head's loss.
LOSS = {"chord": 1.0, "colour": 0.3, "key": 0.3, "change": 0.2}


def loss_of(outputs: dict[str, torch.Tensor], labels: dict[str, torch.Tensor]) -> torch.Tensor:
    """The weighted sum of the heads' losses over the beats that have labels."""
    total = torch.zeros(())
    for name in ("chord", "colour", "key"):
        logits = outputs[name].transpose(1, 2)
        total = total + LOSS[name] * functional.cross_entropy(logits, labels[name], ignore_index=IGNORE)
    known = labels["change"] >= 0
    change = functional.binary_cross_entropy_with_logits(
        outputs["change"][..., 0][known], labels["change"][known].float()
    )
    return total + LOSS["change"] * change


def train(songs: list[Song], epochs: int, seed: int) -> HarmonyNetwork:
    """A trained network."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    training = [s for s in songs if not is_validation(s)]
    validation = [s for s in songs if is_validation(s) and s.corpus == "pop909"]
    network = HarmonyNetwork()
    print(f"{sum(p.numel() for p in network.parameters())} parameters, {len(training)} songs", flush=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    steps = epochs * sum(1 for _ in epoch(training, BATCH, np.random.default_rng(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.15)
    began = time.process_time()
    for number in range(epochs):
        network.train()
        losses = []
        for features, labels in epoch(training, BATCH, rng):
            outputs = dict(zip(OUTPUTS, network(torch.from_numpy(features)), strict=True))
            loss = loss_of(outputs, {n: torch.from_numpy(v) for n, v in labels.items()})
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if number % 4 == 3 or number == epochs - 1:
            figures = quick_figures(network, validation)
            print(
                f"epoch {number + 1}: loss {np.mean(losses):.3f}, {time.process_time() - began:.0f} s CPU, "
                + figures,
                flush=True,
            )
    return network


def trained(songs: list[Song], epochs: int, seed: int) -> tuple[HarmonyEnsemble, int]:
    """The members, and the seconds of CPU that their training took; those on disk are taken from there."""
    members, seconds = [], 0
    for number in range(MEMBERS):
        checkpoint = RUNS / f"member-{epochs}-{seed + number}.pt"
        if not checkpoint.is_file():
            began = time.process_time()
            state = train(songs, epochs, seed + number).state_dict()
            torch.save({**state, "seconds": round(time.process_time() - began)}, checkpoint)
        state = torch.load(checkpoint, weights_only=True)
        seconds += state.pop("seconds")
        members.append(HarmonyNetwork())
        members[-1].load_state_dict(state)
    return HarmonyEnsemble(members), seconds


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("models/harmony"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    songs = load_songs(args.data, RUNS)
    network, seconds = trained(songs, args.epochs, args.seed)
    from training.harmony.publish import publish

    publish(network.eval(), songs, args.out, seed=args.seed, seconds=seconds)


if __name__ == "__main__":
    main()
