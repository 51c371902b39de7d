"""What is kept of a service's own words."""

from __future__ import annotations

import pytest

from decamp.run.redacting import LONGEST, without_secrets


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cannot reach https://admin:hunter2@keystone:5000/v3", "cannot reach https://admin:***@keystone:5000/v3"),
        ("headers {'X-Auth-Token': 'gAAAAABl1', 'Accept': 'json'}", "headers {'X-Auth-Token': '***', 'Accept': 'json'}"),
        ("Authorization: Basic aGVsbG8=", "Authorization: Basic ***"),
        ('{"password": "p4ss", "name": "x"}', '{"password": "***", "name": "x"}'),
        ("application_credential_secret=abc123 refused", "application_credential_secret=*** refused"),
        ("token gAAAAABlq0fJx1yKzQ8mR7Uu0u3vT4w5 expired", "token *** expired"),
        ("the volume's secret is not known", "the volume's secret is not known"),
        ("no valid host was found, 3 tried", "no valid host was found, 3 tried"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


def test_it_is_one_line_of_bounded_length() -> None:
    assert without_secrets("a\n  b\tc") == "a b c"
    assert len(without_secrets("x" * 10_000)) == LONGEST
