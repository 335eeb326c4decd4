"""The contract of a stage: a pure function of a piece, its settings, its models and a seed.

A stage is a package `segue.<name>` with

- `VERSION`, an integer raised with every change of what the stage writes,
- `settings.schema.yaml`, the JSON schema of its settings with defaults and descriptions,
- `apply(score, record, settings, models, seed) -> StageResult` (ingest and render, the two ends of
  the chain, read bytes and write audio instead: see their packages);
- where settings name files (`input_file` in the schema), `read_file(file: InputFile)`: what `apply` finds in
  its settings in the path's place, small and plain JSON, as it is part of the cache key. It is called once,
  before the run begins; a `StageError` that it raises ends the run.

`record` is the piece's JSON record as the stages before left it, never changed in place:

- `id`, `source` {path, format, bytes, sha256}, `warnings` [sentence];
- `key` {tonic 0..11, mode "major" | "minor", name} or None without pitched notes, `meter` "4/4",
  `tempo_bpm`, `bars`, `duration_s`;
- `tracks`, one a track of the score and in its order: {name, channel, program, notes, role, human_timing,
  nomml}, role one of `ROLES`;
- `keys` [{tick, tonic, mode, name}], once harmonize has found them: the keys in their order, each from its
  tick on, the first one from tick 0; `key` is then the one that holds longest;
- `chords` [{tick, label}] as the file gives them or a stage has found them; after harmonize each has its
  `roman` numeral in the key that holds there;
- `stages` {name: report}, what each stage found, changed or fell back to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segue.runtime import Model
from segue.score import Score

#: What a track does in the arrangement.
ROLES = ("drums", "bass", "melody", "chords", "other")

Record = dict[str, Any]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class InputFile:
    """A file that a setting names: its path as the setting gives it, and its bytes."""

    path: str
    data: bytes = field(repr=False)


class StageError(Exception):
    """A stage cannot process a piece; the message says why and what to do, in one sentence.

    The piece goes to quarantine with this message; other pieces go on.
    """


@dataclass(frozen=True)
class StageResult:
    """What a stage made: the new score, its report, and the top-level record entries it changed."""

    score: Score
    #: Goes to `record["stages"][stage]`: plain JSON, what was found, changed, skipped and why.
    report: dict[str, Any]
    #: Replaces top-level entries of the record ("tracks", "chords", "key", ...).
    record: dict[str, Any] = field(default_factory=dict)
    #: Files that a setting asks for beside the music, such as the pictures of `figures`, by name with ending:
    #: `<stage>.svg` or, where a stage makes several, `<stage>-<what>.svg`. They travel with the piece and are
    #: delivered as `<piece>.<name>`.
    files: dict[str, bytes] = field(default_factory=dict)
    #: Other scores that the stage might as well have made, by name: `<stage>-<number>`. They travel with the
    #: piece as it was after the stage, and are delivered as `<piece>.<name>.mid`.
    alternatives: dict[str, Score] = field(default_factory=dict)


Apply = Callable[[Score, Record, Settings, Mapping[str, Model], int], StageResult]
