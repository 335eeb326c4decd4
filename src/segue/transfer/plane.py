"""Points of transfers and their baselines in the plane of content and style fit.

Conventions
-----------
- A source piece and a target style give one point of each kind; points of one source and target are compared
  with each other. Both coordinates lie in 0..1, the larger the better.
- Fit is the mean of the measures in `headline`.
- Intervals are 95 % bootstrap intervals over pieces: the sources, or whatever else the caller numbers.
- The transfer *beats* the template in fit where the interval of the difference in fit lies above 0 and that
  of the difference in content does not lie below 0, and in content the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.style import dominates

TRANSFER, TEMPLATE = "transfer", "template"
#: The transfer and what it is held against: the source itself, a piece of the target style, any piece.
KINDS = (TRANSFER, TEMPLATE, "identity", "copy", "random")
#: Of a transfer to a single file: one to the named style that the file is of.
NAMED = "named style"

#: Name of the group that a transfer from a source style to a target style belongs to.
Grouping = Callable[[str, str], str]


def by_target(source: str, target: str) -> str:
    """One group for each target style."""
    return target


def by_pair(source: str, target: str) -> str:
    """One group for each source and target style."""
    return f"{source} to {target}"


def all_together(source: str, target: str) -> str:
    """One group of all."""
    return "all"


@dataclass
class Plane:
    """Points by source style, target style and kind: rows of a piece's number, content, the measures."""

    measures: Sequence[str]
    headline: Sequence[str]
    rows: dict[tuple[str, str, str], list[list[float]]] = field(default_factory=dict)

    def add(
        self, source: str, target: str, kind: str, piece: int, content: float, fits: Sequence[float]
    ) -> None:
        """One point; `fits` are the measures in their order."""
        self.rows.setdefault((source, target, kind), []).append([piece, content, *fits])

    def summary(self, group: Grouping) -> dict[str, dict[str, Any]]:
        """By group: the kinds' means with intervals, what dominates the transfer, and how the transfer stands
        against the template.
        """
        kinds: dict[str, dict[str, list[list[float]]]] = {}
        for (source, target, kind), rows in self.rows.items():
            kinds.setdefault(group(source, target), {}).setdefault(kind, []).extend(rows)
        return {name: self._entry({k: np.array(v) for k, v in kinds[name].items()}) for name in kinds}

    def _entry(self, rows: dict[str, np.ndarray]) -> dict[str, Any]:
        columns = [2 + self.measures.index(name) for name in self.headline]
        piece = np.unique(rows[TRANSFER][:, 0], return_inverse=True)[1]
        plane = {
            kind: np.stack([array[:, 1], array[:, columns].mean(axis=1)], axis=1)
            for kind, array in rows.items()
        }
        entry: dict[str, Any] = {"pieces": int(piece.max()) + 1, "transfers": len(piece)}
        for kind in (k for k in (*KINDS, NAMED) if k in rows):
            content, fit = (_with_interval(column, piece) for column in plane[kind].T)
            entry[kind] = {
                "content": content[0],
                "content_interval": content[1:],
                "fit": fit[0],
                "fit_interval": fit[1:],
                **{m: round(float(rows[kind][:, 2 + i].mean()), 3) for i, m in enumerate(self.measures)},
            }
        means = {kind: tuple(points.mean(axis=0).tolist()) for kind, points in plane.items()}
        entry["dominated_by"] = [
            kind for kind in KINDS[1:] if kind in means and dominates(means[kind], means[TRANSFER])
        ]
        for kind in (k for k in (TEMPLATE, NAMED) if k in plane):
            content, fit = (_with_interval(d, piece) for d in (plane[TRANSFER] - plane[kind]).T)
            entry[f"over_{kind.replace(' ', '_')}"] = {
                "content": content,
                "fit": fit,
                "beaten_in": _beaten(content, fit),
            }
        return entry


def _with_interval(values: np.ndarray, piece: np.ndarray) -> list[float]:
    """Mean and the ends of its interval."""
    return [round(v, 3) for v in (float(values.mean()), *interval_of_mean(values, piece))]


def _beaten(content: Sequence[float], fit: Sequence[float]) -> list[str]:
    """In what the transfer is better than the template without being worse in the other."""
    found = [("content", content, fit), ("fit", fit, content)]
    return [name for name, better, other in found if better[1] > 0 and other[2] >= 0]
