# Saras: every everyday command. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
MEMBERS := common user-service api-gateway portfolio-service smallcase-service trade-executor notification-service analytics-service infra/kite-sandbox infra/all-in-one
PYPROJECTS := $(addsuffix /pyproject.toml,$(MEMBERS))

.PHONY: help setup run up down demo test check fmt services schemas migration bench prove lock sbom clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/.ready ## Make .venv with everything, tests and checks included

.venv/.runtime: requirements.lock $(PYPROJECTS) scripts/setup.sh
	@PYTHON="$(PYTHON)" scripts/setup.sh requirements.lock $(MEMBERS)
	@touch $@

.venv/.ready: .venv/.runtime requirements-dev.lock
	@PYTHON="$(PYTHON)" scripts/setup.sh requirements-dev.lock
	@touch $@

run: .venv/.runtime ## Start the platform with demo users on http://127.0.0.1:8000 (Ctrl-C ends it)
	@$(BIN)/saras up --demo-users

up: .venv/.runtime ## The same, every service's processes apart on private PostgreSQL, RabbitMQ and Redis, in the background
	@$(BIN)/saras up --spread --detach

down: .venv/.runtime ## End what `make up` started
	@$(BIN)/saras down

demo: .venv/.runtime ## 200 users, 2,000 orders, faults and all, on a fresh home; fails unless every book balances
	@$(BIN)/saras demo

test: .venv/.ready ## Run every test; those that need RabbitMQ or Redis say so when they are skipped
	$(BIN)/python -m pytest -n 3 --dist loadfile

check: .venv/.ready ## Lint, types, import rules, schemas under diff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addsuffix /src,$(MEMBERS)) scripts bench prove
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(addsuffix /src,$(MEMBERS)) scripts
	$(BIN)/python scripts/schemas.py --check
	$(BIN)/python scripts/chart.py --check
	$(BIN)/python scripts/dashboards.py --check

fmt: .venv/.ready ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

services: ## Install RabbitMQ, Redis and Chromium (Debian or Ubuntu, as root) for the tests that need them
	scripts/services.sh

schemas: .venv/.ready ## Write docs/events, docs/openapi, the chart's schema and manifests and the dashboards from the code
	$(BIN)/python scripts/schemas.py
	$(BIN)/python scripts/chart.py
	$(BIN)/python scripts/dashboards.py

migration: .venv/.ready ## New migration from the models: make migration service=user-service name=add_phone
	$(BIN)/python scripts/migration.py "$(service)" "$(name)"

bench: .venv/.ready ## Measure speed; prints a table and writes bench/results.json (only="accept_single burst" for some)
	$(BIN)/python bench/run.py $(only)

prove: .venv/.ready ## Try to break what is promised; writes docs/reliability.md (only="simulation money" for some, seed= to repeat)
	$(BIN)/python -m prove.run $(only) $(if $(seed),--seed $(seed))

lock: .venv/.ready ## Pin requirements.in and requirements-dev.in again, with hashes
	scripts/lock.sh

sbom: .venv/.ready ## Write dist/sbom.json: every package of the lock, as CycloneDX
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.lock --output-reproducible -o dist/sbom.json

clean: ## Remove the virtual environment and caches; .saras stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
