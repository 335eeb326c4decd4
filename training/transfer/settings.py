"""Settings of the stage with all defaults filled in."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml


def stage_settings(**given: Any) -> dict[str, Any]:
    """Defaults of the transfer stage's schema, with `given` over them."""
    schema = yaml.safe_load(files("segue.transfer").joinpath("settings.schema.yaml").read_text("utf-8"))
    return {key: entry["default"] for key, entry in schema["properties"].items()} | given
