"""From a trained PyTorch network to a folder in `models/`: ONNX, TFLite, reference and card.

Both files have the fixed shapes of the card (batch of one), and float32 inputs by name. With `batch` the
first axis of all shapes is free: it has a name in ONNX, and in TFLite a runtime can resize it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from segue.runtime import Model
from training.common.pack import FREE_ROWS, free_batch, pack_onnx, pack_tflite
from training.common.recurrent import written_out
from training.common.weights import round_weights

Shapes = Mapping[str, tuple[int, ...]]


def export_model(
    network: torch.nn.Module,
    name: str,
    inputs: Shapes,
    outputs: list[str],
    folder: Path,
    examples: Mapping[str, np.ndarray],
    target: np.ndarray,
    probe: Mapping[str, Any],
    card: Mapping[str, Any],
    prose: str,
    state: Mapping[str, str] | None = None,
    tolerance: float = 2e-3,
    weights: str = "fp16",
    batch: bool = False,
) -> None:
    """Write `<name>.onnx`, `<name>.tflite`, `reference.npz` and `card.md` into `folder`.

    `network.forward` takes the inputs in the order of `inputs` (parameter names equal input names), returns
    a tuple in the order of `outputs`. `examples` has arrays (examples, *shape), or (examples, steps, *shape)
    for a network with `state` {output: input}; state inputs are left out. `target` is what the probe
    compares with (see `segue.models`): for `kind: cross_entropy` integers with the shape of the probed output
    without its last axis and -1 where nothing counts, for `absolute_error` floats with NaN there.
    `probe` gives `kind` and `output`; its value is computed here. `card` is the rest of the front matter
    (task, data, licence, attribution, headline {metric, value, floor, better}, ...); `prose` the text.
    With `batch` the written model takes any number of rows at once (see `segue.runtime`); `network.forward`
    must not rely on the one of `inputs` then.
    `weights` says how coarse they are stored (see `training.common.weights`); give a network that is rounded
    so already where the figures of the card should be those of the files.
    """
    from segue.models import probe_error  # Needs only NumPy; imported late to keep the module light.

    network = round_weights(network, weights).eval()
    assert list(inspect.signature(network.forward).parameters)[: len(inputs)] == list(inputs)
    folder.mkdir(parents=True, exist_ok=True)
    zeros = {key: torch.zeros(shape) for key, shape in inputs.items()}
    with torch.no_grad():
        shapes = {
            key: list(value.shape) for key, value in zip(outputs, network(*zeros.values()), strict=True)
        }
        expected = _run(network, inputs, outputs, examples, state or {})
    write_onnx(network, inputs, outputs, folder / f"{name}.onnx", batch)
    pack_onnx(folder / f"{name}.onnx")
    write_tflite(network, inputs, folder / f"{name}.tflite", batch)
    pack_tflite(folder / f"{name}.tflite")
    np.savez_compressed(
        folder / "reference.npz",
        **{f"input.{k}": np.asarray(v, np.float32) for k, v in examples.items()},
        **{f"output.{k}": v for k, v in expected.items()},
        target=target,
    )
    value, floor = probe_error(probe["kind"], expected[probe["output"]], target)
    if not value < floor:
        raise ValueError(f"{name}: the probe gives {value:.4f}, no better than a constant's {floor:.4f}")
    front = {
        "name": name,
        "inputs": {k: list(v) for k, v in inputs.items()},
        "outputs": shapes,
        **({"state": dict(state)} if state else {}),
        **({"batch": True} if batch else {}),
        "parameters": sum(p.numel() for p in network.parameters()),
        "tolerance": tolerance,
        "probe": {**probe, "value": round(value, 5), "floor": round(floor, 5)},
        **card,
    }
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    (folder / "card.md").write_text(f"---\n{text}---\n\n{prose.strip()}\n", encoding="utf-8")
    for backend in ("onnx", "tflite"):
        model = Model(folder, backend)  # Raises when a backend does not give the reference output.
        if batch:
            check_batch(model, examples)


def check_batch(model: Model, examples: Mapping[str, np.ndarray], rows: int = 3) -> None:
    """Raise ValueError unless a batch of examples, all their steps, gives what they give one by one."""
    state = model.card.get("state") or {}
    stepped = {k: np.asarray(v[:rows]) for k, v in examples.items()}
    if not state:
        stepped = {k: v[:, None] for k, v in stepped.items()}
    count, steps = next(iter(stepped.values())).shape[:2]
    alone = [model.zero_state() for _ in range(count)]
    together = model.zero_state(count)
    for t in range(steps):
        given = {k: np.concatenate(v[:, t]) for k, v in stepped.items()}
        out = model(**given, **together)
        for i in range(count):
            own = model(**{k: v[i : i + 1] for k, v in given.items()}, **alone[i])
            for name, value in own.items():
                if not np.allclose(out[name][i : i + 1], value, atol=1e-4):
                    raise ValueError(f"{model.path}: {name} of a batch is not what single calls give")
            alone[i] = {taken: own[k] for k, taken in state.items()}
        together = {taken: out[k] for k, taken in state.items()}


def write_onnx(
    network: torch.nn.Module, inputs: Shapes, outputs: list[str], path: Path, batch: bool = False
) -> None:
    """The network as ONNX, weights in float32; the first axis is free with `batch`."""
    with torch.no_grad():
        torch.onnx.export(
            network,
            tuple(torch.zeros(shape) for shape in inputs.values()),
            str(path),
            dynamo=False,
            input_names=list(inputs),
            output_names=outputs,
            opset_version=17,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)} if batch else None,
        )


def write_tflite(network: torch.nn.Module, inputs: Shapes, path: Path, batch: bool = False) -> None:
    """The network as TFLite, weights in float32, GRUs written out; the first axis is free with `batch`."""
    import litert_torch

    zeros = {
        name: torch.zeros(FREE_ROWS if batch else shape[0], *shape[1:]) for name, shape in inputs.items()
    }
    with torch.no_grad():
        litert_torch.convert(written_out(network), sample_kwargs=zeros).export(str(path))
    if batch:
        free_batch(path)


def _run(
    network: torch.nn.Module,
    inputs: Shapes,
    outputs: list[str],
    examples: Mapping[str, np.ndarray],
    state: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Outputs of the PyTorch network for the examples, stacked as the examples are."""
    count = len(next(iter(examples.values())))
    rows: dict[str, list[np.ndarray]] = {name: [] for name in outputs if name not in state}
    for i in range(count):
        given = {k: torch.as_tensor(v[i], dtype=torch.float32) for k, v in examples.items()}
        if not state:
            out = dict(zip(outputs, network(**given), strict=True))
            for key in rows:
                rows[key].append(out[key].numpy())
            continue
        memory = {key: torch.zeros(inputs[key]) for key in state.values()}
        steps: dict[str, list[np.ndarray]] = {name: [] for name in rows}
        for t in range(len(next(iter(given.values())))):
            step = {key: value[t] for key, value in given.items()}
            out = dict(zip(outputs, network(**step, **memory), strict=True))
            memory = {taken: out[key] for key, taken in state.items()}
            for key in steps:
                steps[key].append(out[key].numpy())
        for key, values in steps.items():
            rows[key].append(np.stack(values))
    return {key: np.stack(values) for key, values in rows.items()}
