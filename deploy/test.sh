#!/bin/sh
# Every check and every test, in the order in which a mistake is found soonest. Arguments go to pytest.
#
# The tests run in a few processes at once (each with servers of its own: see shared/testing/plugin.py), those
# that need docker compose last.
set -eu
cd "$(dirname "$0")/.."

deploy/lint.sh
exec .venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadgroup "$@"
