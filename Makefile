# `make run` and `make test` do their own set-up: Python 3.11, make and a package registry are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
CORES ?= all
ARGS ?=
TRAINING_VENV := .venv-training
TRAINING_LOCK ?= training/requirements.lock

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run setup test lint format bench lock train demonstration clean

help:
	@echo "make run    set up, then process input/ into output/ (ARGS='--config seed=7' for more)"
	@echo "make test   set up, then run the tests"
	@echo "make lint   ruff, snakefmt and snakemake --lint"
	@echo "make bench  measure speed and quality into benchmarks/results/"
	@echo "make train  train every model again (an environment of its own)"
	@echo "make lock   write the lock files from the requirements"
	@echo "make clean  remove work/, output/ and caches"

run: setup
	@snakemake --cores $(CORES) $(ARGS)

setup: $(STAMP)

# uv installs the hashed lock in seconds; pip brings uv and nothing else.
$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] >= (3, 11) else "Segue needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

test: setup
	@python -m pytest $(ARGS)

lint: setup
	@ruff check . && ruff format --check . && snakefmt --check workflow training/Snakefile && snakemake --lint && snakemake -s training/Snakefile --lint

format: setup
	@ruff check --fix . && ruff format . && snakefmt workflow training/Snakefile

bench: setup
	@python -m benchmarks.run $(ARGS)

# PyTorch lives in an environment of its own; see training/README.md for its CPU build.
$(TRAINING_VENV)/.ready: $(TRAINING_LOCK) pyproject.toml | setup
	@echo "Setting up $(TRAINING_VENV) (once) ..."
	@test -x $(TRAINING_VENV)/bin/python || $(PYTHON) -m venv $(TRAINING_VENV)
	@$(BIN)/uv pip sync --python $(TRAINING_VENV)/bin/python --require-hashes $(TRAINING_LOCK)
	@touch $@

train: $(TRAINING_VENV)/.ready
	@PYTHONPATH=src:. $(TRAINING_VENV)/bin/python -m snakemake -s training/Snakefile --cores 2 $(ARGS)

demonstration: setup
	@python scripts/write_demonstration.py input

lock: setup
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links requirements.in --output-file requirements.lock
	@echo uv | uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - --output-file requirements-uv.lock

clean:
	@rm -rf work output .snakemake .pytest_cache .ruff_cache .hypothesis
