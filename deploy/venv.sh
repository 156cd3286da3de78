#!/bin/sh
# Makes .venv hold exactly what requirements/LEVEL.txt pins, with Cardwork itself installed editable.
#
#   deploy/venv.sh run|test|bench
#
# Each level contains the one before. Nothing happens while a level's pins, pyproject.toml and the interpreter
# are what they were at the last install: a stamp in .venv remembers their hash, so that file times, which
# git changes at will, do not matter. PYTHON=/path/to/python3 chooses the interpreter of a new .venv.
set -eu
cd "$(dirname "$0")/.."
level=${1:?run, test or bench}
oldest="3, 11"

stop() { echo "cardwork: $*" >&2; exit 1; }

is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < ($oldest))" >/dev/null 2>&1; }

find_python() {
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    if is_new_enough "$candidate"; then echo "$candidate"; return; fi
  done
  stop "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3."
}

create() {
  python=$(find_python)
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "$python cannot make virtual environments: install its venv package (Debian, Ubuntu: apt-get install python3-venv)."
  echo "cardwork: creating .venv with $("$python" --version)" >&2
  "$python" -m venv --clear .venv
}

fingerprint() {
  .venv/bin/python -c 'import hashlib, pathlib, sys
sums = [hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest() for name in sys.argv[1:]]
print(sys.version.split()[0], *sums)' "requirements/$1.txt" pyproject.toml
}

levels_within() {
  case $1 in
    run) echo run ;;
    test) echo run test ;;
    bench) echo run test bench ;;
    *) stop "no such level: $1 (run, test or bench)" ;;
  esac
}

install() {
  echo "cardwork: installing requirements/$level.txt into .venv" >&2
  .venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r "requirements/$level.txt"
  .venv/bin/python -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation -e .
}

covered=$(levels_within "$level")
is_new_enough .venv/bin/python || create # also after a Python upgrade took away what .venv points at
if [ "$(cat ".venv/$level.stamp" 2>/dev/null)" != "$(fingerprint "$level")" ]; then
  install
  for inner in $covered; do fingerprint "$inner" >".venv/$inner.stamp"; done
fi
