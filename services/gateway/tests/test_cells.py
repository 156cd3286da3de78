"""Values as cells of a CSV file."""

from typing import Any

import pytest

from services.gateway.cells import cell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (False, "false"),
        (True, "true"),
        (0, "0"),
        ("", ""),
        ("Anna", "Anna"),
        ("=1+1", "'=1+1"),
        ("+33 1", "'+33 1"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
    ],
)
def test_a_value_is_a_text_that_no_spreadsheet_runs(value: Any, text: str) -> None:
    assert cell(value) == text
