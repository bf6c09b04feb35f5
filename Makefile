# Entry points of the project; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-stack demo up status doctor down test check check-types check-style check-units bench soak mutation lint format picture system-packages server-packages clean

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := .venv/bin
export SOUNDLAKE_HOME ?= $(CURDIR)/.soundlake
export SOUNDLAKE_DOWNLOADS ?= $(CURDIR)/.tools/jars
export UV_PYTHON_DOWNLOADS := never
export UV_HTTP_TIMEOUT ?= 180
# Some environments forbid compiled modules; tests start hundreds of processes, and without them dbt's imports take 2.8 s instead of 1.6 s.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=
PACKAGES ?=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@infra/setup/bring_uv.sh "$(PYTHON)" "$(UV_VERSION)"

setup-demo: $(UV)
	@$(UV) sync --quiet --frozen --inexact --no-dev --extra transform --extra dashboard --extra spotify --python "$(PYTHON)"

# Programs that the machine has are not installed again; a Java that is too old counts as missing.
NOT_NEEDED = $(if $(shell java -version 2>&1 | grep -E 'version "(1[7-9]|[2-9][0-9])'),--no-extra java) $(if $(shell command -v redis-server),--no-extra redis-server)

server-packages:
	@infra/setup/server_packages.sh

setup-stack: server-packages $(UV)
	@$(UV) sync --quiet --frozen --inexact --no-dev --all-extras $(NOT_NEEDED) --python "$(PYTHON)"

setup: $(UV)  ## install everything that development and tests need
	@$(UV) sync --quiet --frozen --all-extras $(NOT_NEEDED) --python "$(PYTHON)"

system-packages:
	@infra/setup/system_packages.sh

demo: setup-demo  ## listening history → lake → gold → recommendations → dashboard (ARGS="--once", ARGS="--from-export DIR --user me")
	@$(RUN)/soundlake demo $(ARGS)

up: setup-stack  ## start the full stack, supervised: Kafka, object store, Redis, sink, live events, transform, dashboard (ARGS="--without generator")
	@$(RUN)/soundlake up $(ARGS)

status:  ## each service of the full stack: state, uptime, memory, lag, freshness; addresses to connect to
	@$(RUN)/soundlake status $(ARGS)

doctor: setup-demo  ## check this machine for the full stack, with the command that fixes each problem
	@$(RUN)/soundlake doctor $(ARGS)

down:  ## end what `make up` started; the data stays
	@$(RUN)/soundlake down $(ARGS)

check: setup  ## format, lint, types, import contracts, unit tests
	@$(MAKE) --no-print-directory --keep-going --jobs 2 check-types check-style check-units

# Types and style take a core each, the unit tests start when one is free; each runs even if another fails.
check-types:
	@$(RUN)/mypy --no-error-summary

check-units:
	@$(RUN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/unit tests/architecture

check-style:
	@$(RUN)/ruff format --check --quiet .
	@$(RUN)/ruff check --quiet .
	@$(RUN)/lint-imports --no-cache >/dev/null || $(RUN)/lint-imports --no-cache
	@$(RUN)/sqlfluff lint --disable-progress-bar dbt/models dbt/tests

# `make check test` runs each test once: what `check` has run is left out.
RUN_BY_CHECK = $(if $(filter check,$(MAKECMDGOALS)),--ignore=tests/unit --ignore=tests/architecture)

# Real servers, three files at a time on two cores: a failed test must fail a second time, alone, to count.
RUN_FAILED_AGAIN = { test $$? = 1 && echo "Failed beside other tests; run again, alone:" && \
	$(RUN)/pytest -n 0 --maxfail 3 --last-failed --last-failed-no-failures none -m "not soak" $(RUN_BY_CHECK) $(ARGS); }

test: server-packages setup system-packages  ## every test, with real servers and a real browser
	@$(RUN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=20 -m "not soak" $(RUN_BY_CHECK) $(ARGS) || $(RUN_FAILED_AGAIN)

soak: server-packages setup system-packages  ## the long campaigns: kills, races, random batches
	@$(RUN)/pytest -m soak -s --timeout 7200 --hypothesis-profile hunting $(ARGS)

mutation: setup  ## mutation tests: do the tests fail on mutants of a seeded sample? (PACKAGES="sink lake"; ARGS="--sample 100 --seed 2")
	@$(RUN)/python -m tests.mutation $(PACKAGES) $(ARGS)

bench: setup  ## the benchmarks, a line of JSON each; bench/endurance.py alone takes two hours
	@for file in $$(grep -l __main__ bench/*.py); do echo "# $$file" >&2; $(RUN)/python "$$file"; done

format: setup  ## apply automatic formatting and fixes
	@$(RUN)/ruff check --fix --quiet . ; $(RUN)/ruff format --quiet .

picture: system-packages  ## draw docs/architecture/system_architecture.png from its source
	@dot -Tpng docs/architecture/system_architecture.dot -o docs/architecture/system_architecture.png

clean:  ## remove the environment (the data in ./.soundlake stays)
	@rm -rf .venv .tools
