"""Transfer: re-play the accompaniment and the drums of a piece in a named style.

Melody, chords, form, tempo and meter stay. The pitched accompaniment is written anew over the piece's chords
(`accompaniment`), the drums over the rhythm of the source's drums (`drums`); either can be left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.score import Score
from segue.stage import Record, Settings, StageResult
from segue.transfer.accompaniment import replay_accompaniment
from segue.transfer.drums import replay_drums

VERSION = 1


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The piece with its accompaniment in `style` and its drums in `drum_style`; `none` leaves them alone."""
    report: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    nothing = [name for name in ("style", "drum_style") if settings[name] == "none"]
    if len(nothing) == 2 or settings["amount"] == 0:
        reason = "no style is named" if len(nothing) == 2 else "amount is 0"
        return StageResult(score, {"skipped": [{"reason": reason}], "changed": {}})
    pitched, drums = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    if settings["style"] != "none":
        score, tracks, report["accompaniment"] = replay_accompaniment(
            score, record, settings, models["accompaniment"], pitched
        )
        record = {**record, "tracks": tracks}
    if settings["drum_style"] != "none":
        score, tracks, report["drums"] = replay_drums(score, record, settings, models["drums"], drums)
        record = {**record, "tracks": tracks}
    parts = list(report.values())
    report["changed"] = {
        key: sum(part.get("changed", {}).get(key, 0) for part in parts)
        for key in ("notes_removed", "notes_written")
    }
    if any("changed" in part for part in parts):
        changed["tracks"] = record["tracks"]
    return StageResult(score, report, changed)
