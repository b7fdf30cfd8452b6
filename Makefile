# Tapehouse. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
UV := $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
PACKAGES := tapehouse_operator tapehouse_contracts tapehouse_kube tapehouse_tape tapehouse_feed tapehouse_lake tapehouse_lakehouse tapehouse_query tapehouse_laptop tapehouse_cli tapehouse_infra
MEMBERS := operator workloads/contracts workloads/kube workloads/tape workloads/feed workloads/lake workloads/lakehouse workloads/query workloads/laptop cli pulumi

.PHONY: help setup demo down test lint types generate golden lock e2e

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/pip install -q uv

.venv/.done: requirements/main.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@echo "Python environment (main) …"
	$(UV) venv -q --allow-existing .venv
	$(UV) pip sync -q --python .venv requirements/main.lock
	$(UV) pip install -q --python .venv --no-deps $(MEMBERS:%=-e %)
	@touch $@

.venv-streams/.done: requirements/streams.lock workloads/streams/pyproject.toml | $(UV)
	@echo "Python environment (PyFlink, 700 MB) …"
	$(UV) venv -q --allow-existing .venv-streams
	$(UV) pip sync -q --python .venv-streams requirements/streams.lock
	$(UV) pip install -q --python .venv-streams --no-deps -e workloads/streams
	@touch $@

setup: .venv/.done .venv-streams/.done  ## Install everything the project needs
	$(BIN)/tapehouse prepare

lock:  ## Resolve the dependencies again and write the lock files
	$(UV) lock
	$(UV) export -q --all-packages --no-emit-workspace --no-header -o requirements/main.lock
	$(UV) pip compile -q --generate-hashes --universal --no-header --python-version 3.11 workloads/streams/pyproject.toml -o requirements/streams.lock

demo: setup  ## Run the whole platform here and show live candles
	$(BIN)/tapehouse demo

test: lint types  ## Every test that runs in minutes: unit, golden, property, API, local
	$(BIN)/pytest -n 2

lint:  ## Style, layers and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types:  ## Strict typing
	$(BIN)/mypy $(PACKAGES:%=-p %)

generate:  ## Write what is generated from the kinds: crds/, docs/reference, RBAC
	$(BIN)/python -m tapehouse_operator.shell.generate

golden:  ## Rewrite the golden files; read the diff before committing
	GOLDEN_REWRITE=1 $(BIN)/pytest -q tests/operator -k golden

e2e:  ## Long fault and sweep suites
	$(BIN)/pytest -m e2e

down:  ## Stop the platform; its data stays
	$(BIN)/tapehouse down
