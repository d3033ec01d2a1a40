# Everything a person or CI runs. `make demo` and `make test` set up what they need first.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3.11
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench notebooks clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(VENV)/installed  ## Virtual environment with the locked dependencies

# Rebuilt only when the lock or the project's metadata changes.
$(VENV)/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it with make PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c "import lightgbm" || { echo "LightGBM needs libgomp: apt-get install libgomp1"; exit 1; }
	@touch $@

demo: setup  ## Simulated market -> trained model -> 20 best candidates
	$(BIN)/koc demo

test: setup  ## Style, types and tests, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not benchmark"

bench: setup  ## Benchmarks: minutes, gigabytes
	$(BIN)/pytest -m benchmark -s tests/benchmarks

notebooks: $(VENV)/notebooks  ## The notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

# Apart from the rest, which nobody shall wait for who does not open them.
$(VENV)/notebooks: $(VENV)/installed requirements-notebooks.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-notebooks.lock
	@touch $@

clean:  ## Remove everything that make and koc generate
	rm -rf $(VENV) .koc .mypy_cache .pytest_cache .ruff_cache .hypothesis
