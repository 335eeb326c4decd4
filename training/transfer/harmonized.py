"""The chords and keys of the training pieces as the harmonize stage hears them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import yaml

from segue.harmonize import apply
from segue.runtime import Model, load_model
from segue.stage import Settings
from training.transfer.pieces import Piece, load_pieces


def _settings() -> Settings:
    schema = yaml.safe_load(files("segue.harmonize").joinpath("settings.schema.yaml").read_text("utf-8"))
    defaults = {key: entry["default"] for key, entry in schema["properties"].items()}
    return defaults | {"track": "never", "key_signatures": "never"}


def harmonized(piece: Piece, model: Model, settings: Settings) -> Piece:
    """The piece with its local keys and, where its chords are not annotated (all but pop), the stage's
    chords, with sevenths and basses.
    """
    record = {**piece.record, "chords": [], "key": None}
    found = apply(piece.score, record, settings, {"harmony": model}, 0).record
    changes = {"key": found.get("key"), "keys": found.get("keys", [])}
    if piece.style != "pop":
        changes["chords"] = found.get("chords", [])
    return replace(piece, record={**piece.record, **changes})


def load_harmonized(data: Path, folder: Path) -> list[Piece]:
    """All pieces with heard harmony, from the cache `harmonized.pickle` in `folder` where it is there."""
    path = folder / "harmonized.pickle"
    if path.is_file():
        with path.open("rb") as file:
            return pickle.load(file)
    model, settings = load_model("harmony"), _settings()
    pieces = [harmonized(p, model, settings) for p in load_pieces(data, folder / "pieces.pickle")]
    with path.open("wb") as file:
        pickle.dump(pieces, file)
    return pieces
