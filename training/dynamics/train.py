"""Train, evaluate and export the dynamics network.

    PYTHONPATH=src:. python -m training.dynamics.train --data ../shared/data --out models/dynamics

Loss: absolute error of the velocities, absolute and squared error of the velocities less their window's mean
(phrasing without the level), absolute error of the timing where it is known, and, on the detached errors,
the Laplace likelihood that teaches the spreads. Afterwards the velocities are moved away from the mean so
that they vary `SPREAD_SHARE` as much as the players' on either validation set.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.humanize.phrasing import (
    NOTE_BAR,
    NOTE_BEAT,
    NOTE_FEATURES,
    PART_BEAT,
    PART_FEATURES,
    WINDOW_NOTES,
)
from training.common.export import export_model
from training.dynamics.card import card_and_prose
from training.dynamics.data import Performance, Songs, load_giantmidi, load_pop909, windows
from training.dynamics.evaluate import (
    bootstrap,
    flat_predictor,
    network_predictor,
    ridge_predictor,
    score_all,
    spread_share,
)
from training.dynamics.network import PLAYERS, DynamicsNetwork, Player

EPOCHS, BATCH, RATE, DECAY = 7, 16, 2e-3, 2e-2
VELOCITY_ERROR, TIMING_ERROR_MS, LIKELIHOOD_WEIGHT = 0.09, 14.0, 0.1
#: Probability that a training window is told neither beat nor bar, or the beat alone. POP909's pianists
#: always hear the melody that they accompany, so that a part without others is phrased as GiantMIDI's, by
#: its own melody.
NO_BEAT, NO_BAR = 0.25, 0.4
#: The least share of the true standard deviation that the answers have on either validation set.
SPREAD_SHARE = 0.72
OUTPUTS = ["velocity", "timing", "velocity_spread", "timing_spread"]
EXAMPLES = 8

Arrays = tuple[np.ndarray, ...]


def window_centred(values: Tensor, mask: Tensor) -> Tensor:
    """Values (batch, 256) less the mean of their window over the notes in `mask`."""
    return values - (values * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)


def loss_of(answer: tuple[Tensor, ...], velocity: Tensor, timing: Tensor) -> Tensor:
    """The training loss of a batch; see the module."""
    v, t, v_spread, t_spread = answer
    mask, timed = torch.isfinite(velocity), torch.isfinite(timing)
    truth = torch.nan_to_num(velocity)
    level = (v - truth)[mask].abs().mean()
    phrasing = (window_centred(v, mask) - window_centred(truth, mask))[mask]
    loss = (level + phrasing.abs().mean() + 3 * (phrasing**2).mean()) / VELOCITY_ERROR
    v_spread = v_spread[mask]
    loss = loss + LIKELIHOOD_WEIGHT * (phrasing.detach().abs() / v_spread + v_spread.log()).mean()
    if timed.any():
        error, t_spread = (t - torch.nan_to_num(timing))[timed].abs(), t_spread[timed]
        loss = loss + error.mean() / TIMING_ERROR_MS
        loss = loss + LIKELIHOOD_WEIGHT * (error.detach() / t_spread + t_spread.log()).mean()
    return loss


def practise(features: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """The inputs of a batch, some of them without bars or beats."""
    x, row = features.clone(), part.clone()
    beats = torch.rand(len(x))
    x[beats < NO_BAR, :, NOTE_BAR] = 0
    x[beats < NO_BEAT, :, NOTE_BEAT] = 0
    row[beats < NO_BEAT, PART_BEAT] = 0
    return x, row


def train_player(network: DynamicsNetwork, player: Player, arrays: Arrays, seed: int, epochs: int) -> None:
    """Train one player of the network."""
    torch.manual_seed(seed)
    features, part, velocity, timing = (torch.from_numpy(a) for a in arrays)
    alone = DynamicsNetwork(players=0)
    alone.note_scale, alone.part_scale = network.note_scale, network.part_scale
    alone.players.append(player)
    player.train()
    optimizer = torch.optim.AdamW(player.parameters(), lr=RATE, weight_decay=DECAY)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs * batches, pct_start=0.15)
    for epoch in range(epochs):
        order = torch.randperm(len(features))
        total = 0.0
        for i in range(batches):
            rows = order[i * BATCH : (i + 1) * BATCH]
            loss = loss_of(alone(*practise(features[rows], part[rows])), velocity[rows], timing[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(player.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"seed {seed}, epoch {epoch + 1}: loss {total / batches:.4f}", flush=True)


def train(arrays: Arrays, seed: int, epochs: int) -> DynamicsNetwork:
    """The trained network from features, rows, velocities and timings of windows."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = DynamicsNetwork()
    features = torch.from_numpy(arrays[0])
    network.normalise(features[features[:, :, 0] > 0], torch.from_numpy(arrays[1]))
    for i, player in enumerate(network.players):
        train_player(network, player, arrays, PLAYERS * seed + i, epochs)
    return network.eval()


def match_spread(
    network: DynamicsNetwork, level: float, sets: dict[str, list[Performance]]
) -> tuple[float, float]:
    """Bring the spread up to `SPREAD_SHARE` of the true one on either set; returns the factors.

    GiantMIDI has no beats, and sets the factor without them; POP909 then sets that with beats.
    """
    factor = [1.0, 1.0]
    # Not all of POP909 is on beats, so that its factor has to be approached.
    for i, name in (0, "giantmidi"), *[(1, "pop909")] * 3:
        network.match_spread(level, tuple(factor))
        predict = network_predictor(network)
        factor[i] *= SPREAD_SHARE / spread_share(sets[name], [predict(p) for p in sets[name]])
        factor[i] = max(factor[i], 1.0)
    network.match_spread(level, tuple(factor))
    return tuple(factor)


def main() -> None:
    """Train, print the tables, export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds pop909/ and giantmidi-52/"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="train so many from --seed on; ship the first")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--weights", type=Path, help="a folder of seedN.pt: skip training and export those")
    args = parser.parse_args()
    runs = Path("training/runs/dynamics")
    runs.mkdir(parents=True, exist_ok=True)
    pop = load_pop909(args.data / "pop909")
    level = float(np.mean(np.concatenate([p.velocity for p in pop["stage"].train])))
    piano = load_giantmidi(args.data / "giantmidi-52", level)
    sets = {"pop909": pop["stage"].validation, "giantmidi": piano.validation}
    arrays = training_windows(pop, piano)
    everything = pop["stage"].train + piano.train
    rows = {"flat": flat_predictor(everything), "ridge regression": ridge_predictor(everything)}
    floors = {name: {s: [row(p) for p in pieces] for s, pieces in sets.items()} for name, row in rows.items()}
    results = []
    for seed in range(args.seed, args.seed + args.seeds):
        if args.weights:
            trained, seconds = load_weights(args.weights / f"seed{seed}.pt")
        else:
            begin = time.process_time()
            trained = train(arrays, seed, args.epochs)
            seconds = time.process_time() - begin
            torch.save({"weights": trained.state_dict(), "seconds": seconds}, runs / f"seed{seed}.pt")
        predict = network_predictor(trained)
        free = {s: [predict(p) for p in pieces] for s, pieces in sets.items()}
        factor = match_spread(trained, level, sets)
        answers = {s: [predict(p) for p in pieces] for s, pieces in sets.items()}
        tables = tables_of(sets, {**floors, "dynamics": answers, "dynamics, spread not matched": free})
        annotated = pop["annotated"].validation
        known = score_all(annotated, [predict(p) for p in annotated])
        tables["pop909"]["dynamics, annotated beats and bars"] = known
        intervals = {s: bootstrap(pieces, answers[s]) for s, pieces in sets.items()}
        for name, table in tables.items():
            for row, scores in table.items():
                print(f"{name}, {row}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
        print(f"seed {seed}: factors {factor}, 95 % intervals over pieces {intervals}", flush=True)
        results.append((trained, tables, intervals, factor, seconds))
    network, _, intervals, factor, seconds = results[0]
    tables = [result[1] for result in results]
    card, prose = card_and_prose(tables, intervals, factor, args.seed, seconds, sets)
    features, part, target = reference_windows(sets)
    export_model(
        network,
        "dynamics",
        {"features": (1, WINDOW_NOTES, NOTE_FEATURES), "part": (1, PART_FEATURES)},
        OUTPUTS,
        args.out,
        {"features": features[:, None], "part": part[:, None]},
        target[:, None],
        {"kind": "absolute_error", "output": "velocity"},
        card,
        prose,
    )


def load_weights(path: Path) -> tuple[DynamicsNetwork, float]:
    """A trained network, and the seconds of CPU that its training took."""
    stored = torch.load(path, weights_only=True)
    network = DynamicsNetwork()
    network.load_state_dict(stored["weights"])
    return network.eval(), stored["seconds"]


def training_windows(pop: dict[str, Songs], piano: Songs) -> Arrays:
    """All windows to train on; GiantMIDI is a sixth of the notes, and overlaps more to make up for it."""
    parts = (
        windows(pop["annotated"].train, WINDOW_NOTES),
        windows(pop["stage"].train, WINDOW_NOTES, WINDOW_NOTES // 2),
        windows(piano.train, WINDOW_NOTES // 3),
    )
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def tables_of(
    sets: dict[str, list[Performance]], rows: dict[str, dict[str, list[tuple[np.ndarray, np.ndarray]]]]
) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of every row on each set and on all pieces together."""
    tables = {
        name: {row: score_all(pieces, answers[name]) for row, answers in rows.items()}
        for name, pieces in sets.items()
    }
    pooled = [piece for pieces in sets.values() for piece in pieces]
    tables["pooled"] = {
        row: score_all(pooled, [a for name in sets for a in answers[name]]) for row, answers in rows.items()
    }
    return tables


def reference_windows(sets: dict[str, list[Performance]]) -> Arrays:
    """Features, rows and velocities of first windows, evenly over the validation pieces of both sets."""
    songs, pieces = sets["pop909"], sets["giantmidi"]
    chosen = np.linspace(0, len(songs) - 1, EXAMPLES * 3 // 4).astype(int)
    firsts = [windows([p], len(p.velocity)) for p in [*(songs[i] for i in chosen), *pieces[: EXAMPLES // 4]]]
    features, part, velocity, _ = (np.concatenate([first[i][:1] for first in firsts]) for i in range(4))
    return features, part, velocity


if __name__ == "__main__":
    main()
