# What there is to do: `make` alone lists it. Everything runs from .venv, which is made when it is first needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
PYTHON ?= python3
PYTEST_ARGS ?=
LOCK_ARGS ?= --upgrade

VENV := .venv/.up-to-date
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Python keeps what it compiled, or each of the hundreds of processes that the tests start would compile it again.
unexport PYTHONDONTWRITEBYTECODE

# Independent readers of what the tests write, and programs to put into small images; as Debian names the packages.
TEST_NEEDS := --need skopeo --need man=man-db --need bash-static --need busybox=busybox-static --need curl --need openssl --need git --need rsync --need ssh-agent=openssh-client --need podman --need buildah --need umoci --need docker-registry --need ch-image=charliecloud --need ctr=containerd --need chromium --need munged=munge --need slurmctld=slurm-wlm
# Two processes more than there are processors, as tests wait for engines, servers and disks; of those marked with the same
# `xdist_group` one runs at a time.
PYTEST = pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --dist loadgroup
# What people install today, beside the engine that is here: Docker from Debian sid with containerd's image store.
TODAYS_ENGINE := .ci/engine-root --beside --if-possible docker-sid-containerd --
ENGINES := docker-bookworm docker-trixie docker-sid docker-sid-containerd podman-bookworm podman-trixie
DOCKERS := docker-trixie docker-sid docker-sid-containerd
# Building, saving, loading and running; the rest does not meet an engine.
ENGINE_TESTS := $(addprefix tests/integration/test_,build.py build_failures.py snapshots.py thin.py flatten.py reproduce.py archive_engine.py)
SCRIPTS := .ci/base-image .ci/debian-root .ci/engine-root .ci/lock .ci/make-venv .ci/run .ci/with-engine examples/remote-sources/serve
CWL := $(wildcard workflows/*.cwl workflows/*/*.cwl examples/*/*.cwl)
# That of examples/lint/bad is there to be found fault with.
DOCKERFILES := benchmarks/Dockerfile $(wildcard examples/*/images/*/Dockerfile)

.PHONY: help man demo test test-quick test-engines test-newest check lock clean
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1	\2/p' Makefile | expand -t 22

demo: $(VENV) ## publish three images, fetch one back as an AWE worker would, run it, show what is published
	@.ci/with-engine --base-image python examples/demo/run.py

test: $(VENV) ## run all the tests, with a real Docker engine (some: make test PYTEST_ARGS="-k receipt")
	@.ci/with-engine $(TEST_NEEDS) --base-image $(TODAYS_ENGINE) $(PYTEST) $(PYTEST_ARGS)

test-quick: $(VENV) ## run the tests that need no engine and little time
	@$(PYTEST) -m "not slow" tests/unit tests/contract $(PYTEST_ARGS)

test-engines: $(VENV) ## run what depends on the engine on Docker 20.10, 26 and 28, with either image store, and on podman 4.3 and 5
	@.ci/with-engine $(TEST_NEEDS) --base-image .ci/engine-root --beside $(ENGINES) -- $(PYTEST) tests/integration/test_engines.py $(PYTEST_ARGS)
	@for engine in $(DOCKERS); do \
	    printf '\n--- %s\n' $$engine; \
	    .ci/with-engine $(TEST_NEEDS) --base-image .ci/engine-root --base-image $$engine -- $(PYTEST) $(ENGINE_TESTS) $(PYTEST_ARGS); \
	done
	@printf '\n--- podman-trixie\n'
	@.ci/with-engine $(TEST_NEEDS) --base-image .ci/engine-root --beside podman-trixie -- \
	    env SKYPORT_TEST_PODMAN=podman-trixie $(PYTEST) tests/integration/test_podman.py $(PYTEST_ARGS)

test-newest: ## run all the tests with the newest libraries that pyproject.toml allows, instead of the locked ones
	@PYTHON=$(PYTHON) .ci/make-venv --newest .venv-newest
	@PATH="$(CURDIR)/.venv-newest/bin:$$PATH" .ci/with-engine $(TEST_NEEDS) --base-image $(TODAYS_ENGINE) $(PYTEST) $(PYTEST_ARGS)

check: $(VENV) ## ruff, mypy, snakefmt, snakemake --lint, cwltool --validate, lint of Dockerfiles, shellcheck, the direction of imports
	ruff check
	ruff format --check
	mypy
	snakefmt --check Snakefile rules workflows examples
	snakemake --lint
	for document in $(CWL); do cwltool --enable-ext --validate "$$document"; done
	skyport-wf lint --quiet --cwl $(CWL)
	skyport-wf lint --quiet
	skyport-wf lint --quiet --dockerfile $(DOCKERFILES)
	if command -v shellcheck; then shellcheck $(SCRIPTS); else echo "shellcheck is not installed: scripts not checked"; fi
	pytest --quiet tests/unit/test_import_direction.py

man: $(VENV) ## write the man pages to build/man, to look at: man build/man/skyport-wf-publish.1
	@python .ci/man_pages.py build/man

# Not with the rest of .venv: that cannot be made while the locks lack what pyproject.toml asks for.
lock: ## lock the newest versions that pyproject.toml allows (only what is missing: make lock LOCK_ARGS=)
	@test -x .venv/bin/uv || PYTHON=$(PYTHON) .ci/make-venv || test -x .venv/bin/uv
	@.ci/lock $(LOCK_ARGS)

clean: ## remove .venv, the private engine with its images, what the demo published, results and caches
	.ci/with-engine --stop
	rm -rf --one-file-system .venv .venv-newest .engine .snakemake results build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV): pyproject.toml $(wildcard .ci/locks/*.txt)
	@PYTHON=$(PYTHON) .ci/make-venv
	@touch $@
