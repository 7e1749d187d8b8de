# make demo: the main job on real data. make test: all tests. Both make the virtual environment if need be.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test lint benchmarks pins wheel aarch64 clean

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

# Values of a kernel on an emulated aarch64 and here (Debian: g++-aarch64-linux-gnu, qemu-user).
aarch64: $(VENV)/.installed
	mkdir -p build
	for type in '' -DDOUBLE; do \
	  set -e; flags="$$type -O3 -std=c++17 -w -pthread -I$$($(BIN)/python -c 'import jax; print(jax.ffi.include_dir())')"; \
	  c++ $$flags -march=native -Iperceptory/kernels tests/kernels/without_jax.cc -o build/here; \
	  aarch64-linux-gnu-g++ $$flags -static -Iperceptory/kernels tests/kernels/without_jax.cc -o build/there; \
	  build/here > build/here.txt; qemu-aarch64 build/there > build/there.txt; diff build/here.txt build/there.txt; \
	done

# A wheel with the kernels in it, for this kind of processor: a machine without a C++ compiler is then as fast.
# For another kind: make wheel MACHINE=aarch64 KERNEL_CXX=aarch64-linux-gnu-g++
MACHINE ?= $(shell uname -m)
KERNEL_CXX ?= c++
wheel: $(VENV)/.installed
	rm -rf perceptory/kernels/prebuilt
	$(BIN)/python -m perceptory.kernels.build $(MACHINE) $(KERNEL_CXX)
	$(BIN)/python -m pip wheel . --no-deps --wheel-dir dist --config-settings=--build-option=--plat-name=linux_$(MACHINE)
	rm -rf perceptory/kernels/prebuilt build

clean:
	rm -rf $(VENV) build dist perceptory/kernels/prebuilt *.egg-info
