# Two commands: `make demo` shows what SparSR does, `make test` proves it. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint bench clean

$(VENV)/.installed: requirements.txt runtime/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "SparSR needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing the packages of requirements.txt (a few minutes, once) ..."
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-tests: tests/requirements.txt $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(VENV)/.installed-rivals: bench/requirements-rivals.txt $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r bench/requirements-rivals.txt
	@touch $@

demo: $(VENV)/.installed
	$(RUN) -m bench demo --out demo

lint: $(VENV)/.installed-tests
	$(RUN) -m ruff check .
	$(RUN) -m mypy

test: lint
	$(RUN) -m pytest -m "not slow"

bench: $(VENV)/.installed-rivals
	$(RUN) -m bench suite

clean:
	rm -rf demo runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
