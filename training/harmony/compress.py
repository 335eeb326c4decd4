"""The harmony model's part in the table of forms, see `training.common.compress`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.harmonize.encoding import FEATURES, WINDOW
from segue.metrics import harmony as metrics
from training.common.compress import Case, Run
from training.common.weights import apply_masks
from training.harmony.batches import epoch
from training.harmony.data import Song, is_validation, load_songs
from training.harmony.evaluate import HEARD, accuracy, heard_by, true_key
from training.harmony.network import OUTPUTS, HarmonyEnsemble, norms_folded
from training.harmony.train import BATCH, EPOCHS, loss_of, trained

#: Every which validation song of POP909 is scored.
_SONGS = 3
#: Batches that a pruned network learns from, and their rate.
_TUNING = (60, 3e-4)
_EXAMPLES = 6
_COLUMNS = {
    "nll_melody": ("NLL, melody", ".3f"),
    "melody": ("melody %", ".2f"),
    "nll_all": ("NLL, all tracks", ".3f"),
    "all": ("all tracks %", ".2f"),
    "key": ("key %", ".1f"),
}
_PROSE = f"""
Every form is scored on one in {_SONGS} of POP909's validation songs, before decoding; keys from all
tracks. *int8 weights* ship, in both files: float arithmetic, so ONNX and TFLite hear the same chords.
*Dynamic int8* rounds the inputs of every product, too. The pruned networks were trained on for
{_TUNING[0]} batches each, one after the other; their files stay as large, because dense kernels do not skip
zeros.
"""


def case(data: Path, runs: Path) -> Case:
    """The trained networks, scored on some of the validation songs."""
    songs = load_songs(data, runs)
    network, _ = trained(songs, EPOCHS, 0)
    train = [s for s in songs if not is_validation(s)]
    pop = [s for s in songs if is_validation(s) and s.corpus == "pop909"]
    return case_of(norms_folded(network.eval()), train, pop[::_SONGS])


def case_of(network: HarmonyEnsemble, train: list[Song], songs: list[Song]) -> Case:
    """The case of a network, the songs that a pruned one learns from and those it is scored on."""

    def score(run: Run) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, heard in HEARD.items():
            hearings = [heard_by(run, song, heard) for song in songs]
            short = name.split()[0]
            figures[short] = 100 * accuracy(songs, [h.chord.argmax(axis=1) for h in hearings])
            log_p = np.concatenate([h.chord for h in hearings])
            strict = np.concatenate([s.strict for s in songs])
            figures[f"nll_{short}"] = metrics.negative_log_likelihood(strict, log_p)
        keys = [h.key.sum(axis=0).argmax() == true_key(s) for h, s in zip(hearings, songs, strict=True)]
        return figures | {"key": 100 * float(np.mean(keys))}

    features, _ = next(epoch(songs, _EXAMPLES, np.random.default_rng(0)))
    return Case(
        name="harmony",
        network=network,
        inputs={"features": (1, WINDOW, FEATURES)},
        outputs=OUTPUTS,
        examples={"features": features[:, None]},
        score=score,
        columns=_COLUMNS,
        prose=_PROSE,
        fine_tune=lambda pruned, kept: fine_tune(pruned, kept, train),
        higher=frozenset({"melody", "all", "key"}),
    )


def fine_tune(network: nn.Module, kept: list[Tensor], train: list[Song]) -> None:
    """Train what pruning has left of the networks, each by itself, for a few batches."""
    count, rate = _TUNING
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0)
    network.train()
    for i, (features, labels) in enumerate(islice(epoch(train, BATCH, rng), count)):
        # The rate falls to nothing, as at the end of the training itself.
        for settings in optimizer.param_groups:
            settings["lr"] = rate * (1 - i / count)
        targets = {name: torch.from_numpy(values) for name, values in labels.items()}
        optimizer.zero_grad(set_to_none=True)
        for member in network.members:
            outputs = dict(zip(OUTPUTS, member(torch.from_numpy(features)), strict=True))
            loss_of(outputs, targets).backward()
            nn.utils.clip_grad_norm_(member.parameters(), 1.0)
        optimizer.step()
        apply_masks(network, kept)
    network.eval()
