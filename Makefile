# Both commands set everything up themselves: Python 3.11 or newer and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types contracts pytest screenshots clean

demo: $(VENV)/.ready-run
	$(BIN)/cascade-tui demo

test: lint types contracts pytest

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "cascade-tui needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.ready-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.ready-run

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-test
	$(BIN)/mypy

contracts: $(VENV)/.ready-test
	$(BIN)/lint-imports

pytest: $(VENV)/.ready-test
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

# A picture of every screen for the README, from real runs of the demo: ten minutes on two cores.
screenshots: $(VENV)/.ready-test
	$(BIN)/python -m cascade_tui.screenshots --to screenshots

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
