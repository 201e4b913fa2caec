# Each target creates the environment it needs. Nothing is installed outside this folder.
#   make PYTHON=python3.12 test     another interpreter
#   make JOBS=4 test                more test processes

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
HASH := $(shell cksum pyproject.toml | cut -d ' ' -f 1)
RUNTIME := $(VENV)/.runtime-$(HASH)
DEV := $(VENV)/.dev-$(HASH)
FLOOR := .venv-floor/.installed-$(HASH)
PANEL := vscode-extension
MODULES := $(PANEL)/node_modules/.installed-$(shell cat $(PANEL)/package.json $(PANEL)/package-lock.json | cksum | cut -d ' ' -f 1)
# An environment that was activated elsewhere must not decide what is imported here.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-panel lint type format bench docs guides prices recordings schema vsix test-floor test-compat clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: $(RUNTIME) ## Record a small simulated pipeline and show what was recorded
	@$(BIN)/empathy demo

test: $(DEV) lint type ## Everything: lint, types, security, all tests, coverage above 90%
	@echo "bandit"
	@$(BIN)/bandit -q -c pyproject.toml -r src
	@$(PYTEST) -n $(JOBS) --dist loadgroup --cov --cov-report=term --cov-fail-under=90
	@$(MAKE) --no-print-directory test-panel

test-fast: $(DEV) ## The tests that take no time, without the providers' clients
	@$(PYTEST) -q -n $(JOBS) -m "not slow" --ignore tests/e2e

# What a machine does not have is said, and the rest is tested.
test-panel: ## The VS Code panel: types, lint, unit tests, and in a real VS Code
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null \
	  || { echo "vscode-extension: skipped, it needs Node 20 or newer and npm"; exit 0; } \
	  && $(MAKE) --no-print-directory $(MODULES) && cd $(PANEL) && npm run --silent check

vsix: $(MODULES) ## The VS Code extension as a file: vscode-extension/dist/attune-monitoring.vsix
	@cd $(PANEL) && npm run --silent build && npm run --silent package

lint: $(DEV) ## ruff: rules and format
	@echo "ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }

type: $(DEV) ## mypy --strict
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

format: $(DEV) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format .

bench: $(DEV) ## Overhead, as ratios to a hand-written OpenTelemetry span
	@$(BIN)/python benchmarks/overhead.py

docs: $(DEV) ## Run every example of README and docs, and check their links
	@$(BIN)/python tools/make_schema.py --check
	@$(BIN)/python tools/make_dashboards.py --check
	@$(PYTEST) -q tests/test_readme.py tests/test_docs.py tests/test_guides.py

guides: $(DEV) ## Write below each command of README and the guides what it prints now
	@$(BIN)/python tools/make_guides.py

prices: $(DEV) ## Write the price table anew from the newest genai-prices
	@$(BIN)/python -m pip install --quiet --upgrade genai-prices
	@$(BIN)/python tools/make_prices.py

schema: $(DEV) ## Write the JSON Schema of monitoring.yaml
	@$(BIN)/python tools/make_schema.py

recordings: $(DEV) ## Read a folder of VCR recordings: make recordings DIR=path
	@test -n "$(DIR)" || { echo "usage: make recordings DIR=folder-of-yaml-recordings"; exit 2; }
	@$(BIN)/python tools/recordings.py "$(DIR)"

test-floor: $(FLOOR) ## The fast tests with the oldest dependencies that pyproject.toml allows
	@.venv-floor/bin/python -m pytest -q -n $(JOBS) -m "not slow" --ignore tests/e2e

test-compat: $(DEV) ## The published empathy-framework 3.8 reads our files (installs it from PyPI)
	@ATTUNE_COMPAT=1 $(PYTEST) tests/compat

$(MODULES): $(PANEL)/package.json $(PANEL)/package-lock.json
	@echo "installing what the panel is built with into $(PANEL)/node_modules"
	@cd $(PANEL) && npm install --no-save --no-audit --no-fund --loglevel=error
	@rm -f $(PANEL)/node_modules/.installed-* && touch $@

clean: ## Remove the environments and everything that tools left here
	rm -rf .venv .venv-floor .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build dist
	rm -rf $(PANEL)/node_modules $(PANEL)/dist $(PANEL)/coverage

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 …"; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# pip before 25.1 knows no dependency groups; for the demo any pip will do.
$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo "installing the package into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV): pyproject.toml | $(BIN)/python
	@echo "installing the package and its development tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@rm -f $(VENV)/.dev-* $(VENV)/.runtime-* && touch $(RUNTIME) $@

$(FLOOR): pyproject.toml tools/floor.py
	@echo "installing the oldest allowed dependencies into .venv-floor"
	@test -x .venv-floor/bin/python || $(PYTHON) -m venv .venv-floor
	@.venv-floor/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@.venv-floor/bin/python tools/floor.py > .venv-floor/constraints.txt
	@.venv-floor/bin/python -m pip install --quiet --editable . --group test -c .venv-floor/constraints.txt
	@rm -f .venv-floor/.installed-* && touch $@
