# Freehold: everything runs from here and needs make and Python 3.11 or newer, nothing else.
#
#   make demo       the gateway and emulated clouds on this machine, no account and no key needed
#   make test       all tests               (PYTEST="-k name" narrows)
#   make test-agents  Claude Code, Codex and Gemini CLI finish a task through the gateway (needs npm; 700 MB)
#   make lint       ruff, basedpyright, import contracts
#   make docs       every documented command, every link, every anchor
#   make docs-reference  write the reference pages anew
#   make benchmark  what a request costs, measured here
#   make replay     what each strategy costs and answers, against every fixed choice
#   make format     let ruff rewrite
#   make lock       resolve the dependencies anew
#
# Each target installs what it needs into .venv, from files that name the hash of everything, once per change of them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
# The first that runs and is new enough: a name on the path may be a shim without an interpreter behind it.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$name" && break; done)
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
# Only what the lock names, and the package itself without asking for anything more.
PACKAGE := $(INSTALL) --no-deps --no-build-isolation --editable .
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
PYTEST ?=
WORKERS ?= auto
RESULTS := build/test-results.xml

.PHONY: help demo test test-agents lint lint-rules lint-format lint-types lint-imports docs docs-reference benchmark replay format lock clean

help:
	@sed -n 's/^#   make/  make/p' Makefile

demo: $(VENV)/.runtime
	$(BIN)/freehold demo

test: $(VENV)/.dev
	mkdir -p build
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --junitxml=$(RESULTS) $(PYTEST)

# Outside `.ci/run`: it installs the agents from their registry.
test-agents: $(VENV)/.dev
	TEST_AGENTS=1 $(BIN)/pytest tests/agents $(PYTEST)

lint: lint-rules lint-format lint-types lint-imports

lint-rules: $(VENV)/.dev
	$(BIN)/ruff check .

lint-format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint-types: $(VENV)/.dev
	$(BIN)/basedpyright

lint-imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) tests/docs $(PYTEST)

docs-reference: $(VENV)/.dev
	$(BIN)/python -m freehold.reference

benchmark: $(VENV)/.dev
	$(BIN)/python -m benchmarks

replay: $(VENV)/.dev
	$(BIN)/python -m benchmarks.replay

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# `make lock UPGRADE=` keeps the versions that are locked now and adds what is new.
UPGRADE ?= --upgrade
lock: $(VENV)/.uv pyproject.toml
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	$(LOCK) $(UPGRADE) pyproject.toml --group build --constraint requirements/dev.txt --no-annotate \
		--output-file requirements/runtime.txt
	$(LOCK) $(UPGRADE) --group bootstrap --output-file requirements/bootstrap.txt
	$(LOCK) $(UPGRADE) --group previous-google --output-file requirements/previous-google.txt

clean:
	rm -rf build dist $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.uv: requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "Freehold needs Python 3.11 or newer. Install one, or: make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bootstrap.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(VENV)/.uv
	$(INSTALL) --require-hashes --requirement requirements/runtime.txt
	$(PACKAGE)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(VENV)/.uv
	$(INSTALL) --require-hashes --requirement requirements/dev.txt
	$(PACKAGE)
	@touch $@
