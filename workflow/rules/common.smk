# Settings, the plan of the run, and what every stage rule shares.

import atexit
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

from snakemake.exceptions import WorkflowError

from segue.config import ConfigError, check_run
from segue.process import stage_spec
from segue.report import summary
from segue.runtime import ModelError
from segue.shards import make_plan, read_plan, remove_leftovers
from segue.runlock import RunLock, RunLockError

STARTED = time.time()

# Snakemake announces each round of its scheduler; a job's own line says what it did.
logging.getLogger("snakemake.logging").addFilter(
    lambda entry: not str(entry.msg).startswith(("Select jobs to execute", "Execute "))
)

try:
    SETTINGS = check_run(config)
except ConfigError as error:
    raise WorkflowError(f"The configuration cannot be used.\n{error}") from None

INPUT, OUTPUT = Path(SETTINGS["input"]), Path(SETTINGS["output"])
SYMBOLIC = [
    s
    for s in ("humanize", "complete", "harmonize", "transfer")
    if s in SETTINGS["stages"]
]
CHAIN = ["ingest", *SYMBOLIC]
AUDIO = "render" in SETTINGS["stages"]
RUN_LOCK = RunLock(Path(SETTINGS["work"]) / "run.lock")

try:
    SPECS = {
        stage: stage_spec(stage, SETTINGS[stage], SETTINGS["seed"])
        for stage in [*CHAIN, *(["render"] if AUDIO else [])]
    }
    # A job on a cluster parses this file again and must find the plan as it was made.
    if workflow.is_main_process:
        PLAN = make_plan(INPUT, OUTPUT, Path(SETTINGS["work"]), SETTINGS["shard_size"])
    else:
        PLAN = read_plan(Path(SETTINGS["work"]), SETTINGS["shard_size"])
except (ConfigError, FileNotFoundError, ModelError) as error:
    raise WorkflowError(str(error)) from None

WORK = PLAN.folder


wildcard_constraints:
    shard=r"\d+",


def work_file(stage, ending="zip"):
    """The pattern of a stage's file of a shard."""
    return str(WORK / stage / f"{{shard}}.{ending}")


def before(stage):
    """The archive that `stage` works on: that of the last stage before it that runs."""
    chain = [*CHAIN, "render"]
    return work_file(chain[chain.index(stage) - 1])


def spec_params(stage):
    """What a stage's result depends on beside its input. Snakemake reruns a rule when it changes."""
    spec = SPECS.get(stage)
    return None if spec is None else vars(spec)


onstart:
    try:
        RUN_LOCK.acquire()
    except RunLockError as error:
        raise WorkflowError(str(error)) from None
    remove_leftovers(PLAN, OUTPUT)


# The hook at the exit runs after Snakemake has left the folder of `--directory`.
PLACED_PLAN = replace(PLAN, folder=Path.cwd() / PLAN.folder)


def summary_text():
    """What the user reads when the run ends."""
    return summary(
        PLACED_PLAN, OUTPUT, [*CHAIN, "render"], STARTED, time.time() - STARTED
    )


def tell_when_nothing_was_to_do():
    """Snakemake calls no hook when all is up to date; a user wants to read the summary all the same."""
    if workflow.executor_plugin and not workflow.dryrun and not RUN_LOCK.was_tried:
        print(summary_text(), file=sys.stderr)


if workflow.is_main_process:
    atexit.register(tell_when_nothing_was_to_do)


onsuccess:
    print(summary_text(), file=sys.stderr)


onerror:
    print(
        summary_text(),
        "\n  The run is not complete: the reason is named above. What was finished is kept; after mending "
        "it, give the same command again.",
        file=sys.stderr,
    )
