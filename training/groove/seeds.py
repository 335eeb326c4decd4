"""Train and measure the groove network with five seeds; the card shows mean and spread.

    PYTHONPATH=src:. python -m training.groove.seeds --data ../shared/data

Each seed is a network of its own, of players of its own, and its spread is matched by itself. Writes
training/groove/seeds.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from training.common.weights import round_weights
from training.groove.train import RUNS, WEIGHTS, load, load_all, measure, train

SEEDS = 5
RESULTS = Path(__file__).with_name("seeds.yaml")


def main() -> None:
    """Train what is not kept from earlier, measure all, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds groove/")
    parser.add_argument(
        "--kept", action="store_true", help="train only the seeds that are not kept in the runs"
    )
    args = parser.parse_args()
    train_set, beats, validation = load_all(args.data)
    wanted = [s for s in range(SEEDS) if not (args.kept and (RUNS / f"seed{s}.pt").is_file())]
    for seed in wanted:
        train(train_set, beats, validation, seed)
    tables = [measure(round_weights(load(seed)[0], WEIGHTS), validation) for seed in range(SEEDS)]
    rows = {
        name: {
            key: {
                "mean": round(float(np.mean(values)), 5),
                "sd": round(float(np.std(values, ddof=1)), 5),
                "seeds": [round(float(v), 5) for v in values],
            }
            for key, values in ((key, [table[name][key] for table in tables]) for key in tables[0][name])
        }
        for name in tables[0]
    }
    for name, row in rows.items():
        print(f"{name}: " + ", ".join(f"{key} {v['mean']} +- {v['sd']}" for key, v in row.items()))
    RESULTS.write_text(yaml.safe_dump(rows, sort_keys=False, width=100), encoding="utf-8")


if __name__ == "__main__":
    main()
