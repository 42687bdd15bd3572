# Every command a developer needs. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WHEEL_DIR := target/wheels-dev
PROMETHEUS := target/prometheus
KEEP ?=
# More than there may be processors, as the tests wait more than they compute.
TEST_PROCESSES ?= 4

# Everything below is for POSIX sh; one shell a recipe keeps traps and variables together.
.ONESHELL:
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.PHONY: help demo test lint format test-rust test-python wheel install prometheus lock clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: install ## Run OpenBao and Synapse and log a user in; KEEP=1 leaves them running
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

test: lint test-rust test-python ## Check and test everything

lint: $(VENV)/stamp ## Check formatting, lints and types
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- --deny warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(VENV)/stamp ## Format all code
	cargo fmt
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

test-rust: ## Run the unit tests of the core
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked; else cargo test --locked; fi

# A file's tests share servers, so they stay together; tests/conftest.py has the order of files.
test-python: install prometheus ## Run the Python tests, unit and end to end
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

wheel: $(VENV)/stamp ## Build the wheel as it is released
	$(BIN)/maturin build --release --locked --out dist

install: $(VENV)/stamp ## Build the wheel without optimization and install it for the tests
	@rm -rf $(WHEEL_DIR)
	$(BIN)/maturin build --quiet --profile dev --locked --out $(WHEEL_DIR)
	$(BIN)/pip install --quiet --force-reinstall --no-deps $(WHEEL_DIR)/*.whl

prometheus: ## Fetch Debian's Prometheus, which tests alerts and metrics, if there is none
	@if command -v promtool >/dev/null || test -x $(PROMETHEUS)/usr/bin/promtool; then exit 0; fi
	command -v apt-get >/dev/null || {
	  echo 'promtool is missing: the tests that need it are skipped' >&2; exit 0; }
	rm -rf $(PROMETHEUS)
	mkdir -p $(PROMETHEUS)
	cd $(PROMETHEUS)
	as_root=; test "$$(id -u)" = 0 || as_root='sudo -n'
	apt-get download -qq prometheus 2>/dev/null || {
	  $$as_root apt-get update -qq || true
	  apt-get download -qq prometheus 2>/dev/null || {
	    echo 'cannot fetch promtool: the tests that need it are skipped' >&2; exit 0; }; }
	dpkg-deb --fsys-tarfile prometheus_*.deb |
	  tar --extract ./usr/bin/prometheus ./usr/bin/promtool
	rm prometheus_*.deb

$(VENV)/stamp: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
	  echo '$(PYTHON) is older than 3.10; name another one: make PYTHON=python3.12 ...' >&2; exit 1; }
	command -v cargo >/dev/null || { echo 'cargo is missing: install Rust from https://rustup.rs' >&2; exit 1; }
	echo 'Setting up $(VENV) ...'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

lock: $(VENV)/stamp ## Pin the newest versions of what development needs
	cd requirements
	for name in synapse dev; do
	  ../$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.10 \
	    --custom-compile-command 'make lock' --output-file $$name.txt $$name.in
	done

clean: ## Remove what the other commands made
	rm -rf $(VENV) .venvs target dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
