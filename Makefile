# Backstay's commands for people who work on it, or want to see it work. `make` lists them.

VENV = .venv
BIN = $(VENV)/bin

# An editable install knows the folder it was made from, so the stamps carry it: a moved checkout installs anew.
PLACE := $(shell pwd | cksum | cut -d ' ' -f 1)
MADE = $(VENV)/made
INSTALLED = $(VENV)/installed-$(PLACE)
INSTALLED_DEV = $(VENV)/installed-dev-$(PLACE)

# Given on the command line: a folder to back up, yes to keep what the demo made, options for pytest, a file to break.
SITE =
KEEP =
ARGS =
FILE =
export SITE KEEP

.PHONY: help demo test test-slow fuzz mutants bench format lint types docs screenshots clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## back up a sample site over the API, restore it, compare; SITE=/path takes a site of yours, KEEP=yes keeps the result
	@$(BIN)/python -m backstay.demo $${SITE:+--site "$$SITE"} $${KEEP:+--keep}

test: $(INSTALLED_DEV) ## run the linters, the type checker and the tests; ARGS="-k name" passes options to pytest
	@scripts/install_test_servers.sh $(VENV)
	@$(BIN)/python scripts/check.py $(ARGS)

test-slow: $(INSTALLED_DEV) ## the same with the tests that take minutes or gigabytes
	@scripts/install_test_servers.sh $(VENV)
	@$(BIN)/python scripts/check.py --slow $(ARGS)

fuzz: $(INSTALLED_DEV) ## throw damaged archives at the readers for ten minutes and more
	@$(BIN)/python scripts/fuzz.py $(ARGS)

mutants: $(INSTALLED_DEV) ## break a file line by line and see whether its tests notice; FILE=src/backstay/…, ARGS="tests/…" chooses tests
	@scripts/install_test_servers.sh $(VENV)
	@$(BIN)/python scripts/mutants.py $(FILE) $(ARGS)

bench: $(INSTALLED_DEV) ## measure: each program of benchmarks/, one after the other
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark" && $(BIN)/python "$$benchmark" || exit 1; done

format: $(INSTALLED_DEV) ## write the code the way the formatter has it, and mend what the linter can mend
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format .

lint: $(INSTALLED_DEV) ## linter, formatter and import layers, without changing anything
	@$(BIN)/python scripts/check.py --only linter --only formatter --only layers

types: $(INSTALLED_DEV) ## the strict type check
	@$(BIN)/python scripts/check.py --only types

docs: $(INSTALLED_DEV) ## write the pages of docs/reference that are made from the code
	@for script in scripts/make_*_reference.py; do $(BIN)/python "$$script" || exit 1; done

screenshots: $(INSTALLED_DEV) ## make the pictures of docs/images: real backups, a real server, Chromium
	@$(BIN)/python scripts/make_screenshots.py

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(MADE): scripts/make_venv.sh
	@scripts/make_venv.sh $(VENV)
	@touch $@

$(INSTALLED): pyproject.toml $(MADE)
	@scripts/install.sh $(VENV)
	@touch $@

$(INSTALLED_DEV): pyproject.toml $(MADE)
	@scripts/install.sh $(VENV) dev
	@touch $@ $(INSTALLED)
