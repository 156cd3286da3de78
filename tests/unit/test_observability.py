"""Logs tell what happened, and never the values that it happened to."""

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
