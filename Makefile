# Every target sets up what it needs by itself: a fresh machine with Python 3.11 to 3.13 is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= data
WORKERS ?= 2

.PHONY: run test check format clean

$(BIN)/.installed: pyproject.toml clients/python/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -e clients/python
	@touch $@

run: $(BIN)/.installed ## start the service with sample nets on http://127.0.0.1:8000
	$(BIN)/portgrad serve --host $(HOST) --port $(PORT) --data $(DATA) --samples

test: $(BIN)/.installed ## every test
	$(BIN)/pytest -n $(WORKERS)

check: $(BIN)/.installed ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache

format: $(BIN)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
