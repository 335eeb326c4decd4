"""One stage over one piece: the same code for the workflow's rules and for the command line.

The result of a stage is a function of the piece, the stage's settings, version and models, and a seed. The
hash of all these is the *key* of the result: a shard job computes a piece only when its key changed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from segue.archive import Member, to_json
from segue.config import ConfigError, named_files, stage_schema, what_may_be_named, with_files
from segue.midi import read_midi, write_midi
from segue.runtime import Model, ModelError, load_model, model_folder, model_hash
from segue.stage import InputFile, StageError, StageResult

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageSpec:
    """A stage ready to run: name, complete settings, version, hashes of its models, global seed.

    `environment` tells what else on this machine the result depends on (for render the SoundFont and the
    version of FluidSynth), as text. `files` holds what the stage found in each file that a setting names, by
    the setting: it has read them, and a job needs them no more.
    """

    name: str
    settings: dict[str, Any]
    version: int
    models: dict[str, str]
    seed: int
    environment: str = ""
    files: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What a result depends on beside the piece, as text."""
        return to_json(vars(self))

    def load_models(self) -> Mapping[str, Model]:
        """The models by role, each loaded when it is asked for, which raises `ModelError`."""
        return _Models(self.settings.get("models", {}), self.settings.get("backend", ""))

    def load_settings(self) -> dict[str, Any]:
        """The settings as `apply` wants them: what is in a named file stands in the place of its path."""
        if not self.files:
            return self.settings
        return with_files(self.settings, stage_schema(self.name), self.name, self.files)


class _Models(Mapping[str, Model]):
    """Models by role. A stage may have one that few pieces need."""

    def __init__(self, names: Mapping[str, str], backend: str) -> None:
        self._names, self._backend = names, backend

    def __getitem__(self, role: str) -> Model:
        return load_model(self._names[role], self._backend)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def stage_spec(name: str, settings: Mapping[str, Any], seed: int) -> StageSpec:
    """The specification of stage `name`; reads the hashes of its models and the files that settings name.

    Raises `ModelError`, and `ConfigError` for a file that cannot be used.
    """
    models = {
        role: model_hash(model_folder(model), settings["backend"])
        for role, model in settings.get("models", {}).items()
    }
    module = import_module(f"segue.{name}")
    environment = ""
    if name == "render":
        try:
            environment = module.fingerprint(settings)
        except StageError as error:
            # The run still delivers MIDI, and says so piece by piece; a later installation changes the key.
            environment = str(error)
    files = {
        setting: _read_file(name, setting, path)
        for setting, path in named_files(settings, stage_schema(name), name).items()
    }
    return StageSpec(name, dict(settings), module.VERSION, models, seed, environment, files)


def _read_file(stage: str, setting: str, path: str) -> Any:
    """What `stage` finds in a file that a setting names, a relative path from the folder of the run."""
    try:
        data = Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        if known := what_may_be_named(stage_schema(stage), setting, path):
            raise ConfigError(f"{setting} names {path}, which cannot be read ({reason}): {known}") from error
        raise ConfigError(
            f"{setting} is {path}, and this file cannot be read ({reason}); "
            f"name a file that is there, seen from the folder {Path.cwd()}"
        ) from error
    return _content(stage, setting, path, data)


@lru_cache(maxsize=16)
def _content(stage: str, setting: str, path: str, data: bytes) -> Any:
    try:
        return import_module(f"segue.{stage}").read_file(InputFile(path, data))
    except StageError as error:
        raise ConfigError(f"{setting} is {path}, and this file cannot be used: {error}") from error


def result_key(spec: StageSpec, member: Member) -> str:
    """The hash of everything that the result of `spec` on `member` depends on."""
    digest = hashlib.sha256(spec.fingerprint.encode())
    digest.update(to_json(member.record).encode())
    digest.update(member.midi or b"")
    return digest.hexdigest()


def ingest_key(spec: StageSpec, path: str, data: bytes) -> str:
    """The key of an ingested file: its place below the input folder and its bytes."""
    digest = hashlib.sha256(spec.fingerprint.encode())
    digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(data)
    return digest.hexdigest()


def piece_seed(content_sha256: str, stage: str, seed: int) -> int:
    """The seed of one stage on one piece: 64 bits from the content, the stage and the global seed."""
    digest = hashlib.sha256(f"{content_sha256}\0{stage}\0{seed}".encode())
    return int.from_bytes(digest.digest()[:8], "big")


def quarantined(record: Mapping[str, Any], stage: str, reason: str, key: str = "") -> Member:
    """The member of a piece that `stage` could not process."""
    return Member(None, {**record, "quarantine": {"stage": stage, "reason": reason}}, key)


def run_ingested(spec: StageSpec, result: StageResult, key: str) -> Member:
    """The member of a freshly ingested file."""
    return _finish(spec, result, {}, key)


def run_piece(spec: StageSpec, member: Member, key: str = "") -> Member:
    """Run one symbolic stage on one piece.

    The member has MIDI (a piece in quarantine is not run). What a stage raises sends the piece to quarantine
    with its reason; a defect of ours is logged with its traceback and costs the piece, not the run. Raises
    `ModelError` when a model cannot be loaded: that is no fault of the piece.
    """
    models = spec.load_models()
    record = member.record
    apply = import_module(f"segue.{spec.name}").apply
    seed = piece_seed(record["source"]["sha256"], spec.name, spec.seed)
    try:
        score, _ = read_midi(member.midi or b"")
        result = apply(score, record, spec.load_settings(), models, seed)
        return _finish(spec, result, record, key)
    except StageError as error:
        return quarantined(record, spec.name, str(error), key)
    except ModelError:
        raise
    except Exception as error:  # A defect must not cost the other pieces.
        log.exception("%s: %s failed", record["id"], spec.name)
        return quarantined(record, spec.name, f"{spec.name} failed: {describe(error)}", key)


def describe(error: Exception) -> str:
    """One sentence for an unforeseen error, asking for a report."""
    text = " ".join(str(error).split())[:200]
    return f"an internal error ({type(error).__name__}: {text}); the log has the details, please report it"


def _finish(spec: StageSpec, result: StageResult, record: Mapping[str, Any], key: str) -> Member:
    midi = write_midi(result.score)
    report = {"version": spec.version, **result.report}
    if spec.models:
        report["models"] = {
            role: {"name": spec.settings["models"][role], "sha256": sha[:16]}
            for role, sha in spec.models.items()
        }
        report["backend"] = spec.settings["backend"]
    stages = {**record.get("stages", {}), spec.name: report}
    new = {**record, **result.record, "stages": stages}
    new["midi_sha256"] = hashlib.sha256(midi).hexdigest()
    others = {f"{name}.mid": write_midi(score) for name, score in result.alternatives.items()}
    return Member(midi, new, key, {**result.files, **others})
