"""What `segue models` tells: every model with its state, measured here and now.

A stand-in or an untrained network cannot show as real: the reference outputs are run again, and the *probe*,
a few validation examples with their truth in `reference.npz`, is scored again and must beat the best constant
answer on the same examples, which is computed from the truth and not read from a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.runtime import BACKENDS, MODELS_FOLDER, Model, ModelError, read_card, read_reference


@dataclass(frozen=True)
class ModelState:
    """One row of `segue models`: a model in one backend."""

    name: str
    backend: str
    parameters: int
    size_bytes: int
    sha256: str
    provider: str
    reference: str
    probe: str
    headline: str
    ok: bool


def probe_error(kind: str, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Error of `output` against `target`, and the least error that any constant answer reaches.

    `cross_entropy`: nats per item, `output` (..., classes) are logits, `target` (...) classes, -1 left out;
    the constant is the distribution of the targets. `absolute_error`: `output` and `target` (...), NaN left
    out; the constant is the median of the targets.
    """
    if kind == "cross_entropy":
        logits = output.reshape(-1, output.shape[-1]).astype(np.float64)
        truth = target.reshape(-1).astype(int)
        logits, truth = logits[truth >= 0], truth[truth >= 0]
        logits = logits - logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=1))
        error = float((log_sum - logits[np.arange(len(truth)), truth]).mean())
        share = np.bincount(truth) / len(truth)
        share = share[share > 0]
        return error, float(-(share * np.log(share)).sum())
    if kind == "absolute_error":
        known = np.isfinite(target)
        truth = target[known].astype(np.float64)
        error = float(np.abs(output.reshape(target.shape)[known] - truth).mean())
        return error, float(np.abs(truth - np.median(truth)).mean())
    raise ModelError(f"probe kind {kind} is unknown; use cross_entropy or absolute_error")


def model_names(folder: Path = MODELS_FOLDER) -> list[str]:
    """Names of the models that have a card in `folder`, sorted."""
    return sorted(path.parent.name for path in folder.glob("*/card.md"))


def model_state(folder: Path, backend: str) -> ModelState:
    """Load, check and score one model in one backend; failures are told in the row, never raised."""
    try:
        card = read_card(folder)
    except ModelError as error:
        return ModelState(folder.name, backend, 0, 0, "", "-", str(error), "-", "-", ok=False)
    headline = "{metric} {value} (floor {floor})".format(**card["headline"])
    try:
        model = Model(folder, backend)
    except ModelError as error:
        return ModelState(
            folder.name, backend, card["parameters"], 0, "", "-", str(error), "-", headline, ok=False
        )
    stored = read_reference(folder)
    inputs = {k[6:]: v for k, v in stored.items() if k.startswith("input.")}
    expected = {k[7:]: v for k, v in stored.items() if k.startswith("output.")}
    got = model.run_examples(inputs)
    worst = max(float(np.abs(got[k] - expected[k]).max()) for k in expected)
    probe = card["probe"]
    error, floor = probe_error(probe["kind"], got[probe["output"]], stored["target"])
    reference_ok = worst <= float(card["tolerance"])
    probe_ok = error < floor and abs(error - float(probe["value"])) <= 0.02 * floor
    return ModelState(
        name=model.name,
        backend=backend,
        parameters=int(card["parameters"]),
        size_bytes=model.path.stat().st_size,
        sha256=model.sha256,
        provider=model.provider,
        reference=f"{'passed' if reference_ok else 'FAILED'} ({worst:.1g})",
        probe=f"{'passed' if probe_ok else 'FAILED'} ({error:.4f}, constant {floor:.4f})",
        headline=headline,
        ok=reference_ok and probe_ok,
    )


def all_states(folder: Path = MODELS_FOLDER) -> list[ModelState]:
    """One row a model and backend."""
    return [model_state(folder / n, backend) for n in model_names(folder) for backend in BACKENDS]
