import pytest

from decamp.cli.words import amount_of_bytes, duration, plural


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1000 * 1024, "1000 KiB"), (64 << 20, "64 MiB"), (5 << 40, "5 TiB")],
)
def test_bytes_have_three_digits(number: int, text: str) -> None:
    assert amount_of_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12, "12 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_singular() -> None:
    assert (plural(1, "host"), plural(0, "host")) == ("1 host", "0 hosts")
