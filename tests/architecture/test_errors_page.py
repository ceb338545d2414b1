"""docs/errors.md lists every code, as it is declared."""

from __future__ import annotations

from oneai.kit.errors import CODES
from tools.errors_page import PAGE, page


def test_the_page_of_errors_is_in_step_with_the_codes() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page()
    for name, code in CODES.items():
        assert f"| {code.status} | `{name}` |" in written


def test_no_code_answers_422() -> None:
    assert not [name for name, code in CODES.items() if code.status == 422]
