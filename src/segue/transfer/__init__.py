"""Transfer: the same song, as another band would play it.

Melody, chords, form, tempo and meter stay. The pitched accompaniment is written anew over the piece's chords
(`accompaniment`; swing by rules, `jazz`), the drums over the rhythm of the source's drums (`drums`); either
can be left as it is. The style is named, that of a preset or of a reference, or between two (`target`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.score import Score
from segue.stage import InputFile, Record, Settings, StageResult
from segue.transfer.accompaniment import replay_accompaniment
from segue.transfer.drums import replay_drums
from segue.transfer.presets import SUFFIXES, read_preset
from segue.transfer.reference import example_to_dict, read_example
from segue.transfer.target import Target, target_of

VERSION = 3
#: The drums of the reference or preset that the accompaniment follows.
SAME = "same"


def read_file(file: InputFile) -> dict[str, Any]:
    """The preset or the example in a file that `style`, `reference` or `blend` names. Raises `StageError`."""
    if file.path.lower().endswith(SUFFIXES):
        return read_preset(file)
    return example_to_dict(read_example(file))


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    """The piece with its accompaniment in `style` and its drums in `drum_style`; `none` leaves them alone."""
    result = _play(score, record, settings, models, seed)
    if settings["figures"] and result.score is not score:
        from segue.transfer.pictures import transfer_picture

        picture = transfer_picture(score, record, result.score, record | result.record)
        result.files.update({"transfer.svg": picture} if picture else {})
    return result


def _play(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> StageResult:
    target = target_of(settings, models)
    report: dict[str, Any] = {}
    if reason := _reason_for_nothing(settings, target is not None):
        return StageResult(score, {"skipped": [{"reason": reason}], "changed": {}})
    pitched, drums = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    if target:
        score, tracks, report["accompaniment"] = replay_accompaniment(
            score, record, settings, target, models, pitched
        )
        record = {**record, "tracks": tracks}
    if settings["drum_style"] != "none":
        score, tracks, report["drums"] = _drums(score, record, settings, models, target, drums)
        record = {**record, "tracks": tracks}
    parts = list(report.values())
    report["changed"] = {
        key: sum(part.get("changed", {}).get(key, 0) for part in parts)
        for key in ("notes_removed", "notes_written")
    }
    changed = {"tracks": record["tracks"]} if any("changed" in part for part in parts) else {}
    return StageResult(score, report, changed)


def _drums(
    score: Score,
    record: Record,
    settings: Settings,
    models: Mapping[str, Model],
    target: Target | None,
    rng: np.random.Generator,
) -> tuple[Score, list[dict[str, Any]], dict[str, Any]]:
    """The drums in a named style, or in that of the target where they are to be the same."""
    if settings["drum_style"] != SAME:
        return replay_drums(score, record, settings, models["drums"], rng)
    if target is None or target.drums is None:
        reason = "no reference or style of one's own is given that has drums"
        return score, record["tracks"], {"style": SAME, "replaced": [], "reason": reason}
    score, tracks, report = replay_drums(score, record, settings, models["drums"], rng, target.drums)
    return score, tracks, report | {"style": target.name}


def _reason_for_nothing(settings: Settings, has_target: bool) -> str | None:
    if not has_target and settings["drum_style"] == "none":
        return "no style is named"
    return next((f"{name} is 0" for name in ("amount", "intensity") if settings[name] == 0), None)
