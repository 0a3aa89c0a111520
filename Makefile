# make run    sets up .venv, starts the app and prints its address (GPU=1: with TensorFlow's CUDA libraries)
# make test   the same set-up, then lint, types and tests
# make bench  measurements, as ratios taken in one run
# make slow   the tests that take minutes

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
GPU ?=
PYTEST_ARGS ?=
RUNTIME := $(if $(filter 1 yes true,$(GPU)),requirements-gpu.txt,requirements.txt)

.PHONY: run test bench slow lint clean

run: $(VENV)/.installed-$(RUNTIME)
	$(BIN)/python -m streamlit run streamlit_app.py --server.port $(PORT) --server.headless true

test: $(VENV)/.installed-requirements-dev.txt lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

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
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
