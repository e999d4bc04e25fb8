# The whole development loop. GNU make 3.81 and a POSIX shell suffice.
#
# Everything lives in .venv beside this file. A stamp in it says what it is filled for, so that `make up` never waits for
# the tools of the tests; a recipe that was interrupted leaves no stamp and is simply run again.

.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:
.PHONY: help up kube-up kube-down test test-full check bench docs constraints clean FORCE
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME

FILL := sh tools/with-python tools/environment.py
BIN := .venv/bin
# what an installation copies out of the checkout: it is installed again when one of them changes
SOURCES := pyproject.toml $(wildcard notebooks/*.ipynb) $(shell find afkit/session/lab/data -type f 2>/dev/null)

# an environment that was made elsewhere (a moved or copied checkout), or whose Python is gone, is made anew
ifeq ($(shell test -x .venv/bin/python && grep -qsF "$$(pwd -P)/.venv" .venv/bin/activate && echo good),)
.venv/.laptop .venv/.test .venv/.docs: FORCE
endif
FORCE:

help:
	@echo "make up         a whole facility on this machine; options: make up ARGS=\"--port 8123 --no-browser --state DIR\""
	@echo "make kube-up    the facility on a real Kubernetes on this machine (Linux, as root; the first time takes minutes)"
	@echo "make kube-down  ends that Kubernetes and all that is in it"
	@echo "make check      style, types, layers, budgets and the fast tests (under 2 minutes)"
	@echo "make test       every behaviour once, with real parts (under 25 minutes; the first time 45)"
	@echo "make test-full  make test, the oldest supported hub and Dask in full, the long runs and the benchmarks"
	@echo "make bench      the benchmarks, each beside what it is compared with"
	@echo "make docs       the documentation, in docs/_build/html"
	@echo "make constraints  choose the versions of all packages anew"
	@echo "make clean      remove what was built (not the state of facilities, not the caches)"
	@echo
	@echo "PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer)."

.venv/.laptop: constraints.txt $(SOURCES)
	@$(FILL) laptop

.venv/.test: constraints.txt $(SOURCES)
	@$(FILL) test

.venv/.docs: constraints.txt $(SOURCES)
	@$(FILL) docs

up: .venv/.laptop
	@exec $(BIN)/afkit up $(ARGS)

kube-up: .venv/.test
	@exec $(BIN)/python -m tools.kubernetes up $(ARGS)

kube-down: .venv/.test
	@exec $(BIN)/python -m tools.kubernetes down $(ARGS)

check: .venv/.test
	@exec $(BIN)/python -m tools.suite check $(ARGS)

test: .venv/.docs
	@exec $(BIN)/python -m tools.suite test $(ARGS)

test-full: .venv/.docs
	@exec $(BIN)/python -m tools.suite test-full $(ARGS)

bench: .venv/.test
	@exec $(BIN)/python -m benchmarks.run $(ARGS)

docs: .venv/.docs
	@exec $(BIN)/python -m tools.docs $(ARGS)

constraints: .venv/.test
	@exec $(BIN)/python -m tools.constraints

clean:
	rm -rf .venv .venv-* docs/_build test-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find afkit tools tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
