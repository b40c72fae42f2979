"""The text of one flag, checked and turned into a value: URLs, numbers, durations.

It owns the one-line error that names a flag, its value and the reason. It refuses to know any flag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations

from cluster.addresses import AddressError, advertised_url, listen_url, overlap
from cluster.values import parse_bool, parse_duration


class ConfigError(ValueError):
    """A flag with a wrong value; the message is one line that names the flag and the value."""


def listen_urls(flag: str, text: str, *, tls: bool = False) -> tuple[str, ...]:
    """URLs to bind: an IP address, `localhost` or `*` (every interface)."""
    return _urls(flag, text, partial(listen_url, tls=tls))


def advertised_urls(flag: str, text: str, *, tls: bool = False) -> tuple[str, ...]:
    """URLs for others to connect to, in the order given."""
    return _urls(flag, text, partial(advertised_url, tls=tls))


def _urls(flag: str, text: str, convert: Callable[[str], str]) -> tuple[str, ...]:
    urls = []
    for part in split(text):
        try:
            urls.append(convert(part))
        except AddressError as error:
            raise invalid(flag, part, error.reason) from None
    if not urls:
        raise invalid(flag, text, "it names no URL")
    return tuple(urls)


def split(text: str) -> list[str]:
    """The non-empty parts of a text between its commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def refuse_overlap(urls_by_flag: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse two URLs to bind that have the same port on the same interface."""
    listed = [(flag, url) for flag, urls in urls_by_flag.items() for url in urls]
    for (flag, url), (other_flag, other_url) in combinations(listed, 2):
        if overlap(url, other_url):
            raise ConfigError(
                f"--{other_flag} has {other_url}, where --{flag} with {url} listens already:"
                " give each its own port"
            )


def duration_ms(flag: str, text: str, lowest_ms: int = 0) -> int:
    """Milliseconds, from a duration such as 30s."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise invalid(flag, text, str(error)) from None
    if seconds * 1_000 < lowest_ms:
        raise invalid(flag, text, f"at least {lowest_ms}ms")
    return math.ceil(seconds * 1_000)


def is_on(flag: str, text: str) -> bool:
    """A switch: `--flag` alone is `--flag=true`; the words are Go's."""
    try:
        return parse_bool(text)
    except ValueError as error:
        raise invalid(flag, text, str(error)) from None


def integer(flag: str, text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise invalid(flag, text, "expected an integer")
    return int(text)


def at_least(lowest: int, flag: str, text: str) -> int:
    """A whole number that is at least `lowest`."""
    value = integer(flag, text)
    if value < lowest:
        raise invalid(flag, text, f"at least {lowest}")
    return value


def between(lowest: int, highest: int, flag: str, text: str) -> int:
    """A whole number from `lowest` to `highest`."""
    value = integer(flag, text)
    if not lowest <= value <= highest:
        raise invalid(flag, text, f"from {lowest} to {highest}")
    return value


def invalid(flag: str, value: str, reason: str) -> ConfigError:
    """The error that names a flag, its value and the reason."""
    return ConfigError(f'invalid value "{value}" for flag --{flag}: {reason}')
