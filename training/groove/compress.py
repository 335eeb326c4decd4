"""The groove model's part in the table of forms, see `training.common.compress`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.humanize.encoding import FEATURES, WINDOW_STEPS
from training.common.compress import Case, Run
from training.common.weights import apply_masks
from training.groove.data import Windows, load_windows
from training.groove.network import GrooveNetwork
from training.groove.train import (
    BATCH,
    OUTPUTS,
    loss_of,
    match_spread,
    practise,
    reference_windows,
    score_all,
    tensors,
)

#: Fine-tuning of a pruned network: passes over the training windows, and the rate.
_PASSES, _RATE = 2, 5e-4
_COLUMNS = {
    "timing_mae_ms": ("MAE ms", ".2f"),
    "timing_mse": ("MSE 16th²", ".4f"),
    "timing_kl": ("timing KL", ".3f"),
    "velocity_kl": ("velocity KL", ".3f"),
    "velocity_mae": ("velocity MAE", ".2f"),
}
_PROSE = """
"""


def case(data: Path, runs: Path) -> Case:
    """The trained groove network, scored on the validation split."""
    train_set = load_windows(data / "groove", "train", ("beat", "fill"))
    validation = load_windows(data / "groove", "validation")
    network = GrooveNetwork()
    network.load_state_dict(torch.load(runs / "seed0.pt", weights_only=True)["weights"])
    features = tensors(validation)[0].numpy()

    def score(run: Run) -> dict[str, float]:
        answers = [run(features=features[i : i + 1]) for i in range(len(features))]
        offset, velocity = (np.concatenate([a[k] for a in answers]) for k in OUTPUTS[:2])
        return score_all(validation, offset, velocity)

    return Case(
        name="groove",
        network=network.eval(),
        inputs={"features": (1, WINDOW_STEPS, FEATURES)},
        outputs=OUTPUTS,
        examples={"features": features[reference_windows(validation)][:, None]},
        score=score,
        columns=_COLUMNS,
        prose=_PROSE,
        finish=lambda network: match_spread(network, validation),
        fine_tune=lambda network, kept: fine_tune(network, kept, train_set),
    )


def fine_tune(network: GrooveNetwork, kept: list[Tensor], windows: Windows) -> None:
    """Train what pruning has left of a network, each player by itself, with the loss of the training."""
    torch.manual_seed(0)
    features, hits, offset, velocity = tensors(windows)
    pattern = torch.from_numpy(windows.pattern)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, _PASSES * batches)
    network.train()
    for _ in range(_PASSES):
        order = torch.randperm(len(features))
        for i in range(batches):
            rows = order[i * BATCH : (i + 1) * BATCH]
            x, keep = practise(features[rows], pattern[:, rows])
            given = x, hits[rows] * keep, offset[rows], velocity[rows]
            loss = sum(loss_of(player, *given) for player in network.players)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            apply_masks(network, kept)
    network.eval()
