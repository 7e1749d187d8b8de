# make demo: the main job on real data. make test: all tests. Both make the virtual environment if need be.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test lint benchmarks pins clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/perceptory demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'torch>=2.8'
	$(BIN)/python -m benchmarks.population
	$(BIN)/python -m benchmarks.networks

# Renew constraints.txt from what is installed now, after a deliberate update.
pins: $(VENV)/.installed
	$(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(torch|mpmath|sympy|networkx|pip|nvidia|triton|perceptory)[=-]' > constraints.txt

clean:
	rm -rf $(VENV) build *.egg-info
