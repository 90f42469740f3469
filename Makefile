# Everything runs in .venv; `make demo` and `make test` need only Python >= 3.11, pip, venv, git and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MUTANTS ?= 40

.PHONY: demo test lint types contracts unit soak bench yield nights report-check mutants clean

demo: $(VENV)/.installed  ## Enrich the sample list against the built-in sandbox and show three lines.
	@mkdir -p out && rm -f out/demo.jsonl out/demo.db*
	$(BIN)/leadcontact enrich data/leads.csv --sandbox --plan professional --max-per-second 100 \
		-o out/demo.jsonl --state out/demo.db
	@echo; echo "Three of its lines:"; grep -m 3 '"status":"enriched"' out/demo.jsonl

test: lint types contracts unit  ## What CI runs.

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

contracts: $(VENV)/.installed-test
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

soak: $(VENV)/.installed-test  ## The proofs in their long form: kills, races, examples, fuzz cases; prints their figures.
	SOAK=1 $(BIN)/python -m pytest -n auto tests/promises tests/system tests/flow

bench: $(VENV)/.installed-bench  ## Speed against a bare aiohttp loop and what else people use, start-up times, memory.
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/plans.py

yield: $(VENV)/.installed-test  ## Leads complete by day, against policies that know the chances or every answer.
	$(BIN)/python tests/bench/yields.py

nights: $(VENV)/.installed-test  ## Taking in, first request, status and a night's cost for lists of every size.
	$(BIN)/python tests/bench/nights.py

report-check: $(VENV)/.installed-test  ## A report of the demo in a real headless Chromium: pictures, widths, nothing fetched.
	@mkdir -p out && rm -f out/demo-report.jsonl out/demo-report.db*
	$(BIN)/leadcontact enrich data/leads.csv --sandbox --max-per-second 100 --quiet \
		-o out/demo-report.jsonl --state out/demo-report.db
	$(BIN)/leadcontact report -o out/report.html --sandbox --state out/demo-report.db
	$(BIN)/python tests/bench/browser.py out/report.html out/report

mutants: $(VENV)/.installed-mutants  ## Break the code on purpose, MUTANTS times a module, and see the tests notice.
	$(BIN)/python tests/bench/mutants.py --sample $(MUTANTS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	@touch $@

clean:
	rm -rf $(VENV) out mutants build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
