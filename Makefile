# The few entry points, for people and CI alike. Each makes the environment it needs in .venv and is quick the next time.
#   PYTHON=/path/to/python   the interpreter (3.11 or newer)
#   JOBS=N                   test workers (default: one a core)
#   PYTEST='-k name'         more for pytest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto

# The stamps carry the interpreter's version, so PYTHON=python3.12 does not meet an environment of 3.11.
VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
BASE := $(VENV)/.base-$(VERSION)
TRAIN := $(VENV)/.train-$(VERSION)
ENVIRONMENT := PYTHON="$(PYTHON)" VENV="$(VENV)" tools/environment.sh

# Tests that take long, and those that need Chromium, are left to `make check`.
SELECT ?= -m "not slow and not browser"
TESTS = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help install install-train demo test test-base lint types contracts check search soak smoke format bench bench-peers bench-cuda tables architecture figures notebooks pictures guide docs release-check sbom clean

help:
	@echo "make demo           simulate raw captures, align, split, validate, make the report, train a tiny model, upscale (minutes; installs torch)"
	@echo "make test           the tests of both packages, but for those that take long (minutes; installs torch)"
	@echo "make test-base      the same of d2crealsr alone; no torch needed"
	@echo "make check          lint, types, contracts and all tests with coverage, as CI does (installs torch)"
	@echo "make search         by hand: the property tests with examples drawn at random"
	@echo "make soak           by hand: damaged input, kills and fuzzed files by the thousand (an hour and more)"
	@echo "make smoke          by hand: whether the tiny size of each network learns (20 minutes of one core)"
	@echo "make install        the environment alone; install-train adds torch"
	@echo "make format         let ruff rewrite what it can"
	@echo "make bench          the benchmark programs, small; bench-peers: other tools on the same captures, networks in spandrel"
	@echo "make bench-cuda     by hand: one table of what a CUDA GPU does, in eight minutes (CUDA_PYTHON: an interpreter with a CUDA PyTorch)"
	@echo "make tables         by hand: the paper's tables and figures from nothing, small, to see that they work (25 minutes of one core)"
	@echo "make architecture   docs/images/architecture-*.svg, drawn from the imports"
	@echo "make figures        the figures of docs/training-evidence.md, drawn from the stored tables"
	@echo "make notebooks      by hand: run notebooks/ and store their output (minutes)"
	@echo "make pictures       the pictures of README.md and docs/report.md, from what make demo leaves"
	@echo "make guide          docs/shooting-guide.pdf and its drawings, from docs/shooting-guide.md"
	@echo "make docs           the documentation as a site, in build/site"
	@echo "make release-check  by hand: the wheel and the source distribution install and run their demos without the checkout"
	@echo "make sbom           sbom.json: all packages of the environment with versions and licences (CycloneDX)"
	@echo "make clean          remove the environment, caches and the demo's files"

$(BASE): pyproject.toml constraints.txt tools/environment.sh
	@$(ENVIRONMENT) base
	@touch $@

$(TRAIN): $(BASE)
	@$(ENVIRONMENT) train
	@touch $@

install: $(BASE)

install-train: $(TRAIN)

# The photographs of one group, a cup of coffee first, are not trained on: d2crealsr/command/demo.csv gives no other group three
# cards. One of the captures is cut short on purpose, to show what becomes of it. The model is trained anew each time.
demo: $(TRAIN)
	$(BIN)/d2crealsr demo --out demo
	rm -rf demo/run
	$(BIN)/d2c demo demo
	@echo "The commands are in $(BIN)."

test: $(TRAIN)
	$(TESTS) $(SELECT) $(PYTEST)

test-base: $(BASE)
	$(TESTS) $(SELECT) --ignore=d2c --ignore=tests/d2c $(PYTEST)

lint: $(BASE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy reads d2c against torch's own types.
types: $(TRAIN)
	$(BIN)/mypy

contracts: $(BASE)
	$(BIN)/lint-imports

# Coverage is asked for here and not in `test`, which stays what a newcomer runs.
# The notice that is turned off is about the next version of MkDocs, which is not used.
docs: $(TRAIN)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open: build/site/index.html"

release-check: $(TRAIN)
	PYTHON=$(BIN)/python tools/release_check.sh train

check: $(TRAIN) lint types contracts docs
	$(MAKE) test SELECT= PYTEST="--cov --cov-report=term:skip-covered $(PYTEST)"

search: $(TRAIN)
	D2CREALSR_FUZZ=2000 $(TESTS) -m hypothesis --hypothesis-profile=search $(PYTEST)

# What the tests do in short. Each program ends with an error where anything was not as it should be.
soak: $(TRAIN)
	D2CREALSR_FUZZ=20000 $(TESTS) tests/fuzz $(PYTEST)
	$(BIN)/python -m tests.robustness.faults
	$(BIN)/python -m tests.robustness.flips
	$(BIN)/python -m tests.robustness.bad_input
	$(BIN)/python -m tests.robustness.bad_checkpoints

# The pairs and the runs stay in smoke/, so that it can be interrupted. Minutes on a CPU rank no network.
smoke: $(TRAIN)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.training.smoke --work smoke

format: $(BASE)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Small: to see that they work. Figures are taken by hand, with the options that each program's --help names.
bench: $(BASE)
	$(BIN)/python -m benchmarks.accuracy.alignment --small
	$(BIN)/python -m benchmarks.accuracy.qa --small
	$(BIN)/python -m benchmarks.speed.align_speed --small
	$(BIN)/python -m benchmarks.speed.report_500 --small

# The peers' environments are their own, under .peers; one that cannot be made is a row that says why.
bench-peers: $(TRAIN)
	PYTHON="$(PYTHON)" benchmarks/peers/make_peers.sh
	$(BIN)/python -m benchmarks.accuracy.alignment --small --peers
	$(BIN)/python -m benchmarks.accuracy.network_outputs --small
	$(BIN)/python -m benchmarks.accuracy.spandrel_loads --small

# The environment that `make` makes has PyTorch for CPUs, so this takes an interpreter of your own. It needs nothing but
# PyTorch and NumPy; the program's --help names what two of its cells need besides.
CUDA_PYTHON ?= python3
bench-cuda:
	$(CUDA_PYTHON) -m benchmarks.speed.on_cuda --out on_cuda

# Small cards, tiny networks, few steps: to see that it works. Its numbers rank nothing. Give it again after an interruption.
TABLES := --train tables/pairs --size tiny --device cpu
TABLES1 := $(TABLES) --out tables/table1 --seeds 3 --budget crops=400 --batch 4 --patch 16 --lr 1e-3
tables: $(TRAIN)
	[ -d tables/raw ] || $(BIN)/d2crealsr simulate --manifest d2crealsr/command/demo.csv --out tables/raw --size mini --jobs 0
	$(BIN)/python pipelines/rebuild_dataset.py --captures tables/raw --out tables --test 3 --jobs 0
	$(BIN)/python pipelines/table1.py $(TABLES1)
	$(BIN)/python pipelines/figure8.py $(TABLES1)
	$(BIN)/python pipelines/ablations.py $(TABLES) --out tables/ablations --seeds 1 --budget steps=22
	$(BIN)/python pipelines/figures.py $(TABLES1)

architecture: $(BASE)
	$(BIN)/python tools/architecture.py

figures: $(BASE)
	$(BIN)/python tools/evidence_figures.py docs/images

# Each notebook runs from its first cell, and its output is stored in it.
notebooks: $(TRAIN)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "ipykernel>=6.29" "nbclient>=0.10"
	$(BIN)/python tools/notebooks.py

pictures: $(BASE)
	$(BIN)/python tools/readme_pictures.py demo docs/images
	$(BIN)/python tools/report_pictures.py docs/images

# The generator has an environment of its own, so that it is no part of what it lists.
guide: $(BASE)
	$(BIN)/python tools/shooting_guide.py docs

sbom: $(TRAIN)
	[ -x .sbom/bin/cyclonedx-py ] || { $(PYTHON) -m venv .sbom && .sbom/bin/python -m pip install --quiet cyclonedx-bom==7.5.0; }
	.sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.json $(BIN)/python
	@echo "written: sbom.json"

clean:
	rm -rf $(VENV) .sbom sbom.json demo smoke tables build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
