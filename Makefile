# `make` or `make help` lists the targets. To begin, you need only Python 3.11 or later, make and git.
PYTHON ?= python3
IMAGE ?= local-cpu
ENGINE ?= auto
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help bench build kernels doctor report test test-all test-engines test-engines-debian13 check perf lock clean

help:  ## Show this list.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 24

bench: .venv/host  ## Run an image (IMAGE=..., ENGINE=..., ARGS="--launches 6 ..."), print the table, write BENCHMARKS.md.
	@$(BIN)/strixbench bench $(foreach image,$(IMAGE),'$(image)') --engine '$(ENGINE)' $(ARGS)

build: .venv/host  ## Build an image without running it.
	@$(BIN)/strixbench build $(foreach image,$(IMAGE),'$(image)') --engine '$(ENGINE)' $(ARGS)

kernels: .venv/host  ## Time the kernels of pyannote's networks in an image (IMAGE=..., ENGINE=...).
	@$(BIN)/strixbench kernels $(foreach image,$(IMAGE),'$(image)') --engine '$(ENGINE)' $(ARGS)

doctor: .venv/host  ## Say what this host lacks for a bench, and how to fix it.
	@$(BIN)/strixbench doctor $(ARGS)

report: .venv/host  ## Write BENCHMARKS.md from the store.
	@$(BIN)/strixbench report $(ARGS)

# Several processes, each with whole files and its own processors (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --benchmark-disable

test: .venv/dev  ## Unit tests, the guest as a process, and real diarization without a container.
	@$(BIN)/pytest -m 'not engines and not perf and not slow' $(SIDE_BY_SIDE) $(ARGS)

test-all: .venv/dev  ## The same, and the few that take long for what they prove. CI runs these.
	@$(BIN)/pytest -m 'not engines and not perf' $(SIDE_BY_SIDE) $(ARGS)

test-engines: .venv/dev  ## Launches in real Podman and Docker.
	@$(BIN)/pytest -m engines --benchmark-disable $(ARGS)

test-engines-debian13:  ## The same with Debian 13's engines, in a folder that .ci/debian13.sh makes (as root).
	@.ci/debian13.sh $(ARGS)

check: .venv/dev  ## ruff, mypy --strict, hadolint; fails if a generated file is stale.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint containers/*.Containerfile tests/engines/*.Containerfile
	@$(BIN)/python -m tests.generated --check
	@$(BIN)/strixbench report --check

perf: .venv/dev  ## Measure strixbench itself: the figures in README.md.
	@$(BIN)/pytest -m perf --benchmark-only --benchmark-columns=min,median,max,stddev,rounds $(ARGS)

lock: .venv/dev  ## Renew the locks of the host and of the images. Read the difference before you commit it.
	@$(BIN)/uv pip compile -q pyproject.toml --extra build $(LOCK_OPTIONS) -o locks/host.txt
	@$(BIN)/uv pip compile -q pyproject.toml --extra build --extra dev $(LOCK_OPTIONS) -o locks/dev.txt
	@$(BIN)/uv pip compile -q locks/tools.in --python-version 3.10 --python-platform linux \
	    $(filter-out --universal --python-version 3.11,$(LOCK_OPTIONS)) -o locks/tools.txt
	@$(foreach lock,$(wildcard containers/locks/*.in),$(BIN)/uv pip compile -q $(lock) \
	    --override containers/locks/left-out.txt \
	    $(foreach package,torch torchaudio torchcodec torchvision,--no-emit-package $(package)) \
	    $(LOCK_OPTIONS) -o $(lock:.in=.txt) &&) true

LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade

clean:  ## Remove .venv and the tools' caches; results and models stay.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .benchmarks

# Installs each package by its hash: exactly what was locked, or nothing.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

# If the Python of .venv was upgraded or removed, .venv is made again, whatever its date.
ifneq ($(shell test -x $(BIN)/python && $(BIN)/python -c 'import pip' 2>/dev/null && echo whole),whole)
.PHONY: .venv/host
endif

.venv/host: locks/host.txt pyproject.toml
	@sh make-venv.sh '$(PYTHON)'
	@echo 'installing strixbench into .venv' >&2
	@$(INSTALL) --require-hashes --requirement locks/host.txt
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/host locks/dev.txt
	@echo 'installing what the tests need into .venv' >&2
	@$(INSTALL) --require-hashes --requirement locks/dev.txt
	@touch $@
