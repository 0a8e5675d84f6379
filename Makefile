# Every target that needs the environment begins with scripts/setup, which is quick when
# there is nothing to do. Arguments for pytest and the benchmarks: make test ARGS="-k bed"

PYTHON_SOURCES = src tests fs_tests benchmarks docs
SHELL_SOURCES = scripts/setup scripts/demo scripts/wheel .ci/run

.DEFAULT_GOAL := help
.PHONY: help setup ready demo test fs-test fuzz bench lint wheel sdist docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-7s  %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing, make .venv, build (PYTHON=python3.12 chooses a Python)
	@scripts/setup --test

# What running needs, without what only tests and benchmarks do.
ready:
	@scripts/setup

demo: ready ## make a small store, mount it, run plink2 on it
	@scripts/demo

test: setup ## run the tests, a process a core (ARGS="-m slow": those that take long, which CI runs too)
	.venv/bin/python -m pytest tests -n auto --dist loadfile -m "not slow" $(ARGS)

fs-test: setup ## try to break mounts for 48 minutes (ARGS="--short": for four minutes)
	.venv/bin/python -m pytest fs_tests -n auto --dist loadfile $(ARGS)

fuzz: setup ## run every fuzz target for a minute (ARGS="--seconds 600": for ten)
	PYTHONPATH="$(CURDIR):$(CURDIR)/tests" .venv/bin/python -P -m fs_tests.fuzz $(ARGS)

bench: setup ## run the benchmarks (they make large stores in .bench)
	.venv/bin/python benchmarks/run.py $(or $(ARGS),all)

lint: setup ## check style and types of Python and, where shellcheck is installed, shell code
	.venv/bin/ruff check $(PYTHON_SOURCES)
	.venv/bin/ruff format --check $(PYTHON_SOURCES)
	.venv/bin/mypy
	@if command -v shellcheck >/dev/null; then set -x; shellcheck $(SHELL_SOURCES); fi

wheel: ## make the wheel that installs anywhere, in dist/
	@scripts/setup --wheel
	@scripts/wheel dist

sdist: ## make the source distribution, of what is committed, in dist/
	@scripts/setup --wheel
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m build --no-isolation --sdist --outdir dist

docs: ## build the documentation's site, in build/docs, and the man page, in build/man
	@scripts/setup --docs
	.venv/bin/sphinx-build --fail-on-warning --keep-going -q docs build/docs
	.venv/bin/sphinx-build --fail-on-warning --keep-going -q -b man -d build/docs/.doctrees docs build/man
	@echo "==> build/docs/index.html, build/man/biofuse.1"

clean: ## remove .venv and all that was built; the benchmarks' .bench stays
	rm -rf .venv build dist .setup.log .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
