# Each target sets up what it needs: a checkout, make and Python 3.11 or newer are all it takes.
# `make test ARGS="tests/kernel -k lease"` passes arguments to pytest.

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
ARGS  ?=

.DEFAULT_GOAL := help
.PHONY: help test test-long demo demo-orders bench mutate newcomer lint type diagrams requirements clean
MAKEFLAGS += --no-print-directory

help:            ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*##/  make \1 \t/p' Makefile | expand -t 24

# Up to date while the pins and the project's metadata are older than the stamp.
$(READY): requirements/dev.txt pyproject.toml scripts/setup
	@scripts/setup $(VENV)

test: $(READY)   ## every test, quick figures (minutes)
	@$(BIN)/python -m pytest $(ARGS)

test-long: $(READY) ## every test, large figures (hours)
	@REMIT_LONG=1 $(BIN)/python -m pytest $(ARGS)

demo: $(READY)   ## the main example: a folder of e-invoices becomes one payment file
	@$(BIN)/python -m examples.payables $(ARGS)

demo-orders: $(READY) ## workflows in YAML: four orders, and what is undone of two of them
	@$(BIN)/python -m examples.orders $(ARGS)

bench: $(READY)  ## Remit beside DBOS and LangGraph on the same work, and the bars it must hold
	@bench/run $(ARGS)

mutate: $(READY) ## take out each guard in turn and name the test that turns red
	@$(BIN)/python scripts/mutate $(ARGS)

newcomer: $(READY) ## the README, verbatim, in an empty home, from the built wheel
	@$(BIN)/python scripts/newcomer

lint: $(READY)   ## ruff over everything
	@$(BIN)/ruff check src tests scripts examples $(wildcard bench)

type: $(READY)   ## mypy --strict, and pyright on the typing tests
	@$(BIN)/mypy
	@$(BIN)/pyright

diagrams: $(READY) ## redraw the diagrams in docs/ from the kernel's tables
	@$(BIN)/python scripts/diagrams

requirements:    ## recompile the pins (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-emit-index-url --no-emit-find-links \
	  --no-header --no-strip-extras pyproject.toml requirements/dev.in -o requirements/dev.txt

clean:           ## remove what the targets made
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
