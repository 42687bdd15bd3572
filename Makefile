# Every command a developer needs. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
REQUIREMENTS := requirements/dev.txt
BIN := $(VENV)/bin
AUDIT := .venvs/audit
WHEEL_DIR := target/wheels-dev
PROFILE := dev
# The secrets engine: the name of its crate, its binary and its plugin.
ENGINE := vault-plugin-secrets-matrix
# Such as x86_64-unknown-linux-musl; this machine's, if not given.
ENGINE_TARGET ?=
# Apart from the others, as a package cannot be there in two versions.
OLDEST_OPENBAO := .venvs/openbao-oldest
# Apart from the tests' environment, as what is measured is the wheel as it is released.
BENCH_VENV := .venvs/bench
BENCH_BIN := $(BENCH_VENV)/bin
PROMETHEUS := target/prometheus
NGINX := target/nginx
WRK := target/wrk
COMPILE := $(abspath $(BIN))/uv pip compile --quiet --universal --generate-hashes --python-version 3.10
# When the Synapse of requirements/oldest.in was new. What it needs is of that day.
OLDEST_SYNAPSE_DATE := 2024-02-05
# Of the wheel's files, and in its bill of materials: when the sources were last changed.
WHEEL_DATE := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || echo 315532800))
# Where the sources and the crates lie shows in no byte of what is built with these.
define RELEASE_FLAGS
CARGO_ENCODED_RUSTFLAGS=$$(printf -- '--remap-path-prefix=%s\037--remap-path-prefix=%s' \
  "$$PWD=." "$${CARGO_HOME:-$$HOME/.cargo}=/cargo")
endef
define BUILD_WHEEL
rm -f dist/*.whl
SOURCE_DATE_EPOCH=$(WHEEL_DATE) $(RELEASE_FLAGS) $(abspath $(BIN))/maturin build --release --locked --out dist
$(abspath $(BIN))/python .ci/sbom.py dist/*.whl
endef
KEEP ?=
MAS ?=
QUICK ?=
ONLY ?=
SECONDS ?= 1800
SOAK_RESULTS := --json docs/reliability/soak.json --manual docs/reliability.md
ARGS ?=
# All of them, unless some are named.
TESTS ?=
# More than there may be processors, as the tests wait more than they compute.
TEST_PROCESSES ?= 6

# What `make fuzz` makes up for each part of the core: input of a known shape, and input that is led
# by what it reaches. And how many logins.
CASES ?= 250000
RUNS ?= 2000000
LOGINS ?= 2000

# Some shells forbid it, and then every process that shares the tests compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE

# Everything below is for POSIX sh; one shell a recipe keeps traps and variables together.
.ONESHELL:
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.PHONY: help demo test lint format test-rust test-python test-long test-oldest test-prerelease \
  test-optimized bench soak fuzz fuzz-guided test-cluster wheel optimized reproducible install \
  engine engine-dev demo-engine prometheus nginx wrk cluster-packages audit advisories audit-tools \
  lock clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

demo: install ## Run OpenBao and Synapse and log a user in; KEEP=1 leaves them running, MAS=1 adds MAS
	@$(BIN)/python -m tests.demo$(if $(MAS),_mas) $(if $(KEEP),--keep)

demo-engine: install engine-dev ## Run OpenBao with the secrets engine, and Synapse, and lease a token; KEEP=1 leaves them running
	@$(BIN)/python -m tests.demo_engine $(if $(KEEP),--keep)

test: lint test-rust test-python ## Check and test everything

lint: $(VENV)/stamp ## Check formatting, lints and types
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(VENV)/stamp ## Format all code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# The same inputs each time; `make fuzz` makes up others.
test-rust: ## Run the unit tests of the core and of the secrets engine
	export PROPTEST_RNG_SEED=1
	crates='--package synapse-vault-auth-provider-core --package $(ENGINE)'
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked $$crates; else cargo test --locked $$crates; fi

# Where the sources and the crates lie shows in no byte of it, as with the wheel.
engine: ## Build the secrets engine as it is released into dist/, with its SHA-256
	@$(RELEASE_FLAGS) cargo build --quiet --release --locked --package $(ENGINE) \
	  $(if $(ENGINE_TARGET),--target $(ENGINE_TARGET))
	mkdir -p dist
	cp target/$(if $(ENGINE_TARGET),$(ENGINE_TARGET)/)release/$(ENGINE) dist/
	cd dist
	sha256sum $(ENGINE) | tee $(ENGINE).sha256

# What the tests run: built without optimization, as their wheel is.
engine-dev:
	@cargo build --quiet --locked --package $(ENGINE)

# A file's tests share servers, so they stay together; tests/conftest.py has the order of files.
test-python: install engine-dev prometheus nginx $(OLDEST_OPENBAO)/stamp ## Run the Python tests, unit and end to end
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder \
	  $(TESTS)

test-long: install engine-dev ## Run the Python tests that take long, which `make test` leaves out
	$(BIN)/python -m pytest -m nightly --numprocesses $(TEST_PROCESSES) --dist loadfile $(TESTS)

test-oldest: ## Run the Python tests with the oldest Synapse that is supported
	@$(MAKE) test-python VENV=.venvs/oldest REQUIREMENTS=requirements/oldest.txt

test-prerelease: $(VENV)/stamp ## Run the Python tests with Synapse's next release, if there is a candidate
	@mkdir -p target
	cp requirements/dev.txt target/prerelease.txt
	$(COMPILE) --prerelease allow --upgrade-package matrix-synapse \
	  --output-file target/prerelease.txt requirements/dev.in
	$(MAKE) test-python VENV=.venvs/prerelease REQUIREMENTS=target/prerelease.txt

test-optimized: ## Run the Python tests with the core as it is released
	@$(MAKE) test-python VENV=.venvs/optimized PROFILE=release

bench: optimized wrk engine ## Measure into docs/performance.md; QUICK=1 only tries it, ONLY='NAME ...' keeps the rest
	@$(RELEASE_FLAGS) cargo build --quiet --release --locked --example raw_limit
	$(BENCH_BIN)/python -m benches $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

# The results of a full run alone are worth keeping.
soak: optimized ## Log in while Vault is killed every minute; SECONDS=60 only tries it
	@$(BENCH_BIN)/python -m benches.soak --seconds $(SECONDS) $(if $(filter 1800,$(SECONDS)),$(SOAK_RESULTS))

# The wheel as it is released, where the tests' own does not take its place.
optimized: $(BENCH_VENV)/stamp wheel
	@wheel=$$(ls -t dist/*.whl | head -n 1)
	$(BENCH_BIN)/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$$wheel"

# `make test` does less of the same. Symbols tell Valgrind what to count in the code as released.
fuzz: install ## Look for faults with millions of inputs: CASES and RUNS for each part, LOGINS over HTTP
	PROPTEST_CASES=$(CASES) cargo test --locked --package synapse-vault-auth-provider-core --package $(ENGINE) --lib fuzz::
	$(MAKE) fuzz-guided
	WRONG_DOORS_CASES=$(LOGINS) $(BIN)/python -m pytest tests/e2e/test_wrong_doors.py
	CARGO_PROFILE_RELEASE_STRIP=none cargo test --locked --release --test constant_time -- --nocapture

# AddressSanitizer would need a nightly compiler, and find little where no code is unsafe.
fuzz-guided:
	@cargo fuzz --version >/dev/null 2>&1 || {
	  echo 'there is no cargo-fuzz: input that is led by what it reaches is left out' >&2; exit 0; }
	cargo fuzz build --sanitizer none --target-dir target/fuzz
	targets=$$(cargo fuzz list)
	for target in $$targets; do
	  corpus=tests/corpus/$$target
	  test "$$target" != homeserver_path || corpus=tests/corpus/user_id
	  mkdir -p "target/fuzz/corpus/$$target"
	  cargo fuzz run --sanitizer none --target-dir target/fuzz "$$target" \
	    "target/fuzz/corpus/$$target" "$$corpus" -- -runs=$(RUNS) -max_len=4096 -timeout=10 \
	    -print_final_stats=1 -artifact_prefix="$$corpus/found-" >target/fuzz/log 2>&1 || {
	      tail -n 60 target/fuzz/log
	      echo "$$target has failed; what it was given is kept in $$corpus" >&2
	      exit 1; }
	  echo "$$target: $$(sed -n 's/^stat::number_of_executed_units: *//p' target/fuzz/log) inputs"
	done

wheel: $(VENV)/stamp ## Build the wheel as it is released
	$(BUILD_WHEEL)

# Crates are not fetched twice, but they seem to lie elsewhere.
reproducible: $(VENV)/stamp ## Build that wheel twice, in two places, and compare the bytes
	@elsewhere=$$(mktemp -d)
	trap 'rm -rf "$$elsewhere"' EXIT
	rm -rf target/reproducible
	for place in "$$PWD/target/reproducible" "$$elsewhere/another place"; do
	  mkdir -p "$$place/source" "$$place/cargo" "$${CARGO_HOME:-$$HOME/.cargo}/registry"
	  git ls-files -z | xargs -0 cp --parents -t "$$place/source"
	  ln -s "$${CARGO_HOME:-$$HOME/.cargo}/registry" "$$place/cargo/registry"
	  (cd "$$place/source"; export CARGO_HOME="$$place/cargo" CARGO_TARGET_DIR=target; $(BUILD_WHEEL))
	done
	sha256sum target/reproducible/source/dist/*.whl "$$elsewhere/another place"/source/dist/*.whl
	cmp target/reproducible/source/dist/*.whl "$$elsewhere/another place"/source/dist/*.whl
	echo 'both wheels are the same'

install: $(VENV)/stamp ## Build the wheel without optimization and install it for the tests
	@rm -rf $(WHEEL_DIR)
	$(if $(filter release,$(PROFILE)),$(RELEASE_FLAGS)) \
	  $(BIN)/maturin build --quiet --profile $(PROFILE) --locked --out $(WHEEL_DIR)
	$(BIN)/pip install --quiet --force-reinstall --no-deps $(WHEEL_DIR)/*.whl

# Unpack packages of Debian's, $(2), in a folder, $(1), and stay there; `without` says what follows
# if that is impossible.
define fetch
command -v apt-get >/dev/null || without 'there is no'
rm -rf $(1)
mkdir -p $(1)
cd $(1)
as_root=; test "$$(id -u)" = 0 || as_root='sudo -n'
apt-get download -qq $(2) 2>/dev/null || {
  $$as_root apt-get update -qq || true
  apt-get download -qq $(2) 2>/dev/null || without 'cannot fetch'; }
for package in *.deb; do dpkg-deb --extract "$$package" .; done
rm *.deb
endef

prometheus: ## Fetch Debian's Prometheus, which tests alerts and metrics, if there is none
	@if command -v promtool >/dev/null || test -x $(PROMETHEUS)/usr/bin/promtool; then exit 0; fi
	without() { echo "$$1 promtool: the tests that need it are skipped" >&2; exit 0; }
	$(call fetch,$(PROMETHEUS),prometheus)

nginx: ## Fetch Debian's nginx, which runs the manual's reverse proxies, if there is none
	@if PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || test -x $(NGINX)/usr/sbin/nginx; then exit 0; fi
	without() { echo "$$1 nginx: the tests that need it are skipped" >&2; exit 0; }
	$(call fetch,$(NGINX),nginx)

wrk: ## Fetch Debian's wrk, which benchmarks compare with, if there is none
	@if command -v wrk >/dev/null || test -x $(WRK)/wrk; then exit 0; fi
	without() { echo "$$1 wrk: install it, as the benchmarks need it" >&2; exit 1; }
	$(call fetch,$(WRK),wrk libluajit-5.1-2)
	cat >wrk.new <<'end'
	#!/bin/sh
	here=$$(dirname "$$0")
	LD_LIBRARY_PATH=$$(echo "$$here"/usr/lib/*/) exec "$$here/usr/bin/wrk" "$$@"
	end
	chmod +x wrk.new
	./wrk.new --version 2>&1 | grep -q '^wrk ' || without 'cannot run the fetched'
	mv wrk.new wrk

$(VENV)/stamp: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
	  echo '$(PYTHON) is older than 3.10; name another one: make PYTHON=python3.12 ...' >&2; exit 1; }
	command -v cargo >/dev/null || { echo 'cargo is missing: install Rust from https://rustup.rs' >&2; exit 1; }
	echo 'Setting up $(VENV) ...'
	$(PYTHON) -m venv --clear $(VENV)
	# The file has all that is needed, and what is old may be below what others ask for.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

$(BENCH_VENV)/stamp: requirements/bench.txt $(VENV)/stamp
	@echo 'Setting up $(BENCH_VENV) ...'
	$(BIN)/python -m venv --clear $(BENCH_VENV)
	$(BENCH_BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	touch $@

$(OLDEST_OPENBAO)/stamp: requirements/openbao-oldest.txt $(VENV)/stamp
	@$(BIN)/python -m venv --clear $(OLDEST_OPENBAO)
	$(OLDEST_OPENBAO)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

# ARGS=--publish writes into docs/reliability.md.
test-cluster: optimized cluster-packages ## Log in while faults hit a whole deployment; best as root
	@PATH="$$PATH:/usr/sbin:/sbin" $(BENCH_BIN)/python -m tests.cluster $(ARGS)

# Their services run beside: nothing here uses them.
cluster-packages:
	@PATH="$$PATH:/usr/sbin:/sbin"
	missing=
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing=postgresql
	for needed in redis-server:redis-server nginx:nginx-light nft:nftables ip:iproute2; do
	  command -v "$${needed%:*}" >/dev/null || missing="$$missing $${needed#*:}"
	done
	test -n "$$missing" || exit 0
	as_root=; test "$$(id -u)" = 0 || as_root='sudo -n'
	echo "Installing $$missing ..."
	{ $$as_root apt-get update -qq &&
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$missing
	} >/dev/null || { echo "cannot install these packages of Debian: $$missing" >&2; exit 1; }

# Not part of `make lint`: cargo-deny takes minutes to install.
audit: audit-tools ## Check licences and sources of all crates, and the workflows, without the internet
	cargo deny --locked --offline check licenses bans sources
	$(AUDIT)/bin/zizmor --offline .github

advisories: audit-tools ## Look for known vulnerabilities in crates and packages
	cargo deny --locked check advisories
	cargo audit --deny warnings
	for name in bench audit; do
	  $(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/$$name.txt
	done

audit-tools:
	@$(MAKE) VENV=$(AUDIT) REQUIREMENTS=requirements/audit.txt $(AUDIT)/stamp

lock: $(VENV)/stamp ## Pin the newest versions of what development needs, and what the oldest Synapse does
	cd requirements
	for name in synapse dev bench audit openbao-oldest; do
	  $(COMPILE) --upgrade --custom-compile-command 'make lock' --output-file $$name.txt $$name.in
	done
	$(COMPILE) --upgrade --no-strip-extras --exclude-newer $(OLDEST_SYNAPSE_DATE) \
	  --output-file ../target/oldest.txt oldest.in
	$(COMPILE) --upgrade --override ../target/oldest.txt --custom-compile-command 'make lock' \
	  --output-file oldest.txt dev.in oldest.in

clean: ## Remove what the other commands made
	rm -rf $(VENV) .venvs target dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
