# make demo   simulate a recording, fit it, score it, write its report
# make test   the tests; ARGS="tests/scoring -k bits" for some of them
# make test-all   the tests, and those that take long to compile
# make validate   recovery and coverage on simulated data, into docs/validation.md, after test-all and damage: hours;
#                 ARGS="--seeds 2 --only modal" for a part
# make damage     hundreds of damaged recordings, posteriors, submissions and runs, and fits that are killed
# make device-check   what an accelerator does: numbers beside the CPU's, times, memory; five minutes, into device_check/
# make lint   style and types
# make docs   the documentation site, in site/
# make notebooks   the worked examples as notebooks, docs/examples/*.ipynb
# PYTHON=...  the Python to make the environment with; VENV=... another folder for it

VENV ?= .venv
CANDIDATES = $(or $(PYTHON),python3 python3.12 python3.13 python3.14)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
FILES = pyproject.toml constraints.txt

.PHONY: help demo test test-all validate damage device-check lint docs notebooks clean

help:
	@sed -n 's/^# //p' Makefile

demo: $(VENV)/.installed
	@$(VENV)/bin/python -m nlbprob demo

test: $(VENV)/.installed-test
	@$(VENV)/bin/python -m pytest $(ARGS)

test-all: $(VENV)/.installed-test
	@$(VENV)/bin/python -m pytest -m "slow or not slow" --timeout 3000 -o faulthandler_timeout=3300 $(ARGS)

damage: $(VENV)/.installed-test
	@NLBPROB_DAMAGE=full $(VENV)/bin/python -m pytest tests/damage --timeout 7200 -o faulthandler_timeout=7500

validate: test-all damage $(VENV)/.installed
	@$(VENV)/bin/python experiments/validation/validate.py $(ARGS)

device-check: $(VENV)/.installed
	@$(VENV)/bin/python experiments/benchmark/device_check.py $(ARGS)

lint: $(VENV)/.installed-test
	@$(VENV)/bin/python -m ruff check
	@$(VENV)/bin/python -m ruff format --check
	@$(VENV)/bin/python -m pyright

docs: $(VENV)/.installed-test
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet
	@echo "The documentation is in site/: open site/index.html in a browser."

notebooks: $(VENV)/.installed-test
	@$(VENV)/bin/python experiments/notebooks.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed: $(FILES) | $(VENV)/bin/python
	@echo "Installing nlbprob and what it needs into $(VENV): about a minute ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(FILES) | $(VENV)/bin/python
	@echo "Installing nlbprob, what it needs and what its tests need into $(VENV): about two minutes ..."
	@$(PIP) install --constraint constraints.txt --editable '.[test,lint,docs]'
	@touch $(VENV)/.installed $@

# A candidate counts only if it runs and says itself that it is 3.12 or newer: a version manager's shim may do neither.
$(VENV)/bin/python:
	@found=; \
	for candidate in $(CANDIDATES); do \
		version=$$($$candidate -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=; \
		if [ -z "$$version" ]; then found="$$found, $$candidate (does not run)"; continue; fi; \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then \
			echo "Making $(VENV) with $$candidate ($$version) ..."; \
			$$candidate -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
			exit 0; \
		fi; \
		found="$$found, $$candidate ($$version)"; \
	done; \
	echo "nlbprob needs Python 3.12 or newer but found only $${found#, }:" \
		"install one, or name it as in 'make PYTHON=/path/to/python3.12 demo'." >&2; \
	exit 1
