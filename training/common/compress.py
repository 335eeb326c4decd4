"""Every form that a trained model can take, measured side by side: size, time, memory and each metric.

    PYTHONPATH=src:. python -m training.common.compress groove --data ../shared/data

Writes `models/<name>/compression.json` and the section *Compression* of the card. A model takes part by a
module `training/<name>/compress.py` with a function `case(data, runs) -> Case`.

What changes a network's answers (rounding, pruning, another network) is done in PyTorch, so both runtimes get
the same weights; how the weights are stored changes nothing (`training.common.pack`). Only the integer
kernels of *dynamic int8* round the inputs of every product, too. Times are of one thread and a batch of one;
forms take turns, each in a fresh process that has no other model, and the least median of a form counts, so
that other work on the machine hits all alike. Loading is told in processor time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from segue.runtime import MODELS_FOLDER, Arrays, open_weights
from training.common.export import Shapes, write_onnx, write_tflite
from training.common.pack import pack_onnx, pack_tflite
from training.common.weights import prune, round_weights

Run = Callable[..., Arrays]

PRUNED = (0.25, 0.5, 0.75)
#: Fresh processes a form, loads and rounds of calls in each.
_PROCESSES, _LOADS, _ROUNDS, _CALLS = 4, 10, 15, 100
_PROBE = """
import json, statistics, sys, time
import numpy as np
from pathlib import Path
from segue.runtime import open_weights
path, outputs, example = Path(sys.argv[1]), sys.argv[2].split(","), dict(np.load(sys.argv[3]))
loads, rounds, calls = map(int, sys.argv[4:])
if path.suffix == ".onnx":
    import onnxruntime
else:
    import ai_edge_litert.interpreter
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024
def seconds(clock, action):
    started = clock()
    action()
    return clock() - started
before = resident()
session = open_weights(path, outputs)
for _ in range(20):
    session.run(example)
memory = resident() - before
medians = [
    statistics.median(seconds(time.perf_counter, lambda: session.run(example)) for _ in range(calls))
    for _ in range(rounds)
]
load = min(seconds(time.process_time, lambda: open_weights(path, outputs)) for _ in range(loads))
print(json.dumps({"memory_mib": memory, "load_ms": load * 1e3, "ms": min(medians) * 1e3}))
"""


@dataclass(frozen=True)
class Case:
    """A model to compress.

    `score` takes a function from inputs to outputs by name and returns every metric of the model's row;
    `columns` names those of the table, key to (heading, format), better when lower but for those in `higher`.
    `examples` are single calls, arrays (examples, *shape). With `batch` the files take any number of
    rows. `finish` is called after a change of weights with the changed network (matching a spread, say).
    `fine_tune` trains a pruned network further, given what is kept;
    `half_size` gives a trained network of half the parameters. `ships` is the form of the model's files.
    """

    name: str
    network: nn.Module
    inputs: Shapes
    outputs: list[str]
    examples: Mapping[str, np.ndarray]
    score: Callable[[Run], dict[str, float]]
    columns: Mapping[str, tuple[str, str]]
    prose: str
    finish: Callable[[nn.Module], None] = lambda network: None
    fine_tune: Callable[[nn.Module, list[Tensor]], None] | None = None
    half_size: Callable[[], nn.Module] | None = None
    ships: str = "int8 weights"
    higher: frozenset[str] = frozenset()
    batch: bool = False


@dataclass(frozen=True)
class Form:
    """A file of the table."""

    label: str
    path: Path
    parameters: int


def write_forms(case: Case, folder: Path) -> list[Form]:
    """All forms of a model as files in `folder`; first fp32 in ONNX, which the others are compared with."""
    forms: list[Form] = []

    def add(label: str, path: Path, network: nn.Module) -> Path:
        forms.append(Form(label, path, sum(p.numel() for p in network.parameters())))
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", flush=True)
        return path

    def onnx_file(label: str, name: str, network: nn.Module) -> Path:
        path = folder / f"{name}.onnx"
        write_onnx(network, case.inputs, case.outputs, path, case.batch)
        pack_onnx(path)
        return add(label, path, network)

    def tflite_files(label: str, name: str, network: nn.Module, dynamic: str | None = None) -> None:
        raw, path = folder / "raw.tflite", folder / f"{name}.tflite"
        write_tflite(network, case.inputs, raw, case.batch)
        shutil.copyfile(raw, path)
        pack_tflite(path)
        add(label, path, network)
        if dynamic:
            path = folder / f"{name}_dynamic.tflite"
            shutil.copyfile(raw, path)
            pack_tflite(path, dynamic=True)
            add(dynamic, path, network)

    def finished(network: nn.Module) -> nn.Module:
        case.finish(network)
        return network.eval()

    plain = finished(round_weights(case.network, "fp32"))
    first = onnx_file("fp32", "fp32", plain)
    tflite_files("fp32", "fp32", plain)
    half = finished(round_weights(case.network, "fp16"))
    onnx_file("fp16 weights", "fp16", half)
    tflite_files("fp16 weights", "fp16", half)
    eight = finished(round_weights(case.network, "int8"))
    onnx_file("int8 weights", "int8", eight)
    tflite_files("int8 weights", "int8", eight, "dynamic int8")
    if (path := _dynamic_onnx(first)) is not None:
        add("dynamic int8", path, plain)
    network = case.network
    for share in PRUNED if case.fine_tune else ():
        # Each goes on from the one before, so that a network does not lose most of its weights at once.
        network, kept = prune(network, share)
        case.fine_tune(network, kept)
        onnx_file(f"{share:.0%} pruned, fp32", f"pruned{share:.0%}", finished(round_weights(network, "fp32")))
    if case.half_size:
        network = case.half_size()
        onnx_file("half size, fp32", "half_fp32", finished(round_weights(network, "fp32")))
        network = finished(round_weights(network, "int8"))
        onnx_file("half size, int8 weights", "half_int8", network)
        tflite_files("half size, int8 weights", "half_int8", network, "half size, dynamic int8")
    return forms


def _dynamic_onnx(path: Path) -> Path | None:
    """ONNX Runtime's own dynamic quantisation, or None where the graph has nothing that it can take (it takes
    no GRU).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kinds = {node.op_type for node in onnx.load(str(path)).graph.node}
    if not kinds & {"MatMul", "Gemm", "LSTM", "Attention"}:
        return None
    out = path.with_name("dynamic.onnx")
    quantize_dynamic(path, out, weight_type=QuantType.QInt8, per_channel=True)
    return out


def measure(case: Case, forms: list[Form]) -> list[dict[str, Any]]:
    """A row for each form: what the table shows, unrounded."""
    calls = [
        {name: np.ascontiguousarray(v[i], np.float32) for name, v in case.examples.items()}
        for i in range(len(next(iter(case.examples.values()))))
    ]
    example = forms[0].path.with_name("example.npz")
    np.savez(example, **calls[0])
    rows: list[dict[str, Any]] = []
    truth: list[Arrays] = []
    for form in forms:
        session = open_weights(form.path, case.outputs)
        answers = [session.run(given) for given in calls]
        truth = truth or answers
        data = form.path.read_bytes()
        rows.append(
            {
                "runtime": {".onnx": "ONNX", ".tflite": "TFLite"}[form.path.suffix],
                "form": form.label,
                "parameters": form.parameters,
                "kib": len(data) / 1024,
                "zip_kib": len(zlib.compress(data, 9)) / 1024,
                "difference": max(
                    float(np.abs(a[k] - b[k]).max())
                    for a, b in zip(truth, answers, strict=True)
                    for k in case.outputs
                ),
                "scores": case.score(lambda run=session.run, **inputs: run(inputs)),
            }
        )
        row = rows[-1]
        row["worst"] = max(_worse(case, k, row["scores"][k], rows[0]["scores"][k]) for k in case.columns)
        print(form.path.name, row, flush=True)
    for _ in range(_PROCESSES):
        for form, row in zip(forms, rows, strict=True):
            for key, value in _cost(form.path, case.outputs, example).items():
                row[key] = min(value, row.get(key, value))
    return rows


def _worse(case: Case, key: str, value: float, first: float) -> float:
    """By which share a figure is worse than the first form's."""
    return first / value - 1 if key in case.higher else value / first - 1


def _cost(path: Path, outputs: list[str], example: Path) -> dict[str, float]:
    """MiB by which a fresh process grows when it loads and runs the file, and its times."""
    numbers = map(str, (_LOADS, _ROUNDS, _CALLS))
    command = [sys.executable, "-c", _PROBE, str(path), ",".join(outputs), str(example), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def table(case: Case, rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    headings = [heading for heading, _ in case.columns.values()]
    lines = [
        "| form | runtime | parameters | KiB | zipped | load ms | ms a call | memory MiB | "
        + " | ".join(headings)
        + " | worst column | largest difference |",
        "|---|---|" + "---|" * (len(headings) + 8),
    ]
    for row in rows:
        cells = [format(row["scores"][key], style) for key, (_, style) in case.columns.items()]
        lines.append(
            f"| {row['form']} | {row['runtime']} | {row['parameters']:,} | {row['kib']:.0f} | "
            f"{row['zip_kib']:.0f} | {row['load_ms']:.1f} | {row['ms']:.3f} | {row['memory_mib']:.1f} | "
            + " | ".join(cells)
            + f" | {row['worst']:+.1%} | {row['difference']:.2g} |"
        )
    return "\n".join(lines)


def section(case: Case, rows: list[dict[str, Any]]) -> str:
    """The part of the card, from its heading on."""
    return f"""## Compression
`PYTHONPATH=src:. python -m training.common.compress {case.name} --data ../shared/data`; what the forms
are is said in [docs/models.md](../../docs/models.md#compression). One thread, batch of one; *load* is
processor time without the check of the reference, *memory* what a process grows by when it loads and runs the
file, *worst column* by how much the worst figure is worse than in fp32 in ONNX, *largest difference*
that of any output on {len(next(iter(case.examples.values())))} examples.

{table(case, rows)}

{case.prose.strip()}
"""


def put_into_card(path: Path, text: str) -> None:
    """Replace the section of the same heading, or append it."""
    card = path.read_text(encoding="utf-8")
    heading = re.escape(text.splitlines()[0])
    pattern = re.compile(rf"^{heading}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = text.rstrip() + "\n"
    if (found := pattern.search(card)) is None:
        card = f"{card.rstrip()}\n\n{text}"
    else:
        card = card[: found.start()] + text + ("\n" if card[found.end() :] else "") + card[found.end() :]
    path.write_text(card, encoding="utf-8")


def rounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with six significant digits, for storing."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(v) for key, v in value.items()}
        return float(f"{value:.6g}") if isinstance(value, float) else value

    return [short(row) for row in rows]


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a model whose training package has a compress.py")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, help="folder of the model (default: models/<name>)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = Path("training/runs") / args.name
    folder = runs / "forms"
    folder.mkdir(parents=True, exist_ok=True)
    case: Case = importlib.import_module(f"training.{args.name}.compress").case(args.data, runs)
    rows = measure(case, write_forms(case, folder))
    out = args.out or MODELS_FOLDER / case.name
    stored = {"ships": case.ships, "columns": list(case.columns), "forms": rounded(rows)}
    (out / "compression.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    put_into_card(out / "card.md", section(case, rows))
    print(table(case, rows))


if __name__ == "__main__":
    main()
