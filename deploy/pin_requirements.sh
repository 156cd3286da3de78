#!/bin/sh
# Pins and hashes requirements/*.in into requirements/*.txt, for every Python and platform that we support.
#
#   deploy/pin_requirements.sh [--upgrade | --upgrade-package NAME]
#
# Versions already pinned stay unless asked otherwise. Each list is constrained by the one before it, so that
# tests and benchmarks run on exactly what production runs on.
set -eu
cd "$(dirname "$0")/.."

[ -x .venv-uv/bin/uv ] || {
  "${PYTHON:-python3}" -m venv .venv-uv
  .venv-uv/bin/python -m pip --disable-pip-version-check install --quiet "uv==0.13.9"
}
for list in run test bench; do
  .venv-uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    "$@" --output-file "requirements/$list.txt" "requirements/$list.in"
done
