# Two commands matter: `make run` and `make test`.

.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z\/.]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run ## start Cardwork in one process on http://127.0.0.1:8000, with a demonstration programme
	@exec .venv/bin/cardwork run

test: .venv/test ## every check and every test: lint, types, import rules, unit, both shapes, compose
	@deploy/test.sh

lint: .venv/test ## the checks that need no test run: ruff, mypy, import-linter
	@deploy/lint.sh

bench: .venv/bench ## measure Cardwork and its peers on this machine and write docs/benchmarks.md
	@.venv/bin/python -m tests.benchmarks

bench-tracking: .venv/bench ## measure every search over ten million requests and write docs/benchmarks-tracking.md
	@.venv/bin/python -m tests.benchmarks.tracking_search

.venv: .venv/test ## the virtual environment that engineers work in

.venv/run .venv/test .venv/bench:
	@deploy/venv.sh $(notdir $@)

bench-accounts: .venv/bench ## measure every search over a million card accounts and write docs/benchmarks-accounts.md
	@.venv/bin/python -m tests.benchmarks.account_search

bench-closing: .venv/bench ## measure how long a million accounts take to be closed and write docs/benchmarks-closing.md
	@.venv/bin/python -m tests.benchmarks.cycle_closing

bench-import: .venv/bench ## measure how fast a file of transactions is read and posted and write docs/benchmarks-imports.md
	@.venv/bin/python -m tests.benchmarks.statement_import

bench-papers: .venv/bench ## measure how long a statement takes to set as PDF
	@.venv/bin/python -m tests.benchmarks.statement_paper

requirements: ## pin and hash requirements/*.in into requirements/*.txt (UPGRADE=1 takes the newest versions)
	@deploy/pin_requirements.sh $(if $(UPGRADE),--upgrade)

audit: .venv/test ## ask the vulnerability database about every pinned version (needs the network)
	@.venv/bin/pip-audit --require-hashes --disable-pip -r requirements/run.txt

clean: ## remove what make, running and checking left behind; var/, where the data of `make run` lies, stays
	rm -rf .venv .venv-uv build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis
	find services shared deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run test lint bench bench-tracking bench-accounts bench-closing bench-import bench-papers .venv .venv/run .venv/test .venv/bench requirements audit clean
