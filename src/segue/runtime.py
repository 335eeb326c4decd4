"""One small interface over ONNX Runtime and TFLite: named float arrays in, named arrays out.

A model is a folder: `card.md` (YAML front matter, then prose), `reference.npz`, and the weights as
`<name>.onnx` and `<name>.tflite` with fixed input shapes. Loading runs the reference inputs and compares the
outputs with those of the trained network; a difference beyond the card's `tolerance` is an error, so wrong
weights, a broken backend or a swapped file never run unseen.

Front matter that this module reads: `name`, `inputs` {name: shape}, `outputs` {name: shape} in order,
`state` {output: input} for a network that is run step by step, `tolerance` (largest absolute difference),
`batch` (true where the leading 1 of all shapes stands for any number that a call shares among its inputs),
`extras` (names of further `.npz` files in the folder, which `Model.extra` gives).
`reference.npz` holds `input.<name>` and `output.<name>` with a leading axis of examples; for a network with
state a second axis of steps follows, and the state inputs, which begin at zero, are not stored.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

BACKENDS = {"onnx": ".onnx", "tflite": ".tflite"}
#: Sizes of batches for which a TFLite interpreter is kept, beside the batch of one.
_BATCHES_KEPT = 4
MODELS_FOLDER = Path(__file__).resolve().parents[2] / "models"

Arrays = dict[str, np.ndarray]


class ModelError(RuntimeError):
    """A model cannot be loaded or does not compute what its card says."""


class Session(Protocol):
    """Weights in a runtime, as `open_weights` gives them."""

    provider: str
    #: For a batch of one.
    input_shapes: dict[str, tuple[int, ...]]

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name for float32 inputs by name."""
        ...


class _OnnxSession:
    def __init__(self, path: Path, outputs: list[str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._outputs = outputs
        # An axis of any length has a name in the place of a number.
        self.input_shapes = {
            i.name: tuple(1 if isinstance(n, str) else n for n in i.shape) for i in self._session.get_inputs()
        }
        self.provider = self._session.get_providers()[0]

    def run(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))


class _TfliteSession:
    def __init__(self, path: Path, outputs: list[str]) -> None:
        module = _tflite_module()
        self._path, self._module = path, module
        self._interpreter = module.Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        #: Interpreters for batches of other sizes, the one that is used last at the end.
        self._batches: dict[int, Any] = {}
        self.provider = f"{module.__name__.split('.')[0]} XNNPACK"
        signature = self._interpreter._get_full_signature_list()["serving_default"]
        self._inputs = dict(signature["inputs"])
        details = {d["index"]: tuple(d["shape"].tolist()) for d in self._interpreter.get_input_details()}
        self.input_shapes = {name: details[i] for name, i in self._inputs.items()}
        # The exporter numbers the outputs in their order.
        numbered = sorted(signature["outputs"].items(), key=lambda item: int(item[0].split("_")[-1]))
        self._outputs = {name: i for name, (_, i) in zip(outputs, numbered, strict=True)}

    def run(self, inputs: Arrays) -> Arrays:
        name, value = next(iter(inputs.items()))
        interpreter = self._interpreter
        if value.shape != self.input_shapes[name]:
            interpreter = self._resized(inputs)
        for name, value in inputs.items():
            interpreter.set_tensor(self._inputs[name], value)
        interpreter.invoke()
        return {name: interpreter.get_tensor(i) for name, i in self._outputs.items()}

    def _resized(self, inputs: Arrays) -> Any:
        """An interpreter for the shapes of `inputs`; the last few are kept."""
        size = len(next(iter(inputs.values())))
        interpreter = self._batches.pop(size, None)
        if interpreter is None:
            interpreter = self._module.Interpreter(model_path=str(self._path), num_threads=1)
            for name, value in inputs.items():
                interpreter.resize_tensor_input(self._inputs[name], value.shape)
            interpreter.allocate_tensors()
        self._batches[size] = interpreter
        if len(self._batches) > _BATCHES_KEPT:
            del self._batches[next(iter(self._batches))]
        return interpreter


def _tflite_module() -> Any:
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModelError("no TFLite runtime is installed; install ai-edge-litert or use backend: onnx")


def open_weights(path: Path, outputs: list[str]) -> Session:
    """A weights file in the runtime that its ending names, unchecked; `outputs` in the network's order."""
    return {".onnx": _OnnxSession, ".tflite": _TfliteSession}[path.suffix](path, outputs)


class Model:
    """A loaded and checked model.

    Calling it takes float32 arrays by input name, in the shapes of the card, and returns arrays by output
    name. With `batch` in the card all inputs, the state too, may have the same other number of rows in the
    place of the one, and so have the outputs. `sha256` is the hash of weights,
    reference, extra files and front matter: what the music depends on.
    """

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.backend = folder, backend
        self.card = read_card(folder)
        self.name: str = self.card["name"]
        self.path = weights_path(folder, backend)
        self.sha256 = model_hash(folder, backend)
        self._extras: dict[str, Arrays] = {}
        try:
            self._session: Session = open_weights(self.path, list(self.card["outputs"]))
        except Exception as error:  # Each runtime has exception types of its own, without a common base.
            raise ModelError(f"model {self.name}: {backend} cannot load {self.path}: {error}") from error
        self.provider = self._session.provider
        self._shapes = {name: tuple(shape) for name, shape in self.card["inputs"].items()}
        if self._session.input_shapes != self._shapes:
            raise ModelError(
                f"model {self.name}: {self.path} takes {self._session.input_shapes}, and the card says "
                f"{self._shapes}; the weights are not those of the card"
            )
        #: Whether a call may have any number of rows.
        self.batch = bool(self.card.get("batch"))
        self.reference_difference = self._check_reference()

    def __call__(self, **inputs: np.ndarray) -> Arrays:
        """Run the network once. Raises `ModelError` for a missing input or a wrong shape."""
        ready: Arrays = {}
        rows = None
        for name, shape in self._shapes.items():
            if name not in inputs:
                raise ModelError(f"model {self.name}: the input {name} is missing")
            value = np.ascontiguousarray(inputs[name], np.float32)
            if self.batch:
                rows = rows or (value.shape[:1] if value.size else shape[:1])
                shape = rows + shape[1:]
            if value.shape != shape:
                raise ModelError(
                    f"model {self.name}: input {name} has shape {value.shape}, and {shape} is needed"
                )
            ready[name] = value
        return self._session.run(ready)

    def zero_state(self, batch: int = 1) -> Arrays:
        """Zeros for each state input of a network that is run step by step, for `batch` rows."""
        state = self.card.get("state") or {}
        own = (batch,) if self.batch else ()
        return {name: np.zeros(own + self._shapes[name][len(own) :], np.float32) for name in state.values()}

    def extra(self, name: str) -> Arrays:
        """The arrays of an extra file of the card, read once. Raises `ModelError` for any other name."""
        if name not in (self.card.get("extras") or ()):
            raise ModelError(f"model {self.name}: the card names no extra file {name}")
        if name not in self._extras:
            with np.load(self.folder / name) as stored:
                self._extras[name] = dict(stored)
        return self._extras[name]

    def run_examples(self, inputs: Arrays) -> Arrays:
        """Run stored examples, as in `reference.npz`; outputs are stacked in the same axes."""
        state = self.card.get("state") or {}
        count = len(next(iter(inputs.values())))
        stacked: dict[str, list[np.ndarray]] = {n: [] for n in self.card["outputs"] if n not in state}
        for i in range(count):
            example = {name: value[i] for name, value in inputs.items()}
            if not state:
                for name, value in self(**example).items():
                    stacked[name].append(value)
                continue
            memory = self.zero_state()
            steps: dict[str, list[np.ndarray]] = {name: [] for name in stacked}
            for t in range(len(next(iter(example.values())))):
                out = self(**{name: value[t] for name, value in example.items()}, **memory)
                memory = {given: out[taken] for taken, given in state.items()}
                for name in steps:
                    steps[name].append(out[name])
            for name, values in steps.items():
                stacked[name].append(np.stack(values))
        return {name: np.stack(values) for name, values in stacked.items()}

    def _check_reference(self) -> float:
        reference = read_reference(self.folder)
        inputs = {k[6:]: v for k, v in reference.items() if k.startswith("input.")}
        expected = {k[7:]: v for k, v in reference.items() if k.startswith("output.")}
        if not inputs or not expected:
            raise ModelError(f"model {self.name}: reference.npz holds no reference inputs or outputs")
        # Two examples are enough to tell a wrong file or backend; `segue models` runs them all.
        got = self.run_examples({name: value[:2] for name, value in inputs.items()})
        worst = max(float(np.abs(got[name] - expected[name][:2]).max()) for name in expected)
        tolerance = float(self.card["tolerance"])
        if not worst <= tolerance:
            raise ModelError(
                f"model {self.name}: backend {self.backend} differs from the reference output by "
                f"{worst:.2g}, and {tolerance:.2g} is allowed; the weights or the runtime are not those "
                "of the card"
            )
        return worst


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural log-probabilities, float64, of a model's logits over the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def model_folder(name: str) -> Path:
    """The folder of a model: a name within `models/`, or a path to a folder of your own."""
    folder = Path(name) if "/" in name else MODELS_FOLDER / name
    if not (folder / "card.md").is_file():
        raise ModelError(f"model {name}: there is no card at {folder / 'card.md'}")
    return folder


def weights_path(folder: Path, backend: str) -> Path:
    """The weights file of a model folder for `backend` ("onnx" or "tflite")."""
    if backend not in BACKENDS:
        raise ModelError(f"backend {backend} is unknown; use one of {', '.join(BACKENDS)}")
    path = folder / f"{read_card(folder)['name']}{BACKENDS[backend]}"
    if not path.is_file():
        raise ModelError(f"there are no {backend} weights at {path}")
    return path


def read_card(folder: Path) -> dict[str, Any]:
    """The YAML front matter of `card.md`."""
    parts = (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise ModelError(f"{folder / 'card.md'} does not begin with YAML front matter")
    # Cards are read several times at the start of each job; the compiled reader is ten times faster.
    return yaml.load(parts[1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_reference(folder: Path) -> Arrays:
    """The arrays of `reference.npz`."""
    path = folder / "reference.npz"
    if not path.is_file():
        raise ModelError(f"there is no reference output at {path}")
    with np.load(path) as stored:
        return dict(stored)


def model_hash(folder: Path, backend: str) -> str:
    """SHA-256, hex, over weights, front matter, reference and extra files (not over the card's prose)."""
    front = (folder / "card.md").read_bytes().split(b"---\n", 2)[1]
    digest = hashlib.sha256(front)
    extras = [folder / name for name in read_card(folder).get("extras") or ()]
    for path in (weights_path(folder, backend), folder / "reference.npz", *extras):
        if not path.is_file():
            raise ModelError(f"model {folder.name}: there is no {path.name} at {path}")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@lru_cache(maxsize=32)
def load_model(name: str, backend: str = "onnx") -> Model:
    """The model `name` (within `models/`, or a path), loaded once a process. Raises `ModelError`."""
    return Model(model_folder(name), backend)
