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

# Pictures for the README, from a real run of the demo.
screenshots: $(VENV)/.ready-test
	$(BIN)/cascade-tui demo --no-ui
	$(BIN)/python -m cascade_tui.screenshots --config demo-output/demo.toml \
		--run $$(ls -d demo-output/run* | sort -V | tail -n 1) --to screenshots

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
