.DEFAULT_GOAL := help
.PHONY: help installed setup lab teach site kit badge test test-all test-fast lint outputs bench drift clean-sandbox
RUN := .venv/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --require-hashes --requirement
ROOT := $(filter 0,$(shell id -u))
# The image's tests need root: they limit its memory and processors.
PODMAN := $(if $(ROOT),mmdebstrap podman runc)

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One whose Python is gone or too old, that is half-made or was made elsewhere, is made again.
ifneq ($(shell scripts/venv --check && echo good),good)
.PHONY: .venv/ready
endif
.venv/ready: pyproject.toml requirements.lock requirements-test.lock
	@scripts/venv "$(PYTHON)"
	$(LOCKED) requirements.lock --requirement requirements-test.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@pwd -P > $@

# nbgrader comes with servers and menus of its own in JupyterLab, which learners do not need.
.venv/teach: .venv/ready requirements-teach.lock
	$(LOCKED) requirements-teach.lock --no-deps
	@touch $@

.venv/site: .venv/ready requirements-site.lock
	$(LOCKED) requirements-site.lock --no-deps
	@touch $@

# Every test runs on the embedded VM, and so does what lessons show.
test test-all outputs bench drift kit: export SANDBOX_ENGINE := vm

installed: .venv/ready ## Install what the course needs
	@$(RUN) scripts/jupyter-settings.py
	@scripts/system-packages

setup: installed ## Install what the course needs and build the sandbox's files
	@$(RUN) -m sandbox build

lab: setup ## Open the course in JupyterLab
	@$(RUN) scripts/trust.py
	@exec $(RUN) -m jupyterlab --ServerApp.ip=127.0.0.1 \
	    $(if $(ROOT),--allow-root) \
	    --LabApp.expose_app_in_browser=True --LabApp.default_url=/lab/tree/lessons/00-start-here.ipynb \
	    $(LAB_OPTIONS)

teach: setup .venv/teach ## Install nbgrader too, to hand labs out and grade them

site: .venv/site ## Build the course as pages to read, in build/site
	$(RUN) scripts/site/build.py

kit: setup ## Make one file that sets the course up without any network
	$(RUN) scripts/kit/build.py

badge: ## Have the README's Binder badge lead to where this clone is from
	@$(or $(PYTHON),python3) scripts/badge.py

# Each worker has a VM, which keeps a processor busy.
WORKERS ?= 2

# One worker builds the hosts' files, beside the tests that need none.
test: installed .venv/teach .venv/site lint ## Run every test, on two VMs beside each other
	@scripts/system-packages chromium bwrap=bubblewrap zstd $(PODMAN)
	$(RUN) -m pytest --no-skip -n $(WORKERS) --no-loadscope-reorder tests/unit tests/integration \
	    tests/lessons tests/labs tests/browser \
	    $(if $(ROOT),,--ignore=tests/integration/test_image.py)
	$(if $(ROOT),,@echo "The image was not tested: that needs root.")

# Interrupted, it goes on where it stopped.
test-all: installed .venv/teach .venv/site lint ## Run every test, also those that test leaves out, in parts
	@scripts/system-packages chromium bwrap=bubblewrap zstd $(PODMAN)
	$(RUN) scripts/test_all.py --workers $(WORKERS)
	$(if $(ROOT),,@echo "The image was not tested: that needs root.")

test-fast: .venv/ready ## Run the tests that need no engine
	$(RUN) -m pytest -n $(WORKERS) tests/unit

SHELL_SCRIPTS = $(shell grep -lIrE '^.!/bin/(ba|busybox )?sh' .ci binder sandbox scripts)

# Linux on ARM has no wheel of shellcheck.
lint: .venv/ready ## Check format, style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/hadolint binder/Dockerfile
	.venv/bin/oxlint --deny-warnings sandbox/views/frontend
	! test -x .venv/bin/shellcheck || .venv/bin/shellcheck $(SHELL_SCRIPTS) scripts/terminal.bashrc

outputs: setup ## Run LESSON=lessons/01-… (or all) and store the outputs
	$(RUN) scripts/store_outputs.py $(LESSON)

bench: setup ## Measure the sandbox and print a table
	@scripts/system-packages $(PODMAN)
	$(RUN) -m tests.benchmarks
	$(RUN) -m tests.benchmarks.network_state
	$(RUN) -m tests.benchmarks.journeys
	$(RUN) -m tests.benchmarks.labs
	$(RUN) -m tests.benchmarks.session
	$(if $(ROOT),$(RUN) -m tests.benchmarks.image)

drift: setup ## Build with today's Debian packages, list what changed, and prove the lessons
	@scripts/system-packages chromium
	$(RUN) scripts/drift.py

clean-sandbox: ## Remove every trace of the sandbox, cached files included
	@if [ -x $(RUN) ]; then $(RUN) -m sandbox down --all --cache --leave-lab; fi
