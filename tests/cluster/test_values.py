"""Numbers, durations and sizes, as Go writes and reads them."""

from __future__ import annotations

import pytest

from cluster.cli.global_flags import environment_settings
from cluster.cli.settings import CliSettings
from cluster.values import (
    format_duration,
    format_seconds,
    format_size,
    parse_duration,
    parse_int,
    parse_seconds,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("200ms", 0.2), ("1m30s", 90.0), ("1.5h", 5400.0), ("0", 0.0), ("-2s", -2.0),
     ("10us", 1e-5), ("10µs", 1e-5), (".5s", 0.5)],
)  # fmt: skip
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xx", 'time: invalid duration "xx"'),
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("5s!", 'time: invalid duration "5s!"'),
    ],
)
def test_a_bad_duration_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="time: ") as caught:
        parse_duration(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.002312621, "2.312621ms"), (0.0019, "1.9ms"), (1.5, "1.5s"), (90.0, "1m30s"), (0.0, "0s"),
     (5e-6, "5µs"), (3e-9, "3ns"), (3661.25, "1h1m1.25s"), (0.300992568, "300.992568ms")],
)  # fmt: skip
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (9, "9 B"), (999, "999 B"), (1_000, "1.0 kB"), (20_480, "20 kB"),
     (9_960, "10 kB"), (2_147_483_648, "2.1 GB"), (25_000_000, "25 MB"),
     (1_000_000, "1.0 MB")],
)  # fmt: skip
def test_sizes_have_si_units(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize("text", ["", "zz", "1_0", " 1", "0x10", "\uff11"])
def test_a_bad_number_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax") as caught:
        parse_int(text)
    assert str(caught.value) == f'strconv.ParseInt: parsing "{text}": invalid syntax'


def test_numbers_have_64_bits() -> None:
    assert parse_int("7fffffffffffffff", 16) == parse_int(str(2**63 - 1)) == 2**63 - 1
    for text, base in (("8000000000000000", 16), (str(2**63), 10), (str(-(2**63) - 1), 10)):
        with pytest.raises(ValueError, match="value out of range"):
            parse_int(text, base)


def test_a_ttl_may_be_a_fraction() -> None:
    assert (parse_seconds("100"), parse_seconds("0.5"), parse_seconds("-5")) == (100, 0.5, -5)
    assert (format_seconds(100.0), format_seconds(0.5)) == ("100", "0.5")
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_seconds("1e5")


def test_the_environment_of_leasectl_wins_over_etcdctls() -> None:
    environment = {
        "ETCDCTL_WRITE_OUT": "table",
        "LEASECTL_WRITE_OUT": "json",
        "ETCDCTL_DIAL_TIMEOUT": "3s",
    }
    settings = environment_settings(environment)
    assert settings == CliSettings(write_out="json", dial_timeout_seconds=3.0)
