PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-slow lint clean

run: .venv/installed ## Train on Iris; make run ARGS="--seed 1" passes options on.
	$(BIN)/python main.py $(ARGS)

test: .venv/ready-for-tests ## The quick tests; none needs the network.
	$(BIN)/python -m pytest -n 2

test-slow: .venv/ready-for-tests
	$(BIN)/python -m pytest -m slow

lint: .venv/ready-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/ready-for-tests: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
