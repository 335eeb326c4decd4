"""Settings: defaults, overrides, and messages that name key, value and what is allowed."""

from pathlib import Path

import pytest
import yaml

from segue.config import (
    STAGES,
    ConfigError,
    check_run,
    check_stage,
    default_config_text,
    defaults,
    parse_assignments,
    run_schema,
    stage_schema,
)

REPOSITORY = Path(__file__).resolve().parents[1]


def test_config_yaml_is_written_from_the_schemas():
    assert (REPOSITORY / "config.yaml").read_text() == default_config_text()


def test_config_yaml_holds_every_setting_at_its_default():
    assert yaml.safe_load(default_config_text()) == defaults(run_schema())


@pytest.mark.parametrize("stage", STAGES)
def test_every_setting_has_a_default_and_a_description(stage):
    schema = stage_schema(stage)
    assert schema["additionalProperties"] is False
    for key, part in schema["properties"].items():
        assert len(part.get("description", "")) > 10, key
    assert check_stage(stage, {}) == defaults(schema)


def test_numbers_from_the_command_line_arrive_as_text():
    settings = check_run({"humanize": {"amount": "0.5"}, "seed": "7", "strict": "true"})
    assert settings["humanize"]["amount"] == 0.5
    assert settings["seed"] == 7
    assert settings["strict"] is True


def test_dotted_keys_reach_into_sections():
    settings = check_stage("humanize", parse_assignments(["amount=0.25", "models.drums=groove"]))
    assert settings["amount"] == 0.25
    assert settings["models"]["drums"] == "groove"
    assert settings["models"].keys() == check_stage("humanize", {})["models"].keys()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sede": 1}, "sede is not a known setting: did you mean seed?"),
        ({"humanize": {"amount": -1}}, "humanize.amount is -1, and a number from 0 to 2 is allowed"),
        ({"humanize": {"amount": float("nan")}}, "humanize.amount is .nan, and a number from 0 to 2"),
        ({"stages": ["dance"]}, "stages.0 is dance, and one of humanize, complete, harmonize"),
        ({"humanize": 5}, "humanize is 5, and a section of settings is allowed"),
        ({"shard_size": 0}, "shard_size is 0, and a whole number from 1 to 4096 is allowed"),
    ],
)
def test_errors_name_key_value_and_what_is_allowed(given, sentence):
    with pytest.raises(ConfigError) as caught:
        check_run(given)
    assert sentence in str(caught.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        check_run({"sede": 1, "seed": -1, "input": ""})
    assert len(str(caught.value).splitlines()) == 3


def test_a_fault_is_told_once():
    with pytest.raises(ConfigError) as caught:
        check_stage("humanize", {"preset": None})
    assert len(str(caught.value).splitlines()) == 1


def test_assignments_without_equals_sign_are_refused():
    with pytest.raises(ConfigError, match="key=value"):
        parse_assignments(["amount"])
