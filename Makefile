# What a newcomer needs is `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit lint format bench schemas

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

setup: $(READY) ## Make the environment in .venv, with the pinned versions

$(READY): pyproject.toml constraints.txt deploy/system-packages.sh
	PYTHON=$(PYTHON) sh deploy/system-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,viz]'
	touch $(READY)

demo: $(READY) ## Find edited copies of made clips, or of real ones: make demo VIDEOS=dir
	$(BIN)/copydetect demo $(if $(VIDEOS),--videos '$(VIDEOS)')

test: $(READY) ## Run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

test-unit: $(READY) ## Run the unit tests, in under a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not integration'

lint: $(READY) ## Check style, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Run the benches
	$(BIN)/python -m bench.extract
	$(BIN)/python -m bench.scan

schemas: $(READY) ## Write the JSON Schemas of the events to deploy/schemas
	$(BIN)/copydetect schemas
