# make demo | test | sanitize | lint | format | bench | bench-peers | bench-pytest | gate | stubs | clean | help.
# A fresh Debian with python3, g++ and make is enough.
#
# Everything is made once: stamps in $(VENV) say what is up to date, and ninja rebuilds only what
# changed, in build/. Other interpreters live side by side:
#   make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
JOBS ?= $(shell nproc)
ARGS ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMPS := $(VENV)/stamps
WHEELS := $(VENV)/wheels

# Folders are listed too: their time changes when a file in them is added, removed or renamed.
SOURCES := pyproject.toml CMakeLists.txt \
  $(shell find csrc python/fastnn -name __pycache__ -prune -o -name '*.so' -o -print)
CXX_SOURCES = $(shell find csrc tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)

.DELETE_ON_ERROR:
.PHONY: help demo test sanitize lint format bench bench-peers bench-pytest gate stubs wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'
	@echo '  ARGS="..." is passed on: make test ARGS="-k conv", make demo ARGS="--data fashion-mnist"'

demo: $(STAMPS)/wheel $(STAMPS)/demo ## build, install, and train a small CNN on real handwritten digits
	$(PY) examples/digits_cnn.py $(ARGS)

test: $(STAMPS)/wheel $(STAMPS)/test ## build, install, and run the test suite
	FASTNN_WHEELS=$(WHEELS) FASTNN_BUILD=build $(PY) -m pytest -n $(JOBS) $(ARGS)

bench: $(STAMPS)/wheel $(STAMPS)/test ## build, install, and time every kernel against NumPy
	$(PY) bench/kernels.py $(ARGS)

bench-peers: $(PEERS)/stamps/wheel ## the same models and kernels with PyTorch, Keras on JAX and NumPy, side by side
	$(PEERS)/bin/python bench/peers.py $(ARGS)

bench-pytest: $(STAMPS)/wheel $(STAMPS)/test ## every kernel and NumPy's way as rows of pytest-benchmark
	$(PY) -m pytest bench/test_kernels_benchmark.py -q --benchmark-only --benchmark-min-rounds=3 \
	  --benchmark-max-time=0.1 --benchmark-columns=min,median,stddev,rounds $(ARGS)

gate: $(STAMPS)/wheel $(STAMPS)/test ## fail where a kernel is clearly slower than NumPy
	$(PY) bench/gate.py $(ARGS)

# The baseline build: its vectors are read and written by plain loads and stores, which the sanitizer
# sees, not by the masked ones of newer instruction sets. Comparisons with Keras would add nothing.
# Odd sizes of gigabytes are refused, as under a limit of memory, which the sanitizer cannot work with.
SANITIZED := build/sanitize
SANITIZED_TESTS := kernels gradients matmul bad_input replay tensor op operators dropout
SANITIZER := LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so.6)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024 UBSAN_OPTIONS=print_stacktrace=1

sanitize: $(STAMPS)/test ## build with AddressSanitizer and UBSan, and run the tests that reach memory
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake -S . -B $(SANITIZED) -G Ninja --log-level=WARNING \
	  -DFASTNN_SANITIZE=address,undefined -DFASTNN_ISAS=baseline -DFASTNN_CUDA=OFF \
	  -Dpybind11_DIR="$$($(PY) -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(CURDIR)/$(PY)"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build $(SANITIZED)
	@rm -rf $(SANITIZED)/site && mkdir -p $(SANITIZED)/site
	@cp -r python/fastnn $(SANITIZED)/site/ && rm -f $(SANITIZED)/site/fastnn/_core*.so
	@cp $(SANITIZED)/_core*.so $(SANITIZED)/site/fastnn/
	PYTHONPATH=$(SANITIZED)/site $(SANITIZER) $(PY) -m pytest -n $(JOBS) \
	  $(wildcard $(SANITIZED_TESTS:%=tests/test_%.py)) $(ARGS)

lint: $(STAMPS)/lint ## ruff, clang-format and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $(CXX_SOURCES)
	$(VENV)/bin/mypy

format: $(STAMPS)/lint ## rewrite the sources as lint wants them
	$(VENV)/bin/ruff check --fix --quiet . || true
	$(VENV)/bin/ruff format .
	$(VENV)/bin/clang-format -i $(CXX_SOURCES)

stubs: $(STAMPS)/test ## rewrite the type stubs of the kernels and of the native module
	$(PY) scripts/stubs.py

wheel: $(STAMPS)/wheel ## build and install the wheel, nothing else
	@ls $(CURDIR)/$(WHEELS)/*.whl

clean: ## remove what was built: build/ and the virtual environment
	rm -rf build $(VENV) $(PEERS) .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks

# --- stamps -------------------------------------------------------------------------------------

$(STAMPS)/venv: scripts/bootstrap.sh
	@scripts/bootstrap.sh $(PYTHON) $(VENV)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/build: pyproject.toml $(STAMPS)/venv
	@echo '== tools for the build'
	@$(PIP) install -q --group build
	@touch $@

# The version stays the same from build to build, so pip has to be forced to see a new wheel. The
# second call brings numpy.
$(STAMPS)/wheel: $(SOURCES) $(STAMPS)/build
	@echo '== wheel'
	@rm -rf $(WHEELS)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PIP) wheel -q --no-build-isolation --no-deps -w $(WHEELS) .
	@$(PIP) install -q --no-deps --force-reinstall $(WHEELS)/*.whl
	@$(PIP) install -q $(WHEELS)/*.whl
	@touch $@

# What an extra needs changes only with pyproject.toml.
$(STAMPS)/demo $(STAMPS)/test: $(STAMPS)/%: pyproject.toml | $(STAMPS)/wheel
	@echo '== packages for $*'
	@$(PIP) install -q "$$(echo $(WHEELS)/*.whl)[$*]"
	@touch $@

# The peers have an environment of their own, which nothing but the bench needs.
$(PEERS)/stamps/peers: pyproject.toml scripts/bootstrap.sh
	@scripts/bootstrap.sh $(PYTHON) $(PEERS)
	@echo '== PyTorch, Keras, JAX'
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install -q --group peers
	@mkdir -p $(@D) && touch $@

$(PEERS)/stamps/wheel: $(STAMPS)/wheel $(PEERS)/stamps/peers
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install -q --no-deps --force-reinstall $(WHEELS)/*.whl
	@touch $@

$(STAMPS)/lint: pyproject.toml $(STAMPS)/venv
	@echo '== tools for lint'
	@$(PIP) install -q --group lint
	@touch $@
