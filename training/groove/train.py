"""Train, evaluate and export the groove network.

    PYTHONPATH=src:. python -m training.groove.train --data ../shared/data --out models/groove

The players of the network differ in their seed alone; each is trained in a process and on a core of its own
(`training.groove.learn`). Afterwards the spread of the answers is matched per step mod 4 (eight factors,
validation split): it buys a lower divergence for a little error, see `training.groove.matching` and the
card.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from segue.humanize.encoding import FEATURES, WINDOW_STEPS, window_features
from segue.metrics.bootstrap import interval_of_mean
from training.common.export import export_model
from training.common.weights import round_weights
from training.groove.card import card_and_prose
from training.groove.data import Windows, as_played, load_windows
from training.groove.learn import (
    guess_style,
    own_pattern,
    predict,
    score_all,
    train_player,
    train_style,
)
from training.groove.matching import OFFSET_RANGE, VELOCITY_RANGE, apply_factors, fit_factors
from training.groove.network import PLAYERS, GrooveNetwork
from training.groove.ridge import ridge_floor
from training.groove.styles import style_table

RUNS = Path("training/runs/groove")
#: Divergence of offsets and of velocities that the spread is matched for.
DIVERGENCE = (0.258, 0.0755)
#: How the weights are stored; every figure is of weights that are rounded so.
WEIGHTS = "int8"
LIMITS = (OFFSET_RANGE, VELOCITY_RANGE)
OUTPUTS = ["offset", "velocity", "offset_spread", "velocity_spread", "style"]
EXAMPLES = 16


def train(windows: Windows, beats: Windows, validation: Windows, seed: int) -> tuple[GrooveNetwork, float]:
    """The trained network, its spread not matched, and the seconds that it took; kept in `RUNS`.

    `windows` is what the players learn from, `beats` the takes that teach the guess of style.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    network = GrooveNetwork()
    # Fresh processes: a fork would inherit PyTorch's threads.
    with ProcessPoolExecutor(PLAYERS, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(train_player, windows, validation, number, RUNS / f"player{number}.log")
            for number in range(PLAYERS * seed, PLAYERS * (seed + 1))
        ]
        for player, job in zip(network.players, jobs, strict=True):
            player.load_state_dict(job.result().state_dict())
    network.style = train_style(beats)
    seconds = time.perf_counter() - begin
    torch.save({"weights": network.state_dict(), "seconds": seconds}, RUNS / f"seed{seed}.pt")
    return network.eval(), seconds


def load(seed: int) -> tuple[GrooveNetwork, float]:
    """What `train` has kept for `seed`."""
    network = GrooveNetwork()
    stored = torch.load(RUNS / f"seed{seed}.pt", weights_only=True)
    network.load_state_dict(stored["weights"])
    return network.eval(), stored["seconds"]


def match_spread(network: GrooveNetwork, validation: Windows) -> None:
    """Bring the spread of the answers so near to the drummers' that `DIVERGENCE` is reached."""
    network.match_spread(torch.zeros(2, 4), torch.ones(2, 4))
    hits, truth = validation.hits, (validation.offset, validation.velocity)
    fitted = [
        fit_factors(hits, *columns)
        for columns in zip(truth, predict(network, validation), LIMITS, DIVERGENCE, strict=True)
    ]
    centre, factor = (np.stack(values).astype(np.float32) for values in zip(*fitted, strict=True))
    network.match_spread(torch.from_numpy(centre), torch.from_numpy(factor))


def matched_elsewhere(network: GrooveNetwork, validation: Windows) -> dict[str, float]:
    """The groove table where the factors of each half of the takes are fitted on the other half.

    `network` is not matched yet.
    """
    answers = predict(network, validation)
    result = [answer.copy() for answer in answers]
    truth = validation.offset, validation.velocity
    for half in (0, 1):
        fit, use = validation.piece % 2 != half, validation.piece % 2 == half
        for i, (true, answer) in enumerate(zip(truth, answers, strict=True)):
            factors = fit_factors(validation.hits[fit], true[fit], answer[fit], LIMITS[i], DIVERGENCE[i])
            result[i][use] = apply_factors(answer[use], LIMITS[i], *factors)
    return score_all(validation, *result)


def bootstrap_mae(windows: Windows, offset: np.ndarray) -> tuple[float, float]:
    """95 % interval of the timing MAE in ms, pieces drawn with replacement."""
    error = np.abs(windows.offset - offset) * (15000 / windows.bpm)[:, None, None]
    piece = np.broadcast_to(windows.piece[:, None, None], error.shape)
    return interval_of_mean(error[windows.hits], piece[windows.hits])


def first_player(network: GrooveNetwork) -> GrooveNetwork:
    """A network of the first player alone: half the size and half the time."""
    one = GrooveNetwork(players=1)
    one.players[0].load_state_dict(network.players[0].state_dict())
    one.style.load_state_dict(network.style.state_dict())
    return one.eval()


def measure(network: GrooveNetwork, validation: Windows) -> dict[str, dict[str, float]]:
    """Rows of the groove table of a network on the validation split; matches its spread on the way."""
    rows = {
        "groove, spread not matched": score_all(validation, *predict(network, validation)),
        "groove, factors from other takes": matched_elsewhere(network, validation),
    }
    one = first_player(network)
    match_spread(one, validation)
    rows["groove, one player alone"] = score_all(validation, *predict(one, validation))
    match_spread(network, validation)
    own = own_pattern(torch.from_numpy(validation.hits).float()).numpy()
    guess = guess_style(network, validation)
    answers = predict(network, validation)
    return {
        "groove": score_all(validation, *answers),
        "groove, as the stage plays": score_all(validation, *(as_played(validation, a) for a in answers)),
        "groove, style given": score_all(validation, *predict(network, validation, style=validation.style)),
        "groove, style as guessed": score_all(validation, *predict(network, validation, style=guess)),
        "groove, two bars alone": score_all(validation, *predict(network, validation, own)),
        **rows,
    }


def floors(train_set: Windows, validation: Windows) -> dict[str, dict[str, float]]:
    """The groove table of what is written and of ridge regression."""
    flat = np.full(validation.velocity.shape, np.median(train_set.velocity[train_set.hits]), np.float32)
    return {
        "quantised": score_all(validation, np.zeros_like(validation.offset), flat),
        "ridge regression": score_all(validation, *ridge_floor(train_set, validation)),
    }


def reference_windows(validation: Windows) -> np.ndarray:
    """Windows for the reference: evenly over the validation split, each from another piece."""
    pieces = np.unique(validation.piece)
    chosen = pieces[np.linspace(0, len(pieces) - 1, EXAMPLES).astype(int)]
    return np.array([np.flatnonzero(validation.piece == p)[0] for p in chosen])


def load_all(data: Path) -> tuple[Windows, Windows, Windows]:
    """What the players learn from (beats and, as extra practice, fills), the beats of it, and validation."""
    folder = data / "groove"
    return (
        load_windows(folder, "train", ("beat", "fill")),
        load_windows(folder, "train"),
        load_windows(folder, "validation"),
    )


def main() -> None:
    """Train, print the table, export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds groove/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stored", action="store_true", help="export what the last run kept")
    args = parser.parse_args()
    train_set, beats, validation = load_all(args.data)
    if args.stored:
        network, seconds = load(args.seed)
    else:
        network, seconds = train(train_set, beats, validation, args.seed)
    network = round_weights(network, WEIGHTS)
    table = floors(beats, validation) | measure(network, validation)
    offset = predict(network, validation)[0]
    interval = bootstrap_mae(validation, offset)
    for name, row in table.items():
        print(f"{name}: " + ", ".join(f"{k} {v:.4f}" for k, v in row.items()))
    print(f"groove timing MAE, 95 % interval over pieces: {interval[0]:.2f} to {interval[1]:.2f} ms")
    rows = reference_windows(validation)
    target = np.where(validation.hits[rows], validation.velocity[rows], np.nan)
    features = window_features(validation.hits[rows], validation.bpm[rows], validation.pattern[0, rows])
    # Every other example with its style told, so that the reference covers the condition.
    features[::2] = window_features(
        validation.hits[rows], validation.bpm[rows], validation.pattern[0, rows], validation.style[rows]
    )[::2]
    styles = style_table(network, args.data / "groove", validation)
    card, prose = card_and_prose(table, styles, interval, args.seed, seconds, validation)
    export_model(
        network,
        "groove",
        {"features": (1, WINDOW_STEPS, FEATURES)},
        OUTPUTS,
        args.out,
        {"features": features[:, None]},
        target[:, None],
        {"kind": "absolute_error", "output": "velocity"},
        card,
        prose,
        weights=WEIGHTS,
    )


if __name__ == "__main__":
    main()
