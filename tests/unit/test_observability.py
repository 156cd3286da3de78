"""Logs tell what happened, and never the values that it happened to."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import structlog
from shared.observability import set_up_logging

def fail(card_number):
    raise ValueError("no card")

set_up_logging("info", "{form}")
try:
    fail("".join(["3742", "454554", "00126"]))
except ValueError:
    structlog.get_logger().exception("it failed", service="accounts")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_variables(form: str) -> None:
    """A message, an assertion or a card number may be among them."""
    said = subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{form}", form)], capture_output=True, text=True, check=True
    ).stdout
    for told in ("it failed", "no card", "fail"):
        assert told in said
    assert "374245455400126" not in said


_TOGETHER = """
import os, structlog, threading
from shared.observability import lines, set_up_logging

set_up_logging("info", "json")
log = structlog.get_logger()

def meanwhile():
    log.info("another thread's")

try:
    with lines.together():
        log.info("first")
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join()
        with lines.together():
            log.info("second")
        raise ValueError
except ValueError:
    log.info("third")
os._exit(0)  # what is not written by now is lost
"""


def test_lines_written_together_keep_their_order_and_survive_an_error() -> None:
    """Another thread's lines do not wait for them."""
    said = subprocess.run(
        [sys.executable, "-c", _TOGETHER], capture_output=True, text=True, check=True
    ).stdout
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events == ["another thread's", "first", "second", "third"]
