# Every target installs what it needs: a fresh Debian 12 with Python >= 3.11 is enough.
UV_VENV := .uv
UV := $(UV_VENV)/bin/uv
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install lock demo test lint bench clean

install: .venv/.installed

$(UV):
	@tools/apt.sh python3-venv
	$(PYTHON) -m venv $(UV_VENV)
	$(UV_VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/.installed: $(UV) requirements.lock pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python .venv --require-hashes --compile-bytecode requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --editable .
	@touch $@

# Written anew from pyproject.toml; commit the result.
lock: $(UV)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade --group dev pyproject.toml -o requirements.lock

demo: install
	$(BIN)/decamp lab demo

test: install lint
	@tools/apt.sh postgresql
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: install
	@for main in bench/*/__main__.py; do bench=$$(dirname $$main); echo "$$bench"; $(BIN)/python -m $$(echo $$bench | tr / .) || exit 1; done

clean:
	rm -rf .venv $(UV_VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
