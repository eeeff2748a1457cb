# What a newcomer needs is `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit lint format bench bench-quality bench-generated bench-lookalikes chaos chaos-controls schemas up-local down-local up down

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

setup: $(READY) ## Make the environment in .venv, with the pinned versions

$(READY): pyproject.toml constraints.txt deploy/system-packages.sh
	PYTHON=$(PYTHON) sh deploy/system-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,train,viz]'
	touch $(READY)

demo: $(READY) ## Find edited copies of made clips, or of real ones: make demo VIDEOS=dir
	$(BIN)/copydetect demo $(if $(VIDEOS),--videos '$(VIDEOS)')

test: $(READY) ## Run all tests: what needs no servers first
	sh deploy/system-packages.sh test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not integration' -n auto --cov --cov-report=
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m integration

test-unit: $(READY) ## Run the unit tests, which start no servers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not integration' -n auto

up-local: $(READY) ## Start Kafka, Redis and Milvus here; KAFKA_PORT=, REDIS_PORT=, MILVUS_PORT= choose their ports
	@sh deploy/system-packages.sh servers
	@$(BIN)/python -m tests.servers up .local $(if $(KAFKA_PORT),--kafka-port $(KAFKA_PORT)) \
		$(if $(REDIS_PORT),--redis-port $(REDIS_PORT)) $(if $(MILVUS_PORT),--milvus-port $(MILVUS_PORT))

down-local: ## Stop them; what is in them stays in .local
	@$(BIN)/python -m tests.servers down .local

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

bench-quality: $(READY) ## Measure how well edited copies are found: make bench-quality BUNDLES="default bootstrap"
	$(BIN)/python -m bench.quality $(if $(BUNDLES),--bundle $(BUNDLES)) $(if $(JSON),--json '$(JSON)')

bench-generated: $(READY) ## The same on clips that are generated, with look-alikes: needs no data, takes ten minutes
	$(BIN)/python -m bench.generated $(if $(BUNDLES),--bundle $(BUNDLES)) $(if $(JSON),--json '$(JSON)')

bench-lookalikes: $(READY) ## Count alerts between videos that look alike and share nothing, by kind: needs ../shared/data
	$(BIN)/python -m bench.lookalikes $(if $(BUNDLES),--bundle $(BUNDLES)) $(if $(JSON),--json '$(JSON)')

chaos: $(READY) ## Look for loss and doubles under faults: make chaos MINUTES=5 SEED=1; CONTROL=name must find some
	@sh deploy/system-packages.sh test
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED)) \
		$(if $(CONTROL),--control $(CONTROL))

chaos-controls: $(READY) ## Take each guarantee away in turn: fails if a run finds nothing wrong then
	@sh deploy/system-packages.sh test
	$(BIN)/python -m tests.chaos --control all

schemas: $(READY) ## Write the JSON Schemas of the events to deploy/schemas
	$(BIN)/copydetect schemas

COMPOSE = docker compose --file deploy/compose.yaml $(if $(GPU),--file deploy/compose.gpu.yaml)
ENGINE = docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || { \
	echo "make $@ needs Docker with its compose plugin (2.24 or newer), and a running engine" >&2; exit 1; }

up: ## Run everything in containers: Kafka, Redis, Milvus, the services, Grafana; with a GPU: make up GPU=1
	@$(ENGINE)
	$(COMPOSE) up --detach --build

down: ## Stop it; what is stored stays in volumes
	@$(ENGINE)
	$(COMPOSE) down
