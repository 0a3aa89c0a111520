# make run    sets up .venv, starts the app and prints its address (GPU=1: with TensorFlow's CUDA libraries)
# make test   the same set-up, then lint, types and tests
# make bench  measurements, as ratios taken in one run
# make slow   the tests that take minutes

# TensorFlow 2.21 is built for Python 3.11 to 3.13: the first of these that is found.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
GPU ?=
PYTEST_ARGS ?=
# Tests run in this many processes at once; each needs a core, and with its engines up to 4 GB.
PROCESSES ?= 2
RUNTIME := $(if $(filter 1 yes true,$(GPU)),requirements-gpu.txt,requirements.txt)

.PHONY: run test bench slow lint clean

run: $(VENV)/.installed-$(RUNTIME)
	$(BIN)/python -m streamlit run streamlit_app.py --server.port $(PORT) --server.headless true

test: $(VENV)/.installed-requirements-dev.txt lint
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.installed-requirements-dev.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-requirements-dev.txt
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks $(PYTEST_ARGS)

slow: $(VENV)/.installed-requirements-dev.txt
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# The stamp is newer than the requirements it was made from: a second start installs nothing.
$(VENV)/.installed-%: % requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found. Name one: make run PYTHON=/path/to/python3.13"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
