"""Settings: one JSON schema a stage, one for the run, and errors that a musician can act on.

The schema of a stage lives beside its code (`segue/<stage>/settings.schema.yaml`); the schema of the run is
`workflow/schemas/config.schema.yaml`. Defaults and descriptions stand in the schemas alone: `config.yaml` is
written from them (`segue config`), and a test holds the two together.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import yaml

STAGES = ("ingest", "humanize", "complete", "harmonize", "transfer", "render")
NO_PRESET = "none"
RUN_SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"

Schema = dict[str, Any]


class ConfigError(ValueError):
    """Settings that cannot be used; one sentence a line, each naming key, value and what is allowed."""


@cache
def stage_schema(stage: str) -> Schema:
    """The JSON schema of one stage's settings."""
    text = (files("segue") / stage / "settings.schema.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load(text)
    if presets := stage_presets(stage):
        schema["properties"]["preset"]["enum"] = [NO_PRESET, *presets]
    return schema


@cache
def stage_presets(stage: str) -> dict[str, dict[str, Any]]:
    """What one stage's `presets.yaml` holds: by name, `hears` and `settings`; empty where there is none.

    Users add to it; raises `ConfigError` where it cannot be used.
    """
    file = files("segue") / stage / "presets.yaml"
    return read_presets(file.read_text(encoding="utf-8"), str(file)) if file.is_file() else {}


def read_presets(text: str, source: str) -> dict[str, dict[str, Any]]:
    """The presets in the text of the file `source`. Raises `ConfigError`."""
    try:
        presets = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(presets, Mapping):
        raise ConfigError(f"{source} holds no presets: write a name, and below it `hears` and `settings`")
    for name, preset in presets.items():
        if not isinstance(preset, Mapping) or not isinstance(preset.get("settings"), Mapping):
            raise ConfigError(f"preset {name} has no section `settings`; see the others in {source}")
        if "preset" in preset["settings"]:
            raise ConfigError(f"preset {name} names another preset; write that one's settings into {source}")
    return dict(presets)


@cache
def run_schema() -> Schema:
    """The JSON schema of the whole configuration: the run's own keys, then one section a stage."""
    schema = yaml.safe_load(RUN_SCHEMA.read_text(encoding="utf-8"))
    for stage in STAGES:
        schema["properties"][stage] = stage_schema(stage)
    return schema


def defaults(schema: Schema) -> Any:
    """The default value that a schema describes, objects filled key by key."""
    if schema.get("type") == "object" and "properties" in schema:
        return {key: defaults(part) for key, part in schema["properties"].items()}
    return deepcopy(schema["default"])


def check_run(given: Mapping[str, Any]) -> dict[str, Any]:
    """The complete configuration of a run from what the user gave. Raises `ConfigError`.

    `figures: true` of the run holds for every stage that can draw.
    """
    settings = check(given, run_schema())
    stages = {stage: _with_preset(stage, settings[stage]) for stage in STAGES}
    for stage in stages.values():
        if "figures" in stage:
            stage["figures"] = stage["figures"] or settings["figures"]
    return settings | stages


def check_stage(stage: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The complete settings of one stage from what the user gave. Raises `ConfigError`."""
    return _with_preset(stage, check(given, stage_schema(stage), stage))


def _with_preset(stage: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with those of the named preset wherever they are at their default.

    `config.yaml` names every default, so what is at its default counts as not chosen. Raises `ConfigError`
    for a preset that does not fit the schema.
    """
    name = settings.get("preset", NO_PRESET)
    if name == NO_PRESET:
        return settings
    schema = stage_schema(stage)
    preset = check(stage_presets(stage)[name]["settings"], schema, f"preset {name}: {stage}")
    # What each allows alone may not go together.
    return check(_fill(settings, defaults(schema), preset) | {"preset": name}, schema, stage)


def _fill(given: Any, default: Any, preset: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(default, Mapping) and default:
        return {key: _fill(given[key], default[key], preset[key]) for key in given}
    return preset if given == default else given


def check(given: Mapping[str, Any], schema: Schema, prefix: str = "") -> dict[str, Any]:
    """Fill in defaults, turn strings from a command line into numbers, and validate.

    Dotted keys (`humanize.amount`) are understood. Raises `ConfigError` naming every fault.
    """
    from jsonschema import Draft202012Validator, validators

    merged = _merge(defaults(schema), _nest(given), schema)
    # YAML knows .nan, which lies within any range.
    known = Draft202012Validator.TYPE_CHECKER
    types = known.redefine("number", lambda _, value: known.is_type(value, "number") and value == value)
    validator = validators.extend(Draft202012Validator, type_checker=types)(schema)
    errors = sorted(validator.iter_errors(merged), key=lambda e: list(e.path))
    # One value may break two rules that are said in the same words.
    if problems := dict.fromkeys(_sentence(error, prefix) for error in errors):
        raise ConfigError("\n".join(problems))
    return merged


def named_files(settings: Any, schema: Schema, path: str) -> dict[str, str]:
    """The files that settings name, by the path of the setting (`humanize.groove`).

    In a schema, `input_file` marks text that names a file; its list `words` says what else may stand there.
    With `folder` and `suffix` a bare name means the file of that name there.
    """
    if "input_file" in schema:
        is_word = settings in schema["input_file"].get("words", [])
        return {} if is_word else {path: _place_of(str(settings), schema["input_file"])}
    found: dict[str, str] = {}
    for key, value, part in _parts(settings, schema):
        found |= named_files(value, part, f"{path}.{key}")
    return found


def _place_of(name: str, marked: Mapping[str, Any]) -> str:
    """The path of the file that a setting names."""
    is_bare = "folder" in marked and PurePath(name).name == name and not PurePath(name).suffix
    return f"{marked['folder']}/{name}{marked['suffix']}" if is_bare else name


def what_may_be_named(schema: Schema, path: str, name: str) -> str:
    """What the setting at `path` (`transfer.style`) may name beside files, for one that names none, or "".

    `schema` is that of the stage. Names the nearest word first.
    """
    part = schema
    for key in path.split(".")[1:]:
        part = part["prefixItems"][int(key)] if key.isdigit() else part["properties"][key]
    marked = part["input_file"]
    if "folder" not in marked:
        return ""
    own = sorted(p.stem for p in Path(marked["folder"]).glob(f"*{marked['suffix']}"))
    known = [*marked["words"], *own]
    near = difflib.get_close_matches(PurePath(name).stem, known, 1, 0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}known are {', '.join(known)}, and {part['input_file']['suffix']} files by their path"


def with_files(settings: Any, schema: Schema, path: str, loaded: Mapping[str, Any]) -> Any:
    """The settings with what is in the files they name in the place of these; paths as in `named_files`."""
    if "input_file" in schema:
        return loaded.get(path, settings)
    parts = [(key, with_files(v, part, f"{path}.{key}", loaded)) for key, v, part in _parts(settings, schema)]
    if isinstance(settings, Mapping):
        return {**settings, **dict(parts)}
    if parts:
        return [*(value for _, value in parts), *settings[len(parts) :]]
    return settings


def _parts(settings: Any, schema: Schema) -> list[tuple[str | int, Any, Schema]]:
    """The parts of a section or list of settings that the schema describes one by one."""
    if isinstance(settings, Mapping):
        parts = schema.get("properties", {})
        return [(key, settings[key], part) for key, part in parts.items() if key in settings]
    if isinstance(settings, list):
        parts = schema.get("prefixItems", [])
        return [(i, value, part) for i, (value, part) in enumerate(zip(settings, parts, strict=False))]
    return []


def _nest(given: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested mappings; later keys win."""
    nested: dict[str, Any] = {}
    for key, value in given.items():
        place = nested
        *parents, last = str(key).split(".")
        for parent in parents:
            child = place.get(parent)
            place[parent] = dict(child) if isinstance(child, Mapping) else {}
            place = place[parent]
        if isinstance(value, Mapping) and isinstance(place.get(last), Mapping):
            place[last] = {**place[last], **_nest(value)}
        else:
            place[last] = _nest(value) if isinstance(value, Mapping) else value
    return nested


def _merge(base: Any, given: Any, schema: Schema) -> Any:
    if isinstance(given, Mapping) and (isinstance(base, Mapping) or base is None):
        parts = schema.get("properties", {})
        # Settings under names that the user chooses have one schema for all.
        free = schema.get("additionalProperties") or {}
        merged = dict(base or {})
        for key, value in given.items():
            merged[key] = _merge(merged.get(key), value, parts.get(key, free))
        return merged
    return _from_text(given, schema)


def _from_text(value: Any, schema: Schema) -> Any:
    """A string from the command line as the number, truth value or list that the schema wants."""
    if "anyOf" in schema:
        is_word = any(value in part.get("enum", []) for part in schema["anyOf"])
        return value if is_word else _from_text(value, schema["anyOf"][0])
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, str) and ("string" not in kinds and "enum" not in schema):
        return yaml.safe_load(value)
    if isinstance(value, list) and "prefixItems" in schema:
        parts = schema["prefixItems"]
        return [_from_text(v, part) for v, part in zip(value, parts, strict=False)] + value[len(parts) :]
    # YAML reads a bare `off` as false and `none` stays text: `format: off` means the word.
    if value is False and "off" in schema.get("enum", []):
        return "off"
    return value


def _sentence(error: Any, prefix: str) -> str:
    path = ".".join(filter(None, [prefix, *map(str, error.absolute_path)]))
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        return "\n".join(_unknown(key, known, path) for key in unknown)
    value = yaml.safe_dump(error.instance, default_flow_style=True).strip().removesuffix("...").strip()
    if error.validator == "const":
        return f"{path} is {value}, {error.schema['description']}"
    return f"{path} is {value}, and {_allowed(error.schema)} is allowed"


def _unknown(key: str, known: Iterable[str], path: str) -> str:
    known = list(known)
    near = difflib.get_close_matches(str(key), known, 1, 0.5)
    where = f" in {path}" if path else ""
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"{'.'.join(filter(None, [path, str(key)]))} is not a known setting{where}: {hint}"


def _allowed(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_allowed(part).removeprefix("one of ") for part in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "input_file" in schema:
        marked = schema["input_file"]
        own = [f"a name in {marked['folder']}/"] if "folder" in marked else []
        return " or ".join(["the path of a file", *own, *marked.get("words", [])])
    kinds = schema.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    names = {
        "number": "a number",
        "integer": "a whole number",
        "boolean": "true or false",
        "string": "text",
        "array": "a list",
        "object": "a section of settings",
        "null": "nothing (null)",
    }
    text = " or ".join(names.get(kind, kind) for kind in kinds)
    if "minimum" in schema and "maximum" in schema:
        text += f" from {schema['minimum']} to {schema['maximum']}"
    elif "minimum" in schema:
        text += f" of at least {schema['minimum']}"
    elif "exclusiveMinimum" in schema:
        text += f" above {schema['exclusiveMinimum']}"
    elif "maximum" in schema:
        text += f" of at most {schema['maximum']}"
    if "minLength" in schema:
        text += " that is not empty"
    if "prefixItems" in schema:
        text = text.replace("a list", f"a list [{', '.join(map(_allowed, schema['prefixItems']))}]")
    if kinds == ["array"] and "items" in schema:
        text += f" of {_allowed(schema['items']).removeprefix('one of ')}"
    return text


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`key=value` words as a mapping, values read as YAML. Raises `ConfigError`."""
    given: dict[str, Any] = {}
    for word in assignments:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"{word} is not of the form key=value")
        given[key.strip()] = yaml.safe_load(value)
    return given


def default_config_text() -> str:
    """The default `config.yaml`: every setting with its description as a comment."""
    lines = [
        "# Every setting of Segue, with its default. Change what you like here, or for one run:",
        "#   snakemake --cores 4 --config 'humanize={amount: 0.5}' seed=7",
        "# A comment tells what is heard or done, and what is allowed.",
    ]
    for key, part in run_schema()["properties"].items():
        lines.append("")
        _write_setting(lines, key, part, "")
    return "\n".join(lines) + "\n"


def _write_setting(lines: list[str], key: str, schema: Schema, indent: str) -> None:
    text = " ".join(str(schema.get("description", "")).split())
    nested = schema.get("type") == "object" and "properties" in schema
    if not nested:
        text = f"{text} [{_allowed(schema).removeprefix('one of ')}]".strip()
    lines += [f"{indent}# {line}" for line in textwrap.wrap(text, 100 - len(indent))]
    if nested:
        lines.append(f"{indent}{key}:")
        for name, part in schema["properties"].items():
            _write_setting(lines, name, part, indent + "  ")
        return
    value = yaml.safe_dump(schema["default"], default_flow_style=True, width=1000).strip()
    lines.append(f"{indent}{key}: {value.removesuffix('...').strip()}")
