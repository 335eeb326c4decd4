"""`make bench`: measure everything and store it in benchmarks/results.json and results.md.

`python -m benchmarks.run [--data ../shared/data] [--only models,workflow,render]`
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
TABLE = Path(__file__).parent / "results.md"


def main() -> None:
    """Measure what was asked for, keep the rest of the last results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="models,render,workflow")
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    for part in options.only.split(","):
        print(f"measuring {part} ...", flush=True)
        if part == "models":
            from benchmarks.models import measure

            results[part] = measure()
        elif part == "render":
            from benchmarks.render import measure as measure_render

            results[part] = measure_render(options.data)
        elif part == "workflow":
            from benchmarks.workflow import measure as measure_workflow

            results[part] = measure_workflow(options.data)
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    text = table(results)
    TABLE.write_text(text)
    print(text)


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown page."""
    lines = ["# Last results", "", "Made by `make bench`; compare ratios, not seconds, between machines.", ""]
    lines += [f"Machine: {results['machine']}.", ""]
    if "workflow" in results:
        lines += ["| symbolic chain, 2 cores | groove | POP909 | bar |", "|---|---|---|---|"]
        sets = [results["workflow"][name] for name in ("groove", "pop909")]

        def row(label: str, key: str, bar: str = "") -> None:
            values = " | ".join(str(part.get(key, "")) for part in sets)
            lines.append(f"| {label} | {values} | {bar} |")

        row("pieces", "pieces")
        row("pieces per second", "pieces_per_second")
        row("times faster than one job a piece and stage", "times_faster", "at least 10")
        row("rerun with nothing to do, s", "no_op_seconds", "under 5")
        row("rerun with one edited piece, s", "one_edited_seconds", "under 15")
        row("largest job, MiB", "peak_job_mib", "under 1024")
        lines.append("")
    if "models" in results:
        part = results["models"]
        lines += [
            "| model | parameters | ONNX KiB | ONNX ms a call | TFLite KiB | TFLite ms a call |",
            "|---|---|---|---|---|---|",
        ]
        for name, model in part["models"].items():
            onnx, tflite = model["onnx"], model["tflite"]
            lines.append(
                f"| {name} | {model['parameters']:,} | {onnx['kib']} | {onnx['call_ms']} "
                f"| {tflite['kib']} | {tflite['call_ms']} |"
            )
        total, window = part["total_kib"], part["two_bar_window_ms"]
        lines.append(f"| all (bar: 4096 KiB) | | {total['onnx']} | | {total['tflite']} | |")
        lines.append(
            f"| a two-bar window through all (bar: 10 ms) | | | {window['onnx']} | | {window['tflite']} |"
        )
        lines.append("")
    if "render" in results:
        lines += [
            "Render:",
            "",
            "```json",
            json.dumps(results["render"], indent=2, sort_keys=True),
            "```",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
