PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-pages browser site test-slow test-engines coverage mutants fuzz lint clean

run: .venv/installed ## Train on Iris; make run ARGS="--seed 1" passes options on.
	$(BIN)/python main.py $(ARGS)

test: .venv/ready-for-tests ## The quick tests; none needs the network.
	$(BIN)/python -m pytest -n 2 --dist worksteal

browser: ## Chromium, for the tests of pages; as root, on Debian and its kin.
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium chromium-driver

site: .venv/ready-for-tests ## The documentation, in site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

test-pages: .venv/ready-for-tests ## In a browser (make browser), and what the documentation says.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m pages

test-slow: .venv/ready-for-tests
	$(BIN)/python -m pytest -m slow

test-engines: .venv/ready-for-engines ## On Dask, Spark, which takes Java 17, and Ray.
	$(BIN)/python -m pytest -m 'not slow' tests/test_engines.py

coverage: .venv/ready-for-tests ## Lines of the library that the quick tests run.
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

mutants: .venv/ready-for-tests ## Changes of the guards that no test notices.
	PYTHONPATH=.:tests/helpers TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/harness/mutants.py $(ARGS)

fuzz: .venv/ready-for-tests ## Damaged files, 150,000 of them.
	PYTHONPATH=.:tests/helpers $(BIN)/python tests/harness/fuzz.py $(ARGS)

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

.venv/ready-for-engines: pyproject.toml .venv/ready-for-tests
	$(BIN)/python -m pip install --quiet -e '.[dask,spark,ray]'
	touch $@

.venv/ready-for-tests: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
