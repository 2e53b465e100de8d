# `make up` runs the town; `make test` proves it. Both need only python3 (3.11 or later) and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup up test lint format types lock clean

setup: .venv/.installed

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("shequ needs Python 3.11 or later, this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

up: setup
	$(BIN)/shequ up

test: setup
	$(BIN)/python -m pytest -n auto

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/basedpyright

format: setup
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock:  # needs uv; writes names, versions and hashes, never an address
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml requirements-build.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --extra dev -c requirements.txt pyproject.toml requirements-build.in -o requirements-dev.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
