# Every target sets up what it needs by itself: a fresh machine with Python 3.11 to 3.13 is enough.
# Tried in this order; `make test PYTHON=/path/to/python` settles it.
PYTHON ?= python3 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= data
WORKERS ?= 2
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

NETS ?= 2500

.PHONY: run test test-long torture bench check format clean

# The client is named beside the service, so that pip takes it from here and asks no index for it.
$(BIN)/.installed: pyproject.toml clients/python/pyproject.toml
	@for python in $(BIN)/python $(PYTHON); do \
	    "$$python" -c '$(SUITABLE)' 2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Portgrad needs Python 3.11, 3.12 or 3.13 with venv; none of these is one: $(PYTHON)."; \
	    echo "Install one, or name it: make test PYTHON=/path/to/python3.12"; \
	    exit 1; \
	fi >&2; \
	[ "$$found" = $(BIN)/python ] || "$$found" -m venv --clear $(VENV)
	@echo "Installing into $(VENV), once ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -e clients/python
	@touch $@

run: $(BIN)/.installed ## start the service with sample nets on http://127.0.0.1:8000
	$(BIN)/portgrad serve --host $(HOST) --port $(PORT) --data $(DATA) --samples

test: $(BIN)/.installed ## every test
	$(BIN)/pytest -n $(WORKERS)

test-long: $(BIN)/.installed ## random nets by the thousand, tangents of every row
	PORTGRAD_RANDOM_NETS=$(NETS) PORTGRAD_ALL_ROWS=1 $(BIN)/pytest -n $(WORKERS) \
	    tests/property tests/rules/test_tangents.py

$(BIN)/.torture: $(BIN)/.installed
	@echo "Adding what the long proofs need to $(VENV), once ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -e '.[dev,torture]' -e clients/python
	@touch $@

torture: $(BIN)/.torture ## the long proofs that strangers do no harm; PARTS="bombs kills" MINUTES=1
	PYTHONPATH=tests $(BIN)/python -m torture $(PARTS) $(if $(MINUTES),--minutes $(MINUTES))

$(BIN)/.bench: $(BIN)/.installed
	@echo "Adding what is compared with (torch, jax, transformers, ...) to $(VENV), once: some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -e '.[dev,bench]' -e clients/python
	@touch $@

bench: $(BIN)/.bench ## against the forward pass and peers; PARTS="engine service" ROUNDS=9 NETS="mlp"
	PYTHONPATH=. $(BIN)/python -m benchmarks $(PARTS) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	    $(if $(NETS),--nets $(NETS))

check: $(BIN)/.installed ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache

format: $(BIN)/.installed ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## everything but the data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
