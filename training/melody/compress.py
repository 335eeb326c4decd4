"""The melody model's part in the table of forms, see `training.common.compress`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.complete.evaluate import (
    Candidate,
    answers_to,
    asked_to_continue,
    figures_of_queries,
    summary,
    whole_tunes,
)
from segue.complete.features import WIDTH, multi_hot
from segue.complete.judge import ModelJudge
from segue.complete.places import continuations, draw_queries
from segue.runtime import Arrays
from training.common.compress import Case, Run
from training.common.weights import apply_masks
from training.melody.evaluate import group
from training.melody.examples import Example, load
from training.melody.fit import END_WEIGHT, batches, losses
from training.melody.network import MelodyNetwork, MelodyStep

OUTPUTS = ["pitch", "interval", "duration", "end", "h_next", "ahead_next"]
#: Every which validation tune is scored, and places a corpus.
_TUNES, _PLACES = 8, 12
#: Batches that a pruned network learns from, and their rate.
_TUNING = (120, 3e-4)
#: Tunes of whose first events the stored calls are.
_EXAMPLES, _STEPS = 8, 4
_COLUMNS = {
    "nats_per_note": ("NLL", ".3f"),
    "top_1": ("top-1", ".4f"),
    "hits@1": ("HITS@1", ".3f"),
    "map": ("MAP", ".3f"),
}
_PROSE = f"""
Every form is scored on every {_TUNES}th validation tune and ranks {_PLACES} places of each corpus. *int8
weights* ship, in both files: float arithmetic, so ONNX and TFLite write the same music. *Dynamic int8* rounds
the inputs of every product, too, and would write a little differently from one runtime to the other. The
pruned networks were trained on for {_TUNING[0]} batches each, one after the other, about a third of an
epoch; their files stay as large, because dense kernels do not skip zeros.
"""


class _Form:
    """A file of the table with the interface of a model that `ModelJudge` wants."""

    def __init__(self, run: Run, inputs: dict[str, tuple[int, ...]]) -> None:
        self._run = run
        self.card = {"inputs": inputs, "state": {"h_next": "h"}}

    def __call__(self, **inputs: np.ndarray) -> Arrays:
        return self._run(**{name: np.ascontiguousarray(v, np.float32) for name, v in inputs.items()})

    def zero_state(self, batch: int) -> Arrays:
        return {"h": np.zeros((batch, *self.card["inputs"]["h"][1:]), np.float32)}


def case(data: Path, runs: Path) -> Case:
    """The trained melody network, scored on some of the validation tunes."""
    train, valid, _ = load(data, runs)
    network = MelodyNetwork()
    network.load_state_dict(torch.load(runs / "seed-0.pt"))
    return case_of(network.eval(), train, valid)


def case_of(network: MelodyNetwork, train: list[Example], valid: list[Example]) -> Case:
    """The case of a network and its tunes."""
    tunes = valid[::_TUNES]
    queries = draw_queries(valid, continuations, _PLACES, 0, group)
    asked = [asked_to_continue(query) for query in queries]

    def score(run: Run) -> dict[str, float]:
        form = Candidate(ModelJudge(_Form(run, _inputs(network))), ahead=True)
        ranked = figures_of_queries(queries, answers_to(form, asked))
        row = summary(whole_tunes(form, tunes))
        return row | {
            key: value for key, value in summary(ranked).items() if key in ("hits@1", "hits@5", "map")
        }

    return Case(
        name="melody",
        network=MelodyStep(network),
        inputs=_inputs(network),
        outputs=OUTPUTS,
        examples=_examples(network, tunes),
        score=score,
        columns=_COLUMNS,
        prose=_PROSE,
        fine_tune=lambda step, kept: fine_tune(step, kept, train),
        higher=frozenset({"top_1", "hits@1", "map"}),
        batch=True,
    )


def _inputs(network: MelodyNetwork) -> dict[str, tuple[int, ...]]:
    return {"x": (1, WIDTH), "h": (1, network.hidden), "ahead": (1, network.ahead)}


@torch.no_grad()
def _examples(network: MelodyNetwork, tunes: list[Example]) -> dict[str, np.ndarray]:
    """Single calls (calls, 1, size): the first events of some tunes, with the states that lead there."""
    step = MelodyStep(network)
    calls: dict[str, list[np.ndarray]] = {name: [] for name in _inputs(network)}
    for example in tunes[:_EXAMPLES]:
        h = torch.zeros(_inputs(network)["h"])
        ahead = torch.zeros(_inputs(network)["ahead"])
        for row in example.rows[:_STEPS].astype(np.int64):
            given = {"x": torch.from_numpy(multi_hot([row])), "h": h, "ahead": ahead}
            for name, value in given.items():
                calls[name].append(value.numpy())
            out = dict(zip(OUTPUTS, step(**given), strict=True))
            h, ahead = out["h_next"], out["ahead_next"]
    return {name: np.stack(values) for name, values in calls.items()}


def fine_tune(step: nn.Module, kept: list[Tensor], train: list[Example]) -> None:
    """Train what pruning has left of a network for a few batches."""
    count, rate = _TUNING
    network = step.network
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0)
    network.train()
    for i, batch in enumerate(islice(batches(train, rng, True), count)):
        # The rate falls to nothing, as at the end of the training itself.
        for settings in optimizer.param_groups:
            settings["lr"] = rate * (1 - i / count)
        pitch, duration, end = losses(network, batch)
        optimizer.zero_grad(set_to_none=True)
        ((pitch.sum() + duration.sum() + END_WEIGHT * end) / (batch.pitch >= 0).sum()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        apply_masks(step, kept)
    network.eval()
