# Every target installs what it needs first, into .venv, and only when the lock changed.

# `=` asks for an interpreter only when an environment has to be made; `make PYTHON=... test` names one.
PYTHON ?= $(shell .ci/find-python)
VENV := .venv
BIN := $(VENV)/bin
OTHER_PYTHONS := 3.12 3.13
QUICK_TESTS := tests/domain tests/runtime
PYTEST_ARGS ?=
PYTEST_JOBS ?= 2
RUNS ?= 1000000
CODE := interlock pytest_interlock tools tests benchmarks examples

.PHONY: help demo test test-all-pythons check format lock bench docs failure-matrix power-cut crash-test mutants clean soak explore-long explore-every
.DEFAULT_GOAL := help

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed ## Run a whole trading day in simulation and show where its artifacts are
	$(BIN)/interlock dryrun configs/demo.yaml --seed 7 --replace
	@run=$$(ls -td out/finish_c/c2/*/ | head -n 1); \
	echo; \
	echo "The artifacts are in $$run"; \
	echo "  events.jsonl           what happened, one event a line"; \
	echo "  audit.jsonl            the hash chain; check it: $(BIN)/interlock audit verify $${run}audit.jsonl"; \
	echo "  state_snapshots.jsonl  the session, seen from outside"; \
	echo "  metrics.json           the counters"; \
	echo "  run.json               config, seed and choices; run it again: $(BIN)/interlock replay $$run"; \
	echo; \
	echo "The report, one page for any browser:"; \
	$(BIN)/interlock report $$run

test: $(VENV)/.installed ## Run the whole test suite (PYTEST_ARGS="-k audit" narrows it, PYTEST_JOBS=0 keeps it in one process)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) $(PYTEST_ARGS)

test-all-pythons: ## Run the quick part of the suite on the newer Pythons that this machine has
	@for version in $(OTHER_PYTHONS); do \
		if python=$$(.ci/find-python $$version 2>/dev/null); then \
			$(MAKE) --no-print-directory PYTHON="$$python" VENV=".venv-$$version" PYTEST_ARGS="-q $(QUICK_TESTS)" test || exit 1; \
		else \
			echo "Python $$version: not on this machine, skipped"; \
		fi; \
	done

check: $(VENV)/.installed ## Lint, formatting, types, import layers
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed ## Put the code into its one format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix-only $(CODE)

# The lock holds every wheel of each release, so that one file serves Linux and macOS and each Python from 3.11 on.
lock: ## Make requirements.lock anew, from pyproject.toml (UPGRADE=--upgrade takes newer releases)
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --group dev --quiet $(UPGRADE) \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock

bench: $(VENV)/.installed ## Measure steps and whole orders per second
	$(BIN)/python -m benchmarks

soak: $(VENV)/.installed ## Trade for ten real minutes with a faulty broker: flat memory, no task left, no warning
	$(BIN)/python -W error -m tools.soak

docs: $(VENV)/.installed ## Write what is generated: parts of docs/contract.md and ARCHITECTURE.md, configs/proofs
	$(BIN)/python -m tools.contract
	$(BIN)/python -m tools.diagrams
	$(BIN)/python -m tools.proofs

failure-matrix: $(VENV)/.installed ## Run every fault and every pair again and write docs/failure-matrix.md (a minute)
	$(BIN)/python -m tools.failure_matrix

power-cut: $(VENV)/.installed ## Replay power cuts at every write and sync of a store; NORMAL has to lose (a minute)
	$(BIN)/python -m tools.power_cut

crash-test: $(VENV)/.installed ## Kill a trading child at every named point and hold store and broker to each other (a minute or two)
	$(BIN)/python -m tools.crash --planted
	$(BIN)/python -m tools.crash

# Two jobs, whatever the machine: the same seeds give the same digest everywhere.
explore-long: $(VENV)/.installed ## Explore every case, a million runs (RUNS=N), and say what was hit (half an hour)
	$(BIN)/interlock explore --scenario all --runs $(RUNS) --jobs 2 --failures 20 --all-hit --json out/explored/long.json

explore-every: $(VENV)/.installed ## See every schedule of the races, however many deviations, and say how many there are (minutes)
	$(BIN)/interlock explore --scenario cancel-race --scenario trip-beside-an-order \
		--scenario trip-in-a-backlog --strategy exhaustive --no-crashes
	$(BIN)/interlock explore --scenario restart-at-the-claim --strategy exhaustive

mutants: $(VENV)/.installed ## Search for every planted fault anew and write docs/mutants.md (a minute)
	$(BIN)/python -m tools.mutants

clean: ## Remove environments, caches and what runs left behind
	rm -rf .venv .venv-* out dist build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find interlock tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The project itself is not in the lock: it is linked in, built by the locked build backend.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
