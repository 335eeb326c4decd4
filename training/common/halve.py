"""Round the weights of finished models to half precision, without training them again.

    PYTHONPATH=src:. python -m training.common.halve models/melody ...

Both files get the same rounded weights; the reference outputs and the value of the probe become those of the
rounded network. `export_model` does the same to new weights by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import numpy_helper

from segue.models import probe_error
from segue.runtime import BACKENDS, Model, read_card, read_reference, weights_path
from training.common import pack

#: Largest change of an output that may come of the rounding.
_ALLOWED = 0.05


def halve(path: Path) -> None:
    """Round the weights in an ONNX or TFLite file to the nearest of half precision, and store them so."""
    if path.suffix == ".onnx":
        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if pack.is_worth_it(values):
                tensor.CopyFrom(numpy_helper.from_array(_half(values), tensor.name))
        path.write_bytes(model.SerializeToString(deterministic=True))
        pack.pack_onnx(path)
        return
    model = pack.read(path)
    for tensor in model.subgraphs[0].tensors:
        values = pack.constant(model, tensor)
        if values is not None and pack.is_worth_it(values):
            model.buffers[tensor.buffer] = pack.as_buffer(_half(values))
    pack.write(model, path)
    pack.pack_tflite(path)


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def halve_model(folder: Path) -> float:
    """Halve both files of a model folder; the largest change of an output on the reference examples."""
    for backend in BACKENDS:
        halve(weights_path(folder, backend))
    stored, card = read_reference(folder), read_card(folder)
    tolerance = card["tolerance"]
    _write_front(folder, {**card, "tolerance": _ALLOWED})
    inputs = {k[6:]: v for k, v in stored.items() if k.startswith("input.")}
    answers = Model(folder, "onnx").run_examples(inputs)
    change = max(float(np.abs(v - stored[f"output.{k}"]).max()) for k, v in answers.items())
    np.savez_compressed(
        folder / "reference.npz", **{**stored, **{f"output.{k}": v for k, v in answers.items()}}
    )
    probe = card["probe"]
    value, _ = probe_error(probe["kind"], answers[probe["output"]], stored["target"])
    _write_front(folder, {**card, "tolerance": tolerance, "probe": {**probe, "value": round(value, 5)}})
    for backend in BACKENDS:
        Model(folder, backend)  # Raises when a backend does not give the reference output.
    return change


def _write_front(folder: Path, front: dict) -> None:
    path = folder / "card.md"
    prose = path.read_text(encoding="utf-8").split("---\n", 2)[2]
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(f"---\n{text}---\n{prose}", encoding="utf-8")


def main() -> None:
    """The command line."""
    for folder in map(Path, sys.argv[1:]):
        before = {b: weights_path(folder, b).stat().st_size for b in BACKENDS}
        change = halve_model(folder)
        for backend, size in before.items():
            path = weights_path(folder, backend)
            print(f"{path}: {size / 1024:.0f} to {path.stat().st_size / 1024:.0f} KiB")
        print(f"{folder}: no output changes by more than {change:.2g} on the reference examples")


if __name__ == "__main__":
    main()
