# One command a task; each sets up .venv on first use. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RIVALS := .venv-rivals
HOST ?= 127.0.0.1
PORT ?= 8080
DATA_DIR ?= $(HOME)/.millstream

.PHONY: help demo serve test test-slow lint format bench bench-full clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Millstream needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what is needed into $(VENV) (first use takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python -m millstream.pipeline.warm
	@touch $(READY)

demo: $(READY) ## run the main job on real input: New York flights through a live pipeline
	@$(BIN)/python demo/flights.py

serve: $(READY) ## start the server (HOST, PORT, DATA_DIR)
	@$(BIN)/millstream serve --host $(HOST) --port $(PORT) --data-dir $(DATA_DIR)

test: $(READY) ## run the tests (the slow share: make test-slow)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(READY) ## run the slow share of the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m slow --timeout 600

lint: $(READY) ## check style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

$(RIVALS)/.ready: benchmarks/rivals.lock
	@test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	@echo "Installing Pathway, to compare with, into $(RIVALS)"
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/rivals.lock
	@touch $@

bench: $(READY) $(RIVALS)/.ready ## run a quick selection of the benchmarks and rewrite docs/benchmarks.md
	@$(BIN)/python -m benchmarks

bench-full: $(READY) $(RIVALS)/.ready ## run all benchmarks, for two hours
	@$(BIN)/python -m benchmarks --full

clean: ## remove the environment and caches
	rm -rf $(VENV) $(RIVALS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
