"""How the limits of a role are written on a command line, and read from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cluster.cli.ending import bad_arguments
from cluster.client.auth_results import RoleLimits
from cluster.values import parse_int, parse_size

NONE: Final = "none"
"""The word for a role that limits nothing."""

_NAMES: Final = {
    "requests": "requests_per_second",
    "bytes": "bytes_per_second",
    "watches": "watches",
    "leases": "leases",
}
"""The field of each limit by its name on a command line."""


def limits_shown(limits: RoleLimits) -> Iterator[tuple[str, int]]:
    """The name and number of each thing that is limited."""
    for name, field in _NAMES.items():
        if number := getattr(limits, field):
            yield name, number


def limits_text(limits: RoleLimits) -> str:
    """Limits as `role set-limits` takes them."""
    return " ".join(f"{name}={number}" for name, number in limits_shown(limits)) or NONE


def limits_from(words: tuple[str, ...]) -> RoleLimits:
    """Limits from such words. A wrong one ends the command."""
    found: dict[str, int] = {}
    for word in () if words == (NONE,) else words:
        name, equals, text = word.partition("=")
        if not equals or name not in _NAMES:
            bad_arguments(f"expected {NONE}, or some of {wanted()}, not {word!r}")
        if _NAMES[name] in found:
            bad_arguments(f"{name} is given twice")
        try:
            number = parse_size(text) if name == "bytes" else parse_int(text)
        except ValueError as error:
            bad_arguments(f"{word}: {error}")
        if number < 0:
            bad_arguments(f"{word}: a limit is not below 0")
        found[_NAMES[name]] = number
    return RoleLimits(**found)


def wanted() -> str:
    """What may be named, for errors."""
    return " ".join(f"{name}=N" for name in _NAMES)
