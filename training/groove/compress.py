"""The groove model's part in the table of forms, see `training.common.compress`."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.humanize.encoding import FEATURES, WINDOW_STEPS
from training.common.compress import Case, Run
from training.common.weights import apply_masks
from training.groove.data import Windows
from training.groove.learn import (
    BATCH,
    CYCLES,
    OFFSET_SQUARE,
    VELOCITY_ERROR,
    loss_of,
    practise,
    score_all,
    tensors,
)
from training.groove.network import HIDDEN, PLAYERS, GrooveNetwork
from training.groove.train import OUTPUTS, load, load_all, match_spread, reference_windows

#: Passes over the training windows that a pruned network gets, and their rate.
_TUNING = (5, 1.5e-3)
#: The mean over the training steps, as in the training itself.
_MEMORY = 0.99
_COLUMNS = {
    "timing_mae_ms": ("MAE ms", ".2f"),
    "timing_mse": ("MSE 16th²", ".4f"),
    "timing_kl": ("timing KL", ".3f"),
    "velocity_kl": ("velocity KL", ".3f"),
    "velocity_mae": ("velocity MAE", ".2f"),
}
_PROSE = """
Every form is scored window by window on the validation split, its spread matched as above. *int8 weights*
ship, in both files: float arithmetic, so ONNX and TFLite play the same music. *Dynamic int8* in TFLite is the
fastest form, but its answers jump with the last bits of a sum, so it would play a little differently from
ONNX and from one processor to another. The pruned networks were trained on for five passes each, one after
the other; their files stay as large, because dense kernels do not skip zeros. The half-size network is one
player that learnt from the drummers and from both players here; one of the two players by itself, as large,
is nearer to the drummers (the row `one player alone` above) and is what to take where a quarter of a
millisecond or 300 KiB are too much.
"""


def case(data: Path, runs: Path) -> Case:
    """The trained groove network, scored on the validation split window by window."""
    windows, _, validation = load_all(data)
    network, _ = load(0)
    features = tensors(validation)[0].numpy()

    def score(run: Run) -> dict[str, float]:
        answers = [run(features=features[i : i + 1]) for i in range(len(features))]
        offset, velocity = (np.concatenate([a[k] for a in answers]) for k in OUTPUTS[:2])
        return score_all(validation, offset, velocity)

    return Case(
        name="groove",
        network=network,
        inputs={"features": (1, WINDOW_STEPS, FEATURES)},
        outputs=OUTPUTS,
        examples={"features": features[reference_windows(validation)][:, None]},
        score=score,
        columns=_COLUMNS,
        prose=_PROSE,
        finish=lambda network: match_spread(network, validation),
        fine_tune=lambda network, kept: fine_tune(network, kept, windows, runs),
        half_size=lambda: half_size(network, windows, runs),
    )


def fine_tune(network: GrooveNetwork, kept: list[Tensor], windows: Windows, runs: Path) -> None:
    """Train what pruning has left of a network, all players on the same windows."""

    def loss(*batch: Tensor) -> Tensor:
        return sum(loss_of(player, *batch) for player in network.players)

    def train() -> None:
        _learn(network, windows, *_TUNING, loss, lambda: apply_masks(network, kept))

    _once(network, network, runs / "pruned", train)


def half_size(teacher: GrooveNetwork, windows: Windows, runs: Path) -> GrooveNetwork:
    """Half of the players, who learn from the drummers and from the answers of all."""
    network = GrooveNetwork(PLAYERS // 2, HIDDEN)
    network.style.load_state_dict(teacher.style.state_dict())

    def loss(x: Tensor, hits: Tensor, offset: Tensor, velocity: Tensor) -> Tensor:
        with torch.no_grad():
            shown = teacher(x)
        mask = hits > 0
        total = torch.zeros(())
        for player in network.players:
            told = player(x)
            differences = [(own - given)[mask] for own, given in zip(told, shown, strict=False)]
            total = total + differences[0].square().mean() / OFFSET_SQUARE
            total = total + differences[1].abs().mean() / VELOCITY_ERROR
            total = total + loss_of(player, x, hits, offset, velocity)
        return total

    _once(network, teacher, runs / "half", lambda: _learn(network, windows, *CYCLES[0], loss))
    return network


def _once(network: GrooveNetwork, source: GrooveNetwork, folder: Path, train: Callable[[], None]) -> None:
    """Train `network`, or load what an earlier run with the same `source` has kept in `folder`."""
    source_bytes = b"".join(p.detach().numpy().tobytes() for p in source.parameters())
    path = folder / f"{hashlib.sha256(source_bytes).hexdigest()[:16]}.pt"
    if path.is_file():
        network.load_state_dict(torch.load(path, weights_only=True))
        return
    train()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)


def _learn(
    network: GrooveNetwork,
    windows: Windows,
    passes: int,
    rate: float,
    loss: Callable[..., Tensor],
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train `network` with `loss` of features, hits, offsets and velocities of a batch."""
    torch.manual_seed(0)
    # As in the training: products in bfloat16 take two thirds of the time where the processor has them.
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    features, hits, offset, velocity = tensors(windows, style=windows.style)
    pattern = torch.from_numpy(windows.pattern)
    mean = copy.deepcopy(network)
    learnt = list(network.players.parameters())
    optimizer = torch.optim.AdamW(learnt, lr=rate, weight_decay=0)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, passes * batches, pct_start=0.15)
    network.train()
    for done in range(passes):
        order = torch.randperm(len(features))
        for i in range(batches):
            rows = order[i * BATCH : (i + 1) * BATCH]
            x, keep = practise(features[rows], pattern[:, rows])
            optimizer.zero_grad()
            value = loss(x, hits[rows] * keep, offset[rows], velocity[rows])
            value.backward()
            nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()
            schedule.step()
            after_step()
            with torch.no_grad():
                torch._foreach_lerp_(list(mean.players.parameters()), learnt, 1 - _MEMORY)
        print(f"pass {done + 1} of {passes}: loss {value.item():.3f}", flush=True)
    torch.backends.mkldnn.matmul.fp32_precision = "none"
    network.load_state_dict(mean.state_dict())
    network.eval()
